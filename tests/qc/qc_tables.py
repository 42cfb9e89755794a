"""Clean tables of casts that the tests of quality control plant errors in."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.observations.flags import rejected

DEPTH = np.array([5.0, 15, 25, 40, 60, 80, 100, 130, 160, 200, 240, 280, 320, 360, 400, 450, 500])

ATTRS = {
    "units_thetao": "degC",
    "units_so": "psu",
    "standard_name_thetao": "sea_water_potential_temperature",
    "standard_name_so": "sea_water_practical_salinity",
}


def water(depth: np.ndarray, lat: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """Temperature and salinity of a stable column with a thermocline."""
    warm = 4.0 + 20.0 * np.cos(np.deg2rad(lat)) ** 2
    return 3.0 + warm * np.exp(-depth / 250.0), 34.6 + 0.3 * np.exp(-depth / 900.0)


def table(rows: dict[str, Any]) -> xr.Dataset:
    """Table of columns; what is missing gets a plain value."""
    size = len(rows["value"])
    plain: dict[str, Any] = {
        "error": np.full(size, np.nan),
        "variable": np.full(size, "thetao", dtype=object),
        "qc": np.zeros(size, dtype=np.int8),
        "reason": np.full(size, "", dtype=object),
        "platform": np.full(size, "P1", dtype=object),
        "profile": np.full(size, "1", dtype=object),
        "instrument": np.full(size, "CTD", dtype=object),
        "source": np.full(size, "a.nc", dtype=object),
    }
    columns = {**plain, **rows}
    columns = {n: np.broadcast_to(np.asarray(v), size).copy() for n, v in columns.items()}
    coords = ("time", "depth", "latitude", "longitude")
    texts = ("platform", "profile", "instrument", "source")
    attrs = {"depth": {"units": "m", "positive": "down"}}
    names = set(columns["variable"].tolist())
    units = {k: v for k, v in ATTRS.items() if k.split("_")[-1] in names}
    return xr.Dataset(
        {n: ("obs", columns[n]) for n in ("error", "variable", "qc", "reason")}
        | {"value": ("obs", columns["value"].astype(float), units)},
        coords={n: ("obs", columns[n], attrs.get(n, {})) for n in (*coords, *texts)},
    )


def casts(count: int = 6, *, salinity: bool = True, depth: np.ndarray = DEPTH) -> xr.Dataset:
    """Casts of one ship, a degree and a day apart."""
    parts = []
    for number in range(count):
        warm, salt = water(depth)
        for name, values in (("thetao", warm), ("so", salt))[: 1 + salinity]:
            when = np.datetime64("2005-01-01T06:30", "ns") + np.timedelta64(number, "D")
            parts.append(
                {
                    "value": values,
                    "variable": np.full(depth.size, name, dtype=object),
                    "depth": depth,
                    "time": np.full(depth.size, when),
                    "latitude": np.full(depth.size, 30.0),
                    "longitude": np.full(depth.size, 320.0 + number),
                    "profile": np.full(depth.size, str(number), dtype=object),
                }
            )
    return table({n: np.concatenate([p[n] for p in parts]) for n in parts[0]})


def where(ds: xr.Dataset, *, profile: str = "2", variable: str = "thetao") -> np.ndarray:
    """Rows of a cast and variable, by depth."""
    mine = (ds["profile"].values == profile) & (ds["variable"].values == variable)
    return np.flatnonzero(mine)


def planted(ds: xr.Dataset, column: str, rows: Any, values: Any) -> xr.Dataset:
    """Copy with other numbers in some rows."""
    new = ds[column].values.copy()
    new[rows] = values
    return (
        ds.assign({column: ds[column].copy(data=new)})
        if column in ds.data_vars
        else (ds.assign_coords({column: ds[column].copy(data=new)}))
    )


def failed(ds: xr.Dataset, rule: str | None = None) -> list[int]:
    """Rows that a rule rejected (any rule by default)."""
    bad = rejected(ds["qc"].values)
    if rule is not None:
        bad = bad & np.array([t.startswith(f"QC {rule}:") for t in ds["reason"].values])
    return np.flatnonzero(bad).tolist()
