"""What a rule of quality control is.

A rule looks at a :class:`~xdeepda.observations.qc.sample.Sample` and says which rows
fail it.  Its limits stand beside their source and can be overridden one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xdeepda.observations.flags import BAD

if TYPE_CHECKING:
    from xdeepda.observations.qc.sample import Sample

#: Begin of the reasons that rules write, by which they are told from those of the archives.
PREFIX = "QC "

#: Limits of a rule by name: numbers, or tables of equally long rows.
Limits = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    name : str
        The reason code.
    words : str
        What failing it means, without semicolon.
    find : callable
        ``find(sample, limits)`` gives the rows that fail, bool of shape (obs,).
    limits : mapping
        Thresholds by name: numbers, or tables (tuples of rows).
    source : str
        Where the thresholds come from.
    flag : int
        Flag of the rows that fail: 3 probably bad, 4 bad.
    """

    name: str
    words: str
    find: Callable[[Sample, Limits], np.ndarray]
    limits: Limits = field(default_factory=dict)
    source: str = ""
    flag: int = BAD

    @property
    def reason(self) -> str:
        """Text in the column `reason`."""
        return f"{PREFIX}{self.name}: {self.words}"

    def with_limits(self, limits: Limits) -> Rule:
        """Return the same rule with some limits replaced."""
        return replace(self, limits={**self.limits, **limits})


def step(table: Any, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds at depths, from a table of layers.

    Parameters
    ----------
    table : rows of (top in metres, lowest, highest), tops increasing
    depth : numpy.ndarray, shape (n,)
        NaN counts as the surface.

    Returns
    -------
    low, high : numpy.ndarray, shape (n,)

    Examples
    --------
    >>> step(((0, -2, 37), (100, -2, 34)), np.array([50.0, 100.0]))[1].tolist()
    [37.0, 34.0]
    """
    rows = np.asarray(table, dtype=float)
    at = np.searchsorted(rows[:, 0], np.nan_to_num(depth), side="right") - 1
    layer = rows[np.maximum(at, 0)]
    return layer[..., 1], layer[..., 2]
