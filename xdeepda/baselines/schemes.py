"""OI, EnOI, reduced Kalman filter and both together, fitted to a control run."""

from __future__ import annotations

from typing import Any

import numpy as np

from xdeepda.architectures import SETTINGS, ArchitectureSpec
from xdeepda.errors import InputError, MemoryForeseenError, Problems
from xdeepda.model import Model
from xdeepda.options import available_memory, torch_threads
from xdeepda.provenance import package_version
from xdeepda.source import RunSource
from xdeepda.training.dynamics import AROUND
from xdeepda.training.fitting import FOLDS, Anomalies, fit_arrays, snapshot_number
from xdeepda.training.preparation import Prepared, describe, open_run

#: Most anomalies and patterns that are taken by default.
_ENSEMBLE, _PATTERNS = 108, {"kalman": 150, "combined": 100}
#: Share of the cells that is taken for observed in a cycle where no network is given.
_SHARE = 0.1


def oi(
    ds: Any,
    network: Any = None,
    *,
    var: str | list[str] | None = None,
    cycle: str = "pentad",
    validation: float = 0.15,
    **settings: Any,
) -> Model:
    """Baseline: optimal interpolation of the observations of one cycle.

    The background is the climatology in every cycle; nothing is remembered.
    Correlations are those of anomalies of the control run, localised.

    Parameters
    ----------
    ds : Dataset or DataArray
        The control run.
    network : Network, optional
        To calibrate the spread on the validation years; without one it is taken as it is.
    var : str or list of str, optional
    cycle : {"pentad", "month", "year"}
    validation : float
        Fraction of the years, the last ones, that nothing is fitted to.
    **settings
        ensemble (number of anomalies, at most 108 by default), localisation (km, where
        correlations end), inflation (factor on the background variance), local (solve each
        water column on its own; False solves all at once), most (observations that a
        column uses).

    Returns
    -------
    Model

    Raises
    ------
    InputError
        With all that is wrong with the control run and the settings.
    MemoryForeseenError
        If it would not fit into memory; names the variant that does.

    Examples
    --------
    >>> model = xdeepda.baselines.oi(control, var="thetao", cycle="month")  # doctest: +SKIP
    """
    return fit("oi", ds, network, var, cycle, validation, settings)


def enoi(
    ds: Any,
    network: Any = None,
    *,
    var: str | list[str] | None = None,
    cycle: str = "pentad",
    validation: float = 0.15,
    **settings: Any,
) -> Model:
    """Baseline: ensemble optimal interpolation, cycled with damped persistence.

    Correlations are those of anomalies of the control run, localised; the error variance
    grows from cycle to cycle as anomalies fade, and observations reduce it.

    Parameters
    ----------
    ds : Dataset or DataArray
        The control run.
    network : Network, optional
        To calibrate the spread on the validation years; without one it is taken as it is.
    var : str or list of str, optional
    cycle : {"pentad", "month", "year"}
    validation : float
        Fraction of the years, the last ones, that nothing is fitted to.
    **settings
        As of :func:`oi`, and: damping (power of the persistence), evolving (whether the
        variances of the gain follow the background error or are climatological).

    Returns
    -------
    Model

    Raises
    ------
    InputError
        With all that is wrong with the control run and the settings.
    MemoryForeseenError
        If it would not fit into memory; names the variant that does.

    References
    ----------
    Evensen (2003), doi:10.1007/s10236-003-0036-9; Oke et al. (2008),
    doi:10.1016/j.ocemod.2007.11.002.

    Examples
    --------
    >>> model = xdeepda.baselines.enoi(control, network, var="thetao", cycle="month",
    ...                                localisation=3000.0)  # doctest: +SKIP
    """
    return fit("enoi", ds, network, var, cycle, validation, settings)


def kalman(
    ds: Any,
    network: Any = None,
    *,
    var: str | list[str] | None = None,
    cycle: str = "pentad",
    validation: float = 0.15,
    **settings: Any,
) -> Model:
    """Baseline: Kalman filter in the space of the leading EOFs of the control run.

    A linear inverse model, fitted to the coefficients of the control run, makes the
    forecast; its error covariance evolves.  Milliseconds a cycle.

    Parameters
    ----------
    ds : Dataset or DataArray
        The control run.
    network : Network, optional
        To calibrate the spread on the validation years; without one it is taken as it is.
    var : str or list of str, optional
    cycle : {"pentad", "month", "year"}
    validation : float
        Fraction of the years, the last ones, that nothing is fitted to.
    **settings
        patterns (number of EOFs; by default a third of the training cycles, at most 150),
        neighbours (whether the inverse model is an operator by which cells follow their
        neighbours, or a regression of the coefficients on each other), inflation (factor on
        the covariance in each forecast), truncation (factor on the variance that the EOFs
        leave out, which counts as an observation error).

    Returns
    -------
    Model

    Raises
    ------
    InputError
        With all that is wrong with the control run and the settings.
    MemoryForeseenError
        If it would not fit into memory; names the number of patterns that does.

    References
    ----------
    Penland & Sardeshmukh (1995), J. Climate 8, 1999-2024; Cane et al. (1996),
    doi:10.1029/96JC01684.

    Examples
    --------
    >>> model = xdeepda.baselines.kalman(control, var="thetao", cycle="month")  # doctest: +SKIP
    """
    return fit("kalman", ds, network, var, cycle, validation, settings)


def combined(
    ds: Any,
    network: Any = None,
    *,
    var: str | list[str] | None = None,
    cycle: str = "pentad",
    validation: float = 0.15,
    **settings: Any,
) -> Model:
    """Baseline: reduced Kalman filter for the large and deep, EnOI for what it leaves.

    Parameters
    ----------
    ds : Dataset or DataArray
        The control run.
    network : Network, optional
        To calibrate the spread on the validation years; without one it is taken as it is.
    var : str or list of str, optional
    cycle : {"pentad", "month", "year"}
    validation : float
        Fraction of the years, the last ones, that nothing is fitted to.
    **settings
        patterns, neighbours and truncation as of :func:`kalman`; ensemble, localisation, inflation,
        damping, evolving, local and most as of :func:`enoi`, for what the patterns leave.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        With all that is wrong with the control run and the settings.
    MemoryForeseenError
        If it would not fit into memory; names the variant that does.

    Examples
    --------
    >>> model = xdeepda.baselines.combined(control, network, var="thetao",
    ...                                    cycle="month")  # doctest: +SKIP
    """
    return fit("combined", ds, network, var, cycle, validation, settings)


def fit(
    name: str,
    ds: Any,
    network: Any,
    var: Any,
    cycle: str,
    validation: float,
    settings: dict[str, Any],
) -> Model:
    """Check everything, fit a baseline, calibrate it if there is a network."""
    from xdeepda.baselines.rollout import Rollout

    problems = Problems(f"baselines.{name}")
    source, split = open_run(ds, var, cycle, validation, problems)
    spec = specify(name, settings, split, problems)
    if network is not None and not hasattr(network, "on"):
        problems.add("network is no Network", found=type(network).__name__)
    if source is None or spec is None or len(problems):
        if source is not None:
            describe(source, split, None, problems)
        problems.raise_if_any()
    assert source is not None
    assert spec is not None
    with torch_threads():
        foresee(spec, source, split, observed_number(source, network))
        prepared = describe(source, split, None, problems)
        model = assemble(prepared, spec, arrays_of(prepared, spec), network)
        return model if network is None else Rollout(prepared, network).calibrated(model)


def specify(
    name: str, settings: dict[str, Any], cycles: int, problems: Problems
) -> ArchitectureSpec | None:
    """Settings with defaults that fit the length of the run; problems are collected."""
    known = SETTINGS[name]
    given = dict(settings)
    if "ensemble" in known:
        given.setdefault("ensemble", max(2, min(_ENSEMBLE, cycles)))
    if "patterns" in known:
        given.setdefault("patterns", max(1, min(_PATTERNS[name], cycles // 3)))
    try:
        spec = ArchitectureSpec(name, given)
    except InputError as error:
        problems.absorb(error)
        return None
    for key, most, what in (
        ("ensemble", cycles, "there are training cycles"),
        ("patterns", cycles // 2, "half of the training cycles can tell apart"),
    ):
        if cycles > 0 and spec.settings.get(key, 0) > most:
            problems.add(f"more {key} than {what}", found=spec.settings[key], expected=f"<= {most}")
    if spec.settings.get("ensemble", 2) < 2:
        problems.add("a covariance needs an ensemble", found="ensemble=1", expected="at least 2")
    return spec


def observed_number(source: RunSource, network: Any) -> int:
    """Observations of a cycle, about."""
    cells = source.wet.sum()
    if network is None:
        return int(_SHARE * cells)
    bound = network.on(source.grid, source.cycle, source.calendar, source.variables, source.wet)
    return len(bound.draw(int(source.cycles[-1]), np.random.default_rng(0))[0])


def needed_bytes(
    spec: ArchitectureSpec, cycles: int, cells: int, columns: int, observed: int
) -> int:
    """Memory that fitting and an analysis take at most, about."""
    settings = spec.settings
    held = settings.get("ensemble", 0) + settings.get("patterns", 0)
    # twice while fitting: the states and what is made of them
    total = 4 * cells * (3 * held + 12)
    if "patterns" in settings:
        total += 4 * cells * snapshot_number(cycles, settings["patterns"])
    if settings.get("neighbours"):
        total += 4 * cells * (FOLDS + 2) * len(AROUND) ** 2
    if "ensemble" in settings:
        pairs = min(observed**2, 10**8) if settings["local"] else observed**2
        places = min(observed, columns)
        total += 4 * (3 * pairs + places**2) + 4 * 6 * 8 * 10**6
    return total


def foresee(spec: ArchitectureSpec, source: RunSource, split: int, observed: int) -> None:
    """Refuse what would not fit into memory.

    Raises
    ------
    MemoryForeseenError
        Naming the variant that needs less.
    """
    cells, columns = int(source.wet.sum()), int(source.wet.any(axis=(0, 1)).sum())
    needed, free = needed_bytes(spec, split, cells, columns, observed), available_memory()
    if free is None or needed < 0.9 * free:
        return
    problems = Problems(f"baselines.{spec.name}", MemoryForeseenError)
    smaller = [
        f"{k}={spec.settings[k] // 4}" for k in ("ensemble", "patterns") if k in spec.settings
    ]
    todo = " and ".join(smaller) + ", or a coarser grid"
    if not spec.settings.get("local", True):
        todo = f"local=True, which solves each water column on its own; else {todo}"
    problems.add(
        f"{spec.name} would not fit into memory",
        found=f"about {needed / 2**30:.3g} GiB for {cells:,} cells and {observed:,} observations "
        f"a cycle, {free / 2**30:.3g} GiB free",
        todo=todo,
    )
    problems.raise_if_any()


def arrays_of(prepared: Prepared, spec: ArchitectureSpec) -> dict[str, np.ndarray]:
    """Fit the arrays of a baseline."""
    return fit_arrays(Anomalies(prepared), spec.settings, of_rest=spec.name == "combined")


def assemble(
    prepared: Prepared, spec: ArchitectureSpec, arrays: dict[str, np.ndarray], network: Any
) -> Model:
    """Model of fitted arrays, not calibrated."""
    ones = np.ones(len(prepared.statistics.scale))
    provenance = {"seed": 0, "xdeepda_version": package_version()}
    if network is not None:
        provenance["network"] = repr(network)
    return prepared.model(spec, arrays, {"analysis": ones, "background": ones}, provenance)
