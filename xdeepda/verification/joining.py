"""Statistics of several variables and references in one Dataset.

Knows the results of single comparisons; calculates nothing.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from xdeepda.provenance import package_version
from xdeepda.verification.fields import Estimate
from xdeepda.verification.settings import Settings
from xdeepda.verification.table import KIND


def joined(
    found: dict[tuple[str, str], xr.Dataset],
    estimates: list[Estimate],
    references: list[str],
    settings: Settings,
) -> xr.Dataset:
    """Join along ``variable`` and ``reference`` where there are several."""
    rows = []
    for estimate in estimates:
        own = [found[estimate.name, r] for r in references]
        rows.append(along(own, references, "reference"))
    names = [e.name for e in estimates]
    out = along(rows, names, "variable")
    if len(estimates) > 1:
        out = out.assign_coords(variable_units=("variable", [e.unit for e in estimates]))
    else:
        # as an object: strings of fixed width are not stable in zarr
        out = out.assign_coords(variable=((), np.array(names[0], dtype=object)))
    each = [found[names[0], r].attrs for r in references]
    same = {k: v for k, v in each[0].items() if all(a.get(k) == v for a in each)}
    for r, attrs in zip(references, each, strict=True):
        same |= {f"{k}_of_{r}": v for k, v in attrs.items() if k not in same}
    out.attrs = {
        "title": f"verification of the {settings.part}",
        "kind": KIND,
        **same,
        "error": "estimate minus reference",
        "seed": settings.seed,
        "xdeepda_version": package_version(),
    }
    return out


def along(parts: list[xr.Dataset], labels: list[str], dim: str) -> xr.Dataset:
    """Datasets along a new dimension; NaN where one has no such statistic."""
    if len(parts) == 1:
        return parts[0]
    coord = xr.DataArray(np.array(labels, dtype=object), dims=dim, name=dim)
    out = xr.concat(
        parts, dim=coord, join="outer", data_vars="all", coords="minimal", compat="override",
        combine_attrs="override",
    )  # fmt: skip
    for name, da in out.items():
        told = {p[name].attrs.get("units") for p in parts if name in p}
        da.attrs = dict(next(p[name].attrs for p in parts if name in p))
        if len(told) > 1:
            da.attrs["units"] = "of the variable"
    return out
