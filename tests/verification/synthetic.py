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


def points_of(truth: xr.Dataset, n: int = 600, error: float = 0.3, seed: int = 0) -> xr.Dataset:
    """Observations of a truth at cell centres, of twenty platforms, with their errors."""
    rng = np.random.default_rng(seed)
    field = truth["thetao"]
    where = np.argwhere(field.notnull().values)
    t, k, j, i = where[np.sort(rng.choice(len(where), n, replace=False))].T
    value = field.values[t, k, j, i] + error * rng.standard_normal(n)
    attrs = {key: field.attrs[key] for key in ("units", "standard_name")}
    coords = {
        "time": ("obs", truth["time"].values[t]),
        "depth": ("obs", truth["depth"].values[k], {"units": "m", "positive": "down"}),
        "lat": ("obs", truth["lat"].values[j], {"units": "degrees_north"}),
        "lon": ("obs", truth["lon"].values[i], {"units": "degrees_east"}),
        "platform": ("obs", np.array([f"float {p:02d}" for p in rng.integers(0, 20, n)])),
    }
    fields = {
        "thetao": ("obs", value, attrs),
        "thetao_error": ("obs", np.full(n, error), {"units": "K"}),
    }
    return xr.Dataset(fields, coords)
