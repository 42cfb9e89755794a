"""Pictures of runs, analyses, observations and statistics, by matplotlib.

Each function is a method of ``.deepda.plot`` as well: ``analysis.deepda.plot.map()`` is
``xdeepda.plot.map(analysis)``.  The axes are returned; keywords are those of xarray's plots.
The room knows xarray and the verbs' results, never torch; matplotlib is loaded when
something is drawn, cmocean and cartopy are used where they are installed.
"""

from __future__ import annotations

from xdeepda.plot.covered import coverage
from xdeepda.plot.departed import innovations
from xdeepda.plot.lines import series
from xdeepda.plot.maps import map
from xdeepda.plot.moving import animate
from xdeepda.plot.planes import hovmoller, section
from xdeepda.plot.profiles import profile
from xdeepda.plot.training import history
from xdeepda.plot.verified import by_depth, rank_histogram

__all__ = [
    "animate",
    "by_depth",
    "coverage",
    "history",
    "hovmoller",
    "innovations",
    "map",
    "profile",
    "rank_histogram",
    "section",
    "series",
]
