"""A period cut into overlapping streams: what is asked for, checked, and which cycles each takes.

A stream gives out a part of the cycles.  Before it are the cycles of its spin-up, behind it
those that a smoother looks ahead to; both are analysed, and not written.  Knows numbers of
cycles; no fields.
"""

from __future__ import annotations

import datetime
import logging
import re
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems

logger = logging.getLogger("xdeepda")

#: Spin-up of streams where none is asked for.
DEFAULT_SPINUP = "1Y"
#: A stream is at least so many chunks, where there are as many cycles: the ends of streams are
#: ends of chunks, and streams of equal work need some choice.
_CHUNKS = 8
_DAYS = 365.0
#: Parts of a year, by the words for them.
_WORDS = {
    r"y|yr|years?": 1.0,
    r"mon|months?": 1 / 12,
    r"pentads?": 1 / 73,
    r"d|days?": 1 / _DAYS,
}
_NUMPY_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / _DAYS, "D": 1 / _DAYS}


@dataclass(frozen=True)
class Division:
    """What is asked for.

    Attributes
    ----------
    streams : int
    spinup : int
        Cycles.
    client : distributed.Client, optional
        Of the cluster that runs them; this process does, one after the other, without one.
    """

    streams: int
    spinup: int
    client: Any = None


@dataclass(frozen=True)
class Stream:
    """One of the streams.

    Attributes
    ----------
    number : int
        From 0.
    start, stop : int
        Positions among the cycles that are given out, which are its own.
    first, last : int
        Absolute numbers of the first and last cycle that it analyses.
    joint : int, optional
        Cycle of its spin-up that is the last of its predecessor.
    """

    number: int
    start: int
    stop: int
    first: int
    last: int
    joint: int | None

    def __len__(self) -> int:
        """Cycles to analyse."""
        return self.last - self.first + 1


def division_of(
    streams: Any,
    spinup: Any,
    client: Any,
    *,
    cycle: Cycle,
    store: Path | None,
    single_data: bool,
    problems: Problems,
) -> Division | None:
    """Division that is asked for, None where the period is not divided; problems are collected.

    Parameters
    ----------
    streams, spinup, client
        See :func:`xdeepda.assimilate`.
    cycle : Cycle
    store : Path, optional
        Where the analysis is written.
    single_data : bool
        Whether checks or a ledger are asked for.
    problems : Problems
    """
    if streams is None:
        for name, value in (("spinup", spinup), ("client", client)):
            if value is not None:
                problems.add(f"{name}= is for streams", found="streams=None", todo="streams=4, ...")
        return None
    whole = isinstance(streams, Integral) and not isinstance(streams, bool)
    if not whole or streams < 1:
        problems.add("streams is a positive integer", found=repr(streams))
    if store is None:
        problems.add("streams are written as they go", found="no store=",
                     todo="store='analysis.zarr'")  # fmt: skip
    if single_data:
        problems.add(
            "checks= and ledger= do not go together with streams=",
            found="a datum in the spin-up of a stream would be judged twice",
            todo="reject by xdeepda.quality_control before, or run one stream: streams=None",
        )
    if spinup is None:
        spinup = DEFAULT_SPINUP
        logger.info("assimilate: each stream but the first has a spin-up of %s", spinup)
    try:
        cycles = cycles_of(spinup, cycle)
    except InputError as error:
        problems.add("spinup= is no period to use", found=str(error),
                     expected="'1Y', '18 months', '90D', ..., or a number of cycles")  # fmt: skip
        return None
    return Division(int(streams), cycles, client) if whole else None


def cycles_of(period: Any, cycle: Cycle) -> int:
    """Cycles that a period takes, whole ones.

    Parameters
    ----------
    period : int, str, timedelta64 or timedelta
        Number of cycles, or a length of time; a year is 12 months, 73 pentads or 365 days.
    cycle : Cycle

    Returns
    -------
    int

    Raises
    ------
    InputError
        If it is none, or shorter than one cycle.

    Examples
    --------
    >>> cycles_of("18 months", Cycle("pentad"))
    110
    """
    # numpy takes its lengths of time for integers
    if isinstance(period, Integral) and not isinstance(period, (bool, np.timedelta64)):
        number = float(period)
    else:
        number = _years(period) * cycle.per_year
    if not number >= 1 - 1e-9:
        raise InputError(f"{period!r} is shorter than a {cycle.name}")
    if number > 1e6:
        raise InputError(f"{period!r} is longer than any period")
    return int(np.ceil(number - 1e-9))


def _years(period: Any) -> float:
    """Length of time in years."""
    if isinstance(period, np.timedelta64) and not np.isnat(period):
        unit, count = np.datetime_data(period.dtype)
        if unit in _NUMPY_UNITS:
            return float(period.astype(np.int64)) * count * _NUMPY_UNITS[unit]
        return float(period / np.timedelta64(1, "s")) / 86400 / _DAYS
    if isinstance(period, datetime.timedelta):
        return period.total_seconds() / 86400 / _DAYS
    if isinstance(period, str):
        found = re.fullmatch(r"\s*(\d+\.?\d*)\s*([A-Za-z]+)\s*", period)
        # "m" would be minutes to some
        word = "" if found is None else "months" if found[2] == "M" else found[2].lower()
        for words, years in _WORDS.items():
            if found is not None and re.fullmatch(words, word):
                return float(found[1]) * years
    raise InputError(f"{period!r} is no length of time")


def chunk_of(chunk: int, wanted: int, streams: int) -> int:
    """Cycles of a chunk of which no two streams share one."""
    return max(1, min(chunk, wanted // (_CHUNKS * streams)))


def split(
    wanted: np.ndarray, cycles: np.ndarray, division: Division, lag: int, chunk: int
) -> list[Stream]:
    """Cut the cycles into streams of about equal work, at the ends of chunks.

    Parameters
    ----------
    wanted : numpy.ndarray of int64
        Cycles to give out.
    cycles : numpy.ndarray of int64
        Those that a single stream would analyse, consecutive.
    division : Division
    lag : int
        Later cycles that an analysis looks ahead to.
    chunk : int
        Cycles of a chunk.

    Returns
    -------
    list of Stream

    Raises
    ------
    InputError
        If there are not as many cycles as streams.
    """
    number, spinup = division.streams, division.spinup
    if number > len(wanted):
        problems = Problems("assimilate")
        problems.add("there are more streams than cycles",
                     found=f"streams={number}, {len(wanted)} cycles to give out")  # fmt: skip
        problems.raise_if_any()
    edges = _edges(wanted, int(cycles[0]), number, spinup, chunk)
    out = []
    for n, (start, stop) in enumerate(pairwise(edges)):
        first = int(cycles[0]) if n == 0 else max(int(cycles[0]), int(wanted[start]) - spinup)
        last = min(int(wanted[stop - 1]) + lag, int(cycles[-1]))
        before = None if n == 0 else int(wanted[start - 1])
        joint = before if before is not None and before >= first else None
        out.append(Stream(n, start, stop, first, last, joint))
    return out


def _edges(wanted: np.ndarray, first: int, number: int, spinup: int, chunk: int) -> list[int]:
    """Positions at which streams begin, and the end; all but the end are multiples of a chunk."""
    total = int(wanted[-1]) - first + 1
    # the first has no spin-up, and gives out as much more: all take as long
    each = max((total - spinup) / number, 0)
    begins = first + spinup + each * np.arange(1, number)
    chunks = -(-len(wanted) // chunk)
    edges = np.rint(np.searchsorted(wanted, np.rint(begins)) / chunk).astype(int).tolist()
    for n in range(number - 1):  # at least one chunk each, from either side
        least = edges[n - 1] + 1 if n else 1
        edges[n] = min(max(edges[n], least), chunks - (number - 1 - n))
    return [0, *(edge * chunk for edge in edges), len(wanted)]
