"""Pictures as numbers, compared with kept ones.

All that depends on fonts is taken away before a picture is drawn (texts, legends, labels of
ticks), so that another version of matplotlib or freetype draws the same but for a few
pixels at the edges of lines.

To draw the kept pictures again, after a change that is meant::

    XDEEPDA_REDRAW=1 python -m pytest tests/plot/test_images.py

then look at each of ``tests/plot/baseline/*.png`` before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "baseline"
REDRAW = "XDEEPDA_REDRAW"

#: Root mean square difference of colours, of 255: edges of lines that lie elsewhere by a
#: fraction of a pixel stay below, a field that is shifted by a cell does not.
TOLERANCE = 6.0
DPI = 40


def picture(figure: Any) -> np.ndarray:
    """Colours of a figure without its texts; shape (height, width, 3), 0 to 255."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    for ax in figure.findobj(lambda a: hasattr(a, "tick_params")):
        ax.tick_params(labelbottom=False, labelleft=False, labelright=False, labeltop=False)
        if hasattr(ax, "get_legend") and ax.get_legend() is not None:
            ax.get_legend().remove()
    for text in figure.findobj(Text):
        text.set_visible(False)
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    for _ in range(3):  # the layout of a fixed aspect settles
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square difference of colours; infinite where the sizes differ.

    >>> distance(np.zeros((2, 2, 3)), np.full((2, 2, 3), 3))
    3.0
    """
    if one.shape != other.shape:
        return float("inf")
    return float(np.sqrt(np.mean((one.astype(float) - other.astype(float)) ** 2)))


def kept(name: str) -> np.ndarray:
    """Kept picture."""
    from matplotlib.image import imread

    return np.round(imread(FOLDER / f"{name}.png")[..., :3] * 255).astype(np.uint8)


def check(name: str, drawn: np.ndarray, folder: Path) -> None:
    """Compare with the kept picture, or keep this one where that is asked for."""
    from matplotlib.image import imsave

    if os.environ.get(REDRAW):
        FOLDER.mkdir(exist_ok=True)
        imsave(FOLDER / f"{name}.png", drawn)
        return
    apart = distance(drawn, kept(name))
    if apart > TOLERANCE:
        imsave(folder / f"{name}.png", drawn)
        raise AssertionError(
            f"picture {name!r} differs by {apart:.1f} (at most {TOLERANCE}); drawn: "
            f"{folder / name}.png, kept: {FOLDER / name}.png; {REDRAW}=1 keeps what is drawn"
        )
