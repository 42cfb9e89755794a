"""SeaDataNet netCDF files: profiles, time series, trajectories of INSTANCE.

CF discrete sampling geometries whose flags are the letters of vocabulary L20,
stored as ASCII codes, and whose time is the chronological Julian day (midnight
of 1 January -4713 is 0).
"""

from __future__ import annotations

import xarray as xr

from xdeepda.observations.readers.base import Reader, Source
from xdeepda.observations.readers.cf import Dialect, read_sampling

_SEADATANET = Dialect(
    name="seadatanet",
    scheme="seadatanet",
    platform=("SDN_CRUISE",),
    profile=("SDN_LOCAL_CDI_ID",),
    attributes=(),
)


def _recognises(source: Source) -> bool:
    """Variables of the SeaDataNet identifiers or flags."""
    if not source.is_netcdf:
        return False
    names = [str(n) for n in source.dataset().variables]
    return "SDN_LOCAL_CDI_ID" in names or any(n.endswith("_SEADATANET_QC") for n in names)


def _read(source: Source) -> xr.Dataset:
    """Table of a SeaDataNet file."""
    ds = source.dataset()
    # one identifier stands for a whole trajectory or time series, of which each time is a cast
    whole = any(str(v.attrs.get("cf_role", "")).startswith(("traj", "times"))
                for v in ds.variables.values())  # fmt: skip
    dialect = _SEADATANET if not whole else Dialect(
        name="seadatanet", scheme="seadatanet", platform=("SDN_LOCAL_CDI_ID",), attributes=()
    )  # fmt: skip
    return read_sampling(source, dialect)


READERS = (
    Reader(
        "seadatanet",
        "SeaDataNet netCDF (profiles, time series, trajectories)",
        ("variables other than temperature and salinity", "links and vocabularies"),
        _recognises,
        _read,
    ),
)
