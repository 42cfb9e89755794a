"""What ``verify`` is asked for, checked: settings and references.

Knows arguments; no fields, no sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import Problems
from xdeepda.verification.against_observations import are_observations
from xdeepda.verification.fields import as_dataset
from xdeepda.verification.groups import Groups, groups_of, parts_of
from xdeepda.verification.statistics import DISTRIBUTIONS, STATISTICS, requirements


@dataclass(frozen=True)
class Settings:
    """Arguments of the verb that are no data; see :func:`xdeepda.verify`.

    Attributes
    ----------
    groups : Groups
        Of places, from ``by``, ``regions`` and ``bands``.
    regions_given : bool
        Whether the user has named the regions.
    """

    part: str
    by: tuple[str, ...]
    groups: Groups
    regions_given: bool
    statistics: tuple[str, ...] | None
    climatology: Any
    persistence: int
    assimilated: bool
    block: int | str | None
    level: float
    draws: int
    bins: int
    seed: int
    progress: bool


def settings_of(given: Mapping[str, Any], problems: Problems) -> Settings | None:
    """Check the arguments that are no data.

    Parameters
    ----------
    given : mapping
        The keyword arguments of the verb.
    problems : Problems

    Returns
    -------
    Settings or None
        None with a problem.
    """
    before = len(problems)
    part, level, block = given["part"], given["level"], given["block"]
    if part not in ("analysis", "background"):
        problems.add("part= is unknown", found=repr(part), expected="'analysis' or 'background'")
    by = parts_of(given["by"], problems)
    groups = groups_of(by, given["regions"], given["bands"], problems)
    for word, least in (("persistence", 0), ("draws", 1), ("bins", 2), ("seed", 0)):
        if not _is_number(given[word], least):
            problems.add(f"{word}= is no number from {least} on", found=repr(given[word]))
    if not (isinstance(level, (int, float)) and 0 < level < 1):
        problems.add("level= is no share", found=repr(level), expected="such as 0.95")
    if block is not None and block != "platform" and not _is_number(block, 1):
        problems.add("block= is not understood", found=repr(block),
                     expected="a number of cycles, or 'platform'")  # fmt: skip
    statistics = _statistics(given["statistics"], problems)
    if len(problems) > before:
        return None
    kept = ("climatology", "persistence", "assimilated", "draws", "bins", "seed", "progress")
    return Settings(
        part=part, by=by, groups=groups, regions_given=given["regions"] is not None,
        statistics=statistics, level=float(level), block=block,
        **{name: given[name] for name in kept},
    )  # fmt: skip


def _statistics(given: Any, problems: Problems) -> tuple[str, ...] | None:
    """Names of the statistics that are asked for; None for all."""
    if given is None:
        return None
    names = (given,) if isinstance(given, str) else tuple(given)
    unknown = [n for n in names if not isinstance(n, str) or requirements(n) is None]
    if unknown or not names:
        known = [*(s.name for s in STATISTICS), *DISTRIBUTIONS]
        problems.add(f"there are no such statistics: {unknown}", expected=", ".join(known))
    return names


def _is_number(value: Any, least: int) -> bool:
    """Whether this is a whole number of at least so much."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        return False
    return bool(value >= least)


def references_of(reference: Any, problems: Problems) -> dict[str, Any]:
    """References by name; a single one has the name ''.

    Those of a list are named by their titles, if these differ, else by numbers from 1.
    """
    if isinstance(reference, Mapping) and not isinstance(reference, xr.Dataset):
        named = {str(k): v for k, v in reference.items()}
    elif isinstance(reference, (list, tuple)):
        titles = [str(getattr(r, "attrs", {}).get("title", "")) for r in reference]
        unique = all(titles) and len(set(titles)) == len(titles)
        names = titles if unique else [str(n) for n in range(1, len(titles) + 1)]
        named = dict(zip(names, reference, strict=True))
    else:
        named = {"": reference}
    if not named:
        problems.add("there is no reference", expected="at least one")
    for name, given in named.items():
        if not are_observations(given) and as_dataset(given) is None:
            problems.add(
                f"{called(name)} is neither fields nor observations",
                found=type(given).__name__,
                expected="a Dataset, DataArray or DataFrame",
            )
    return named


def called(name: str) -> str:
    """What to call a reference in messages."""
    return f"reference {name!r}" if name else "the reference"
