"""The verb: choice of rules, flags that came with the data, and what it promises of the table."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from qc_tables import casts, failed, planted, table, where

import xdeepda
from xdeepda import quality_control
from xdeepda.errors import InputError
from xdeepda.observations import as_table
from xdeepda.observations.qc import RULES


@st.composite
def messes(draw) -> xr.Dataset:
    """Casts with errors of all kinds, and flags that came with them."""
    ds = casts(4)
    size = ds.sizes["obs"]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    some = rng.choice(size, draw(st.integers(0, 25)), replace=False)
    offsets = rng.choice([-40.0, -6.0, -0.8, 0.8, 3.0, 6.0, 90.0], some.size)
    ds = planted(ds, "value", some, ds["value"].values[some] + offsets)
    ds = planted(ds, "value", rng.choice(size, 3), np.nan)
    ds = planted(ds, "latitude", rng.choice(size, 2), [97.0, np.nan])
    ds = planted(ds, "qc", rng.choice(size, 8), rng.choice([0, 1, 2, 3, 4, 9], 8))
    copies = rng.choice(size, draw(st.integers(0, 40)), replace=False)
    part = ds.isel(obs=copies)
    if draw(st.booleans()):
        part = part.assign_coords(source=("obs", np.full(copies.size, "0.nc", dtype=object)))
    # of copies that differ in their flags alone any may stay
    part = part.assign(qc=("obs", np.zeros(copies.size, np.int8)))
    ds = planted(ds, "qc", copies, 0)
    if draw(st.booleans()):
        rows = where(ds, profile="1")
        ds = planted(ds, "longitude", rows, 10.0)
    return xr.concat([ds, part], "obs", combine_attrs="override")


def lines(ds: xr.Dataset) -> list[str]:
    """Rows as sorted texts."""
    frame = ds.to_dataframe()[sorted(map(str, ds.variables))]
    return sorted(map(str, frame.itertuples(index=False)))


@given(messes(), st.randoms(use_true_random=False))
@settings(max_examples=12)
def test_the_order_of_the_rows_is_of_no_importance(ds, random):
    order = list(range(ds.sizes["obs"]))
    random.shuffle(order)
    assert lines(quality_control(ds.isel(obs=order))) == lines(quality_control(ds))


@given(messes())
@settings(max_examples=12)
def test_twice_is_once(ds):
    once = quality_control(ds)
    xr.testing.assert_identical(quality_control(once), once)
    xr.testing.assert_identical(as_table(once), once)


@given(messes())
def test_nothing_is_dropped_and_the_input_untouched(ds):
    for variable in ds.variables.values():
        variable.values.flags.writeable = False
    before = ds.copy(deep=True)
    checked = quality_control(ds)
    xr.testing.assert_identical(ds, before)
    for name in set(ds.variables) - {"qc", "reason"}:
        np.testing.assert_array_equal(checked[name].values, ds[name].values)
    bad = np.isin(checked["qc"], (3, 4))
    assert [bool(t) for t in checked["reason"].values] == bad.tolist()
    came_bad = np.isin(ds["qc"], (3, 4))
    assert bad[came_bad].all()
    assert (checked["qc"].values[~bad & np.isnan(ds["value"].values)] == 9).all()


def test_accessor_and_function_agree():
    ds = planted(casts(2), "value", 3, 99.0)
    xr.testing.assert_identical(ds.deepda.quality_control(), quality_control(ds))


# ---- flags that came with the data


def test_supplied_flags_and_reasons_are_kept():
    ds = planted(casts(2), "qc", [0, 1, 2], [4, 3, 2])
    ds = planted(ds, "reason", [0], "Argo flag 4 (bad)")
    checked = quality_control(ds)
    assert checked["qc"].values[:4].tolist() == [4, 3, 2, 1]
    assert checked["reason"].values[:3].tolist() == ["Argo flag 4 (bad)", "supplied flag 3", ""]


def test_rejected_rows_are_no_neighbours():
    """Between two spikes that are flagged, a good value is no spike."""
    ds = casts(3, salinity=False)
    rows = where(ds)
    ds = planted(ds, "value", rows[[7, 9]], ds["value"].values[rows[[7, 9]]] - 9.0)
    assert rows[8] in failed(quality_control(ds))
    flagged = planted(ds, "qc", rows[[7, 9]], 4)
    assert failed(quality_control(flagged)) == rows[[7, 9]].tolist()


def test_supplied_flags_can_be_ignored():
    ds = planted(casts(2), "qc", [0, 1], 4)
    ds = planted(ds, "value", 5, 99.0)
    checked = quality_control(ds, rules={"supplied": False})
    assert failed(checked) == [5]
    assert checked["qc"].values[0] == 1


def test_a_position_that_came_flagged_does_no_harm():
    ds = planted(planted(casts(2), "latitude", 0, 95.0), "qc", 0, 4)
    assert failed(quality_control(ds)) == [0]


# ---- choice of rules


@pytest.fixture
def spiky() -> xr.Dataset:
    ds = casts(2, salinity=False)
    ds = planted(ds, "value", 5, ds["value"].values[5] + 7.0)
    return planted(ds, "value", 25, 99.9)


def test_rules_by_name(spiky):
    assert failed(quality_control(spiky)) == [5, 25]
    assert failed(quality_control(spiky, rules="range")) == [25]
    assert failed(quality_control(spiky, rules=["spike"]), "spike") == [5, 25]
    assert failed(quality_control(spiky, rules=[])) == []


def test_rules_left_out_and_limits_overridden(spiky):
    assert failed(quality_control(spiky, rules={"spike": False})) == [25]
    loose = {"spike": {"temperature": (20.0, 20.0), "close_share": 4.0}}
    assert failed(quality_control(spiky, rules=loose)) == [25]
    strict = {"range": {"temperature": (-2.0, 10.0)}}
    warm = np.flatnonzero(spiky["value"].values > 10.0).tolist()
    assert failed(quality_control(spiky, rules=strict), "range") == warm


def test_verdicts_of_before_are_replaced(spiky):
    checked = quality_control(spiky)
    again = quality_control(checked, rules={"spike": False})
    assert failed(again) == [25]
    assert again["reason"].values[5] == ""


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("spikes", ["there is no rule 'spikes'", "supplied, position, date", "near_duplicate"]),
        (["range", "nonsense"], ["'nonsense'"]),
        ({"spike": {"height": 3.0}}, ["no limit 'height'", "temperature, salinity, deep"]),
        ({"spike": {"deep": "far"}}, ["limit 'deep'", "as 500.0"]),
        ({"spike": {"temperature": 3.0}}, ["as (6.0, 2.0)"]),
        ({"range": 7}, ["cannot be changed", "a dict of limits"]),
        ({"supplied": {"x": 1}}, ["has no limits"]),
        (3, ["cannot be understood"]),
    ],
)
def test_unknown_rules_are_refused_with_the_list(rules, words):
    with pytest.raises(InputError) as caught:
        quality_control(casts(1), rules=rules)
    for word in words:
        assert word in str(caught.value)


def test_all_problems_at_once():
    with pytest.raises(InputError) as caught:
        quality_control(casts(1), like=xr.Dataset(), rules=["a", "b"])
    assert "2 problems" in str(caught.value)


def test_what_no_rule_can_help_is_refused():
    ds = casts(1)
    ds["value"].attrs = {}
    with pytest.raises(InputError, match="no units"):
        quality_control(ds)
    with pytest.raises(InputError, match="these are no observations"):
        quality_control([1, 2, 3])


def test_every_rule_says_where_its_limits_come_from():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule.source
        assert rule.find.__doc__
        assert ";" not in rule.reason
        assert rule.flag in (3, 4)


# ---- what is flagged is not used


def test_flagged_data_are_not_used(ocean, points):
    named = points.rename(thetao="value").assign(
        variable=("obs", np.full(points.sizes["obs"], "thetao", dtype=object)),
        error=points["thetao_error"],
    )
    named = named.drop_vars("thetao_error")
    good = xdeepda.superob(quality_control(named, ocean), ocean, cycle="month")
    wrong = planted(named, "value", [3, 4], [77.0, -30.0])
    checked = quality_control(wrong, ocean)
    assert failed(checked, "range") == [3, 4]
    cells = xdeepda.superob(checked, ocean, cycle="month")
    assert int(good["thetao_count"].sum() - cells["thetao_count"].sum()) == 2
    assert float(cells["thetao"].max()) < 40.0


def test_a_big_table_takes_seconds():
    """A million rows take 4 s on two idle cores; a tenth of it, with ample room, here."""
    from time import perf_counter

    depth = np.linspace(5.0, 900.0, 50)
    count = 1000
    lat = np.repeat(np.linspace(-50.0, 50.0, count), 50)
    rows = {
        "value": 3.0 + 20.0 * np.exp(-np.tile(depth, count) / 300.0), "latitude": lat,
        "depth": np.tile(depth, count), "longitude": np.repeat(np.linspace(180, 250, count), 50),
        "time": np.datetime64("2005-01-01", "ns") + np.repeat(np.arange(count), 50)
        * np.timedelta64(6, "h"),
        "profile": np.repeat(np.arange(count), 50).astype(str).astype(object),
    }  # fmt: skip
    big = table(rows)
    quality_control(big.isel(obs=slice(0, 50)))  # imports
    start = perf_counter()
    assert failed(quality_control(big)) == []
    assert perf_counter() - start < 6.0
