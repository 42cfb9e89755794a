"""Every text sample opens with its counts, or says precisely why not; damaged ones say so."""

from __future__ import annotations

import gzip
import random
import time

import numpy as np
import pytest
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers import open_observations

#: File -> reader, numbers of temperatures, salinities, surface temperatures, and casts.
SAMPLES = {
    "wod/example.dat": ("wod_ascii", 4, 4, 0, 1),
    "wod/XBTS2005": ("wod_ascii", 30605, 0, 0, 1985),
    "wod/quota_subset.dat": ("wod_ascii", 3111, 750, 0, 150),
    "wod/ocldb1224607247.14854.CTD10.csv.gz": ("wodselect_csv", 61874, 61874, 0, 123),
    "cchdo/18HU2010014_00003_00001_ct1.csv": ("exchange_ctd", 168, 168, 0, 1),
    "cchdo/33RR20080204_mini_hy1.csv": ("exchange_bottle", 123, 123, 0, 6),
    "cchdo/a03_hy1.csv.gz": ("exchange_bottle", 2841, 2841, 0, 124),
    "odv/BlackSea_2profiles.txt": ("odv", 15, 15, 0, 2),
    "odv/ODVcompact_sample_WOD09_CTD.txt": ("odv", 2677, 2669, 0, 155),
    "odv/sample02.txt": ("odv", 79, 79, 0, 1),
    "odv/sample_ODV.txt": ("odv", 0, 1, 0, 1),
    "odv/sample_ODV_aggregated.txt": ("odv", 18, 18, 0, 2),
    "ctd_text/ctd.cnv": ("seabird_cnv", 181, 181, 0, 1),
    "ctd_text/itp99grd0000.dat": ("itp", 113, 113, 0, 1),
    "ctd_text/20160622_0747_TC100.csv": ("castaway", 312, 312, 0, 1),
    "dart/temp_sal.out": ("dart", 1, 1, 0, 2),
    "dart/wod_T2.out": ("dart", 571, 0, 0, 13),
    "dart/roms_ucla_obs_seq.out.gz": ("dart", 5120, 125, 0, None),
    "icoads/icoads_r300_mixed_1899-01-02_subset.imma": ("imma", 0, 0, 53, 53),
    "owc/ctd_3505.mat": ("owc", 28246, 28607, 0, 10),
    "tao/tao-all2.dat.gz": ("tao_uci", 0, 0, 161073, None),
}

#: File -> what is said of it.
REFUSED = {
    "icoads/gdac_2003-02-01_subset.immt": "10 reports, none with a sea surface temperature",
    "nemo_fdbk/fdbk_info.txt": "description of NEMO feedback files",
    "tao/README_t.txt": "words, with no table of numbers",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_counts_of_a_sample(data_folder, name):
    reader, warm, salt, surface, casts = SAMPLES[name]
    table = open_observations(data_folder / "observations" / name)
    assert table.attrs["reader"] == reader
    names = table["variable"].values
    assert [int((names == n).sum()) for n in ("thetao", "so", "tos")] == [warm, salt, surface]
    if casts is not None:
        assert len(set(table["profile"].values)) == casts
    assert np.isfinite(table["value"]).all()
    bad = table["qc"].values >= 3
    assert all(table["reason"].values[bad])
    assert not any(table["reason"].values[~bad])


@pytest.mark.parametrize("name", REFUSED)
def test_a_sample_without_data_says_so(data_folder, name):
    with pytest.raises(InputError, match=REFUSED[name]):
        open_observations(data_folder / "observations" / name)


def row(table, n, name):
    """Value, depth and time of a row of a variable."""
    mine = table.isel(obs=np.flatnonzero(table["variable"].values == name)[n])
    return float(mine["value"]), float(mine["depth"]), mine["time"].values


def test_values_by_hand(data_folder):
    """First rows, read with one's own eyes; in-situ temperatures near the surface move by mK."""
    folder = data_folder / "observations"
    value, depth, when = row(open_observations(folder / "ctd_text/itp99grd0000.dat"), 0, "so")
    assert value == 34.8209
    assert depth == pytest.approx(517.8, abs=0.1)  # 524 dbar at 78 N
    # day 275.91809 of a leap year, day 1 being 1 January
    assert abs(when - np.datetime64("2016-10-01T22:02:03")) <= np.timedelta64(1, "s")

    value, depth, when = row(open_observations(folder / "ctd_text/ctd.cnv"), 0, "so")
    assert (value, depth) == (29.921, 1.468)
    assert when == np.datetime64("2003-10-15T11:38:38")  # its software wrote 1903

    bottle = open_observations(folder / "cchdo/33RR20080204_mini_hy1.csv")
    value, depth, when = row(bottle, 0, "thetao")
    assert value == pytest.approx(26.2013, abs=3e-3)
    assert when == np.datetime64("2008-02-05T22:07")

    value, depth, when = row(open_observations(folder / "odv/BlackSea_2profiles.txt"), 5, "so")
    assert (value, depth, when) == (17.583, 10.0, np.datetime64("1991-09-03T21:10"))

    imma = open_observations(folder / "icoads/icoads_r300_mixed_1899-01-02_subset.imma")
    assert row(imma, 0, "tos") == (16.7, 0.0, np.datetime64("1899-01-02T23:00"))
    assert (imma["latitude"].values[0], imma["longitude"].values[0]) == (42.5, 318.5)
    assert imma["instrument"].values[0] == "ship, bucket"

    tao = open_observations(folder / "tao/tao-all2.dat.gz")
    assert row(tao, 0, "tos") == (26.24, 1.0, np.datetime64("1980-03-07T12:00"))

    owc = open_observations(folder / "owc/ctd_3505.mat")
    value, depth, when = row(owc, 0, "so")
    assert value == pytest.approx(33.66199875, abs=1e-8)
    assert when == np.datetime64("1974-02-01T22:37:48")


def test_dart_radians_variances_and_levels(data_folder):
    folder = data_folder / "observations/dart"
    two = open_observations(folder / "temp_sal.out")
    np.testing.assert_allclose(two["latitude"], [5, 12], atol=1e-9)
    np.testing.assert_allclose(two["longitude"], [105, 113], atol=1e-9)
    np.testing.assert_allclose(two["error"], np.sqrt(0.1))
    assert two["time"].values[0] == np.datetime64("2025-07-18T06:00")
    roms = open_observations(folder / "roms_ucla_obs_seq.out.gz")
    assert (roms["qc"] == 3).all()
    assert "model level" in roms["reason"].values[0]


def test_a_default_position_is_none(data_folder):
    cast = open_observations(data_folder / "observations/ctd_text/20160622_0747_TC100.csv")
    assert np.isnan(cast["latitude"]).all()
    assert set(cast["reason"].values) == {"position is missing"}
    assert "default latitude" in cast.attrs["notes"]


def test_the_same_casts_in_two_formats(data_folder):
    """WODselect's CSV and MITprof's netCDF of the same casts: dates and positions agree."""
    folder = data_folder / "observations"
    csv = open_observations(folder / "wod/ocldb1224607247.14854.CTD10.csv.gz")
    first = csv.isel(obs=(csv["profile"].values == "7674844") & (csv["variable"].values == "so"))
    np.testing.assert_array_equal(first["value"][:6], [38.126, *[38.125] * 3, 38.123, 38.128])
    np.testing.assert_array_equal(first["depth"][:6], [3.0, 4.0, 5.0, 6.0, 6.9, 7.9])
    assert "hour is missing in 20 casts" in csv.attrs["notes"]
    with xr.open_dataset(folder / "mitprof/wod05_CTD_1990s.nc", decode_times=False) as other:
        theirs = sorted(
            zip(
                other["prof_YYYYMMDD"].values.astype(int).tolist(),
                np.round(other["prof_lat"].values, 3).tolist(),
                np.round(other["prof_lon"].values, 3).tolist(),
                strict=True,
            )
        )
    casts = np.unique(csv["profile"].values.astype(str), return_index=True)[1]
    days = np.datetime_as_string(csv["time"].values[casts], "D")
    ours = sorted(
        zip(
            [int(d.replace("-", "")) for d in days],
            np.round(csv["latitude"].values[casts], 3).tolist(),
            np.round(csv["longitude"].values[casts], 3).tolist(),
            strict=True,
        )
    )
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def damaged_copies(data: bytes, rng: random.Random):
    """Truncations at many positions, and single bytes that are others."""
    for _ in range(6):
        yield data[: rng.randrange(len(data))]
    for _ in range(4):
        copy = bytearray(data)
        for _ in range(rng.choice([1, 10])):
            reach = min(len(copy), rng.choice([200, 3000, 10**9]))
            copy[rng.randrange(reach)] = rng.choice([0, 45, 48, 57, 10, 32, 0xB2, 0xFF])
        yield bytes(copy)


@pytest.mark.parametrize("name", [*SAMPLES, *REFUSED])
def test_damage_is_an_input_error(data_folder, tmp_path, name):
    path = data_folder / "observations" / name
    data = path.read_bytes()
    data = (gzip.decompress(data) if path.suffix == ".gz" else data)[:120_000]
    copy = tmp_path / "copy.txt"
    for text in damaged_copies(data, random.Random(name)):
        copy.write_bytes(text)
        start = time.process_time()
        message, table = "copy.txt", None
        try:
            table = open_observations(copy)
        except InputError as error:
            message = str(error)
        assert "copy.txt" in message
        assert table is None or np.isfinite(table["value"]).all()
        assert time.process_time() - start < 20


@pytest.mark.parametrize("name", ["cchdo/a03_hy1.csv.gz", "tao/tao-all2.dat.gz"])
def test_truncated_compression(data_folder, tmp_path, name):
    data = (data_folder / "observations" / name).read_bytes()
    copy = tmp_path / "cut.gz"
    for end in (1, 2, 20, len(data) // 2, len(data) - 1):
        copy.write_bytes(data[:end])
        with pytest.raises(InputError, match=r"cut\.gz"):
            open_observations(copy)
