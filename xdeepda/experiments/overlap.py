"""Whether a truth is part of the run that the systems were trained on.

Knows runs, and the periods that models say they were trained in.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xdeepda import units as unit_tools
from xdeepda.climatology import fit_climatology
from xdeepda.errors import Problems
from xdeepda.model import Model
from xdeepda.source import RunSource, sample_times

#: Cycles in common whose values are compared at most.
_COMPARED = 24
#: Largest difference of equal fields, in standard deviations of the field in space: what
#: float32 and a conversion of units leave; two runs differ by a thousand times as much.
_ROUNDING = 1e-4


def check_overlap(
    truth: RunSource,
    control: RunSource | None,
    systems: Mapping[str, list[Model]],
    independent: bool,
    problems: Problems,
) -> None:
    """Refuse a truth that has been seen, and one of which that cannot be decided.

    Parameters
    ----------
    truth : RunSource
    control : RunSource or None
        Of the same variables and cycle.
    systems : mapping of list of Model
        Those that were fitted or trained before.
    independent : bool
        The user's word that the truth is another run.
    problems : Problems
    """
    if not isinstance(independent, (bool, np.bool_)):
        problems.add("independent is True or False", found=repr(independent))
    shared = np.zeros(0, dtype=np.int64)
    if control is not None:
        shared = np.intersect1d(truth.cycles, control.cycles)
        same = is_same_run(truth, control, shared) if shared.size else False
        if same:
            problems.add(
                "the truth is part of the control run: the systems have seen it",
                found=f"equal values in cycles that both have, {_period(truth, shared)}",
                expected="years that no system was trained, tuned or chosen on",
                todo="a control run that ends before the truth: control.isel(time=slice(0, n))",
            )
            return
        if same is None and not independent:
            problems.add(
                "the truth may be part of the control run, with which it cannot be compared",
                found=f"cycles that both have, {_period(truth, shared)}",
                todo="independent=True if the truth is another run",
            )
    if independent:
        return
    for name, models in systems.items():
        used = np.unique(np.concatenate([_used(truth, model) for model in models]))
        unknown = np.setdiff1d(used, shared)
        if used.size > unknown.size and control is not None:
            # the values of the control run differ: which tells only of models that are its own
            own = all(is_trained_on(control, model) for model in models if _used(truth, model).size)
            unknown = unknown if own else used
        if unknown.size:
            problems.add(
                f"system {name!r} may have been trained on this truth",
                found=f"cycles in common with its training years, {_period(truth, unknown)}",
                expected="a truth outside of the training years, or of another run",
                todo="give the run that it was trained on, control=, and the values are compared; "
                "or independent=True if the truth is another run",
            )


def _used(truth: RunSource, model: Model) -> np.ndarray:
    """Cycles of the truth within the training and validation years of a model."""
    inside = np.zeros(len(truth), dtype=bool)
    for key in ("training_cycles", "validation_cycles"):
        first, last = model.provenance.get(key, (1, 0))
        inside |= (truth.cycles >= first) & (truth.cycles <= last)
    return truth.cycles[inside]


def is_same_run(truth: RunSource, control: RunSource, shared: np.ndarray) -> bool | None:
    """Whether two runs have the same values in any of the cycles that both have.

    None where they are on different grids, or have no cell in common.
    """
    if truth.grid.differences(control.grid):
        return None
    some = shared[np.unique(np.linspace(0, shared.size - 1, _COMPARED).astype(int))]
    found = [_same_cycle(truth, control, int(number)) for number in some]
    known = [same for same in found if same is not None]
    return any(known) if known else None


def is_trained_on(control: RunSource, model: Model) -> bool:
    """Whether a model has the climatology that the control run has in its training years.

    False also where the run does not cover these.
    """
    first, last = model.provenance.get("training_cycles", (1, 0))
    covered = len(control) and control.cycles[0] <= first <= last <= control.cycles[-1]
    if not covered or control.grid.differences(model.grid):
        return False
    name = control.time_name
    numbers = control.cycle.index(sample_times(control.original, name))
    years = control.original.isel({name: np.flatnonzero((numbers >= first) & (numbers <= last))})
    run = RunSource(years, list(control.variables), control.cycle)
    at = [model.variables.index(variable) for variable in run.variables]
    theirs = model.climatology.coefficients
    mine = fit_climatology(run, model.wet[at], len(theirs) // 2).coefficients
    for v, position in enumerate(at):
        slope, offset = unit_tools.conversion(run.units[v], model.units[position])
        found = mine[:, v].astype(np.float64) * slope
        found[0] += offset
        wet = model.wet[position]
        apart = np.abs(found - theirs[:, position])[:, wet].max()
        if not apart <= _ROUNDING * theirs[0, position][wet].std() + 1e-12:
            return False
    return True


def _same_cycle(truth: RunSource, control: RunSource, number: int) -> bool | None:
    """Whether one cycle is equal, but for rounding; None without a cell in common."""
    mine, theirs = (
        run.read(at, at + 1)[0].astype(np.float64)
        for run in (truth, control)
        for at in [int(np.searchsorted(run.cycles, number))]
    )
    judged = []
    for v, (unit, other) in enumerate(zip(truth.units, control.units, strict=True)):
        if not unit_tools.same_dimension(unit, other):
            continue
        converted = unit_tools.convert(theirs[v], other, unit)
        there = np.isfinite(mine[v]) & np.isfinite(converted)
        if there.any():
            apart = np.abs(mine[v] - converted)[there].max()
            judged.append(bool(apart <= _ROUNDING * mine[v][there].std() + 1e-12))
    return all(judged) if judged else None


def _period(run: RunSource, numbers: np.ndarray) -> str:
    """First and last of some cycles, in words."""
    first, last = run.cycle.middle(numbers[[0, -1]], run.calendar)
    return f"{numbers.size} from {first!s:.10} to {last!s:.10}"
