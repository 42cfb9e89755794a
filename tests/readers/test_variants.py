"""The same observations in another dress give the same table: decoded, transposed, reversed,
written again by xarray, with letters as strings; and optional variables may be missing."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers import Source, open_observations

SAMPLES = (
    "argo/R3901602_163.nc", "argo/20060101_prof.nc", "argo/argo_erddap_6659da36f0.nc",
    "cchdo/test.nc", "cchdo/320620180309_00001_00001_ctd.nc", "cf_dsg/StationProfile.nc",
    "cf_dsg/dsg_timeseries_example.nc", "cmems_insitu/GL_201111_TS_DB_44761.nc",
    "cora/CO_DMQCGL01_19511210_PR_SH.nc", "drifter/craid_2004-12-20_subset.nc",
    "godas/19910101tmp.nc", "gtspp/1264095.nc", "mitprof/prof_example.nc", "mitprof/obsfit_t.nc",
    "roms/wc13_obs.nc", "seadatanet/netCDF_trajectory_tsg_with_instrument.nc",
    "sst/erdHadISST_Africa.nc.gz", "tao/t0n110.5w_dy.cdf", "wod/ocldb1570984477.6279_OSD.nc",
    "wod/wod_016659621O.nc", "imos/IMOS_ANMN-NRS_TZ_20181213_NRSROT_FV02_TEMP-gridded-timeseries_"
    "END-20190523_C-20230110.nc", "glider/dfo-eva035-20190718.nc",
)  # fmt: skip


def raw(path) -> xr.Dataset:
    """Everything in the file, undecoded."""
    with Source(path) as source:
        return source.dataset().load()


def rows(table: xr.Dataset):
    """Rows in an order of their own, rounded where ways of decoding differ."""
    frame = table.to_dataframe().reset_index(drop=True)
    frame = frame.drop(columns=["source", "platform", "profile"])
    frame = frame.round({"value": 4, "error": 5, "depth": 3, "latitude": 4, "longitude": 4})
    frame = frame[[*frame.columns.drop("time").sort_values(), "time"]]
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


def same(table: xr.Dataset, other: xr.Dataset) -> None:
    """Both hold the same rows."""
    one, two = rows(table), rows(other)
    assert len(one) == len(two)
    assert (np.abs(one.pop("time") - two.pop("time")).max()) < np.timedelta64(1, "s")
    for name in one:
        np.testing.assert_array_equal(one[name].to_numpy(), two[name].to_numpy(), err_msg=name)


def letters(variable: xr.Variable) -> bool:
    """Whether the last dimension of a variable counts letters."""
    return variable.dtype == np.dtype("S1") and variable.ndim > 0


@pytest.mark.parametrize("name", SAMPLES)
def test_transposed_and_reversed(data_folder, name):
    path = data_folder / "observations" / name
    ds, want = raw(path), open_observations(path)
    turned = ds.assign(
        {n: v.transpose(*reversed(v.dims)) for n, v in ds.variables.items() if not letters(v)}
    )
    same(open_observations(turned), want)
    ragged = [n for n, v in ds.variables.items() if {"sample_dimension"} & set(v.attrs)]
    ragged += [n for n in ds.variables if str(n).lower() in ("rowsize", "z_row_size")]
    fixed = {v.dims[-1] for v in ds.variables.values() if letters(v)}
    if not ragged and not any("index" in str(n).lower() for n in ds.variables):
        back = ds.isel({d: slice(None, None, -1) for d in ds.sizes if d not in fixed})
        same(open_observations(back), want)


@pytest.mark.parametrize("name", [n for n in SAMPLES if not n.startswith("gtspp")])
def test_decoded_by_xarray(data_folder, tmp_path, name):
    path = data_folder / "observations" / name
    want = open_observations(path)
    if name.endswith(".gz"):
        (tmp_path / "a.nc").write_bytes(gzip.decompress(path.read_bytes()))
        path = tmp_path / "a.nc"
    with xr.open_dataset(path) as ds:
        same(open_observations(ds.load()), want)


@pytest.mark.parametrize(
    "name", [n for n in SAMPLES if not n.startswith(("wod/ocldb", "cmems", "imos"))]
)
def test_written_again_as_netcdf4_with_an_unlimited_dimension(data_folder, tmp_path, name):
    path = data_folder / "observations" / name
    ds = raw(path)
    ds.to_netcdf(tmp_path / "again.nc", format="NETCDF4", unlimited_dims=[next(iter(ds.sizes))])
    same(open_observations(tmp_path / "again.nc"), open_observations(path))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_missing_variable_is_named_or_not_needed(data_folder, name):
    ds = raw(data_folder / "observations" / name)
    want = open_observations(ds).sizes["obs"]
    open_still, refused = 0, []
    names = [str(n) for n in ds.variables]
    for lost in names[:: max(len(names) // 25, 1)]:
        try:
            table = open_observations(ds.drop_vars(lost))
        except InputError as error:
            refused.append(f"{lost}: {error}")
            continue
        assert 0 < table.sizes["obs"] <= want
        open_still += 1
    assert open_still or len(names) < 12
    # a sentence on what is missing, not an error of the program
    assert [told for told in refused if "damaged or unlike" in told] == []


def test_single_precision_and_integers_of_argo(data_folder):
    path = data_folder / "observations/argo/D2900313_000.nc"
    with xr.open_dataset(path) as ds:
        ds = ds.load()
    ds["PLATFORM_NUMBER"] = ds["PLATFORM_NUMBER"].astype(int)
    ds["CYCLE_NUMBER"] = ds["CYCLE_NUMBER"].astype("f4")
    for name in ("TEMP_QC", "TEMP_ADJUSTED_QC", "PRES_QC"):
        ds[name] = ds[name].astype(float)
    table, want = open_observations(ds), open_observations(path)
    same(table, want)
    assert set(table["platform"].values) == set(want["platform"].values)
    assert set(table["profile"].values) == set(want["profile"].values)


def test_profiles_of_ships_are_numbered_by_profile_whatever_the_order(data_folder):
    path = data_folder / "observations/cora/CO_DMQCGL01_19511210_PR_SH.nc"
    ds = raw(path)
    turned = ds.assign(
        {n: ds[n].transpose("N_LEVELS", "N_PROF") for n in ds.variables
         if ds[n].dims == ("N_PROF", "N_LEVELS") and ds[n].dtype.kind == "f"}
    )  # fmt: skip
    assert len(set(open_observations(turned)["profile"].values)) == 85
