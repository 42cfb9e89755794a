"""The verb ``report``: arguments checked, sections in their order, the page written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.axes import find_axes
from xdeepda.diagnostics.indices import INDICES
from xdeepda.errors import InputError, Problems
from xdeepda.model import Model, as_model
from xdeepda.progress import progress_bar
from xdeepda.provenance import package_version
from xdeepda.reporting.described import analysed, omitted, summary, trained
from xdeepda.reporting.drawn import maps, sections
from xdeepda.reporting.observed import departed, observed
from xdeepda.reporting.page import Section, check_place, document, items, paragraph, write
from xdeepda.reporting.pictures import style
from xdeepda.reporting.stable import stability
from xdeepda.reporting.subject import Subject, departures_of, subject_of
from xdeepda.reporting.through_time import drifts, heat, indices
from xdeepda.reporting.verified import named, scores_of, verified
from xdeepda.verification.fields import as_dataset, estimates_of, same_quantity
from xdeepda.verification.settings import references_of
from xdeepda.verification.table import is_scores

_TITLE = "Report of an ocean analysis"


def report(
    analysis: xr.Dataset | xr.DataArray,
    path: str | os.PathLike[str],
    *,
    reference: Any = None,
    obs: Any = None,
    model: Any = None,
    var: str | Sequence[str] | None = None,
    climatology: xr.Dataset | xr.DataArray | None = None,
    time: Any = None,
    depths: Sequence[float] | None = None,
    indices: Sequence[str] | None = None,
    samples: int | None = 240,
    title: str = _TITLE,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Write one HTML page with the pictures and tables that a reviewer would ask for.

    The page needs nothing else, no other file and no network.  It shows what was analysed
    and by which model, the observations, maps, sections, indices, heat content, statistics
    against references, innovations, and what a reader should be warned of: spread and
    error that disagree, biases, drift, instability, levels without observations.  What
    cannot be shown for want of an input is listed at its end.

    Parameters
    ----------
    analysis : Dataset or DataArray
        From :func:`xdeepda.assimilate`, or any fields with time and space.
    path : str or path
        File to write.
    reference : optional
        What it is compared with, as of :func:`xdeepda.verify`: a truth, other products,
        withheld observations, several of these in a list or a dict of names; also
        results of :func:`xdeepda.verify`, :func:`xdeepda.osse` and the like as they are.
    obs : optional
        The observations that were assimilated, in any form that ``assimilate`` takes; by
        default those of the ledger that the analysis holds.
    model : Model, path, or list of these, optional
        That made the analysis: its provenance and the course of its training.
    var : str or list of str, optional
        Variables; by default all that were analysed.
    climatology : Dataset or DataArray, optional
        Of skill and anomaly correlation, as of :func:`xdeepda.verify`.
    time : str or date, optional
        The cycle that maps and sections show, such as ``"1997-12"``; by default the last.
    depths : sequence of float, optional
        Levels of the maps in metres, the nearest ones; by default near 0, 100 and 300 m.
    indices : sequence of str, optional
        Names of :func:`xdeepda.index`; by default those that the domain contains.
    samples : int, optional
        At most so many cycles of an analysis that is not in memory are read whole, evenly
        spaced, for means, heat content and stability; the page says so.  None for all.
        Statistics are always of all cycles, read a few at a time.
    title : str
    seed : int
        Of the bootstrap.
    overwrite : bool
        Replace an existing file.
    progress : bool

    Returns
    -------
    pathlib.Path
        Of the page.  It is written whole or not at all.

    Raises
    ------
    InputError
        With all that is wrong, before long work starts: a file that exists, a missing
        folder, no analysis, references that cannot be compared.

    Examples
    --------
    >>> analysis.deepda.report("report.html", reference=truth, model=model)  # doctest: +SKIP
    """
    from xdeepda.plot.style import pyplot

    pyplot()
    problems = Problems("report")
    target = check_place(path, overwrite, problems)
    subject = subject_of(analysis, var, time, depths, samples, problems)
    _check(title, indices, problems)
    models = _models(model, problems)
    given = _references(reference, problems)
    if subject is not None and len(problems) == 0:
        subject.models = models
        subject.departures = departures_of(subject, analysis, obs, problems)
        subject.references = _fields(subject, given, problems)
    problems.raise_if_any()
    assert target is not None
    assert subject is not None
    scores = scores_of(subject, reference, climatology, seed, progress)
    made = _sections(subject, scores, indices, progress)
    text = document(title, f"{summary(subject)}. Written {_now()}.", made)
    write(text, target)
    return target


def _now() -> str:
    """When, and by which version."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by xdeepda {package_version()}"


def _check(title: Any, indices: Any, problems: Problems) -> None:
    """Check the smaller arguments."""
    if not isinstance(title, str) or not title:
        problems.add("title= is no text", found=repr(title))
    if indices is None:
        return
    wanted = [indices] if isinstance(indices, str) else list(indices)
    if isinstance(indices, str) or (unknown := [n for n in wanted if n not in INDICES]):
        found = repr(indices) if isinstance(indices, str) else str(unknown)
        problems.add("indices= are not known", found=found, expected=f"a list of {list(INDICES)}")


def _models(model: Any, problems: Problems) -> tuple[Model, ...]:
    """Models that are given."""
    several = model if isinstance(model, (list, tuple)) else () if model is None else (model,)
    out = []
    for one in several:
        try:
            out.append(as_model(one))
        except FileNotFoundError as missing:
            problems.add(str(missing))
        except InputError as refused:
            problems.absorb(refused)
    return tuple(out)


def _references(reference: Any, problems: Problems) -> dict[str, Any]:
    """References that are compared, by name; results of ``verify`` aside."""
    if reference is None:
        return {}
    every = named(reference)
    given = {name: one for name, one in every.items() if not is_scores(one)}
    if given or not every:
        references_of(given, problems)
    return given


def _fields(
    subject: Subject, given: Mapping[str, Any], problems: Problems
) -> dict[str, xr.Dataset]:
    """References on a grid, with the names of the analysis, in the cycles of both."""
    from xdeepda.verification.against_observations import are_observations

    out: dict[str, xr.Dataset] = {}
    if subject.cycle is None:
        return out
    for name, reference in given.items():
        ds = None if are_observations(reference) else as_dataset(reference)
        if ds is None:
            continue
        found = {}
        for estimate in estimates_of(subject.analysis, list(subject.fields), "analysis",
                                     subject.cycle.name, Problems(name)):  # fmt: skip
            da = same_quantity(ds, estimate, name, Problems(name))
            if da is not None and (part := _common(da, subject)) is not None:
                found[estimate.name] = part
        if found:
            out[name] = xr.Dataset(found)
    return out


def _common(da: xr.DataArray, subject: Subject) -> xr.DataArray | None:
    """The cycles that a reference shares with the analysis."""
    at = find_axes(da).time
    assert subject.cycle is not None
    if at is None:
        return None
    held = np.isin(subject.cycle.index(da[at].values), subject.numbers[subject.sampled])
    return da.isel({at: np.flatnonzero(held)}) if held.any() else None


def _sections(
    subject: Subject,
    scores: Mapping[str, xr.Dataset],
    wanted: Sequence[str] | None,
    progress: bool,
) -> list[Section]:
    """All sections; the warnings come first, what is left out last."""
    steps: list[Callable[[], Section]] = [
        lambda: analysed(subject),
        lambda: trained(subject),
        lambda: observed(subject),
        lambda: verified(subject, scores),
        lambda: departed(subject),
        lambda: maps(subject),
        lambda: sections(subject),
        lambda: indices(subject, wanted),
        lambda: heat(subject),
        lambda: drifts(subject),
        lambda: stability(subject),
    ]
    made = []
    with style(), progress_bar(len(steps), "report", progress, unit="section", delay=2.0) as bar:
        for step in steps:
            made.append(step())
            bar.update()
    signs = [text for section in made for text in section.signs]
    first = Section("Warnings")
    first.add(items(signs, "signs") or paragraph("Nothing was found that a reader must be warned "
                                                 "of, among what could be looked at."))  # fmt: skip
    return [first, *made, omitted(made)]
