"""Where an assimilation starts: anomalies and spread of a state, an ensemble or a run.

Knows runs and models as arrays; no tensors and no observations.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.errors import InputError, Problems
from xdeepda.model import Model
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")


def draws_of(seed: int, number: int) -> int:
    """Seed of one of several models: the first has that of the call, all draw independently."""
    if number == 0:
        return int(seed)
    return int(np.random.SeedSequence([int(seed), number]).generate_state(1)[0])


def initial_states(
    source: RunSource,
    models: Sequence[Model],
    first: int,
    calendar: str,
    members: int,
    seed: int,
) -> list[np.ndarray]:
    """Initial anomalies of each model; see :func:`initial_anomalies`."""
    return [
        initial_anomalies(source, model, first, calendar, members, draws_of(seed, number))
        for number, model in enumerate(models)
    ]


def initial_anomalies(
    source: RunSource, model: Model, first: int, calendar: str, members: int, seed: int
) -> np.ndarray:
    """Initial anomalies in the units of the model.

    Parameters
    ----------
    source : RunSource
        A state, an ensemble, or a run.
    model : Model
    first : int
        Absolute number of the first cycle.
    calendar : str
        Of the cycles.
    members : int
    seed : int
        Of the draw of years out of a run.

    Returns
    -------
    numpy.ndarray, shape (members, C, Y, X)

    Raises
    ------
    InputError
        If there are not as many states as members, or values are missing in the sea.
    """
    rng = np.random.default_rng(seed)
    if len(source) > 1:
        if f"{model.variables[0]}_background" in getattr(source.original, "data_vars", ()):
            logger.warning(
                "assimilate: ds is an analysis of %d times, taken as a run to draw states from; "
                "to go on from its last one, give ds.isel(%s=-1)", len(source), source.time_name,
            )  # fmt: skip
        return _from_run(source, model, first, members, rng)
    states = source.states()
    if len(states) == 1 and members > 1:
        logger.info("assimilate: all %d members start from the one state given", members)
        states = np.repeat(states, members, axis=0)
    before = model.cycle.year_fraction([first - 1], calendar)
    calendar_cycle = source.cycles[0] if len(source) else None
    if calendar_cycle is not None:
        before = model.cycle.year_fraction([calendar_cycle], source.calendar)
    return anomaly_states(states, source, model, before)


def check_members(source: RunSource, model: Model, members: object, problems: Problems) -> None:
    """Refuse a number of members that `source` cannot start."""
    whole = isinstance(members, (int, np.integer)) and not isinstance(members, bool)
    if not whole or members < 1:  # type: ignore[operator]
        problems.add("members is a positive integer", found=repr(members))
        return
    axis = source.layout.axes.member
    states = 1 if axis is None else source.original.sizes[axis]
    if len(source) <= 1 and states > 1 and members not in (1, states):
        problems.add(f"members={members}, but ds holds an ensemble of {states}")


def initial_spread(source: RunSource, model: Model) -> np.ndarray | None:
    """Spread of the one state that the estimate starts from, (C, Y, X), if it has one."""
    ds = source.original
    if len(source) > 1 or not isinstance(ds, xr.Dataset):
        return None
    if any(f"{name}_spread" not in ds for name in model.variables):
        return None
    parts = []
    for v, name in enumerate(model.variables):
        da = unit_tools.dequantify(ds[f"{name}_spread"])
        if any(str(d) not in source.layouts[name].dims for d in da.dims):
            return None
        values = source.layouts[name].canonical(da).values.reshape(model.grid.shape)
        unit = unit_tools.unit_of(da) or source.units[v]
        parts.append(unit_tools.convert_difference(values, unit, model.units[v]))
    return np.concatenate(parts)


def anomaly_states(
    states: np.ndarray, source: RunSource, model: Model, fraction: np.ndarray
) -> np.ndarray:
    """Anomalies of states (n, variable, nz, ny, nx) at one place in the year."""
    converted = np.stack(
        [
            unit_tools.convert(states[:, v], unit, target)
            for v, (unit, target) in enumerate(zip(source.units, model.units, strict=True))
        ],
        axis=1,
    )
    missing = int((~np.isfinite(converted) & model.wet).sum())
    if missing:
        raise InputError(
            f"assimilate: the initial state has NaN in {missing} cells of the model's sea; fill "
            "them, or start from the control run"
        )
    values = np.where(model.wet, converted - model.climatology.at(fraction), 0)
    return values.reshape(len(values), -1, *model.wet.shape[2:])


def _from_run(
    source: RunSource, model: Model, first: int, members: int, rng: np.random.Generator
) -> np.ndarray:
    """Initial anomalies out of a run: none for one member, years drawn for several."""
    channels = model.wet.shape[0] * model.wet.shape[1]
    if members == 1:
        return np.zeros((1, channels, *model.wet.shape[2:]), dtype=np.float32)
    phase = model.cycle.phase(first - 1)
    candidates = np.flatnonzero(model.cycle.phase(source.cycles) == phase)
    start, end = model.provenance.get("training_cycles", (source.cycles[0], source.cycles[-1]))
    trained = (source.cycles[candidates] >= start) & (source.cycles[candidates] <= end)
    candidates = candidates[trained] if trained.any() else candidates
    if not candidates.size:
        raise InputError("assimilate: ds has no state at the season of the first cycle")
    if members > candidates.size:
        raise InputError(
            f"assimilate: members={members}, but ds holds {candidates.size} years to start from"
        )
    years = rng.choice(candidates, size=members, replace=False)
    fraction = model.cycle.year_fraction(source.cycles[years], source.calendar)
    states = [
        anomaly_states(source.read(int(y), int(y) + 1), source, model, fraction[n : n + 1])
        for n, y in enumerate(years)
    ]
    return np.concatenate(states)
