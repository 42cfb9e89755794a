"""The verb: flags with reasons on every row of a table; nothing is dropped.

Rules run in the order of :data:`~xdeepda.observations.qc.registry.RULES`; each looks at
the rows that have a value and that no flag and no rule before it has rejected.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.observations.columns import Rows, is_table
from xdeepda.observations.flags import GOOD, MISSING, NONE, check_flags, rejected
from xdeepda.observations.qc.registry import NAMES, RULES, choose
from xdeepda.observations.qc.rule import PREFIX, Rule
from xdeepda.observations.qc.sample import Sample
from xdeepda.observations.table import _build, _check, _rows_of
from xdeepda.observations.target import target_of

logger = logging.getLogger("xdeepda")

#: Rules that run before the table is checked, so that what they find does no harm.
_FIRST = ("position", "date")


def quality_control(
    obs: Any, like: xr.Dataset | xr.DataArray | None = None, rules: Any = None
) -> xr.Dataset:
    """Check every observation by the rules of the archives, and say what is wrong with it.

    Parameters
    ----------
    obs : Dataset, DataArray or pandas.DataFrame
        Points (see :func:`xdeepda.observations.as_table`).  Impossible positions and
        dates are flagged, not refused.
    like : Dataset or DataArray, optional
        A field of the model; its sea tells what lies on land or below the bottom.
    rules : str, list of str, or dict, optional
        All by default.  Names: only these (flags with which the data came are kept).
        A dictionary changes the full set: ``{"gradient": False}`` leaves one out,
        ``{"spike": {"gap": 25.0}}`` overrides limits, ``{"supplied": False}`` does not
        believe the flags with which the data came.

    Returns
    -------
    xarray.Dataset
        The table with all of its rows in their order.  ``qc``: 3 or 4 where a rule is
        failed or the data came so, 9 where there is no value, 1 where there was no flag
        and all rules are passed.  ``reason``: ``"QC <rule>: <words>"``.  Rows flagged 3
        or 4 are not used by :func:`xdeepda.superob` and :func:`xdeepda.assimilate`.

    Raises
    ------
    InputError
        For unknown rules or limits (the known ones are listed), and for what
        :func:`xdeepda.observations.as_table` refuses.

    Notes
    -----
    The result depends neither on the order of the rows nor on how often the verb was
    applied: its own earlier flags are taken off first (what these had replaced, flags
    0 to 2, is then 1).  Temperatures are compared in situ.

    Examples
    --------
    >>> frame = pd.DataFrame({"value": [11.3, 99.9], "time": pd.to_datetime(["2005-01-02"] * 2),
    ...                       "depth": [12.0, 20.0], "lat": [5.0] * 2, "lon": [330.0] * 2})
    >>> frame.attrs["units"] = "degC"
    >>> quality_control(frame)["qc"].values.tolist()
    [1, 4]
    """
    problems = Problems("quality_control")
    chosen, keep = choose(rules, problems)
    target = target_of(like, None, problems) if like is not None else None
    problems.raise_if_any()
    rows = _rows_of(obs, None, None, problems)
    if len(problems) == 0 and rows.value is not None and rows.code is not None:
        _start(rows, keep, problems)
        sample = Sample(rows, np.isfinite(rows.value) & ~rejected(rows.qc), target)
        _run(sample, rows, [rule for rule in chosen if rule.name in _FIRST])
        _check(rows, problems)
        problems.raise_if_any()
        _run(sample, rows, [rule for rule in chosen if rule.name not in _FIRST])
        _finish(rows, sample)
    problems.raise_if_any()
    table = _build(rows, dict(getattr(obs, "attrs", {})) if is_table(obs) else {})
    logger.info("quality control: %s", _told(sample))
    return table


def _start(rows: Rows, keep: bool, problems: Problems) -> None:
    """Flags and reasons with which the data came."""
    assert rows.value is not None
    size = rows.value.size
    qc = np.full(size, NONE, np.int8) if rows.qc is None else check_flags(rows.qc, problems)
    reason = np.full(size, "", dtype=object)
    if rows.reason is not None:
        reason = np.where(pd.isna(rows.reason), "", rows.reason.astype(object))
    supplied, changed = without_own(reason)
    cleared = changed & (supplied == "") & rejected(qc)
    qc = np.where(cleared, GOOD, qc).astype(np.int8)
    if not keep:
        qc = np.where(rejected(qc), NONE, qc).astype(np.int8)
        supplied = np.full(size, "", dtype=object)
    rows.qc, rows.reason = qc, supplied
    for name in ("latitude", "longitude"):
        column = getattr(rows, name)
        if column is not None and column.dtype.kind not in "fiu":
            setattr(rows, name, pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(float))


def own_rule(text: str) -> str | None:
    """Rule that wrote a reason, None if it came with the data.

    Examples
    --------
    >>> own_rule("QC spike: sticks out of the levels above and below")
    'spike'
    >>> own_rule("Argo flag 4 (bad)") is None
    True
    """
    name = text.removeprefix(PREFIX).split(":")[0]
    return name if text.startswith(PREFIX) and name in NAMES else None


def without_own(reason: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reasons with which the data came, and where any other was taken off.

    Parameters
    ----------
    reason : numpy.ndarray of str objects, shape (n,)

    Returns
    -------
    reason : numpy.ndarray of str objects, shape (n,)
    changed : numpy.ndarray of bool, shape (n,)
    """
    codes, texts = pd.factorize(reason)
    kept = ["; ".join(p for p in str(t).split("; ") if own_rule(p) is None) for t in texts]
    bare = np.array(kept, dtype=object) if kept else np.zeros(0, dtype=object)
    changed = np.array([k != t for k, t in zip(kept, texts, strict=True)], dtype=bool)
    return bare[codes], changed[codes]


def _run(sample: Sample, rows: Rows, rules: list[Rule]) -> None:
    """Apply rules one after another."""
    assert rows.qc is not None
    assert rows.reason is not None
    for rule in rules:
        failing = rule.find(sample, rule.limits) & sample.good
        sample.good = sample.good & ~failing
        sample.failures[rule.name] = failing
        rows.qc[failing] = rule.flag
        rows.reason[failing] = rule.reason


def _finish(rows: Rows, sample: Sample) -> None:
    """Flags of what passed, and of what has no value; a reason for every rejected row."""
    assert rows.qc is not None
    assert rows.value is not None
    assert rows.reason is not None
    empty = ~np.isfinite(rows.value)
    rows.qc[empty & ~rejected(rows.qc)] = MISSING
    rows.qc[sample.good & (rows.qc == NONE)] = GOOD
    mute = rejected(rows.qc) & (rows.reason == "")
    for flag in np.unique(rows.qc[mute]):
        rows.reason[mute & (rows.qc == flag)] = f"supplied flag {flag}"


def _told(sample: Sample) -> str:
    """One sentence for the log."""
    counts = {rule.name: int(sample.failures[rule.name].sum()) for rule in RULES
              if rule.name in sample.failures}  # fmt: skip
    failed = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
    return f"{int(sample.good.sum())} of {sample.size} rows are good" + (
        f" (failed: {failed})" if failed else ""
    )
