"""Problems are told at once, with what was found and what to do."""

from __future__ import annotations

import pytest

from xdeepda.errors import (
    DeepDAError,
    InputError,
    MemoryForeseenError,
    ModelMismatchError,
    Problems,
)


def test_nothing_is_raised_without_problems():
    problems = Problems("train")
    problems.raise_if_any()
    assert len(problems) == 0


def test_all_problems_are_in_one_message():
    problems = Problems("train")
    problems.add("no depth axis", found="('time', 'y')", expected="metres", todo="add it")
    problems.add("too short")
    with pytest.raises(InputError) as error:
        problems.raise_if_any()
    assert str(error.value).splitlines() == [
        "train: 2 problems with the input",
        "1. no depth axis",
        "    found: ('time', 'y')",
        "    expected: metres",
        "    what to do: add it",
        "2. too short",
    ]
    assert [p.what for p in error.value.problems] == ["no depth axis", "too short"]


def test_one_problem_is_counted_as_one():
    problems = Problems("observe")
    problems.add("nothing there")
    assert problems.message().startswith("observe: one problem with the input")


def test_absorbed_problems_keep_their_number():
    inner = Problems("inner")
    inner.add("first")
    inner.add("second")
    with pytest.raises(InputError) as error:
        inner.raise_if_any()
    outer = Problems("outer", ModelMismatchError)
    outer.absorb(error.value)
    outer.absorb(InputError("third"))
    outer.absorb(inner)
    assert [p.what for p in outer] == ["first", "second", "third", "first", "second"]
    with pytest.raises(ModelMismatchError):
        outer.raise_if_any()


def test_errors_are_also_those_of_python():
    assert issubclass(InputError, ValueError)
    assert issubclass(InputError, DeepDAError)
    assert issubclass(MemoryForeseenError, MemoryError)
