"""Small texts of each format, made up to hold one trap each."""

from __future__ import annotations

import math

import gsw
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers import Source, open_observations, read_with
from xdeepda.observations.readers.textual import angle, code_of, judged, number, stamp


def opened(folder, text: str, name: str = "file.txt"):
    """Table of a text."""
    path = folder / name
    path.write_bytes(text.encode("latin-1"))
    return open_observations(path)


def columns(table, name: str, *wanted: str):
    """Columns of the rows of one variable, as lists."""
    mine = table.isel(obs=table["variable"].values == name)
    return [mine[column].values.tolist() for column in wanted]


# ---- what they share


@pytest.mark.parametrize(
    ("text", "value"),
    [(" 3.5", 3.5), ("-.5", -0.5), ("1e3", 1e3), ("1.5D-2", 0.015), ("---*---", math.nan),
     ("", math.nan), (".", math.nan), ("NaN", math.nan)],
)  # fmt: skip
def test_numbers(text, value):
    assert number(text) == value or math.isnan(value)


@pytest.mark.parametrize("text", ["inf", "1_0", "0x1", "1 2", "²", "1" * 100, "__import__('os')"])
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match="no number"):
        number(text)


def test_angles():
    assert angle("N44 41.056") == pytest.approx(44 + 41.056 / 60)
    assert angle("w63 38.633") == pytest.approx(-(63 + 38.633 / 60))
    assert angle("44 30 36 S") == pytest.approx(-44.51)
    assert angle("-0 30") == -0.5
    assert angle("12.25") == 12.25
    assert math.isnan(angle(" "))
    for bad in ("1 2 3 4", "5 N E", "north"):
        with pytest.raises(ValueError, match="no"):
            angle(bad)


def test_dates():
    assert stamp(2000, 2, 29, 23.5) == np.datetime64("2000-02-29T23:30")
    assert stamp(2000, 1, 1) == np.datetime64("2000-01-01T12:00")
    assert stamp(2000, 1, 1, 24) == np.datetime64("2000-01-02T00:00")
    for bad in (
        (2001, 2, 29, 0),
        (2001, 0, 1, 0),
        (1500, 1, 1, 0),
        (2001, 1, 1, 25),
        (1e9, 1, 1, 0),
    ):
        assert np.isnat(stamp(*bad))


def test_the_worst_flag_counts_and_absent_ones_do_not():
    gtspp = np.array([1, 4, -1, -1, 0], dtype=np.int16)
    wod = np.array([0, 0, 0, -1, 0], dtype=np.int16)
    qc, reason = judged((gtspp, "gtspp"), (wod, "wod_profile"))
    np.testing.assert_array_equal(qc, [1, 4, 1, 0, 0])
    assert reason.tolist() == ["", "GTSPP flag 4 (erroneous)", "", "", ""]
    assert (code_of("B"), code_of("\x00"), code_of("12")) == (66, -1, 12)


# ---- WODselect


BLOCK = """\
#----------------------------------------------------------------,
CAST                        ,,        100,WOD Unique Cast Number,WOD code,
NODC Cruise ID              ,,29-1103        ,,,
Latitude                    ,,         -40.5,decimal degrees,,
Longitude                   ,,         2.25,decimal degrees,,
Year                        ,,           1990,,,
Month                       ,,              2,,,
Day                         ,,             10,,,
Time                        ,,           8.5,decimal hours (UT),,
METADATA,
probe_type                  ,,             2.,OCL_code,XBT,
VARIABLES ,Depth     ,F,O,Temperatur,F,O,Oxygen    ,F,O,,
UNITS     ,m         , , ,degrees C , , ,ml/l      , , ,,
Prof-Flag ,          ,0, ,          ,0, ,          ,0, ,,
         1,       3.0,0, ,    13.465,0, ,     5.126,0, ,
         2,       4.0,2, ,    99.900,1, ,   ---*---,0, ,
         3,       5.0,0, ,   ---*---,0, ,     5.126,0, ,
END OF VARIABLES SECTION,
"""


def test_wodselect(tmp_path):
    table = opened(tmp_path, BLOCK + BLOCK.replace("  100,", "  101,"))
    value, depth, qc = columns(table, "thetao", "value", "depth", "qc")
    assert depth == [3.0, 4.0, 3.0, 4.0]
    assert qc == [1, 4, 1, 4]
    assert value[0] == pytest.approx(13.465, abs=1e-3)
    assert set(table["platform"].values) == {"cruise 29-1103"}
    assert "fall rate" in table.attrs["notes"]
    with pytest.raises(InputError, match="line 19: the cast of line 2 has no end"):
        opened(tmp_path, BLOCK.replace("END OF VARIABLES SECTION,\n", "") + BLOCK * 2)
    with pytest.raises(InputError, match="cast that begins here cannot be read: '13x465'"):
        opened(tmp_path, BLOCK.replace("13.465", "13x465"))
    with pytest.raises(InputError, match="truncated"):
        opened(tmp_path, BLOCK[:-30])
    with pytest.raises(InputError, match="expected 'm'"):
        opened(tmp_path, BLOCK.replace("UNITS     ,m ", "UNITS     ,fathom "))


# ---- WHP exchange


CTD = """\
CTD,20100513XYZ
# a comment
NUMBER_HEADERS = 6
EXPOCODE = 18HU2010014
STNNBR = 3
CASTNO = {cast}
DATE = 20100513
TIME = {time}
LATITUDE = 47.5
LONGITUDE = -52.5
CTDPRS,CTDPRS_FLAG_W,CTDTMP,CTDTMP_FLAG_W,CTDSAL,CTDSAL_FLAG_W
DBAR,,{scale},,PSS-78,
3.0,2,3.0,2,31.0,2
4.0,2,4.0,3,-999.0,9
END_DATA
""".replace("= 6", "= 8")


def test_exchange_ctd(tmp_path):
    plain = CTD.format(cast=1, time="0634", scale="ITS-90")
    table = opened(tmp_path, plain + CTD.format(cast=2, time="", scale="IPTS-68"))
    value, qc, when = columns(table, "thetao", "value", "qc", "time")
    assert qc == [1, 3, 1, 3]
    absolute = gsw.SA_from_SP(31.0, 3.0, -52.5, 47.5)
    assert value[0] == pytest.approx(float(gsw.pt0_from_t(absolute, 3.0, 3.0)), abs=1e-9)
    old = gsw.pt0_from_t(absolute, 3.0 / 1.00024, 3.0)
    assert value[2] == pytest.approx(float(old), abs=1e-9)
    times = table["time"].values[table["variable"].values == "thetao"]
    assert times[0] == np.datetime64("2010-05-13T06:34")
    assert times[2] == np.datetime64("2010-05-13T12:00")
    assert "noon" in table.attrs["notes"]
    assert columns(table, "so", "value") == [[31.0, 31.0]]
    assert len(set(table["profile"].values)) == 2
    assert len(when) == 4
    for cut in ("END_DATA\n", "-999.0,9\nEND_DATA\n"):
        with pytest.raises(InputError, match=r"file\.txt: line"):
            opened(tmp_path, plain.replace(cut, ""))
    with pytest.raises(InputError, match="NUMBER_HEADERS"):
        opened(tmp_path, plain.replace("= 8", "= many"))
    with pytest.raises(InputError, match="truncated"):
        opened(tmp_path, plain.replace("= 8", "= 999999999"))
    with pytest.raises(InputError, match="no units"):
        opened(tmp_path, plain.replace("ITS-90", ""))


def test_exchange_bottle_takes_the_sample_where_the_ctd_has_none(tmp_path):
    text = """\
BOTTLE,20160524XYZ
EXPOCODE,STNNBR,CASTNO,DATE,TIME,LATITUDE,LONGITUDE,CTDPRS,CTDTMP,CTDSAL,CTDSAL_FLAG_W,SALNTY,SALNTY_FLAG_W
,,,,,,,DBAR,ITS-90,PSS-78,,PSS-78,
  33RR1,1,2,20080205,2207,-33.2,28.0,9.2,26.2,35.31,2,35.32,2
  33RR1,1,2,20080205,2207,-33.2,28.0,20.1,-999.0,-999.0,9,35.40,3
END_DATA
"""
    table = opened(tmp_path, text)
    assert columns(table, "so", "value", "qc") == [[35.31, 35.40], [1, 3]]
    assert columns(table, "thetao", "qc") == [[0]]  # the file has no flags of temperature
    assert "salinity of 1 bottles from the sample" in table.attrs["notes"]
    assert set(table["platform"].values) == {"33RR1"}
    with pytest.raises(InputError, match="none of temperature"):
        opened(tmp_path, text.replace("CTDTMP", "OXYGEN").replace("SAL", "X"))


# ---- ODV


ODV = """\
//<Version>ODV Spreadsheet V4.0</Version>
//<MissingValueIndicators>-77</MissingValueIndicators>
Cruise\tStation\tType\tyyyy-mm-ddThh:mm:ss.sss\tLongitude [degrees_east]\t\
Latitude [degrees_north]\tBot. Depth [m]:METAVAR:FLOAT:4\tDepth [m]\tQV:SEADATANET\t\
Temperature [°C]\tQV:SEADATANET\t\
Salinity [psu]\tQV:SEADATANET\tQV:ODV:SAMPLE
A1\tS1\tB\t1991-09-03T16:25\t28.5\t43.25\t36\t0.0\t1\t22.2\t1\t15.5\t4\t1
\t\t\t\t\t\t\t10.0\t1\t-77\t9\t16.5\t6\t1
\t\t\t\t\t\t\t20.0\t3\t\t\x00\t17.5\t1\t8
A1\tS2\tC\t1991-09-04\t28.5\t43.25\t36\t0.0\t1\t21.2\t1\t15.5\t1\t1
"""


def test_odv(tmp_path):
    table = opened(tmp_path, ODV)
    assert columns(table, "so", "qc") == [[4, 3, 4, 1]]
    assert columns(table, "thetao", "depth", "qc") == [[0.0, 0.0], [1, 1]]
    reasons = columns(table, "so", "reason")[0]
    assert reasons[1] == "SeaDataNet flag 6 (below detection)"
    assert reasons[2] == "SeaDataNet flag 3 (probably bad); ODV flag 8 (bad)"
    assert table["time"].values[-1] == np.datetime64("1991-09-04T12:00")
    assert table["profile"].values.tolist()[-4:] == ["S1", "S1", "S1", "S2"]
    assert "noon" in table.attrs["notes"]
    semicolons = opened(tmp_path, ODV.replace("\t", ";"))
    np.testing.assert_array_equal(semicolons["value"], table["value"])


def test_odv_names_of_seadatanet_and_american_dates(tmp_path):
    text = """\
//SDN_parameter_mapping
//<subject>SDN:LOCAL:X1</subject><object>SDN:P01::PRESPR01</object><units>SDN:P06::UPDB</units>
//<subject>SDN:LOCAL:X2</subject><object>SDN:P01::POTMCV01</object><units>SDN:P06::UPAA</units>
Cruise\tStation\tType\tmon/day/yr\thh:mm\tLongitude [degrees_east]\tLatitude [degrees_north]\tX1\tX2
A1\t1\tC\t09/03/1991\t16:30\t28.5\t43.25\t100\t12.5
"""
    table = opened(tmp_path, text)
    value, depth = columns(table, "thetao", "value", "depth")
    assert value == [12.5]  # potential already
    assert depth == [pytest.approx(-float(gsw.z_from_p(100.0, 43.25)))]
    assert table["time"].values[0] == np.datetime64("1991-09-03T16:30")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Temperature [°C]", "Temperature", "no units"),
        ("Salinity [psu]", "Salinity [g/kg]", "salinity in 'g/kg'"),
        ("Depth [m]\tQ", "Depth [ft]\tQ", "depth in 'ft'"),
        ("Latitude [degrees_north]", "Lat", "no column for latitude"),
        ("22.2", "twenty", "'twenty' is no number"),
        ("A1\tS1\tB", "\t\t", "Rows|before the first station|file"),
        ("\t21.2\t1\t15.5\t1\t1\n", "\t21", "fields, expected"),
        ("15.5\t1\t1\n", "15.", "cut off"),
    ],
)
def test_odv_refusals(tmp_path, old, new, told):
    text = ODV.replace(old, new)
    if told.startswith("Rows"):
        text = text.replace("1991-09-03T16:25\t28.5\t43.25", "\t\t")
    assert text != ODV
    with pytest.raises(InputError, match=told):
        opened(tmp_path, text)


# ---- CTD texts


CNV = """\
* Sea-Bird SBE 9 Data File:
* NMEA Latitude = 44 30.00 S
* NMEA Longitude = 010 15.00 W
* System UpLoad Time = Oct 15 2003 11:38:38
# nquan = 5
# nvalues = 3
# name 0 = prDM: Pressure, Digiquartz [db]
# name 1 = t090C: Temperature [ITS-90, deg C]
# name 2 = t190C: Temperature, 2 [ITS-90, deg C]
# name 3 = sal00: Salinity, Practical [PSU]
# name 4 = flag: flag
# start_time = Oct 15 2003 10:30:00 [NMEA time, header]
# bad_flag = -9.990e-29
*END*
      1.000    10.0000    10.1000    35.0000  0.000e+00
      2.000    11.0000    11.1000 -9.990e-29 -9.990e-29
   -100.000   -12.0000   -12.1000    34.0000  0.000e+00
"""


def test_seabird(tmp_path):
    table = opened(tmp_path, CNV)
    assert set(table["latitude"].values) == {-44.5}
    assert set(table["longitude"].values) == {-10.25}
    assert set(table["time"].values) == {np.datetime64("2003-10-15T10:30")}
    value, qc = columns(table, "thetao", "value", "qc")
    assert value[0] == pytest.approx(10.0, abs=1e-3)
    assert qc == [0, 4, 4]
    assert "bad scan" in columns(table, "thetao", "reason")[0][1]
    assert columns(table, "so", "value") == [[35.0, 34.0]]
    # columns that touch each other, as wide as the format makes them
    touching = CNV.replace("   -100.000   -12.0000   -12.1000", "-100000.000-100012.000-100012.100")
    assert "      1.000" in touching
    assert opened(tmp_path, touching)["value"].values[2] < -99999
    with pytest.raises(InputError, match="line 16: 4 numbers, expected 5"):
        opened(tmp_path, CNV.replace("    11.1000 -9", " -9"))
    with pytest.raises(InputError, match="no \\*END\\*"):
        opened(tmp_path, CNV[: CNV.index("*END*")])
    with pytest.raises(InputError, match="latitude: "):
        opened(tmp_path, CNV.replace("44 30.00 S", "somewhere"))
    with pytest.raises(InputError, match="binary"):
        opened(tmp_path, CNV.replace("# bad_flag", "# file_type = binary\n# bad_flag"))
    fahrenheit = CNV.replace("t090C: Temperature [ITS-90, deg C]", "t090F: T [ITS-90, deg F]")
    warm = columns(opened(tmp_path, fahrenheit), "thetao", "value")[0]
    assert warm[0] == pytest.approx((10 - 32) / 1.8, abs=1e-2)


def test_itp_ends_where_it_says(tmp_path):
    text = """\
%ITP 99, profile 12: year day longitude(E+) latitude(N+) ndepths
2015  1.5  -145.0  77.5  2 0
%pressure(dbar) temperature(C) salinity
10 -1.5 30.5
12 NaN 30.6
%endofdat
"""
    table = opened(tmp_path, text)
    assert set(table["time"].values) == {np.datetime64("2015-01-01T12:00")}
    assert columns(table, "so", "value") == [[30.5, 30.6]]
    assert len(columns(table, "thetao", "value")[0]) == 1
    assert set(table["platform"].values) == {"ITP 99"}
    for bad in (text.replace("%endofdat\n", ""), text.replace("12 NaN", "12 x"), text[:70]):
        with pytest.raises(InputError, match="reader 'itp'"):
            opened(tmp_path, bad)


def test_castaway_with_a_position(tmp_path):
    text = (
        "% Device,CC1\n% File name,F1\n% Cast time (UTC),2016-06-22 07:47:22\n"
        "% Start latitude,32.5\n% Start longitude,-5.25\n% \n"
        "Pressure (Decibar),Depth (Meter),Temperature (Celsius),"
        "Salinity (Practical Salinity Scale)\n"
        "0.15,0.149,21.5,37.8\n"
    )
    table = opened(tmp_path, text)
    assert columns(table, "so", "value", "depth", "latitude") == [[37.8], [0.149], [32.5]]
    assert table["time"].values[0] == np.datetime64("2016-06-22T07:47:22")
    with pytest.raises(InputError, match="line 8: 3 fields, expected 4"):
        opened(tmp_path, text.replace(",37.8", ""))


# ---- moorings


def test_uci(tmp_path):
    lines = [
        "1 80 3 7 800307 -0.02 -109.46 -6.8 0.7 . 26.14 26.24",
        "2 80 3 8 800308 -0.02 -109.46 -4.9 1.1 . 25.66 .",
        "3 97 2 29 970229 -0.02 -109.46 -4.9 1.1 . 25.66 25.5",
        "4 80 3 8 800308 5.02 140.46 -4.9 1.1 . 25.66 25.0",
    ]
    table = opened(tmp_path, "\n".join(lines) + "\n")
    assert table["value"].values.tolist() == [26.24, 25.5, 25.0]
    assert table["qc"].values.tolist() == [0, 4, 0]  # 29 February 1997 never was
    assert len(set(table["platform"].values)) == 2
    with pytest.raises(InputError, match=r"12 (fields|numbers)"):
        opened(tmp_path, "\n".join(lines)[:-20])


PMEL = """\
 Location:   0N 165E    20 Jan 1986 to  22 Jan 1986 (    3 times,   2 depths,   1 blocks)
 Units: Deg. C   missing data flag = -9.999
 Time: 1200 20 Jan 1986 to 1200 22 Jan 1986 (index      1 to      3,     3 times,   2 depths)
 Index:              1      2
 Depth (M):        1.0   25.0
 YYYYMMDD HHMM    TEMP   TEMP QUALITY SOURCE
 19860120 1200  29.380 29.100 21 55
 19860121 1200  -9.999 29.200 02 05
 19860122 1200  29.500 29.300 5C 55
"""


def test_pmel(tmp_path):
    path = tmp_path / "t0n165e_dy.ascii"
    path.write_text(PMEL)
    table = read_with("tao_ascii", path)
    depth, qc = columns(table, "thetao", "depth", "qc")
    assert depth == [1.0, 25.0, 25.0, 1.0, 25.0]
    assert qc == [2, 1, 2, 4, 3]
    assert "special adjustments" in table["reason"].values[-1]
    assert (table["longitude"] == 165).all()
    with Source(path) as source:
        assert source.is_text
    path.write_text(PMEL.rsplit(" 19860122", 1)[0])
    with pytest.raises(InputError, match="3 times, 2 rows"):
        open_observations(path)
    path.write_text(PMEL.replace("Deg. C", "PSU").replace("TEMP", "SAL"))
    assert set(open_observations(path)["variable"].values) == {"so"}


# ---- ICOADS


def imma(sst: str = " 167", hour: str = "2300", trimming: str = "1", duplicates: str = " 0") -> str:
    """One report: core, attachment of ICOADS, identity."""
    core = f"1899 1 2{hour} 4250 31850" + "1300" + "     910358    0"
    core = core.ljust(83) + " 0" + sst
    attachment = " 165" + " " * 12 + " 5" + duplicates + " " * 20 + trimming + " " * 24
    assert len(attachment) == 65
    return core.ljust(108) + attachment + "981505JHAP3002199"[:15]


def test_imma(tmp_path):
    lines = [
        imma(), imma(sst=" -11", trimming="6"), imma(sst="    "), imma(hour="    "),
        imma(duplicates="14"), imma(trimming="F"),
    ]  # fmt: skip
    table = opened(tmp_path, "\n".join(lines))
    assert table["value"].values.tolist() == [16.7, -1.1, 16.7, 16.7, 16.7]
    assert table["qc"].values.tolist() == [1, 3, 1, 4, 0]  # F: not judged
    assert table["time"].values[2] == np.datetime64("1899-01-02T12:00")
    assert (table["latitude"].values[0], table["longitude"].values[0]) == (42.5, 318.5)
    with pytest.raises(InputError, match=r"line 2: .*100 characters"):
        opened(tmp_path, lines[0] + "\n" + lines[1][:100])
    with pytest.raises(InputError, match=r"line 2: .*cannot be read"):
        opened(tmp_path, lines[0] + "\n" + imma(sst=" 1x7"))


def immt(quadrant: str = "1", sign: str = "0", sst: str = "285", flag: str = "1") -> str:
    """One report."""
    line = "3" + "20010723" + "06" + quadrant + "192" + "0894"
    line = line.ljust(49) + sign + sst + "0"
    line = line.ljust(71) + "ATIU"
    return line.ljust(109) + "81" + "111111111" + flag + "1111111111" + "4"


def test_immt(tmp_path):
    lines = [
        immt(),
        immt("3"),
        immt("5", sign="1", sst="011"),
        immt("7", flag="4"),
        immt(sst="   "),
    ]
    table = opened(tmp_path, "\n".join(lines))
    assert table["value"].values.tolist() == [28.5, 28.5, -1.1, 28.5]
    assert table["latitude"].values.tolist() == [19.2, -19.2, -19.2, 19.2]
    assert table["longitude"].values.tolist() == [89.4, 89.4, -89.4, -89.4]
    assert table["qc"].values.tolist() == [1, 1, 1, 4]
    assert table["instrument"].values[0] == "ship, bucket"
    with pytest.raises(InputError, match="quadrant '9'"):
        opened(tmp_path, lines[0] + "\n" + immt("9"))


# ---- DART


def sequence(blocks: list[str], claimed: int | None = None, extra: str = "") -> str:
    """Sequence of blocks."""
    count = len(blocks) if claimed is None else claimed
    return (
        " obs_sequence\nobs_type_definitions\n           4\n"
        "   10 FLOAT_TEMPERATURE\n   9 CTD_SALINITY\n   5 RADIOSONDE_TEMPERATURE\n"
        "   8 SATELLITE_MICROWAVE_SST\n  num_copies:   2  num_qc:  1\n"
        f"  num_obs:  {count}  max_num_obs:  {count}\ntruth\nobservations\nData QC\n"
        f"  first:   1  last:  {count}\n" + "".join(blocks) + extra
    )


def block(
    kind: int, value: str, *, lat: float = 0.5, vertical: str = "30.0 3", qc: float = 0.0
) -> str:
    """One observation."""
    return (
        f" OBS   1\n 99.0\n {value}\n {qc}\n  -1  2  -1\nobdef\nloc3d\n 1.5 {lat} {vertical}\n"
        f"kind\n {kind}\n 43200  147194\n 0.25\n"
    )


def test_dart(tmp_path):
    table = opened(tmp_path, sequence([
        block(10, "17.5"), block(9, "0.035", qc=4.0), block(5, "280"),
        block(8, "20.5", vertical="0 -1"), block(10, "9", vertical="12 1"), block(10, "-888888.0"),
    ]))  # fmt: skip
    assert columns(table, "so", "value", "error", "qc") == [[35.0], [500.0], [3]]
    assert columns(table, "tos", "value", "depth", "qc") == [[20.5], [0.0], [1]]
    assert columns(table, "thetao", "error", "qc") == [[0.5, 0.5], [1, 4]]
    assert "model level" in columns(table, "thetao", "reason")[0][1]
    assert table["latitude"].values[0] == pytest.approx(math.degrees(0.5))
    assert "kg/kg" in table.attrs["notes"]
    assert "1 observations of other types" in table.attrs["notes"]
    assert table["time"].values[0] == np.datetime64("1601-01-01T12:00", "s") + np.timedelta64(
        147194, "D"
    )


def test_dart_refusals(tmp_path):
    good = block(10, "17.5")
    for text, told in (
        (sequence([good], claimed=2), "1 of 2 observations"),
        (sequence([good])[:-12], "cannot be read"),
        (sequence([block(10, "17.5", lat=45.0)]), "should be radians"),
        (sequence([block(77, "17.5")]), "does not define"),
        (sequence([block(5, "280")]), "none of temperature"),
        (sequence([good]).replace("num_copies:   2", "num_copies:   99999999"), "99999999 copies"),
        (sequence([good]).replace("loc3d", "loc2d"), "only loc3d"),
    ):
        with pytest.raises(InputError, match=told):
            opened(tmp_path, text)


# ---- OWC


def test_owc(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    pressure = np.array([[5.0, 5.0], [10.0, np.nan]])
    box = {
        "lat": [[-57.0, -56.0]], "long": [[53.0, 355.0]], "pres": pressure, "temp": pressure / 10,
        "sal": pressure * 0 + 34.5, "dates": [[19740201223748.0, 19740202000000.0]],
        "source": np.array([["a", "a"]], dtype=object),
    }  # fmt: skip
    path = tmp_path / "ctd_1.mat"
    savemat(path, box)
    table = open_observations(path)
    value, east = columns(table, "so", "value", "longitude")
    assert value == [34.5] * 3
    assert sorted(east) == [53.0, 53.0, 355.0]
    assert table["time"].values[0] == np.datetime64("1974-02-01T22:37:48")
    assert len(set(table["profile"].values)) == 2
    savemat(path, {**box, "sal": pressure[:, :1]})
    with pytest.raises(InputError, match=r"sal.* has .*shape"):
        open_observations(path)
    savemat(path, box)
    data = path.read_bytes()
    for end in (128, 200, len(data) // 2):
        path.write_bytes(data[:end])
        with pytest.raises(InputError):
            read_with("owc", path)


# ---- tables of names and values


def test_csv_with_units_in_brackets(tmp_path):
    text = """\
# a comment
time,latitude,longitude,pressure [dbar],temperature [K],salinity [psu],platform
2005-01-02T06:00:00Z,45.0,-30.5,1000,280.15,35.0,A
2005-01-02 07:00,95.0,-30.5,,,35.5,A
"""
    table = opened(tmp_path, text)
    value, depth = columns(table, "thetao", "value", "depth")
    absolute = gsw.SA_from_SP(35.0, 1000.0, -30.5, 45.0)
    assert value == [pytest.approx(float(gsw.pt0_from_t(absolute, 7.0, 1000.0)), abs=1e-6)]
    assert depth == [pytest.approx(-float(gsw.z_from_p(1000.0, 45.0)))]
    assert columns(table, "so", "qc") == [[0, 4]]
    assert "out of range" in table["reason"].values[-1]
    assert table["time"].values[0] == np.datetime64("2005-01-02T06:00")


def test_csv_of_erddap_and_semicolons(tmp_path):
    text = """\
time,latitude,longitude,depth,temp
UTC,degrees_north,degrees_east,m,degree_C
2005-01-02T06:00:00Z,45.0,330.0,10.0,12.5
"""
    table = opened(tmp_path, text)
    assert columns(table, "thetao", "depth") == [[10.0]]
    assert table["value"].values[0] == pytest.approx(12.5, abs=2e-3)
    other = opened(tmp_path, text.replace(",", ";"))
    np.testing.assert_array_equal(other["value"], table["value"])


def test_csv_of_a_table_of_our_own(tmp_path):
    frame = pd.DataFrame({
        "value": [11.5, 35.1], "variable": ["thetao", "so"], "units": ["degC", "psu"],
        "time": pd.to_datetime(["2005-01-02", "2005-01-03"]), "depth": [12.0, 20.0],
        "lat": [5.0, 6.0], "lon": [330.0, 331.0], "error": [0.2, np.nan], "qc": [1, 4],
        "reason": ["", "spike"], "platform": ["A", "B"],
    })  # fmt: skip
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False)
    table = open_observations(path)
    assert columns(table, "thetao", "value", "error", "qc") == [[11.5], [0.2], [1]]
    assert columns(table, "so", "value", "qc", "reason") == [[35.1], [4], ["spike"]]
    assert columns(table, "so", "platform", "depth") == [["B"], [20.0]]


def test_csv_keeps_the_kind_of_errors(tmp_path):
    frame = pd.DataFrame({
        "value": [11.5, 12.5], "variable": "thetao", "units": "degC", "error": [0.2, 0.3],
        "time": pd.to_datetime(["2005-01-02", "2005-01-03"]), "depth": 12.0, "lat": 5.0,
        "lon": 330.0, "error_kind": ["measurement", ""],
    })  # fmt: skip
    frame.to_csv(tmp_path / "own.csv", index=False)
    for source in (tmp_path / "own.csv", frame):
        assert open_observations(source)["error_kind"].values.tolist() == ["measurement", ""]


@pytest.mark.parametrize("through", ["frame", "csv"])
def test_pandas_is_lossless(tmp_path, through):
    """A table of two files, whose rows are not ordered by variable, comes back as it was."""
    for n in range(2):
        (tmp_path / f"cast{n}.csv").write_text(
            "time,lat,lon,depth [m],temperature [degC],temperature_qc,salinity [psu],platform\n"
            f"2005-01-0{n + 1},5,330,10,2{n}.5,1,35.1,A{n}\n"
            f"2005-01-0{n + 1},5,330,500,1{n}.5,4,,A{n}\n"
            f"2050-01-0{n + 1},5,330,700,9.{n},1,34.9,A{n}\n"
        )
    table = open_observations(sorted(tmp_path.glob("cast*.csv")))
    assert (
        table["variable"].values.tolist()
        == ["thetao"] * 3 + ["so"] * 2 + ["thetao"] * 3 + ["so"] * 2
    )
    frame = table.to_dataframe()
    if through == "csv":
        frame["units"] = np.where(frame["variable"] == "so", "psu", "degC")
        frame.to_csv(tmp_path / "all.csv", index=False)
        again = open_observations(tmp_path / "all.csv")
    else:
        frame.attrs["units"] = {"thetao": "degC", "so": "psu"}
        again = open_observations(frame)
    xr.testing.assert_equal(again, table)
    assert again["value"].attrs == table["value"].attrs


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("time,lat,lon,depth,temp\n2005-01-01,1,2,3,4\n", "no units; write 'temp \\[degC\\]'"),
        ("time,lat,lon,depth,temp [degC]\n2005-01-01,1,2,3,x\n", "line 2: .*holds no number: 'x'"),
        ("time,lat,lon,depth,temp [degC]\n20.5,1,2,3,4\n", "are numbers"),
        ("time,lat,lon,depth,temp [degC]\nyesterday,1,2,3,4\n", "holds no dates"),
        ("lat,lon,depth,temp [degC]\n1,2,3,4\n", "no column \\['time'\\]"),
        ("time,lat,latitude,lon,temp [degC]\n2005-01-01,1,1,2,3\n", "could all be the latitude"),
        ("time,lat,lon,depth,temp [degC]\n2005-01-01,1,2,3,4\n2005-01-01,1,2\n", "3 fields"),
        ("time,lat,lon,depth,temp [degC]\n2005-01-01,1,2,3,4,5,6\n", "reader 'csv'"),
        ("time,lat,lon,depth,temp [degC]\n", "no rows"),
        ("time,lat,lon,depth,salinity [g/kg]\n2005-01-01,1,2,3,4\n", "salinity in 'g/kg'"),
        ("time,lat,lon,temp [degC]\n2005-01-01,1,2,3\n", "neither depth nor pressure"),
        ("time,lat,lon,depth,temp [degC],qc\n2005-01-01,1,2,3,4,7\n", "'qc' holds other flags"),
    ],
)
def test_csv_refusals(tmp_path, text, told):
    with pytest.raises(InputError, match=told):
        opened(tmp_path, text)


def test_nothing_is_evaluated(tmp_path):
    mark = tmp_path / "mark"
    evil = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    text = f'time,lat,lon,depth,temp [degC]\n2005-01-01,1,2,3,"{evil}"\n'
    with pytest.raises(InputError, match="no number"):
        opened(tmp_path, text)
    assert not mark.exists()


def test_unknown_and_empty_texts(tmp_path):
    with pytest.raises(InputError, match="no reader knows this structure"):
        opened(tmp_path, "1 2 3\n4 5 6\n")
    for text in ("\n", "\n\n\n", " "):
        with pytest.raises(InputError, match=r"file\.txt"):
            opened(tmp_path, text)
    with pytest.raises(InputError, match="empty"):
        opened(tmp_path, "")
