"""Moorings of Australia's Integrated Marine Observing System (IMOS).

Single instruments, aggregated files (indexed ragged) and gridded ones.  They
are CF discrete sampling geometries with flags of their own table, which is that
of Argo, and a nominal depth that stands in where none was measured.
"""

from __future__ import annotations

import xarray as xr

from xdeepda.observations.readers.base import Reader, Source
from xdeepda.observations.readers.cf import Dialect, read_sampling

_IMOS = Dialect(
    name="imos",
    scheme="imos",
    platform=("platform_code",),
    attributes=("platform_code", "site_code"),
    attributes_first=True,
    instrument=("instrument_id",),
    instrument_default="mooring",
)


def _recognises(source: Source) -> bool:
    """The conventions of IMOS."""
    return source.is_netcdf and "IMOS" in str(source.dataset().attrs.get("Conventions", ""))


def _read(source: Source) -> xr.Dataset:
    """Table of an IMOS file."""
    return read_sampling(source, _IMOS)


READERS = (
    Reader(
        "imos",
        "IMOS moorings (single instrument, aggregated, gridded)",
        ("variables other than temperature and salinity", "deployments and serial numbers"),
        _recognises,
        _read,
    ),
)
