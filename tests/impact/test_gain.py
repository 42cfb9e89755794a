"""The gain of one observation: what assimilate makes of it, where, and in which units."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid
from xdeepda.impact.effect import Backgrounds, Effects
from xdeepda.impact.gain import rows_of
from xdeepda.impact.scales import e_folding, length_scales
from xdeepda.observations.cells import merge
from xdeepda.observations.sources import binned_sources

POINT = {"depth": 10.0, "lat": 0.0, "lon": 200.0, "error": 0.4}


@pytest.fixture(scope="module")
def enoi(ocean):
    return xdeepda.baselines.enoi(ocean, var="thetao", cycle="month", ensemble=40)


@pytest.fixture(scope="module")
def kalman(ocean):
    return xdeepda.baselines.kalman(ocean, var="thetao", cycle="month", patterns=20)


@pytest.fixture(scope="module")
def gain(tiny_model, analysis):
    return tiny_model.influence(analysis, POINT, time=analysis["time"].values[3])


def one(time, value: float, where: dict) -> xr.Dataset:
    """A table of one observation."""
    coords = {
        "time": ("obs", [time]),
        "depth": ("obs", [where["depth"]], {"units": "m", "positive": "down"}),
        "lat": ("obs", [where["lat"]], {"units": "degrees_north"}),
        "lon": ("obs", [where["lon"]], {"units": "degrees_east"}),
    }
    attrs = {"units": "degC", "standard_name": "sea_water_potential_temperature"}
    variables = {"thetao": ("obs", [value], attrs), "thetao_error": ("obs", [where["error"]])}
    return xr.Dataset(variables, coords)


@pytest.mark.parametrize("name", ["enoi", "tiny_model"])
def test_it_is_what_assimilate_makes_of_one_observation(name, ocean, analysis, request):
    model = request.getfixturevalue(name)
    state, time = analysis.isel(time=2), analysis["time"].values[3]
    at = analysis["thetao_background"].sel(time=time)
    background = float(at.sel({n: POINT[n] for n in ("depth", "lat", "lon")}, method="nearest"))
    step = 0.1
    pair = [
        xdeepda.assimilate(state, one(time, background + sign * step, POINT), model=model)
        for sign in (1, -1)
    ]
    made = model.influence(pair[0], POINT)["thetao_gain"]
    difference = (pair[0]["thetao"] - pair[1]["thetao"]).isel(time=0, drop=True) / (2 * step)
    assert made.dims == difference.dims
    peak = float(abs(difference).max())
    assert peak > 0.02
    np.testing.assert_allclose(made, difference, atol=0.003 * peak)


def test_its_labels_are_those_of_the_analysis(gain, analysis, tiny_model):
    field, like = gain["thetao_gain"], analysis["thetao"].isel(time=3)
    assert field.dims == like.dims
    for name in field.dims:
        xr.testing.assert_equal(field[name].variable, like[name].variable)
        assert field[name].attrs["units"] == like[name].attrs["units"]
    assert gain["time"].values == like["time"].values
    np.testing.assert_array_equal(np.isfinite(field), np.isfinite(like))
    assert field.attrs["units"] == "1"
    near = field.sel({n: POINT[n] for n in field.dims}, method="nearest")
    assert float(gain["thetao_gain_at_point"]) == pytest.approx(float(near))
    assert gain.attrs["model_hash"] == tiny_model.hash
    again = xdeepda.influence(tiny_model, analysis, POINT, time=analysis["time"].values[3])
    xr.testing.assert_equal(gain, again)


def test_order_sense_and_units_of_the_analysis_do_not_matter(gain, analysis, tiny_model):
    other = analysis.transpose("lon", ...).isel(lat=slice(None, None, -1))
    for name in ("thetao", "thetao_background"):
        warm = other[name] + 273.15
        other[name] = warm.assign_attrs({**other[name].attrs, "units": "K"})
    time = analysis["time"].values[3]
    made = tiny_model.influence(other, POINT, time=time)["thetao_gain"]
    assert made.dims == other["thetao"].isel(time=0).dims
    expected = gain["thetao_gain"].transpose(*made.dims).sel(lat=made["lat"])
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_of_several_variables_all_are_there(pair_model, ocean, cells):
    analysis = xdeepda.assimilate(ocean, cells, model=pair_model)
    made = pair_model.influence(analysis, {**POINT, "var": "so", "error": 0.1},
                                time=analysis["time"].values[1])  # fmt: skip
    assert made["so_gain"].attrs["units"] == "1"
    assert made["thetao_gain"].attrs["units"] == "K (psu)-1"
    assert float(made["so_gain_at_point"]) > 0
    assert float(abs(made["thetao_gain"]).max()) > 0


def test_an_observation_among_others_adds_less(enoi, ocean, cells):
    analysis = xdeepda.assimilate(ocean, cells, model=enoi)
    time = analysis["time"].values[2]
    seen = cells["thetao"].sel(time=time).isel(depth=0)
    where = np.argwhere(np.isfinite(seen.transpose("lat", "lon").values))[0]
    place = {"depth": 10.0, "lat": float(seen["lat"][where[0]]),
             "lon": float(seen["lon"][where[1]]), "error": 0.4}  # fmt: skip
    alone = enoi.influence(analysis, place, time=time)
    among = enoi.influence(analysis, place, time=time, obs=cells)
    assert 0 < float(among["thetao_gain_at_point"]) < 0.9 * float(alone["thetao_gain_at_point"])
    # two of the same cell are one, of the weight that the errors give
    error = float(
        cells["thetao_error"].sel(time=time).isel(depth=0).transpose("lat", "lon")[*where]
    )
    both = enoi.influence(analysis, {**place, "error": error}, time=time,
                          obs=cells.where(cells["time"] == time))  # fmt: skip
    exact = enoi.influence(analysis, {**place, "error": error / np.sqrt(2)}, time=time)
    assert float(both["thetao_gain_at_point"]) < float(exact["thetao_gain_at_point"])


def test_with_observations_a_filter_has_its_own_covariance(kalman, ocean, cells):
    """Against the covariance that the cycle itself carries."""
    analysis = xdeepda.assimilate(ocean, cells, model=kalman)
    backgrounds = Backgrounds(analysis, kalman, Problems("test"))
    effects = Effects(kalman, backgrounds, "cpu")
    binned = binned_sources(cells, backgrounds.target, kalman.cycle)
    joined = merge([source.cells for source in binned])
    numbers = [int(n) for n in backgrounds.mean.cycles]
    *_, (_, state, _) = effects.follow(numbers, lambda n: rows_of(joined, backgrounds, n))
    kept = state.carried[0, :, 1:].numpy()
    prior = effects.module.filter.unpack(effects.state(numbers[-1]))[1][0].numpy()
    # the spread of the analysis is that of the covariance that was followed, not of the other
    e = effects.module.filter.patterns.double().numpy()
    told = effects.module.sea.vector(effects.state(numbers[-1]).variance)[0].numpy()
    held = effects.module.sea.vector(effects.module.clim_variance).numpy()
    variance = np.einsum("nk,kl,nl->n", e, kept, e) + effects.module.filter.rest.numpy()
    other = np.einsum("nk,kl,nl->n", e, prior, e) + effects.module.filter.rest.numpy()
    known = told < 0.99 * held
    assert known.sum() > 100
    near, far = (float(np.abs(x / told - 1)[known].mean()) for x in (variance, other))
    assert near < 0.02
    assert near < 0.3 * far


def test_everything_that_is_wrong_is_told_at_once(tiny_model, analysis, ocean):
    with pytest.raises(InputError, match="outside of the grid") as told:
        tiny_model.influence(analysis, {**POINT, "depth": 9000.0}, time="1999-01-01",
                             innovation=np.nan)  # fmt: skip
    assert "time= is outside of the analysis" in str(told.value)
    assert "innovation is a number" in str(told.value)
    dry = np.argwhere(np.isnan(analysis["thetao"].isel(time=0, depth=0).values))[0]
    land = {"depth": 10.0, "lat": float(analysis["lat"][dry[0]]),
            "lon": float(analysis["lon"][dry[1]])}  # fmt: skip
    for point, words in (
        (land, "on land"),
        ({**POINT, "latitude": 3.0}, "unknown: \\['latitude'\\]"),
        ({"lat": 0, "lon": 0}, "missing: \\['depth'\\]"),
        ({**POINT, "error": -1.0}, "error is a standard deviation"),
        ({**POINT, "lat": "north"}, "lat of the point is no number"),
        ({**POINT, "var": "so"}, "no variable 'so'"),
        ([0, 200], "no mapping"),
    ):
        with pytest.raises(InputError, match=words):
            tiny_model.influence(analysis, point, time=analysis["time"].values[0])
    with pytest.raises(InputError, match="time= is missing"):
        tiny_model.influence(analysis, POINT)
    with pytest.raises(InputError, match="no analysis by the model"):
        tiny_model.influence(ocean, POINT)
    with pytest.raises(InputError, match="time= is no time"):
        tiny_model.influence(analysis, POINT, time="soon")


def test_the_input_is_untouched_and_nothing_random(gain, analysis, tiny_model):
    before = analysis.copy(deep=True)
    tiny_model.influence(analysis, POINT, time=analysis["time"].values[3])
    xr.testing.assert_identical(analysis, before)


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("i", [0, 17, 35])
def test_scales_of_a_gaussian_are_its_own(cyclic, i):
    lon = np.arange(0.0, 360, 10) if cyclic else np.arange(100.0, 280, 5)
    lat, depth = np.arange(-40.0, 41, 4), np.arange(10.0, 1000, 20)
    grid = Grid(depth, lat, lon, cyclic)
    k, j = 5, 10
    km = 6371.0 * np.pi / 180
    away = np.mod(lon - lon[i] + 180, 360) - 180 if cyclic else lon - lon[i]
    x = away * km * np.cos(np.deg2rad(lat[j]))
    y, z = (lat - lat[j]) * km, depth - depth[k]
    shape = [np.exp(-((a / s) ** 2)) for a, s in ((z, 90.0), (y, 900.0), (x, 2500.0))]
    field = 0.4 * shape[0][:, None, None] * shape[1][:, None] * shape[2]
    zonal, meridional, vertical = length_scales(field, grid, (k * lat.size + j) * lon.size + i)
    assert zonal == pytest.approx(2500, rel=0.03)
    assert meridional == pytest.approx(900, rel=0.03)
    assert vertical == pytest.approx(90, rel=0.03)


def test_a_side_with_land_or_an_end_does_not_count():
    x = np.arange(5.0)
    assert np.isnan(e_folding(np.array([1.0, 0.9, np.nan, 0.1, 0]), x))
    assert np.isnan(e_folding(np.array([1.0, 0.9, 0.8, 0.7, 0.6]), x))
    assert np.isnan(e_folding(np.array([0.0, 1, 2, 3, 4]), x))
    # also of a negative gain
    assert e_folding(-np.exp(-x), x) == pytest.approx(1.0, abs=0.01)
