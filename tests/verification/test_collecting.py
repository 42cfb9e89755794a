"""Sums by level and group of places equal naive loops, with few and with many groups."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from xdeepda.verification import collecting
from xdeepda.verification.collecting import ColumnSums


@pytest.fixture(params=[3, 60], ids=["dense", "sparse"])
def case(request):
    rng = np.random.default_rng(request.param)
    inside = rng.random((request.param, 40)) < 0.4
    inside[1] = False  # an empty group
    return ColumnSums(inside, rng.uniform(0.1, 1, 40)), rng.normal(size=(5, 40))


def test_totals_and_numbers(case):
    sums, term = case
    for g, row in enumerate(sums.inside):
        np.testing.assert_allclose(sums.total(term)[:, g], (term * sums.area)[:, row].sum(axis=1))
        np.testing.assert_allclose(sums.number(term)[:, g], term[:, row].sum(axis=1))


def test_some_of_the_columns(case):
    sums, term = case
    columns = np.array([1, 4, 30])
    alone = np.zeros_like(term)
    alone[:, columns] = term[:, columns]
    part = sums.of(columns)
    np.testing.assert_allclose(part.total(term[:, columns]), sums.total(alone), atol=1e-15)
    numbers = np.zeros((5, 3), dtype=int)
    found = part.tally(numbers, 2, {"w": None})["w"]
    np.testing.assert_allclose(found[0], part.total(np.ones((5, 3))))
    assert (found[1] == 0).all()


def test_tallies(case):
    sums, term = case
    numbers = np.random.default_rng(0).integers(-1, 4, term.shape)
    term = np.where(numbers < 0, np.nan, term)
    found = sums.tally(numbers, 4, {"w": None, "t": term})
    for b in range(4):
        one = (numbers == b).astype(float)
        np.testing.assert_allclose(found["w"][b], sums.total(one), atol=1e-15)
        np.testing.assert_allclose(
            found["t"][b], sums.total(np.where(numbers == b, term, 0.0)), atol=1e-14
        )


def test_example():
    assert doctest.testmod(collecting, extraglobs={"np": np}).failed == 0
