"""Analyses whose errors are known."""

from __future__ import annotations

import numpy as np
import xarray as xr


def made(
    truth: xr.Dataset, sigma: float = 0.5, seed: int = 0, *, stated: float | None = None
) -> xr.Dataset:
    """Truth plus noise, with a spread, and a background that errs twice as much."""
    rng = np.random.default_rng(seed)
    field = truth["thetao"]
    error, other = rng.standard_normal((2, *field.shape))
    spread = sigma if stated is None else stated
    wet = field.notnull()
    out = xr.Dataset(
        {
            "thetao": field + sigma * error,
            "thetao_spread": xr.full_like(field, spread).where(wet),
            "thetao_background": field + 2 * sigma * other,
            "thetao_background_spread": xr.full_like(field, 2 * spread).where(wet),
        }
    )
    for name, da in out.items():
        da.attrs = {**field.attrs, "units": "K" if "spread" in str(name) else "degC"}
    out.attrs = {"cycle": "month"}
    return out.assign({v: truth[v] for v in ("time_bnds",)})
