"""What became of the rows of a table: counts by rule, platform and year.

Counts what is written in the columns ``qc`` and ``reason``; it checks nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xdeepda.observations.flags import rejected
from xdeepda.observations.qc.control import own_rule
from xdeepda.observations.qc.registry import NAMES, SUPPLIED
from xdeepda.observations.table import as_table

#: What a row without a value is counted as.
EMPTY = "no value"
#: What a row is counted as that may be used.
PASSED = "passed"

#: Rows of the printed tables of platforms, and of years.
_MOST = 10


class QualityReport:
    """Counts of a table by rule, platform and year; printed as tables.

    Attributes
    ----------
    counts : xarray.Dataset
        ``by_year`` (verdict, year), ``by_platform`` (verdict, platform) and
        ``by_variable`` (verdict, variable): numbers of rows.  The verdicts are
        "passed", "no value", "supplied" (flagged before) and the names of the rules.
    """

    def __init__(self, counts: xr.Dataset) -> None:
        self.counts = counts

    @property
    def by_rule(self) -> dict[str, int]:
        """Number of rows by verdict."""
        total = self.counts["by_variable"].sum("variable")
        return {str(n): int(v) for n, v in zip(total["verdict"].values, total.values, strict=True)}

    def __repr__(self) -> str:
        """Tables of what was rejected."""
        total = sum(self.by_rule.values())
        lines = [f"<quality report: {total} observations, {self._rejected_text()}>", ""]
        lines += self._rule_lines(total)
        lines += ["", *self._lines("by_platform", "platform", _MOST)]
        lines += ["", *self._lines("by_year", "year", None)]
        return "\n".join(lines)

    def _rejected_text(self) -> str:
        """How many were rejected, in words."""
        total = sum(self.by_rule.values())
        bad = total - self.by_rule[PASSED] - self.by_rule[EMPTY]
        return f"{bad} rejected ({_percent(bad, total)})"

    def _rule_lines(self, total: int) -> list[str]:
        """Table of the verdicts that occur."""
        names = [str(n) for n in self.counts["variable"].values]
        width = max(10, *(len(n) + 1 for n in names))
        head = f"{'verdict':<16}{'rows':>10}{'share':>9}" + "".join(f"{n:>{width}}" for n in names)
        lines = [head]
        for verdict, number in self.by_rule.items():
            if number or verdict == PASSED:
                own = self.counts["by_variable"].sel(verdict=verdict).values
                cells = "".join(f"{int(n):>{width}}" for n in own)
                lines.append(f"{verdict:<16}{number:>10}{_percent(number, total):>9}{cells}")
        return lines

    def _lines(self, name: str, label: str, most: int | None) -> list[str]:
        """Table of platforms or years, those with the most rejected rows first if cut."""
        field = self.counts[name]
        total = field.sum("verdict").values
        good = field.sel(verdict=[PASSED, EMPTY]).sum("verdict").values
        bad = total - good
        which = np.arange(total.size)
        if most is not None and total.size > most:
            which = np.argsort(-bad, kind="stable")[:most]
        labels = [str(v) or "(no name)" for v in field[label].values]
        width = max(16, *(len(labels[i]) + 1 for i in which)) if which.size else 16
        lines = [f"{label:<{width}}{'rows':>10}{'rejected':>10}{'share':>9}  mostly by"]
        rules = field.drop_sel(verdict=[PASSED, EMPTY])
        for i in which:
            own = rules.isel({label: i}).values
            told = str(rules["verdict"].values[int(np.argmax(own))]) if own.any() else ""
            share = _percent(int(bad[i]), int(total[i]))
            row = f"{labels[i]:<{width}}{int(total[i]):>10}{int(bad[i]):>10}{share:>9}  {told}"
            lines.append(row.rstrip())
        if which.size < total.size:
            lines.append(
                f"... and {total.size - which.size} more; {int((bad > 0).sum())} have rejected rows"
            )
        return lines

    def plot(self, **figure: Any) -> Any:
        """Bars of what was rejected by rule, platform and year.

        Parameters
        ----------
        **figure
            For ``matplotlib.pyplot.subplots``, e.g. ``figsize``.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from matplotlib import pyplot as plt

        options = {"figsize": (11, 8), "layout": "constrained", **figure}
        fig, axes = plt.subplot_mosaic([["rule", "platform"], ["year", "year"]], **options)
        rules = {n: v for n, v in self.by_rule.items() if v and n not in (PASSED, EMPTY)}
        bars = axes["rule"].barh(list(rules), list(rules.values()))
        axes["rule"].bar_label(bars, padding=2)
        axes["rule"].margins(x=0.15)
        axes["rule"].invert_yaxis()
        axes["rule"].set(xlabel="rows rejected", title=f"by rule: {self._rejected_text()}")
        self._stacked(axes["platform"], "by_platform", "platform")
        self._stacked(axes["year"], "by_year", "year")
        if rules:
            axes["year"].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="rejected by")
        return fig

    def _stacked(self, ax: Any, name: str, label: str) -> None:
        """Stacked bars of the share of rows that each rule rejected."""
        field = self.counts[name]
        total = field.sum("verdict")
        bad = field.drop_sel(verdict=[PASSED, EMPTY])
        if label == "platform" and field.sizes[label] > _MOST:
            first = np.argsort(-bad.sum("verdict").values, kind="stable")[:_MOST]
            bad, total = bad.isel({label: first}), total.isel({label: first})
        where = [str(v) or "(no name)" for v in bad[label].values]
        at = bad[label].values if label == "year" else np.arange(len(where))
        left = np.zeros(len(where))
        shown = [v for v in bad["verdict"].values if self.by_rule[str(v)]]
        for color, verdict in enumerate(shown):
            share = 100 * (bad.sel(verdict=verdict) / total.where(total > 0)).fillna(0).values
            style = {
                "label": str(verdict),
                "color": f"C{color % 10}",
                "hatch": "//" * (color // 10),
            }
            if label == "year":
                ax.bar(at, share, bottom=left, **style)
            else:
                ax.barh(at, share, left=left, **style)
            left = left + share
        if label == "year":
            ax.set(ylabel="rejected (%)", title="by year")
            ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        else:
            ax.set_yticks(at, where)
            ax.invert_yaxis()
            ax.set(xlabel="rejected (%)", title="by platform (most rejected rows)")


def quality_report(obs: Any) -> QualityReport:
    """Count what was rejected, by rule, platform and year.

    Parameters
    ----------
    obs : Dataset
        A table with flags, as :func:`xdeepda.quality_control` or a reader gives it.

    Returns
    -------
    QualityReport
        Printed as tables; ``.plot()`` draws it, ``.counts`` is the Dataset of the
        numbers, ``.by_rule`` a dictionary.

    Raises
    ------
    InputError
        If these are no observations.

    Examples
    --------
    >>> frame = pd.DataFrame({"value": [11.3, 99.9], "time": pd.to_datetime(["2005-01-02"] * 2),
    ...                       "depth": [12.0, 20.0], "lat": [5.0] * 2, "lon": [330.0] * 2})
    >>> frame.attrs["units"] = "degC"
    >>> from xdeepda.observations.qc import quality_control
    >>> quality_report(quality_control(frame)).by_rule["range"]
    1
    """
    table = as_table(obs)
    verdict = verdicts(table)
    names = [PASSED, EMPTY, *NAMES]
    year = _years(table["time"].values)
    platform = table["platform"].values if "platform" in table.coords else np.full(year.size, "")
    counts = {
        f"by_{label}": _counted(verdict, column, label, names)
        for label, column in (
            ("year", year), ("platform", platform.astype(object)),
            ("variable", table["variable"].values.astype(object)),
        )
    }  # fmt: skip
    return QualityReport(xr.Dataset(counts, attrs={"long_name": "rows by verdict"}))


def verdicts(table: xr.Dataset) -> np.ndarray:
    """Position of each row in ("passed", "no value", *names of rules).

    Parameters
    ----------
    table : Dataset
        As :func:`xdeepda.observations.as_table` gives it.

    Returns
    -------
    numpy.ndarray of int64, shape (obs,)
    """
    order = {name: i + 2 for i, name in enumerate(NAMES)}
    codes, texts = pd.factorize(table["reason"].values.astype(object))
    told = [next(filter(None, map(own_rule, str(t).split("; "))), SUPPLIED) for t in texts]
    by_text = np.array([order[name] for name in told], dtype=np.int64)
    bad = rejected(table["qc"].values)
    empty = ~np.isfinite(table["value"].values)
    return np.where(bad, by_text[codes], np.where(empty, 1, 0))


def _years(times: np.ndarray) -> np.ndarray:
    """Year of each time, 0 where it is missing."""
    if times.dtype.kind == "M":
        year = times.astype("datetime64[Y]").astype(np.int64) + 1970
        return np.where(np.isnat(times), 0, year)
    return np.array([getattr(t, "year", 0) for t in times], dtype=np.int64)


def _counted(verdict: np.ndarray, column: np.ndarray, label: str, names: list[str]) -> xr.DataArray:
    """Number of rows by verdict and value of a column, in its order."""
    codes, found = pd.factorize(column, sort=True)
    flat = np.bincount(verdict * len(found) + codes, minlength=len(names) * len(found))
    return xr.DataArray(
        flat.reshape(len(names), len(found)),
        dims=("verdict", label),
        coords={"verdict": names, label: found},
    )


def _percent(part: int, whole: int) -> str:
    """Share in percent."""
    return f"{100 * part / whole:.2f} %" if whole else "0 %"
