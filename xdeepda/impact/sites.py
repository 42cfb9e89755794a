"""Candidates for observing sites, and the mean that they shall serve, placed on a grid.

Knows grids, seas, units and names; no analysis.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xdeepda import units as unit_tools
from xdeepda.errors import Problems
from xdeepda.model import Model
from xdeepda.observations.cells import combine
from xdeepda.observations.quantities import CANONICAL_UNIT, default_error, kind_of
from xdeepda.training.experiment import Sites
from xdeepda.verification.regions import regions_of

logger = logging.getLogger("xdeepda")

_KEYS = ("lat", "lon", "depth", "var", "error")


def sites_of(candidates: Any, model: Model, problems: Problems) -> dict[str, Sites]:
    """Cells and errors of each candidate.

    Parameters
    ----------
    candidates : mapping of mapping
        See :func:`xdeepda.design`.
    model : Model
    problems : Problems
        Collects what is wrong.
    """
    if not isinstance(candidates, Mapping) or not candidates:
        problems.add("candidates are no mapping", found=repr(candidates)[:200],
                     expected="a dict of name -> dict of lat, lon, depth, ...")  # fmt: skip
        return {}
    found = {}
    for name, given in candidates.items():
        site = _site(str(name), given, model, problems)
        if site is not None:
            found[str(name)] = site
    return found


def _site(name: str, given: Any, model: Model, problems: Problems) -> Sites | None:
    """Cells of one candidate; None with a problem."""
    keys = set(map(str, given)) if isinstance(given, Mapping) else set()
    lacking = [n for n in model.grid.dims if n not in keys]
    if lacking or not keys <= {*_KEYS}:
        problems.add(f"candidate {name!r} is not understood", found=repr(given)[:200],
                     expected=f"a dict with {', '.join(model.grid.dims)}, of {_KEYS}")  # fmt: skip
        return None
    variable = given.get("var", model.variables[0])
    if variable not in model.variables:
        problems.add(f"candidate {name!r} measures no variable of the model", found=repr(variable),
                     expected=f"of {', '.join(model.variables)}")  # fmt: skip
        return None
    try:
        lat, lon = np.broadcast_arrays(*(_numbers(given.get(n, np.nan)) for n in ("lat", "lon")))
        depth = _numbers(given.get("depth", np.nan))
        error = np.broadcast_to(_errors(given.get("error"), variable, depth, model), depth.shape)
    except (TypeError, ValueError) as wrong:
        problems.add(f"candidate {name!r} is not understood", found=str(wrong),
                     expected="lat and lon of columns, depths, and an error by depth")  # fmt: skip
        return None
    if not ((error > 0) & np.isfinite(error)).all():
        problems.add(f"errors of candidate {name!r} are no standard deviations", found=str(error))
        return None
    column, level = (a.ravel() for a in np.indices((lat.size, depth.size)))
    flat = model.grid.locate(depth[level], lat[column], lon[column])
    v = model.variables.index(variable)
    sea = (flat >= 0) & model.wet[v].reshape(-1)[flat.clip(0)]
    if not sea.any():
        problems.add(f"candidate {name!r} lies on land or outside of the grid",
                     found=repr(given)[:200])  # fmt: skip
        return None
    if not sea.all():
        logger.info("design: %d of %d points of candidate %r are on land or outside",
                    int((~sea).sum()), sea.size, name)  # fmt: skip
    cell = v * model.wet[v].size + flat[sea]
    made = combine(cell, np.zeros(cell.size), error[level][sea], column[sea])
    return Sites(made.key, made.error)


def _numbers(value: Any) -> np.ndarray:
    """Numbers of a user, along one axis."""
    out = np.atleast_1d(np.asarray(getattr(value, "values", value), dtype=float))
    if out.ndim != 1:
        raise ValueError(f"an array of shape {out.shape}")
    return out


def _errors(given: Any, variable: str, depth: np.ndarray, model: Model) -> np.ndarray:
    """Standard deviations in the units of the model."""
    if given is not None:
        return _numbers(given)
    standard = model.attributes.get(variable, {}).get("standard_name", "")
    own = model.units[model.variables.index(variable)]
    kind = kind_of(variable, standard, own)
    if kind is None:
        raise ValueError(f"no error, and there is no default for {variable!r}")
    canonical = CANONICAL_UNIT[kind]
    return np.asarray(unit_tools.convert_difference(default_error(kind, depth), canonical, own))


def joined(sites: Sequence[Sites]) -> Sites:
    """Several sites as one; in a cell that several measure their errors are independent."""
    cell = np.concatenate([site.cell for site in sites])
    error = np.concatenate([site.error for site in sites])
    made = combine(cell, np.zeros(cell.size), error, np.arange(cell.size), rho=0.0)
    return Sites(made.key, made.error)


def mean_weights(
    model: Model, region: Any, depths: Any, var: Any, problems: Problems
) -> np.ndarray | None:
    """Weights (C, Y, X) of sum 1 of the mean of a variable over a region; None with a problem."""
    name = model.variables[0] if var is None else var
    if name not in model.variables:
        problems.add(f"the model has no variable {name!r}", expected=f"of {model.variables}")
        return None
    before = len(problems)
    regions = regions_of({"region": region}, problems)
    grid, wet = model.grid, model.wet[model.variables.index(name)]
    levels = np.ones(grid.shape[0], dtype=bool)
    if depths is not None and grid.depth is not None:
        try:
            top, bottom = (float(d) for d in depths)
            levels = (grid.depth >= top) & (grid.depth <= bottom)
        except (TypeError, ValueError):
            problems.add("depths= is no layer", found=repr(depths), expected="(top, bottom) in m")
    if len(problems) > before:
        return None
    _, lat, lon = grid.coordinates(np.arange(wet[0].size))
    inside = regions.membership(lat, lon)[-1].reshape(wet.shape[1:])
    weight = grid.area * inside * wet * (grid.thickness * levels)[:, None, None]
    if not weight.any():
        problems.add("region and depths hold no cell of the sea", found=f"{region!r}, {depths!r}")
        return None
    out = np.zeros(model.wet.shape)
    out[model.variables.index(name)] = weight / weight.sum()
    return out.reshape(-1, *wet.shape[1:])
