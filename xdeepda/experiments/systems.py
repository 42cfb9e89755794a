"""Several systems on the same observations: which they are, how they run, how they compare.

A *system* is a model, a baseline, or several of these in one analysis, under a name.
Knows models and Datasets of scores; calculates nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.architectures import SETTINGS, ArchitectureSpec
from xdeepda.assimilation import assimilate
from xdeepda.calendar import Cycle
from xdeepda.errors import DeepDAError, InputError, Problems
from xdeepda.model import Model
from xdeepda.production.models import models_of
from xdeepda.provenance import history_line, package_version
from xdeepda.verification.joining import along
from xdeepda.verification.settings import settings_of
from xdeepda.verification.table import KIND

logger = logging.getLogger("xdeepda")

#: Baselines that can be asked for by name: they are then fitted to the control run.
BASELINES = ("climatology", "persistence", "oi", "enoi", "kalman", "combined")


@dataclass(frozen=True)
class Wish:
    """A baseline by name, to be fitted.

    Attributes
    ----------
    name : str
        Of ``BASELINES``.
    settings : mapping
        Arguments of its function that differ from the defaults.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def calibrated(self) -> bool:
        """Whether it is calibrated with a network: those that spread observations."""
        return bool(SETTINGS[self.name])


Chosen = dict[str, "Wish | list[Model]"]
Systems = dict[str, list[Model]]


def systems_of(models: Any, baselines: Any, control: Any, problems: Problems) -> Chosen:
    """Understand which systems are asked for; nothing is fitted yet.

    Parameters
    ----------
    models : Model, path, list or dict of these, or None
        Each entry of a list or dict is a system, an entry that is a list itself one of
        several models.  Without names they are called by their architectures.
    baselines : str, Model, path, list or dict of these, or None
        Names of ``BASELINES``, or fitted ones; of a dict also name -> mapping of settings.
    control : Dataset, DataArray or None
        Where baselines by name are fitted.
    problems : Problems

    Returns
    -------
    dict of Wish or list of Model
        By name, in order.
    """
    out: Chosen = {}
    for argument, given in (("models=", models), ("baselines=", baselines)):
        for label, one in _entries(given):
            system = _system(argument, label, one, problems)
            if system is not None:
                name = label if label is not None else _called(system)
                out[_fresh(name, out, label is not None, problems)] = system
    if not out and not len(problems):
        problems.add("there is no system to run", todo="models=model, baselines=['persistence']")
    wishes = [name for name, system in out.items() if isinstance(system, Wish)]
    if wishes and control is None:
        problems.add(
            f"baselines are fitted to a control run: {', '.join(wishes)}",
            todo="control=, or fitted ones: xdeepda.baselines.persistence(...), or baselines=()",
        )
    return out


def _entries(given: Any) -> list[tuple[str | None, Any]]:
    """Pairs of name (or None) and what stands under it."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [(str(name), one) for name, one in given.items()]
    if isinstance(given, (list, tuple)):
        return [(None, one) for one in given]
    return [(None, given)]


def _system(
    argument: str, label: str | None, one: Any, problems: Problems
) -> Wish | list[Model] | None:
    """One system; None with a problem."""
    word = label if label is not None and isinstance(one, Mapping) else one
    if argument == "baselines=" and isinstance(word, str) and not _is_path(word):
        if word in BASELINES:
            return Wish(word, one if isinstance(one, Mapping) else {})
        problems.add(
            f"baseline {word!r} is not known",
            expected=f"of {', '.join(BASELINES)}, a fitted one, or the path of its file",
        )
        return None
    try:
        return models_of(one)
    except (DeepDAError, FileNotFoundError) as error:
        which = f" {label!r}" if label is not None else ""
        problems.add(f"{argument}{which} cannot be used", found=str(error))
        return None


def _is_path(word: str) -> bool:
    """Whether a word is rather the path of a file than the name of a baseline."""
    return word.endswith(".safetensors") or os.sep in word


def _called(system: Wish | list[Model]) -> str:
    """Name of a system that has been given none."""
    if isinstance(system, Wish):
        return system.name
    return " and ".join(model.architecture.name for model in system)


def _fresh(name: str, taken: Mapping[str, Any], given: bool, problems: Problems) -> str:
    """Name that no other system has: numbered, or refused where the user has chosen it."""
    if name not in taken:
        return name
    if given:
        problems.add(f"two systems are called {name!r}", todo="other names")
    number = 2
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"


def common_variables(
    chosen: Chosen, var: str | Sequence[str] | None, problems: Problems
) -> list[str] | None:
    """Variables that are observed and verified: those asked for, else those of the models."""
    names = [var] if isinstance(var, str) else list(var) if var is not None else None
    for name, model in _models(chosen):
        if names is None:
            names = list(model.variables)
        lacking = [n for n in names if n not in model.variables]
        if lacking:
            problems.add(
                f"system {name!r} does not analyse {', '.join(map(repr, lacking))}",
                found=f"variables {list(model.variables)}",
                todo="var=, of those that all systems analyse",
            )
    return names


def common_cycle(chosen: Chosen, cycle: str | None, problems: Problems) -> Cycle | None:
    """Cycle of all systems: that asked for, else that of the models; None where none says."""
    try:
        wanted = None if cycle is None else Cycle(cycle)
    except InputError as error:
        problems.absorb(error)
        return None
    for name, model in _models(chosen):
        wanted = wanted or model.cycle
        if model.cycle.name != wanted.name:
            problems.add(
                f"system {name!r} is of another cycle", found=repr(model.cycle.name),
                expected=repr(wanted.name),
            )  # fmt: skip
    return wanted


def _models(chosen: Chosen) -> list[tuple[str, Model]]:
    """All models with the names of their systems."""
    held = [(n, s) for n, s in chosen.items() if not isinstance(s, Wish)]
    return [(name, model) for name, system in held for model in system]


def check_settings(given: Mapping[str, Any], problems: Problems) -> None:
    """Check what ``verify`` will be asked for, with its defaults, before anything is run."""
    defaults: dict[str, Any] = {
        "part": "analysis", "by": "depth", "statistics": None, "regions": None, "bands": None,
        "climatology": None, "persistence": 1, "assimilated": False, "block": None,
        "level": 0.95, "draws": 1000, "bins": 10, "seed": 0, "progress": False,
    }  # fmt: skip
    settings_of(defaults | dict(given), problems)


def fitted(
    chosen: Chosen, control: Any, *, var: Sequence[str] | None, cycle: str, network: Any
) -> Systems:
    """Fit the baselines that were asked for by name.

    Parameters
    ----------
    chosen : dict of Wish or list of Model
    control : Dataset or DataArray
    var : sequence of str, optional
    cycle : str
    network : Network
        For the calibration of those that spread observations.

    Returns
    -------
    dict of list of Model
    """
    from xdeepda import baselines

    out: Systems = {}
    for name, system in chosen.items():
        if isinstance(system, Wish):
            arguments: dict[str, Any] = {"var": None if var is None else list(var), "cycle": cycle}
            if system.calibrated:
                arguments["network"] = network
            logger.info("fitting baseline %s", system.name)
            model = getattr(baselines, system.name)(control, **{**arguments, **system.settings})
            out[name] = [model]
        else:
            out[name] = system
    return out


def check_wishes(chosen: Chosen, problems: Problems) -> None:
    """Check the settings of baselines that are fitted."""
    own = {"validation"}
    for system in chosen.values():
        if isinstance(system, Wish):
            try:
                ArchitectureSpec(
                    system.name, {k: v for k, v in system.settings.items() if k not in own}
                )
            except InputError as error:
                problems.absorb(error)


def analyses(
    start: xr.Dataset | xr.DataArray,
    obs: Any,
    systems: Mapping[str, Any],
    *,
    seed: int = 0,
    progress: bool = True,
    **arguments: Any,
) -> Iterator[tuple[str, xr.Dataset]]:
    """Analyses of the same observations by several systems, one after the other.

    Parameters
    ----------
    start : Dataset or DataArray
        Where the estimates start.
    obs : as for :func:`xdeepda.assimilate`
    systems : mapping of name to Model, path, or list of these
    seed : int
        The same for all.
    progress : bool
    **arguments
        Others of :func:`xdeepda.assimilate`.

    Yields
    ------
    name : str
    analysis : Dataset
        Only one is held at a time, unless the caller keeps them.

    Examples
    --------
    >>> for name, analysis in analyses(control, obs, {"mine": model}):  # doctest: +SKIP
    ...     analysis.to_netcdf(f"{name}.nc")
    """
    for number, (name, models) in enumerate(systems.items(), 1):
        logger.info("system %d of %d: %s", number, len(systems), name)
        yield (
            name,
            assimilate(start, obs, model=models, seed=seed, progress=progress, **arguments),
        )


def by_system(parts: Mapping[str, xr.Dataset], dim: str = "system") -> xr.Dataset:
    """Scores of several systems along a new, first dimension, also where there is one alone."""
    names = list(parts)
    if len(names) == 1:
        return parts[names[0]].expand_dims({dim: np.array(names, dtype=object)})
    return along(list(parts.values()), names, dim)


def described(
    scores: xr.Dataset, title: str, call: str, systems: Systems, attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Scores with what must be known to make them again."""
    hashes = {name: " ".join(m.hash for m in models) for name, models in systems.items()}
    inherited = {k: v for k, v in scores.attrs.items() if k not in ("title", "kind", "seed")}
    out = scores.assign_attrs()
    if "system" in scores.dims:
        labels = np.array(list(hashes.values()), dtype=object)
        about = {"long_name": "hash of the model, or of each of several"}
        out = out.assign_coords(model_hash=("system", labels, about))
    out.attrs = {
        "title": title,
        "kind": KIND,
        **attrs,
        **inherited,
        "model_hash": ", ".join(f"{name}: {h}" for name, h in hashes.items()),
        "xdeepda_version": package_version(),
        "history": history_line(call),
    }
    return out
