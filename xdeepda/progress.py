"""Progress bars: tqdm, in a notebook its own kind."""

from __future__ import annotations

from typing import Any

from xdeepda.options import option


def progress_bar(total: int | None, description: str, show: bool, unit: str = "it") -> Any:
    """Open a progress bar; silent where `show` or the option ``progress`` is False."""
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=description, unit=unit, disable=not (show and option("progress")))
