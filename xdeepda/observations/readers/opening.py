"""Opening observations: recognise each file, read it, put the tables together.

Knows sources, readers and tables; it knows no format.
"""

from __future__ import annotations

import glob
import importlib
import logging
import pkgutil
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.observations.columns import Var
from xdeepda.observations.quantities import kind_of
from xdeepda.observations.readers.base import NothingMeasured, Reader, Source
from xdeepda.progress import progress_bar

logger = logging.getLogger("xdeepda")

#: Files from which on opening takes a second or more.
_MANY = 20

_PACKAGE = "xdeepda.observations.readers"

#: Rows of a table: variables and coordinates that every reader gives.
_COLUMNS = (
    "value", "error", "variable", "qc", "reason", "time", "depth", "latitude", "longitude",
    "platform", "profile", "instrument", "source",
)  # fmt: skip


@lru_cache(maxsize=1)
def _registered() -> tuple[Reader, ...]:
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
    >>> "argo" in readers()
    True
    """
    return {reader.name: reader for reader in _registered()}


def recognise(source: Source) -> Reader:
    """Reader of a source.

    Raises
    ------
    InputError
        If no reader knows the structure, or several do.
    """
    for rank in sorted({reader.rank for reader in _registered()}):
        hits = [r for r in _registered() if r.rank == rank and r.recognises(source)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            problems = Problems("open_observations")
            problems.add(
                f"{source.name}: several readers know this structure",
                found=", ".join(f"{r.name} ({r.describes})" for r in hits),
                todo=f"read_with({hits[0].name!r}, path)",
            )
            problems.raise_if_any()
    raise _unknown(source)


def _unknown(source: Source) -> InputError:
    """Error that says what was looked at and what there is."""
    problems = Problems("open_observations")
    if source.is_netcdf:
        ds = source.dataset()
        found = f"netCDF with dimensions {dict(ds.sizes)} and variables {list(ds.variables)[:20]}"
    elif source.is_text:
        found = f"text that begins {source.head_lines()[0][:60]!r}"
    else:
        found = f"bytes that begin {source.head[:8]!r}"
    problems.add(
        f"{source.name}: no reader knows this structure",
        found=found,
        expected="one of " + "; ".join(f"{r.name}: {r.describes}" for r in _registered()),
        todo="read_with(name, path) with one of these names, or make a Dataset or DataFrame "
        "and pass it to as_table",
    )
    error = InputError(problems.message())
    error.problems = tuple(problems)  # type: ignore[attr-defined]
    return error


def read_with(name: str, path: Any) -> xr.Dataset:
    """Read a file with the reader of a name, whatever its structure says.

    Parameters
    ----------
    name : str
        One of :func:`readers`.
    path : path-like or Dataset

    Returns
    -------
    xarray.Dataset
        The table.

    Raises
    ------
    InputError
        If there is no such reader, or it cannot read the file.

    Examples
    --------
    >>> read_with("argo", "2900313_prof.nc")  # doctest: +SKIP
    """
    if name not in readers():
        raise InputError(f"there is no reader {name!r}; there are {sorted(readers())}")
    with _source(path) as source:
        return _read(readers()[name], source)


def _source(path: Any) -> Source:
    """Source of a path or Dataset."""
    if isinstance(path, xr.Dataset):
        return Source(dataset=path)
    return Source(path)


def _read(reader: Reader, source: Source) -> xr.Dataset:
    """Table of a source, with errors that name the file."""
    if not reader.verified:
        logger.warning(
            "reader %r follows a published guide; it was tried on no real file", reader.name
        )
    try:
        return reader.read(source)
    except InputError as error:
        if str(error).startswith(source.name):
            raise
        raise type(error)(f"{source.name}: {error}") from error
    except (KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
        # recognised, but not what it seemed: a damaged file is no bug of the user
        raise InputError(
            f"{source.name}: looks like {reader.describes}, but is damaged or unlike it: "
            f"{type(error).__name__}: {error}"
        ) from error


def open_observations(paths: Any, var: Var = None, errors: str = "raise") -> xr.Dataset:
    """Open observations of any format as one table.

    Parameters
    ----------
    paths : str, path-like, Dataset, or a list of these
        Texts may be patterns (``"*.nc"``).  Files are recognised by their structure.
    var : str or list of str, optional
        Keep only these: ``"thetao"``, ``"so"``, ``"tos"``, their standard names, or
        ``"temperature"``, ``"salinity"``.
    errors : {"raise", "skip"}
        What to do with files that cannot be read: stop with all of them told, or
        leave them out, told in the log and the attribute ``skipped``.

    Returns
    -------
    xarray.Dataset
        Along ``obs``, one row per number: ``value``, ``variable`` (potential
        temperature ``thetao``, practical salinity ``so``, sea surface temperature
        ``tos``), ``error`` (standard deviation, NaN where unknown), ``qc`` (0 none,
        1 good, 2 probably good, 3 probably bad, 4 bad), ``reason``, and the
        coordinates ``time``, ``depth`` (m), ``latitude``, ``longitude``,
        ``platform``, ``profile``, ``instrument``, ``source`` (file).  Attributes
        tell the readers, what they ignore, and what was assumed.

    Raises
    ------
    InputError
        With every file that cannot be read, and why; if none is left; if files
        are of several calendars.

    Examples
    --------
    >>> obs = open_observations("argo/*_prof.nc")  # doctest: +SKIP
    """
    if errors not in ("raise", "skip"):
        raise InputError(f"errors is 'raise' or 'skip', not {errors!r}")
    tables: list[xr.Dataset] = []
    problems, skipped = Problems("open_observations"), []
    items = list(_items(paths))
    with progress_bar(len(items), "open", len(items) > _MANY, unit="file") as bar:
        for item in items:
            try:
                tables.append(_select(_open_one(item), var))
            except InputError as error:
                if len(items) == 1:  # a single file keeps the kind of its error
                    raise
                problems.absorb(error)
                skipped.append(_headline(error))
            except MemoryError as error:  # of the machine, not foreseen
                problems.add(f"{item}: does not fit into memory", found=str(error))
                skipped.append(f"{item}: does not fit into memory")
            bar.update()
    if errors == "raise" or not tables:
        problems.raise_if_any()
    if not sum(t.sizes["obs"] for t in tables):
        raise NothingMeasured(
            f"open_observations: no value at all in {len(tables)} files; all are missing"
        )
    for told in skipped:
        logger.warning("skipped %s", told)
    return _concatenate(tables, skipped)


def _headline(error: InputError) -> str:
    """First line of what is wrong with a file."""
    problems = getattr(error, "problems", None)
    return str(problems[0] if problems else error).splitlines()[0]


def _open_one(item: Any) -> xr.Dataset:
    """Table of one file or Dataset."""
    with _source(item) as source:
        reader = recognise(source)
        table = _read(reader, source)
    if reader.ignores:
        table.attrs["ignored"] = "; ".join(reader.ignores)
    rows = table.sizes["obs"]
    if rows == 0:
        logger.warning("%s: read as %s, all values are missing", source.name, reader.name)
    logger.info("%s: %d rows, read as %s", source.name, rows, reader.name)
    return table


def _items(paths: Any) -> Iterator[Any]:
    """Paths and Datasets, patterns resolved, in order."""
    entries: Sequence[Any] = paths if isinstance(paths, (list, tuple)) else [paths]
    if not entries:
        raise InputError("open_observations: no paths were given (an empty list)")
    for entry in entries:
        if isinstance(entry, xr.Dataset):
            yield entry
        elif isinstance(entry, (str, Path)) and not Path(entry).exists():
            hits = sorted(glob.glob(str(entry), recursive=True))
            if not hits:
                raise InputError(f"open_observations: there is no file {str(entry)!r}")
            yield from hits
        elif isinstance(entry, (str, Path)):
            if Path(entry).is_dir():
                raise InputError(
                    f"open_observations: {str(entry)!r} is a folder; give a pattern such as "
                    f"{str(Path(entry) / '*.nc')!r}"
                )
            yield entry
        else:
            raise InputError(
                f"open_observations: {type(entry).__name__} is no path and no Dataset; "
                "tables of pandas go through as_table"
            )


def _select(table: xr.Dataset, var: Var) -> xr.Dataset:
    """Rows of the variables asked for."""
    if var is None:
        return table
    wanted = [var] if isinstance(var, str) else list(var)
    names = [str(n) for n in dict.fromkeys(table["variable"].values)]
    standard = {n: table["value"].attrs.get(f"standard_name_{n}", "") for n in names}
    keep = [n for n in names if {n, standard[n], kind_of(n)} & set(wanted)]
    if not keep:
        raise NothingMeasured(f"holds none of {wanted}, only {names}")
    rows = np.isin(table["variable"].values.astype(str), keep)
    out = table.isel(obs=np.flatnonzero(rows))
    attrs = dict(table["value"].attrs)
    for name in names:
        if name not in keep:
            attrs.pop(f"units_{name}", None)
            attrs.pop(f"standard_name_{name}", None)
    if len(keep) == 1:
        attrs["units"] = attrs[f"units_{keep[0]}"]
    out["value"].attrs = attrs
    return out


def _concatenate(tables: list[xr.Dataset], skipped: list[str]) -> xr.Dataset:
    """One table of many; what each says of itself is gathered."""
    calendars = {calendar_of(t["time"].values[:1]) for t in tables if t.sizes["obs"]}
    if len(calendars) > 1:
        raise InputError(
            f"open_observations: files of several calendars: {sorted(calendars)}; "
            "open them separately"
        )
    head = tables[0]
    if len(tables) > 1:
        columns = {n: np.concatenate([t[n].values for t in tables]) for n in _COLUMNS}
        attrs = {k: v for t in tables for k, v in t["value"].attrs.items() if k != "units"}
        units = [v for k, v in attrs.items() if k.startswith("units_")]
        if len(units) == 1:
            attrs["units"] = units[0]
        data = {n: ("obs", columns[str(n)], head[n].attrs) for n in head.data_vars}
        coords = {n: ("obs", columns[str(n)], head[n].attrs) for n in head.coords}
        merged = xr.Dataset(data, coords=coords)
        merged["value"].attrs = attrs
    else:
        merged = head.copy()
    merged.attrs = {
        "Conventions": "CF-1.11",
        "featureType": "point",
        "files": len(tables),
        **{n: _gather(tables, n) for n in ("reader", "notes", "ignored")},
    }
    if skipped:
        merged.attrs["skipped"] = "\n".join(skipped)
    return merged


def _gather(tables: list[xr.Dataset], name: str) -> str:
    """Different values of an attribute, joined."""
    found = dict.fromkeys(str(t.attrs[name]) for t in tables if t.attrs.get(name))
    if len(found) > 20:
        return "; ".join(list(found)[:20]) + f"; and {len(found) - 20} more"
    return "; ".join(found)
