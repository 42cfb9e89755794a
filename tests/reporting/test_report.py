"""The page: complete, self-contained, accessible, and with the numbers of the verbs."""

from __future__ import annotations

import base64
import io
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from report_page import Page

import xdeepda


@pytest.fixture(scope="module")
def scores(ensemble: xr.Dataset, years: xr.Dataset) -> xr.Dataset:
    return xdeepda.verify(ensemble, years)


# ---- the page


def test_the_page_needs_nothing_else(page):
    sources = [attrs[k] for _, attrs in page.tags for k in ("src", "href") if k in attrs]
    assert all(s.startswith(("data:image/png;base64,", "#")) for s in sources)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not any(word in page.html for word in ("http:", "https:", "url(", "@import"))
    targets = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert {s[1:] for s in sources if s.startswith("#")} == {*targets}
    assert len(targets) == len(page.sections())


def test_every_picture_is_one_and_says_what_it_shows(page):
    from matplotlib.image import imread

    assert len(page.pictures()) > 20
    for attrs in page.pictures():
        image = imread(io.BytesIO(base64.b64decode(attrs["src"].split(",", 1)[1])), format="png")
        assert len(attrs["alt"]) > 10
        # sharper than a pixel of the page, and no blank sheet
        assert image.shape[1] == pytest.approx(1.3 * int(attrs["width"]), abs=2)
        assert image[..., :3].std() > 0.02


def test_headings_and_tables_are_marked(page):
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert ("html", {"lang": "en"}) in page.tags
    assert all(table.caption for table in page.tables)
    assert all(attrs.get("scope") in ("row", "col") for tag, attrs in page.tags if tag == "th")
    assert len({len(row) for row in page.table("Statistics, truth").rows}) == 1


def test_words_of_the_data_are_no_markup(page):
    assert page.headings[0] == (1, "An <ocean> & more")
    assert "<b>made</b> & kept" in page.text
    assert not any(tag == "b" for tag, _ in page.tags)


def test_the_sections_are_there(page):
    assert page.sections() == [
        "Warnings", "What was analysed", "The model", "Observations", "Verification",
        "Innovations", "Maps", "Sections along the equator", "Indices", "Heat content", "Drift",
        "Static stability", "What is left out, and why",
    ]  # fmt: skip
    described = {row[0]: row[1] for row in page.table("The analysis").rows}
    assert described["Period"] == "0008-01-16 to 0010-12-16"
    assert described["Model hash"] == "0123456789abcdef"
    assert described["Seed"] == "7"
    assert described["Members"] == "4"


# ---- its numbers


def test_statistics_are_those_of_verify(page, scores):
    table = page.table("Statistics, truth")
    assert len(table.rows) == scores.sizes["depth"]
    for column in ("count", "bias", "rmse", "spread skill", "member spread skill", "crps"):
        position = next(n for n, h in enumerate(table.head) if h.startswith(column))
        expected = scores[column.replace(" ", "_")].values
        np.testing.assert_allclose([row[position] for row in table.values], expected, rtol=1e-12)
        digits = f"{expected[0]:.0f}" if column == "count" else f"{expected[0]:.3g}"
        assert table.rows[0][position].startswith(digits)


def test_errors_of_regions_are_those_of_verify(page, ensemble, years):
    table = page.table("RMSE by region, truth")
    found = xdeepda.verify(ensemble, years, by=("depth", "region"), statistics="rmse")
    shown = [float(h.split(" m")[0]) for h in table.head[1:]]
    assert [row[0] for row in table.rows] == list(found["region"].values)
    expected = found["rmse"].sel(depth=shown, method="nearest").transpose("region", "depth")
    np.testing.assert_allclose([row[1:] for row in table.values], expected, rtol=1e-12)


def test_numbers_of_indices_are_those_of_the_diagnostic(page, ensemble, years):
    table = page.table("Indices")
    row = table.values[[r[0] for r in table.rows].index("Niño 3.4")]
    found = ensemble[["thetao"]].deepda.index("nino34")
    mean, true = found.mean("member"), years.deepda.index("nino34")
    expected = [mean.std(), found.std("member", ddof=1).mean(),
                xr.corr(mean, true), ((mean - true) ** 2).mean() ** 0.5]  # fmt: skip
    np.testing.assert_allclose(row[2:], [float(e) for e in expected], rtol=1e-5, atol=1e-9)


def test_heat_is_that_of_the_diagnostic(page, ensemble):
    table = page.table("Heat content")
    assert table.rows[0][:2] == ["0 to 300 m", "GJ m-2"]
    columns = ensemble[["thetao"]].deepda.heat_content(depth=(0, 300))
    mean = columns.weighted(np.cos(np.deg2rad(columns["lat"]))).mean() / 1e9
    assert table.values[0][2] == pytest.approx(float(mean), rel=1e-3)


def test_departures_are_counted_by_layer(page, ensemble, points):
    assert page.table("Use of the observations").values[0][1] == points.sizes["obs"]
    last = page.table("Departures by layer").values[-1]
    found = xdeepda.departures(ensemble, points)
    before, after = (found[n].values for n in ("innovation", "residual"))
    expected = found["background_spread"] ** 2 + found["observed_error"] ** 2
    assert last[1] == np.isfinite(after).sum()
    np.testing.assert_allclose(last[2:], [
        np.nanmean(before), np.nanmean(before**2) ** 0.5, float(expected.mean()) ** 0.5,
        np.nanmean(after), np.nanmean(after**2) ** 0.5,
    ], rtol=1e-5)  # fmt: skip


def test_trends_of_levels_are_those_of_drift(page, ensemble):
    mean = ensemble["thetao"].mean("member", keep_attrs=True)
    expected = xdeepda.drift(mean)["thetao_drift"]
    table = page.table("Trend of the mean of each level")
    np.testing.assert_allclose([row[1] for row in table.values], expected, rtol=1e-4, atol=1e-4)


# ---- its warnings


def test_warnings_say_what_is_wrong(page, ensemble):
    told = page.section("Warnings")
    assert f"without an observation: {float(ensemble['depth'][-1]):.4g} m" in told
    assert "Another model: the analysis says that it was made by 0123456789abcdef" in told
    # the mean of the members errs by a quarter of a kelvin, and says half a kelvin
    assert "spread and error disagree at all levels: the expected error is 2 to 2" in told
    assert "O-B of thetao is" in told


def test_an_analysis_that_is_right_is_not_warned_of(ensemble, years, tmp_path):
    field = years["thetao"]
    # a truth without a trend, so that there is no drift to warn of
    truth = xr.zeros_like(field) + field.mean("time")
    noise = 0.5 * np.random.default_rng(0).standard_normal(field.shape)
    right = ensemble[["thetao_spread"]].assign(
        thetao=(truth + xr.Variable(field.dims, noise)).assign_attrs(field.attrs)
    )
    reference = truth.assign_attrs(field.attrs).to_dataset(name="thetao")
    page = Page(right.deepda.report(tmp_path / "r.html", reference=reference, depths=[0]))
    told = page.section("Warnings")
    assert "disagree" not in told
    assert "bias" not in told
    assert "background" not in told


def test_cycles_that_are_missing_are_told(ensemble, tmp_path):
    part = ensemble.isel(time=[0, 1, 4])
    page = Page(part.deepda.report(tmp_path / "r.html", depths=[0], indices=[]))
    assert "Gaps: 2 cycles of the period are missing." in page.section("Warnings")
