"""The verb ``verify``: what is compared with what, checked; what comes out, labelled.

Conducts the comparisons of the room; calculates nothing itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.verification import against_fields, against_observations
from xdeepda.verification.against_fields import FieldComparison
from xdeepda.verification.against_observations import PointComparison
from xdeepda.verification.fields import Estimate, as_dataset, estimates_of, same_quantity
from xdeepda.verification.groups import Groups, time_parts
from xdeepda.verification.joining import joined
from xdeepda.verification.normals import Normals, normals_of, own_normals
from xdeepda.verification.regions import ALL
from xdeepda.verification.resampling import FEWEST
from xdeepda.verification.result import Frame, labelled
from xdeepda.verification.settings import Settings, called, references_of, settings_of
from xdeepda.verification.statistics import REQUIREMENTS, requirements

logger = logging.getLogger("xdeepda")

Reference = xr.Dataset | xr.DataArray


@dataclass(frozen=True, eq=False)
class _Pair:
    """One comparison with its climatology and what there is to tell."""

    comparison: FieldComparison | PointComparison
    normals: Normals | None
    groups: Groups
    notes: dict[str, str]


def verify(
    analysis: xr.Dataset | xr.DataArray,
    reference: Any,
    *,
    var: str | Sequence[str] | None = None,
    by: str | Sequence[str] = "depth",
    part: str = "analysis",
    statistics: str | Sequence[str] | None = None,
    climatology: Reference | None = None,
    persistence: int = 1,
    regions: Any = None,
    bands: Sequence[float] | None = None,
    cycle: str | None = None,
    assimilated: bool = False,
    block: int | str | None = None,
    level: float = 0.95,
    draws: int = 1000,
    bins: int = 10,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Compare an analysis, and its stated uncertainty, with what is known better.

    Parameters
    ----------
    analysis : Dataset or DataArray
        From :func:`xdeepda.assimilate`, or any fields with time and space.
    reference : Dataset, DataArray, pandas.DataFrame, or a list or dict of these
        A truth or another product, on the same or another regular grid; observations
        in any form that ``assimilate`` takes, best such as were withheld; or the
        departures of :func:`xdeepda.departures`.  Several give a dimension
        ``reference``, named by the keys of a dict.
    var : str or list of str, optional
        Variables of the analysis; by default all that were analysed.  Several give a
        dimension ``variable``.
    by : str or sequence of str
        Of ``depth``, ``region``, ``latitude``, and one of ``season``, ``month``,
        ``year``, ``time``.  What is not named is averaged over: cells by their area,
        levels by their thickness.  ``()`` gives one number for everything.
    part : {"analysis", "background"}
        What of the analysis is verified.
    statistics : str or sequence of str, optional
        Those that are wanted, with their intervals; refused where something that they
        need, such as members, is missing.  By default all that can be made.
    climatology : Dataset or DataArray, optional
        For anomalies: a control run (its mean annual cycle is fitted), means along a
        dimension ``month``, or one field without time.  By default the mean annual
        cycle of a reference on a grid itself, if it spans five years; which one is in
        the attribute ``climatology``.
    persistence : int
        Lag in cycles of the persistence to beat: the reference so long before, as an
        anomaly where there is a climatology.  0 for none.
    regions : dict or DataArray, optional
        Instead of basins by coordinates: a dict of name -> (south, north, west, east)
        or -> mask, or a mask of numbers or words.  Regions may overlap.
    bands : sequence of float, optional
        Edges of the bands of latitude.
    cycle : {"pentad", "month", "year"}, optional
        By default that of the analysis, else guessed from its time step.
    assimilated : bool
        Say so if the analysis has seen these observations: Desroziers' estimates are
        then made from them.  Departures know it themselves.
    block : int or "platform", optional
        Blocks of the bootstrap: so many cycles, by default a tenth of the period, a
        year at most; for observations also whole platforms (places of 5 degrees where
        platforms have no name).
    level : float
        Coverage of the intervals.
    draws : int
        Replicates of the bootstrap.
    bins : int
        Of the histogram of probability integral transforms, and of reliability.
    seed : int
        Of the bootstrap, and of ties of ranks.
    progress : bool

    Returns
    -------
    xarray.Dataset
        Statistics with their intervals ``<name>_low`` and ``<name>_high``: ``count``,
        ``missing``, ``bias``, ``rmse``, ``acc``, ``skill_<standard>`` and
        ``rmse_<standard>`` (climatology, persistence, background), ``spread``,
        ``spread_skill``, ``crps``, ``pit_histogram``, ``reliability_*``; of members
        ``member_*`` and ``rank_histogram``; ``mean_*`` of means over the group; of
        assimilated observations ``desroziers_*``.  See the page on verification for
        every formula.  :func:`xdeepda.to_table` and the repr of ``.deepda`` show them
        as a table.

    Raises
    ------
    InputError
        With all that is wrong: no time or place in common, other variables or units,
        regions without cells, members where there must be none.

    Notes
    -----
    A reference on another grid comes to the grid of the analysis: means over what
    overlaps a cell where the reference is finer, linear interpolation where it is not;
    cells that it does not cover wholly are left out and counted as ``missing``.  Samples
    of one cycle are averaged.  Observations are compared at their places, each counts 1,
    and their error is part of the expected one.

    Examples
    --------
    >>> scores = analysis.deepda.verify(truth)  # doctest: +SKIP
    >>> scores.deepda  # doctest: +SKIP
    >>> analysis.deepda.verify([truth, withheld], by=("depth", "region"))  # doctest: +SKIP
    """
    problems = Problems("verify")
    settings = settings_of(
        {
            "part": part, "by": by, "statistics": statistics, "regions": regions, "bands": bands,
            "climatology": climatology, "persistence": persistence, "assimilated": assimilated,
            "block": block, "level": level, "draws": draws, "bins": bins, "seed": seed,
            "progress": progress,
        },
        problems,
    )  # fmt: skip
    estimates = estimates_of(analysis, var, part, cycle, problems) if settings else []
    references = references_of(reference, problems)
    problems.raise_if_any()
    assert settings is not None
    pairs = [
        (estimate.name, name, _pair(given, name, estimate, settings, problems))
        for estimate in estimates
        for name, given in references.items()
    ]
    _tell_impossible([pair for *_, pair in pairs if pair is not None], settings, problems)
    problems.raise_if_any()
    found = {(v, r): _compute(pair, settings) for v, r, pair in pairs if pair is not None}
    return joined(found, estimates, list(references), settings)


# ---- one comparison


def _pair(
    given: Any, name: str, estimate: Estimate, settings: Settings, problems: Problems
) -> _Pair | None:
    """Check that one comparison can be made; None with a problem."""
    before, who = len(problems), called(name)
    notes: dict[str, str] = {}
    normals = None
    if settings.climatology is not None:
        known = {p.what for p in problems}
        own = Problems("climatology")
        normals = normals_of(settings.climatology, estimate, own)
        if {p.what for p in own} - known:
            problems.absorb(own)
    comparison: FieldComparison | PointComparison | None
    if against_observations.are_observations(given):
        comparison = against_observations.prepare(
            given, estimate, settings.part, normals, settings.assimilated, who, problems
        )
        notes["compared"] = "in observation space, each observation counts 1"
        if comparison is not None and comparison.told:
            notes["not_compared"] = comparison.told
        notes["climatology"] = normals.told if normals else "none was given"
    else:
        comparison = _fields(given, estimate, settings, who, problems)
        if comparison is not None and normals is None and estimate.cycle is not None:
            normals, notes["climatology"] = _own(given, comparison)
        elif normals is not None:
            notes["climatology"] = normals.told
        notes["compared"] = comparison.told if comparison is not None else ""
    groups = None if comparison is None else _populated(comparison, settings, problems)
    if len(problems) > before or comparison is None or groups is None:
        return None
    return _Pair(comparison, normals, groups, notes)


def _fields(
    given: Any, estimate: Estimate, settings: Settings, who: str, problems: Problems
) -> FieldComparison | None:
    """Comparison with fields; None with a problem."""
    if settings.block == "platform":
        problems.add(f"{who}: block='platform' is for observations", expected="a number of cycles")
    if settings.assimilated:
        problems.add(f"{who}: assimilated=True is for observations")
    ds = as_dataset(given)
    assert ds is not None
    return against_fields.prepare(ds, estimate, who, problems)


def _own(given: Any, comparison: FieldComparison) -> tuple[Normals | None, str]:
    """Climatology of the reference itself, and what to tell of it."""
    ds = as_dataset(given)
    assert ds is not None
    da = same_quantity(ds, comparison.estimate, "reference", Problems("verify"))
    assert da is not None
    found = own_normals(ds, str(da.name), comparison.estimate)
    if isinstance(found, Normals):
        return found, found.told
    told = f"none: the reference has no mean annual cycle of its own ({found})"
    logger.info("verify: no skill against climatology, %s; give climatology=", told)
    return None, told


def _tell_impossible(pairs: list[_Pair], settings: Settings, problems: Problems) -> None:
    """Statistics that are asked for must be possible with one of the references at least."""
    needs: dict[str, list[str]] = {}
    for name in settings.statistics or ():
        lacking = [_lacking(name, pair, settings) for pair in pairs]
        if lacking and all(lacking):
            needs.setdefault(lacking[0][0], []).append(name)
    for need, names in needs.items():
        words, todo = REQUIREMENTS[need]
        problems.add(f"{', '.join(names)} cannot be made", expected=words, todo=todo)


def _lacking(name: str, pair: _Pair, settings: Settings) -> list[str]:
    """What a statistic needs and a comparison does not have."""
    comparison, estimate = pair.comparison, pair.comparison.estimate
    fields = isinstance(comparison, FieldComparison)
    there = {
        "spread": estimate.spread is not None,
        "member": estimate.value.members > 1,
        "climatology": pair.normals is not None,
        "background": estimate.background is not None,
        "persistence": fields and settings.persistence > 0,
        "mean": fields,
        "observation": not fields,
        "desroziers": isinstance(comparison, PointComparison) and bool(comparison.desroziers),
    }
    return [need for need in sorted(requirements(name) or ()) if not there[need]]


def _populated(
    comparison: FieldComparison | PointComparison, settings: Settings, problems: Problems
) -> Groups | None:
    """Groups without empty regions: basins are dropped silently, named regions refused."""
    groups, estimate = settings.groups, comparison.estimate
    lacking = [n for n in ("lat", "lon") if getattr(estimate.grid, n) is None]
    if lacking and ("region" in settings.by or "latitude" in settings.by):
        rest = tuple(n for n in settings.by if n not in ("region", "latitude"))
        problems.add("regions and bands of latitude need both axes",
                     found=f"no {lacking[0]} axis", todo=f"by={rest}")  # fmt: skip
        return None
    lat, lon = against_fields.places(estimate)
    sea = _sea(estimate)
    held = groups.regions.membership(lat, lon) & sea
    empty = [n for n, row in zip(groups.regions.names, held, strict=True) if not row.any()]
    empty = [n for n in empty if n != ALL]
    if empty and settings.regions_given:
        problems.add(
            f"regions without a cell of the analysis in the sea: {', '.join(empty)}",
            expected=f"within {estimate.grid}",
            todo="larger regions, or leave them out",
        )
    return groups.without(empty)


def _sea(estimate: Estimate) -> np.ndarray:
    """Columns with a value in the first, middle or last cycle; shape (ny * nx,)."""
    numbers = estimate.value.numbers
    some = np.unique(numbers[[0, len(numbers) // 2, -1]])
    held = [np.isfinite(estimate.value.read(int(n))).any(axis=(0, 1)) for n in some]
    return np.asarray(np.any(held, axis=0)).ravel()


def _compute(pair: _Pair, settings: Settings) -> xr.Dataset:
    """Sums, then statistics."""
    comparison, estimate = pair.comparison, pair.comparison.estimate
    by_platform = settings.block == "platform"
    if isinstance(comparison, PointComparison):
        units = against_observations.units_of(comparison, by_platform)
        parts = time_parts(settings.by, units[0], estimate.cycle, estimate.calendar)
        sums = against_observations.sum_points(
            comparison, pair.groups, units, parts.held,
            by_platform=by_platform, bins=settings.bins, seed=settings.seed,
        )  # fmt: skip
        blocks, told = _blocks(units[0], units[1], settings, estimate)
    else:
        numbers = comparison.numbers
        parts = time_parts(settings.by, numbers, estimate.cycle, estimate.calendar)
        sums = against_fields.sum_fields(
            comparison, pair.groups, parts, normals=pair.normals,
            persistence=settings.persistence, bins=settings.bins,
            by_depth="depth" in settings.by, seed=settings.seed, progress=settings.progress,
        )  # fmt: skip
        blocks, told = _blocks(numbers, numbers, settings, estimate)
    sums.block = blocks
    out = labelled(sums, parts, _frame(pair, settings))
    if settings.statistics is not None:
        kept = ("count", "missing", *settings.statistics)
        names = [n + end for n in kept for end in ("", "_low", "_high")]
        out = out[[n for n in names if n in out]]
    out.attrs = {**_period(comparison), **pair.notes, "intervals": told}
    return out


def _frame(pair: _Pair, settings: Settings) -> Frame:
    """What labels the result."""
    estimate = pair.comparison.estimate
    by_depth = "depth" in settings.by and estimate.grid.depth is not None
    return Frame(
        settings.by,
        pair.groups,
        estimate.grid.depth if by_depth else None,
        estimate.unit,
        settings.level,
        settings.draws,
        settings.seed,
        isinstance(pair.comparison, FieldComparison),
    )


def _blocks(
    numbers: np.ndarray, platform: np.ndarray, settings: Settings, estimate: Estimate
) -> tuple[np.ndarray, str]:
    """Label of the block of each unit, and what to tell of the intervals."""
    if settings.block == "platform":
        label, words = platform, "whole platforms"
    else:
        year = estimate.cycle.per_year if estimate.cycle is not None else 1
        span = int(numbers.max() - numbers.min()) + 1
        # parts of the year come once a year: a block holds one of each
        usual = year if {"season", "month"} & {*settings.by} else np.clip(span // 10, 1, year)
        length = int(settings.block or usual)
        label = (numbers - numbers.min()) // length
        words = f"{length} consecutive cycle{'s' if length > 1 else ''}"
    count = np.unique(label).size
    if count < FEWEST:
        return label, f"none: {count} blocks of {words}, and {FEWEST} are needed"
    return label, (f"{settings.level:.0%}, by bootstrap of {count} blocks of {words}, "
                   f"{settings.draws} draws, percentiles")  # fmt: skip


def _period(comparison: FieldComparison | PointComparison) -> dict[str, Any]:
    """What was compared, for the attributes."""
    estimate = comparison.estimate
    if isinstance(comparison, PointComparison):
        numbers = np.unique(comparison.cycle)
        seen = "assimilated" if comparison.assimilated else "not assimilated"
        kind = f"observations that were {seen}"
    else:
        numbers, kind = comparison.numbers, "fields"
    attrs: dict[str, Any] = {"reference": kind, "cycles": int(numbers.size)}
    if estimate.cycle is not None:
        first, last = estimate.cycle.middle(numbers[[0, -1]], estimate.calendar)
        attrs["period"] = f"{first!s:.10} to {last!s:.10}"
    return attrs
