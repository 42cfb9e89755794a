"""The readers there are, and which of them reads a file.

Knows readers by what they say of themselves; it knows no format.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from xdeepda.errors import InputError, Problems
from xdeepda.observations.readers.base import Reader, Source
from xdeepda.observations.readers.packing import known

_PACKAGE = "xdeepda.observations.readers"

#: Names of axes of fields, for the message on what is no observations.
_AXES = ({"lat", "latitude", "y", "nav_lat", "j", "nj"}, {"lon", "longitude", "x", "nav_lon", "i"})


@lru_cache(maxsize=1)
def registered() -> tuple[Reader, ...]:
    """All readers: the lists ``READERS`` of the modules of this package."""
    package = importlib.import_module(_PACKAGE)
    found: list[Reader] = []
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        found += getattr(importlib.import_module(f"{_PACKAGE}.{module}"), "READERS", ())
    names = [reader.name for reader in found]
    assert len(set(names)) == len(names), f"two readers of one name: {sorted(names)}"
    return tuple(sorted(found, key=lambda r: (r.rank, r.name)))


def readers() -> dict[str, Reader]:
    """All readers by name: what they read, what they ignore, whether tried on real files.

    Returns
    -------
    dict of str to Reader

    Examples
    --------
    >>> readers()["argo"].verified
    True
    >>> "biogeochemical variables" in readers()["argo"].ignores
    True
    """
    return {reader.name: reader for reader in registered()}


def named(name: str) -> Reader:
    """Reader of a name.

    Raises
    ------
    InputError
        If there is none; all names are told.
    """
    if name not in readers():
        raise InputError(f"there is no reader {name!r}; there are {sorted(readers())}")
    return readers()[name]


def recognise(source: Source) -> Reader:
    """Reader of a source.

    Raises
    ------
    InputError
        If no reader knows the structure, or several do.
    """
    for rank in sorted({reader.rank for reader in registered()}):
        hits = [r for r in registered() if r.rank == rank and r.recognises(source)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            problems = Problems("open_observations")
            problems.add(
                f"{source.name}: several readers know this structure",
                found=", ".join(f"{r.name} ({r.describes})" for r in hits),
                todo=f"open_observations(path, reader={hits[0].name!r})",
            )
            problems.raise_if_any()
    raise _unknown(source)


def _unknown(source: Source) -> InputError:
    """Error that says what was looked at and what there is."""
    problems = Problems("open_observations")
    found, todo = _looked_at(source)
    problems.add(
        f"{source.name}: no reader knows this structure",
        found=found,
        expected="one of " + "; ".join(f"{r.name}: {r.describes}" for r in registered()),
        todo=todo,
    )
    error = InputError(problems.message())
    error.problems = tuple(problems)  # type: ignore[attr-defined]
    return error


def _looked_at(source: Source) -> tuple[str, str]:
    """What was found in a source that no reader knows, and what to do about it."""
    named_reader = (
        "open_observations(path, reader=NAME) with one of these names, or make a Dataset or "
        "DataFrame and pass that"
    )
    if told := known(source.head):
        return told.partition(":")[0], told.partition(":")[2].strip() or named_reader
    if source.is_text:
        lines = source.head_lines()
        return f"text that begins {lines[0][:60] if lines else ''!r}", named_reader
    if not source.is_netcdf:
        return f"bytes that begin {source.head[:8]!r}", named_reader
    ds = source.dataset()
    found = f"netCDF with dimensions {dict(ds.sizes)} and variables {list(ds.variables)[:20]}"
    dims = {str(d).lower() for d in ds.sizes}
    if all(dims & names for names in _AXES):
        return found, (
            "a field on a grid is no table of points: open it with xarray and pass it as "
            "observations as it is (NaN where nothing was measured), or as control run"
        )
    return found, named_reader
