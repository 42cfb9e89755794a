"""Where a ledger is kept: in the analysis, in a file, and in the files of both."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError
from xdeepda.observations import ledger as ledger_module


def opened(path, engine: str, calendar: str) -> xr.Dataset:
    coder = xr.coders.CFDatetimeCoder(use_cftime=calendar != "standard", time_unit="us")
    return xr.open_dataset(path, engine=engine, decode_times=coder)


def same(a: xr.Dataset, b: xr.Dataset) -> None:
    """Same columns and numbers; texts are compared as texts, times to the second."""
    assert set(a.variables) == set(b.variables)
    for name in map(str, a.variables):
        x, y = a[name].values, b[name].values
        if x.dtype.kind in "fiub":
            np.testing.assert_array_equal(x, y, err_msg=name)
        else:
            assert [str(v)[:19] for v in x] == [str(v)[:19] for v in y], name


def moved(ds: xr.Dataset, name: str, calendar: str, truth: xr.Dataset) -> xr.Dataset:
    """Times of another calendar."""
    month = Cycle("month")
    index = month.index(ds[name].values)
    times = month.middle(index - index.min() + 2003 * 12 + 6, calendar)
    return ds.assign_coords({name: (ds[name].dims, times)})


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
@pytest.mark.parametrize("store", ["netcdf", "zarr2", "zarr3"])
def test_round_trip_within_the_analysis(calendar, store, ocean, persistence, many, tmp_path, truth):
    table = many.assign(
        qc=("obs", np.where(np.arange(600) < 3, 4, 1).astype(np.int8)),
        reason=("obs", np.where(np.arange(600) < 3, "température: ±5 K", "").astype(object)),
    )
    table = moved(table, "time", calendar, truth)
    if calendar == "standard":
        table["time"].values[0] = np.datetime64("NaT")
    found = xdeepda.assimilate(ocean, table, model=persistence, ledger=True)
    expected = xdeepda.departures(found)
    path = tmp_path / store
    if store == "netcdf":
        found.to_netcdf(path)
    else:
        found.to_zarr(path, zarr_format=int(store[-1]))
    with opened(path, "netcdf4" if store == "netcdf" else "zarr", calendar) as back:
        ledger = xdeepda.departures(back)
        same(ledger, expected)
        assert ledger["fate"].attrs["flag_meanings"] == expected["fate"].attrs["flag_meanings"]
        assert str(xdeepda.explain(back, 2)) == str(xdeepda.explain(found, 2))
        again = xdeepda.departures(back.load(), table)
        np.testing.assert_array_equal(again["residual"], expected["residual"])


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_a_file_beside_the_analysis(calendar, ocean, persistence, many, tmp_path, truth):
    table = moved(many, "time", calendar, truth)
    within = xdeepda.assimilate(ocean, table, model=persistence, ledger=True)
    beside = xdeepda.assimilate(ocean, table, model=persistence, ledger=tmp_path / "ledger.nc")
    assert beside.attrs["ledger"] == str(tmp_path / "ledger.nc")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.nc"]
    same(xdeepda.departures(beside), xdeepda.departures(within))
    # a ledger is read by itself, too
    with opened(tmp_path / "ledger.nc", "netcdf4", calendar) as alone:
        same(xdeepda.departures(alone), xdeepda.departures(within))
        assert alone.attrs["model_hash"] == persistence.hash
    # moved together, they find each other
    beside.to_netcdf(tmp_path / "analysis.nc")
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in ("ledger.nc", "analysis.nc"):
        (tmp_path / name).rename(other / name)
    with opened(other / "analysis.nc", "netcdf4", calendar) as back:
        same(xdeepda.departures(back), xdeepda.departures(within))
    (other / "ledger.nc").unlink()
    with (
        opened(other / "analysis.nc", "netcdf4", calendar) as back,
        pytest.raises(InputError, match=r"is not at .*ledger\.nc nor at .*elsewhere"),
    ):
        xdeepda.departures(back)


def test_whole_or_not_at_all(ocean, persistence, many, tmp_path, monkeypatch):
    path = tmp_path / "ledger.nc"
    xdeepda.assimilate(ocean, many.isel(obs=slice(0, 50)), model=persistence, ledger=path)
    before = path.read_bytes()
    original = xr.Dataset.to_netcdf

    def break_off(self, target, **kwargs):
        original(self.isel(obs=slice(0, 5)), target, **kwargs)
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", break_off)
    with pytest.raises(OSError, match="no space"):
        xdeepda.assimilate(ocean, many, model=persistence, ledger=str(path))
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.nc"]
    assert path.read_bytes() == before


def test_an_analysis_without_a_ledger_is_none(analysis):
    assert ledger_module.detach(analysis) is None
    assert not ledger_module.is_ledger(analysis)
