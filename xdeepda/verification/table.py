"""Statistics as a table to read.

Knows the Datasets of :func:`xdeepda.verify`; calculates nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.verification.statistics import STATISTICS

if TYPE_CHECKING:
    import pandas as pd

#: Attribute ``kind`` of a Dataset of statistics.
KIND = "xdeepda verification"

#: Columns of the short table, those that are there.
SHORT = (
    "count", "missing", "bias", "rmse", "skill_climatology", "skill_background", "acc",
    "spread_skill", "member_spread_skill", "crps",
)  # fmt: skip

#: Dimensions of what is compared in an experiment: shown side by side.  Not "method", which
#: ``sel`` would take for its own argument.
BESIDE = ("system", "experiment")

#: Statistics that are shown side by side, and errors of standards that all systems share.
_SIDE_BY_SIDE = ("rmse", "bias", "acc", "spread_skill")
_STANDARDS = ("rmse_climatology", "rmse_persistence")


def is_scores(obj: Any) -> bool:
    """Whether this is a Dataset of :func:`xdeepda.verify`."""
    return isinstance(obj, xr.Dataset) and obj.attrs.get("kind") == KIND


def to_table(
    scores: xr.Dataset, columns: str | list[str] | None = None, *, intervals: bool = True
) -> pd.DataFrame:
    """Statistics as a DataFrame: one row for each group, one column for each statistic.

    Parameters
    ----------
    scores : Dataset
        From :func:`xdeepda.verify`.
    columns : str or list of str, optional
        Statistics to show; by default all that are single numbers.
    intervals : bool
        Also the ends of the intervals, as ``<name>_low`` and ``<name>_high``.

    Returns
    -------
    pandas.DataFrame
        Rows are indexed by the groups: reference, variable, region, depth, ...

    Raises
    ------
    InputError
        If these are no statistics, or a column is not among them.

    Examples
    --------
    >>> xdeepda.to_table(analysis.deepda.verify(truth), ["rmse", "acc"])  # doctest: +SKIP
    """
    if not is_scores(scores):
        raise InputError("to_table: this is no Dataset of statistics, as xdeepda.verify gives them")
    groups = groups_of(scores)
    known = [s.name for s in STATISTICS if s.name in scores]
    known += [n for n in ("pit_deviation", "rank_deviation") if n in scores]
    wanted = known if columns is None else [columns] if isinstance(columns, str) else list(columns)
    missing = [n for n in wanted if n not in scores or set(scores[n].dims) - set(groups)]
    if missing:
        raise InputError(f"to_table: no such statistics: {missing}; there are {known}")
    if intervals:
        ends = [[n, f"{n}_low", f"{n}_high"] for n in wanted]
        wanted = [n for names in ends for n in names if n in scores]
    return _frame(scores, wanted, groups)


def groups_of(scores: xr.Dataset) -> tuple[str, ...]:
    """Dimensions of single numbers, in order."""
    return tuple(map(str, scores["count"].dims))


def _frame(scores: xr.Dataset, wanted: list[str], groups: tuple[str, ...]) -> pd.DataFrame:
    """Columns side by side."""
    import pandas as pd

    full = {
        name: scores[name].broadcast_like(scores["count"]).transpose(*groups) for name in wanted
    }
    if not groups:
        return pd.DataFrame({name: [float(da)] for name, da in full.items()}, index=["all"])
    several = pd.MultiIndex.from_product([scores[d].values for d in groups], names=list(groups))
    index: pd.Index[Any] = several if len(groups) > 1 else several.get_level_values(0)
    return pd.DataFrame({name: da.values.ravel() for name, da in full.items()}, index=index)


def as_text(scores: Any) -> str:
    """Short table with half the widths of the intervals, for the repr."""
    if beside := [d for d in BESIDE if d in scores.dims]:
        return _side_by_side(scores, beside[0])
    wanted = [n for n in SHORT if n in scores and scores[n].notnull().any()]
    if not (scores["missing"] > 0).any():
        wanted = [n for n in wanted if n != "missing"]
    frame = to_table(scores, wanted)
    shown = frame[wanted].astype(object)
    for name in wanted:
        shown[name] = texts(frame, name)
    units = {n: scores[n].attrs.get("units", "1") for n in wanted}
    head = ", ".join(f"{n} ({u})" for n, u in units.items() if u != "1")
    return "\n".join([*_head(scores), f"  units: {head}", shown.to_string()])


def _side_by_side(scores: xr.Dataset, dim: str) -> str:
    """A table for each of some statistics, systems side by side, for the repr."""
    import pandas as pd

    systems = [str(m) for m in scores[dim].values]
    standards = [n for n in _STANDARDS if n in scores and scores[n].notnull().any()]
    blocks = []
    for name in (n for n in _SIDE_BY_SIDE if n in scores and scores[n].notnull().any()):
        columns: dict[str, Any] = {}
        if name == "rmse":
            first = to_table(scores.isel({dim: 0}), ["count", *standards], intervals=False)
            columns = {n: texts(first, n) for n in ("count", *standards)}
            index = first.index
        for n, system in enumerate(systems):
            frame = to_table(scores.isel({dim: n}), name)
            columns[system] = texts(frame, name)
            index = frame.index
        unit = scores[name].attrs.get("units", "1")
        words = scores[name].attrs.get("long_name", name)
        head = f"\n{name}: {words}" + (f" ({unit})" if unit != "1" else "")
        blocks += [head, pd.DataFrame(columns, index=index).to_string()]
    apart = [str(n) for n in scores if str(n).startswith("difference_")]
    if apart:
        frame = to_table(scores.isel({dim: 0}), apart)
        unit = scores[apart[0]].attrs.get("units", "1")
        shown = pd.DataFrame({n: texts(frame, n) for n in apart}, index=frame.index)
        blocks += [f"\ndifference between {' and '.join(systems)} ({unit})", shown.to_string()]
    return "\n".join([*_head(scores), *blocks])


def texts(frame: pd.DataFrame, name: str) -> list[str]:
    """Texts of a column, with its intervals."""
    low, high = (frame.get(f"{name}_{end}") for end in ("low", "high"))
    return [
        _cell(name, frame[name].iloc[n],
              None if low is None else low.iloc[n], None if high is None else high.iloc[n])
        for n in range(len(frame))
    ]  # fmt: skip


def _head(scores: xr.Dataset) -> list[str]:
    """Lines above the table."""
    title = scores.attrs.get("title", "verification")
    told = (f"  {k}: {v}" for k, v in scores.attrs.items() if _is_told(k))
    return [f"<xdeepda: {title}>", *told]


def _is_told(key: str) -> bool:
    """Attributes that stand above the table."""
    first = (
        "network", "withheld", "denied", "spinup", "period", "reference", "compared",
        "not_compared", "climatology", "intervals",
    )  # fmt: skip
    return key.startswith(first) and not key.startswith("withheld_")


def _cell(name: str, value: float, low: float | None, high: float | None) -> str:
    """One number, with its interval."""
    if name == "count":
        return f"{value:.0f}"
    if not np.isfinite(value):
        return "-"
    if low is None or high is None or not (np.isfinite(low) and np.isfinite(high)):
        return f"{value:.3g}"
    return f"{value:.3g} ±{(high - low) / 2:.1g}"
