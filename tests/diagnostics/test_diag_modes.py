"""Empirical orthogonal functions beside closed forms and xeofs; the PDO."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from diag_fields import months, surface
from hypothesis import given
from hypothesis import strategies as st

import xdeepda
from xdeepda.diagnostics.modes import decompose, project
from xdeepda.errors import InputError

LAT, LON = np.arange(-75.0, 76, 10), np.arange(5.0, 360, 10)


def made_of_modes(seed: int = 0, n: int = 240) -> tuple[xr.DataArray, np.ndarray, np.ndarray]:
    """Field of two modes, orthogonal with weights of area: field, patterns, components."""
    rng = np.random.default_rng(seed)
    grid = xdeepda.grid.grid_of(surface(0.0, LAT, LON))
    area = grid.area.ravel()
    patterns = rng.standard_normal((2, area.size))
    patterns[1] -= (
        patterns[0] * (patterns[1] * area @ patterns[0]) / (patterns[0] ** 2 * area).sum()
    )
    raw = rng.standard_normal((n // 12, 12, 2))
    raw = (raw - raw.mean(axis=0)).reshape(n, 2)
    components = np.linalg.qr(raw)[0] * np.sqrt(n)
    scaled = components * [3.0, 1.0]
    field = surface((scaled @ patterns).reshape(n, LAT.size, LON.size), LAT, LON, months(n))
    return (
        field,
        patterns.reshape(2, LAT.size, LON.size) * np.array([3, 1]).reshape(2, 1, 1),
        (components),
    )


def test_orthogonal_modes_are_found():
    field, patterns, components = made_of_modes()
    found = xdeepda.eofs(field, modes=2)
    for k in range(2):
        sign = np.sign(np.sum(found["tos_eof"][k].values * patterns[k]))
        np.testing.assert_allclose(found["tos_eof"][k], sign * patterns[k], atol=1e-8)
        np.testing.assert_allclose(found["tos_pc"][k], sign * components[:, k], atol=1e-8)
    area = xdeepda.grid.grid_of(field).area
    power = (patterns**2 * area).sum(axis=(1, 2))
    np.testing.assert_allclose(found["tos_explained_variance"], power / power.sum())
    assert found["tos_eof"].attrs["units"] == "K"
    assert found["mode"].values.tolist() == [1, 2]


def test_patterns_and_components_make_the_field():
    rng = np.random.default_rng(1)
    field = surface(rng.standard_normal((36, 16, 36)), LAT, LON, months(36))
    field = field.where(field["lon"] > 60)
    found = xdeepda.eofs(field, modes=24)
    anomaly = xdeepda.anomalies(field)
    back = xr.dot(found["tos_pc"], found["tos_eof"], dim="mode").transpose(*anomaly.dims)
    np.testing.assert_allclose(back, anomaly, atol=1e-8)
    np.testing.assert_allclose(found["tos_pc"].std("time"), 1)
    np.testing.assert_allclose(found["tos_explained_variance"].sum(), 1)


def test_the_results_are_those_of_xeofs():
    xeofs = pytest.importorskip("xeofs")
    rng = np.random.default_rng(2)
    smooth = rng.standard_normal((120, 16, 36)).cumsum(axis=1).cumsum(axis=2)
    field = surface(smooth, LAT, LON, months(120))
    field[:, 3, 5] = np.nan
    found = xdeepda.eofs(field, modes=4)
    area = xdeepda.grid.grid_of(field).area
    root = xr.DataArray(np.sqrt(area), dims=("lat", "lon"), coords={d: field[d] for d in
                                                                     ("lat", "lon")})  # fmt: skip
    model = xeofs.single.EOF(n_modes=4, solver="full")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(xdeepda.anomalies(field), dim="time", weights=root)
        scores, patterns = model.scores(), model.components()
    np.testing.assert_allclose(
        found["tos_explained_variance"], model.explained_variance_ratio(), rtol=1e-9
    )
    for k in range(4):
        a, b = found["tos_pc"][k].values, scores.transpose("time", "mode")[:, k].values
        assert abs(np.corrcoef(a, b)[0, 1]) == pytest.approx(1, abs=1e-9)
        a, b = found["tos_eof"][k].values * np.sqrt(area), patterns[k].values
        known = np.isfinite(a)
        np.testing.assert_array_equal(known, np.isfinite(b))
        assert abs(np.corrcoef(a[known], b[known])[0, 1]) == pytest.approx(1, abs=1e-6)


@given(seed=st.integers(0, 99), scale=st.floats(0.01, 100))
def test_weights_are_counts(seed, scale):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((30, 5))
    twice = np.concatenate([matrix, matrix[:, :2]], axis=1)
    a = decompose(twice, np.full(7, scale), 3)
    b = decompose(matrix, np.array([2.0, 2, 1, 1, 1]) * scale, 3)
    np.testing.assert_allclose(a[2], b[2])
    np.testing.assert_allclose(np.abs(a[0][:, :5]), np.abs(b[0]), atol=1e-8)
    centred = matrix - matrix.mean(axis=0)
    np.testing.assert_allclose(project(centred, b[0], np.array([2.0, 2, 1, 1, 1])), b[1], atol=1e-8)


def test_a_region_depth_and_members(ocean):
    found = xdeepda.eofs(ocean, "thetao", modes=3, region=(-30, 30, 120, 280))
    assert found["thetao_eof"].dims == ("mode", "depth", "lat", "lon")
    outside = found["thetao_eof"].sel(lon=slice(0, 110))
    assert outside.isnull().all()
    twice = xr.concat([ocean["thetao"], 1.1 * ocean["thetao"]], "member")
    twice.attrs = ocean["thetao"].attrs
    both = xdeepda.eofs(twice, modes=3, region=(-30, 30, 120, 280))
    assert both["thetao_pc"].dims == ("mode", "member", "time")
    ratio = both["thetao_pc"].isel(member=1) / both["thetao_pc"].isel(member=0)
    np.testing.assert_allclose(ratio, 1.1, rtol=1e-3)


def test_cells_with_gaps_are_left_out_and_told(caplog):
    field, _, _ = made_of_modes()
    field[4, 2, 3] = np.nan
    found = xdeepda.eofs(field, modes=1)
    assert "1 cells lack a value" in caplog.text
    assert int(found["tos_eof"].isnull().sum()) == 1


# ---- the PDO


def pacific(seed: int = 0) -> tuple[xr.DataArray, np.ndarray]:
    """World with a horseshoe in the North Pacific under a global signal."""
    rng = np.random.default_rng(seed)
    n = 240
    mode, world = rng.standard_normal((2, n // 12, 12))
    mode, world = ((x - x.mean(axis=0)).reshape(n, 1, 1) for x in (mode, world))
    lat, lon = LAT[:, None], LON[None, :]
    coast = np.exp(-(((lat - 45) / 15) ** 2) - ((lon - 232) / 15) ** 2)
    centre = np.exp(-(((lat - 40) / 12) ** 2) - ((lon - 185) / 30) ** 2)
    small = 0.05 * rng.standard_normal((n, LAT.size, LON.size))
    return surface((coast - centre) * mode + world + small, LAT, LON, months(n)), mode.ravel()


def test_the_pdo_is_the_mode_of_the_north_pacific_without_the_globe():
    field, mode = pacific()
    found = xdeepda.index(field, "pdo")
    # the horseshoe itself has a part in the mean of the globe
    assert np.corrcoef(found, mode)[0, 1] > 0.95
    assert float(found.std()) == pytest.approx(1)
    assert found.attrs["units"] == "1"
    # the mode of a base period, unit there
    found = xdeepda.index(field, "pdo", base=(2001, 2010))
    np.testing.assert_allclose(found[:120].std(), 1)
    assert np.corrcoef(found, mode)[0, 1] > 0.95


def test_the_pdo_of_members_and_of_part_of_the_world():
    field, mode = pacific()
    both = xr.concat([field, field + 0.1], "member").assign_attrs(field.attrs)
    found = xdeepda.index(both, "pdo")
    assert found.dims == ("member", "time")
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    part = field.sel(lon=slice(100, 270))
    with pytest.raises(InputError, match="the domain holds"):
        xdeepda.index(part, "pdo")
    found = xdeepda.index(part, "pdo", partial=True)
    assert np.corrcoef(found, mode)[0, 1] > 0.9


# ---- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"modes": 0}, "no number of modes"),
        ({"modes": 2.5}, "no number of modes"),
        ({"modes": 100}, "not so many modes"),
        ({"region": (5, -5, 0, 90)}, "no box"),
        ({"region": (-5, 5, 0, 20), "var": "nothing"}, "another variable"),
        ({"base": (1900, 1901)}, "no time lies"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(InputError, match=words):
        xdeepda.eofs(surface(0.0, LAT, LON), **arguments)


def test_a_region_without_sea():
    field = surface(1.0, LAT, LON)
    field = field.where(field["lon"] > 100)
    with pytest.raises(InputError, match="not so many modes"):
        xdeepda.eofs(field, region=(-10, 10, 0, 60))
