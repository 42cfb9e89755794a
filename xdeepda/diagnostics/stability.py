"""Static stability: whether heavier water lies above lighter.

Knows xarray, numpy and gsw.
"""

from __future__ import annotations

import logging

import xarray as xr

from xdeepda.diagnostics import water
from xdeepda.diagnostics.fields import Field, finished, look, tell_of_spread
from xdeepda.errors import Problems
from xdeepda.observations.quantities import SALINITY, TEMPERATURE, kind_of

logger = logging.getLogger("xdeepda")

#: Inversions that are told: kg m-3, and K where there is no salinity.
TOLERANCE = {"density": 0.01, "temperature": 0.1}


def static_stability(
    ds: xr.Dataset | xr.DataArray,
    var: str | None = None,
    *,
    tolerance: float | None = None,
    temperature: str | None = None,
    salinity: str | None = None,
) -> xr.Dataset:
    """Inversions: where heavier water lies above lighter.

    Neighbouring levels are compared at the pressure between them, so that compression
    does not enter.  Without salinity only temperature can be compared, which is told:
    warm water below cold is usual where salt holds it, as in polar seas.

    Parameters
    ----------
    ds : Dataset or DataArray
        With temperature on depth levels.
    var, salinity : str, optional
        Names of the two, where there are several.
    tolerance : float, optional
        Smallest inversion that counts: 0.01 kg m-3, or 0.1 K without salinity.
    temperature : {"potential", "conservative", "in-situ"}, optional
        Where neither the standard name nor the name says it.

    Returns
    -------
    Dataset
        ``inversions``, the number of pairs of levels in each column, and
        ``largest_inversion``, in kg m-3 (or K), 0 where there is none; with the
        dimensions of the temperature but depth.  Missing where the column has less than
        two levels.

    Raises
    ------
    InputError
        No depth axis or temperature; a salinity that is asked for and not there.

    Examples
    --------
    >>> analysis.deepda.static_stability()["inversions"].mean()  # doctest: +SKIP
    """
    problems = Problems("static_stability")
    field = look(ds, var, problems, kind=TEMPERATURE, needs=("depth",))
    if tolerance is not None and not tolerance >= 0:
        problems.add("tolerance= is negative", found=repr(tolerance))
    salt = kind = None
    if field is not None:
        if salinity is not None or _has_salinity(field):
            kind = water.temperature_kind(field, temperature, problems)
            salt = water.salinity_of(field, salinity, problems)
        if field.grid.depth is not None and field.grid.depth.size < 2:
            problems.add("one level is no profile")
    problems.raise_if_any()
    assert field is not None  # told above
    word, unit = ("density", "kg m-3") if salt is not None else ("temperature", "K")
    if salt is None:
        logger.warning("no salinity: inversions are those of temperature, usual in polar seas")
    limit = TOLERANCE[word] if tolerance is None else tolerance
    excess = _warmer_below(field) if kind is None else _lighter_below(field, kind, salt)
    known = excess.notnull()
    count = (excess > limit).sum("depth").where(known.any("depth"))
    largest = excess.where(known).max("depth").clip(min=0.0)
    note = tell_of_spread(field)
    words = f"inversions of {word} of more than {limit:g} {unit}"
    return xr.Dataset(
        {
            "inversions": finished(
                count, field, name="inversions", unit="1", long_name=f"number of {words}"
            ),
            "largest_inversion": finished(
                largest, field, name="largest", unit=unit, long_name=f"largest inversion of {word}"
            ),
        },
        attrs=note,
    )


def _has_salinity(field: Field) -> bool:
    """Whether there is a salinity beside a temperature."""
    if isinstance(field.original, xr.DataArray):
        return False
    names = {
        str(n): str(da.attrs.get("standard_name", "")) for n, da in field.original.data_vars.items()
    }
    return any(kind_of(n, standard) == SALINITY for n, standard in names.items())


def _pairs(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Values of the upper and the lower of neighbouring levels, by position."""
    bare = values.drop_vars("depth")
    return bare.isel(depth=slice(0, -1)), bare.isel(depth=slice(1, None))


def _warmer_below(field: Field) -> xr.DataArray:
    """Lower less upper temperature, K."""
    upper, lower = _pairs(field.in_unit("degC"))
    return lower - upper


def _lighter_below(field: Field, kind: str, salt: Field | None) -> xr.DataArray:
    """Upper less lower density at the pressure between, kg m-3."""
    pressure = water.pressure_of(field)
    absolute = water.absolute_salinity(salt, pressure)
    celsius = water.conservative_temperature(field, kind, absolute, pressure)
    if not isinstance(absolute, xr.DataArray):
        raise AssertionError("salinity was asked for")
    first, second = _pairs(pressure)
    middle = (first + second) / 2
    (s_up, s_down), (t_up, t_down) = _pairs(absolute), _pairs(celsius)
    return water.density(s_up, t_up, middle) - water.density(s_down, t_down, middle)
