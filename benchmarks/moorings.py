"""The real moorings of the equatorial Pacific as monthly anomalies on a model grid.

Daily temperatures of three moorings at 25 depths (quality 1 and 2), and the daily
surface temperature of about 70 moorings 1980-98, become monthly means, anomalies
from their own mean seasonal cycle, and observations on the cells of the grid.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import xdeepda
from xdeepda.grid import Grid
from xdeepda.observations.quantities import default_error

#: Site -> longitude; all at the equator.
SITES = {"165e": 165.0, "170w": 190.0, "140w": 220.0}
#: Days of a month, and years of a calendar month, that a mean needs.
FEWEST_DAYS, FEWEST_YEARS = 10, 5
#: A level is filled from samples above and below that are no further apart (m).
WIDEST_GAP = 110.0


def profile_anomalies(folder: Path, site: str, depth: np.ndarray) -> xr.DataArray:
    """Monthly anomalies of one mooring at the model's levels, (time, depth), NaN where unknown."""
    daily = good_rows(folder / f"tao/t0n{site}_dy.cdf.gz").to_xarray()["value"]
    months = daily.resample(time="MS")
    monthly = months.mean().where(months.count() >= FEWEST_DAYS)
    return to_levels(remove_season(monthly), depth)


def good_rows(path: Path) -> pd.DataFrame:
    """Values by time and depth of a mooring, of good and probably good quality."""
    table = xdeepda.open_observations(path)
    good = np.isin(table.qc.values, (1, 2)) & np.isfinite(table.value.values)
    frame = table[["value"]].isel(obs=good).to_dataframe()[["time", "depth", "value"]]
    # some days were sampled twice
    return frame.groupby(["time", "depth"]).mean()


def remove_season(monthly: xr.DataArray) -> xr.DataArray:
    """Anomalies from the mean of each calendar month, where there are enough years."""
    groups = monthly.groupby("time.month")
    enough = groups.count("time") >= FEWEST_YEARS
    climate = groups.mean("time").where(enough)
    return groups - climate


def to_levels(anomaly: xr.DataArray, depth: np.ndarray) -> xr.DataArray:
    """Interpolate each month to the model's levels, only between samples that are near."""
    own, values = anomaly.depth.values.astype(float), anomaly.values
    out = np.full((values.shape[0], depth.size), np.nan)
    for n, row in enumerate(values):
        there = np.isfinite(row)
        if there.sum() < 2:
            continue
        z = own[there]
        above = np.clip(np.searchsorted(z, depth, side="right") - 1, 0, z.size - 2)
        near = z[above + 1] - z[above] <= WIDEST_GAP
        # the first sample is at 1 m or 5 m: the first level may lie a little above it
        inside = (depth >= z[0] - 5) & (depth <= z[-1])
        out[n] = np.where(near & inside, np.interp(depth, z, row[there]), np.nan)
    return xr.DataArray(
        out, dims=("time", "depth"), coords={"time": anomaly.time.values, "depth": depth}
    )


def surface_anomalies(folder: Path, grid: Grid) -> xr.DataArray:
    """Monthly anomalies of the surface temperature of all moorings by cell, (time, cell)."""
    obs = xdeepda.open_observations(folder / "tao/tao-all2.dat.gz")
    assert grid.depth is not None
    cell = grid.locate(
        np.full(obs.sizes["obs"], grid.depth[0]), obs.latitude.values, obs.longitude.values
    )
    month = pd.DatetimeIndex(obs.time.values).to_period("M").to_timestamp()
    table = pd.DataFrame({"time": month, "cell": cell, "sst": obs.value.values}).dropna()
    groups = table.groupby(["time", "cell"])["sst"]
    monthly = groups.mean()[groups.count() >= FEWEST_DAYS].to_xarray()
    return remove_season(monthly.sortby("time").rename("sst"))


def site_cells(grid: Grid, longitude: float) -> np.ndarray:
    """Columns (flat in ny, nx) whose centres are nearest to a point on the equator."""
    assert grid.lat is not None
    assert grid.lon is not None
    rows = np.flatnonzero(np.abs(grid.lat) <= np.abs(grid.lat).min() + 1e-6)
    away = np.abs((grid.lon - longitude + 180) % 360 - 180)
    columns = np.flatnonzero(away <= away.min() + 1e-6)
    return (rows[:, None] * grid.lon.size + columns[None, :]).ravel()


def gridded(
    grid: Grid,
    profiles: dict[str, xr.DataArray],
    surface: xr.DataArray,
    climate: np.ndarray,
    times: pd.DatetimeIndex,
) -> xr.Dataset:
    """Observations on the grid: anomalies on top of the model's climatology.

    Parameters
    ----------
    profiles : dict of DataArray
        Anomalies (time, depth) of the sites that are given to the analysis.
    surface : DataArray (time, cell)
    climate : numpy.ndarray, shape (12, nz, ny, nx)
        Climatology of the model by calendar month.
    times : DatetimeIndex
        Months.
    """
    nz, ny, nx = grid.shape
    assert grid.depth is not None
    sums = np.zeros((len(times), nz, ny * nx))
    count = np.zeros_like(sums)
    for site, anomaly in profiles.items():
        own = anomaly.reindex(time=times).values
        for column in site_cells(grid, SITES[site]):
            sums[:, :, column] += np.nan_to_num(own)
            count[:, :, column] += np.isfinite(own)
    flat = surface.reindex(time=times)
    for n, cell in enumerate(flat.cell.values):
        own = flat.values[:, n]
        if 0 <= cell < ny * nx:
            sums[:, 0, cell] += np.nan_to_num(own)
            count[:, 0, cell] += np.isfinite(own)
    shape = (len(times), nz, ny, nx)
    months = climate[times.month.values - 1]
    value = np.where(count > 0, sums / np.maximum(count, 1), np.nan).reshape(shape) + months
    # one mooring stands in up to four cells around it: these are not independent
    shared = np.sqrt(2.0)
    error = default_error("temperature", grid.depth)[None, :, None, None] * shared
    error = np.where(np.isfinite(value), np.broadcast_to(error, shape), np.nan)
    dims = ("time", "depth", "lat", "lon")
    coords = {
        "time": times + pd.Timedelta(days=14),
        "depth": ("depth", grid.depth, {"units": "m", "positive": "down"}),
        "lat": ("lat", grid.lat, {"units": "degrees_north"}),
        "lon": ("lon", grid.lon, {"units": "degrees_east"}),
    }
    return xr.Dataset(
        {
            "thetao": (dims, value, {"units": "degC"}),
            "thetao_error": (dims, error, {"units": "K"}),
            "thetao_count": (dims, count.reshape(shape).astype(np.int32)),
        },
        coords=coords,
    )
