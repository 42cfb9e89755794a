"""A truth, and an analysis of it whose errors are known."""

from __future__ import annotations

import pytest
import xarray as xr
from synthetic import made


@pytest.fixture(scope="session")
def years(ocean: xr.Dataset) -> xr.Dataset:
    """Truth of the last four years."""
    return ocean.isel(time=slice(72, 120))


@pytest.fixture(scope="session")
def noisy(years: xr.Dataset) -> xr.Dataset:
    """Analysis of these years with an error of 0.5 K, as it says."""
    return made(years)
