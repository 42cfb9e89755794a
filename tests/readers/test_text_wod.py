"""World Ocean Database native ASCII: the manual's example, IQuOD, a round trip, and damage."""

from __future__ import annotations

import math
from pathlib import Path

import gsw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdeepda.errors import InputError
from xdeepda.observations.readers import NothingMeasured, Source, open_observations, read_with
from xdeepda.observations.readers.wod_codes import STANDARD_LEVELS
from xdeepda.observations.readers.wod_digits import casts

#: First cast of iquod.dat in IQuOD/wodpy (MIT); the data are of the World Ocean Database.
IQUOD = """\
Q3373813393621JP5371812000 1 4332370664345883-7741342433-150 2110101201002942101
15506895601233039601355010067014552906000215110302161102021711040221220220228110
10229110400110000444000033111100122014423153001220211020024400163311120012201442
31470012202110500244004033111000122014423149001220222010002440080331110001220144
23149001220222020003440160331110001220144231500012202
"""


# ---- an encoder of our own


def counted(value: int) -> str:
    """Whole number after the number of its digits."""
    return f"{len(str(value))}{value}"


def coded(value: tuple[int, int] | None) -> str:
    """Value (digits, decimals) after three digits."""
    if value is None:
        return "-"
    text = str(value[0])
    return f"{len(text.lstrip('-'))}{len(text)}{value[1]}{text}"


def section(body: str) -> str:
    """Section after its size."""
    return counted(len(body)) + body if body else "0"


def encode(
    levels: list[tuple],
    *,
    version: str = "C",
    number: int = 7,
    date: str = "2005 1 2",
    time: tuple[int, int] | None = (930, 2),
    place: tuple = ((-1234, 2), (17999, 2)),
    codes: tuple[int, ...] = (1, 2),
    profile_flags: str = "00",
    second: dict[int, tuple[int, int]] | None = None,
    standard: bool = False,
    width: int = 80,
    claimed: int | None = None,
) -> str:
    """One cast; a level is (depth, flags, [(value, flags), ...]), standard ones without depth."""
    head = counted(number) + "US" + counted(123) + date + coded(time)
    head += coded(place[0]) + coded(place[1]) + counted(claimed or len(levels)) + str(int(standard))
    head += f"{len(codes):2d}"
    for code, flag in zip(codes, profile_flags, strict=False):
        head += counted(code) + flag + counted(0)
    extra = "".join(counted(k) + coded(v) for k, v in (second or {}).items())
    body = head + section("") + (section(counted(len(second)) + extra) if second else "0") + "0"
    for depth, flags, values in levels:
        if not standard:
            body += coded(depth)
            if depth is None:
                continue
            body += flags
        for value, value_flags in values:
            body += coded(value) + (value_flags if value is not None else "")
    size = next(n for n in range(1, 10**6) if n == len(version + counted(n) + body))
    text = version + counted(size) + body
    lines = [text[at : at + width].ljust(width) for at in range(0, len(text), width)]
    return "\n".join(lines) + "\n"


def write(folder: Path, text: str | bytes, name: str = "casts.dat") -> Path:
    """File of a text."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
    return path


def level(depth: float, *values: float) -> tuple:
    """Level with good flags and two decimals."""
    pair = [((round(100 * v), 2), "00") for v in values]
    return (round(100 * depth), 2), "00", pair


# ---- real casts


def test_the_manuals_example(data_folder):
    """Garcia et al. (2018): temperatures, salinities, position and time of the worked example."""
    table = open_observations(data_folder / "observations/wod/example.dat")
    salt = table.isel(obs=table["variable"].values == "so")
    np.testing.assert_array_equal(salt["value"], [30.9, 30.9, 31.91, 32.41])
    np.testing.assert_array_equal(salt["depth"], [0.0, 10.0, 25.0, 50.0])
    warm = table.isel(obs=table["variable"].values == "thetao")
    pressure = gsw.p_from_z(-warm["depth"].values, 61.93)
    absolute = gsw.SA_from_SP(salt["value"].values, pressure, -172.27, 61.93)
    expected = gsw.pt0_from_t(absolute, [8.96, 8.95, 0.9, -1.23], pressure)
    np.testing.assert_allclose(warm["value"], expected, rtol=0, atol=1e-12)
    assert set(table["latitude"].values) == {61.93}
    assert set(table["longitude"].values) == {-172.27}
    assert set(table["time"].values) == {np.datetime64("1934-08-07T10:22:12")}
    assert set(table["profile"].values) == {"67064"}
    assert set(table["instrument"].values) == {"bottle"}
    assert (table["qc"] == 1).all()


def test_iquod_with_uncertainties(tmp_path):
    path = write(tmp_path, IQUOD)
    with Source(path) as source:
        (cast,) = casts(source)
    assert cast.depth == [0, 2, 5, 10, 20]
    assert cast.variables[0].value == [11.1, 11.2, 11.0, 11.0, 11.0]
    assert cast.variables[1].value == [31.53, 31.47, 31.49, 31.49, 31.5]
    assert (cast.latitude, cast.longitude) == (34.5883, 134.2433)
    assert cast.second[29] == 4
    table = open_observations(path)
    by = table.groupby("variable").groups
    np.testing.assert_array_equal(table["error"].values[by["thetao"]], 0.01)
    np.testing.assert_array_equal(table["error"].values[by["so"]], 0.02)
    assert set(table["time"].values) == {np.datetime64("2000-01-04T03:42")}


def test_standard_levels_of_a_real_file(data_folder):
    table = open_observations(data_folder / "observations/wod/XBTS2005")
    assert len(set(table["profile"].values)) == 1985
    assert table.sizes["obs"] == 30641 - 36  # 36 levels hold no value
    assert set(table["instrument"].values) == {"XBT"}
    assert "286 casts with 1" in table.attrs["notes"]
    first = table.isel(obs=table["profile"].values == "10216693")
    np.testing.assert_array_equal(first["depth"][:8], [0, 10, 20, 30, 50, 75, 100, 125])
    np.testing.assert_allclose(first["value"][:3], [5.0, 5.003, 5.011], atol=2e-3)
    # 396 levels failed the checks of the year, the season and the month together
    told = [r.startswith("WOD standard level flag 9") for r in table["reason"].values]
    assert sum(told) == 396


def test_hand_made_flags_come_through(data_folder):
    """QuOTA: flags of the hand check stand in the originator's place, their set is 3."""
    path = data_folder / "observations/wod/quota_subset.dat"
    table = open_observations(path)
    warm = table.isel(obs=table["variable"].values == "thetao")
    assert warm.sizes["obs"] == 3111
    with Source(path) as source:
        found = list(casts(source))
    hand = np.concatenate([c.variables[0].originator for c in found])
    wod = np.concatenate([c.variables[0].wod for c in found])
    depth = np.concatenate([c.depth_originator for c in found])
    place = np.concatenate([c.depth_flag for c in found])
    qc = warm["qc"].values
    assert set(hand) == {1, 2, 3, 4}
    assert (qc[hand == 4] == 4).all()
    assert (qc[hand == 3] >= 3).all()
    assert all("originator's GTSPP flag" in r for r in warm["reason"].values[hand >= 3])
    clean = (hand == 1) & (wod == 0) & (depth == 1) & (place == 0)
    whole = np.concatenate([[c.variables[0].flag] * c.levels for c in found])
    assert (qc[clean & (whole == 0)] == 1).all()


# ---- a round trip


numbers = st.integers(-999, 4000).map(lambda n: (n, 2))
values = st.tuples(st.one_of(st.none(), numbers), st.sampled_from(["00", "10", "31", "94"]))


@given(
    depths=st.lists(st.integers(0, 600_000), min_size=1, max_size=30, unique=True).map(sorted),
    data=st.data(),
    version=st.sampled_from("ABC"),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_round_trip(tmp_path, depths, data, version, ending):
    levels = [
        ((depth, 2), "00", data.draw(st.lists(values, min_size=2, max_size=2))) for depth in depths
    ]
    text = encode(levels, version=version) + encode(levels[::-1], version=version, number=8)
    path = write(tmp_path, text.replace("\n", ending))
    with Source(path) as source:
        first, second = casts(source)
    assert [first.number, second.number] == [7, 8]
    assert first.depth == [d / 100 for d in depths]
    assert second.depth == first.depth[::-1]
    for n, variable in enumerate(first.variables):
        for (value, flags), got, flag in zip(
            [level[2][n] for level in levels], variable.value, variable.wod, strict=True
        ):
            assert (got == value[0] / 100) if value else math.isnan(got)
            assert flag == (int(flags[0]) if value else -1)
    assert (first.latitude, first.longitude) == (-12.34, 179.99)
    assert first.time == np.datetime64("2005-01-02T09:18:00")


# ---- traps


def test_standard_levels_follow_from_the_version(tmp_path):
    levels = [(None, "", [((2000, 2), "00")]) for _ in range(20)]
    for version, count in (("A", 40), ("B", 40), ("C", 137)):
        text = encode(levels, version=version, codes=(1,), standard=True)
        table = open_observations(write(tmp_path, text))
        np.testing.assert_array_equal(table["depth"], STANDARD_LEVELS[count][:20])
    assert STANDARD_LEVELS[40].size == 40
    assert STANDARD_LEVELS[137].size == 137
    assert STANDARD_LEVELS[40][-1] == STANDARD_LEVELS[137][-1] == 9000
    too_many = encode(
        [(None, "", [((2000, 2), "00")])] * 41, version="B", standard=True, codes=(1,)
    )
    with pytest.raises(InputError, match="41 standard levels"):
        open_observations(write(tmp_path, too_many))


def test_missing_parts_are_told(tmp_path):
    text = encode([level(5, 10, 35)], time=None) + encode([level(5, 10, 35)], date="2005 1 0")
    table = open_observations(write(tmp_path, text))
    assert "hour is missing in 1 of 2 casts" in table.attrs["notes"]
    assert table["time"].values[0] == np.datetime64("2005-01-02T12:00")
    assert table["time"].values[1] == np.datetime64("2005-01-15T09:18")
    np.testing.assert_array_equal(table["qc"], [1, 3, 1, 3])
    assert "the day is missing" in table["reason"].values[1]


def test_a_level_without_depth_has_no_values(tmp_path):
    levels = [level(0, 10, 35), (None, "", []), level(20, 9, 34)]
    table = open_observations(write(tmp_path, encode(levels)))
    np.testing.assert_array_equal(table["depth"], [0, 20, 0, 20])


def test_missing_positions_are_flagged(tmp_path):
    table = open_observations(write(tmp_path, encode([level(5, 10, 35)], place=(None, None))))
    assert (table["qc"] == 4).all()
    assert "position is missing" in table["reason"].values[0]


def test_flags_of_value_profile_and_depth(tmp_path):
    levels = [
        ((0, 0), "00", [((1000, 2), "00"), ((3500, 2), "00")]),
        ((10, 0), "10", [((1000, 2), "00"), ((3500, 2), "00")]),
        ((20, 0), "00", [((9990, 2), "10"), ((3500, 2), "00")]),
    ]
    table = open_observations(write(tmp_path, encode(levels, profile_flags="02")))
    np.testing.assert_array_equal(table["qc"], [1, 3, 4, 3, 3, 3])
    assert table["reason"].values[1] == "WOD depth flag 1 (not below the one before)"
    assert table["reason"].values[2] == "WOD flag 1 (outside of the broad range)"
    assert "two or more density inversions" in table["reason"].values[3]


def test_originators_flags_count_only_if_their_set_is_known(tmp_path):
    levels = [((0, 0), "01", [((1000, 2), "04"), ((3500, 2), "01")])]
    known = open_observations(write(tmp_path, encode(levels, second={96: (3, 0)})))
    np.testing.assert_array_equal(known["qc"], [4, 1])
    other = open_observations(write(tmp_path, encode(levels, second={96: (5, 0)})))
    np.testing.assert_array_equal(other["qc"], [1, 1])
    assert "set 5 in 1 casts" in other.attrs["notes"]


def test_xbt_depths_stay_and_are_recorded(tmp_path):
    text = encode([level(100, 10, 35)], second={29: (2, 0), 54: (1, 0)})
    table = open_observations(write(tmp_path, text))
    np.testing.assert_array_equal(table["depth"], 100.0)
    assert set(table["instrument"].values) == {"XBT"}
    assert "second header 54) is 1 casts with 1" in table.attrs["notes"]


def test_other_variables_alone_are_named_as_such(tmp_path):
    with pytest.raises(NothingMeasured, match="1 casts, none with temperature"):
        read_with("wod_ascii", write(tmp_path, encode([level(5, 6, 1)], codes=(3, 4))))


# ---- damage


def test_truncated_everywhere(tmp_path):
    text = encode([level(z, 10, 35) for z in range(0, 300, 10)])
    for end in range(1, len(text) - 81, 7):
        with pytest.raises(InputError):
            open_observations(write(tmp_path, text[:end], "cut.dat"))


def test_the_message_of_a_truncated_cast(tmp_path):
    whole = encode([level(z, 10, 35) for z in range(0, 300, 10)])
    path = write(tmp_path, whole + whole[:300])
    line = whole.count("\n") + 1
    with pytest.raises(InputError, match=rf"casts.dat: line \d+: .*truncated.*line {line}") as info:
        open_observations(path)
    assert "reader 'wod_ascii'" in str(info.value)


@pytest.mark.parametrize("size", ["9999999999", "10", "1", "0"])
def test_crafted_sizes(tmp_path, size):
    text = encode([level(5, 10, 35)])
    start = 1 + 1 + int(text[1])
    forged = text[0] + f"{len(size) % 10}{size}" + text[start:]
    with pytest.raises(InputError):
        read_with("wod_ascii", write(tmp_path, forged))


def test_a_forged_number_of_levels_ends_with_the_characters(tmp_path):
    for claimed in (2, 999_999_999):
        forged = encode([level(5, 10, 35)], claimed=claimed)
        with pytest.raises(InputError, match=r"line 1: .*cannot be decoded"):
            open_observations(write(tmp_path, forged))


def test_bytes_that_are_no_digits(tmp_path):
    data = encode([level(5, 10, 35)]).encode()
    at = data.index(b"3500") + 1
    for bad in (b"\xb2", b"_", b"x", b"\x00"):
        with pytest.raises(InputError):
            read_with("wod_ascii", write(tmp_path, data[:at] + bad + data[at + 1 :]))


def test_long_lines_and_empty_files(tmp_path):
    long = encode([level(z, 10, 35) for z in range(9)], width=120)
    with pytest.raises(InputError, match="longer than 80"):
        read_with("wod_ascii", write(tmp_path, long))
    with pytest.raises(InputError, match="no cast"):
        read_with("wod_ascii", write(tmp_path, "\n\n"))
    with pytest.raises(InputError, match="empty"):
        read_with("wod_ascii", write(tmp_path, ""))
