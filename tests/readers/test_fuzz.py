"""Damaged files of every format give a table or an InputError: no other error, no hang, no
gigabytes.

Small files of each format (real ones where the data are at hand) are changed in a few
places or cut off.  The examples are the same in every run.
"""

from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xdeepda.errors import InputError
from xdeepda.observations.readers import open_observations

ARGO = {
    "DATA_TYPE": ("s16", np.array(list("Argo profile    "), "S1")),
    "PLATFORM_NUMBER": (("p", "s8"), np.array([list("1900001 ")] * 2, "S1")),
    "CYCLE_NUMBER": ("p", np.array([1, 2], "i4")),
    "DATA_MODE": ("p", np.array([b"D", b"R"], "S1")),
    "LATITUDE": ("p", [10.0, 11.0]), "LONGITUDE": ("p", [20.0, 21.0]),
    "JULD": ("p", [20000.0, 20010.0], {"units": "days since 1950-01-01"}),
    **{n: (("p", "z"), np.array([[a, b, 99999.0], [a, b, 3.0]], "f4"),
           {"units": u, "_FillValue": np.float32(99999.0)})
       for n, u, a, b in (("PRES", "decibar", 5, 10), ("TEMP", "degree_Celsius", 20, 19),
                          ("PSAL", "psu", 35, 35.1), ("TEMP_ADJUSTED", "degree_Celsius", 20, 19))},
    "TEMP_QC": (("p", "z"), np.array([list("149"), list("111")], "S1")),
}  # fmt: skip

TEXTS = {
    "csv": "time,latitude,longitude,depth,temperature [degC]\n"
    + "2005-01-02T00:00:00,5.0,330.0,10.0,20.5\n" * 5,
    "odv": "//<Encoding>UTF-8\nCruise\tStation\tType\tyyyy-mm-ddThh:mm:ss.sss\tLongitude "
    "[degrees_east]\tLatitude [degrees_north]\tBot. Depth [m]\tDepth [m]\tQF\tTemperature "
    "[degC]\tQF\nA\t1\tB\t2005-01-02T10:00:00\t20\t30\t100\t5\t0\t20.1\t0\n"
    "\t\t\t\t\t\t\t10\t0\t19.1\t0\n",
    "exchange": "CTD,20050101XX\n#\nNUMBER_HEADERS = 7\nEXPOCODE = A\nSTNNBR = 1\nCASTNO = 1\n"
    "DATE = 20050102\nLATITUDE = 10.0\nLONGITUDE = 20.0\nCTDPRS,CTDPRS_FLAG_W,CTDTMP,"
    "CTDTMP_FLAG_W\nDBAR,,ITS-90,\n3.0,2,20.5,2\n5.0,2,20.1,2\nEND_DATA\n",
    "itp": "%ITP 9, profile 1: year day longitude(E+) latitude(N+) ndepths\n2016 275.9 -145.1 "
    "75.2 2\n%pressure(dbar) temperature(C) salinity\n1 0.5 34.8\n2 0.6 34.8\n%endofdat\n",
}  # fmt: skip

REAL = (
    "argo/D2900313_000.nc", "wod/wod_016659621O.nc", "wod/example.dat", "gtspp/1264095.nc",
    "godas/19910101tmp.nc", "mitprof/argo_sample.nc", "tao/t0n110.5w_dy.cdf",
    "cmems_insitu/GL_201111_TS_DB_44761.nc", "cora/CO_DMQCGL01_19511210_PR_SH.nc",
    "cf_dsg/dsg_profile_example.nc", "imos/IMOS_ANMN-NRS_TZ_20181213_NRSROT_FV02_TEMP-gridded-"
    "timeseries_END-20190523_C-20230110.nc",
    "cchdo/test.nc", "cchdo/33RR20080204_mini_hy1.csv", "dart/temp_sal.out", "ctd_text/ctd.cnv",
    "ctd_text/20160622_0747_TC100.csv", "odv/sample_ODV_aggregated.txt", "roms/wc13_obs.nc",
    "icoads/icoads_r300_mixed_1899-01-02_subset.imma", "seadatanet/netCDF_trajectory_tsg_with_"
    "instrument.nc", "sst/erdHadISST_Africa.nc.gz", "drifter/craid_2004-12-20_subset.nc",
    "wod/biology_JP14323.nc", "owc/ctd_3505.mat",
)  # fmt: skip


class Files(dict):
    """Contents by name, of which a failing test shows nothing."""

    def __repr__(self) -> str:
        return f"{len(self)} files"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Files:
    """Small files that are written here."""
    folder = tmp_path_factory.mktemp("made")
    argo = xr.Dataset({name: xr.Variable(*told) for name, told in ARGO.items()})
    argo.to_netcdf(folder / "argo.nc", format="NETCDF3_CLASSIC")
    argo.to_netcdf(folder / "argo4.nc", format="NETCDF4")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return Files({**files, **{name: text.encode() for name, text in TEXTS.items()}})


def damaged(draw, raw: bytes) -> bytes:
    """A file with a few bytes changed, most of them near its beginning, perhaps cut off."""
    data = bytearray(raw)
    near = draw(st.booleans())
    last = min(len(data), 6000 if near else len(data)) - 1
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, last))
        new = draw(
            st.binary(min_size=1, max_size=4)
            | st.sampled_from([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"1e99", b"-nan",
                               b"\n\n", b"9999", b"\x80"])
        )  # fmt: skip
        data[at : at + len(new)] = new
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


def check(path, raw: bytes) -> None:
    """A table whose rows are complete, or an InputError; memory in proportion to the file."""
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        table = open_observations(path)
    except InputError:
        pass
    else:
        assert np.isfinite(table["value"]).all()
        bad = table["qc"].values >= 3
        assert (table["reason"].values[bad] != "").all()
        wrong = ~(np.abs(table["latitude"].values) <= 90) | np.isnat(table["time"].values)
        assert (table["qc"].values[wrong] == 4).all()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 3e7 + 300 * len(raw)


@pytest.mark.parametrize("name", ["argo.nc", "argo4.nc", *TEXTS])
def test_the_undamaged_file_opens(made, tmp_path, name):
    (tmp_path / "a").write_bytes(made[name])
    assert open_observations(tmp_path / "a").sizes["obs"] >= 2


@pytest.mark.parametrize("name", ["argo.nc", "argo4.nc", *TEXTS])
@settings(max_examples=25)
@given(data=st.data())
def test_damage_of_written_files(made, tmp_path, name, data):
    check(tmp_path / "a", damaged(data.draw, made[name]))


@pytest.mark.parametrize("name", REAL)
@settings(max_examples=6)
@given(data=st.data())
def test_damage_of_real_files(data_folder, tmp_path, name, data):
    raw = (data_folder / "observations" / name).read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        raw = gzip.decompress(raw)
    check(tmp_path / "a", damaged(data.draw, raw))


def test_a_heap_of_hdf5_that_never_ends_is_refused(made, tmp_path):
    raw = bytearray(made["argo4.nc"])
    at = raw.index(b"GCOL") + 16 + 8  # size of the first object
    assert raw[at] == 8
    for size in (2**64 - 16, 2**64 - 24, 0xFFFF):
        raw[at : at + 8] = size.to_bytes(8, "little")
        (tmp_path / "a.nc").write_bytes(raw)
        with pytest.raises(InputError, match="impossible size"):
            open_observations(tmp_path / "a.nc")
