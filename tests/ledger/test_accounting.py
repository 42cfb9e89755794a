"""Every datum is accounted for, with the numbers that the analysis holds."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xdeepda
from xdeepda.errors import InputError
from xdeepda.observations.ledger import PREFIX

SAME = ("observed", "observed_error", "background", "analysis", "innovation", "residual",
        "background_spread", "analysis_spread", "cell_count", "cycle", "row", "value")  # fmt: skip


def fates(ledger: xr.Dataset) -> list[str]:
    """Fates in words."""
    meanings = ledger["fate"].attrs["flag_meanings"].split()
    return [meanings[f] for f in ledger["fate"].values]


def rms(values) -> float:
    return float(np.sqrt(np.nanmean(np.asarray(values) ** 2)))


# ---- every datum has a fate


ROW = st.fixed_dictionaries(
    {
        "lat": st.sampled_from([-85.0, -64.8, -33.3, 2.0, 21.6, 50.4, 71.0]),
        "lon": st.floats(-180, 360),
        "depth": st.sampled_from([0.0, 10.0, 55.0, 101.0, 841.0, 6000.0, np.nan]),
        "month": st.integers(6, 14),
        "value": st.sampled_from([5.0, 10.0, np.nan]),
        "qc": st.sampled_from([0, 1, 3, 4]),
        "variable": st.sampled_from(["thetao", "thetao", "oxygen"]),
        "withheld": st.booleans(),
    }
)
ANCHOR = {"lat": 2.0, "lon": 202.5, "depth": 10.0, "month": 7, "value": 20.0, "qc": 0,
          "variable": "thetao", "withheld": False}  # fmt: skip


def table_of(rows: list[dict]) -> xr.Dataset:
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    times = [cftime.DatetimeNoLeap(10 + m // 13, (m - 1) % 12 + 1, 9) for m in column["month"]]
    return xr.Dataset(
        {
            "value": ("obs", column["value"], {"units_thetao": "degC", "units_oxygen": "umol/kg"}),
            "error": ("obs", np.full(len(rows), 0.3)),
            "variable": ("obs", column["variable"]),
            "qc": ("obs", column["qc"].astype(np.int8)),
            "withheld": ("obs", column["withheld"]),
        },
        coords={
            "time": ("obs", times),
            "depth": ("obs", column["depth"], {"units": "m", "positive": "down"}),
            "latitude": ("obs", column["lat"]),
            "longitude": ("obs", column["lon"]),
        },
    )


def expected_fate(row: dict, wet: np.ndarray, grid, last: int) -> str:
    """Fate of a row by a plain loop over what can be wrong, in the declared order."""
    if not np.isfinite(row["value"]):
        return "without_a_value"
    if row["qc"] in (3, 4):
        return "flagged_as_bad"
    if row["variable"] == "oxygen":
        return "of_a_variable_that_the_model_does_not_have"
    if row["withheld"]:
        return "withheld"
    if abs(row["lat"]) > grid.lat_edges[-1]:
        return "outside_of_the_area"
    if not row["depth"] <= grid.depth_edges[-1]:
        return "outside_of_the_depths"
    k = int(np.searchsorted(grid.depth_edges, row["depth"], side="right")) - 1
    j = int(np.searchsorted(grid.lat_edges, row["lat"], side="right")) - 1
    i = min(int((row["lon"] % 360) // 15), 23)  # a hair below 0 is 360
    if not wet[k, j, i]:
        return "on_land"
    return "used" if row["month"] <= last else "outside_of_the_period"


@settings(max_examples=8)
@given(rows=st.lists(ROW, min_size=1, max_size=40))
def test_every_datum_is_accounted_for(rows, ocean, persistence):
    # a variable without any value is refused as such
    rows = [row if row["variable"] == "thetao" else {**row, "value": 7.0} for row in rows]
    rows = [*rows, ANCHOR]
    wet, grid = persistence.wet[0], persistence.grid
    assert expected_fate(ANCHOR, wet, grid, 9) == "used"
    times = [cftime.DatetimeNoLeap(10, month, 15) for month in (7, 9)]
    analysis = xdeepda.assimilate(
        ocean, table_of(rows), model=persistence, ledger=True, times=times
    )
    ledger = xdeepda.departures(analysis)
    assert ledger["row"].values.tolist() == list(range(len(rows)))
    assert fates(ledger) == [expected_fate(row, wet, grid, 9) for row in rows]
    # what is used in a cycle that is given out stands in the counts of the analysis
    used = np.array(fates(ledger)) == "used"
    given_out = used & np.isin([row["month"] for row in rows], [7, 9])
    assert int(analysis["thetao_obs_count"].sum()) == given_out.sum()
    # whatever has a place and a time inside of the run has equivalents, used or not
    first = min(row["month"] for row, is_used in zip(rows, used, strict=True) if is_used)
    for n, row in enumerate(rows):
        usable = expected_fate({**row, "qc": 0, "withheld": False}, wet, grid, 9) == "used"
        usable &= row["month"] >= first
        assert np.isfinite(ledger["background"][n]) or not usable
        if usable:
            assert abs(float(ledger["innovation"][n] + ledger["background"][n]) - row["value"]) < (
                1e-5
            )


def test_a_table_keeps_its_columns(ocean, persistence, many):
    table = many.assign(
        qc=("obs", np.where(np.arange(600) % 7, 1, 4).astype(np.int8)),
        reason=("obs", np.where(np.arange(600) % 7, "", "spike").astype(object)),
    ).assign_coords(profile=("obs", np.arange(600).astype(str)))
    ledger = xdeepda.assimilate(ocean, table, model=persistence, ledger=True).deepda.departures()
    for name in ("value", "error", "variable", "qc", "reason", "time", "depth", "latitude",
                 "longitude", "platform", "profile"):  # fmt: skip
        np.testing.assert_array_equal(ledger[name].values, table[name].values)
    # and it is a table again
    assert xdeepda.observations.as_table(ledger).sizes["obs"] == 600


# ---- the analysis is the same with and without


@pytest.mark.parametrize("members", [1, 3])
def test_the_ledger_changes_nothing(ocean, tiny_model, many, members, tmp_path):
    kwargs = {"model": tiny_model, "members": members, "seed": 4}
    plain = xdeepda.assimilate(ocean, many, **kwargs)
    within = xdeepda.assimilate(ocean, many, ledger=True, **kwargs)
    beside = xdeepda.assimilate(ocean, many, ledger=tmp_path / "ledger.nc", **kwargs)
    for name in plain.variables:
        xr.testing.assert_identical(plain[name].variable, within[name].variable)
        xr.testing.assert_identical(plain[name].variable, beside[name].variable)
    assert not any(str(n).startswith(PREFIX) for n in (*plain.variables, *beside.variables))
    assert "obs" not in plain.dims


def test_nothing_is_remembered_without_a_ledger(ocean, persistence, many, monkeypatch):
    from xdeepda import request

    def refuse(*_):
        raise AssertionError("records were made")

    monkeypatch.setattr(request, "records_of", refuse)
    xdeepda.assimilate(ocean, many, model=persistence)
    with pytest.raises(AssertionError, match="records were made"):
        xdeepda.assimilate(ocean, many, model=persistence, ledger=True)


# ---- the numbers


def test_equivalents_are_the_fields_at_cell_centres(ocean, tiny_model, points):
    analysis = xdeepda.assimilate(ocean, points, model=tiny_model, ledger=True)
    ledger = xdeepda.departures(analysis)
    where = {n: ledger[c] for n, c in (("lat", "latitude"), ("lon", "longitude"))}
    where |= {"depth": ledger["depth"], "time": ledger["time"]}
    for column, name in (
        ("background", "thetao_background"),
        ("analysis", "thetao"),
        ("background_spread", "thetao_background_spread"),
        ("analysis_spread", "thetao_spread"),
        ("cell_count", "thetao_obs_count"),
    ):
        np.testing.assert_allclose(ledger[column], analysis[name].sel(where), rtol=1e-6)
    np.testing.assert_allclose(ledger["observed"], points["thetao"])
    np.testing.assert_allclose(ledger["observed_error"], points["thetao_error"], rtol=1e-6)


def test_between_cells_it_is_the_operator(ocean, persistence, many):
    from xdeepda.observations import PointOperator

    analysis = xdeepda.assimilate(ocean, many, model=persistence, ledger=True)
    ledger = xdeepda.departures(analysis)
    month = 3
    mine = ledger.isel(obs=ledger["time"].values == analysis["time"].values[month])
    operator = PointOperator.on(
        persistence.grid, persistence.wet[0], *(mine[n] for n in ("depth", "latitude", "longitude"))
    )
    field = analysis["thetao"].isel(time=month).values
    np.testing.assert_allclose(mine["analysis"], operator.apply(field), rtol=1e-12)


def test_used_data_are_fitted_better_than_before(ocean, oi, many, points):
    ledger = xdeepda.assimilate(ocean, points, model=oi, ledger=True).deepda.departures()
    assert rms(ledger["residual"]) < 0.7 * rms(ledger["innovation"])
    # beside the centres, where cells of 15 degrees do not resolve the fronts, by less
    ledger = xdeepda.assimilate(ocean, many, model=oi, ledger=True).deepda.departures()
    assert rms(ledger["residual"]) < 0.95 * rms(ledger["innovation"])
    assert (ledger["analysis_spread"] <= ledger["background_spread"] * 1.000001).all()


def test_superobservations_of_a_cell(ocean, persistence, points):
    # three at one place and time, of two profiles, and one elsewhere
    at = points.isel(obs=[0, 0, 0, 1])
    at = at.assign_coords(profile=("obs", ["a", "a", "b", "c"]))
    at["thetao"] = at["thetao"] + xr.DataArray([0.0, 1.0, 2.0, 0.0], dims="obs")
    at["thetao_error"] = ("obs", np.full(4, 0.2))
    ledger = xdeepda.assimilate(ocean, at, model=persistence, ledger=True).deepda.departures()
    assert ledger["cell_count"].values.tolist() == [3, 3, 3, 1]
    np.testing.assert_allclose(ledger["cell_value"][:3], points["thetao"][0] + 1)
    np.testing.assert_allclose(ledger["cell_error"][:3], 0.2 * np.sqrt(0.25 + 0.75 / 2), rtol=1e-6)
    # the scalar filter by hand
    b, r = ledger["background_spread"] ** 2, ledger["cell_error"] ** 2
    moved = (ledger["analysis"] - ledger["background"]).values
    expected = (b / (b + r) * (ledger["cell_value"] - ledger["background"])).values
    np.testing.assert_allclose(moved, expected, atol=2e-2)


def test_withheld_and_flagged_data_do_not_matter_but_are_told(ocean, oi, many):
    aside = np.arange(600) % 5 == 0
    table = many.assign(withheld=("obs", aside))
    analysis = xdeepda.assimilate(ocean, table, model=oi, ledger=True)
    kept = xdeepda.assimilate(ocean, many.isel(obs=~aside), model=oi)
    np.testing.assert_array_equal(analysis["thetao"], kept["thetao"])
    ledger = xdeepda.departures(analysis)
    assert [f == "withheld" for f in fates(ledger)] == aside.tolist()
    held = ledger.isel(obs=aside)
    assert np.isfinite(held["residual"]).all()
    assert rms(held["residual"]) < rms(held["innovation"])
    # the same withheld data, given later
    later = xdeepda.departures(kept, many.isel(obs=aside))
    for name in SAME:
        if name != "row":
            np.testing.assert_array_equal(later[name], held[name], err_msg=name)


# ---- the same numbers from the fields


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("members", [1, 4])
def test_both_ways_give_the_same_numbers(ocean, persistence, many, members, keep):
    analysis = xdeepda.assimilate(
        ocean, many, model=persistence, members=members, keep_members=keep, ledger=True
    )
    ledger = xdeepda.departures(analysis)
    again = xdeepda.departures(analysis, many)
    for name in SAME:
        np.testing.assert_array_equal(again[name], ledger[name], err_msg=name)
    assert set(fates(again)) == {"compared_only"}
    if members > 1:
        # what the members are in the cycle itself is not in the analysis
        assert "background_member_spread" not in again
        assert (ledger["background_member_spread"] > 0).all()
        assert (ledger["analysis_member_spread"] > 0).all()
    if members > 1 and keep:
        name = "analysis_member_spread"
        np.testing.assert_array_equal(again[name], ledger[name])


def test_labels_of_the_analysis_do_not_matter(ocean, oi, many):
    analysis = xdeepda.assimilate(ocean, many, model=oi)
    expected = xdeepda.departures(analysis, many)
    for other in (
        analysis.transpose("lon", "depth", "time", "lat", "bnds"),
        analysis.isel(lat=slice(None, None, -1), depth=slice(None, None, -1)),
        analysis.chunk(time=1),
        analysis.rename(lat="y", lon="x"),
    ):
        found = xdeepda.departures(other, many)
        for name in SAME:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)
    single = analysis["thetao"].deepda.departures(many)
    np.testing.assert_array_equal(single["residual"], expected["residual"])
    assert np.isnan(single["innovation"]).all()


def test_data_of_other_times_are_outside(ocean, oi, many):
    analysis = xdeepda.assimilate(ocean, many, model=oi).isel(time=[0, 1, 4])
    found = xdeepda.departures(analysis, many)
    there = np.isin(many["time"].values, analysis["time"].values)
    assert [f == "compared_only" for f in fates(found)] == there.tolist()
    assert set(np.array(fates(found))[~there]) == {"outside_of_the_period"}
    assert np.isfinite(found["residual"].values).tolist() == there.tolist()


# ---- units


@pytest.mark.parametrize("unit", ["K", "degF"])
def test_units_do_not_matter(ocean, oi, many, unit):
    slope, offset = {"K": (1.0, 273.15), "degF": (1.8, 32.0)}[unit]
    difference = {"K": "K", "degF": "delta_degree_Fahrenheit"}[unit]
    expected = xdeepda.assimilate(ocean, many, model=oi, ledger=True).deepda.departures()
    table = many.copy(deep=True)
    table["value"] = (many["value"] * slope + offset).assign_attrs(
        {**many["value"].attrs, "units": unit, "units_thetao": unit}
    )
    table["error"] = many["error"] * slope
    # observations in another unit: the numbers are those of the analysis
    found = xdeepda.assimilate(ocean, table, model=oi, ledger=True).deepda.departures()
    for name in ("observed", "innovation", "residual", "observed_error", "cell_value"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4, err_msg=name)
    np.testing.assert_allclose(found["value"], table["value"])
    # fields in another unit: the ledger is in theirs
    field = ocean["thetao"] * np.float64(slope) + offset
    run = field.assign_attrs({**ocean["thetao"].attrs, "units": unit}).astype(np.float64)
    found = xdeepda.assimilate(run, many, model=oi, ledger=True).deepda.departures()
    assert found["observed"].attrs["units"] == unit
    assert found["innovation"].attrs["units"] in (difference, "K", "delta_degF")
    for name in ("innovation", "residual", "observed_error", "background_spread", "cell_error"):
        np.testing.assert_allclose(found[name] / slope, expected[name], atol=1e-4, err_msg=name)
    again = xdeepda.departures(xdeepda.assimilate(run, many, model=oi), many)
    np.testing.assert_allclose(again["innovation"], found["innovation"], atol=1e-5)
    np.testing.assert_allclose(again["background_spread"], found["background_spread"])


def test_quantified_fields_and_observations(ocean, oi, points):
    pytest.importorskip("pint_xarray")
    expected = xdeepda.assimilate(ocean, points, model=oi, ledger=True)
    run = ocean[["thetao"]].pint.quantify(thetao="degC")
    found = xdeepda.assimilate(run, points, model=oi, ledger=True)
    ledger = xdeepda.departures(found)
    for name in SAME:
        np.testing.assert_allclose(ledger[name], xdeepda.departures(expected)[name], atol=1e-5)
    again = xdeepda.departures(found, points)
    np.testing.assert_allclose(again["residual"], ledger["residual"], atol=1e-6)


# ---- what is refused


def test_what_is_no_analysis_or_has_no_ledger(ocean, analysis, cells, oi, points):
    with pytest.raises(InputError, match="no ledger in this analysis"):
        analysis.deepda.departures()
    with pytest.raises(InputError, match="no ledger"):
        analysis["thetao"].deepda.departures()
    with pytest.raises(InputError, match="no analysis"):
        xdeepda.departures(xr.Dataset({"a": ("x", [1.0])}), points)
    with pytest.raises(InputError, match="int is no analysis"):
        xdeepda.departures(3, points)
    with pytest.raises(InputError, match="no observations that can be read"):
        xdeepda.departures(analysis, 3)
    deep = points.assign_coords(depth=points["depth"] + 9000)
    with pytest.raises(InputError, match="no observation lies inside"):
        xdeepda.departures(analysis, deep)


def test_a_wrong_place_is_told_before_the_work(ocean, points, oi, tmp_path, monkeypatch):
    from xdeepda import assimilation

    def conduct(*_, **__):
        raise AssertionError("the cycling started")

    monkeypatch.setattr(assimilation, "_conduct", conduct)
    for place, words in (
        (tmp_path / "no" / "ledger.nc", "folder of ledger= does not exist"),
        (tmp_path, "ledger= is a folder"),
        (3, "ledger= is no place"),
        ("", "ledger= is no place"),
    ):
        with pytest.raises(InputError, match=words):
            xdeepda.assimilate(ocean, points, model=oi, ledger=place)


# ---- data of which none can be used


def all_flagged(table):
    size = table.sizes["obs"]
    return table.assign(
        qc=("obs", np.full(size, 4, dtype=np.int8)),
        reason=("obs", np.full(size, "QC spike", dtype=object)),
    )


def test_departures_of_data_that_are_all_flagged(ocean, oi, many):
    """They are accounted for; that nothing lies in the sea would be wrong."""
    analysis = xdeepda.assimilate(ocean, many, model=oi)
    found = xdeepda.departures(analysis, all_flagged(many))
    assert set(fates(found)) == {"flagged_as_bad"}
    expected = xdeepda.departures(analysis, many)
    np.testing.assert_array_equal(found["residual"], expected["residual"])
    outside = many.assign_coords(depth=many["depth"] + 9000)
    with pytest.raises(InputError, match="no observation lies inside"):
        xdeepda.departures(analysis, outside)


def test_the_refusal_says_that_all_are_flagged(ocean, oi, many):
    with pytest.raises(InputError, match="no observation can be used") as told:
        xdeepda.assimilate(ocean, all_flagged(many), model=oi)
    assert "600 flagged as bad" in str(told.value)
    assert "quality_report" in str(told.value)
    assert "longitude" not in str(told.value)
