"""Functions as methods: addresses of verbs, of which nothing is loaded before they are called."""

from __future__ import annotations

from importlib import import_module
from types import MethodType
from typing import Any


class Verb:
    """A function of the same name as a method of an object, or of what an accessor holds.

    Bound when it is asked for, so that a notebook shows the function's own signature
    and documentation, and nothing is loaded before.

    Parameters
    ----------
    home : str
        Module of the function.
    public : str
        Where users find the function.
    """

    def __init__(self, home: str, public: str = "xdeepda") -> None:
        self.home, self.public = home, public

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the name of the attribute."""
        self.name = name
        self.__doc__ = f"Method of the object; see :func:`{self.public}.{name}`."

    def __get__(self, holder: Any, owner: type | None = None) -> Any:
        """Bind the function to the object."""
        if holder is None:
            return self
        function = getattr(import_module(self.home), self.name)
        return MethodType(function, getattr(holder, "_obj", holder))
