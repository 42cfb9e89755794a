"""Simulated observations of a truth.

Streams a truth cycle by cycle, draws what the network observes, and adds errors.
Knows runs, networks and superobservations; no model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.observations.cells import Cells
from xdeepda.observations.network import BoundNetwork
from xdeepda.observations.network import network as network_of
from xdeepda.observations.quantities import CANONICAL_UNIT, kind_of
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")


def observe(
    truth: xr.Dataset | xr.DataArray,
    network: Any,
    *,
    var: str | Sequence[str] | None = None,
    cycle: str | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Simulate the observations that a network makes of a truth.

    Parameters
    ----------
    truth : Dataset or DataArray
        With a time axis; read in blocks, so that it may be larger than memory.
    network : Network, or observations that :func:`xdeepda.observations.network` takes
    var : str or list of str, optional
        Variables to observe.
    cycle : {"pentad", "month", "year"}, optional
        Guessed from the time step by default, which is said in the log.
    seed : int
        The draw of a cycle depends on the seed and the cycle only: a part of the
        period gives the same numbers as the whole.

    Returns
    -------
    xarray.Dataset
        On the dimensions, their order and the units of the truth, one entry per
        cycle: ``<var>``, the cycle mean with an error added (NaN where nothing
        was measured), ``<var>_error``, the standard deviation that the error was
        drawn with, and ``<var>_count``.

    Raises
    ------
    InputError
        With all that is wrong with the truth; if nothing is observed at all.

    Examples
    --------
    >>> import pandas as pd
    >>> from xdeepda.observations import Network
    >>> truth = xr.DataArray(np.full((3, 20, 40), 10.0), dims=("time", "lat", "lon"),
    ...     coords={"time": pd.date_range("2001-01-15", periods=3, freq="30D"),
    ...             "lat": np.arange(-38.0, 42, 4), "lon": np.arange(0.0, 160, 4)},
    ...     name="thetao", attrs={"units": "degC"})
    >>> cells = observe(truth, Network.simulated(truth, "argo"), cycle="month")
    >>> bool((cells.thetao_count > 0).any())
    True
    """
    problems = Problems("observe")
    interval: Cycle | None = None
    try:
        interval = Cycle(cycle) if cycle is not None else None
    except InputError as error:
        problems.absorb(error)
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        problems.add("seed is not a number from 0 on", found=f"{seed!r}")
    names = [var] if isinstance(var, str) else list(var) if var is not None else None
    source = RunSource(truth, names, interval, problems=problems)
    problems.raise_if_any()
    assert source.cycle is not None
    if not hasattr(network, "on"):
        network = network_of(network, truth, var=names)
    bound = network.on(source.grid, source.cycle, source.calendar, source.variables, source.wet)
    cells = draw_truth(source, bound, error_scales(source, network), int(seed))
    if len(cells) == 0:
        raise InputError(f"observe: {network!r} observes nothing on the grid {source.grid}")
    standard = {n: str(_field(truth, n).attrs.get("standard_name", "")) for n in source.variables}
    out = cells.to_dataset(
        source.calendar,
        layout=source.layouts,
        period=(int(source.cycles[0]), int(source.cycles[-1])),
        standard_names=standard,
        dtype=np.float32,
    )
    out.attrs.update(network=repr(network), seed=int(seed))
    for name in source.variables:
        for part in (name, f"{name}_error"):
            out[part] = unit_tools.requantify(out[part], _field(truth, name))
    return unit_tools.requantify_axes(out, truth)


def _field(truth: xr.Dataset | xr.DataArray, name: str) -> xr.DataArray:
    """Field of a truth by name."""
    return truth if isinstance(truth, xr.DataArray) else truth[name]


def error_scales(source: RunSource, network: Any) -> np.ndarray:
    """Factor that takes the network's errors (K, psu) to the units of each variable."""
    factors = []
    kinds = getattr(network, "kinds", {})
    for name, unit in zip(source.variables, source.units, strict=True):
        canonical = CANONICAL_UNIT.get(kinds.get(name, kind_of(name)) or "", unit)
        factors.append(float(unit_tools.convert_difference(1.0, canonical, unit)))
    return np.array(factors)


def draw_truth(source: RunSource, bound: BoundNetwork, scales: np.ndarray, seed: int) -> Cells:
    """Superobservations of a run through a network.

    Parameters
    ----------
    source : RunSource
    bound : BoundNetwork
    scales : numpy.ndarray, shape (variable,)
        Factor that takes the network's errors to the units of the run.
    seed : int

    Returns
    -------
    Cells
        In the units of the run.
    """
    size = int(np.prod(source.grid.shape))
    parts = []
    for start, values in source.blocks():
        for offset, state in enumerate(values):
            index = int(source.cycles[start + offset])
            # offset: years before 0 exist in calendars, negative seeds do not
            rng = np.random.default_rng(np.random.SeedSequence([seed, index + 2**40]))
            cell, error, count = bound.draw(index, rng)
            error = error * scales[cell // size]
            value = state.reshape(-1)[cell].astype(np.float64)
            value = value + error * rng.standard_normal(cell.size)
            there = np.isfinite(value)
            number = np.full(int(there.sum()), index, dtype=np.int64)
            parts.append((number, cell[there], value[there], error[there], count[there]))
    number, cell, value, error, count = (np.concatenate(c) for c in zip(*parts, strict=True))
    return Cells(
        number, cell, value, error, count.astype(np.int32), source.variables, source.units,
        source.grid, source.cycle.name,
    )  # fmt: skip
