"""Embedded data sets: oceans to try things on, made from a seed.

- :func:`idealised_ocean`: a control run of temperature and salinity on an idealised globe;
- :func:`idealised_observations`: a table of points measured in it;
- :func:`linear_ocean`: an exactly linear and Gaussian ocean with its matrices at hand,
  where the Kalman filter is the best possible analysis.
"""

from __future__ import annotations

from xdeepda.datasets.idealised import idealised_ocean
from xdeepda.datasets.linear import LinearOcean, linear_ocean
from xdeepda.datasets.observing import idealised_observations

__all__ = ["LinearOcean", "idealised_observations", "idealised_ocean", "linear_ocean"]
