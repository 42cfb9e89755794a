"""Sums over samples, from which every statistic is made.

A unit is a cycle (of observations also a cycle of one platform).  Sums are kept by unit,
level and group of places, so that levels can be combined by their thickness, units by
season, and blocks of units be drawn by the bootstrap.  Knows arrays alone.

Names of the sums: ``n`` samples, ``lacking`` samples of the estimate without a reference
(both plain numbers); ``w`` weights, ``e`` errors, ``ee`` their squares.  After a colon
stands over which samples: ``climatology:``, ``persistence:``, ``background:`` (``w``,
``ee`` of the estimate, ``ss`` of that standard), ``anomaly:`` (``w``, ``x``, ``y``,
``xx``, ``yy``, ``xy``), ``spread:`` and ``member:`` (``w``, ``ee``, ``vv`` variance,
``tt`` with that of the reference, ``crps``), ``desroziers:`` (``w``, ``observation``,
``background``), ``mean:`` of the means over a group.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xdeepda.verification import scores

#: Sums that are plain numbers of samples.
NUMBERS = ("n", "lacking")


@dataclass
class Sums:
    """Sums by unit, level and group of places.

    Attributes
    ----------
    values : dict of numpy.ndarray, shape (unit, level, group)
    members : numpy.ndarray or None, shape (unit, member, level, group)
        Sums of weight times member.
    histograms : dict of numpy.ndarray, shape (part of time, bin, level, group)
        ``pit``, ``rank``, and ``reliability:w``, ``:v``, ``:e``.
    thickness : numpy.ndarray, shape (level,)
        Weights of the levels when they are combined.
    block : numpy.ndarray, shape (unit,)
        Label of the block of each unit.
    """

    values: dict[str, np.ndarray]
    members: np.ndarray | None
    histograms: dict[str, np.ndarray]
    thickness: np.ndarray
    block: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def column(self) -> Sums:
        """Levels combined by their thickness."""
        t = self.thickness[:, None]
        values = {
            name: v.sum(axis=-2, keepdims=True) if name in NUMBERS
            else (v * t).sum(axis=-2, keepdims=True)
            for name, v in self.values.items()
        }  # fmt: skip
        members = None
        if self.members is not None:
            members = (self.members * t).sum(axis=-2, keepdims=True)
        histograms = {
            name: (v * t).sum(axis=-2, keepdims=True) for name, v in self.histograms.items()
        }
        return Sums(values, members, histograms, np.ones(1), self.block)

    def with_means(self) -> dict[str, np.ndarray]:
        """All sums and those of the means over a group: one sample of each unit."""
        values = dict(self.values)
        weight = values["w"]
        with np.errstate(invalid="ignore", divide="ignore"):
            error = values["e"] / weight
            there = weight > 0
            new = {"mean:w": there, "mean:ee": error**2}
            if self.members is not None and self.members.shape[1] > 1:
                means = self.members / weight[:, None]
                new["mean:vv"] = means.var(axis=1, ddof=1)
                new["mean:tt"] = (1 + 1 / means.shape[1]) * new["mean:vv"]
            if "anomaly:w" in values:
                mass = values["anomaly:w"]
                x, y = values["anomaly:x"] / mass, values["anomaly:y"] / mass
                new |= {"mean:xx": x * x, "mean:yy": y * y, "mean:xy": x * y}
        for name, value in new.items():
            values[name] = np.where(there, np.nan_to_num(value), 0.0)
        return values


def field_terms(
    value: np.ndarray,
    reference: np.ndarray,
    *,
    standards: dict[str, np.ndarray],
    spread: np.ndarray | None = None,
    members: np.ndarray | None = None,
    error: np.ndarray | float = 0.0,
    noisy: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """What is summed, sample by sample; 0 where a sample is not there.

    Parameters
    ----------
    value, reference : numpy.ndarray, shape (...)
        Estimate, and what it is compared with; NaN where there is none.
    standards : dict of numpy.ndarray
        ``climatology``, ``persistence``, ``background``: estimates to beat.
    spread : numpy.ndarray, optional
        Standard deviation of the error of the estimate.
    members : numpy.ndarray, optional, shape (member, ...)
    error : numpy.ndarray or float
        Standard deviation of the error of the reference.
    noisy : numpy.ndarray, optional, shape (member, ...)
        Members with a draw of this error, for their CRPS.

    Returns
    -------
    dict of numpy.ndarray, shape (...)
    """
    error_of = value - reference
    there = np.isfinite(error_of)
    e = np.where(there, error_of, 0.0)
    ee, full = e * e, there.astype(np.float64)
    lacking = (np.isfinite(value) & ~there).astype(np.float64)
    out = {"n": full, "lacking": lacking, "w": full, "e": e, "ee": ee}
    samples = _Samples(there, ee, full)
    for name, standard in standards.items():
        known, weight, square = samples.where(standard)
        s = np.where(known, standard - reference, 0.0)
        out |= {f"{name}:w": weight, f"{name}:ee": square, f"{name}:ss": s * s}
        if name == "climatology":
            # x' = (x - y) - (c - y), y' = -(c - y)
            x = np.where(known, e, 0.0) - s
            anomaly = {"w": weight, "x": x, "y": -s, "xx": x * x, "yy": s * s, "xy": -x * s}
            out |= {f"anomaly:{key}": term for key, term in anomaly.items()}
    if spread is not None:
        total = np.square(spread) + np.square(error)
        crps = scores.crps_gaussian(value, np.sqrt(total), reference)
        terms = {"vv": np.square(spread), "tt": total, "crps": crps}
        out |= samples.named("spread", total, terms)
    if members is not None and len(members) > 1:
        own = members.var(axis=0, ddof=1)
        crps = scores.crps_ensemble(members if noisy is None else noisy, reference)
        # the mean of few members errs by their sampling, too
        total = (1 + 1 / len(members)) * own + np.square(error)
        out |= samples.named("member", total, {"vv": own, "tt": total, "crps": crps})
    return out


class _Samples:
    """Samples of the estimate and the reference, and those of them that others have, too."""

    def __init__(self, there: np.ndarray, square: np.ndarray, weight: np.ndarray) -> None:
        self.there, self.square, self.weight = there, square, weight

    def where(self, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where another estimate is known as well; weight and squared error there."""
        known = self.there & np.isfinite(other)
        if np.array_equal(known, self.there):
            return self.there, self.weight, self.square
        weight = known.astype(np.float64)
        return known, weight, self.square * weight

    def named(
        self, name: str, other: np.ndarray, terms: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Terms where another one is known, under a name, with weight and squared error."""
        known, weight, square = self.where(other)
        found = {f"{name}:{key}": np.where(known, term, 0.0) for key, term in terms.items()}
        return {f"{name}:w": weight, f"{name}:ee": square, **found}
