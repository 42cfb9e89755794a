"""Small files in the formats of large archives, made from an idealised ocean, to rehearse with.

Same names, dimensions, units, fills and flags as the originals: a zarr store like those of the
CESM2 Large Ensemble with its static grid, daily Argo files by date, EN4 profiles zipped by year.
Only the ocean in them is idealised, and coarse.  `reanalysis_1981_2020.py --rehearse` uses them.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import gsw
import numpy as np
import pandas as pd
import xarray as xr

import xdeepda

RESOLUTION = 4.0  # degrees; the script averages it to a coarser grid
LEVELS = 6
FILL = np.float32(99999.0)
EPOCH = np.datetime64("1950-01-01", "ns")


def write(folder: Path, years: tuple[int, int], control_years: int, seed: int = 0) -> None:
    """Write control run, grid and observations of all years into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_control(folder, control_years, last_year=years[0] - 1, seed=seed)
    ocean = xdeepda.datasets.idealised_ocean(
        years[1] - years[0] + 1, resolution=RESOLUTION, levels=LEVELS, seed=seed + 1,
        calendar="standard", start_year=years[0],
    )  # fmt: skip
    obs = xdeepda.datasets.idealised_observations(ocean, era="argo", density=0.03, seed=seed)
    obs["so"] = ocean["so"].sel(
        time=obs["time"], depth=obs["depth"], lat=obs["latitude"], lon=obs["longitude"] % 360,
        method="nearest",
    )  # fmt: skip
    table = obs.to_dataframe().reset_index()
    for year, rows in table.groupby(table["time"].dt.year):
        # as in the real archives, floats are in both: the copies are found by quality control
        write_en4(folder / "en4", int(year), rows[rows["instrument"] != "drifter"])
        write_argo(folder / "argo" / str(year), rows[rows["instrument"] == "float"])


def write_control(folder: Path, years: int, last_year: int, seed: int) -> None:
    """One member like those of the CESM2 Large Ensemble, and the store of its grid."""
    ocean = xdeepda.datasets.idealised_ocean(
        years, resolution=RESOLUTION, levels=LEVELS, seed=seed, start_year=last_year - years + 1
    )
    # the first column of that grid lies in the Atlantic
    ocean = ocean.roll(lon=30, roll_coords=True)
    lat, lon = np.meshgrid(ocean["lat"], ocean["lon"], indexing="ij")
    surface = ("nlat", "nlon")
    depth = {"units": "centimeters", "long_name": "depth from surface to midpoint of layer",
             "positive": "down"}  # fmt: skip
    values = ocean["thetao"].transpose("time", "depth", "lat", "lon").values[None]
    run = xr.Dataset(
        {
            "TEMP": (("member_id", "time", "z_t", *surface), values,
                     {"long_name": "Potential Temperature", "units": "degC"}),
        },
        coords={
            "member_id": ["r1i1001p1f1"],
            "time": ocean["time"],
            "z_t": ("z_t", 100.0 * ocean["depth"].values, depth),
        },
    )  # fmt: skip
    store = folder / "cesm2LE-historical-cmip6-TEMP.zarr"
    run.chunk(time=60).to_zarr(store, mode="w", zarr_format=2, consolidated=True)
    area = np.cos(np.deg2rad(lat))
    grid = xr.Dataset(
        coords={
            "TLAT": (surface, lat, {"units": "degrees_north"}),
            "TLONG": (surface, lon, {"units": "degrees_east"}),
            "TAREA": (surface, 1e15 * area, {"units": "centimeter^2"}),
        }
    )
    grid.to_zarr(folder / "grid.zarr", mode="w", zarr_format=2, consolidated=True)


def write_argo(folder: Path, rows: pd.DataFrame) -> None:
    """Multi-profile files, one a month where the archive has one a day: in situ, by pressure."""
    folder.mkdir(parents=True, exist_ok=True)
    for _, part in rows.groupby(rows["time"].dt.floor("30D")):
        ds, level, profile = _profiles(part)
        potential, lat = ds["value"].values, ds["latitude"].values[:, None]
        pressure = gsw.p_from_z(-ds["depth"].values, lat)
        salinity = ds["so"].where(np.isfinite(ds["value"])).values
        absolute = gsw.SA_from_SP(salinity, pressure, ds["longitude"].values[:, None], lat)
        in_situ = gsw.t_from_CT(absolute, gsw.CT_from_pt(absolute, potential), pressure)
        out = _positions(ds, profile)
        out["DATA_MODE"] = profile, np.full(ds.sizes["profile"], b"D")
        out["DATA_TYPE"] = ("STRING16", list("Argo profile    "))
        for name, values, unit, error in (
            ("PRES", pressure, "decibar", 2.4),
            ("TEMP", in_situ, "degree_Celsius", 0.002),
            ("PSAL", salinity, "psu", 0.01),
        ):
            for suffix in ("", "_ADJUSTED"):
                out[name + suffix] = level, _filled(values), {"units": unit}
                out[f"{name}{suffix}_QC"] = level, _letters(values)
            out[f"{name}_ADJUSTED_ERROR"] = level, _filled(values * 0 + error), {"units": unit}
        _save(out, folder / f"{part['time'].min():%Y%m%d}_prof.nc")


def write_en4(folder: Path, year: int, rows: pd.DataFrame) -> None:
    """A zip archive of a year with a file for each month: potential temperature by depth."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"EN.4.2.2.profiles.g10.{year}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for month, part in rows.groupby(rows["time"].dt.month):
            ds, level, profile = _profiles(part)
            values, depth = ds["value"].values, ds["depth"].values
            out = _positions(ds, profile)
            unit = {"units": "degree_Celsius"}
            out["POTM_CORRECTED"] = level, _filled(values), unit
            out["POTM_CORRECTED_QC"] = level, _letters(values)
            out["PROFILE_POTM_QC"] = profile, np.full(ds.sizes["profile"], b"1")
            out["DEPH_CORRECTED"] = level, _filled(depth), {"units": "metre"}
            out["DEPH_CORRECTED_QC"] = level, _letters(depth)
            name = f"EN.4.2.2.f.profiles.g10.{year}{month:02d}.nc"
            _save(out, folder / name)
            packed.write(folder / name, name)
            (folder / name).unlink()


def _profiles(rows: pd.DataFrame) -> tuple[xr.Dataset, tuple[str, str], str]:
    """Rows as a matrix of profiles by levels, and the names of its dimensions."""
    rows = rows.assign(level=rows.groupby("profile").cumcount())
    first = rows.groupby("profile").first()
    matrix = rows.set_index(["profile", "level"])[["value", "so", "depth"]].to_xarray()
    columns = first[["time", "latitude", "longitude", "platform"]]
    return matrix.merge(columns.to_xarray()), ("N_PROF", "N_LEVELS"), "N_PROF"


def _positions(ds: xr.Dataset, profile: str) -> dict:
    """Where and when, with the names that both archives use."""
    days = (ds["time"].values - EPOCH) / np.timedelta64(1, "D")
    good = np.full(ds.sizes["profile"], b"1")
    numbers = [f"{1900000 + abs(hash_of(name)):<8d}"[:8] for name in ds["platform"].values]
    return {
        "PLATFORM_NUMBER": ((profile, "STRING8"), np.array([list(n) for n in numbers], "S1")),
        "CYCLE_NUMBER": (profile, np.arange(ds.sizes["profile"], dtype="i4")),
        "JULD": (profile, days, {"units": "days since 1950-01-01 00:00:00 utc"}),
        "JULD_QC": (profile, good),
        "LATITUDE": (profile, ds["latitude"].values, {"units": "degrees_north"}),
        "LONGITUDE": (profile, ds["longitude"].values, {"units": "degrees_east"}),
        "POSITION_QC": (profile, good),
    }


def hash_of(name: str) -> int:
    """Return a number of at most five digits from the name of a platform, e.g. 'float 12'."""
    kind, _, number = name.rpartition(" ")
    return 1000 * (sum(map(ord, kind)) % 90) + int(number)


def _filled(values: np.ndarray) -> np.ndarray:
    """Single precision, with the fill where there is nothing."""
    return np.where(np.isfinite(values), values, FILL).astype(np.float32)


def _letters(values: np.ndarray) -> np.ndarray:
    """Flags of quality: 1 for good, a blank where there is nothing."""
    return np.where(np.isfinite(values), b"1", b" ").astype("S1")


def _save(variables: dict, path: Path) -> None:
    """Write as netCDF 3, like the archives, with declared fills."""
    ds = xr.Dataset(variables)
    floats = [name for name, values in ds.data_vars.items() if values.dtype == np.float32]
    encoding = {name: {"_FillValue": FILL} for name in floats}
    ds.to_netcdf(path, format="NETCDF3_CLASSIC", encoding=encoding)
