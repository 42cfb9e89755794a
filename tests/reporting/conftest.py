"""An analysis of three years with members, and its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from report_page import Page

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(scope="session")
def years(ocean: xr.Dataset) -> xr.Dataset:
    """Truth of the last three years."""
    return ocean[["thetao"]].isel(time=slice(84, 120))


@pytest.fixture(scope="session")
def ensemble(years: xr.Dataset) -> xr.Dataset:
    """Analysis with four members, a background that is 1 K too warm, and a spread of 0.5 K."""
    rng = np.random.default_rng(3)
    field = years["thetao"]
    noise = rng.standard_normal((4, *field.shape)).astype(np.float32)
    members = (field + 0.5 * xr.DataArray(noise, dims=("member", *field.dims))).transpose(
        "member", *field.dims
    )
    out = members.assign_attrs(field.attrs).to_dataset(name="thetao")
    out["thetao_background"] = (field + 1).assign_attrs(field.attrs)
    for name in ("spread", "background_spread"):
        out[f"thetao_{name}"] = xr.full_like(field, 0.5).where(field.notnull())
        out[f"thetao_{name}"].attrs = {"units": "K"}
    count = xr.zeros_like(field).astype(np.int32)
    count[:, :2, 4, 12] = 2
    out["thetao_obs_count"] = count.assign_attrs(units="1")
    out.attrs = {"cycle": "month", "model_hash": "0123456789abcdef", "seed": 7,
                 "history": "2026-01-01 <b>made</b> & kept"}  # fmt: skip
    return out


@pytest.fixture(scope="session")
def path(ensemble, years, points, tiny_model, tmp_path_factory) -> Path:
    """The page with everything."""
    target = tmp_path_factory.mktemp("report") / "report.html"
    return ensemble.deepda.report(
        target, reference={"truth": years}, obs=points, model=tiny_model, title="An <ocean> & more"
    )


@pytest.fixture(scope="session")
def page(path: Path) -> Page:
    return Page(path)
