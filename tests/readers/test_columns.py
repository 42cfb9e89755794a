"""Numbers, texts, flags and times out of undecoded variables, and the columns of the table."""

from __future__ import annotations

import cftime
import gsw
import numpy as np
import pytest
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.flags import worse
from xdeepda.observations.readers.base import Levels, Measured, make_table
from xdeepda.observations.readers.conversions import plain_unit
from xdeepda.observations.readers.decode import (
    decode_times,
    flag_codes,
    iso_times,
    numbers,
    texts,
    times,
)
from xdeepda.observations.readers.flags import SCHEMES, map_flags, scheme_of
from xdeepda.observations.readers.mitprof import digit_dates


def variable(values, **attrs) -> xr.Variable:
    array = np.asarray(values)
    return xr.Variable([f"d{n}" for n in range(array.ndim)], array, attrs)


def test_numbers_of_big_endian_and_unsigned_bytes():
    assert numbers(variable(np.array([1.5, 2.5], dtype=">f4"))).tolist() == [1.5, 2.5]
    signed = variable(np.array([-1, 1], dtype=np.int8), _Unsigned="true")
    assert numbers(signed).tolist() == [255.0, 1.0]
    with pytest.raises(InputError, match="holds no numbers"):
        numbers(variable(["a", "b"]))


def test_a_fill_in_another_type_than_the_data():
    found = numbers(variable(np.array([1e35, 2.0], dtype=np.float32), missing_value=1e35))
    assert np.isnan(found).tolist() == [True, False]
    found = numbers(variable(np.array([1.0, 2.0]), _FillValue=b" "))
    assert found.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("stored", "codes"),
    [
        (np.array([b"1", b"4", b" "]), [1, 4, -1]),
        (np.array(["1", "4", "A"]), [1, 4, 65]),
        (np.array([b"1", np.nan, b"9"], dtype=object), [1, -1, 9]),
        (np.array([1.0, 4.0, np.nan]), [1, 4, -1]),
        (np.array([49, 52, 65], dtype=np.int8), [1, 4, 65]),  # ASCII codes
        (np.array([1, -127, 9], dtype=np.int8), [1, -127, 9]),
    ],
)
def test_flags_however_they_are_stored(stored, codes):
    assert flag_codes(variable(stored)).tolist() == codes


def test_declared_fills_of_flags():
    found = flag_codes(variable(np.array([1, -127], dtype=np.int8), _FillValue=np.int8(-127)))
    assert found.tolist() == [1, -1]


def test_letters_are_joined_and_stripped():
    raw = np.array([list("AB \x00"), list("C   ")], dtype="S1")
    assert texts(variable(raw)).tolist() == ["AB", "C"]
    assert texts(variable(np.array([b"\xe9t\xe9"]))).tolist() == ["été"]


@pytest.mark.parametrize(
    ("value", "units", "calendar", "date"),
    [
        (1.25, "days since 1950-01-01T00:00:00Z", "", "1950-01-02T06:00"),
        (60.0, "minutes since 1980-01-01 00:00:00", "standard", "1980-01-01T01:00"),
        (2440588.0, "days since -4713-01-01T00:00:00Z", "julian", "1970-01-01T00:00"),
        (2440587.5, "days since -4712-01-01 12:00:00", "julian", "1970-01-01T00:00"),
        (719528.0, "days since 0000-01-01 00:00:00", "", "1970-01-01T00:00"),
        (0.0, "hours since 1800-1-1 00:00:0.0", "gregorian", "1800-01-01T00:00"),
        (0.0, "days since 1950-01-01 00:00:00 utc", "", "1950-01-01T00:00"),
        (36.0, "hours since 1983-04-15 12:00:00", "proleptic_gregorian", "1983-04-17T00:00"),
    ],
)
def test_reference_dates_in_use(value, units, calendar, date):
    found = decode_times(np.array([value]), units, calendar)[0]
    assert np.datetime_as_string(found, unit="m") == date


@pytest.mark.parametrize("calendar", ["standard", "proleptic_gregorian", "noleap", "360_day"])
def test_times_agree_with_cftime(calendar):
    values = np.linspace(-3000.25, 30000.75, 7)
    units = "days since 1950-01-01"
    expected = cftime.num2date(values, units, calendar=calendar)
    found = times(variable(values, units=units, calendar=calendar))
    if found.dtype == object:
        assert found.tolist() == expected.tolist()
        return
    for date, other in zip(found, expected, strict=True):
        assert str(date)[:19] == other.isoformat()[:19]


def test_times_that_are_none():
    assert np.isnat(decode_times(np.array([np.nan, 1e30]), "days since 1950-01-01")).all()
    with pytest.raises(InputError, match="none of time"):
        decode_times(np.array([1.0]), "degC")
    with pytest.raises(InputError, match="no date"):
        decode_times(np.array([1.0]), "days since 19x0-01-01")


def test_dates_in_digits():
    found = digit_dates(np.array([20060131.0, 20060231.0, np.nan]), np.array([235959.0, 0, 0]))
    assert str(found[0])[:19] == "2006-01-31T23:59:59"
    assert np.isnat(found[1:]).all()
    assert str(iso_times(np.array(["19910101"], dtype=object))[0])[:10] == "1991-01-01"
    assert np.isnat(iso_times(np.array(["nonsense", "20061399"], dtype=object))).all()


def test_every_scheme_speaks_of_known_flags_and_has_reasons():
    for name, scheme in SCHEMES.items():
        codes = np.array(sorted(scheme.codes))
        qc, reason = map_flags(codes, name)
        assert set(qc.tolist()) <= {0, 1, 2, 3, 4, 9}
        assert ((reason != "") == np.isin(qc, [3, 4])).all()


def test_a_scheme_out_of_its_declared_meanings():
    own = scheme_of(
        {
            "flag_values": np.array([1, 2, 3, 4, 9], dtype=np.int8),
            "flag_meanings": "pass not_evaluated suspect fail missing",
        }
    )
    assert dict(own.codes) == {1: 1, 2: 0, 3: 3, 4: 4, 9: 9}
    assert scheme_of({"flag_meanings": "good"}) is None


def test_the_worse_flag_wins_and_keeps_both_reasons():
    qc, reason = worse(
        np.array([1, 3, 4, 0], dtype=np.int8), np.array(["", "a", "b", ""], dtype=object),
        np.array([2, 4, 3, 1], dtype=np.int8), np.array(["", "c", "d", ""], dtype=object),
    )  # fmt: skip
    assert qc.tolist() == [2, 4, 4, 0]
    assert reason.tolist() == ["", "a; c", "b; d", ""]


def levels(**change) -> Levels:
    given = {
        "time": np.datetime64("2005-01-02", "ns"),
        "latitude": 45.0,
        "longitude": 330.0,
        "pressure": [0.0, 1000.0],
        "temperature": Measured([10.0, 5.0], "degC"),
        "source": "here",
    }
    return Levels(**{**given, **change})


def test_pressure_becomes_depth_and_temperature_potential():
    table = make_table(levels(salinity=Measured([35.0, 34.9], "psu")), reader="test")
    warm = table.isel(obs=table["variable"].values == "thetao")
    absolute = gsw.SA_from_SP(34.9, 1000.0, 330.0, 45.0)
    assert warm["value"].values[1] == pytest.approx(gsw.pt0_from_t(absolute, 5.0, 1000.0), abs=1e-9)
    assert warm["depth"].values[1] == pytest.approx(-gsw.z_from_p(1000.0, 45.0))
    assert warm["value"].values[0] == pytest.approx(10.0, abs=1e-12)


def test_salinity_that_is_bad_or_missing_is_not_used():
    bad = Measured([35.0, 20.0], "psu", qc=np.array([1, 4]), reason=["", "bad"])
    with_bad = make_table(levels(salinity=bad), reader="test")
    without = make_table(levels(), reader="test")
    warm = with_bad.isel(obs=with_bad["variable"].values == "thetao")
    assert warm["value"].values[1] == without["value"].values[1]
    assert "salinity 35 assumed for it at 1 levels" in with_bad.attrs["notes"]
    assert "salinity 35 assumed for it at 2 levels" in without.attrs["notes"]


def test_other_definitions_are_converted():
    absolute = gsw.SA_from_SP(34.9, 1000.0, 330.0, 45.0)
    conservative = gsw.CT_from_t(absolute, 5.0, 1000.0)
    table = make_table(
        levels(
            pressure=[1000.0], temperature=Measured([conservative], "degC"),
            salinity=Measured([absolute], "g/kg"), temperature_kind="conservative",
            salinity_kind="absolute",
        ),
        reader="test",
    )  # fmt: skip
    expected = [gsw.pt0_from_t(absolute, 5.0, 1000.0), 34.9]
    np.testing.assert_allclose(table["value"].values, expected, atol=2e-5)
    same = make_table(levels(temperature_kind="potential"), reader="test")
    assert same["value"].values.tolist() == [10.0, 5.0]
    with pytest.raises(InputError, match="temperature is 'warm'"):
        make_table(levels(temperature_kind="warm"), reader="test")


@pytest.mark.parametrize(
    ("units", "value"),
    [("kelvin", 283.15), ("degF", 50.0), ("?C (ITS-90)", 10.0), ("degrees celsius", 10.0),
     ("celsius degree", 10.0), ("C", 10.0), ("deg C", 10.0), ("Degree_C", 10.0), ("K", 283.15)],
)  # fmt: skip
def test_spellings_of_degrees(units, value):
    table = make_table(
        levels(pressure=[0.0], temperature=Measured([value], units, error=[0.5])), reader="test"
    )
    assert table["value"].item() == pytest.approx(10.0, abs=1e-6)


def test_the_old_temperature_scale():
    table = make_table(
        levels(pressure=[0.0], temperature=Measured([20.0], "degC (IPTS-68)")), reader="test"
    )
    assert table["value"].item() == pytest.approx(20.0 / 1.00024, abs=1e-9)


def test_units_that_are_none():
    with pytest.raises(InputError):
        make_table(levels(temperature=Measured([10.0, 5.0], "furlong")), reader="test")
    assert plain_unit("furlong") == "furlong"


def test_errors_that_are_not_positive_are_unknown():
    error = [0.0, -1.0]
    table = make_table(levels(temperature=Measured([10.0, 5.0], "degC", error=error)), reader="t")
    assert np.isnan(table["error"]).all()


def test_names_of_profiles():
    several = levels(
        time=np.array(["2005-01-02", "2005-01-03"], dtype="datetime64[ns]"), platform="7"
    )
    named = make_table(several, reader="test")
    assert named["profile"].values.tolist() == ["2005-01-02T00:00:00", "2005-01-03T00:00:00"]
    nameless = make_table(levels(latitude=np.array([1.0, 2.0])), reader="test")
    assert nameless["profile"].values.tolist() == ["0", "1"]
    assert set(nameless["platform"].values) == {"here"}


def test_a_value_flagged_as_missing_stays():
    measured = Measured([10.0, 5.0], "degC", qc=np.array([9, 1]))
    table = make_table(levels(temperature=measured), reader="test")
    assert table["qc"].values.tolist() == [3, 1]
    assert table["reason"].values[0] == "flagged as missing"
