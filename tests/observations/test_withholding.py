"""Withholding: whole groups, whole casts, the same choice from any order, told distances."""

from __future__ import annotations

import logging

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xdeepda
from xdeepda.errors import InputError
from xdeepda.observations import as_table
from xdeepda.observations.withholding import withhold

WAYS = ("platform", "profile", "block", "month", "region")


def casts(platforms=40, each=12, levels=3, seed=0, drift=True):
    """Two years of casts of floats that drift."""
    rng = np.random.default_rng(seed)
    lat0, lon0 = rng.uniform(-70, 70, platforms), rng.uniform(-180, 180, platforms)
    number = np.repeat(np.arange(platforms), each)
    step = np.tile(np.arange(each), platforms)
    lat = lat0[number] + 0.2 * step * drift
    lon = lon0[number] + 0.2 * step * drift
    start = np.datetime64("2001-01-01", "ns")
    time = start + ((step * 60 + rng.random(step.size)) * 86400e9).astype("timedelta64[ns]")
    rows = np.repeat(np.arange(number.size), levels)
    frame = pd.DataFrame(
        {
            "value": rng.normal(10, 1, rows.size),
            "time": time[rows],
            "depth": np.tile(np.linspace(5, 500, levels), number.size),
            "lat": lat[rows],
            "lon": lon[rows],
            "platform": np.array([f"float {n}" for n in number])[rows],
            "profile": step[rows],
            "variable": "thetao",
        }
    )
    frame.attrs["units"] = "degC"
    return as_table(frame)


def names(table):
    """Identity of each row."""
    return list(zip(table.platform.values, table.profile.values, table.depth.values, strict=True))


@pytest.mark.parametrize("by", WAYS)
def test_every_row_is_on_one_side_and_casts_are_whole(by):
    table = casts()
    kept, withheld = withhold(table, 0.25, by=by, seed=3)
    assert sorted(names(kept) + names(withheld)) == sorted(names(table))
    whole = {(p, n) for p, n, _ in names(kept)} & {(p, n) for p, n, _ in names(withheld)}
    assert whole == set()
    assert 0.15 < withheld.attrs["withheld_fraction"] < 0.35
    assert withheld.sizes["obs"] / table.sizes["obs"] == pytest.approx(
        withheld.attrs["withheld_fraction"]
    )
    assert set(kept.variables) == set(table.variables)
    assert kept.value.attrs == table.value.attrs


def test_groups_are_whole():
    table = casts()
    for by in ("platform", "month", "region", "block"):
        sides = []
        for part in withhold(table, 0.3, by=by):
            time, lat, lon = part.time.dt, part.latitude.values, part.longitude.values % 360
            month = time.year.values * 12 + time.month.values
            keys = {
                "platform": part.platform.values.tolist(),
                "month": month.tolist(),
                "region": list(zip((lat + 90) // 20, lon // 20, strict=True)),
                "block": list(zip((lat + 90) // 10, lon // 10, month, strict=True)),
            }[by]
            sides.append(set(keys))
        assert not sides[0] & sides[1]


def test_a_cast_across_a_border_is_not_split():
    """Rows of one cast before and after midnight at the end of a month, on two sides of a box."""
    table = casts(platforms=30, each=6, levels=2, drift=False)
    late = table.time.values.copy()
    late[0::2] = np.datetime64("2001-01-31T23:59", "ns")
    late[1::2] = np.datetime64("2001-02-01T00:01", "ns")
    half = np.arange(late.size) < late.size // 2
    table = table.assign_coords(
        time=("obs", np.where(half, late, table.time.values + np.timedelta64(900, "D"))),
        latitude=("obs", np.tile([19.99, 20.01], late.size // 2)),
    )
    for by in ("month", "block", "region"):
        try:
            kept, withheld = withhold(table, 0.5, by=by)
        except InputError:
            assert by == "region"
            continue
        for part in (kept, withheld):
            assert set(pd.Series([(p, n) for p, n, _ in names(part)]).value_counts()) == {2}


@given(st.integers(0, 50), st.floats(0.1, 0.9), st.sampled_from(WAYS))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_does_not_matter(seed, fraction, by):
    table = casts(platforms=20, each=8)
    shuffled = table.isel(obs=np.random.default_rng(seed).permutation(table.sizes["obs"]))
    try:
        a, b = (withhold(t, fraction, by=by, seed=seed)[1] for t in (table, shuffled))
    except InputError as error:
        assert "would be withheld" in str(error)  # noqa: PT017
        return
    assert sorted(names(a)) == sorted(names(b))
    assert a.attrs == b.attrs


def test_the_seed_chooses_and_other_data_hardly():
    table = casts(platforms=100, each=2)
    one, two = (set(withhold(table, 0.2, seed=s)[1].platform.values) for s in (0, 1))
    assert one != two
    fewer = table.isel(obs=np.isin(table.platform, [f"float {n}" for n in range(90)]))
    again = set(withhold(fewer, 0.2, seed=0)[1].platform.values)
    there = {p for p in one if int(p.split()[1]) < 90}
    assert len(again ^ there) <= 4


def test_over_seeds_every_platform_has_the_same_chance():
    table = casts(platforms=20, each=1, levels=1)
    counts = pd.Series(0, index=[f"float {n}" for n in range(20)])
    for seed in range(200):
        counts[list(set(withhold(table, 0.25, seed=seed)[1].platform.values))] += 1
    # 200 draws of one in four: 50 ± 6
    assert counts.min() > 25
    assert counts.max() < 75


def test_distances_are_those_of_a_plain_search(caplog):
    table = casts(platforms=12, each=5, levels=2)
    caplog.set_level(logging.INFO)
    kept, withheld = withhold(table, 0.3, by="platform")
    assert "withheld by platform" in caplog.text
    km, days = [], []
    for n in range(0, withheld.sizes["obs"], 2):
        a = withheld.isel(obs=n)
        apart = np.deg2rad(kept.latitude - a.latitude), np.deg2rad(kept.longitude - a.longitude)
        h = (
            np.sin(apart[0] / 2) ** 2
            + np.cos(np.deg2rad(kept.latitude))
            * np.cos(np.deg2rad(a.latitude))
            * np.sin(apart[1] / 2) ** 2
        )
        arc = 2 * 6371 * np.arcsin(np.sqrt(h)).values
        day = np.abs((kept.time - a.time).values / np.timedelta64(1, "D"))
        best = np.argmin(np.hypot(2 * 6371 * np.sin(arc / 2 / 6371), 10 * day))
        km.append(arc[best])
        days.append(day[best])
    expected = {
        "withheld_km_median": np.median(km), "withheld_km_5_percent": np.percentile(km, 5),
        "withheld_days_median": np.median(days), "withheld_days_5_percent": np.percentile(days, 5),
    }  # fmt: skip
    for name, value in expected.items():
        assert withheld.attrs[name] == pytest.approx(value, rel=1e-6)
        assert kept.attrs[name] == withheld.attrs[name]
    assert f"{expected['withheld_km_median']:.3g}" in withheld.attrs["withheld"]


def test_larger_groups_are_farther_away():
    table = casts(platforms=60, each=20)
    km = [withhold(table, 0.2, by=by)[1].attrs["withheld_km_median"] for by in WAYS]
    assert km[WAYS.index("profile")] < km[WAYS.index("platform")]
    assert km[WAYS.index("profile")] < km[WAYS.index("region")]


def test_several_sources():
    """A platform is withheld in all of them; sources of which nothing is left are not there."""
    table = casts()
    parts = [table.isel(obs=slice(n, None, 3)) for n in range(3)]
    alone = casts(platforms=1, each=3, seed=9).assign_coords(platform=("obs", np.full(9, "ship")))
    kept, withheld = withhold([*parts, alone], 0.25, seed=1)
    sides = [set().union(*(set(t.platform.values) for t in side)) for side in (kept, withheld)]
    assert not sides[0] & sides[1]
    assert len(kept) + len(withheld) == 7
    one = withhold(xr.concat([*parts, alone], "obs", join="exact"), 0.25, seed=1)[1]
    assert set(one.platform.values) == sides[1]


def test_the_accessor_and_netcdf(tmp_path):
    table = casts()
    a, b = (
        f(0.1, by="block", seed=2)
        for f in (table.deepda.withhold, lambda *p, **k: xdeepda.withhold(table, *p, **k))
    )
    for x, y in zip(a, b, strict=True):
        xr.testing.assert_identical(x, y)
    a[1].to_netcdf(tmp_path / "withheld.nc")
    with xr.open_dataset(tmp_path / "withheld.nc") as back:
        assert back.attrs["withheld"] == a[1].attrs["withheld"]


def test_the_input_is_untouched():
    table = casts()
    copy = table.copy(deep=True)
    withhold(table, 0.1)
    xr.testing.assert_identical(table, copy)


def test_casts_without_a_platform_stand_alone_and_those_without_a_place_are_kept():
    table = casts(platforms=10, each=10)
    platform = table.platform.values.astype(object)
    platform[:150] = ""
    nowhere = np.arange(table.sizes["obs"]) >= 282  # whole casts
    table = table.assign_coords(platform=("obs", platform))
    table["qc"][nowhere] = 4
    table = table.assign_coords(latitude=table.latitude.where(~nowhere))
    _, withheld = withhold(table, 0.2)
    assert 1 < (withheld.platform == "").sum() < 150
    for by in ("block", "region"):
        assert np.isfinite(withhold(table, 0.4, by=by)[1].latitude).all()


def test_other_calendars():
    table = casts(platforms=10, each=10)
    times = np.array([cftime.DatetimeNoLeap(2001, 1 + n % 12, 5) for n in range(300)])
    table = table.assign_coords(time=("obs", times))
    _, withheld = withhold(table, 0.3, by="month")
    assert 0 < len({t.month for t in withheld.time.values}) < 12


def test_refusals():
    table = casts()
    with pytest.raises(InputError, match=r"(?s)3 problems.*fraction.*seed.*'ship'.*'platform'"):
        withhold(table, 1.5, by="ship", seed=-1)
    for fraction in (0, 1, np.nan, "half", True):
        with pytest.raises(InputError, match="between 0 and 1"):
            withhold(table, fraction)
    with pytest.raises(InputError, match="no column 'platform'"):
        withhold(table.drop_vars("platform"), 0.1)
    withhold(table.drop_vars(["platform", "profile"]), 0.1, by="profile")
    with pytest.raises(InputError, match="nothing would be withheld"):
        withhold(table, 0.001)
    with pytest.raises(InputError, match="everything would be withheld"):
        withhold(table, 0.999, by="platform")
    single = table.isel(obs=table.platform.values == "float 3")
    with pytest.raises(InputError, match="1 groups by 'platform'"):
        withhold(single, 0.4)
    with pytest.raises(InputError, match="empty list"):
        withhold([], 0.1)
    field = xr.DataArray(
        np.zeros((2, 3)), dims=("lat", "lon"), coords={"lat": [0, 1.0], "lon": [0, 1, 2.0]}
    )
    with pytest.raises(InputError, match="source 2 is gridded"):
        withhold([table, field], 0.1)


def flagged(table, which):
    """The table with some rows flagged as bad."""
    return table.assign(qc=("obs", np.where(which, 4, 1).astype(np.int8)))


@pytest.mark.parametrize("by", ["platform", "profile", "month"])
def test_casts_without_a_good_value_do_not_count(by):
    """Otherwise a withheld set may consist of data that judge nothing."""
    table = casts()
    number = np.array([int(str(p).split()[-1]) for p in table.platform.values])
    bad = number < 30
    kept, withheld = withhold(flagged(table, bad), 0.2, by=by, seed=1)
    good = [t.isel(obs=np.flatnonzero(t.qc.values == 1)) for t in (kept, withheld)]
    share = good[1].sizes["obs"] / int((~bad).sum())
    assert share == pytest.approx(0.2, abs=0.06)
    assert withheld.attrs["withheld_fraction"] == pytest.approx(share)
    assert "360 more casts have no good value" in withheld.attrs["withheld"]
    assert sorted(names(kept) + names(withheld)) == sorted(names(table))


def test_distances_are_to_casts_with_good_values():
    """A bad twin beside each withheld cast does not make it depend on the kept ones."""
    table = casts(drift=False)
    twin = table.assign_coords(platform="twin of " + table.platform.astype(object))
    none = np.zeros(table.sizes["obs"], dtype=bool)
    both = xr.concat([flagged(table, none), flagged(twin, ~none)], "obs")
    _, withheld = withhold(both, 0.2, by="profile", seed=1)
    assert withheld.attrs["withheld_days_median"] > 0
    assert withheld.attrs["withheld_days_5_percent"] > 0


def test_where_all_is_flagged_all_count():
    table = casts()
    expected = withhold(table, 0.2, seed=1)
    every = np.ones(table.sizes["obs"], dtype=bool)
    found = withhold(flagged(table, every), 0.2, seed=1)
    assert names(found[1]) == names(expected[1])
