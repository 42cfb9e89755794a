"""Observations: one table of points, superobservations, and observing networks.

This room knows positions, times, units and errors of measurements.  It knows
numpy and xarray (pandas where a table comes in as a frame); it knows no model,
no tensors and no torch.
"""

from __future__ import annotations

from xdeepda.observations import readers
from xdeepda.observations.cells import Cells, merge
from xdeepda.observations.gridded import from_gridded
from xdeepda.observations.instruments import assumed_error, measurement_error
from xdeepda.observations.interpolation import (
    PointOperator,
    cycle_weights,
    interpolation_weights,
)
from xdeepda.observations.network import BoundNetwork, Network, network
from xdeepda.observations.operator import observe
from xdeepda.observations.quantities import default_error
from xdeepda.observations.sources import superob
from xdeepda.observations.superob import BinningReport, bin_points
from xdeepda.observations.table import as_table, is_gridded
from xdeepda.observations.vertical import between_samples

__all__ = [
    "BinningReport",
    "BoundNetwork",
    "Cells",
    "Network",
    "PointOperator",
    "as_table",
    "assumed_error",
    "between_samples",
    "bin_points",
    "cycle_weights",
    "default_error",
    "from_gridded",
    "interpolation_weights",
    "is_gridded",
    "measurement_error",
    "merge",
    "network",
    "observe",
    "readers",
    "superob",
]
