"""A reanalysis of 1981 to 2020 from a public control run and public profiles, by one command.

    python examples/reanalysis_1981_2020.py --store reanalysis.zarr --scheduler tcp://ADDRESS:8786 \
        --observations 'en4/EN.4.2.2.profiles.g10.{year}.zip' 'argo/*_ocean/{year}/*/*_prof.nc'

The control run is a member of the CESM2 Large Ensemble, read from its public bucket and averaged to
a regular grid.  Observations are files on disk that the workers see, too; '{year}' in their names
stands for the year.  What is done is kept beside the store, and the same command goes on after an
interruption.  The whole chain at reduced size, on files in the same formats that are made for it,
in about a minute and without a network:

    python examples/reanalysis_1981_2020.py --rehearse
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import xarray as xr
from matplotlib.figure import Figure

import xdeepda

BUCKET = "s3://ncar-cesm2-lens/ocn"
WET = 0.5  # share of a cell that must be sea


def main(argv: list[str] | None = None) -> None:
    """Control run, observations, model, analysis, verification: each is kept when it is done."""
    plan = arguments(argv)
    if plan.rehearse:
        rehearsal(plan)
    work = plan.work or plan.store.with_suffix(".work")
    work.mkdir(parents=True, exist_ok=True)
    with cluster(plan) as client:
        control = control_run(plan, work / "control.zarr")
        cells, withheld = observations(plan, control, work, client)
        model = trained(plan, control, cells, work)
        analysis = control.deepda.assimilate(
            cells, model=model, members=plan.members, store=plan.store, device=plan.device,
            seed=plan.seed, **in_parallel(plan, client),
        )  # fmt: skip
    if plan.streams > 1:
        met = analysis.deepda.joints()[f"{plan.var}_ratio"]
        print(f"where streams meet: at most {float(met.max()):.2f} of the analysis error apart")
    verification(analysis, control, withheld, work)
    print(f"analysis: {plan.store}; model, superobservations and verification: {work}/")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--control",
        default=f"{BUCKET}/monthly/cesm2LE-historical-cmip6-TEMP.zarr",
        help="control run: zarr store (s3:// too) or pattern of netCDF files",
    )
    add("--grid", default=f"{BUCKET}/static/grid.zarr", help="store with TLAT, TLONG and TAREA")
    add("--var", default="TEMP", help="variable of the control run")
    add("--member", type=int, default=0, help="which member of an ensemble")
    add("--train", nargs=2, type=int, default=(1850, 1980), metavar="YEAR", help="training years")
    add("--resolution", type=float, default=2.0, help="cells of the analysis in degrees")
    add("--bottom", type=float, default=1500.0, help="deepest level in metres")
    add("--observations", nargs="+", default=[], help="patterns of files, with {year}")
    add("--years", nargs=2, type=int, default=(1981, 2020), metavar="YEAR", help="to analyse")
    add("--cycle", default="month", choices=("pentad", "month"))
    add("--withhold", type=float, default=0.05, help="share of the platforms to verify with")
    add("--architecture", default="hybrid")
    add("--budget", default="4h", help="time for the training")
    add("--members", type=int, default=10)
    add("--store", type=Path, default=Path("reanalysis.zarr"), help="zarr store of the analysis")
    add("--work", type=Path, help="folder of what is made on the way (beside the store)")
    add("--scheduler", help="address of a Dask scheduler, or 'local' for a cluster of this machine")
    add("--streams", type=int, default=1, help="parts of the period that run side by side")
    add("--spinup", default="2Y", help="overlap of the streams")
    add("--device", help="'cuda', 'cpu', ...")
    add("--seed", type=int, default=0)
    add("--rehearse", action="store_true", help="at reduced size, on files made for it")
    plan = parser.parse_args(argv)
    if not plan.rehearse and not plan.observations:
        parser.error("--observations: where are they?")
    if not float(180 / plan.resolution).is_integer():
        parser.error(f"--resolution: 180 degrees are no multiple of {plan.resolution:g}")
    if plan.streams > 1 and not plan.scheduler:
        print("streams without --scheduler run one after the other")
    return plan


def rehearsal(plan: argparse.Namespace) -> None:
    """Make files in the same formats, and cut the plan to their size."""
    import look_alike

    folder = plan.work or plan.store.with_suffix(".work")
    plan.years, plan.train = (1981, 1982), (1967, 1980)
    if not (folder / "archives" / "grid.zarr").exists():
        look_alike.write(folder / "archives", plan.years, control_years=14)
    plan.control = str(folder / "archives" / "cesm2LE-historical-cmip6-TEMP.zarr")
    plan.grid = str(folder / "archives" / "grid.zarr")
    plan.observations = [
        str(folder / "archives" / "en4" / "EN.4.2.2.profiles.g10.{year}.zip"),
        str(folder / "archives" / "argo" / "{year}" / "*_prof.nc"),
    ]
    plan.resolution, plan.withhold, plan.spinup = 7.2, 0.2, "6M"
    plan.architecture, plan.budget, plan.members = "increment", "5s", 2


@contextlib.contextmanager
def cluster(plan: argparse.Namespace) -> Iterator[Any]:
    """Client of the Dask cluster, or None without one."""
    if not plan.scheduler:
        yield None
        return
    from dask.distributed import Client, LocalCluster

    if plan.scheduler != "local":
        with Client(plan.scheduler) as client:
            yield client
        return
    # one thread each: torch and numpy bring their own
    with LocalCluster(threads_per_worker=1) as here, Client(here) as client:
        yield client


def in_parallel(plan: argparse.Namespace, client: Any) -> dict[str, Any]:
    """Arguments of assimilate for streams and cluster."""
    if plan.streams == 1:
        return {}
    return {"streams": plan.streams, "spinup": plan.spinup, "client": client}


# ---- the control run


def control_run(plan: argparse.Namespace, store: Path) -> xr.Dataset:
    """Control run on the grid of the analysis, made by the first call."""
    if not store.exists():
        run = opened(plan.control)[[plan.var]]
        if "member_id" in run.dims:
            run = run.isel(member_id=plan.member, drop=True)
        run = run.sel(time=slice(*(f"{year:04d}" for year in plan.train)))
        field = above(run[plan.var], plan.bottom)
        if "nlon" in field.dims and "nlon" not in field.coords:
            field = averaged(field, opened(plan.grid), plan.resolution)
        # the archive says what it is in words only
        field.attrs |= {"standard_name": "sea_water_potential_temperature"}
        # the archive is in an older format of zarr, whose encoding does not fit the new one
        whole(field.chunk(time=60).to_dataset().drop_encoding(), store, xr.Dataset.to_zarr)
    control = xr.open_zarr(store)
    print(control.deepda)
    return control


def opened(path: str) -> xr.Dataset:
    """A zarr store, also one of a public bucket, or files."""
    if path.startswith("s3://"):
        return xr.open_zarr(path, storage_options={"anon": True})
    if path.rstrip("/").endswith(".zarr"):
        return xr.open_zarr(path)
    return xr.open_mfdataset(path)


def above(field: xr.DataArray, bottom: float) -> xr.DataArray:
    """Levels down to a depth in metres; those of POP are in centimetres."""
    if "z_t" not in field.coords:
        return field
    metres = 0.01 if str(field["z_t"].attrs.get("units", "")).startswith("c") else 1.0
    return field.isel(z_t=np.flatnonzero(metres * field["z_t"].values <= bottom))


def averaged(field: xr.DataArray, grid: xr.Dataset, resolution: float) -> xr.DataArray:
    """Means over regular cells, by area, of what lies in them; land where most of a cell is land.

    For cells that are larger than those of the model; xESMF does it for any.
    """
    lat = np.arange(-90 + resolution / 2, 90, resolution)
    lon = np.arange(resolution / 2, 360, resolution)
    weights = membership(grid, lat, lon, resolution)

    def means(values: np.ndarray) -> np.ndarray:
        """Average over the last two dimensions."""
        flat = values.reshape(-1, weights.shape[1]).T
        wet = np.isfinite(flat)
        total = weights @ np.where(wet, flat, 0.0)
        area = weights @ wet.astype(float)
        land = area < WET * np.maximum(weights.sum(axis=1), 1e-30)[:, None]
        mean = np.where(land, np.nan, total / np.where(land, 1.0, area))
        return mean.T.reshape(*values.shape[:-2], lat.size, lon.size).astype(values.dtype)

    out = xr.apply_ufunc(
        means, field.chunk(nlat=-1, nlon=-1), input_core_dims=[["nlat", "nlon"]],
        output_core_dims=[["lat", "lon"]], dask="parallelized", output_dtypes=[field.dtype],
        dask_gufunc_kwargs={"output_sizes": {"lat": lat.size, "lon": lon.size}}, keep_attrs=True,
    )  # fmt: skip
    north = ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"})
    east = ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"})
    return out.assign_coords(lat=north, lon=east)


def membership(
    grid: xr.Dataset, lat: np.ndarray, lon: np.ndarray, resolution: float
) -> scipy.sparse.csr_array:
    """Area of each cell of the model in the regular cell that holds its centre."""
    north, east, area = (grid[name].values.ravel() for name in ("TLAT", "TLONG", "TAREA"))
    known = np.flatnonzero(np.isfinite(north) & np.isfinite(east) & np.isfinite(area))
    row = np.clip((north[known] + 90) // resolution, 0, lat.size - 1)
    column = np.clip((east[known] % 360) // resolution, 0, lon.size - 1)
    cell = (row * lon.size + column).astype(int)
    return scipy.sparse.csr_array(
        (area[known], (cell, known)), shape=(lat.size * lon.size, north.size)
    )


# ---- observations


def observations(
    plan: argparse.Namespace, control: xr.Dataset, work: Path, client: Any
) -> tuple[xr.Dataset, list[Path]]:
    """Superobservations of all years, lazily, and the files of what was withheld.

    Year by year: read, controlled, a part withheld, combined by cell and cycle; on the cluster,
    if there is one.
    """
    years = range(plan.years[0], plan.years[1] + 1)
    like = work / "control.zarr"
    calls = [(year, plan.observations, like, plan.cycle, plan.withhold, plan.seed, work)
             for year in years]  # fmt: skip
    if client is None:
        told: Iterable[str] = (one_year(*call) for call in calls)
    else:
        told = client.gather([client.submit(one_year, *call, pure=False) for call in calls])
    for line in told:
        print(line)
    names = sorted(work.glob("cells-*.nc"))
    if not names:
        raise SystemExit(f"no observations in {plan.years[0]}-{plan.years[1]}: {plan.observations}")
    cells = xr.open_mfdataset(names, combine="nested", concat_dim="time", data_vars="minimal",
                              coords="minimal", compat="override", join="override")  # fmt: skip
    return cells, sorted(work.glob("withheld-*.nc"))


def one_year(
    year: int, patterns: list[str], like: Path, cycle: str, share: float, seed: int, work: Path
) -> str:
    """Superobservations and withheld observations of one year, as files; what was done in words."""
    target = work / f"cells-{year}.nc"
    if target.exists():
        return f"{year}: {target} is there"
    files = sorted(name for p in patterns for name in glob.glob(p.format(year=year)))
    if not files:
        return f"{year}: no files"
    xdeepda.set_options(progress=False)
    # one level says what is sea for all times
    control = xr.open_zarr(like).isel(time=slice(0, 12))
    table = xdeepda.open_observations(files, var="thetao", errors="skip")
    table = table.isel(obs=np.flatnonzero(table["time"].dt.year.values == year))
    table = table.deepda.quality_control(like=control)
    kept, withheld = table.deepda.withhold(share, by="platform", seed=seed + year)
    whole(withheld, work / f"withheld-{year}.nc", xr.Dataset.to_netcdf)
    cells = kept.deepda.superob(like=control, cycle=cycle)
    whole(cells, target, xr.Dataset.to_netcdf)
    bad = int((table["qc"] >= 3).sum())
    return (f"{year}: {len(files)} files, {table.sizes['obs']} values, {bad} of them bad or "
            f"double, {withheld.sizes['obs']} withheld")  # fmt: skip


def whole(ds: xr.Dataset, path: Path, write: Callable[[xr.Dataset, Path], Any]) -> None:
    """Write beside and rename: what has its name is complete."""
    part = path.with_name(f"part-{path.name}")
    if part.is_dir():
        shutil.rmtree(part)
    write(ds, part)
    part.rename(path)


# ---- the model


def trained(
    plan: argparse.Namespace, control: xr.Dataset, cells: xr.Dataset, work: Path
) -> xdeepda.Model:
    """Model that was trained with the sampling of these observations."""
    path = work / "model.safetensors"
    if path.exists():
        return xdeepda.load_model(path)
    model = control.deepda.train(
        cells.deepda.network(like=control), var=plan.var, cycle=plan.cycle,
        architecture=plan.architecture, budget=plan.budget, checkpoint=work / "training.pt",
        resume=True, device=plan.device, seed=plan.seed,
    )  # fmt: skip
    model.save(path)
    print(model)
    return model


# ---- is it any good?


def verification(
    analysis: xr.Dataset, control: xr.Dataset, withheld: list[Path], work: Path
) -> None:
    """Compare with the withheld observations; table, statistics and a figure."""
    table = xdeepda.open_observations(withheld)
    scores = analysis.deepda.verify(table, climatology=control)
    whole(scores, work / "verification.nc", xr.Dataset.to_netcdf)
    told = scores.deepda.to_table(["count", "bias", "rmse", "skill_climatology"], intervals=False)
    print(f"\nat the withheld observations\n{told.to_string()}")
    told.to_csv(work / "verification.csv")
    figure = Figure(figsize=(11, 7), layout="constrained")
    (month, errors), (heat, nino) = figure.subplots(2, 2)
    analysis.deepda.plot.map(depth=100, ax=month)
    scores.deepda.plot.by_depth(ax=errors)
    content = analysis.deepda.heat_content(depth=(0, 300), partial=True, total=True)
    (content / 1e21).plot(ax=heat)
    heat.set(title="Heat content of the upper 300 m", ylabel="10²¹ J", xlabel="")
    analysis.deepda.index("nino34").plot(ax=nino)
    nino.set(title="Niño 3.4", ylabel="K", xlabel="")
    figure.savefig(work / "reanalysis.png", dpi=110)


if __name__ == "__main__":
    main()
