"""Statistics against references: tables, pictures, and where spread and error disagree.

Conducts ``verify``; calculates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.plot import by_depth, rank_histogram
from xdeepda.reporting.page import Cell, Section, heading, items, side_by_side, table
from xdeepda.reporting.pictures import Canvas
from xdeepda.reporting.subject import Subject, attempt, number
from xdeepda.verification.settings import references_of
from xdeepda.verification.table import BESIDE, SHORT, groups_of, is_scores, texts, to_table
from xdeepda.verification.verb import verify

#: Expected over actual error, beyond which both do not agree.
_APART = (0.8, 1.25)

#: Bias over RMSE, above which an error is mostly one of the mean.
_BIASED = 0.5

#: Statistics that are drawn by depth.
_DRAWN = ("rmse", "bias", "acc")

#: Histograms, and of what they are; the first that is there is drawn.
_HISTOGRAMS = {"rank": "ranks among the members", "pit": "probability integral transforms"}

_ABOUT = ("reference", "period", "cycles", "compared", "not_compared", "climatology", "intervals",
          "network", "withheld", "denied", "spinup", "seed")  # fmt: skip


def scores_of(
    subject: Subject, reference: Any, climatology: Any, seed: int, progress: bool
) -> dict[str, xr.Dataset]:
    """Statistics for each reference, by its name.

    Parameters
    ----------
    subject : Subject
    reference : as of :func:`xdeepda.verify`, or its results
    climatology, seed, progress
        As of :func:`xdeepda.verify`.

    Raises
    ------
    InputError
        As :func:`xdeepda.verify`.
    """
    ready = named(reference)
    made = {name: given for name, given in ready.items() if not is_scores(given)}
    out = {name: given for name, given in ready.items() if is_scores(given)}
    if made:
        grid = subject.first.grid
        by = ["depth"] if grid.depth is not None else []
        if grid.lat is not None and grid.lon is not None:
            by.append("region")
        found = verify(
            subject.analysis, made, var=list(subject.fields), by=tuple(by),
            climatology=climatology, seed=seed, progress=progress,
            cycle=None if subject.cycle is None else subject.cycle.name,
        )  # fmt: skip
        for name in made:
            several = "reference" in found.dims
            one = found.sel(reference=name) if several else found
            one.attrs = {k.removesuffix(f"_of_{name}"): v for k, v in found.attrs.items()
                         if "_of_" not in k or k.endswith(f"_of_{name}")}  # fmt: skip
            out[name] = one
    return {name: out[name] for name in ready}


def named(reference: Any) -> dict[str, Any]:
    """References, or results of ``verify``, by name."""
    if reference is None:
        return {}
    if isinstance(reference, Mapping) and not isinstance(reference, xr.Dataset):
        return {str(name): given for name, given in reference.items()}
    if isinstance(reference, (list, tuple)):
        return references_of(list(reference), Problems("report"))
    title = str(getattr(reference, "attrs", {}).get("title", ""))
    return {(title if is_scores(reference) and title else "reference"): reference}


def verified(subject: Subject, scores: Mapping[str, xr.Dataset]) -> Section:
    """All statistics."""
    section = Section("Verification")
    if not scores:
        section.lacking.append("errors, bias and skill: reference= was not given")
    for name, given in scores.items():
        for var, one in _by_variable(given):
            title = name + (f", {var}" if var and len(subject.fields) > 1 else "")
            section.add(heading(f"Against {name}" + (f": {var}" if var else "")))
            section.add(items(f"{k.replace('_', ' ').capitalize()}: {one.attrs[k]}"
                              for k in _ABOUT if k in one.attrs))  # fmt: skip
            whole = one.sel(region="all") if "region" in one.dims else one
            section.add(_pictures(whole, title, section), _tables(whole, title))
            section.add(_by_region(subject, one, title))
            _judge(whole, title, section)
    return section


def _by_variable(scores: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Statistics of each variable."""
    if "variable" not in scores.dims:
        yield str(scores.coords["variable"].item()) if "variable" in scores.coords else "", scores
        return
    for n, var in enumerate(scores["variable"].values):
        one = scores.isel(variable=n)
        unit = str(one["variable_units"].item()) if "variable_units" in one.coords else ""
        for da in one.data_vars.values():
            if da.attrs.get("units") == "of the variable":
                da.attrs = {**da.attrs, "units": _difference(unit)}
        yield str(var), one


def _difference(unit: str) -> str:
    """Unit of differences."""
    from xdeepda.units import difference_unit

    return difference_unit(unit) if unit else "of the variable"


# ---- pictures


def _pictures(one: xr.Dataset, title: str, section: Section) -> str:
    """Errors by depth, and histograms of ranks."""
    figures = []
    if "depth" in one.dims and one.sizes["depth"] > 1:
        for name in (n for n in _DRAWN if n in one and one[n].notnull().any()):
            words = f"{one[name].attrs.get('long_name', name).capitalize()} by depth, {title}"
            figures.append(attempt(section, words, _line, one, name, words))
    several = [d for d in groups_of(one) if d != "depth" and one.sizes[d] > 1]
    kind = next((k for k in _HISTOGRAMS if f"{k}_histogram" in one), None)
    if kind is not None and not several:
        words = f"Histogram of {_HISTOGRAMS[kind]}, {title}; flat is right"
        figures.append(attempt(section, words, _ranks, one, kind, words))
    return side_by_side(made for made in figures if made)


def _line(one: xr.Dataset, name: str, words: str) -> str:
    canvas = Canvas((3.8, 4.2))
    by_depth(one, name, ax=canvas.ax)
    return canvas.html(f"Curves by depth. {words}.", f"{words}.")


def _ranks(one: xr.Dataset, kind: str, words: str) -> str:
    canvas = Canvas((5.0, 4.2 if one.sizes.get("depth", 1) > 6 else 3.4))
    rank_histogram(one, kind=kind, ax=canvas.ax)
    return canvas.html(f"Histogram. {words}.", f"{words}.")


# ---- tables


def _tables(one: xr.Dataset, title: str) -> str:
    """A table of the statistics; of several systems one each."""
    for dim in (d for d in BESIDE if d in one.dims):
        return "".join(_table(one.isel({dim: n}), f"{title}: {label}")
                       for n, label in enumerate(one[dim].values))  # fmt: skip
    return _table(one, title)


def _table(one: xr.Dataset, title: str) -> str:
    """Statistics of each group, with half the widths of their intervals."""
    known = [n for n in SHORT if n in one and one[n].notnull().any()]
    columns = [n for n in known if n != "missing" or (one[n] > 0).any()]
    frame = to_table(one, columns)
    head: list[Any] = [n + (" (m)" if n == "depth" else "") for n in groups_of(one)] or [""]
    head += [(n.replace("_", " "), _unit(one, n)) for n in columns]
    cells = {n: [Cell(text, float(value)) for text, value in
                 zip(texts(frame, n), frame[n], strict=True)] for n in columns}  # fmt: skip
    lines = [[*_labels(label), *(cells[n][row] for n in columns)]
             for row, label in enumerate(frame.index)]  # fmt: skip
    return table(head, lines, f"Statistics, {title}", labels=max(len(groups_of(one)), 1))


def _labels(label: Any) -> list[str]:
    """Words of the groups of a row."""
    parts = label if isinstance(label, tuple) else (label,)
    return [f"{p:.4g}" if isinstance(p, (float, np.floating)) else str(p) for p in parts]


def _unit(one: xr.Dataset, name: str) -> str:
    unit = str(one[name].attrs.get("units", "1"))
    return "" if unit == "1" else unit


def _by_region(subject: Subject, one: xr.Dataset, title: str) -> str:
    """RMSE of the regions at the levels that are shown."""
    if "region" not in one.dims or one.sizes["region"] < 2:
        return ""
    levels = list(subject.depths) if "depth" in one.dims else []
    if any(d not in ("region", "depth") for d in groups_of(one)):
        return ""
    head: list[Any] = ["region", *[(f"{z:.4g} m", _unit(one, "rmse")) for z in levels]]
    if not levels:
        head.append(("rmse", _unit(one, "rmse")))
    lines = []
    for region in one["region"].values:
        part = one.sel(region=region)
        each = [part.sel(depth=z, method="nearest") for z in levels] or [part]
        frames = [to_table(e.drop_vars("depth", errors="ignore"), "rmse") for e in each]
        lines.append([str(region), *(Cell(texts(f, "rmse")[0], float(f["rmse"].iloc[0]))
                                     for f in frames)])  # fmt: skip
    return table(head, lines, f"RMSE by region, {title}")


# ---- what a reader should be warned of


def _judge(one: xr.Dataset, title: str, section: Section) -> None:
    """Warn of spreads unlike errors, of biases, of what is no better than a standard."""
    dims = groups_of(one)
    if set(dims) - {"depth", *BESIDE}:
        return
    for label, part in _systems(one):
        who = f"Against {title}{label}"
        section.signs += [text for text in (
            _spread(part, "spread_skill", "spread", who),
            _spread(part, "member_spread_skill", "spread of the members", who),
            _bias(part, who), *_worse(part, who),
        ) if text]  # fmt: skip


def _systems(one: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Each of several systems, with its name."""
    dim = next((d for d in BESIDE if d in one.dims), None)
    if dim is None:
        yield "", one
        return
    for n, label in enumerate(one[dim].values):
        yield f", {label}", one.isel({dim: n})


def _where(one: xr.Dataset, held: np.ndarray) -> str:
    """Levels in words."""
    if "depth" not in one.dims:
        return ""
    depths = one["depth"].values[held]
    if depths.size == one.sizes["depth"]:
        return " at all levels"
    shown = ", ".join(f"{z:.4g}" for z in depths)
    return f" at {depths.size} of {one.sizes['depth']} levels ({shown} m)"


def _ends(one: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, and the ends of their intervals; the values themselves without intervals."""
    values = np.atleast_1d(one[name].values).astype(float)
    low, high = (np.atleast_1d(one[f"{name}_{end}"].values) if f"{name}_{end}" in one else values
                 for end in ("low", "high"))  # fmt: skip
    low, high = (np.where(np.isfinite(end), end, values) for end in (low, high))
    return values, low, high


def _spread(one: xr.Dataset, name: str, words: str, who: str) -> str:
    """Where the stated error is not the actual one."""
    if name not in one:
        return ""
    values, low, high = _ends(one, name)
    held = ((values < _APART[0]) & (high < 1)) | ((values > _APART[1]) & (low > 1))
    if not held.any():
        return ""
    return (f"{who}: {words} and error disagree{_where(one, held)}: the expected error is "
            f"{number(values[held].min(), 2)} to {number(values[held].max(), 2)} of the actual "
            "one.")  # fmt: skip


def _bias(one: xr.Dataset, who: str) -> str:
    """Where an error is mostly a bias."""
    values, low, high = _ends(one, "bias")
    rmse = np.atleast_1d(one["rmse"].values)
    held = (np.abs(values) > _BIASED * rmse) & ((low > 0) | (high < 0))
    if not held.any():
        return ""
    return (f"{who}: a bias of {number(values[held].min(), 2)} to {number(values[held].max(), 2)} "
            f"{_unit(one, 'bias')} is more than half of the error{_where(one, held)}.")  # fmt: skip


def _worse(one: xr.Dataset, who: str) -> Iterator[str]:
    """Where a standard has a smaller error."""
    for standard in ("climatology", "background"):
        name = f"skill_{standard}"
        if name in one:
            values = np.atleast_1d(one[name].values)
            held = values < 0
            if held.any():
                yield f"{who}: no better than {standard}{_where(one, held)}."
