"""The verb ``initial_conditions``: conducts the steps; calculates nothing itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import xarray as xr

from xdeepda.conditions.labels import labelled
from xdeepda.conditions.request import Wishes, understand
from xdeepda.conditions.states import States

logger = logging.getLogger("xdeepda")


def initial_conditions(
    analysis: xr.Dataset | xr.DataArray,
    *,
    like: xr.Dataset | xr.DataArray,
    time: Any = None,
    var: str | Sequence[str] | None = None,
    members: bool | None = None,
    beyond: str = "refuse",
    stabilise: bool | None = None,
    tolerance: float = 1e-3,
    temperature: str | None = None,
    fill_land: bool = False,
) -> xr.Dataset:
    """Full-field state of an analysis on the grid of a model that is to start from it.

    Land of the analysis is flooded from its sea, level by level and smoothly, so that
    nothing of the land is mixed in; then it is interpolated linearly in all directions, or
    averaged where the target is coarser.  Columns that are unstable afterwards are mixed.

    Parameters
    ----------
    analysis : Dataset or DataArray
        From :func:`xdeepda.assimilate`, or any state with latitude and longitude axes.
    like : Dataset or DataArray
        The target: regular axes of the same kinds, in any order, direction and unit, and a
        field that is NaN on land, or a mask of True (sea) and False.  Of a field along
        time the first one counts.
    time : str, time, slice or list of these, optional
        ``"1997-12"`` takes all that is within this month; where nothing is within a date,
        the nearest.  By default the last.
    var : str or list of str, optional
        By default all that were analysed.
    members : bool, optional
        True: each member, which must be there; False: their mean.  By default what the
        analysis holds.
    beyond : {"refuse", "nearest"}
        What becomes of sea of the target that the analysis does not reach: levels below
        its deepest one, and places outside of its domain.  "nearest" continues the deepest
        level downwards and fills places smoothly from the border, and says how many.
    stabilise : bool, optional
        Mix unstable columns; by default where there is temperature and salinity.
    tolerance : float
        Inversions of density up to so much are left, kg m-3.
    temperature : {"potential", "conservative", "in-situ"}, optional
        Where neither the standard name nor the name says it.
    fill_land : bool
        Give land the flooded values, too, for models whose coast differs from that of
        `like`; by default it is missing.

    Returns
    -------
    xarray.Dataset
        Each variable as float32 with the names, order, direction and coordinates of
        `like`, behind (time, member) where there are some, in the unit of the analysis, and
        with CF attributes, without Quantities: ``to_netcdf`` works at once, with time
        unlimited and 1e20 on land.  Attributes count the cells of the sea that have no sea
        of the analysis around them (``cells_without_source``), that lie beyond it
        (``cells_beyond_source``), and that are partly from flooded land;
        ``<var>_source_fraction`` shows where: 1 in the open sea, 0 without source.
        ``mixed_columns``, ``largest_inversion_before`` and ``_after`` (kg m-3), and
        ``largest_change_by_mixing`` of the temperature tell what was mixed;
        ``heat_content_source``, ``_target`` and ``_difference`` (J) compare heat over the
        sea that both grids have.

    Raises
    ------
    InputError
        With all that is wrong: a grid that is not regular, without land or elsewhere;
        levels that are not reached; a time that is not there; members or salinity that
        are asked for and not there; missing units.
    MemoryForeseenError
        If the states would not fit into memory.

    Notes
    -----
    Values of both grids are means over their cells, and cells are full: the floor of the
    sea is a level.  Vertically, straight lines are drawn between values that give the means
    of the levels back, without new extremes.  An analysis is a mean over its cycle, and its
    time the middle of it.

    Examples
    --------
    >>> import xdeepda
    >>> ocean = xdeepda.datasets.idealised_ocean(1, resolution=15.0, levels=3)
    >>> fine = xdeepda.datasets.idealised_ocean(1, resolution=7.5, levels=3, seed=1)
    >>> start = initial_conditions(ocean, like=fine["thetao"], time="0001-06")
    >>> dict(start["thetao"].sizes), start["thetao"].dtype.name
    ({'time': 1, 'depth': 3, 'lat': 19, 'lon': 48}, 'float32')
    """
    wishes = Wishes(time, var, members, beyond, stabilise, tolerance, temperature)
    request = understand(analysis, like, wishes)
    states = States(request)
    for name in request.fields:
        states.fetch(name)
    if request.stabilise:
        states.stabilise()
    if request.temperature is not None:
        states.count_heat()
    out = labelled(states, fill_land=fill_land, call=f"initial_conditions(time={time!r})")
    for key in ("static_stability", "heat_content"):
        if key in out.attrs:
            logger.info("initial_conditions: %s", out.attrs[key])
    return out
