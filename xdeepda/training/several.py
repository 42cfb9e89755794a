"""One model for each of several control runs: what they must have in common is told first.

The runs are of different ocean models, or members of one; nothing is shared between the
trainings but their settings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xdeepda.errors import Problems
from xdeepda.model import Model
from xdeepda.source import RunSource
from xdeepda.training.preparation import open_run


def train_each(
    train: Callable[..., Model],
    runs: Sequence[Any],
    network: Any,
    *,
    checkpoint: str | os.PathLike[str] | None,
    **arguments: Any,
) -> list[Model]:
    """Train a model on each run.

    Parameters
    ----------
    train : callable
        The verb for one run.
    runs : sequence of Dataset or DataArray
    network, checkpoint, **arguments
        Of the verb.

    Raises
    ------
    InputError
        With all that is wrong with any of the runs, and in what they differ.
    """
    check_runs(runs, arguments)
    return [
        train(run, network, checkpoint=checkpoint_of(checkpoint, number), **arguments)
        for number, run in enumerate(runs)
    ]


def checkpoint_of(
    checkpoint: str | os.PathLike[str] | None, number: int
) -> str | os.PathLike[str] | None:
    """File of a run: ``name-0.ending``, ``name-1.ending``, ..."""
    if not isinstance(checkpoint, (str, os.PathLike)):
        return checkpoint
    path = Path(checkpoint)
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def check_runs(runs: Sequence[Any], arguments: dict[str, Any]) -> None:
    """Refuse runs that cannot be trained on, or not together, before the first is."""
    problems = Problems("train")
    if not runs:
        problems.add("there are no control runs", found="an empty list")
    sources: list[tuple[int, RunSource]] = []
    for number, run in enumerate(runs):
        own = Problems("train")
        source, _ = open_run(
            run, arguments["var"], arguments["cycle"], arguments["validation"], own
        )
        for problem in own:
            told = replace(problem, what=f"run {number} of the list: {problem.what}")
            problems.add(told.what, found=told.found, expected=told.expected, todo=told.todo)
        if source is not None and not len(own):
            sources.append((number, source))
    for number, source in sources[1:]:
        _compare(sources[0][1], source, number, problems)
    problems.raise_if_any()


def _compare(head: RunSource, source: RunSource, number: int, problems: Problems) -> None:
    """Note in what a run differs from the first: their models could not analyse together."""
    said = f"run {number} of the list differs from the first in its"
    if told := head.grid.differences(source.grid):
        problems.add(f"{said} grid", found="; ".join(told), todo="interpolate it: ds.interp_like")
    if head.variables != source.variables:
        problems.add(f"{said} variables", found=f"{head.variables} and {source.variables}")
    elif head.units != source.units:
        problems.add(f"{said} units", found=f"{head.units} and {source.units}")
