"""Statistics with labels, intervals and attributes.

From sums to a Dataset: which statistics there are, over which levels, regions, bands and
parts of time.  Knows sums and labels; no fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.verification.calibration import flatness
from xdeepda.verification.groups import Groups, Parts
from xdeepda.verification.resampling import FEWEST, block_sums, interval, resampled
from xdeepda.verification.statistics import BETTER, Statistic, available, evaluate
from xdeepda.verification.sums import Sums

#: Order of the axes before the user's.
_ORDER = ("part", "depth", "region", "latitude")

_HISTOGRAMS = {
    "pit": ("pit", "probability integral transform of the reference"),
    "rank": ("rank", "rank of the reference among the members"),
}


@dataclass(frozen=True)
class Frame:
    """What a result is labelled with.

    Attributes
    ----------
    by : tuple of str
    groups : Groups
    depth : numpy.ndarray or None
        Metres, where statistics are by depth.
    unit : str
        Of the variable.
    level : float
        Coverage of the intervals.
    draws, seed : int
    means : bool
        Whether means over a group are statistics, too: of fields.
    """

    by: tuple[str, ...]
    groups: Groups
    depth: np.ndarray | None
    unit: str
    level: float
    draws: int
    seed: int
    means: bool


def labelled(sums: Sums, parts: Parts, frame: Frame) -> xr.Dataset:
    """Statistics as a Dataset.

    Parameters
    ----------
    sums : Sums
    parts : Parts
        Of time.
    frame : Frame

    Returns
    -------
    xarray.Dataset
        On the dimensions that ``frame.by`` names, in that order.
    """
    sums = sums if frame.depth is not None else sums.column()
    values = sums.with_means() if frame.means else dict(sums.values)
    found = _statistics(values, sums.block, parts, frame)
    variables = {name: _variable(v, frame, parts) for name, v in found.items()}
    out = xr.Dataset(variables)
    for statistic in available(values):
        _describe(out, statistic, frame)
    out = _with_histograms(out, sums, parts, frame)
    return _with_coordinates(out, parts, frame)


def _statistics(
    values: dict[str, np.ndarray], block: np.ndarray, parts: Parts, frame: Frame
) -> dict[str, np.ndarray]:
    """Values and ends of intervals; shape (part, level, group)."""
    names = list(values)
    stack = np.stack([values[name] for name in names], axis=1)
    wanted = available(values)
    kept: dict[str, list[np.ndarray]] = {}
    for held in parts.held:
        total = dict(zip(names, stack[held].sum(axis=0), strict=True))
        row = {s.name: evaluate(s, total) for s in wanted}
        if parts.name != "time":
            row |= _intervals(stack[held], block[held], names, wanted, frame)
        for name, value in row.items():
            kept.setdefault(name, []).append(value)
    order = [n for s in wanted for n in (s.name, f"{s.name}_low", f"{s.name}_high")]
    return {n: np.stack(kept[n]) for n in order if n in kept}


def _intervals(
    stack: np.ndarray,
    block: np.ndarray,
    names: list[str],
    wanted: list[Statistic],
    frame: Frame,
) -> dict[str, np.ndarray]:
    """Ends of the confidence intervals; NaN where there are too few blocks."""
    shape = stack.shape[2:]
    sharp = [s for s in wanted if s.interval]
    out = {f"{s.name}_{end}": np.full(shape, np.nan) for s in sharp for end in ("low", "high")}
    if not len(stack) or np.unique(block).size < FEWEST:
        return out
    sums = block_sums(stack, block)
    for k in range(shape[0]):
        drawn = resampled(sums[:, :, k], draws=frame.draws, seed=frame.seed)
        total = {name: drawn[:, n] for n, name in enumerate(names)}
        for s in sharp:
            low, high = interval(evaluate(s, total), frame.level)
            out[f"{s.name}_low"][k], out[f"{s.name}_high"][k] = low, high
    return out


def _variable(values: np.ndarray, frame: Frame, parts: Parts) -> tuple[tuple[str, ...], Any]:
    """Split (part, level, group, ...) into the axes that are asked for."""
    regions, bands = frame.groups.shape
    tail = values.shape[3:]
    full = values.reshape(values.shape[0], values.shape[1], regions, bands, *tail)
    asked = [
        parts.name is not None,
        frame.depth is not None,
        "region" in frame.by,
        "latitude" in frame.by,
    ]
    full = full[tuple(slice(None) if a else 0 for a in asked)]
    dims = [str(parts.name) if d == "part" else d for d, a in zip(_ORDER, asked, strict=True) if a]
    return (*dims, *[f"extra{n}" for n in range(len(tail))]), full


def _describe(out: xr.Dataset, statistic: Statistic, frame: Frame) -> None:
    """Words, units and orientation of a statistic and its interval."""
    kinds = {"value": unit_tools.difference_unit(frame.unit), "1": "1"}
    unit = kinds.get(statistic.unit, f"({kinds['value']})2")
    attrs = {"long_name": statistic.words, "units": unit}
    if statistic.better:
        attrs["comment"] = BETTER[statistic.better]
    out[statistic.name].attrs = attrs
    for end, words in (("low", "lower"), ("high", "upper")):
        name = f"{statistic.name}_{end}"
        if name in out:
            told = f"{statistic.words}: {words} end of the {frame.level:.0%} interval"
            out[name].attrs = {"long_name": told, "units": unit}
    if f"{statistic.name}_low" in out:
        ends = f"{statistic.name}_low {statistic.name}_high"
        out[statistic.name].attrs["ancillary_variables"] = ends


# ---- histograms


def _with_histograms(out: xr.Dataset, sums: Sums, parts: Parts, frame: Frame) -> xr.Dataset:
    """Histograms as shares of the weights, their deviation from flat, and reliability."""
    for kind, (dim, words) in _HISTOGRAMS.items():
        if kind in sums.histograms:
            out = _with_histogram(out, sums.histograms[kind], dim, words, parts, frame)
    if "reliability:w" not in sums.histograms:
        return out
    w, v, e = (np.moveaxis(sums.histograms[f"reliability:{x}"], 1, -1) for x in "wve")
    square = f"({unit_tools.difference_unit(frame.unit)})2"
    with np.errstate(invalid="ignore", divide="ignore"):
        made = {
            "reliability_predicted": (v / w, "mean variance that is predicted", square),
            "reliability_observed": (e / w, "mean square error that came", square),
            "reliability_share": (w / w.sum(axis=-1, keepdims=True), "share of the bin", "1"),
        }
    for name, (values, words, unit) in made.items():
        dims, full = _variable(values, frame, parts)
        attrs = {"long_name": f"{words}, in bins of the predicted variance", "units": unit}
        out[name] = ((*dims[:-1], "bin"), full, attrs)
    return out.assign_coords(bin=("bin", np.arange(w.shape[-1]), {
        "long_name": "bin of the predicted variance, from the smallest"}))  # fmt: skip


def _with_histogram(
    out: xr.Dataset, counted: np.ndarray, dim: str, words: str, parts: Parts, frame: Frame
) -> xr.Dataset:
    """One histogram."""
    moved = np.moveaxis(counted, 1, -1)
    bins = moved.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = moved / moved.sum(axis=-1, keepdims=True)
    flat = [flatness(c).deviation for c in moved.reshape(-1, bins)]
    deviation = np.array(flat).reshape(moved.shape[:-1])
    dims, full = _variable(share, frame, parts)
    out[f"{dim}_histogram"] = ((*dims[:-1], dim), full, {
        "long_name": f"{words}: share of the samples", "units": "1",
        "comment": f"1/{bins} everywhere is perfect"})  # fmt: skip
    out[f"{dim}_deviation"] = _variable(deviation, frame, parts)
    out[f"{dim}_deviation"].attrs = {
        "long_name": f"{words}: mean relative deviation of the histogram from flat",
        "units": "1", "comment": BETTER["smaller"]}  # fmt: skip
    centres = np.arange(bins) if dim == "rank" else (np.arange(bins) + 0.5) / bins
    return out.assign_coords({dim: (dim, centres, {"long_name": words})})


def _with_coordinates(out: xr.Dataset, parts: Parts, frame: Frame) -> xr.Dataset:
    """Coordinates of the groups, in the user's order of dimensions."""
    coords: dict[str, Any] = {}
    if parts.name is not None:
        coords[parts.name] = (parts.name, parts.labels)
    if frame.depth is not None:
        attrs = {"units": "m", "positive": "down", "axis": "Z", "standard_name": "depth"}
        coords["depth"] = ("depth", frame.depth, attrs)
    if "region" in frame.by:
        coords["region"] = ("region", np.array(frame.groups.regions.names, dtype=object))
    if frame.groups.bands is not None:
        edges = frame.groups.bands
        attrs = {"units": "degrees_north", "long_name": "middle of the band of latitude"}
        coords["latitude"] = ("latitude", (edges[1:] + edges[:-1]) / 2, attrs)
        coords["latitude_south"] = ("latitude", edges[:-1], {"units": "degrees_north"})
        coords["latitude_north"] = ("latitude", edges[1:], {"units": "degrees_north"})
    out = out.assign_coords(coords)
    asked = [d for d in frame.by if d in out.dims]
    return out.transpose(*asked, ...)
