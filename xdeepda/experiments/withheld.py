"""The verb ``withheld_experiment``: real observations, part of them kept to verify with.

Conducts the experiment; calculates nothing itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError, Problems
from xdeepda.experiments.systems import (
    Systems,
    Wish,
    analyses,
    by_system,
    check_settings,
    check_wishes,
    common_cycle,
    common_variables,
    described,
    fitted,
    systems_of,
)
from xdeepda.observations.departures import departures
from xdeepda.observations.network import network as network_of
from xdeepda.observations.sources import superob
from xdeepda.observations.withholding import withhold
from xdeepda.verification.verb import verify

logger = logging.getLogger("xdeepda")


def withheld_experiment(
    obs: Any,
    control: xr.Dataset | xr.DataArray,
    model: Any,
    *,
    fraction: float = 0.1,
    by: str = "platform",
    repeats: int = 1,
    baselines: Any = ("climatology", "persistence"),
    var: str | Sequence[str] | None = None,
    members: int = 1,
    scores_by: str | Sequence[str] = "depth",
    statistics: str | Sequence[str] | None = None,
    regions: Any = None,
    bands: Sequence[float] | None = None,
    block: int | str | None = None,
    climatology: str | xr.Dataset | xr.DataArray = "model",
    checks: Any = None,
    device: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Withhold part of the observations, assimilate the rest, and verify with what was withheld.

    Parameters
    ----------
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
        Points.
    control : Dataset or DataArray
        Where the estimates start, baselines by name are fitted, and the climatology of the
        scores is from.
    model : Model or path, or a list or dict of these
        Each entry is a system; an entry that is itself a list is several models in one
        analysis.  The keys of a dict are their names.
    fraction, by
        What is withheld, see :func:`xdeepda.withhold`.
    repeats : int
        Draws, with the seeds `seed`, `seed` + 1, ...; the scores are of all together.  A
        datum that is withheld by several draws counts in each.
    baselines : list or dict, optional
        See :func:`xdeepda.osse`.
    var : str or list of str, optional
        Variables to verify; by default those of the model.
    members : int
    scores_by, statistics, regions, bands, block
        ``by`` and the others of the scores, see :func:`xdeepda.verify`.  ``block`` is
        ``"platform"`` by default where whole platforms are withheld.
    climatology : "model", or Dataset or DataArray
        What the systems take anomalies from, see :func:`xdeepda.assimilate`; a field is
        also the climatology of the scores.
    checks : optional
        See :func:`xdeepda.assimilate`.
    device : str, optional
    seed : int
        Of the draws, the members and the bootstrap.
    progress : bool

    Returns
    -------
    xarray.Dataset
        The statistics of :func:`xdeepda.verify` at the withheld observations, with a first
        dimension ``system``.  Attributes say what was withheld and how far it is from the
        rest, seeds, and the hash of each model.

    Raises
    ------
    InputError
        With all that is wrong, before anything is fitted or assimilated: nothing or
        everything withheld, no withheld observation within the grid, an unknown baseline,
        systems of different cycles or variables.

    Notes
    -----
    An observation is compared at its place, with its own error and that of what the grid
    does not resolve: the RMSE is that of analysis and observation together.

    Examples
    --------
    >>> scores = obs.deepda.withheld_experiment(control, model, repeats=5)  # doctest: +SKIP
    >>> scores.deepda  # doctest: +SKIP
    """
    problems = Problems("withheld_experiment")
    block = "platform" if block is None and by == "platform" else block
    asked = {
        "by": scores_by, "statistics": statistics, "regions": regions, "bands": bands,
        "block": block, "seed": seed,
    }  # fmt: skip
    check_settings(asked, problems)
    chosen = systems_of(model, baselines, control, problems)
    check_wishes(chosen, problems)
    names, cycle = common_variables(chosen, var, problems), common_cycle(chosen, None, problems)
    if names is None or cycle is None:
        problems.add("there is no model among the systems", todo="model=")
    parts = _draws(obs, fraction, by, seed, repeats, problems)
    if cycle is not None and names is not None and not len(problems):
        _check_inside(parts, control, cycle.name, names, problems)
    problems.raise_if_any()
    assert cycle is not None
    wished = any(isinstance(s, Wish) and s.calibrated for s in chosen.values())
    network = network_of(obs, control, var=names) if wished else None
    systems = fitted(chosen, control, var=names, cycle=cycle.name, network=network)
    last, tables = _departures(
        control, parts, systems, seed=seed, progress=progress, members=members,
        climatology=climatology, checks=checks, device=device,
    )  # fmt: skip
    own = None if isinstance(climatology, str) else climatology
    found = {
        name: verify(
            last[name], tables[name], var=names, cycle=cycle.name, progress=False,
            climatology=own if own is not None else control, **asked,
        )
        for name in systems
    }  # fmt: skip
    return described(
        by_system(found), "experiment with withheld observations",
        f"withheld_experiment(fraction={fraction}, by={by!r}, repeats={repeats}, seed={seed})",
        systems, _told(parts, by, seed, members),
    )  # fmt: skip


def _draws(
    obs: Any, fraction: float, by: str, seed: int, repeats: Any, problems: Problems
) -> list[tuple[Any, Any]]:
    """Pairs of kept and withheld observations; empty with a problem."""
    whole = isinstance(repeats, (int, np.integer)) and not isinstance(repeats, bool)
    if not whole or repeats < 1:
        problems.add("repeats= is no number from 1 on", found=repr(repeats))
        return []
    try:
        return [withhold(obs, fraction, by=by, seed=seed + n) for n in range(int(repeats))]
    except (InputError, TypeError) as error:
        if isinstance(error, TypeError):
            problems.add("seed is not a number from 0 on", found=repr(seed))
        else:
            problems.absorb(error)
    return []


def _check_inside(
    parts: list[tuple[Any, Any]], control: Any, cycle: str, names: list[str], problems: Problems
) -> None:
    """Both what is kept and what is withheld must lie within the grid."""
    for what, one in zip(("kept", "withheld"), parts[0], strict=True):
        try:
            superob(one, control, cycle=cycle, var=names)
        except InputError as error:
            problems.add(f"the {what} observations cannot be used", found=str(error))


def _departures(
    control: Any, parts: list[tuple[Any, Any]], systems: Systems, **arguments: Any
) -> tuple[dict[str, xr.Dataset], dict[str, xr.Dataset]]:
    """Last analysis of each system, and its departures from what was withheld, of all draws."""
    tables: dict[str, list[xr.Dataset]] = {name: [] for name in systems}
    last: dict[str, xr.Dataset] = {}
    for kept, withheld in parts:
        for name, analysis in analyses(control, kept, systems, **arguments):
            tables[name].append(departures(analysis, withheld))
            last[name] = analysis
    return last, {name: pooled(found) for name, found in tables.items()}


def pooled(tables: list[xr.Dataset]) -> xr.Dataset:
    """Departures of several draws as one table."""
    if len(tables) == 1:
        return tables[0]
    return xr.concat(
        tables, dim="obs", data_vars="all", coords="all", join="outer", compat="override",
        combine_attrs="override",
    )  # fmt: skip


def _told(parts: list[tuple[Any, Any]], by: str, seed: int, members: int) -> dict[str, Any]:
    """What was withheld, for the attributes."""
    first = parts[0][1]
    first = first[0] if isinstance(first, list) else first
    words = str(first.attrs["withheld"])
    if len(parts) > 1:
        words = f"{len(parts)} draws, of the first one: {words}"
    return {
        "withheld": words, "withheld_by": by, "repeats": len(parts), "seed": int(seed),
        "members": int(members),
    }  # fmt: skip
