"""Classical schemes behind the same verbs: fitted, saved and used like a Model.

Climatology, damped persistence, single-time OI, cycled EnOI, a reduced Kalman filter, and
the last two combined; :func:`tune` chooses their settings on validation years.  For the
linear ocean, :func:`exact_filter` and :func:`exact_smoother` are the best there can be.
"""

from xdeepda.baselines.exact import exact_filter, exact_smoother
from xdeepda.baselines.schemes import combined, enoi, kalman, oi
from xdeepda.baselines.simple import climatology, persistence
from xdeepda.baselines.tuning import tune

__all__ = [
    "climatology",
    "combined",
    "enoi",
    "exact_filter",
    "exact_smoother",
    "kalman",
    "oi",
    "persistence",
    "tune",
]
