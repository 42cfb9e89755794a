"""What is measured: temperature or salinity, which of their definitions, and how well.

Knows names, standard names and units of the two quantities, the conversion of
in-situ to potential temperature, and the assumed errors of observations that
come without any.  Knows no grid, no time and no table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xdeepda import units as unit_tools
from xdeepda.errors import InputError

TEMPERATURE, SALINITY = "temperature", "salinity"

#: Units in which errors of a kind of quantity are tabulated.
CANONICAL_UNIT = {TEMPERATURE: "K", SALINITY: "psu"}

#: CF standard names that an ocean analysis can use, and their kind.
STANDARD_NAMES = {
    "sea_water_temperature": TEMPERATURE,
    "sea_water_potential_temperature": TEMPERATURE,
    "sea_water_conservative_temperature": TEMPERATURE,
    "sea_surface_temperature": TEMPERATURE,
    "sea_surface_foundation_temperature": TEMPERATURE,
    "sea_surface_subskin_temperature": TEMPERATURE,
    "sea_surface_skin_temperature": TEMPERATURE,
    "surface_temperature": TEMPERATURE,
    "sea_water_salinity": SALINITY,
    "sea_water_practical_salinity": SALINITY,
    "sea_water_absolute_salinity": SALINITY,
    "sea_water_preformed_salinity": SALINITY,
    "sea_surface_salinity": SALINITY,
}

#: Exact names (lower case) that are in use for the two quantities.
_NAMES = {
    TEMPERATURE: {
        *("temperature", "temp", "thetao", "theta", "potemp", "ptemp", "votemper", "tos"),
        *("sst", "pottmp", "bigthetao", "water_temp"),
    },
    SALINITY: {"salinity", "salt", "so", "psal", "sal", "vosaline", "sos", "sss"},
}

#: Depth (m) and standard deviation (K, psu) of the error of a single observation.
_DEFAULT_ERRORS = {
    TEMPERATURE: ((0.0, 150.0, 300.0, 500.0, 1000.0, 2000.0), (0.5, 0.5, 0.35, 0.22, 0.1, 0.05)),
    SALINITY: ((0.0, 150.0, 300.0, 500.0, 1000.0, 2000.0), (0.15, 0.1, 0.06, 0.04, 0.02, 0.01)),
}


def kind_of(name: str, standard_name: str = "", unit: str | None = None) -> str | None:
    """Kind of a quantity by its standard name, else its exact name, else its unit.

    Parameters
    ----------
    name : str
        Name of the variable; case does not matter.
    standard_name : str, optional
        CF standard name.
    unit : str, optional
        A unit of temperature says temperature, ``psu`` says salinity.

    Returns
    -------
    {"temperature", "salinity"} or None

    Examples
    --------
    >>> kind_of("thetao")
    'temperature'
    >>> kind_of("oxygen") is None
    True
    """
    if standard_name in STANDARD_NAMES:
        return STANDARD_NAMES[standard_name]
    if standard_name:  # something else, whatever its name: the temperature of the air
        return None
    if name.lower() in STANDARD_NAMES:
        return STANDARD_NAMES[name.lower()]
    for kind, names in _NAMES.items():
        if name.lower() in names:
            return kind
    if not unit:
        return None
    try:
        if unit_tools.same_dimension(unit, "K"):
            return TEMPERATURE
        return SALINITY if unit_tools.parse(unit) == unit_tools.parse("psu") else None
    except InputError:
        return None


def default_error(variable: str, depth: Any) -> np.ndarray:
    """Assumed standard deviation of the error of one observation without any.

    Instrument and representativeness together; the latter, what a single
    profile says of eddies and internal waves that a model of 1 to 4 degrees
    does not resolve, is by far the larger (Oke and Sakov 2008, J. Atmos.
    Oceanic Technol. 25, 1004, find it as large as the measurement error or
    larger).  The shape follows the hydrographic variability of Forget and
    Wunsch (2007, J. Phys. Oceanogr. 37, 1997): large in the mixed layer and the
    thermocline, a tenth of that below 1,000 m.  The numbers are round: 0.5 K
    down to 150 m, 0.35 K at 300 m, 0.22 K at 500 m, 0.1 K at 1,000 m and 0.05 K
    from 2,000 m on; 0.15, 0.1 (150 m), 0.04 (500 m), 0.02 (1,000 m) and
    0.01 psu likewise; linear in between.  They are global means: western
    boundary currents ask for two or three times as much.

    Parameters
    ----------
    variable : str
        "temperature" or "salinity", or a name that :func:`kind_of` knows.
    depth : array-like
        Metres, positive down; NaN (no depth) counts as the surface.

    Returns
    -------
    numpy.ndarray of float64
        In kelvin or practical salinity units, in the shape of `depth`.

    Raises
    ------
    InputError
        If there is no default for the variable.

    Examples
    --------
    >>> default_error("temperature", [0.0, 750.0, 5000.0])
    array([0.5 , 0.16, 0.05])
    """
    kind = variable if variable in _DEFAULT_ERRORS else kind_of(variable)
    if kind is None:
        raise InputError(
            f"there is no default error for variable {variable!r}; give its observations an error"
        )
    nodes, errors = _DEFAULT_ERRORS[kind]
    return np.interp(np.nan_to_num(np.asarray(depth, dtype=float)), nodes, errors)


#: Content of the column ``error_kind`` where an error is that of the measurement alone; other
#: errors (empty, ``total``) are taken as total ones.
MEASUREMENT = "measurement"
ERROR_KINDS = ("", "total", MEASUREMENT)


def total_error(error: Any, measured: Any, representativeness: Any) -> np.ndarray:
    """Errors with that of representativeness where they are of the measurement alone.

    Parameters
    ----------
    error : array-like
        Standard deviations.
    measured : array-like of bool
        Where they are of the measurement alone.
    representativeness : array-like
        As of :func:`default_error`, in the same unit.

    Returns
    -------
    numpy.ndarray of float64

    Examples
    --------
    >>> total_error([0.3, 0.3], [True, False], 0.4)
    array([0.5, 0.3])
    """
    return np.where(measured, np.hypot(error, representativeness), error)


def error_unit(unit: str) -> str:
    """Unit of differences and standard deviations of values in `unit`.

    A standard deviation has no zero point: that of degrees Celsius is in kelvin.

    Examples
    --------
    >>> error_unit("degC"), error_unit("psu")
    ('K', 'psu')
    """
    if kind_of("", "", unit) != TEMPERATURE:
        return unit
    return unit if unit_tools.conversion(unit, "K")[1] == 0.0 else "K"


def potential_temperature(value: np.ndarray, depth: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Potential temperature, referred to the surface, of in-situ temperature.

    Salinity enters so weakly that the mean of the ocean, 35.165 g/kg, is taken
    everywhere: a salinity that is wrong by 2 g/kg changes the result by 0.5 mK at
    200 m and 7 mK at 2,000 m; below, the salinity of the ocean is within 0.5 g/kg.

    Parameters
    ----------
    value : numpy.ndarray, shape (n,)
        In-situ temperature in degrees Celsius.
    depth, lat : numpy.ndarray, shape (n,)
        Metres, positive down (NaN counts as the surface); degrees north.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Degrees Celsius.

    Examples
    --------
    >>> potential_temperature(np.array([2.0]), np.array([4000.0]), np.array([0.0])).round(2)
    array([1.66])
    """
    import gsw

    pressure = gsw.p_from_z(-np.maximum(np.nan_to_num(depth), 0.0), np.nan_to_num(lat))
    return np.asarray(gsw.pt0_from_t(35.16504, value, pressure))
