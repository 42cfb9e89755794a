"""Every statistic: its formula on sums, its orientation and its words.

Knows sums by name (:mod:`xdeepda.verification.sums`) and nothing of where they are from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Totals = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Statistic:
    """One statistic.

    Attributes
    ----------
    name : str
    words : str
        For ``long_name``.
    tex : str
        The formula as the documentation shows it.
    source : str
        Where it is from; empty for the plainest.
    needs : tuple of str
        Sums that it is made of.
    formula : callable
        Of the totals; may give NaN.
    unit : {"value", "square", "1"}
        That of differences of the variable, its square, or none.
    better : {"zero", "smaller", "larger", "one", ""}
        Orientation; empty for what is no score.
    interval : bool
        Whether it has a confidence interval.
    """

    name: str
    words: str
    tex: str
    source: str
    needs: tuple[str, ...]
    formula: Callable[[Totals], np.ndarray]
    unit: str = "1"
    better: str = ""
    interval: bool = False


def _ratio(above: str, below: str) -> Callable[[Totals], np.ndarray]:
    return lambda t: t[above] / t[below]


def _root(above: str, below: str) -> Callable[[Totals], np.ndarray]:
    return lambda t: np.sqrt(t[above] / t[below])


def _skill(standard: str) -> Callable[[Totals], np.ndarray]:
    return lambda t: 1 - t[f"{standard}:ee"] / t[f"{standard}:ss"]


def _correlation(name: str) -> Callable[[Totals], np.ndarray]:
    def formula(t: Totals) -> np.ndarray:
        found = t[f"{name}:xy"] / np.sqrt(t[f"{name}:xx"] * t[f"{name}:yy"])
        return np.asarray(np.clip(found, -1, 1))

    return formula


def _share(above: str, other: str) -> Callable[[Totals], np.ndarray]:
    return lambda t: t[above] / (t[above] + t[other])


_MURPHY = "Murphy & Epstein 1989"
_FORTIN = "Fortin et al. 2014"
_GNEITING = "Gneiting et al. 2005"
_FERRO = "Ferro 2014"
_DESROZIERS = "Desroziers et al. 2005"


def _against(standard: str, words: str, sign: str) -> list[Statistic]:
    """Error of a standard, and skill against it."""
    w, ss, ee = (f"{standard}:{x}" for x in ("w", "ss", "ee"))
    return [
        Statistic(
            f"rmse_{standard}", f"root mean square error of {words}",
            rf"\sqrt{{\langle ({sign} - y)^2 \rangle}}", "",
            (w, ss), _root(ss, w), "value", "smaller",
        ),
        Statistic(
            f"skill_{standard}", f"skill in squared error against {words}",
            rf"1 - \langle (x - y)^2 \rangle / \langle ({sign} - y)^2 \rangle", _MURPHY,
            (ee, ss), _skill(standard), "1", "larger", True,
        ),
    ]  # fmt: skip


#: In the order in which a table shows them.
STATISTICS: tuple[Statistic, ...] = (
    Statistic(
        "count", "number of samples", "n", "",
        ("n",), lambda t: t["n"],
    ),
    Statistic(
        "missing", "share of the estimate's samples that have no reference",
        r"n_\text{without} / (n + n_\text{without})", "",
        ("n", "lacking"), _share("lacking", "n"),
    ),
    Statistic(
        "bias", "mean error, estimate minus reference", r"\langle x - y \rangle", "",
        ("e", "w"), _ratio("e", "w"), "value", "zero", True,
    ),
    Statistic(
        "rmse", "root mean square error", r"\sqrt{\langle (x - y)^2 \rangle}", "",
        ("ee", "w"), _root("ee", "w"), "value", "smaller", True,
    ),
    *_against("climatology", "climatology", "c"),
    *_against("persistence", "persistence of the reference", "p"),
    *_against("background", "the background", "x_b"),
    Statistic(
        "acc", "correlation of anomalies from the climatology",
        r"\langle x' y' \rangle / \sqrt{\langle x'^2 \rangle \langle y'^2 \rangle}", _MURPHY,
        ("anomaly:xx", "anomaly:yy", "anomaly:xy"), _correlation("anomaly"), "1", "larger", True,
    ),
    Statistic(
        "spread", "root mean variance of the stated error", r"\sqrt{\langle \sigma^2 \rangle}", "",
        ("spread:vv", "spread:w"), _root("spread:vv", "spread:w"), "value",
    ),
    Statistic(
        "observation_error", "root mean variance of the error of the observations",
        r"\sqrt{\langle \sigma_o^2 \rangle}", "",
        ("observation:vv", "observation:w"), _root("observation:vv", "observation:w"), "value",
    ),
    Statistic(
        "spread_skill", "expected over actual root mean square error",
        r"\sqrt{\langle \sigma^2 + \sigma_o^2 \rangle / \langle (x - y)^2 \rangle}", _FORTIN,
        ("spread:tt", "spread:ee"), _root("spread:tt", "spread:ee"), "1", "one", True,
    ),
    Statistic(
        "crps", "continuous ranked probability score, normal distribution",
        r"\langle \sigma_t [z (2\Phi(z) - 1) + 2\varphi(z) - 1/\sqrt\pi] \rangle", _GNEITING,
        ("spread:crps", "spread:w"), _ratio("spread:crps", "spread:w"), "value", "smaller", True,
    ),
    Statistic(
        "member_spread", "root mean variance of the members", r"\sqrt{\langle s^2 \rangle}", "",
        ("member:vv", "member:w"), _root("member:vv", "member:w"), "value",
    ),
    Statistic(
        "member_spread_skill", "expected, by the members, over actual root mean square error",
        r"\sqrt{\langle (1 + 1/m) s^2 + \sigma_o^2 \rangle / \langle (\bar x - y)^2 \rangle}",
        _FORTIN,
        ("member:tt", "member:ee"), _root("member:tt", "member:ee"), "1", "one", True,
    ),
    Statistic(
        "member_crps", "continuous ranked probability score of the members, fair",
        r"\langle \frac1m \sum_i |x_i - y| - \frac1{2m(m-1)} \sum_{ij} |x_i - x_j| \rangle", _FERRO,
        ("member:crps", "member:w"), _ratio("member:crps", "member:w"), "value", "smaller", True,
    ),
    Statistic(
        "mean_rmse", "root mean square error of the mean over the group",
        r"\sqrt{\overline{\langle x - y \rangle_g^2}}", "",
        ("mean:ee", "mean:w"), _root("mean:ee", "mean:w"), "value", "smaller", True,
    ),
    Statistic(
        "mean_acc", "correlation in time of the mean over the group, as anomaly",
        r"\overline{\langle x' \rangle_g \langle y' \rangle_g} / "
        r"\sqrt{\overline{\langle x' \rangle_g^2}\ \overline{\langle y' \rangle_g^2}}", "",
        ("mean:xx", "mean:yy", "mean:xy"), _correlation("mean"), "1", "larger", True,
    ),
    Statistic(
        "mean_spread", "root mean variance, among members, of the mean over the group",
        r"\sqrt{\overline{s^2(\langle x_i \rangle_g)}}", "",
        ("mean:vv", "mean:w"), _root("mean:vv", "mean:w"), "value",
    ),
    Statistic(
        "mean_spread_skill", "expected, by the members, over actual error of the group's mean",
        r"\sqrt{(1 + 1/m) \overline{s^2(\langle x_i \rangle_g)} / "
        r"\overline{\langle \bar x - y \rangle_g^2}}", _FORTIN,
        ("mean:tt", "mean:ee"), _root("mean:tt", "mean:ee"), "1", "one", True,
    ),
    Statistic(
        "desroziers_observation_variance",
        "error variance of the observations that departures are consistent with",
        r"\langle (y - x)(y - x_b) \rangle", _DESROZIERS,
        ("desroziers:observation", "desroziers:w"),
        _ratio("desroziers:observation", "desroziers:w"), "square", "", True,
    ),
    Statistic(
        "desroziers_background_variance",
        "error variance of the background that departures are consistent with",
        r"\langle (x - x_b)(y - x_b) \rangle", _DESROZIERS,
        ("desroziers:background", "desroziers:w"),
        _ratio("desroziers:background", "desroziers:w"), "square", "", True,
    ),
)  # fmt: skip

#: Orientation in words, for the attributes.
BETTER = {
    "zero": "nearer to 0 is better",
    "smaller": "smaller is better, 0 is perfect",
    "larger": "larger is better, 1 is perfect",
    "one": "nearer to 1 is better; below 1 is overconfident",
}


#: Prefix of the sums that a statistic is made of -> what must be there, and what to do.
REQUIREMENTS = {
    "spread": ("the spread of the estimate, a variable <var>_spread", ""),
    "member": ("members", "assimilate(..., members=10, keep_members=True)"),
    "climatology": ("a climatology", "climatology=control"),
    "background": ("the background of the estimate, a variable <var>_background", ""),
    "persistence": ("a lag of persistence, and fields as reference", "persistence=1"),
    "mean": ("fields as reference", ""),
    "observation": ("observations as reference", ""),
    "desroziers": (
        "observations that were assimilated",
        "verify(analysis.deepda.departures()) of a ledger, or assimilated=True",
    ),
}

#: Variables that are no single numbers, and their requirement.
DISTRIBUTIONS = {
    "pit_histogram": "spread",
    "pit_deviation": "spread",
    "rank_histogram": "member",
    "rank_deviation": "member",
    "reliability_predicted": "spread",
    "reliability_observed": "spread",
    "reliability_share": "spread",
}


def requirements(name: str) -> set[str] | None:
    """What a statistic needs, of `REQUIREMENTS`; None if there is no such statistic."""
    if name in DISTRIBUTIONS:
        return {DISTRIBUTIONS[name]}
    found = [s for s in STATISTICS if s.name == name]
    if not found:
        return None
    needs = {need.split(":")[0] for need in found[0].needs if ":" in need}
    if "mean:vv" in found[0].needs or "mean:tt" in found[0].needs:
        needs.add("member")
    if "mean:xx" in found[0].needs or "anomaly" in needs:
        needs.add("climatology")
    return needs - {"anomaly"}


def available(totals: Totals) -> list[Statistic]:
    """Statistics whose sums are there."""
    return [s for s in STATISTICS if all(name in totals for name in s.needs)]


def evaluate(statistic: Statistic, totals: Totals) -> np.ndarray:
    """Value of a statistic; NaN where nothing was summed."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(statistic.formula(totals))
