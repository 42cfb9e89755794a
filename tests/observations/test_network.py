"""Networks: physical density on every grid, clusters, seasons, seeds, files."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from observation_fields import make_field

from xdeepda.calendar import Cycle
from xdeepda.errors import InputError
from xdeepda.grid import Grid
from xdeepda.observations import Network, as_table, bin_points, network, superob
from xdeepda.observations.platforms import EARTH_RADIUS_KM, ERAS, route_points
from xdeepda.observations.quantities import default_error
from xdeepda.observations.simulated import BoundSimulated
from xdeepda.observations.target import target_of

LEVELS = np.array([5.0, 50.0, 200.0, 450.0, 700.0, 1000.0, 1800.0, 3000.0])
ALL = [(era, p) for era, platforms in ERAS.items() for p in platforms]


def globe(step, depth=None):
    """Global grid without land."""
    lat = np.arange(-90 + step / 2, 90, step)
    return Grid(depth, lat, np.arange(step / 2, 360, step), cyclic=True)


def bound(platforms, grid, cycle="month", kinds=("temperature",), wet=None, density=1.0, seed=0):
    """Platforms on a grid, wet everywhere by default."""
    if wet is None:
        wet = np.ones((len(kinds), *grid.shape), dtype=bool)
    return BoundSimulated(platforms, grid, Cycle(cycle), "360_day", kinds, wet,
                          density=density, seed=seed)  # fmt: skip


def totals(net, draws, columns=None, seed=0):
    """Reports at the surface of several draws."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(net.grid.shape[1:]))
    result = []
    for index in range(draws):
        cell, _, count = net.draw(24000 + index, rng)
        top = cell < size
        top &= True if columns is None else np.isin(cell, columns)
        result.append(count[top].sum())
    return np.array(result)


@pytest.mark.parametrize(("era", "platform"), [a for a in ALL if a[1].motion != "fixed"],
                         ids=lambda v: getattr(v, "name", v))  # fmt: skip
def test_density_is_the_stated_one_on_every_grid_and_cycle(era, platform):
    """Reports per area and day are the documented rate, to 4 standard errors."""
    for step, cycle, days in ((4.0, "month", 30.0), (2.0, "pentad", 360 / 73), (6.0, "month", 30)):
        drawn = totals(bound((platform,), globe(step), cycle), 60)
        expected = platform.rate * platform.area * days
        assert abs(drawn.mean() - expected) < 4 * drawn.std() / np.sqrt(60) + 1e-9


def test_density_of_a_region():
    """Argo profiles in a box are rate times area times days."""
    argo = ERAS["argo"][0]
    grid = globe(5.0)
    lat, lon = (c.ravel() for c in np.meshgrid(grid.lat, grid.lon, indexing="ij"))
    box = np.flatnonzero((np.abs(lat) < 30) & (lon > 100) & (lon < 200))
    drawn = totals(bound((argo,), grid), 200, box)
    expected = argo.rate * 30 * grid.area.ravel()[box].sum() * 1e-12
    assert abs(drawn.mean() - expected) < 4 * drawn.std() / np.sqrt(200)


def test_density_is_a_factor():
    for platform in ERAS["argo"]:
        one, three = (totals(bound((platform,), globe(6.0), density=d), 80).mean() for d in (1, 3))
        if platform.motion == "fixed":
            assert three > one  # a mooring cannot report more often than always
        else:
            assert 2.4 < three / one < 3.6


def dispersion(platform):
    """Variance over mean of the reports of a column in a pentad: 1 for a Poisson process."""
    net = bound((platform,), globe(6.0), "pentad")
    rng = np.random.default_rng(3)
    size = net.grid.shape[1] * net.grid.shape[2]
    counts = np.zeros((300, size))
    for n in range(300):
        cell, _, count = net.draw(n, rng)
        top = cell < size
        counts[n, cell[top]] = count[top]
    seen = counts.mean(axis=0) > 0.05
    return (counts.var(axis=0)[seen] / counts.mean(axis=0)[seen]).mean()


def test_ships_come_in_clusters_and_floats_do_not():
    argo, xbt = ERAS["argo"][0], ERAS["1980s"][0]
    assert 0.9 < dispersion(argo) < 1.1
    assert dispersion(xbt) > 2


def test_routes_are_great_circles_of_the_stated_length():
    xbt = ERAS["1980s"][0]
    lat, lon = (np.deg2rad(c) for c in route_points(xbt, 0, 4))
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    steps = np.arccos(np.clip((points[:, 1:] * points[:, :-1]).sum(-1), -1, 1)) * EARTH_RADIUS_KM
    np.testing.assert_allclose(steps, 600 * 0.25 / 4, rtol=1e-3)
    normals = np.cross(points[:, 0], points[:, 20])
    off = np.abs((points * normals[:, None]).sum(-1)).max()
    assert off < 1e-12
    np.testing.assert_array_equal(lat, np.deg2rad(route_points(xbt, 0, 4)[0]))
    assert not np.array_equal(lat, np.deg2rad(route_points(xbt, 1, 4)[0]))


def test_most_xbt_are_northern():
    xbt = ERAS["1980s"][0]
    # many routes, for the share to be that of the platform and not of a few routes
    net = bound((replace(xbt, routes=2000),), globe(6.0))
    north = np.flatnonzero(np.repeat(net.grid.lat > 0, 60))
    share = totals(net, 40, north).sum() / totals(net, 40).sum()
    assert abs(share - xbt.north) < 0.06


def test_platforms_reach_their_depths():
    grid = globe(6.0, LEVELS)
    size = 30 * 60
    deepest = {"XBT T-4": 450, "XBT T-7": 700, "Argo": 1800, "CTD": 3000, "ship": 5,
               "drifter": 5, "MBT": 200, "mooring": 450}  # fmt: skip
    for _, platform in ALL:
        cell, _, _ = bound((platform,), grid).draw(0, np.random.default_rng(0))
        assert LEVELS[cell.max() // size] == deepest[platform.name]
    # a level is passed by a profile at its centre: all above the deepest are there, too
    cell, _, _ = bound((ERAS["argo"][0],), grid).draw(0, np.random.default_rng(0))
    assert len(set(np.bincount(cell // size)[:7])) == 1


def test_a_grid_without_depth_is_the_surface():
    for _, platform in ALL:
        cell, _, _ = bound((platform,), globe(6.0)).draw(0, np.random.default_rng(0))
        assert cell.size > 0


def test_errors_are_of_instrument_and_representativeness():
    """One report: both variances; many reports: a quarter of the variance remains."""
    ship = ERAS["argo"][4]
    variance = default_error("temperature", 0.0) ** 2 + ship.instrument["temperature"] ** 2
    _, error, count = bound((ship,), globe(4.0)).draw(0, np.random.default_rng(0))
    np.testing.assert_allclose(error**2, variance * (0.25 + 0.75 / count))
    assert count.max() > 20


def test_which_variables_a_platform_measures():
    grid = globe(6.0, LEVELS)
    size = grid.shape[0] * 30 * 60
    kinds = ("temperature", "salinity", None)
    for _, platform in ALL:
        cell, _, _ = bound((platform,), grid, kinds=kinds).draw(0, np.random.default_rng(0))
        seen = set((cell // size).tolist())
        both = platform.name in ("Argo", "CTD") or len(platform.sites) > 20
        assert seen == ({0, 1} if both else {0})


def test_land_is_never_drawn_and_floats_need_water():
    grid = globe(6.0, LEVELS)
    wet = np.random.default_rng(0).random((1, *grid.shape)) < 0.6
    for era in ERAS:
        net = bound(ERAS[era], grid, wet=wet)
        rng = np.random.default_rng(1)
        for index in range(10):
            cell, error, count = net.draw(index, rng)
            assert wet.ravel()[cell].all()
            assert (np.diff(cell) > 0).all()
            assert (error > 0).all()
            assert (count > 0).all()
    cell, _, _ = bound((ERAS["argo"][0],), grid, wet=wet).draw(0, np.random.default_rng(0))
    shallow = np.flatnonzero(~wet[0, 5].ravel())
    assert not np.isin(cell % (30 * 60), shallow).any()


def test_same_generator_same_bits():
    net = bound(ERAS["argo"], globe(6.0))
    a, b, c = (net.draw(5, np.random.default_rng(s)) for s in (1, 1, 2))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    assert not np.array_equal(a[0], c[0])


def test_sections_stand_for_an_equatorial_band():
    grid = Grid(LEVELS, None, np.arange(160.0, 220.0, 5.0))
    net = bound((ERAS["argo"][0],), grid)
    drawn = totals(net, 300)
    band = 2 * np.pi * EARTH_RADIUS_KM**2 * 2 * np.sin(np.deg2rad(5)) * 60 / 360 * 1e-6
    expected = ERAS["argo"][0].rate * 30 * band
    assert abs(drawn.mean() - expected) < 4 * drawn.std() / np.sqrt(300)


def test_the_documented_rates_are_those_in_use():
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in page.splitlines() if "|" in line]
    names = {"Argo float": "Argo", "station (CTD, bottles)": "CTD"}
    documented = {names.get(row[0], row[0]): row[1:3] for row in rows[2:]}
    for column, era in enumerate(("1980s", "argo")):
        known = {p.name: p for p in ERAS[era]}
        for name, cells in documented.items():
            if name not in known:
                assert cells[column] == "none"
                continue
            platform = known.pop(name)
            told = f"{len(platform.sites)} sites" if platform.sites else f"{platform.rate:g}"
            assert cells[column] == told
        assert not known


# ---- the object


@pytest.mark.parametrize("era", ["1980s", "argo"])
def test_simulated_network_on_a_field(field, era):
    target = target_of(field)
    net = Network.simulated(field, era)
    drawn = net.on(target.grid, Cycle("month"), "standard", target.variables, target.wet).draw(
        24012, np.random.default_rng(0)
    )
    assert drawn[0].dtype == np.int64
    assert drawn[2].dtype == np.int32
    assert era in repr(net)


def test_simulated_refusals(field):
    with pytest.raises(InputError, match=r"(?s)2 problems.*'1970s'.*density"):
        Network.simulated(field, "1970s", density=-1)
    target = target_of(field)
    with pytest.raises(InputError, match="no platform of 'argo' measures oxygen"):
        Network.simulated(None).on(target.grid, Cycle("month"), "standard", ("oxygen",), target.wet)


def test_names_the_network_does_not_know_are_told(field, caplog):
    target = target_of(field)
    wet = np.concatenate([target.wet] * 2)
    Network.simulated(field).on(target.grid, Cycle("month"), "standard", ("thetao", "o2"), wet)
    assert "no platform of 'argo' measures 'o2'" in caplog.text


# ---- recorded networks


@pytest.fixture
def points(table_of):
    """Two years of casts of 4 levels."""
    rng = np.random.default_rng(7)
    casts = 3000
    day = np.datetime64("2001-01-01", "ns")
    time = np.sort(day + (rng.random(casts) * 730 * 86400e9).astype("timedelta64[ns]"))
    lat, lon = rng.uniform(-80, 80, casts), rng.uniform(-180, 180, casts)
    return table_of(
        np.tile([2.0, 30.0, 120.0, 500.0], casts), np.repeat(lat, 4), np.repeat(lon, 4),
        np.repeat(time, 4), profile=np.repeat(np.arange(casts), 4),
    )  # fmt: skip


def on(net, field, cycle="month", variables=None):
    target = target_of(field)
    return net.on(target.grid, Cycle(cycle), "360_day", variables or target.variables, target.wet)


def test_draws_are_recorded_cycles_of_the_same_month(field, points):
    target = target_of(field)
    table = as_table(points)
    cells, _ = bin_points(table, target.grid, Cycle("month"), ("thetao",), ("degC",), target.wet)
    drawn = on(network(points, field, cycle="month"), field)
    rng = np.random.default_rng(0)
    years = set()
    for index in range(60000, 60048):
        cell, error, count = drawn.draw(index, rng)
        for year in (2001, 2002):
            expected = cells.at(year * 12 + index % 12)
            if np.array_equal(expected[0], cell):
                np.testing.assert_allclose(error, expected[2], rtol=1e-6)
                np.testing.assert_array_equal(count, expected[3])
                years.add(year)
                break
        else:
            raise AssertionError("a draw that was never recorded")
    assert years == {2001, 2002}


def test_pentads_come_from_within_a_month(field, points):
    drawn = on(network(points, field), field, "pentad")
    for phase, pool in enumerate(drawn._pools):
        apart = np.abs(pool % 73 - phase)
        assert np.minimum(apart, 73 - apart).max() == 6
        assert pool.size == 26


def test_seasons_never_observed_are_told(field, points, caplog):
    january = points.isel(obs=points.time.dt.month.values == 1)
    drawn = on(network(january, field), field)
    assert "11 of 12 cycles of the year were never observed" in caplog.text
    assert drawn.draw(60006, np.random.default_rng(0))[0].size > 0


def test_thinning(field, points):
    full = network(points, field)
    whole, part = (on(n, field) for n in (full, full.thinned(0.5)))
    rng = np.random.default_rng(0)
    sizes = []
    for index in range(60000, 60060):
        cell, _, count = part.draw(index, rng)
        assert np.isin(cell, whole.measured()).all()
        sizes.append(count.sum())
    expected = 0.5 * np.mean([whole.draw(i, rng)[2].sum() for i in range(60000, 60060)])
    assert abs(np.mean(sizes) / expected - 1) < 0.05
    with pytest.raises(InputError, match="denser"):
        full.thinned(2)
    assert "density 0.5" in repr(full.thinned(0.5))


@pytest.mark.parametrize("kind", ["recorded", "simulated"])
def test_save_and_load(field, points, tmp_path, kind):
    net = network(points, field) if kind == "recorded" else Network.simulated(field, density=0.3)
    net.save(tmp_path / "network.nc")
    back = Network.load(tmp_path / "network.nc")
    assert repr(back) == repr(net)
    assert back.kinds == net.kinds
    for index in (60000, 60005):
        a, b = (on(n, field).draw(index, np.random.default_rng(index)) for n in (net, back))
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def test_load_refuses_other_files(field, tmp_path):
    field.to_netcdf(tmp_path / "field.nc")
    with pytest.raises(InputError, match="not the file of a network"):
        Network.load(tmp_path / "field.nc")


def test_points_hold_no_values_and_positions_once(field, points):
    net = network(points, field)
    assert net.points.sizes == {"profile": 3000, "obs": 12000}
    assert "value" not in net.points


def test_a_recorded_network_on_another_grid(field, points):
    net = network(points, field)
    fine = make_field(field.time.values, lat=np.arange(-89.0, 90, 2), lon=np.arange(1.0, 360, 2))
    fine = fine.fillna(1).assign_attrs(field.attrs)
    coarse = field.fillna(1).assign_attrs(field.attrs)
    a, b = on(net, coarse), on(net, fine)
    for index in range(12):
        # whichever of the two years is drawn, no measurement is lost on either grid
        x, y = (n.draw(index, np.random.default_rng(index))[2].sum() for n in (a, b))
        assert x == y > 0


@pytest.mark.parametrize("form", ["mask", "nan", "superob"])
def test_gridded_masks(field, points, form):
    cells = superob(points, field, cycle="month")
    if form == "mask":
        obs = (cells.thetao_count > 0).rename("thetao")
    elif form == "nan":
        obs = cells.thetao.copy()
        obs.attrs = {}
    else:
        obs = cells
    net = network(obs, field)
    drawn = on(net, field).draw(60003, np.random.default_rng(0))
    target = target_of(field)
    expected, _ = bin_points(
        as_table(points), target.grid, Cycle("month"), ("thetao",), ("degC",), target.wet
    )
    options = [expected.at(year * 12 + 3) for year in (2001, 2002)]
    mine = [o for o in options if np.array_equal(o[0], drawn[0])]
    assert len(mine) == 1
    if form == "superob":
        np.testing.assert_allclose(drawn[1], mine[0][2], rtol=1e-6)
        np.testing.assert_array_equal(drawn[2], mine[0][3])


def test_other_names_and_units_of_the_same_quantity(field, points):
    net = network(points, field)
    kelvin = points.rename(thetao="TEMP", thetao_error="TEMP_error")
    kelvin["TEMP"] = (kelvin.TEMP + 273.15).assign_attrs(points.thetao.attrs, units="K")
    other = network(kelvin, field)
    np.testing.assert_allclose(other.points["error"], net.points["error"])
    cell, _, _ = on(net, field, variables=("temp",)).draw(0, np.random.default_rng(0))
    assert cell.size > 0
    with pytest.raises(InputError, match="recorded for thetao"):
        on(net, field, variables=("so",))


def test_recorded_refusals(field, table_of, points, caplog):
    bad = table_of([5.0], [95.0], [0.0])
    with pytest.raises(InputError, match=r"(?s)latitude.*latitude"):
        network([bad, bad], field)
    with pytest.raises(InputError, match="cycle 'week'"):
        network(points, field, cycle="week")
    with pytest.raises(InputError, match="none of the 1 recorded"):
        network(table_of([9000.0], [0.0], [0.0]), field, cycle="month")
    caplog.set_level(logging.WARNING)
    network(points, field, cycle="month")
    assert "recorded measurements lie in the sea" in caplog.text


def test_fields_and_points_together(field, points):
    january = points.isel(obs=points.time.dt.month.values == 1)
    cells = superob(points.isel(obs=points.time.dt.month.values > 1), field, cycle="month")
    both = network([cells, january], field, cycle="month")
    assert on(both, field).draw(60000, np.random.default_rng(0))[0].size > 0
    assert pd.Timestamp(both.points.time.min().values) < pd.Timestamp("2001-02-01")
    assert isinstance(both.points, xr.Dataset)


# ---- denser networks, and a year of one


def test_densification_takes_whole_cycles_of_the_season_first(field, points):
    """Two years of Marches stand for one; then the neighbours; all profiles are recorded ones."""
    full = network(points, field)
    whole, double, half_more = (
        on(n, field) for n in (full, full.densified(2), full.densified(1.5))
    )
    for index in range(60000, 60012):
        cell, _, count = double.draw(index, np.random.default_rng(index))
        years = [
            whole._whole.count[whole._whole.key // whole._size == c - int(whole._number[0])].sum()
            for c in whole.cycles[whole.cycles % 12 == index % 12]
        ]
        assert count.sum() == sum(years)
        assert np.isin(cell, whole.measured()).all()
    draws = [n.draw(i, np.random.default_rng(i))[2].sum() for i in range(60000, 60060)
             for n in (whole, half_more)]  # fmt: skip
    assert 1.4 < np.sum(draws[1::2]) / np.sum(draws[::2]) < 1.6
    many = on(full.densified(6), field).draw(60002, np.random.default_rng(0))
    assert many[2].sum() > 2.5 * double.draw(60002, np.random.default_rng(0))[2].sum()


def test_densified_errors_are_smaller_where_profiles_share_a_cell(field, points):
    full = network(points, field)
    (cell, error, count), (cells, errors, counts) = (
        on(n, field, "year").draw(60000, np.random.default_rng(0))
        for n in (full, full.densified(2))
    )
    shared = np.isin(cells, cell)
    more = counts[shared] > count[np.isin(cell, cells)]
    assert more.any()
    assert counts.sum() > 1.5 * count.sum()
    assert errors[shared][more].mean() < error[np.isin(cell, cells)][more].mean()


def test_density_refusals(field, points):
    full = network(points, field)
    with pytest.raises(InputError, match="no denser"):
        full.densified(0.5)
    with pytest.raises(InputError, match=r"takes 3 recorded cycles \(year\).*there are 2"):
        on(full.densified(3), field, "year")
    with pytest.raises(InputError, match="thinning makes nothing denser"):
        Network.simulated(field).thinned(3)
    dense = Network.simulated(field, density=0.5).densified(4)
    assert dense.density == 2
    assert dense.densified(1).density == 2


def profile_places(ds):
    """Position of each profile, as a sorted list."""
    first = ds.isel(obs=np.unique(ds.profile.values, return_index=True)[1])
    return sorted(zip(first.latitude.values, first.longitude.values, strict=True))


def test_a_sampled_year_is_of_recorded_profiles_in_their_season(field, points):
    net = network(points, field)
    year = net.sample(1873, seed=4)
    assert (year.time.dt.year == 1873).all()
    assert (np.diff(year.time.values) >= np.timedelta64(0)).all()
    recorded = {}
    for n in range(net.points.sizes["profile"]):
        place = float(net.points.latitude[n]), float(net.points.longitude[n])
        recorded[place] = net.points.time.values[n].astype("M8[s]").item()
    places = profile_places(year)
    assert len(set(places)) == len(places)
    first = year.isel(obs=np.unique(year.profile.values, return_index=True)[1])
    for lat, lon, time in zip(first.latitude.values, first.longitude.values,
                              first.time.values.astype("M8[s]"), strict=True):  # fmt: skip
        then = recorded[float(lat), float(lon)]
        assert then.month == time.item().month
        assert abs(then.day - time.item().day) <= 1
    # whole months of one year each
    months = {}
    for lat, lon in places:
        then = recorded[float(lat), float(lon)]
        months.setdefault(then.month, set()).add(then.year)
    assert all(len(y) == 1 for y in months.values())
    assert len(months) == 12
    assert set(year.depth.values) == {2.0, 30.0, 120.0, 500.0}
    assert (year["variable"] == "thetao").all()


def test_sampled_years_depend_on_seed_and_year_alone(field, points):
    net = network(points, field)
    a, b, c, d = (net.sample(y, s) for y, s in ((1900, 0), (1900, 0), (1900, 1), (1901, 0)))
    xr.testing.assert_identical(a, b)
    assert profile_places(a) != profile_places(c)
    assert profile_places(a) != profile_places(d)


@pytest.mark.parametrize("density", [0.5, 1.0, 1.5, 2.0])
def test_the_density_of_a_sampled_year(field, points, density):
    net = replace(network(points, field), density=density)
    sizes = [net.sample(1990, s).sizes["obs"] for s in range(8)]
    assert np.mean(sizes) == pytest.approx(density * 6000, rel=0.04)
    year = net.sample(1990, 0)
    assert (np.bincount(year.profile.values) == 4).all()


@pytest.mark.parametrize("cycle", ["pentad", "month", "year"])
@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_sampled_years_of_every_cycle_and_calendar(field, points, cycle, calendar):
    net = network(points.isel(obs=slice(0, 2000)), field)
    out = net.sample(1704 if calendar != "standard" else 1904, cycle=cycle, calendar=calendar)
    assert out.sizes["obs"] > 0
    assert len(set(out.time.dt.year.values)) == 1
    assert out.time.dt.calendar in (calendar, "proleptic_gregorian")


def test_a_sampled_year_on_a_grid_is_what_training_draws(field, points):
    net = network(points, field)
    out = net.sample(1950, seed=2, like=field)
    bound = on(net, field)
    for phase in range(12):
        goal = 1950 * 12 + phase
        rng = np.random.default_rng(np.random.SeedSequence([2, goal + 2**40]))
        cell, error, count = bound.draw(goal, rng)
        mine = out.isel(obs=out.time.dt.month.values == phase + 1)
        target = target_of(field)
        depth, lat, lon = target.grid.coordinates(cell)
        np.testing.assert_array_equal(mine.depth, depth)
        np.testing.assert_array_equal(mine.latitude, lat)
        np.testing.assert_array_equal(mine.longitude, lon)
        np.testing.assert_array_equal(mine.error, error)
        np.testing.assert_array_equal(mine["count"], count)
    simulated = Network.simulated(field, "argo").sample(1950, like=field)
    assert simulated.sizes["obs"] > 0
    assert set(simulated.coords) == {"time", "depth", "latitude", "longitude"}


def test_sample_refusals(field, points):
    with pytest.raises(InputError, match=r"(?s)2 problems.*year.*'week'"):
        network(points, field).sample("1985", cycle="week")
    with pytest.raises(InputError, match="needs a sea"):
        Network.simulated(field).sample(1985)
    with pytest.raises(InputError, match="seed is not"):
        network(points, field).sample(1985, seed=-1)


def test_the_file_is_small(field, points, tmp_path):
    net = network(points, field)
    net.save(tmp_path / "network.nc")
    plain = sum(
        points[n].nbytes for n in ("thetao_error", "time", "depth", "latitude", "longitude")
    )
    assert (tmp_path / "network.nc").stat().st_size < 0.25 * plain


def test_an_old_record_trains_for_another_period(field, points):
    """Draws of any year are those of its season, whichever years were recorded."""
    drawn = on(network(points, field), field)
    a, b = (drawn.draw(i, np.random.default_rng(0)) for i in (12 * 1500 + 3, 12 * 2500 + 3))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
