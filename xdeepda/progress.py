"""Progress bars: tqdm, in a notebook its own kind."""

from __future__ import annotations

from typing import Any

from xdeepda.options import option


def progress_bar(
    total: int | None, description: str, show: bool, unit: str = "it", delay: float = 0.0
) -> Any:
    """Open a progress bar; silent where `show` or the option ``progress`` is False.

    It appears after `delay` seconds.
    """
    from tqdm.auto import tqdm

    disable = not (show and option("progress"))
    return tqdm(total=total, desc=description, unit=unit, disable=disable, delay=delay)
