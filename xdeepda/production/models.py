"""Several models in one analysis: what they must have in common, and how they are combined.

Knows models and arrays; no tensors.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xdeepda import units as unit_tools
from xdeepda.analysis import Fields
from xdeepda.errors import InputError, ModelMismatchError, Problems
from xdeepda.model import Model, as_model

logger = logging.getLogger("xdeepda")


def models_of(given: Any) -> list[Model]:
    """Models for what the user gave: a Model, a path, or a list of these.

    Raises
    ------
    ModelMismatchError
        If a list is empty, or its models are not of one grid, cycle, variables and units;
        all that differs is told.
    ModelFileError
        If a model file cannot be used.
    """
    if not isinstance(given, (list, tuple)):
        return [as_model(given)]
    problems = Problems("assimilate", ModelMismatchError)
    if not given:
        problems.add("model= is an empty list", expected="one or several models")
    models: list[Model] = []
    for number, one in enumerate(given):
        try:
            models.append(as_model(one))
        except InputError as error:
            problems.add(f"model {number} of the list is none", found=str(error))
    if models:
        for number, model in enumerate(models[1:], 1):
            _compare(models[0], model, number, problems)
    problems.raise_if_any()
    return models


def _compare(head: Model, model: Model, number: int, problems: Problems) -> None:
    """Note in what a model of the list differs from the first."""
    said = f"model {number} of the list differs from the first in its"
    if told := head.grid.differences(model.grid):
        problems.add(
            f"{said} grid", found="; ".join(told), todo="train on runs interpolated to one grid"
        )
    if model.cycle.name != head.cycle.name:
        problems.add(f"{said} cycle", found=f"{head.cycle.name!r} and {model.cycle.name!r}")
    if model.variables != head.variables:
        problems.add(f"{said} variables", found=f"{head.variables} and {model.variables}")
        return
    for name, mine, theirs in zip(head.variables, head.units, model.units, strict=True):
        same = unit_tools.same_dimension(mine, theirs)
        if not same or unit_tools.conversion(theirs, mine) != (1.0, 0.0):
            problems.add(f"{said} units of {name!r}", found=f"{mine!r} and {theirs!r}")


def common_model(models: Sequence[Model]) -> Model:
    """First model, with the sea that all of them have."""
    if len(models) == 1:
        return models[0]
    wet = np.logical_and.reduce([model.wet for model in models])
    lacking = int(np.logical_or.reduce([model.wet for model in models]).sum() - wet.sum())
    if lacking:
        logger.warning(
            "assimilate: %d cells are sea in some of the %d models only; the analysis has no "
            "value there, and observations there are not used", lacking, len(models),
        )  # fmt: skip
    return replace(models[0], wet=wet)


def combine(parts: Sequence[Fields]) -> Fields:
    """Combine the estimates of several models for one cycle.

    Parameters
    ----------
    parts : sequence of dict of numpy.ndarray
        One entry for each model: estimates ``""`` and ``"_background"``, standard
        deviations with ``"_spread"`` behind that, and members, any of them.

    Returns
    -------
    dict of numpy.ndarray of float32
        Estimates: the mean over the K models.  ``<estimate>_spread_within``: root of
        the mean of their variances; ``<estimate>_spread_between``: standard deviation
        of their estimates, with K - 1; ``<estimate>_spread``: root of the sum of both
        squares.  NaN where any model has none.  Members follow each other, model by
        model.

    Notes
    -----
    The total is the law of total variance: that of a draw from a model taken at random,
    if each is right about itself.  It is too large for the error of the mean where the
    errors of the models are independent and average out, and too small where all of
    them err alike.
    """
    if len(parts) == 1:
        return dict(parts[0])
    out: Fields = {}
    for name in ("", "_background"):
        if name in parts[0]:
            estimates = np.stack([part[name] for part in parts]).astype(np.float64)
            out[name] = estimates.mean(axis=0).astype(np.float32)
            variances = np.stack([part[f"{name}_spread"] for part in parts]).astype(np.float64) ** 2
            within, between = variances.mean(axis=0), estimates.var(axis=0, ddof=1)
            out[f"{name}_spread"] = np.sqrt(within + between).astype(np.float32)
            out[f"{name}_spread_within"] = np.sqrt(within).astype(np.float32)
            out[f"{name}_spread_between"] = np.sqrt(between).astype(np.float32)
    for name in ("members", "background_members", "analysis_members"):
        if name in parts[0]:
            out[name] = np.concatenate([part[name] for part in parts])
    return out
