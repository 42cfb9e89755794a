"""What happened to one observation, in words that agree with the numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError


@pytest.fixture(scope="module")
def ledger(ocean, persistence, many) -> xr.Dataset:
    bad = many.copy(deep=True)
    bad["value"][5] += 30.0
    table = bad.assign(
        qc=("obs", np.where(np.arange(600) == 2, 4, 0).astype(np.int8)),
        reason=("obs", np.where(np.arange(600) == 2, "spike", "").astype(object)),
        withheld=("obs", np.arange(600) == 3),
    )
    table["value"][4] = np.nan
    table = table.assign_coords(
        latitude=table["latitude"].where(np.arange(600) != 6, 89.0),
        profile=("obs", [f"cast {n}" for n in range(600)]),
    )
    return xdeepda.assimilate(
        ocean, table, model=persistence, ledger=True, checks="background"
    ).deepda.departures()


def number(text: str, before: str) -> float:
    return float(re.search(re.escape(before) + r"\s*([-+]?[0-9.]+(e[-+]?[0-9]+)?)", text)[1])


def test_a_lone_datum_of_the_scalar_filter(ledger):
    """Its increment is its gain times its innovation, and the words say so and no more."""
    centred = (ledger["latitude"] == ledger["latitude"]) & (ledger["cell_count"] == 1)
    row = int(np.flatnonzero(centred & (ledger["fate"] == 0))[0])
    text = xdeepda.explain(ledger, row)
    b, r = float(ledger["background_spread"][row]) ** 2, float(ledger["observed_error"][row]) ** 2
    assert number(text, "gain of") == pytest.approx(b / (b + r), abs=0.006)
    assert number(text, "O-B") == pytest.approx(float(ledger["innovation"][row]), rel=0.01)
    assert number(text, "O-A") == pytest.approx(float(ledger["residual"][row]), rel=0.01)
    moved = float(ledger["analysis"][row] - ledger["background"][row])
    assert number(text, "it moved by") == pytest.approx(moved, rel=0.01)
    assert "the only measurement of its cell" in text
    assert f"row {row} of source 1" in text
    assert f"cast {row}" in text
    assert repr(text) == str(text)


def test_a_datum_that_shares_its_cell(ledger):
    shared = (ledger["cell_count"].values > 2) & (ledger["fate"].values == 0)
    row = int(np.flatnonzero(shared)[0])
    text = xdeepda.explain(ledger, row)
    count = int(ledger["cell_count"][row])
    assert f"shares its cell with {count - 1} other measurements" in text
    value = float(ledger["cell_value"][row])
    assert number(text, "together they are") == pytest.approx(value, rel=1e-3)


def test_what_was_not_used(ledger):
    for row, words in (
        (2, "Not used: flagged as bad (spike)."),
        (3, "Not used: it was withheld, to compare with."),
        (4, "Not used: without a value."),
        (5, "Not used: rejected by the background check. Probability of a gross error: 1.00."),
        (6, "Not used: outside of the area."),
    ):
        assert words in xdeepda.explain(ledger, row)
    assert "no analysis at its place" in xdeepda.explain(ledger, 6)
    assert "came from other data alone" in xdeepda.explain(ledger, 3)
    assert "O-B" not in xdeepda.explain(ledger, 4)


def test_selections(ledger, ocean, persistence, many):
    analysis = xdeepda.assimilate(ocean, many, model=persistence, ledger=True)
    assert "Datum 599 (row 599" in xdeepda.explain(analysis, -1)
    assert analysis.deepda.explain(7) == xdeepda.explain(analysis, np.int64(7))
    platform = str(many["platform"].values[7])
    text = xdeepda.explain(ledger, {"platform": platform})
    same = int((many["platform"] == platform).sum())
    assert text.count("Datum ") == 3
    assert f"{same - 3} more data fit the selection" in text
    row = {"platform": platform, "depth": float(many["depth"][7]), "row": 7}
    assert xdeepda.explain(ledger, row) == xdeepda.explain(ledger, 7)
    mask = np.arange(600) == 7
    assert xdeepda.explain(ledger, mask) == xdeepda.explain(ledger, 7)


def test_what_cannot_be_explained(ledger, analysis):
    for datum, words in (
        (600, "no datum 600 among 600"),
        ({"ship": "a"}, r"no columns \['ship'\]"),
        ({"platform": "nobody"}, "no datum fits"),
        ("p7", "no position, mapping or mask"),
        (True, "no position, mapping or mask"),
        (np.zeros(600, dtype=bool), "no datum fits"),
    ):
        with pytest.raises(InputError, match=words):
            xdeepda.explain(ledger, datum)
    with pytest.raises(InputError, match="no ledger"):
        xdeepda.explain(analysis, 3)


def test_a_ledger_that_lies_in_a_file(ledger, tmp_path):
    """Opened lazily, as `open_zarr` and chunks do."""
    lazy = ledger.chunk({"obs": 100})
    assert xdeepda.explain(lazy, 7) == xdeepda.explain(ledger, 7)
    platform = {"platform": str(ledger["platform"].values[7])}
    assert xdeepda.explain(lazy, platform) == xdeepda.explain(ledger, platform)


def test_a_salinity_without_a_unit_reads_well(ledger):
    plain = ledger.copy()
    for name in ledger.data_vars:
        attrs = {k: v for k, v in ledger[name].attrs.items() if not k.startswith("units")}
        plain[name] = ledger[name].assign_attrs(attrs)
        plain[name].attrs.pop("units", None)
        if "units" in ledger[name].attrs:
            plain[name].attrs["units"] = "1"
    text = xdeepda.explain(plain, 7)
    assert not re.search(r"\d 1[ ,;.]", text), text
