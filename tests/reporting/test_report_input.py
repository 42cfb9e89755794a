"""Any analysis has a page; what is wrong is told before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from report_page import Page

import xdeepda
from xdeepda.errors import InputError
from xdeepda.reporting import page as writing
from xdeepda.reporting.subject import _stride


@pytest.fixture(scope="module")
def short(ensemble: xr.Dataset) -> xr.Dataset:
    """Three months of the mean, with its parts."""
    one = ensemble.isel(time=slice(0, 3))
    mean = one["thetao"].mean("member").assign_attrs(ensemble["thetao"].attrs)
    return one.drop_vars("thetao").assign(thetao=mean)


def test_a_page_without_anything_else_says_what_is_left_out(short, tmp_path):
    page = Page(short.deepda.report(tmp_path / "r.html"))
    told = page.section("What is left out, and why")
    assert "reference= was not given" in told
    assert "model= was not given" in told
    assert "obs= was not given" in told
    assert "0.17 years are too short" in told
    assert "Verification" not in page.sections()
    assert {"Maps", "Observations", "Heat content"} <= {*page.sections()}


@pytest.mark.parametrize("change", [
    lambda ds: ds["thetao"].isel(time=-1),
    lambda ds: ds.isel(lat=4, drop=True).transpose("lon", "depth", "time"),
    lambda ds: ds[["thetao"]].isel(depth=0, drop=True),
    lambda ds: ds.isel(lat=slice(6, 10), lon=slice(3, 9)).rename(lat="latitude", depth="lev"),
])  # fmt: skip
def test_any_domain_has_a_page(short, change, tmp_path):
    given = change(short)
    before = given.copy(deep=True)
    page = Page(xdeepda.report(given, tmp_path / "r.html"))
    xr.testing.assert_identical(given, before)
    assert "What was analysed" in page.sections()
    assert ("Maps" in page.sections()) == (("lat" in given.dims) or ("latitude" in given.dims))
    assert any("Sections" in s for s in page.sections()) == bool({"depth", "lev"} & {*given.dims})
    assert page.pictures()


def test_several_variables_stand_side_by_side(ocean, tmp_path):
    part = ocean.isel(time=slice(117, 120))[["thetao", "so"]]
    page = Page(part.deepda.report(tmp_path / "r.html", depths=[0], reference=part))
    headings = [words for _, words in page.headings]
    assert "thetao at 10 m" in headings
    assert "so at 10 m" in headings
    assert page.table("Statistics, reference, so").head[2].startswith("bias psu")
    assert page.table("Static stability").head[2] == "largest kg m-3"
    only = Page(part.deepda.report(tmp_path / "one.html", var="so", depths=[0]))
    assert "so at 10 m" in [words for _, words in only.headings]
    assert "thetao" not in only.section("Maps")


def test_results_of_verify_are_shown_as_they_are(short, years, tmp_path):
    scores = short.deepda.verify(years)
    page = Page(short.deepda.report(tmp_path / "r.html", reference={"mine": scores}))
    rmse = page.table("Statistics, mine")
    position = next(n for n, h in enumerate(rmse.head) if h.startswith("rmse"))
    np.testing.assert_array_equal([row[position] for row in rmse.values], scores["rmse"])


def test_an_existing_page_is_kept(short, tmp_path):
    target = tmp_path / "r.html"
    target.write_text("mine")
    with pytest.raises(InputError, match=r"r\.html exists"):
        short.deepda.report(target)
    assert target.read_text() == "mine"
    assert short.deepda.report(target, overwrite=True, depths=[0]) == target
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_what_is_written_is_whole_or_not_there(tmp_path, monkeypatch):
    def full(self: Path, text: str, **_: object) -> int:
        with self.open("w") as file:
            file.write(text[:10])
        raise OSError("no space left on device")

    target = tmp_path / "r.html"
    target.write_text("before")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        writing.write("<html>" * 100, target)
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_everything_wrong_is_told_at_once(short, tmp_path):
    with pytest.raises(InputError) as refused:
        short.deepda.report(
            tmp_path / "none" / "r.html", reference=3, model="no such model", obs="nonsense",
            var="so", indices=["nino5"], samples=0, title="",
        )  # fmt: skip
    text = str(refused.value)
    for words in ("no folder", "neither fields nor observations", "no model file", "not analysed",
                  "nino5", "title="):  # fmt: skip
        assert words in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "words"), [
    ({"time": "1900-01"}, "nothing at time"),
    ({"depths": [-1]}, "are no depths"),
    ({"samples": True}, "no number of cycles"),
    ({"reference": []}, "no reference"),
    ({"indices": "nino34"}, "a list of"),
    ({"model": 3}, "model is a int"),
])  # fmt: skip
def test_arguments_are_checked(short, arguments, words, tmp_path):
    with pytest.raises(InputError, match=words):
        short.deepda.report(tmp_path / "r.html", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_reference_without_a_time_in_common_is_refused(short, ocean, tmp_path):
    with pytest.raises(InputError, match="no time in common"):
        short.deepda.report(tmp_path / "r.html", reference=ocean[["thetao"]].isel(time=slice(12)))
    assert not list(tmp_path.iterdir())


def test_what_is_no_analysis_is_refused(tmp_path):
    with pytest.raises(InputError, match="this is no analysis"):
        xdeepda.report(np.zeros(3), tmp_path / "r.html")
    with pytest.raises(InputError, match="is a folder"):
        xdeepda.report(np.zeros(3), tmp_path)


def test_cycles_that_are_sampled_come_from_all_seasons():
    assert _stride(96, None, 12) == 1
    assert _stride(96, 96, 12) == 1
    assert _stride(480, 240, 12) == 5  # 2, 3 and 4 would leave months out
    assert _stride(2920, 240, 73) == 13


def test_a_large_analysis_is_read_in_parts(ensemble, tmp_path, monkeypatch):
    from xdeepda.reporting import subject

    monkeypatch.setattr(subject, "_HELD_BYTES", 0)
    monkeypatch.setattr(subject, "BLOCK_BYTES", 3 * 8 * ensemble["thetao"].isel(time=0).size)
    most = []
    load = xr.Dataset.load
    monkeypatch.setattr(xr.Dataset, "load", lambda ds, **k: most.append(ds.nbytes) or load(ds, **k))
    lazy = ensemble.chunk(time=1)
    page = Page(lazy.deepda.report(tmp_path / "r.html", samples=8, depths=[0]))
    assert max(most) < ensemble.nbytes / 4
    assert "8 of 36 cycles" in page.section("Heat content")
    assert "drift needs all cycles" in page.section("What is left out, and why").lower()
    whole = Page(ensemble.deepda.report(tmp_path / "w.html", depths=[0]))
    rows = [p.table("Indices").values[0][3:] for p in (page, whole)]
    np.testing.assert_allclose(*rows, rtol=1e-5)
    assert lazy["thetao"].chunks is not None
