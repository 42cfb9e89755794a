"""The embedded oceans: what their statistics and matrices promise."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.datasets import (
    LinearOcean,
    idealised_observations,
    idealised_ocean,
    linear_ocean,
)
from xdeepda.datasets.dynamics import (
    COMPONENTS,
    Component,
    Strip,
    oscillator,
    planetary,
    stationary_covariance,
)
from xdeepda.datasets.geography import Geography
from xdeepda.errors import InputError
from xdeepda.grid import grid_of

YEARS = 30


@pytest.fixture(scope="module")
def ocean() -> xr.Dataset:
    return idealised_ocean(YEARS, seed=1)


@pytest.fixture(scope="module")
def wet(ocean) -> np.ndarray:
    return np.isfinite(ocean["thetao"].values[0])


def anomalies(da: xr.DataArray, per_year: int = 12) -> np.ndarray:
    """Anomalies from the mean year, 0 on land, float64."""
    values = np.nan_to_num(da.values.astype(float))
    by_year = values.reshape(-1, per_year, *values.shape[1:])
    return (by_year - by_year.mean(axis=0)).reshape(values.shape)


@pytest.fixture(scope="module")
def temperature(ocean) -> np.ndarray:
    return anomalies(ocean["thetao"])


@pytest.fixture(scope="module")
def salinity(ocean) -> np.ndarray:
    return anomalies(ocean["so"])


@pytest.fixture(scope="module")
def small() -> xr.Dataset:
    return idealised_ocean(2, resolution=12.0, levels=5, seed=3)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of anomalies, pooled."""
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def level_std(field: np.ndarray, wet: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Area-weighted standard deviation by level."""
    weight = np.cos(np.deg2rad(lat))[:, None] * wet
    return np.sqrt(((field**2).mean(axis=0) * weight).sum(axis=(1, 2)) / weight.sum(axis=(1, 2)))


def nino34(ocean: xr.Dataset) -> np.ndarray:
    """Surface temperature anomaly of 6S-6N, 170W-120W (whole rows of the grid)."""
    box = ocean["thetao"].isel(depth=0).sel(lat=slice(-6, 6), lon=slice(190, 240))
    return anomalies(box.mean(("lat", "lon")))


# ---------------------------------------------------------------- the idealised ocean


def test_same_seed_same_bits_other_seed_other_numbers(small):
    again = idealised_ocean(2, resolution=12.0, levels=5, seed=3)
    xr.testing.assert_identical(again, small)
    other = idealised_ocean(2, resolution=12.0, levels=5, seed=4)
    difference = (other["thetao"] - small["thetao"]).std()
    assert difference > 0.2
    np.testing.assert_array_equal(np.isnan(other["thetao"]), np.isnan(small["thetao"]))


def test_land_is_constant_and_widens_with_depth(ocean, wet):
    for name in ("thetao", "so"):
        assert (np.isfinite(ocean[name].values) == wet).all()
    assert (wet[:-1] >= wet[1:]).all()
    assert wet[0].mean() > 0.6
    assert wet[-1].sum() < 0.85 * wet[0].sum()


def test_longitude_is_cyclic_and_levels_are_not_uniform(ocean):
    grid = grid_of(ocean["thetao"])
    assert grid.cyclic
    assert grid.shape == (8, 24, 48)
    thickness = np.diff(ocean["depth_bnds"].values, axis=1)[:, 0]
    assert (np.diff(thickness) > 0).all()
    np.testing.assert_allclose(grid.thickness, thickness)


def test_mean_state_looks_like_an_ocean(ocean):
    mean = ocean["thetao"].mean("time")
    surface = mean.isel(depth=0)
    assert 26 < surface.sel(lat=slice(-10, 10)).mean() < 30
    assert surface.sel(lat=slice(-90, -60)).mean() < 6
    assert float(ocean["thetao"].min()) > -2
    assert float(ocean["thetao"].max()) < 33
    # stable: no warmer water below colder (salt apart)
    steps = np.diff(mean.values, axis=0)
    assert (steps[np.isfinite(steps)] < 0.1).all()
    # the thermocline rises to the east along the equatorial Pacific
    equator = mean.sel(lat=3, depth=147, method="nearest").sel(lon=slice(150, 260))
    assert float(equator[0] - equator[-1]) > 4
    so = ocean["so"]
    assert float(so.min()) > 33
    assert float(so.max()) < 38


def test_seasons_are_opposite_in_the_hemispheres_and_decay_with_depth(ocean):
    by_month = ocean["thetao"].groupby("time.month").mean().mean("lon")
    swing = by_month.sel(month=8) - by_month.sel(month=2)
    assert float(swing.isel(depth=0).sel(lat=39)) > 5
    assert float(swing.isel(depth=0).sel(lat=-39)) < -5
    amplitude = np.ptp(by_month.sel(lat=39).values, axis=0)  # (depth,)
    assert amplitude[1] < 0.7 * amplitude[0]
    assert amplitude[4] < 0.1 * amplitude[0]


def test_standard_deviations_by_level(temperature, salinity, wet, ocean):
    deviation = level_std(temperature, wet, ocean["lat"].values)
    assert ((deviation[:4] > 0.5) & (deviation[:4] < 0.85)).all()
    assert ((deviation[5:] > 0.1) & (deviation[5:] < 0.36)).all()
    salt = level_std(salinity, wet, ocean["lat"].values)
    assert 0.05 < salt[0] < 0.2
    assert (np.diff(salt[3:]) < 0).all()


def test_variance_is_stationary(temperature, wet, ocean):
    half = len(temperature) // 2
    lat = ocean["lat"].values
    ratio = level_std(temperature[:half], wet, lat) / level_std(temperature[half:], wet, lat)
    assert (np.abs(np.log(ratio)) < 0.15).all()


def test_components_have_unit_variance_at_every_latitude():
    lat = np.array([-60.0, -20.0, 0.0, 45.0])
    strip = Strip(COMPONENTS[:3], lat, 24, 1 / 12)
    rng = np.random.default_rng(0)
    blocks = [strip.grid(b) for b in strip.run(12 * 420, rng, 12 * 20)]
    variance = np.concatenate(blocks[1:]).var(axis=(0, 3))
    np.testing.assert_allclose(variance, 1.0, atol=0.12)


def test_a_single_wave_moves_at_the_stated_speed():
    # one component of one wavenumber: its phase per step is k u dt, exactly
    def speed(lat):
        return np.full(lat.shape, -0.05)

    lat, step = np.array([0.0, 60.0]), 1 / 73
    strip = Strip((Component("wave", 2.0, speed, (15.0, 8.0)),), lat, 32, step)
    seconds, radius = step * 365 * 86400, 6.371e6
    moved = -np.angle(strip.decay[0, :, 1]) * radius * np.cos(np.deg2rad(lat))
    np.testing.assert_allclose(moved, -0.05 * seconds, rtol=1e-12)
    np.testing.assert_allclose(np.abs(strip.decay[0, :, 0]), np.exp(-step / 2.0), rtol=1e-12)


def test_planetary_waves_go_west_and_slower_polewards():
    speed = planetary(2.4)(np.array([0.0, 10.0, 20.0, 40.0, 60.0]))
    assert (speed < 0).all()
    assert (np.diff(speed) > 0).all()
    assert speed[0] == pytest.approx(-2.4 / 3)
    # the textbook value at 20 degrees, beta c^2 / f^2, is 0.05 m/s
    assert -0.055 < speed[2] < -0.035


def test_anomalies_in_the_thermocline_move_west(temperature, wet):
    rows, level, year = slice(14, 18), 3, 12  # 12 N to 36 N
    later, before = temperature[year:, level, rows], temperature[:-year, level, rows]
    sea = wet[level, rows]
    found = {}
    for shift in range(-3, 4):
        both = sea & np.roll(sea, shift, axis=1)
        found[shift] = correlation(later[:, both], np.roll(before, shift, axis=2)[:, both])
    assert max(found, key=found.get) in (-1, -2)
    assert found[-1] > found[1] + 0.1


def test_el_nino_has_size_period_and_seesaw(ocean, temperature):
    index = nino34(ocean)
    assert 0.5 < index.std() < 1.0
    power = np.abs(np.fft.rfft(index)) ** 2
    power = np.convolve(power, np.ones(3) / 3, mode="same")[1:]
    frequency = np.fft.rfftfreq(index.size, 1 / 12)[1:]
    assert 2 < 1 / frequency[np.argmax(power)] < 7
    # the thermocline is warm in the east and cold in the west, and the other way round
    j = 11
    west = temperature[:, 3, j, 19:22].mean(axis=1)  # 146E-162E, 147 m
    east = temperature[:, 2, j, 33:36].mean(axis=1)  # 109W-94W, 79 m
    assert correlation(index, east) > 0.5
    assert correlation(index, west) < -0.2


def test_oscillator_has_unit_variance_and_its_period():
    z = oscillator(12 * 4000, 1 / 12, np.random.default_rng(0), period=4.0, memory=1.6)
    assert z.real.var() == pytest.approx(1.0, abs=0.08)
    assert z.imag.var() == pytest.approx(1.0, abs=0.08)
    lag = 12  # a year: a quarter period, damped by exp(-1/1.6)
    led = np.mean(-z.imag[:-lag] * z.real[lag:])
    assert led == pytest.approx(np.exp(-1 / 1.6), abs=0.06)


def test_memory_grows_with_depth(temperature, wet):
    memory = np.array([correlation(t[1:], t[:-1]) for t in np.moveaxis(temperature, 1, 0)])
    assert 0.75 < memory[0] < 0.93
    assert memory[-1] > 0.97
    assert memory[-1] > memory[4] > memory[0]
    year = [correlation(t[12:], t[:-12]) for t in np.moveaxis(temperature, 1, 0)]
    assert year[-1] > 0.5 > year[0]


def test_salinity_follows_temperature_in_part(temperature, salinity):
    tie = [correlation(temperature[:, k], salinity[:, k]) for k in range(8)]
    assert 0.2 < tie[0] < 0.7
    assert all(0.4 < t < 0.97 for t in tie[2:])


def test_neighbours_tell_on_each_other(temperature, wet):
    for level in range(8):
        field, sea = temperature[:, level], wet[level]
        both = sea & np.roll(sea, -2, axis=1)
        assert correlation(field[:, both], np.roll(field, -2, axis=2)[:, both]) > 0.6
        north = sea[1:] & sea[:-1]
        assert correlation(field[:, 1:][:, north], field[:, :-1][:, north]) > 0.5
    # and levels on each other: each with the next
    for level in range(7):
        sea = wet[level + 1]
        assert correlation(temperature[:, level][:, sea], temperature[:, level + 1][:, sea]) > 0.2


def test_no_seam_in_longitude(temperature, wet):
    roughness = []
    for i in range(48):
        j = (i + 1) % 48
        both = wet[:, :, i] & wet[:, :, j]
        left, right = temperature[..., i][:, both], temperature[..., j][:, both]
        roughness.append(((left - right) ** 2).mean() / (left**2).mean())
    seam, rest = roughness[-1], np.array(roughness[:-1])
    assert rest.min() < seam < rest.max()


@pytest.mark.parametrize(("cycle", "per_year"), [("month", 12), ("pentad", 73)])
@pytest.mark.parametrize("calendar", ["noleap", "standard", "360_day"])
def test_times_are_the_middles_of_cycles(cycle, per_year, calendar):
    ds = idealised_ocean(
        2, cycle=cycle, resolution=15.0, levels=2, calendar=calendar, start_year=1999
    )
    assert ds.sizes["time"] == 2 * per_year
    time = ds["time"].values
    if calendar == "standard":
        assert np.issubdtype(time.dtype, np.datetime64)
    else:
        assert time[0].calendar == calendar
    index = 1999 * per_year + np.arange(2 * per_year)
    np.testing.assert_array_equal(Cycle(cycle).index(time), index)
    bounds = ds["time_bnds"].values
    assert (bounds[:, 0] < time).all()
    assert (time < bounds[:, 1]).all()
    np.testing.assert_array_equal(bounds[1:, 0], bounds[:-1, 1])


def test_pentads_remember_more_than_months():
    ds = idealised_ocean(4, cycle="pentad", resolution=12.0, levels=3, seed=2)
    t = anomalies(ds["thetao"], 73)[:, 0]
    assert 0.9 < correlation(t[1:], t[:-1]) < 0.99


def test_attributes_and_files(small, tmp_path):
    assert small["thetao"].attrs["standard_name"] == "sea_water_potential_temperature"
    assert small["thetao"].attrs["units"] == "degC"
    assert small["so"].attrs["standard_name"] == "sea_water_practical_salinity"
    assert small["depth"].attrs["positive"] == "down"
    assert small["lat"].attrs["units"] == "degrees_north"
    assert small["lon"].attrs["units"] == "degrees_east"
    assert small["time"].attrs["bounds"] == "time_bnds"
    assert small["thetao"].dims == ("time", "depth", "lat", "lon")
    assert small["thetao"].dtype == np.float32
    pytest.importorskip("netCDF4")
    small.to_netcdf(tmp_path / "ocean.nc")
    decode = xr.coders.CFDatetimeCoder(use_cftime=True)
    with xr.open_dataset(tmp_path / "ocean.nc", decode_times=decode) as back:
        np.testing.assert_array_equal(back["thetao"], small["thetao"])
        np.testing.assert_array_equal(back["time"], small["time"])


def test_float64_holds_the_same_ocean(small):
    double = idealised_ocean(2, resolution=12.0, levels=5, seed=3, dtype="float64")
    assert double["so"].dtype == np.float64
    np.testing.assert_array_equal(double["so"].astype("float32"), small["so"])


def test_everything_wrong_is_told_at_once():
    with pytest.raises(InputError) as error:
        idealised_ocean(
            0, cycle="week", resolution=0.1, levels=40, calendar="maya", start_year=0, dtype=int
        )
    for word in ("years", "cycle", "resolution", "levels", "calendar", "start_year", "dtype"):
        assert word in str(error.value)
    with pytest.raises(InputError, match="resolution"):
        idealised_ocean(1, resolution="fine")


def test_every_resolution_shows_the_same_mean_state():
    coarse, fine = Geography((7.5, 6.0), 8), Geography((2.5, 2.0), 8)
    centre = fine.temperature[:, 1::3, 1::3]  # each coarse cell has nine fine ones
    np.testing.assert_allclose(coarse.temperature, centre, rtol=1e-12)
    np.testing.assert_array_equal(coarse.wet, fine.wet[:, 1::3, 1::3])


# ---------------------------------------------------------------- its observations


@pytest.fixture(scope="module")
def truth() -> xr.Dataset:
    return idealised_ocean(2, resolution=(10.0, 8.0), seed=5)


@pytest.fixture(scope="module", params=["argo", "1980s"])
def table(request, truth) -> xr.Dataset:
    return idealised_observations(truth, era=request.param, seed=7)


def cells_of(table: xr.Dataset, truth: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Cycle and flat cell of every datum."""
    grid = grid_of(truth["thetao"])
    cell = grid.locate(table["depth"].values, table["latitude"].values, table["longitude"].values)
    cycle = Cycle("month").index(table["time"].values) - 12
    return cycle, cell


def test_data_are_in_the_sea_and_in_the_period(table, truth):
    cycle, cell = cells_of(table, truth)
    assert (cell >= 0).all()
    assert (cycle >= 0).all()
    assert (cycle < 24).all()
    assert set(cycle) == set(range(24))
    time = table["time"].values
    assert (time[1:] >= time[:-1]).all()
    assert np.isfinite(truth["thetao"].values.reshape(24, -1)[cycle, cell]).all()


def test_errors_are_as_stated(table, truth):
    cycle, cell = cells_of(table, truth)
    assert (table["error"].values > 0).all()
    residual = table["value"].values - truth["thetao"].values.reshape(24, -1)[cycle, cell]
    standard = residual / table["error"].values
    for instrument in np.unique(table["instrument"].values):
        chosen = standard[table["instrument"].values == instrument]
        assert 0.9 < chosen.std() < 1.1
        assert abs(chosen.mean()) < 5 / np.sqrt(chosen.size)
    # representativeness falls with depth
    error = table["error"].values
    deep = table["depth"].values > 400
    assert error[deep].mean() < 0.7 * error[~deep].mean()


def test_table_is_reproducible_and_documented(table, truth):
    era = "argo" if "float" in table["instrument"].values else "1980s"
    xr.testing.assert_identical(idealised_observations(truth, era=era, seed=7), table)
    other = idealised_observations(truth, era=era, seed=8)
    assert other.sizes != table.sizes or not other["value"].equals(table["value"])
    assert table["value"].attrs["units"] == "degC"
    assert table["depth"].attrs["positive"] == "down"
    assert table["latitude"].attrs["standard_name"] == "latitude"
    assert set(table["variable"].values) == {"thetao"}
    assert {*table.coords, *table.data_vars} == {
        *("value", "error", "time", "depth", "latitude", "longitude"),
        *("platform", "profile", "instrument", "variable"),
    }


def test_a_profile_has_one_platform_place_and_time(table):
    frame = table[["platform", "profile", "instrument"]].to_dataframe()
    columns = ["platform", "time", "latitude", "longitude", "instrument"]
    assert (frame.groupby("profile")[columns].nunique() == 1).all().all()
    assert not frame.duplicated(["profile", "depth"]).any()
    numbers = np.unique(table["profile"].values)
    np.testing.assert_array_equal(numbers, np.arange(numbers.size))


def test_floats_come_every_ten_days_and_drift(truth):
    table = idealised_observations(truth, era="argo", seed=7)
    floats = table.isel(obs=np.flatnonzero(table["instrument"].values == "float"))
    frame = floats[["platform", "profile"]].to_dataframe().drop_duplicates("profile")
    per_platform = frame.groupby("platform").size()
    assert 70 <= per_platform.max() <= 73  # two years of 365 days
    whole = frame[frame["platform"] == per_platform.idxmax()]
    days = np.diff(whole["time"].to_numpy()) / np.timedelta64(1, "D")
    assert days.mean() == pytest.approx(10, abs=0.3)
    lat = whole["latitude"].to_numpy()
    assert 0.02 < np.abs(np.diff(lat)).mean() < 1.0


def test_eras_and_density(truth):
    truth = truth.isel(time=slice(0, 4))
    argo = idealised_observations(truth, era="argo")
    early = idealised_observations(truth, era="1980s")
    assert "float" in argo["instrument"]
    assert "float" not in early["instrument"]
    assert float(early["depth"].max()) <= 500 < float(argo["depth"].max())
    dense = idealised_observations(truth, era="argo", density=3.0)
    counts = [
        np.unique(t["platform"].values[t["instrument"].values == "float"]).size
        for t in (argo, dense)
    ]
    assert 2.5 < counts[1] / counts[0] < 3.5


def test_observations_of_a_kelvin_truth_in_standard_time():
    ds = idealised_ocean(1, calendar="standard", start_year=2004, seed=1)
    ds = ds.isel(time=slice(0, 3))
    table = idealised_observations(ds, seed=2)
    assert np.issubdtype(table["time"].dtype, np.datetime64)
    assert table["time"].min() >= ds["time_bnds"].values.min()
    assert table["time"].max() < ds["time_bnds"].values.max()
    warm = ds.copy()
    warm["thetao"] = (ds["thetao"].astype(float) + 273.15).assign_attrs(units="K")
    kelvin = idealised_observations(warm, seed=2)
    np.testing.assert_allclose(kelvin["value"], table["value"], atol=1e-9)


def test_gaps_of_the_truth_are_not_observed(truth):
    with_gap = truth.isel(time=[0, 1, 5, 6])
    cycle, _ = cells_of(idealised_observations(with_gap), truth)
    assert set(cycle) == {0, 1, 5, 6}


def test_a_truth_that_cannot_be_measured_is_refused(truth):
    with pytest.raises(InputError) as error:
        idealised_observations(truth.isel(lat=3).drop_vars("time_bnds"), era="2050s", density=0)
    for word in ("era", "density", "lat", "bounds"):
        assert word in str(error.value)
    with pytest.raises(InputError, match="no variable 'temp'"):
        idealised_observations(truth, var="temp")


# ---------------------------------------------------------------- the linear ocean


@pytest.fixture(scope="module")
def linear() -> LinearOcean:
    return linear_ocean((3, 6, 12))


@pytest.fixture(scope="module")
def default_linear() -> LinearOcean:
    return linear_ocean()


def test_default_size_and_levels(default_linear):
    ocean = default_linear
    assert ocean.wet.shape == (3, 12, 24)
    assert ocean.M.shape == ocean.Q.shape == ocean.P_inf.shape == (ocean.size, ocean.size)
    assert ocean.size == ocean.wet.sum() < 864
    level = np.nonzero(ocean.wet)[0]
    variance = np.diag(ocean.P_inf)
    deviation = np.sqrt([variance[level == k].mean() for k in range(3)])
    np.testing.assert_allclose(deviation, [1.0, 0.9, 0.6], rtol=0.1)
    memory = np.diag(ocean.M @ ocean.P_inf) / variance
    assert all(0.95 < memory[level == k].mean() < 0.98 for k in range(3))
    residual = ocean.P_inf - ocean.M @ ocean.P_inf @ ocean.M.T - ocean.Q
    assert np.abs(residual).max() < 1e-10


@pytest.mark.parametrize("shape", [(1, 4, 8), (2, 6, 12), (3, 6, 12), (3, 8, 16)])
@pytest.mark.parametrize("land", [True, False])
def test_matrices_are_consistent(shape, land):
    ocean = linear_ocean(shape, land=land)
    residual = ocean.P_inf - ocean.M @ ocean.P_inf @ ocean.M.T - ocean.Q
    assert np.abs(residual).max() < 1e-10
    assert np.linalg.norm(ocean.M, 2) < 1
    assert np.linalg.eigvalsh(ocean.Q).min() > 0
    np.testing.assert_array_equal(ocean.Q, ocean.Q.T)
    assert ocean.wet.all() == (not land)
    assert (ocean.wet[:-1] >= ocean.wet[1:]).all()
    assert ocean.moorings.size == 4 * shape[0]


def test_stationary_covariance_agrees_with_scipy_and_detects_instability(linear):
    scipy_linalg = pytest.importorskip("scipy.linalg")
    expected = scipy_linalg.solve_discrete_lyapunov(linear.M, linear.Q)
    np.testing.assert_allclose(linear.P_inf, expected, atol=1e-11)
    with np.errstate(all="ignore"), pytest.raises(ArithmeticError):
        stationary_covariance(1.01 * np.eye(2), np.eye(2))


def test_long_run_has_the_stationary_covariance(linear):
    states = linear.states(60_000, seed=0)
    sample = states.T @ states / len(states)
    scale = np.sqrt(np.diag(linear.P_inf))
    worst = np.abs(sample - linear.P_inf) / scale[:, None] / scale[None, :]
    assert worst.max() < 0.15
    lagged = states[1:].T @ states[:-1] / (len(states) - 1)
    expected = linear.M @ linear.P_inf
    assert (np.abs(lagged - expected) / scale[:, None] / scale[None, :]).max() < 0.15


def test_first_state_is_drawn_from_the_stationary_distribution(linear):
    first = np.array([linear.states(1, seed)[0] for seed in range(400)])
    ratio = first.var(axis=0).mean() / np.diag(linear.P_inf).mean()
    assert ratio == pytest.approx(1.0, abs=0.15)


def test_a_blob_moves_west():
    ocean = linear_ocean((1, 8, 24), land=False)
    east = np.deg2rad(ocean.lon)
    blob = np.exp(-(((ocean.lon - 180) / 30) ** 2)) * np.ones((1, 8, 1))
    x = blob[ocean.wet]
    for _ in range(20):
        x = ocean.M @ x
    after = x.reshape(8, 24)
    for row in after:
        angle = np.angle((row * np.exp(1j * east)).sum(), deg=True) % 360
        assert angle < 180 - 10
    near_equator = np.angle((after[4] * np.exp(1j * east)).sum(), deg=True) % 360
    # a quarter of a cell of 15 degrees a pentad, times cos^2(7.5 degrees)
    expected = 180 - 20 * 0.25 * 15 * np.cos(np.deg2rad(7.5)) ** 2
    assert near_equator == pytest.approx(expected, abs=4)


def test_packing_is_inverse(linear):
    states = linear.states(80, seed=2)
    ds = linear.dataset(states, start=73 * 5 + 40)
    np.testing.assert_allclose(linear.vector(ds), states, atol=1e-13)
    shuffled = ds["thetao"].transpose("lon", "time", "depth", "lat")
    np.testing.assert_allclose(linear.vector(shuffled), states, atol=1e-13)
    assert (np.isfinite(ds["thetao"].values) == linear.wet).all()
    with pytest.raises(InputError, match="another lat"):
        linear.vector(ds.isel(lat=slice(1, None)))


def test_control_run_is_labelled_and_reproducible(linear):
    run = linear.simulate(73 * 2, seed=1)
    xr.testing.assert_identical(run, linear.simulate(73 * 2, seed=1))
    assert not run["thetao"].equals(linear.simulate(73 * 2, seed=2)["thetao"])
    assert run["thetao"].attrs["units"] == "degC"
    assert run["time"].values[0].calendar == "noleap"
    np.testing.assert_array_equal(Cycle("pentad").index(run["time"]), 73 + np.arange(146))
    assert grid_of(run["thetao"]).cyclic
    np.testing.assert_array_equal(linear.vector(run).shape, (146, linear.size))


def test_seasons_are_additive(linear):
    still = linear_ocean((3, 6, 12), seasonal=False)
    np.testing.assert_array_equal(still.P_inf, linear.P_inf)
    assert np.ptp(still.climatology, axis=0).max() == 0
    with_seasons = linear.simulate(73, seed=1)["thetao"].sel(lat=50, depth=10)
    without = still.simulate(73, seed=1)["thetao"].sel(lat=50, depth=10)
    swing = (with_seasons - without).mean("lon")
    assert float(swing.sel(time="0001-08").mean() - swing.sel(time="0001-02").mean()) > 5


def test_observation_masks_have_the_stated_shares(default_linear):
    ocean = default_linear
    masks = ocean.observation_masks(3000, seed=1)
    assert masks.dtype == bool
    assert masks.shape == (3000, ocean.size)
    assert masks[:, ocean.moorings].all()
    moored = np.zeros(ocean.size, dtype=bool)
    moored[ocean.moorings] = True
    level = np.nonzero(ocean.wet)[0]
    for k, share in enumerate((0.06, 0.04, 0.015)):
        assert masks[:, (level == k) & ~moored].mean() == pytest.approx(share, rel=0.05)
    np.testing.assert_array_equal(masks, ocean.observation_masks(3000, seed=1))
    assert (masks != ocean.observation_masks(3000, seed=2)).any()
    # drawn anew: one cycle says nothing of the next
    first, second = masks[:-1, ~moored], masks[1:, ~moored]
    assert (first & second).mean() == pytest.approx(first.mean() ** 2, rel=0.5)


def test_matrices_cannot_be_changed_by_accident(linear):
    for name in ("M", "Q", "P_inf", "climatology"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(linear, name)[0, 0] = 1.0


def test_a_shape_out_of_range_is_refused():
    with pytest.raises(InputError) as error:
        linear_ocean((4, 2, 100))
    assert str(error.value).count("expected") == 3
    with pytest.raises(InputError, match="three numbers"):
        linear_ocean((12, 24))
