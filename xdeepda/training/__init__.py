"""Training on a control run; ``train`` loads torch when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xdeepda.training.verb import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """Load the verb when it is first asked for."""
    if name == "train":
        from xdeepda.training.verb import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
