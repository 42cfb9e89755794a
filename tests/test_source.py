"""Runs as cycle means: variables, times, values, streaming."""

from __future__ import annotations

import cftime
import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdeepda import source as source_module
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.source import RunSource
from xdeepda.training.values import check_values

MONTH = Cycle("month")


def run(times, values=None, name="thetao", **attrs) -> xr.DataArray:
    """A run on 2 levels of 3 x 4 cells, one of them land."""
    if values is None:
        values = 10 + np.random.default_rng(0).normal(size=(len(times), 2, 3, 4))
        values[:, :, 1, 2] = np.nan
    return xr.DataArray(
        values,
        dims=("time", "depth", "lat", "lon"),
        coords={
            "time": times,
            "depth": ("depth", [5.0, 50.0], {"units": "m"}),
            "lat": ("lat", [-10.0, 0.0, 10.0], {"units": "degrees_north"}),
            "lon": ("lon", [0.0, 10.0, 20.0, 30.0], {"units": "degrees_east"}),
        },
        name=name,
        attrs={"units": "degC", **attrs},
    )


MONTHS = pd.date_range("2001-01-15", periods=24, freq="30D")


def problems_of(da, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        RunSource(da, **{"cycle": MONTH, **kwargs})
    return str(error.value)


def checked(da) -> str:
    """What is wrong with the values."""
    problems = Problems("train")
    check_values(RunSource(da, None, MONTH), problems)
    return problems.message()


# ---- variables


def test_the_only_field_of_a_dataset_is_taken():
    ds = run(MONTHS).to_dataset().assign(area=(("lat", "lon"), np.ones((3, 4))), note="x")
    ds["time_bnds"] = (("time", "bnds"), np.stack([MONTHS, MONTHS], axis=1))
    assert RunSource(ds, None, MONTH).variables == ("thetao",)


def test_two_fields_are_ambiguous():
    ds = xr.merge([run(MONTHS), run(MONTHS, name="so", units="psu")])
    text = problems_of(ds)
    assert "which variable is not clear" in text
    assert "['thetao', 'so']" in text
    assert RunSource(ds, ["so", "thetao"], MONTH).units == ("psu", "degC")


def test_a_variable_that_is_not_there_is_named():
    text = problems_of(run(MONTHS).to_dataset(), var=["temp", "thetao"])
    assert "['temp']" in text
    assert "['thetao']" in text


def test_a_data_array_is_one_variable_of_its_own_name():
    assert RunSource(run(MONTHS), "thetao", MONTH).variables == ("thetao",)
    assert RunSource(run(MONTHS).rename(None), "thetao", MONTH).variables == ("thetao",)
    assert "one variable" in problems_of(run(MONTHS), var=["thetao", "so"])
    text = problems_of(run(MONTHS), var="so")
    assert "'thetao'" in text
    assert "'so'" in text


def test_variables_share_one_grid():
    ds = run(MONTHS).to_dataset()
    other = run(MONTHS, name="so", units="psu").assign_coords(lat=[-10.0, 0.0, 11.0])
    ds["so"] = other.rename(lat="y").assign_attrs(other.attrs)
    text = problems_of(ds, var=["thetao", "so"])
    assert "'thetao' and 'so' are on different grids" in text
    assert "10 against 11" in text


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({"units": None}, "variable 'thetao' has no units"),
        ({"units": "warm"}, "not understood"),
        ({"standard_name": "sea_water_potential_temperature", "units": "m"}, "wrong dimension"),
    ],
)
def test_units_are_checked(attrs, words):
    da = run(MONTHS)
    da.attrs = {k: v for k, v in {**da.attrs, **attrs}.items() if v is not None}
    assert words in problems_of(da)


# ---- times


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_finer_samples_are_averaged(calendar):
    days = xr.date_range("2001-01-01", periods=365, calendar=calendar, use_cftime=None).values
    da = run(days)
    src = RunSource(da, None, MONTH)
    assert len(src) == 12
    expected = da.groupby("time.month").mean().values
    np.testing.assert_allclose(src.read(0, 12)[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(src.read(3, 5), src.read(0, 12)[3:5])


def test_bounds_say_which_month_a_mean_is_of():
    ends = pd.date_range("2001-02-01", periods=24, freq="MS")  # labels at the end of the mean
    ds = run(ends).to_dataset()
    ds["time"].attrs["bounds"] = "tb"
    ds["tb"] = (("time", "two"), np.stack([ends - pd.offsets.MonthBegin(1), ends], axis=1))
    assert RunSource(ds, None, MONTH).cycles[0] == 2001 * 12
    assert RunSource(ds["thetao"], None, MONTH).cycles[0] == 2001 * 12 + 1


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (MONTHS[[0, 1, 1, 2]], r"repeats at 2001-02-14[\s\S]*drop_duplicates"),
        (MONTHS[[0, 2, 1]], r"goes back at 2001-02-14[\s\S]*sortby"),
        (MONTHS[[0, 1, 3]], r"every month[\s\S]*1 cycles are missing.*2001-03"),
        (pd.DatetimeIndex(["2001-01-01", pd.NaT]), "missing times"),
        ([1, 2, 3], r"holds no times[\s\S]*decode_times"),
        (
            [cftime.DatetimeNoLeap(1, 1, 1), cftime.Datetime360Day(1, 2, 1)],
            "several calendars in one input: 360_day, noleap",
        ),
    ],
)
def test_wrong_times_are_refused(times, words):
    with pytest.raises(InputError, match=words):
        RunSource(run(times), None, MONTH)


def test_a_run_without_time_is_refused_where_one_is_needed():
    assert "no time axis" in problems_of(run(MONTHS).isel(time=0))
    assert len(RunSource(run(MONTHS).isel(time=0), None, MONTH, need_time=False)) == 0


def test_members_and_times_together_are_refused():
    da = run(MONTHS).expand_dims(member=3)
    assert "members and times" in problems_of(da)


@pytest.mark.parametrize(
    ("days", "name"), [(5, "pentad"), (30, "month"), (365, "year"), (1, "pentad")]
)
def test_cycle_guessed_from_the_step(days, name, caplog):
    times = np.datetime64("2001-01-02") + np.arange(30) * np.timedelta64(days, "D")
    with caplog.at_level("INFO", logger="xdeepda"):
        assert RunSource(run(times.astype("M8[ns]"))).cycle.name == name
    assert f"cycle '{name}' guessed" in caplog.text


# ---- values


def test_good_values_give_the_mask():
    problems = Problems("train")
    da = run(MONTHS)
    wet = check_values(RunSource(da, None, MONTH), problems)
    assert len(problems) == 0
    np.testing.assert_array_equal(wet[0], da.notnull().all("time"))


def test_each_variable_has_its_own_mask():
    so = run(MONTHS, name="so", units="psu") + 25
    so = so.where((so["lon"] > 5) | (so["depth"] < 10)).assign_attrs(units="psu")
    src = RunSource(xr.merge([run(MONTHS), so]), ["thetao", "so"], MONTH)
    wet = check_values(src, Problems("train"))
    assert wet[0].sum() == 22
    assert wet[1].sum() == 19


def test_nan_in_the_sea_is_named_by_its_place():
    da = run(MONTHS)
    da[7, 1, 2, 3] = np.nan
    text = checked(da)
    assert "NaN inside the sea" in text
    assert "depth 50 m, latitude 10, longitude 30" in text


def test_empty_levels_are_named():
    assert "50 m" in checked(
        run(MONTHS).where(lambda x: x["depth"] < 10).assign_attrs(units="degC")
    )
    assert "no value at all" in checked(run(MONTHS).where(False).assign_attrs(units="degC"))


@pytest.mark.parametrize("fill", [-9999.0, 1e35, 0.0 + 293.0])
def test_undeclared_fill_values_are_found(fill):
    da = run(MONTHS)
    assert "values that are no temperature of the sea" in checked(da.fillna(fill))


def test_kelvin_is_judged_as_kelvin():
    assert "0 problems" in checked((run(MONTHS) + 273.15).assign_attrs(units="K"))


def test_several_faults_are_told_at_once():
    da = run(MONTHS).astype("f4")
    da[3, 0, 0, 0], da[:, 0, 0, 1] = np.nan, -9999
    text = checked(da.where(da["depth"] < 10).assign_attrs(units="degC"))
    for words in ("NaN inside the sea", "levels without any value", "no temperature of the sea"):
        assert words in text


@pytest.mark.parametrize("dtype", [">f4", ">f8", "f8", "f4", "i2"])
def test_any_kind_of_number_is_read(dtype):
    values = np.arange(24 * 24).reshape(24, 2, 3, 4).astype(dtype) % 30
    src = RunSource(run(MONTHS, values), None, MONTH)
    read = src.read(0, 24)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read[:, 0], values)


# ---- streaming


def test_lazy_runs_are_read_in_blocks(monkeypatch):
    times = xr.date_range("0001-01-15", periods=240, freq="MS", calendar="noleap", use_cftime=True)
    da = run(times.values).astype("f4").chunk(time=12)
    computed = []

    def counting(graph, keys, **kwargs):
        results = dask.get(graph, keys, **kwargs)
        computed.append(sum(np.asarray(r).nbytes for r in _flat(results)))
        return results

    monkeypatch.setattr(source_module, "BLOCK_BYTES", da.nbytes // 8)
    with dask.config.set(scheduler=counting):
        src = RunSource(da, None, MONTH)
        assert src.is_lazy
        assert computed == []
        wet = check_values(src, Problems("train"))
    assert max(computed) <= da.nbytes // 8
    assert sum(computed) == da.nbytes
    np.testing.assert_array_equal(wet[0], da.notnull().all("time").compute())


def _flat(results):
    for item in results:
        yield from _flat(item) if isinstance(item, (list, tuple)) else (item,)


def test_a_file_is_not_read_before_it_is_needed(tmp_path):
    run(MONTHS).to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as ds:
        src = RunSource(ds.transpose("lon", ...), None, MONTH)
        assert src.is_lazy
        np.testing.assert_allclose(src.read(2, 3)[0, 0], run(MONTHS)[2], rtol=1e-6)
        assert not ds["thetao"]._in_memory


# ---- cycles that are covered in part


def months(count: int, start: str = "2001-01") -> xr.DataArray:
    return run(pd.date_range(start, periods=count, freq="MS") + pd.Timedelta("14D"))


def test_a_year_of_few_months_is_told(caplog):
    with caplog.at_level("WARNING", logger="xdeepda"):
        RunSource(months(60), None, Cycle("year"))
        assert not caplog.records
        src = RunSource(months(60, "2000-06"), None, Cycle("year"))
    assert len(src) == 6
    assert "2 of 6 years hold few samples, the first 7 instead of 12" in caplog.text
    assert ".isel(time=slice(7, 55))" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING", logger="xdeepda"):
        RunSource(months(60, "2000-06").isel(time=slice(7, 55)), None, Cycle("year"))
    assert not caplog.records


@pytest.mark.parametrize("step", ["1D", "2D", "3D", "4D", "5D", "7D", "10D", "15D"])
def test_uneven_sampling_is_no_hole(step, caplog):
    times = pd.date_range("2001-01-01", "2004-12-31", freq=step)
    with caplog.at_level("WARNING", logger="xdeepda"):
        RunSource(run(times), None, MONTH)
    assert not caplog.records


def test_a_hole_within_a_run_is_refused():
    text = problems_of(months(60).isel(time=[*range(26), *range(35, 60)]), cycle=Cycle("year"))
    assert "does not fill every year" in text
    assert "3 instead of 12" in text


def test_the_advice_on_gaps_is_a_longer_cycle():
    gap = months(60).isel(time=[*range(20), *range(25, 60)])
    assert "cycle='year'" in problems_of(gap)
    assert "cycle='month'" in problems_of(gap, cycle=Cycle("pentad"))
    years = run(pd.to_datetime(["2001-06-30", "2002-06-30", "2004-06-30"]))
    text = problems_of(years, cycle=Cycle("year"))
    assert "longer" not in text
    assert "select a period without gaps" in text


def test_a_record_without_values_is_no_hole_in_the_sea():
    da = months(24).rename(time="t")
    da[5] = np.nan
    da[7, 0, 0, 0] = np.nan
    text = checked(da)
    assert "2 problems" in text
    assert "months without any value\n    found: 1 of 24, the first around 2001-06-16" in text
    assert "1 cells hold values at some times only" in text
    assert ".all('t')" in text
