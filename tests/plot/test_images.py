"""Pictures look as they did when they were looked at; how to keep new ones: see images.py."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr
from images import FOLDER, TOLERANCE, check, distance, kept, picture

import xdeepda


@pytest.fixture(autouse=True)
def style(monkeypatch):
    """Matplotlib's own style and colour maps, whatever is installed or set."""
    import matplotlib

    monkeypatch.setitem(sys.modules, "cmocean", None)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.use("Agg")
        yield


@pytest.fixture(scope="module")
def scores(whole: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    field = whole["thetao"]
    shifted = (field + 0.3 * np.cos(np.deg2rad(whole["lat"]))).transpose(*field.dims)
    return whole.assign(thetao=shifted.assign_attrs(field.attrs)).deepda.verify(truth, draws=50)


def counted(ds: xr.Dataset) -> xr.Dataset:
    """With more observations near the surface."""
    count = ds["thetao_obs_count"]
    more = (count * xr.DataArray([9, 3, 1], dims="depth")).assign_attrs(count.attrs)
    return ds.assign(thetao_obs_count=more)


SIZE = (6.0, 4.0)
DRAWN = {
    "map": lambda ds, _: ds.deepda.plot.map(depth=100, time="0010-08", obs=True, figsize=SIZE),
    "map_increment": lambda ds, _: ds.deepda.plot.map(part="increment", figsize=SIZE),
    "section": lambda ds, _: ds.deepda.plot.section(lat=0, time="0010-08", figsize=SIZE),
    "profile": lambda ds, _: ds.deepda.plot.profile(lat=40, lon=200, figsize=(4.0, 5.0)),
    "hovmoller": lambda ds, _: ds.deepda.plot.hovmoller(lat=(-20, 20), figsize=SIZE),
    "hovmoller_depth": lambda ds, _: ds.deepda.plot.hovmoller(along="depth", lat=40, lon=200),
    "coverage": lambda ds, _: counted(ds).deepda.plot.coverage(figsize=SIZE),
    "by_depth": lambda _, scores: scores.deepda.plot.by_depth(),
    "maps_of_levels": lambda ds, _: ds.deepda.plot.map(col="depth", time="0010-08"),
}


def figure_of(drawn):
    return drawn.fig if isinstance(drawn, xr.plot.FacetGrid) else drawn.figure


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_as_it_was(name, whole, scores, tmp_path):
    check(name, picture(figure_of(DRAWN[name](whole, scores))), tmp_path)


WRONG = {
    "map": lambda ds: ds.assign(thetao=ds["thetao"].roll(lon=1)),
    "section": lambda ds: ds.assign(thetao=ds["thetao"].roll(lon=1)),
    "hovmoller": lambda ds: ds.assign(thetao=ds["thetao"].isel(time=slice(None, None, -1)).values
                                      + 0 * ds["thetao"]),
    "profile": lambda ds: ds.assign(thetao_spread=2 * ds["thetao_spread"]),
    "coverage": lambda ds: ds.assign(thetao_obs_count=ds["thetao_obs_count"].shift(time=3,
                                                                               fill_value=0)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_picture_is_seen(name, whole):
    attrs = {str(n): da.attrs for n, da in whole.items()}
    wrong = WRONG[name](whole)
    for n, da in wrong.items():
        da.attrs = attrs[str(n)]
    drawn = picture(figure_of(DRAWN[name](wrong, None)))
    assert distance(drawn, kept(name)) > TOLERANCE


def test_fonts_do_not_matter(whole, scores):
    import matplotlib

    for name in ("map", "by_depth"):
        with matplotlib.rc_context({"font.family": "monospace", "font.size": 13}):
            drawn = picture(figure_of(DRAWN[name](whole, scores)))
        assert distance(drawn, kept(name)) < TOLERANCE


def test_kept_pictures_are_small_and_all_are_compared():
    files = list(FOLDER.glob("*.png"))
    assert {f.stem for f in files} == {*DRAWN}
    assert max(f.stat().st_size for f in files) < 20_000


def test_a_series_shows_its_band(whole):
    field = whole["thetao"].mean(("lat", "lon", "depth"))
    several = xr.concat([field - 1, field, field + 1], "member").assign_attrs(whole["thetao"].attrs)
    ax = xdeepda.plot.series(several, sigmas=1, label="mine", color="C1")
    (line,) = ax.get_lines()
    np.testing.assert_allclose(line.get_ydata(), field, rtol=1e-5)
    low, high = (f(ax.collections[0].get_paths()[0].vertices[:, 1]) for f in (np.min, np.max))
    assert high - low == pytest.approx(float(field.max() - field.min()) + 2, abs=1e-4)
    assert line.get_label() == "mine"
    assert "[°C]" in ax.get_ylabel()
