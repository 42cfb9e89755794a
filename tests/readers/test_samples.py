"""Every netCDF and MATLAB sample opens with the counts, ranges and dates of its raw values,
or says precisely why not."""

from __future__ import annotations

import numpy as np
import pytest

from xdeepda.errors import InputError
from xdeepda.observations.readers import Source, open_observations
from xdeepda.observations.readers.recognition import recognise

#: file: reader, rows by variable, first and last day, latitudes
OPENED = {
    "argo/13857_prof.nc": ("argo", {"thetao": 14155}, "1997-07-29", "2001-10-05", (0.07, 6.86)),
    "argo/20060101_prof.nc": (
        "argo", {"thetao": 1801, "so": 1801}, "2006-01-01", "2006-01-01", (-61.91, 13.07)),
    "argo/2900313_prof.nc": (
        "argo", {"thetao": 560, "so": 560}, "2003-08-13", "2003-10-22", (23.24, 24.56)),
    "argo/2902746_Sprof.nc": (
        "argo", {"thetao": 18434, "so": 18434}, "2018-05-24", "2020-11-09", (17.96, 22.55)),
    "argo/6900388_prof.nc": (
        "argo", {"thetao": 12382, "so": 12382}, "2005-10-29", "2011-11-27", (48.74, 64.33)),
    "argo/7900364_prof.nc": (
        "argo", {"thetao": 5070, "so": 5070}, "2012-12-27", "2014-03-31", (-66.67, -65.94)),
    "argo/D2900313_000.nc": (
        "argo", {"thetao": 70, "so": 70}, "2003-08-13", "2003-08-13", (23.24, 23.24)),
    "argo/D4902337_219.nc": (
        "argo", {"thetao": 960, "so": 960}, "2021-06-22", "2021-06-22", (44.25, 44.25)),
    "argo/R2902746_001.nc": (
        "argo", {"thetao": 101, "so": 101}, "2018-05-24", "2018-05-24", (20.73, 20.73)),
    "argo/R3901602_163.nc": (
        "argo", {"thetao": 76, "so": 76}, "2021-02-25", "2021-02-25", (43.81, 43.81)),
    "argo/argo_erddap_6659da36f0.nc": (
        "argo", {"thetao": 55, "so": 55}, "2004-01-04", "2004-01-24", (0.43, 0.73)),
    "argo/argo_erddap_eaf644cc25.nc.gz": (
        "argo", {"thetao": 5914, "so": 5914}, "2001-11-11", "2025-10-14", (42.51, 44.27)),
    "cchdo/320620180309_00001_00001_ctd.nc": (
        "cchdo_whp", {"thetao": 700, "so": 700}, "2018-03-17", "2018-03-17", (-70.45, -70.45)),
    "cchdo/test.nc": (
        "cchdo", {"thetao": 135, "so": 135}, "2004-11-14", "2004-11-21", (-7.99, 8.07)),
    "cf_dsg/StationProfile.nc": (
        "cf", {"thetao": 16063, "so": 16009}, "1997-03-21", "2008-04-01", (44.65, 44.65)),
    "cf_dsg/dsg_profile_example.nc": (
        "cf", {"thetao": 1268, "so": 1268}, "2012-08-22", "2012-08-26", (70.6, 71.82)),
    "cf_dsg/dsg_timeseries_example.nc": (
        "cf", {"tos": 2312}, "2017-01-15", "2017-04-21", (-19.0, 21.0)),
    "cf_dsg/epa+seamap_04-08_WD23.nc": (
        "cf", {"thetao": 177, "so": 177}, "2004-07-06", "2006-07-11", (28.0, 28.0)),
    "cf_dsg/ncCFMA1a.nc": ("cf", {"tos": 22}, "2005-05-01", "2005-05-01", (37.36, 38.0)),
    "cf_dsg/point-H.1.nc": ("cf", {"thetao": 100}, "1990-01-01", "1990-01-01", (1.0, 179.0)),
    "cf_dsg/profile-Orthogonal-MultiDimensional-MultipleProfiles-H.3.1.nc": (
        "cf", {"thetao": 5964}, "1990-01-01", "1990-01-06", (0.0, 179.0)),
    "cf_dsg/timeSeriesProfile-Multidimensional-SingleStation-H.5.2.nc": (
        "cf", {"thetao": 120}, "1990-01-01", "1990-01-01", (37.5, 37.5)),
    "cf_dsg/timeSeriesProfile-Ragged-SingleStation-H.5.3.nc": (
        "cf", {"thetao": 10}, "1990-01-01", "1990-01-01", (37.5, 37.5)),
    "cf_dsg/trajectoryProfile-Multidimensional-SingleTrajectory-H.6.2.nc": (
        "cf", {"so": 20}, "1990-01-01", "1990-01-01", (1.47, 38.3)),
    "cmems_insitu/GL_201111_TS_DB_44761.nc": (
        "cmems", {"thetao": 582}, "2011-11-01", "2011-11-27", (51.9, 52.94)),
    "cmems_insitu/GL_PR_PF_5906438.nc": (
        "cmems", {"thetao": 16972, "so": 16972}, "2021-05-10", "2022-04-07", (34.85, 43.89)),
    "cora/CO_DMQCGL01_19511210_PR_SH.nc": (
        "argo", {"thetao": 2044}, "1951-12-10", "1951-12-10", (35.47, 36.83)),
    "drifter/craid_2004-12-20_subset.nc": (
        "drifters", {"tos": 6}, "2004-12-20", "2004-12-20", (-50.57, -50.55)),
    "glider/dfo-eva035-20190718.nc": (
        "gliders", {"thetao": 5521, "so": 5519}, "2019-07-21", "2019-07-23", (48.79, 49.13)),
    "godas/19910101tmp.nc": (
        "godas", {"thetao": 3327}, "1991-01-01", "1991-01-01", (-49.15, 56.92)),
    "gtspp/1264095.nc": ("gtspp", {"thetao": 15}, "2000-01-31", "2000-01-31", (-19.45, -19.45)),
    "imos/IMOS_ANMN-NRS_TZ_20181213T080000Z_NRSROT_FV01_NRSROT-1812-SBE39-23_END-"
    "20190306T160000Z_C-20190827T000000Z.nc": (
        "imos", {"thetao": 12001}, "2018-12-13", "2019-03-06", (-31.99, -31.99)),
    "imos/IMOS_ANMN-NRS_TZ_20181213_NRSROT_FV01_TEMP-aggregated-timeseries_END-20190523_C-"
    "20220607.nc": ("imos", {"thetao": 32150}, "2018-12-13", "2019-05-23", (-31.99, -31.99)),
    "imos/IMOS_ANMN-NRS_TZ_20181213_NRSROT_FV02_TEMP-gridded-timeseries_END-20190523_C-"
    "20230110.nc": ("imos", {"thetao": 129}, "2018-12-13", "2018-12-15", (-31.99, -31.99)),
    "mitprof/argo_sample.nc": (
        "mitprof", {"thetao": 1288, "so": 1288}, "2006-01-01", "2006-01-01", (-61.91, 13.07)),
    "mitprof/obsfit_t.nc": (
        "obsfit", {"thetao": 1483}, "2007-01-01", "2007-01-09", (-68.29, -41.04)),
    "mitprof/prof_example.nc": (
        "mitprof", {"thetao": 11549, "so": 11548}, "1992-01-05", "1992-01-05", (-59.78, -43.01)),
    "mitprof/wod05_CTD_1990s.nc": (
        "mitprof", {"thetao": 2751, "so": 2751}, "1990-02-10", "1990-02-13", (-59.11, 70.01)),
    "owc/ctd_3505.mat": (
        "owc", {"thetao": 28246, "so": 28607}, "1974-02-01", "1993-04-21", (-58.0, -50.01)),
    "roms/wc13_obs.nc": (
        "roms", {"thetao": 5120, "so": 125}, "2004-01-03", "2004-01-06", (30.7, 47.3)),
    "seadatanet/netCDF_trajectory_tsg_with_instrument.nc": (
        "seadatanet", {"thetao": 264, "so": 264}, "2000-08-11", "2000-08-11", (42.34, 42.35)),
    "seadatanet/netCDF_vertical_profiles_ctd.nc.gz": (
        "seadatanet", {"thetao": 21645, "so": 21645}, "2006-05-24", "2006-05-26", (38.43, 40.33)),
    "sst/SS_AMSR2-L2B_v08_r38622-v02.0-fv01.0.nc": (
        "sst", {"tos": 105536}, "2019-08-21", "2019-08-21", (-82.5, -16.2)),
    "sst/erdHadISST_Africa.nc.gz": (
        "sst", {"tos": 2293}, "2020-12-16", "2020-12-16", (-39.5, 20.5)),
    "tao/s0n110w_dy.cdf.gz": ("tao", {"so": 26531}, "1997-08-20", "2020-01-07", (0.0, 0.0)),
    "tao/s0n140w_dy.cdf.gz": ("tao", {"so": 28715}, "1987-10-14", "2020-01-07", (0.0, 0.0)),
    "tao/s0n165e_dy.cdf.gz": ("tao", {"so": 37466}, "1988-11-14", "2020-01-07", (0.0, 0.0)),
    "tao/s0n170w_dy.cdf.gz": ("tao", {"so": 23356}, "2000-07-04", "2018-12-11", (0.0, 0.0)),
    "tao/t0.7n110w_dy.cdf": ("tao", {"thetao": 4356}, "1979-01-20", "1981-10-30", (0.7, 0.7)),
    "tao/t0n110.5w_dy.cdf": ("tao", {"thetao": 824}, "1979-01-20", "1979-05-02", (0.0, 0.0)),
    "tao/t0n140w_dy.cdf.gz": ("tao", {"thetao": 165592}, "1983-04-16", "2020-01-07", (0.0, 0.0)),
    "tao/t0n165e_dy.cdf.gz": ("tao", {"thetao": 159105}, "1986-01-20", "2020-01-07", (0.0, 0.0)),
    "tao/t0n170w_dy.cdf.gz": ("tao", {"thetao": 127802}, "1988-05-16", "2018-12-11", (0.0, 0.0)),
    "wod/biology_JP14323.nc": ("wod", {"thetao": 74}, "1970-10-08", "1971-01-08", (36.3, 42.87)),
    "wod/ocldb1570984477.6279_OSD.nc": (
        "wod", {"thetao": 666, "so": 624}, "1934-08-07", "1934-08-07", (29.13, 78.9)),
    "wod/wod_016659621O.nc": (
        "wod", {"thetao": 65, "so": 65}, "2015-02-09", "2015-02-09", (-55.09, -55.09)),
    "wod/wod_017320368O.nc": (
        "wod", {"thetao": 67, "so": 67}, "2015-10-15", "2015-10-15", (-55.07, -55.07)),
    "wod/wod_017417327O.nc": (
        "wod", {"thetao": 996, "so": 996}, "2016-02-04", "2016-02-04", (-55.44, -55.44)),
    "wod/wod_017893245O.nc": (
        "wod", {"thetao": 1035, "so": 1035}, "2016-11-19", "2016-11-19", (-55.13, -55.13)),
}  # fmt: skip

AIR = "temperature is air_temperature"
#: file: what the message says
REFUSED = {
    "argo/2902746_meta.nc": "no temperature and no salinity, type 'Argo meta-data'",
    "argo/BR2902746_001.nc": "no temperature and no salinity, only DOXY",
    "cf_dsg/Point.nc": "no temperature and no salinity of the sea",
    "cf_dsg/Station.nc": "all are missing",
    "cf_dsg/TrajectoryProfile.nc": "neither depth nor pressure; 'bottle_posn' has axis Z",
    "cf_dsg/badIndexed1To6.nc": AIR,
    "cf_dsg/profile-Contiguous-Ragged-MultipleProfiles-H.3.4.nc": AIR,
    "cf_dsg/profile-Indexed-Ragged-MultipleProfiles-H.3.5.nc": AIR,
    "cf_dsg/timeSeries-Incomplete-MultiDimensional-MultipleStations-H.2.2.nc": AIR,
    "cf_dsg/timeSeries-Orthogonal-Multidimenstional-MultipleStations-H.2.1.nc": AIR,
    "cf_dsg/timeSeriesProfile-Orthogonal-Multidimensional-MultipeStations-H.5.1.nc": AIR,
    "cf_dsg/trajectory-Contiguous-Ragged-MultipleTrajectories-H.4.3.nc": AIR,
    "cf_dsg/trajectory-Incomplete-Multidimensional-SingleTrajectory-H.4.2.nc": AIR,
    "cf_dsg/trajectory-Indexed-Ragged-MultipleTrajectories-H.4.4.nc": AIR,
    "cf_dsg/trajectoryProfile-Ragged-MultipleTrajectories-H.6.3.nc": AIR,
    "cora/CO_DMQCGL01_20021117_TS_DC.nc": "no temperature and no salinity",
    "roms/wc13_grd.nc": "no reader knows this structure",
    "sst/sst_ndjfm_anom.nc": "has no units: a temperature or an anomaly",
    "tao/dyn0n110w_dy.cdf.gz": "only DYN_13",
    "tao/heat0n140w_dy.cdf": "only HTC_130",
    "tao/iso0n110w_dy.cdf.gz": "only ISO_6",
}


@pytest.mark.parametrize("name", OPENED)
def test_a_sample_opens_with_what_its_raw_values_say(data_folder, name):
    reader, counts, first, last, latitudes = OPENED[name]
    with Source(data_folder / "observations" / name) as source:
        assert recognise(source).name == reader
    table = open_observations(data_folder / "observations" / name)
    found, number = np.unique(table["variable"].values.astype(str), return_counts=True)
    assert dict(zip(found.tolist(), number.tolist(), strict=True)) == counts
    days = table["time"].values.astype("datetime64[D]")
    assert (str(days.min()), str(days.max())) == (first, last)
    lat = table["latitude"].values
    assert lat.min() == pytest.approx(latitudes[0], abs=0.006 if reader != "sst" else 0.06)
    assert lat.max() == pytest.approx(latitudes[1], abs=0.006 if reader != "sst" else 0.09)
    assert np.isfinite(table["value"]).all()
    bad = table["qc"].values >= 3
    assert (table["reason"].values[bad] != "").all()
    assert (table["reason"].values[~bad] == "").all()
    assert table.attrs["ignored"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_sample_says_why_it_cannot_be_opened(data_folder, name):
    with pytest.raises(InputError) as told:
        open_observations(data_folder / "observations" / name)
    assert REFUSED[name] in str(told.value)


def test_no_netcdf_sample_is_forgotten(data_folder):
    folder = data_folder / "observations"
    known = set(OPENED) | set(REFUSED)
    # the same kinds again, and two that take seconds
    alike = {f"tao/{kind}0n{site}_dy.cdf.gz" for kind in ("dyn", "iso")
             for site in ("140w", "165e", "170w")}  # fmt: skip
    alike |= {f"tao/heat0n{site}_dy.cdf" for site in ("165e", "170w")}
    large = {"argo/argo_equatorial_atlantic_2003_2025_prof.nc", "sst/sst.jan1.2004.nc"}
    kinds = (".nc", ".cdf", ".nc.gz", ".cdf.gz", ".mat")
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.name.endswith(kinds)}
    assert there - known - alike - large == set()


def test_bad_values_of_argo_stay_with_their_reason(data_folder):
    table = open_observations(data_folder / "observations/argo/20060101_prof.nc")
    hot = table.isel(obs=(table["value"].values > 33) & (table["variable"].values == "thetao"))
    assert hot.sizes["obs"] == 1
    assert hot["qc"].item() == 4
    assert "Argo flag 4 (bad)" in hot["reason"].item()
    assert hot["platform"].item() == "1900368"


def test_many_files_become_one_table(data_folder):
    folder = data_folder / "observations"
    table = open_observations(
        [
            folder / "argo/D2900313_000.nc",
            str(folder / "tao/t0*.cdf"),
            folder / "mitprof/obsfit_t.nc",
        ]
    )
    assert table.sizes["obs"] == 140 + 4356 + 824 + 1483
    assert table.attrs["files"] == 4
    assert set(table.attrs["reader"].split("; ")) == {"argo", "tao", "obsfit"}
    assert table["value"].attrs["units_so"] == "psu"
    only = open_observations(folder / "argo/D2900313_000.nc", var="salinity")
    assert set(only["variable"].values) == {"so"}
    assert only["value"].attrs["units"] == "psu"
