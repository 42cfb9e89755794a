"""Baselines that spread nothing: climatology and damped persistence."""

from __future__ import annotations

from typing import Any

import numpy as np

from xdeepda.architectures import ArchitectureSpec
from xdeepda.errors import Problems
from xdeepda.model import Model
from xdeepda.provenance import package_version
from xdeepda.training.preparation import describe, open_run


def climatology(
    ds: Any, *, var: str | list[str] | None = None, cycle: str = "pentad", validation: float = 0.15
) -> Model:
    """Baseline: the climatology of the control run, and its variance as error.

    Parameters
    ----------
    ds : Dataset or DataArray
        The control run.
    var : str or list of str, optional
    cycle : {"pentad", "month", "year"}
    validation : float
        Fraction of the years, the last ones, that is left out, as in training.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        With all that is wrong with the control run.

    Examples
    --------
    >>> model = xdeepda.baselines.climatology(control, var="thetao")  # doctest: +SKIP
    """
    return _fit("climatology", ds, var, cycle, validation)


def persistence(
    ds: Any, *, var: str | list[str] | None = None, cycle: str = "pentad", validation: float = 0.15
) -> Model:
    """Baseline: damped persistence of what was measured in each cell.

    A scalar Kalman filter in each cell, with the lag-one correlation and the
    variance of the control run; nothing is spread to neighbours.

    Parameters
    ----------
    ds : Dataset or DataArray
        The control run.
    var : str or list of str, optional
    cycle : {"pentad", "month", "year"}
    validation : float
        Fraction of the years, the last ones, that is left out, as in training.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        With all that is wrong with the control run.

    Examples
    --------
    >>> model = xdeepda.baselines.persistence(control, var="thetao")  # doctest: +SKIP
    """
    return _fit("persistence", ds, var, cycle, validation)


def _fit(name: str, ds: Any, var: Any, cycle: str, validation: float) -> Model:
    """Describe the control run; there are no weights."""
    problems = Problems(f"baselines.{name}")
    source, split = open_run(ds, var, cycle, validation, problems)
    if source is None:
        problems.raise_if_any()
    assert source is not None
    prepared = describe(source, split, None, problems)
    ones = np.ones(len(prepared.statistics.scale))
    provenance = {"seed": 0, "xdeepda_version": package_version()}
    return prepared.model(
        ArchitectureSpec(name), {}, {"analysis": ones, "background": ones}, provenance
    )
