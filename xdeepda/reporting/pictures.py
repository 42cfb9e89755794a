"""Pictures inside of a page: drawn without a screen, in a style of their own, kept as PNG.

Knows matplotlib, which is loaded when something is drawn; no pyplot, so that no figure stays
open and nothing of the user's is changed.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xdeepda.reporting.page import figure

#: Dots per inch of the file, and how many of them lie in a pixel of the page: sharp on screens
#: of high resolution.
_DPI, _DENSITY = 130, 1.3

_SETTINGS: Any = {"font.size": 9.5, "axes.titlesize": 10, "figure.facecolor": "white"}


class Canvas:
    """A figure that becomes part of a page.

    Parameters
    ----------
    inches : (float, float)

    Attributes
    ----------
    ax : matplotlib.axes.Axes
    """

    def __init__(self, inches: tuple[float, float]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasAgg(self.figure)
        self.ax: Any = self.figure.subplots()

    def html(self, alt: str, caption: str) -> str:
        """Figure of the page."""
        if self.ax.get_aspect() != "auto":
            # the layout of a map settles when it is done again
            for _ in range(2):
                self.figure.draw_without_rendering()
        held = io.BytesIO()
        # without the version of matplotlib: the same picture, the same bytes
        self.figure.savefig(held, format="png", dpi=_DPI, metadata={"Software": None})
        width, height = (round(float(x) * _DPI / _DENSITY) for x in self.figure.get_size_inches())
        source = "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")
        return figure(source, alt, caption, (width, height))


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own settings but for a few, whatever the user's are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield
