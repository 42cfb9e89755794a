"""What was analysed, and by what: tables of words.

Knows attributes of analyses and of models; reads no fields.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from xdeepda import units as unit_tools
from xdeepda.calendar import calendar_of
from xdeepda.model import Model
from xdeepda.plot.looking import PARTS
from xdeepda.reporting.page import Section, folded, heading, items, pairs, paragraph, side_by_side
from xdeepda.reporting.pictures import Canvas
from xdeepda.reporting.subject import Subject, ends_of, number

_LONGEST = 700
_KNOWN = {"xdeepda_version": "Version of xdeepda"}


def analysed(subject: Subject) -> Section:
    """What was analysed: variables, grid, period, provenance."""
    section = Section("What was analysed")
    ds, first = subject.analysis, subject.first
    rows: list[tuple[str, Any]] = [
        ("Variables", "\n".join(_variable(subject, name) for name in subject.fields)),
        ("Grid", str(first.grid)),
        *_times(subject, section),
        ("Members", first.values.sizes.get("member", "") or "none: mean and spread"),
        ("Parts", "\n".join(_parts(subject, name) for name in subject.fields)),
        ("Observations in a cell", "counted" if _counted(subject) else "not counted"),
        ("Model hash", ds.attrs.get("model_hash")),
        ("Seed", ds.attrs.get("seed")),
        ("Title", ds.attrs.get("title")),
        ("Source", ds.attrs.get("source")),
        ("Version of xdeepda", ds.attrs.get("xdeepda_version")),
    ]
    section.add(pairs(rows, "The analysis"))
    history = str(ds.attrs.get("history", "")).splitlines()
    section.add(folded("History", items(_short(h) for h in history)))
    if not ds.attrs.get("model_hash"):
        section.lacking.append("hash of the model: the analysis has no attribute model_hash")
    return section


def _variable(subject: Subject, name: str) -> str:
    """Name, words and unit."""
    words = str(subject.analysis[name].attrs.get("long_name", "")).removesuffix(": analysis")
    told = f", {words}" if words and words != name else ""
    return f"{name}{told} [{subject.fields[name].unit}]"


def _parts(subject: Subject, name: str) -> str:
    """Parts that are held of a variable."""
    held = [p.replace("_", " ") for p in PARTS if p != "analysis" and subject.has(name, p)]
    return f"{name}: analysis" + "".join(f", {p}" for p in held)


def _counted(subject: Subject) -> bool:
    """Whether the analysis counts observations."""
    return any(subject.has(name, "obs_count") for name in subject.fields)


def _times(subject: Subject, section: Section) -> Iterator[tuple[str, Any]]:
    """Period, calendar, cycles; gaps are warned of."""
    if subject.time is None:
        yield "Time", "none"
        return
    times = subject.analysis[subject.time].values
    cycle = subject.cycle
    yield "Period", ends_of(times)
    yield "Calendar", calendar_of(times)
    yield "Cycles", f"{times.size}" + ("" if cycle is None else f", each a {cycle.name}")
    numbers = np.unique(subject.numbers)
    if cycle is not None and (lost := int(np.ptp(numbers)) + 1 - numbers.size):
        text = f"{lost} cycles of the period are missing"
        yield "Gaps", text
        section.signs.append(f"Gaps: {text}.")


def trained(subject: Subject) -> Section:
    """The models: what they are, what they were trained on, how the training went."""
    section = Section("The model")
    if not subject.models:
        section.lacking.append("provenance and training of the model: model= was not given")
        return section
    known = str(subject.analysis.attrs.get("model_hash", "")).split()
    for model in subject.models:
        if known and model.hash not in known:
            section.signs.append(
                f"Another model: the analysis says that it was made by {' '.join(known)}, the "
                f"model given is {model.hash}."
            )
        if len(subject.models) > 1:
            section.add(heading(f"{model.architecture.name} {model.hash}"))
        section.add(pairs(_model_rows(model), f"Model {model.hash}"))
        section.add(_history(model, section))
    if len(known) > len(subject.models):
        section.lacking.append(
            f"{len(known) - len(subject.models)} models of the analysis that were not given"
        )
    return section


def _model_rows(model: Model) -> Iterator[tuple[str, Any]]:
    """Architecture and provenance."""
    about = dict(model.provenance)
    yield "Architecture", model.architecture.name
    yield "Settings", _words(model.architecture.settings)
    variables = zip(model.variables, model.units, strict=True)
    yield "Variables", ", ".join(f"{v} [{u}]" for v, u in variables)
    yield "Grid", str(model.grid)
    yield "Cycle", f"{model.cycle.name}, calendar {model.calendar}"
    yield "Weights", f"{sum(w.size for w in model.weights.values()):,} numbers"
    if (period := about.pop("training_period", None)) is not None:
        yield "Trained on", f"{period[0]} to {period[1]}"
    for key, word in (("training_cycles", "Cycles of training"),
                      ("validation_cycles", "Cycles of validation")):  # fmt: skip
        if (ends := about.pop(key, None)) is not None:
            yield word, _cycles(model, ends)
    if (score := about.pop("validation_score", None)) is not None:
        yield "Validation score", f"{score:.4g} (RMSE / RMSE of climatology)"
    for key, value in about.items():
        yield _KNOWN.get(key, key.replace("_", " ").capitalize()), _words(value)


def _cycles(model: Model, ends: Any) -> str:
    """First and last of absolute numbers of cycles, with their dates."""
    first, last = model.cycle.middle(np.asarray(ends, dtype=np.int64), model.calendar)
    return f"{int(ends[1]) - int(ends[0]) + 1}, {ends_of([first, last])}"


def _words(value: Any) -> str:
    """A setting, or several, in words that are not too long."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{k}={v}" for k, v in value.items())
    return _short(str(value))


def _short(text: str) -> str:
    """Text that is cut where it is very long."""
    return textwrap.shorten(text, _LONGEST, placeholder=" ...")


def _history(model: Model, section: Section) -> str:
    """Course of the training, where there was one."""
    from xdeepda.plot import history

    if not model.history.sizes.get("epoch", 0) or "validation_score" not in model.history:
        section.lacking.append(f"course of the training of {model.hash}: it has none "
                               f"({model.architecture.name} is fitted)")  # fmt: skip
        return ""
    canvas = Canvas((7.5, 3.8))
    history(model, ax=canvas.ax)
    scores = model.history["validation_score"].values
    best = int(np.nanargmin(scores))
    text = (
        f"Scores of training and validation by epoch; the best validation, {number(scores[best])}, "
        f"is that of epoch {int(model.history['epoch'][best])} of {scores.size}."
    )
    return side_by_side([canvas.html(f"Curves of training and validation. {text}", text)])


def summary(subject: Subject) -> str:
    """The analysis in one line, for the head of the page."""
    names = ", ".join(subject.fields)
    if subject.time is None:
        return f"{names} on {subject.first.grid}"
    times = subject.analysis[subject.time].values
    return f"{names}, {ends_of(times)}, {times.size} cycles"


def units_of(subject: Subject, var: str) -> tuple[str, str]:
    """Unit of the values and of their differences, as they are read."""
    unit = subject.fields[var].unit
    pretty = {"degC": "°C", "delta_degC": "K"}
    difference = unit_tools.difference_unit(unit)
    return pretty.get(unit, unit), pretty.get(difference, difference)


def omitted(sections: list[Section]) -> Section:
    """What the page does not show, and why."""
    section = Section("What is left out, and why")
    told = [f"{s.title}: {text}." for s in sections for text in s.lacking]
    section.add(items(told) or paragraph("Nothing: everything that this page can show is shown."))
    return section
