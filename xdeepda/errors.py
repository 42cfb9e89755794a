"""Errors that tell everything at once.

Standard library only.  A verb collects all that is wrong with its input in a
:class:`Problems` and raises once, before long work starts: what is wrong, what
was found, what is expected, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class DeepDAError(Exception):
    """Base of the errors of this package."""


class InputError(DeepDAError, ValueError):
    """The input of a verb cannot be used; the message lists every problem."""


class ModelFileError(DeepDAError, ValueError):
    """A model file is not one, is damaged, or is of an unknown format."""


class ModelMismatchError(InputError):
    """A model and the data it is given do not belong together."""


class MemoryForeseenError(InputError, MemoryError):
    """The work would not fit into memory; said before it starts."""


class DeviceMemoryError(DeepDAError, MemoryError):
    """The memory of a GPU does not suffice; the message says what would fit."""


class LostProcessError(DeepDAError, RuntimeError):
    """One of the processes that share a training or an assimilation has failed or is gone."""


class StoreError(DeepDAError, OSError):
    """An analysis cannot be written to its store; the message says what is kept."""


class ForecastError(DeepDAError, ValueError):
    """A forecast that the user gave has failed, or cannot be used; its cycle is named."""


class DivergenceError(DeepDAError, ArithmeticError):
    """A number that is not finite, or not bounded, appeared in a calculation."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    what: str
    found: str = ""
    expected: str = ""
    todo: str = ""

    def __str__(self) -> str:
        """One paragraph: what, then the indented details that are known."""
        lines = [self.what]
        for label, text in (
            ("found", self.found),
            ("expected", self.expected),
            ("what to do", self.todo),
        ):
            if text:
                lines.append(f"    {label}: {text}")
        return "\n".join(lines)


class Problems:
    """Collects what is wrong with the input of a verb and raises it at once.

    Parameters
    ----------
    verb : str
        Name of the verb, for the first line of the message.
    error : type of InputError
        What :meth:`raise_if_any` raises.

    Examples
    --------
    >>> problems = Problems("train")
    >>> problems.add("no depth axis", found="dims ('time', 'y', 'x')", todo="add units")
    >>> len(problems)
    1
    """

    def __init__(self, verb: str, error: type[InputError] = InputError) -> None:
        self.verb = verb
        self.error = error
        self._items: list[Problem] = []

    def __len__(self) -> int:
        """Number of problems collected so far."""
        return len(self._items)

    def __iter__(self) -> Iterator[Problem]:
        """Iterate over the problems collected so far."""
        return iter(self._items)

    def add(self, what: str, *, found: str = "", expected: str = "", todo: str = "") -> None:
        """Note one problem."""
        self._items.append(Problem(what, str(found), str(expected), str(todo)))

    def absorb(self, error: InputError | Problems) -> None:
        """Take over the problems of another collection or of a raised error."""
        if isinstance(error, Problems):
            self._items.extend(error)
            return
        inner = getattr(error, "problems", None)
        self._items.extend(inner if inner else [Problem(str(error))])

    def message(self) -> str:
        """Return the whole message."""
        count = len(self._items)
        head = f"{self.verb}: {'one problem' if count == 1 else f'{count} problems'} with the input"
        return "\n".join([head, *(f"{n}. {item}" for n, item in enumerate(self._items, 1))])

    def raise_if_any(self) -> None:
        """Raise the error if anything was collected.

        Raises
        ------
        InputError
            Or the subclass given at construction.
        """
        if self._items:
            error = self.error(self.message())
            error.problems = tuple(self._items)  # type: ignore[attr-defined]
            raise error
