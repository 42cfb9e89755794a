"""The rules in the order in which they run, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from xdeepda.errors import Problems
from xdeepda.observations.qc import copies, places, ranges, shapes, tracks, whole
from xdeepda.observations.qc.rule import Rule

#: Name of the pseudo-rule that keeps the flags with which the data came.
SUPPLIED = "supplied"

#: In the order in which they run: each looks only at what those before it left.
RULES: tuple[Rule, ...] = (
    places.POSITION, places.DATE, places.LAND, places.BOTTOM, places.DEEPEST,
    ranges.RANGE, ranges.REGION, ranges.DEPTH_RANGE,
    shapes.SPIKE, shapes.GRADIENT, shapes.LAST_STEP, shapes.DENSITY,
    shapes.CONSTANT, shapes.STUCK, whole.WIRE, whole.LYING, whole.PROFILE,
    copies.EXACT, copies.NEAR, tracks.SPEED,
)  # fmt: skip

#: Names of all rules, the one about supplied flags first.
NAMES = (SUPPLIED, *(rule.name for rule in RULES))


def choose(rules: Any, problems: Problems) -> tuple[tuple[Rule, ...], bool]:
    """Rules to run.

    Parameters
    ----------
    rules : None, str, list of str, or dict
        All; only these; or all with changes: name -> False (left out), True, or a
        dictionary of limits.
    problems : Problems

    Returns
    -------
    rules : tuple of Rule, in the declared order
    supplied : bool
        Whether the flags with which the data came are kept.
    """
    if rules is None:
        return RULES, True
    if isinstance(rules, Mapping):
        return _changed(rules, problems)
    wanted = [rules] if isinstance(rules, str) else rules
    if not isinstance(wanted, Iterable):
        problems.add("rules cannot be understood", found=repr(rules), expected=_EXPECTED)
        return (), True
    names = [str(name) for name in wanted]
    _refuse_unknown(names, problems)
    return tuple(rule for rule in RULES if rule.name in names), True


_EXPECTED = "None, names of rules, or a dict of name -> True, False or limits"


def _refuse_unknown(names: Iterable[str], problems: Problems) -> None:
    """Note names that are no rules."""
    if unknown := [name for name in names if name not in NAMES]:
        problems.add(
            f"there is no rule {', '.join(map(repr, unknown))}",
            expected=f"of {', '.join(NAMES)}",
        )


def _changed(rules: Mapping[Any, Any], problems: Problems) -> tuple[tuple[Rule, ...], bool]:
    """All rules with changes."""
    _refuse_unknown(map(str, rules), problems)
    chosen = []
    for rule in RULES:
        change = rules.get(rule.name, True)
        if isinstance(change, Mapping):
            chosen.append(rule.with_limits(_limits(rule, change, problems)))
        elif isinstance(change, (bool, np.bool_)):
            chosen += [rule] if change else []
        else:
            problems.add(
                f"rule {rule.name!r} cannot be changed to this", found=repr(change),
                expected="True, False, or a dict of limits",
            )  # fmt: skip
    supplied = rules.get(SUPPLIED, True)
    if not isinstance(supplied, (bool, np.bool_)):
        problems.add(
            f"rule {SUPPLIED!r} has no limits", found=repr(supplied), expected="True, False"
        )
    return tuple(chosen), bool(supplied)


def _limits(rule: Rule, change: Mapping[Any, Any], problems: Problems) -> dict[str, Any]:
    """Limits that fit those of the rule."""
    fitting = {}
    for name, value in change.items():
        if name not in rule.limits:
            problems.add(
                f"rule {rule.name!r} has no limit {name!r}",
                expected=f"of {', '.join(rule.limits) or 'none'}",
            )
        elif not _fits(rule.limits[name], value):
            problems.add(
                f"limit {name!r} of rule {rule.name!r} has a wrong form", found=repr(value),
                expected=f"as {rule.limits[name]!r}",
            )  # fmt: skip
        else:
            fitting[str(name)] = value
    return fitting


def _fits(own: Any, value: Any) -> bool:
    """Whether a limit is of the form of another: text, number, numbers, or rows of numbers."""
    if isinstance(own, str):
        return isinstance(value, str)
    try:
        new, old = np.asarray(value, dtype=float), np.asarray(own, dtype=float)
    except (TypeError, ValueError):
        return False
    if np.isnan(new).any() or new.ndim != old.ndim or new.size == 0:
        return False
    return bool(
        new.shape[-1:] == old.shape[-1:] and (new.ndim < 2 or np.all(np.diff(new[:, 0]) > 0))
    )
