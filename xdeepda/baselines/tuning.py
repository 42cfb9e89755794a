"""Settings of the classical baselines, chosen on the validation years by long rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xdeepda.architectures import ArchitectureSpec
from xdeepda.baselines.schemes import arrays_of, assemble, foresee, observed_number, specify
from xdeepda.errors import InputError, Problems
from xdeepda.model import Model
from xdeepda.options import torch_threads
from xdeepda.progress import progress_bar
from xdeepda.training.preparation import Prepared, describe, open_run

#: Values that are tried by default, in the order in which the settings are tuned.
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "oi": {"localisation": (2000.0, 3000.0, 4500.0, 6500.0), "inflation": (0.5, 1.0, 2.0)},
    "enoi": {
        "localisation": (2000.0, 3000.0, 4500.0, 6500.0),
        "inflation": (0.5, 0.7, 1.0, 1.5),
        "damping": (0.5, 1.0, 1.5),
    },
    "kalman": {
        "patterns": (50, 100, 150, 200),
        "truncation": (1.0, 3.0, 6.0, 12.0),
        "inflation": (1.0, 1.03, 1.06),
    },
    "combined": {
        "patterns": (50, 100, 150),
        "truncation": (1.0, 3.0, 6.0, 12.0),
        "localisation": (2000.0, 3000.0, 4500.0, 6500.0),
        "inflation": (0.5, 0.7, 1.0, 1.5),
        "damping": (0.5, 1.0, 1.5),
    },
}


def tune(
    ds: Any,
    network: Any,
    baseline: str = "enoi",
    *,
    var: str | list[str] | None = None,
    cycle: str = "pentad",
    validation: float = 0.15,
    grid: Mapping[str, Sequence[Any]] | None = None,
    rounds: int = 1,
    device: str | None = None,
    seed: int = 0,
    progress: bool = True,
    **settings: Any,
) -> Model:
    """Fit a baseline with the settings that are best on the validation years.

    Each value is scored by one long cycled rollout over the validation years, with
    observations simulated through `network`: mean over the channels of RMSE / RMSE of
    climatology.  Settings are tuned one after the other, the others at their best so far.

    Parameters
    ----------
    ds : Dataset or DataArray
        The control run.
    network : Network
    baseline : {"oi", "enoi", "kalman", "combined"}
    var : str or list of str, optional
    cycle : {"pentad", "month", "year"}
    validation : float
        Fraction of the years, the last ones, that is tuned on and not fitted to.
    grid : mapping of str to sequence, optional
        Values to try for each setting, in this order; see ``xdeepda.baselines.tuning.GRIDS``.
    rounds : int
        How often to go through all settings.
    device : str, optional
    seed : int
        Of the observations, the same for all.
    progress : bool
        Show a progress bar.
    **settings
        Where to start, and those that are not tuned.

    Returns
    -------
    Model
        Calibrated; ``model.provenance["tuning"]`` holds what was tried, with the scores.

    Raises
    ------
    InputError
        With all that is wrong with the input.
    MemoryForeseenError
        If a variant would not fit into memory.

    Examples
    --------
    >>> model = xdeepda.baselines.tune(control, network, "enoi", var="thetao", cycle="month",
    ...                                grid={"localisation": (2000.0, 4000.0)})  # doctest: +SKIP
    """
    problems = Problems("baselines.tune")
    source, split = open_run(ds, var, cycle, validation, problems)
    choices = _choices(baseline, grid, rounds, split, problems)
    if not hasattr(network, "on"):
        problems.add("network is no Network", found=type(network).__name__)
    variants = _variants(baseline, settings, choices, split, problems)
    problems.raise_if_any()
    assert source is not None
    with torch_threads():
        observed = observed_number(source, network)
        for spec in variants:
            foresee(spec, source, split, observed)
        prepared = describe(source, split, None, problems)
        search = _Search(prepared, network, seed, device)
        total = rounds * sum(len(values) for values in choices.values())
        with progress_bar(total, "tune", progress, "rollout") as bar:
            best = variants[0]
            for _ in range(rounds):
                for key, values in choices.items():
                    best = search.best_of(best, key, values, bar)
    return search.finish(best)


def _choices(
    baseline: Any, grid: Any, rounds: Any, cycles: int, problems: Problems
) -> dict[str, list[Any]]:
    """Values to try for each setting; default ones that the run is too short for are left out."""
    if baseline not in GRIDS:
        problems.add(f"baseline={baseline!r} is not known", expected=", ".join(GRIDS))
        return {}
    if not isinstance(rounds, int) or rounds < 1:
        problems.add("rounds is a positive integer", found=repr(rounds))
    if grid is None:
        most = {"patterns": cycles // 2, "ensemble": cycles}
        return {
            key: [v for v in values if v <= most.get(key, v)]
            for key, values in GRIDS[baseline].items()
        }
    good = isinstance(grid, Mapping) and all(
        isinstance(v, (list, tuple, np.ndarray)) and len(v) for v in grid.values()
    )
    if not good or not grid:
        problems.add(
            "grid is a mapping of settings to lists of values",
            found=repr(grid),
            expected="such as {'localisation': [2000.0, 4000.0]}",
        )
        return {}
    return {k: [getattr(v, "item", lambda v=v: v)() for v in vs] for k, vs in grid.items()}


def _variants(
    baseline: Any,
    settings: dict[str, Any],
    choices: dict[str, list[Any]],
    cycles: int,
    problems: Problems,
) -> list[ArchitectureSpec]:
    """Where to start, and with each of the values in turn: all are checked before work."""
    if baseline not in GRIDS:
        return []
    first = specify(baseline, settings, cycles, problems)
    if first is None:
        return []
    trials = ({**settings, k: v} for k, vs in choices.items() for v in vs)
    made = [specify(baseline, trial, cycles, problems) for trial in trials]
    return [first, *(spec for spec in made if spec is not None)]


class _Search:
    """Scores settings; what was fitted or scored once is kept."""

    def __init__(self, prepared: Prepared, network: Any, seed: int, device: str | None) -> None:
        from xdeepda.baselines.rollout import Rollout

        self.prepared, self.network = prepared, network
        self.rollout = Rollout(prepared, network, seed, device)
        self.fitted: tuple[Any, dict[str, np.ndarray]] = (None, {})
        self.scores: dict[str, tuple[ArchitectureSpec, Any]] = {}

    def model(self, spec: ArchitectureSpec) -> Model:
        """Model with settings; its arrays are fitted anew only if their sizes change."""
        sizes = (spec.settings.get("ensemble"), spec.settings.get("patterns"))
        if self.fitted[0] != sizes:
            self.fitted = (sizes, arrays_of(self.prepared, spec))
        return assemble(self.prepared, spec, self.fitted[1], self.network)

    def score(self, spec: ArchitectureSpec) -> float:
        """Score of settings."""
        if repr(spec) not in self.scores:
            self.scores[repr(spec)] = (spec, self.rollout.score(self.model(spec)))
        total = self.scores[repr(spec)][1].total
        return float(total) if np.isfinite(total) else np.inf

    def best_of(
        self, best: ArchitectureSpec, key: str, values: Sequence[Any], bar: Any
    ) -> ArchitectureSpec:
        """Best settings among those that differ in one."""
        start = best
        for value in values:
            trial = replace(start, settings={**start.settings, key: value})
            if self.score(trial) < self.score(best):
                best = trial
            bar.set_postfix(score=f"{self.score(best):.3f}")
            bar.update(1)
        return best

    def finish(self, best: ArchitectureSpec) -> Model:
        """Calibrated model of the best settings, with all that was tried."""
        from xdeepda.baselines.rollout import with_score

        if not np.isfinite(self.score(best)):
            raise InputError("baselines.tune: no setting gives finite analyses")
        tried = [[spec.settings, score.total] for spec, score in self.scores.values()]
        model = with_score(self.model(best), self.scores[repr(best)][1])
        return replace(model, provenance={**model.provenance, "tuning": tried})
