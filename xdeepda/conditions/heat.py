"""Heat of the analysis and of the initial state over the sea that both have.

The region is the intersection of the two seas, to the part of a cell: each cell of either
grid counts with the volume of it that is sea on the other grid, too, so that both sums are
over the same water, and their difference is what the interpolation has changed.

Knows grids, arrays and the properties of water.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from xdeepda.conditions.transfer import overlaps
from xdeepda.diagnostics import water
from xdeepda.diagnostics.fields import Field
from xdeepda.diagnostics.heat import DENSITY
from xdeepda.diagnostics.weights import depth_edges
from xdeepda.grid import EARTH_RADIUS, Grid

#: Turns of the globe by which the longitudes of two grids may differ.
_TURNS = (-720.0, -360.0, 0.0, 360.0, 720.0)


class Common:
    """Sea that two grids have in common.

    Parameters
    ----------
    source, target : Grid
        With the same axes, depth among them.
    edges : (numpy.ndarray, numpy.ndarray)
        Edges of the levels of both, in metres.
    seas : (numpy.ndarray, numpy.ndarray)
        Sea of both, shape (nz, ny, nx) of each.

    Attributes
    ----------
    of_source, of_target : numpy.ndarray, shape (nz, ny, nx) of each
        Cubic metres of each cell that lie in the sea of both; the same in sum.
    """

    def __init__(
        self,
        source: Grid,
        target: Grid,
        edges: tuple[np.ndarray, np.ndarray],
        seas: tuple[np.ndarray, np.ndarray],
    ) -> None:
        deep = overlaps(edges[1], edges[0])
        north, east = _rows(source, target), _columns(source, target)
        mine, theirs = (sea.astype(np.float64) for sea in seas)
        self.of_target = theirs * np.einsum("Kk,Jj,Ii,kji->KJI", deep, north, east, mine,
                                            optimize=True)  # fmt: skip
        self.of_source = mine * np.einsum("Kk,Jj,Ii,KJI->kji", deep, north, east, theirs,
                                          optimize=True)  # fmt: skip

    @property
    def volume(self) -> float:
        """Cubic metres."""
        return float(self.of_target.sum())


def _rows(source: Grid, target: Grid) -> np.ndarray:
    """Overlap of rows in m, such that times that of columns it is an area; (target, source)."""
    if target.lat_edges is None or source.lat_edges is None:
        return np.full((1, 1), EARTH_RADIUS * np.deg2rad(1.0))
    sines = (np.sin(np.deg2rad(edges)) for edges in (target.lat_edges, source.lat_edges))
    return EARTH_RADIUS * overlaps(*sines)


def _columns(source: Grid, target: Grid) -> np.ndarray:
    """Overlap of columns at the equator in m, around the globe; (target, source)."""
    if target.lon_edges is None or source.lon_edges is None:
        return np.full((1, 1), EARTH_RADIUS * np.deg2rad(1.0))
    degrees = sum(overlaps(target.lon_edges + turn, source.lon_edges) for turn in _TURNS)
    return EARTH_RADIUS * np.deg2rad(degrees)


def common_sea(source: Field, there: np.ndarray, target: Field, sea: np.ndarray) -> Common:
    """Sea in common of a field of the analysis and of the initial state.

    Parameters
    ----------
    source, target : Field
    there, sea : numpy.ndarray of bool, shape (nz, ny, nx) of each
    """
    edges = depth_edges(source), depth_edges(target)
    return Common(source.grid, target.grid, edges, (there, sea))


def heat_of(field: Field, kind: str, salt: Field | None, volume: np.ndarray) -> xr.DataArray:
    """Heat in J of cells of a volume, relative to 0 degC, with the lead dimensions of a field.

    Parameters
    ----------
    field : Field
        The temperature.
    kind : str
    salt : Field or None
    volume : numpy.ndarray, shape (nz, ny, nx)
        Cubic metres of each cell that count.

    Notes
    -----
    As :func:`xdeepda.heat_content`, with a constant density: one state at a time.
    """
    lead = [d for d in field.values.dims if d in ("member", "time")]
    shape = tuple(field.values.sizes[d] for d in lead)
    pressure, out = water.pressure_of(field), np.empty(shape)
    counts = volume.reshape([field.values.sizes[d] for d in field.grid.dims])
    for place in np.ndindex(*shape):
        state = state_of(field, lead, place)
        salinity = None if salt is None else state_of(salt, lead, place)
        absolute = water.absolute_salinity(salinity, pressure)
        celsius = water.conservative_temperature(state, kind, absolute, pressure)
        # by name: a property of water that varies with latitude alone may come first
        ordered = celsius.transpose(*field.grid.dims).values
        out[place] = water.CP0 * DENSITY * (np.where(counts > 0, ordered, 0.0) * counts).sum()
    return xr.DataArray(out, dims=lead)


def state_of(field: Field, lead: Sequence[str], place: tuple[int, ...]) -> Field:
    """Field at one time, of one member; in memory."""
    chosen = dict(zip(lead, place, strict=True))
    own = {d: n for d, n in chosen.items() if d in field.values.dims}
    return replace(field, values=field.values.isel(own, drop=True).compute())
