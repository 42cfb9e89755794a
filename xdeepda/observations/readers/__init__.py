"""Readers of the formats that oceanographers have.

:func:`open_observations` recognises files by their structure, reads each with
the reader of its family and puts the tables together.  A reader is a module of
this package that holds ``READERS``; this module knows none of them by name.
"""

from __future__ import annotations

from xdeepda.observations.readers.base import (
    Levels,
    Measured,
    NothingMeasured,
    Reader,
    Source,
    make_table,
)
from xdeepda.observations.readers.opening import (
    iter_observations,
    open_observations,
    read_with,
)
from xdeepda.observations.readers.recognition import readers

__all__ = [
    "Levels",
    "Measured",
    "NothingMeasured",
    "Reader",
    "Source",
    "iter_observations",
    "make_table",
    "open_observations",
    "read_with",
    "readers",
]
