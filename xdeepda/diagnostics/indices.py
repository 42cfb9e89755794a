"""Indices of climate variability from sea surface temperature.

Definitions and sources are in :data:`INDICES`.  Means over a box are weighted by the
area of the part of each cell that lies in it, so that any grid will do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.diagnostics.fields import finished, tell_of_spread
from xdeepda.diagnostics.series import (
    Series,
    anomalies_of,
    base_of,
    look_along_time,
)
from xdeepda.diagnostics.weights import Box, area_mean, area_weights
from xdeepda.errors import Problems
from xdeepda.observations.quantities import TEMPERATURE

#: m; the first level of a field that may stand for its surface.
SURFACE = 30.0


@dataclass(frozen=True)
class Index:
    """Definition of an index.

    Attributes
    ----------
    boxes : tuple of Box
        Means of anomalies in the boxes; the second is subtracted from the first.
    words, source : str
    months : int
        Running mean, 0 for none.
    mode : bool
        Leading principal component of the first box in place of its mean.
    """

    boxes: tuple[Box, ...]
    words: str
    source: str
    months: int = 0
    mode: bool = False


_NINO34 = Box(-5, 5, 190, 240)
_TRENBERTH = "Trenberth (1997), Bull. Amer. Meteor. Soc. 78, 2771"
_RASMUSSON = "Rasmusson and Carpenter (1982), Mon. Wea. Rev. 110, 354"
#: Nearly all of the sea: where the mean of the globe is taken.
_ICE_FREE = Box(-60, 60, 0, 360)

#: Name -> definition.
INDICES = {
    "nino12": Index((Box(-10, 0, 270, 280),), "Niño 1+2", _RASMUSSON),
    "nino3": Index((Box(-5, 5, 210, 270),), "Niño 3", _RASMUSSON),
    "nino34": Index((_NINO34,), "Niño 3.4", _TRENBERTH),
    "nino4": Index((Box(-5, 5, 160, 210),), "Niño 4", _RASMUSSON),
    "oni": Index(
        (_NINO34,), "Oceanic Niño Index: Niño 3.4, running mean over 3 months",
        "NOAA Climate Prediction Center", months=3,
    ),
    "dmi": Index(
        (Box(-10, 10, 50, 70), Box(-10, 0, 90, 110)),
        "Dipole Mode Index of the Indian Ocean, west less east",
        "Saji, Goswami, Vinayachandran and Yamagata (1999), Nature 401, 360",
    ),
    "amv": Index(
        (Box(0, 60, 280, 360), _ICE_FREE),
        "Atlantic Multidecadal Variability: North Atlantic less 60°S-60°N, not smoothed",
        "Trenberth and Shea (2006), Geophys. Res. Lett. 33, L12704",
    ),
    "pdo": Index(
        (Box(20, 70, 110, 260), _ICE_FREE),
        "Pacific Decadal Oscillation: leading principal component of the North Pacific, "
        "the mean of 60°S-60°N removed",
        "Mantua, Hare, Zhang, Wallace and Francis (1997), Bull. Amer. Meteor. Soc. 78, 1069",
        mode=True,
    ),
}  # fmt: skip
_OTHER_NAMES = {"nino1+2": "nino12", "nino3.4": "nino34", "iod": "dmi", "amo": "amv"}


def index(
    ds: xr.Dataset | xr.DataArray,
    name: str,
    var: str | None = None,
    *,
    base: tuple[Any, Any] | None = None,
    climatology: int | str | None = None,
    cycle: str | None = None,
    partial: bool = False,
) -> xr.DataArray:
    """Index of climate variability: anomalies of surface temperature over boxes.

    ========== ============================================= =================
    Name       Box                                           Unit
    ========== ============================================= =================
    ``nino12`` 10°S-0°, 90°W-80°W                            K
    ``nino3``  5°S-5°N, 150°W-90°W                           K
    ``nino34`` 5°S-5°N, 170°W-120°W                          K
    ``nino4``  5°S-5°N, 160°E-150°W                          K
    ``oni``    as ``nino34``, running mean over 3 months     K
    ``dmi``    10°S-10°N, 50°E-70°E less 10°S-0°, 90°E-110°E K
    ``amv``    0°-60°N, 80°W-0° less 60°S-60°N               K
    ``pdo``    leading mode of 20°N-70°N, 110°E-100°W        standard deviation
    ========== ============================================= =================

    Parameters
    ----------
    ds : Dataset or DataArray
        With temperature along time, latitude and longitude; of depth levels, the first
        is taken.
    name : str
        Of the table; ``"nino1+2"``, ``"nino3.4"``, ``"iod"`` and ``"amo"`` are known, too.
    var : str, optional
        Name of the temperature, where there are several.
    base, climatology, cycle
        Of the climatology that is subtracted, as in :func:`xdeepda.anomalies`.
    partial : bool
        Accept a domain that holds a part of the box only.

    Returns
    -------
    DataArray, float64
        Named as the index, with dimensions time and, where there are members, member.
        Missing where less than half of the sea of the box is known.

    Raises
    ------
    InputError
        An unknown name; a box outside of the domain or without sea; no time axis; a base
        period without data; for ``pdo``, no :mod:`xeofs` (extra ``eof``).

    Notes
    -----
    Anomalies are formed in each cell before they are averaged.  The principal component
    of ``pdo`` is that of the base period's mode, with unit standard deviation there;
    positive where the coast of North America is warm.  Members are projected on the mode
    of their mean.

    Examples
    --------
    >>> analysis.deepda.index("nino34", base=(1991, 2020))  # doctest: +SKIP
    """
    problems = Problems("index")
    definition = _definition(name, problems)
    series = look_along_time(ds, var, problems, cycle=cycle, kind=TEMPERATURE, needs=("lat", "lon"))
    if series is None or definition is None:
        problems.raise_if_any()
    assert series is not None  # told above
    assert definition is not None
    series = _surface(series, problems)
    if definition.months and series.cycle.name == "year":
        problems.add(f"{name!r} needs cycles shorter than its {definition.months} months")
    positions = base_of(series, base, climatology, problems)
    areas = [
        area_weights(series.field, box, problems, partial=partial, what=f"box of {name!r}")
        for box in definition.boxes
    ]
    _check_sea(series, areas, name, problems)
    problems.raise_if_any()

    def mean(area: xr.DataArray | None) -> xr.DataArray:
        assert area is not None  # told above
        inside = _inside(series, area)
        return area_mean(anomalies_of(inside, climatology, positions), _fitting(area, inside))

    if definition.mode:
        from xdeepda.diagnostics.modes import leading_component

        assert areas[0] is not None
        inside = _inside(series, areas[0])
        local = anomalies_of(inside, climatology, positions) - mean(areas[1])
        found = leading_component(local, _fitting(areas[0], inside), positions)
    else:
        found = mean(areas[0]) - mean(areas[1]) if len(areas) > 1 else mean(areas[0])
    found = _running_mean(found, definition.months * series.cycle.per_year / 12)
    return _labelled(found, series, definition, name, base)


def _definition(name: str, problems: Problems) -> Index | None:
    """Definition of an index by one of its names."""
    key = str(name).lower().replace(" ", "").replace("ñ", "n")
    found = INDICES.get(_OTHER_NAMES.get(key, key))
    if found is None:
        problems.add(f"index {name!r} is not known", expected=f"of {list(INDICES)}")
    return found


def _surface(series: Series, problems: Problems) -> Series:
    """First level of a field with depths."""
    depth = series.field.grid.depth
    if depth is None:
        return series
    if depth[0] > SURFACE:
        problems.add(
            "the field does not reach the surface",
            found=f"its first level is at {depth[0]:g} m",
            expected=f"a level above {SURFACE:g} m",
        )
    return series.with_values(series.values.isel(depth=0, drop=True))


def _inside(series: Series, area: xr.DataArray) -> Series:
    """Cells of a box alone: the others need not be read."""
    picks: dict[Any, Any] = {
        d: np.flatnonzero(area.max([o for o in area.dims if o != d]).values > 0) for d in area.dims
    }
    return series.with_values(series.values.isel(picks))


def _fitting(area: xr.DataArray, inside: Series) -> xr.DataArray:
    """Weights of the cells of :func:`_inside`."""
    return area.sel({d: inside.values[d] for d in area.dims})


def _check_sea(
    series: Series, areas: list[xr.DataArray | None], name: str, problems: Problems
) -> None:
    """Refuse a box without sea; looks at the first values only, and at all where they lack."""
    for area in areas:
        if area is None or len(problems):
            continue
        inside = _inside(series, area)
        values, weights = inside.values, _fitting(area, inside)
        first = values.isel({d: 0 for d in ("member", "time") if d in values.dims})
        if not _has_sea(first, weights) and not _has_sea(values, weights):
            problems.add(
                f"there is no sea in the box of {name!r}",
                found=f"missing values alone, on {series.field.grid}",
            )


def _has_sea(values: xr.DataArray, area: xr.DataArray) -> bool:
    """Whether there is a value with a weight."""
    return bool((values.notnull() & (area > 0)).any())


def _running_mean(values: xr.DataArray, length: float) -> xr.DataArray:
    """Centred mean over a number of cycles that need not be whole; the ends are missing."""
    if not length:
        return values
    reach = int(np.ceil((length - 1) / 2))
    steps = np.arange(-reach, reach + 1)
    kernel = np.clip(length / 2 - np.abs(steps) + 0.5, 0, 1)
    window = xr.DataArray(kernel / kernel.sum(), dims="window")
    rolled = values.rolling(time=steps.size, center=True).construct("window")
    return rolled.dot(window, dim="window")


def _labelled(
    found: xr.DataArray, series: Series, definition: Index, name: str, base: Any
) -> xr.DataArray:
    """Names, units and attributes of an index."""
    field = series.field
    unit = "1"
    if not definition.mode:
        unit = unit_tools.difference_unit(field.unit)
    period = "all of the series" if base is None else f"{base[0]} to {base[1]}"
    found = found.assign_coords(time=series.values["time"])
    key = next(key for key, d in INDICES.items() if d is definition)
    return finished(
        found,
        replace(field, values=found),
        name=key,
        unit=unit,
        methods="area: mean",
        long_name=definition.words,
        box=str(definition.boxes[0]) if len(definition.boxes) == 1 or definition.mode else
        " less ".join(map(str, definition.boxes)),
        base_period=period,
        references=definition.source,
        **tell_of_spread(field),
    )  # fmt: skip
