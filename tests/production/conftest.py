from __future__ import annotations

import pytest
import xarray as xr

import xdeepda


@pytest.fixture(scope="module")
def months(ocean, network) -> xr.Dataset:
    """Gridded observations of 40 months."""
    return xdeepda.observe(ocean.isel(time=slice(80, 120)), network, var="thetao", seed=5)


@pytest.fixture
def hasty(monkeypatch) -> None:
    """Stores of small chunks, and a restart after each of them."""
    from xdeepda.production import store

    monkeypatch.setattr(store, "CHUNK_CYCLES", 4)
    monkeypatch.setattr(store, "RESTART_SECONDS", 0.0)


@pytest.fixture(scope="session")
def smoother(ocean, network, tiny) -> xdeepda.Model:
    """Sees two later months."""
    return xdeepda.train(ocean, network, var="thetao", window=(0, 2), **tiny)
