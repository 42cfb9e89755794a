"""Counts by rule, platform and year; printed and drawn."""

from __future__ import annotations

import numpy as np
import pytest
from qc_tables import casts, planted, where

import xdeepda
from xdeepda import quality_control, quality_report


@pytest.fixture
def checked():
    ds = casts(6)
    ds = ds.assign_coords(
        time=("obs", ds["time"].values + np.where(ds["profile"].values > "2", 400, 0)
              .astype("timedelta64[D]")),
    )  # fmt: skip
    ds = planted(ds, "value", where(ds)[[2, 3]], 99.9)
    ds = planted(ds, "value", where(ds, profile="4")[5], np.nan)
    ds = planted(ds, "qc", where(ds, profile="5")[:4], 4)
    ds = planted(ds, "platform", where(ds, profile="5"), "another")
    return quality_control(ds)


def test_counts(checked):
    report = quality_report(checked)
    size = checked.sizes["obs"]
    assert sum(report.by_rule.values()) == size
    assert (report.by_rule["range"], report.by_rule["supplied"]) == (2, 4)
    assert report.by_rule["no value"] == 1
    assert report.by_rule["passed"] == size - 7
    for name, label in (("by_year", "year"), ("by_platform", "platform")):
        assert int(report.counts[name].sum()) == size
        total = report.counts[name].sum(label)
        assert total.sel(verdict="supplied") == 4
    assert report.counts["year"].values.tolist() == [2005, 2006]
    assert int(report.counts["by_year"].sel(verdict="range", year=2005)) == 2
    assert int(report.counts["by_platform"].sel(verdict="supplied", platform="another")) == 4
    assert int(report.counts["by_variable"].sel(verdict="range", variable="so")) == 0


def test_printed(checked):
    text = repr(quality_report(checked))
    size = checked.sizes["obs"]
    for words in (f"{size} observations, 6 rejected", "range ", "supplied", "another", "2006"):
        assert words in text
    assert "spike" not in text
    assert all(len(line) < 100 for line in text.splitlines())


def test_many_platforms_are_cut_and_said(checked):
    names = np.array([f"p{i % 40}" for i in range(checked.sizes["obs"])], dtype=object)
    text = repr(quality_report(checked.assign_coords(platform=("obs", names))))
    assert "... and 30 more" in text


def test_flags_of_a_reader_are_counted_too():
    ds = planted(planted(casts(1), "qc", 0, 3), "reason", 0, "Argo flag 3 (bad); late")
    report = ds.deepda.quality_report()
    assert report.by_rule["supplied"] == 1
    assert repr(report) == repr(xdeepda.quality_report(ds))


def test_a_table_of_which_nothing_is_rejected():
    report = quality_report(quality_control(casts(1)))
    assert "0 rejected (0.00 %)" in repr(report)


def test_plot(checked):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    fig = quality_report(checked).plot(figsize=(6, 5))
    axes = {ax.get_title().split(":")[0]: ax for ax in fig.axes}
    assert {"by rule", "by year"} <= set(axes)
    widths = [bar.get_width() for bar in axes["by rule"].patches]
    assert sorted(widths) == [2, 4]
    fig.canvas.draw()
    plt.close(fig)
    figure = quality_report(quality_control(casts(1))).plot()
    figure.canvas.draw()
    years = figure.axes[2].get_xticks()
    assert (years == np.round(years)).all()  # no year 2005.6
    plt.close(figure)
