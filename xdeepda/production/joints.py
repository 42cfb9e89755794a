"""Joints of streams: how far two estimates of the same cycle are apart, against their error.

The end of the spin-up of a stream and the last analysis of its predecessor are of the same
cycle and the same observations, from different starts.  What they differ by is what the
spin-up has left.  Knows fields and files.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.errors import InputError, StoreError
from xdeepda.production.restart import read_arrays

if TYPE_CHECKING:
    from xdeepda.production.worker import Plan

logger = logging.getLogger("xdeepda")

#: A difference of this part of the error is a quarter of its variance: told as a warning.
_LARGE = 0.5
#: Name of the attribute.
ATTRIBUTE = "joints"


def joints(ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """Compare the streams of an analysis at their joints.

    Parameters
    ----------
    ds : Dataset
        Analysis that :func:`xdeepda.assimilate` made with ``streams=``.

    Returns
    -------
    xarray.Dataset
        Along ``joint``, and the levels where there are any: ``<var>_difference``, root mean
        square over the sea (by area) of the analysis at the end of the spin-up of a stream
        minus that of the stream before it in the same cycle; ``<var>_spread``, root mean
        square of the analysis error that this predicts; and ``<var>_ratio`` of both.
        ``time`` (text) is the middle of the cycle.  NaN where the streams have no cycle in
        common.

    Raises
    ------
    InputError
        If `ds` was not made of streams.

    Notes
    -----
    Both estimates see the same observations from the first cycle of the spin-up on, hence the
    difference is what is left of the different starts, and goes to 0 with a longer spin-up.
    A ratio of 0.5 adds a quarter to the error variance there.

    Examples
    --------
    >>> ds = xr.Dataset(attrs={"joints": '{"time": ["2000-01-16"], "thetao": '
    ...     '{"units": "K", "difference": [[0.1]], "spread": [[0.4]]}}'})
    >>> joints(ds).thetao_ratio.item()
    0.25
    """
    if ATTRIBUTE not in ds.attrs:
        raise InputError(
            "joints: this is no analysis that was made of streams; what to do: "
            "assimilate(..., streams=4, spinup='1Y', store='analysis.zarr')"
        )
    told = json.loads(ds.attrs[ATTRIBUTE])
    time, levels = told.pop("time"), told.pop("levels", None)
    out = xr.Dataset(coords={"time": ("joint", np.array(time, dtype=str))})
    for name, found in told.items():
        for part in ("difference", "spread"):
            # without a value: None
            values = np.array(found[part], dtype=float).reshape(len(time), -1)
            dims = ("joint", levels["name"]) if levels else ("joint",)
            da = xr.DataArray(values if levels else values[:, 0], dims=dims)
            out[f"{name}_{part}"] = da.assign_attrs(units=found["units"])
        ratio = out[f"{name}_difference"] / out[f"{name}_spread"]
        out[f"{name}_ratio"] = ratio.assign_attrs(units="1")
    if levels:
        axis = (levels["name"], np.array(levels["values"]), levels["attrs"])
        out = out.assign_coords({levels["name"]: axis})
    return out


def compare(plan: Plan) -> dict[str, Any]:
    """Compare all streams at their joints, from what they have kept.

    Returns
    -------
    dict
        Plain: what :func:`joints` reads.

    Raises
    ------
    StoreError
        If a file cannot be read.
    """
    labels = plan.labels
    model, source = labels.model, labels.source
    ends = plan.inputs.wanted[[stream.start - 1 for stream in plan.streams[1:]]]
    out: dict[str, Any] = {"time": [str(t) for t in model.cycle.middle(ends, labels.calendar)]}
    depth = source.layout.axes.depth
    if depth is not None:
        coord = source.layout.coords["depth"]
        values = coord.values[source.layout.order["depth"]]
        attrs = {k: str(v) for k, v in coord.attrs.items()}
        out["levels"] = {"name": depth, "values": values.tolist(), "attrs": attrs}
    pairs = [_pair(plan, stream.number) for stream in plan.streams[1:]]
    for v, name in enumerate(source.variables):
        found = [None if p is None else _compare(p, v, plan) for p in pairs]
        unit = unit_tools.difference_unit(source.units[v])
        nothing = [None] * model.wet.shape[1]
        out[name] = {
            "units": unit,
            "difference": [nothing if f is None else f[0] for f in found],
            "spread": [nothing if f is None else f[1] for f in found],
        }
        _tell(name, unit, out["time"], found)
    return out


def _pair(plan: Plan, number: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]] | None:
    """Fields before and after the joint at the begin of a stream, None where it has none."""
    if plan.streams[number].joint is None:
        return None
    read = []
    for stream, name in ((number - 1, "before"), (number, "after")):
        path = plan.folder(stream) / f"{name}.safetensors"
        found = read_arrays(path)
        if found is None:
            raise StoreError(
                f"assimilate: {path} cannot be read; remove {plan.store} to start anew"
            )
        read.append(found[0])
    return read[0], read[1]


def _compare(
    pair: tuple[dict[str, np.ndarray], dict[str, np.ndarray]], v: int, plan: Plan
) -> tuple[list[float | None], list[float | None]]:
    """Difference and spread of one variable by level, in the user's units."""
    model, source = plan.labels.model, plan.labels.source
    before, after = pair
    weight = np.where(model.wet[v], model.grid.area, 0.0)

    def by_level(squares: np.ndarray) -> list[float | None]:
        total = weight.sum(axis=(1, 2))
        sums = (np.where(model.wet[v], squares, 0) * weight).sum(axis=(1, 2))
        mean = np.divide(sums, total, out=np.full(total.shape, np.nan), where=total > 0)
        own = unit_tools.convert_difference(np.sqrt(mean), model.units[v], source.units[v])
        return [float(x) if np.isfinite(x) else None for x in own]

    difference = after["mean"][v].astype(np.float64) - before["mean"][v]
    return by_level(difference**2), by_level(before["spread"][v].astype(np.float64) ** 2)


def _tell(name: str, unit: str, times: list[str], found: list[Any]) -> None:
    """Say in the log how large the differences are."""
    for number, (time, pair) in enumerate(zip(times, found, strict=True), 1):
        if pair is None:
            logger.info("assimilate: streams %d and %d have no cycle in common", number - 1, number)
            continue
        difference, spread = (np.array(x, dtype=float) for x in pair)
        ratio = difference / spread
        worst = int(np.nanargmax(ratio))
        logger.log(
            logging.WARNING if ratio[worst] > _LARGE else logging.INFO,
            "assimilate: at the joint of streams %d and %d (%s) %s differs by up to %.2g of the "
            "analysis error, in level %d (%.2g of %.2g %s); joints(analysis) tells all%s",
            number - 1, number, time, name, ratio[worst], worst, difference[worst], spread[worst],
            unit, ". A longer spin-up makes it less" if ratio[worst] > _LARGE else "",
        )  # fmt: skip


def attach_joints(store: Path, found: dict[str, Any]) -> None:
    """Write the comparison to the attributes of a store.

    Raises
    ------
    StoreError
        If the store refuses.
    """
    import zarr

    try:
        group = zarr.open_group(store, mode="r+")
        group.attrs[ATTRIBUTE] = json.dumps(found)
    except OSError as error:
        raise StoreError(
            f"assimilate: the attributes of {store} cannot be written: {error}"
        ) from None
