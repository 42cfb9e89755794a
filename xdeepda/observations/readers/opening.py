"""Opening observations: recognise each file, read it, put the tables together.

Knows sources, readers and tables; it knows no format.
"""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.calendar import calendar_of
from xdeepda.errors import InputError, Problems
from xdeepda.observations.columns import Var
from xdeepda.observations.quantities import kind_of
from xdeepda.observations.readers.base import NothingMeasured, Reader, Source
from xdeepda.observations.readers.packing import members
from xdeepda.observations.readers.recognition import named, recognise
from xdeepda.progress import progress_bar
from xdeepda.units import dequantify

logger = logging.getLogger("xdeepda")

#: Rows of a table: variables and coordinates that every reader gives.
_COLUMNS = (
    "value", "error", "variable", "qc", "reason", "time", "depth", "latitude", "longitude",
    "platform", "profile", "instrument", "source", "error_kind",
)  # fmt: skip


#: Reader of tables that were written: what they say of their readers stays.
_TABLE = "table"

#: More different notes than this are told in the log alone.
_MOST_NOTES = 40


def open_observations(
    paths: Any, var: Var = None, errors: str = "raise", *, reader: str | None = None
) -> xr.Dataset:
    """Open observations of any format as one table.

    Parameters
    ----------
    paths : str, path-like, Dataset, DataArray, DataFrame, or a list of these
        Texts may be patterns (``"*.nc"``, ``"**/*.nc"``).  Files are recognised by
        their structure, not by their names; they may be compressed with gzip, bzip2
        or xz, or lie in a zip archive, of which every file is read.
    var : str or list of str, optional
        Keep only these: ``"thetao"``, ``"so"``, ``"tos"``, their standard names, or
        ``"temperature"``, ``"salinity"``.  Files that hold none of them are told in
        the attribute ``skipped``.
    errors : {"raise", "skip"}
        What to do with files that cannot be read: stop with all of them told, or
        leave them out, told in the log and the attribute ``skipped``.
    reader : str, optional
        Read with the reader of this name (:func:`xdeepda.observations.readers.readers`
        lists them), whatever the structure says.

    Returns
    -------
    xarray.Dataset
        Along ``obs``, one row per number: ``value``, ``variable`` (potential
        temperature ``thetao``, practical salinity ``so``, sea surface temperature
        ``tos``), ``error`` (standard deviation, NaN where the file has none), ``qc``
        (0 none, 1 good, 2 probably good, 3 probably bad, 4 bad), ``reason``, and the
        coordinates ``time``, ``depth`` (m), ``latitude``, ``longitude``,
        ``platform``, ``profile``, ``instrument``, ``source`` (file).  Attributes
        tell the readers, what they ignore, and what was assumed.

    Raises
    ------
    InputError
        With every file that cannot be read, and why; if none is left; if files
        are of several calendars.

    See Also
    --------
    xdeepda.observations.readers.iter_observations : the same in parts, for more
        files than fit into memory.

    Examples
    --------
    >>> obs = open_observations("argo/*_prof.nc")  # doctest: +SKIP
    >>> obs = open_observations("casts.zip", var="temperature", errors="skip")  # doctest: +SKIP
    """
    reading = _Reading(var, errors, reader, Problems("open_observations"))
    tables = list(reading.tables(paths))
    if errors == "raise" or not tables:
        reading.problems.raise_if_any()
    if not tables:
        raise NothingMeasured(f"open_observations: {'; '.join(reading.skipped)}")
    if not sum(t.sizes["obs"] for t in tables):
        raise NothingMeasured(
            f"open_observations: no value at all in {len(tables)} files; all are missing"
        )
    return _concatenate(tables, reading.skipped)


def iter_observations(
    paths: Any,
    var: Var = None,
    errors: str = "raise",
    *,
    reader: str | None = None,
    rows: int = 2_000_000,
) -> Iterator[xr.Dataset]:
    """Open observations in parts, so that no more than one part is in memory.

    Parameters
    ----------
    paths, var, errors, reader
        As of :func:`xdeepda.open_observations`.  With ``errors="raise"`` the first
        file that cannot be read ends the iteration.
    rows : int
        A part ends with the file that completes this number of rows.

    Yields
    ------
    xarray.Dataset
        Table of consecutive files, never empty.

    Raises
    ------
    InputError
        See :func:`xdeepda.open_observations`; if `rows` is not positive.

    Examples
    --------
    >>> for part in iter_observations("en4/*.nc", rows=500_000):  # doctest: +SKIP
    ...     part = xdeepda.superob(part, like=control, cycle="month")
    """
    if rows < 1:
        raise InputError(f"rows is a positive number, not {rows!r}")
    reading = _Reading(var, errors, reader, Problems("iter_observations"))
    waiting: list[xr.Dataset] = []
    count = 0
    for table in reading.tables(paths):
        waiting.append(table)
        count += table.sizes["obs"]
        if count >= rows:
            yield _concatenate(waiting, reading.take_skipped())
            waiting, count = [], 0
        elif errors == "raise":
            reading.problems.raise_if_any()
    if errors == "raise":
        reading.problems.raise_if_any()
    if count:
        yield _concatenate(waiting, reading.take_skipped())


def read_with(name: str, path: Any) -> xr.Dataset:
    """Read a file with the reader of a name, whatever its structure says.

    The same as ``open_observations(path, reader=name)``.

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
    return open_observations(path, reader=name)


@dataclass(frozen=True)
class _Item:
    """One thing to open: a file, one within a zip archive, a Dataset or a frame."""

    what: Any
    member: str | None = None
    problem: InputError | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.what}/{self.member}" if self.member else str(self.what)


class _Reading:
    """Tables of many files, and what became of those that give none."""

    def __init__(self, var: Var, errors: str, reader: str | None, problems: Problems) -> None:
        if errors not in ("raise", "skip"):
            raise InputError(f"errors is 'raise' or 'skip', not {errors!r}")
        self.var, self.errors, self.problems = var, errors, problems
        self.reader = None if reader is None else named(reader)
        self.skipped: list[str] = []

    def take_skipped(self) -> list[str]:
        """What was left out since the last time."""
        told, self.skipped = self.skipped, []
        return told

    def tables(self, paths: Any) -> Iterator[xr.Dataset]:
        """Table of each file that can be read; others become problems."""
        items = list(_items(paths))
        with progress_bar(len(items), "open", len(items) > 1, unit="file", delay=1.0) as bar:
            for item in items:
                try:
                    table = _open_one(item, self.reader)
                except InputError as error:
                    if len(items) == 1:  # a single file keeps the kind of its error
                        raise
                    self._fail(item, error)
                except MemoryError as error:  # of the machine, not foreseen
                    self._fail(item, InputError(f"{item.name}: does not fit into memory: {error}"))
                else:
                    kept = _select(table, self.var)
                    if kept is not None:
                        yield kept
                    else:
                        self._without(table, len(items))
                bar.update()

    def _fail(self, item: _Item, error: InputError) -> None:
        """Note a file that cannot be read."""
        if item.member and item.member not in str(error):
            error = InputError(f"{item.name}: {error}")
        self.problems.absorb(error)
        told = getattr(error, "problems", None)
        self.skipped.append(str(told[0] if told else error).splitlines()[0])
        if self.errors == "skip":
            logger.warning("skipped %s", self.skipped[-1])

    def _without(self, table: xr.Dataset, files: int) -> None:
        """Note a file that holds none of the variables asked for."""
        name = str(table["source"].values[0]) if table.sizes["obs"] else "a file"
        found = sorted(map(str, set(table["variable"].values)))
        told = f"{name}: holds none of {_wanted(self.var)}, only {found}"
        if files == 1:
            raise NothingMeasured(told)
        logger.warning("left out %s", told)
        self.skipped.append(told)


def _open_one(item: _Item, reader: Reader | None) -> xr.Dataset:
    """Table of one file, Dataset or frame."""
    if item.problem is not None:
        raise item.problem
    if not isinstance(item.what, (str, Path, xr.Dataset)):
        from xdeepda.observations.readers.csv_text import read_frame

        return read_frame(item.what)
    dataset = item.what if isinstance(item.what, xr.Dataset) else None
    path = item.what if dataset is None else None
    with Source(path, member=item.member, dataset=dataset) as source:
        own = recognise(source) if reader is None else reader
        try:
            table = _read(own, source)
        except InputError as error:
            if reader is None or reader.recognises(source):
                raise
            raise type(error)(f"{error} ({_unlike(reader, source)})") from error
    table.attrs["reader"] = own.name if own.name != _TABLE else table.attrs.get("reader", _TABLE)
    if own.ignores:
        table.attrs["ignored"] = "; ".join(own.ignores)
    if table.sizes["obs"] == 0:
        logger.warning("%s: read as %s, all values are missing", source.name, own.name)
    told = (source.name, table.sizes["obs"], own.name, table.attrs.get("notes", ""))
    logger.info("%s: %d rows, read as %s; %s", *told)
    return table


def _unlike(reader: Reader, source: Source) -> str:
    """What a source is that a reader was asked for by name, and does not recognise."""
    try:
        other = f"by its structure it is one of reader {recognise(source).name!r}"
    except InputError:
        other = "no other reader knows its structure either"
    return f"reader {reader.name!r} was asked for, but does not recognise it; {other}"


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
    except KeyError as error:
        raise InputError(
            f"{source.name}: read as {reader.name} ({reader.describes}); it holds no {error}"
        ) from error
    except (IndexError, ValueError, TypeError, OverflowError, StopIteration,
            AttributeError, ZeroDivisionError, AssertionError, RuntimeError) as error:  # fmt: skip
        # recognised, but not what it seemed: a damaged file is no bug of the user
        raise InputError(
            f"{source.name}: looks like {reader.describes}, but is damaged or unlike it: "
            f"{type(error).__name__}: {error}"
        ) from error


# ---- what to open


def _items(paths: Any) -> Iterator[_Item]:
    """Files, Datasets and frames, patterns and archives resolved, in order, each once."""
    entries: Sequence[Any] = paths if isinstance(paths, (list, tuple)) else [paths]
    if not entries:
        raise InputError("open_observations: no paths were given (an empty list)")
    seen: set[str] = set()
    for entry in entries:
        if isinstance(entry, xr.DataArray):
            entry = entry.to_dataset(name=entry.name or "value")
        if isinstance(entry, xr.Dataset):
            yield _Item(dequantify(entry))
        elif _is_frame(entry):
            yield _Item(entry)
        elif isinstance(entry, (str, Path)):
            for path in _files(entry):
                if str(path) in seen:
                    logger.info("%s is given twice, read once", path)
                    continue
                seen.add(str(path))
                yield from _inside(path)
        else:
            raise InputError(
                f"open_observations: {type(entry).__name__} is no path, no Dataset and no DataFrame"
            )


def _inside(path: Path) -> list[_Item]:
    """A file, or the files of a zip archive; what is wrong with it is told when it is opened."""
    try:
        names = members(path)
    except InputError as error:
        return [_Item(path, problem=error)]
    return [_Item(path, name) for name in names] or [_Item(path)]


def _is_frame(entry: Any) -> bool:
    """Whether an object is a DataFrame, without importing pandas for it."""
    return type(entry).__module__.split(".")[0] == "pandas" and hasattr(entry, "columns")


def _files(entry: str | Path) -> list[Path]:
    """Files of a path or pattern."""
    text = str(entry)
    path = Path(entry).expanduser()
    if path.is_dir():
        raise InputError(
            f"open_observations: {text!r} is a folder; give a pattern such as "
            f"{str(path / '*.nc')!r}"
        )
    if path.exists():
        return [path]
    if "://" in text:
        raise InputError(f"open_observations: {text!r} is an address; download the file first")
    hits = [Path(p) for p in sorted(glob.glob(str(path), recursive=True))]
    if not hits:
        what = "no file matches" if glob.has_magic(text) else "there is no file"
        raise InputError(f"open_observations: {what} {text!r} (working folder {str(Path.cwd())!r})")
    files = [p for p in hits if p.is_file()]
    if not files:
        raise InputError(f"open_observations: {text!r} matches folders only")
    return files


# ---- tables


def _wanted(var: Var) -> list[str]:
    """Variables asked for."""
    return [var] if isinstance(var, str) else list(var or ())


def _select(table: xr.Dataset, var: Var) -> xr.Dataset | None:
    """Rows of the variables asked for; None if there are none."""
    if var is None:
        return table
    wanted = _wanted(var)
    names = [str(n) for n in dict.fromkeys(table["variable"].values)]
    standard = {n: table["value"].attrs.get(f"standard_name_{n}", "") for n in names}
    keep = [n for n in names if {n, standard[n], kind_of(n)} & set(wanted)]
    if not keep:
        return None
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
    """One table of many; what each says of itself is gathered.  Empties the list."""
    _one_calendar(tables)
    head = tables[0]
    about = {n: _gather(tables, n) for n in ("reader", "notes", "ignored")}
    files = len(tables)
    if files > 1:
        attrs = {k: v for t in tables for k, v in t["value"].attrs.items() if k != "units"}
        units = [v for k, v in attrs.items() if k.startswith("units_")]
        if len(units) == 1:
            attrs["units"] = units[0]
        parts = [{n: t.variables[n].values for n in _COLUMNS} for t in tables]
        tables.clear()  # so that each column of the parts goes when it was copied
        columns = {}
        for name in _COLUMNS:
            columns[name] = np.concatenate([part.pop(name) for part in parts])
        data = {n: ("obs", columns[str(n)], head[n].attrs) for n in head.data_vars}
        coords = {n: ("obs", columns[str(n)], head[n].attrs) for n in head.coords}
        merged = xr.Dataset(data, coords=coords)
        merged["value"].attrs = attrs
    else:
        merged = head.copy()
    merged.attrs = {
        "Conventions": "CF-1.11", "featureType": "point", "files": files, **about
    }  # fmt: skip
    if skipped:
        merged.attrs["skipped"] = "\n".join(skipped)
    return merged


def _one_calendar(tables: list[xr.Dataset]) -> None:
    """Refuse tables of several calendars, with a file of each."""
    found: dict[str, str] = {}
    for table in tables:
        times = table["time"].values
        if times.dtype == object:  # cftime, None where missing
            times = np.array([t for t in times if t is not None][:1], dtype=object)
        if times.size:
            found.setdefault(calendar_of(times[:1]), str(table["source"].values[0]))
    if len(found) > 1:
        told = ", ".join(f"{calendar!r} ({file})" for calendar, file in found.items())
        raise InputError(
            f"open_observations: files of several calendars: {told}; open them separately"
        )


#: A number of things in a note, which is added up over files.
_COUNT = re.compile(r"\d+(?= (?:levels|reports|casts|observations|samples|bottles)\b)")


def _gather(tables: list[xr.Dataset], name: str) -> str:
    """Different parts of an attribute, joined; the same about several files is said once."""
    found: dict[str, int] = {}
    for table in tables:
        told = str(table.attrs.get(name, ""))
        for part in dict.fromkeys(told.split("; ") if told else ()):
            counts = _COUNT.findall(part)
            key = _COUNT.sub("\0", part) if len(counts) == 1 else part
            found[key] = found.get(key, 0) + (int(counts[0]) if len(counts) == 1 else 0)
    parts = [key.replace("\0", str(count)) for key, count in found.items()]
    if len(parts) > _MOST_NOTES:
        rest = len(parts) - _MOST_NOTES
        return "; ".join(parts[:_MOST_NOTES]) + f"; and {rest} more (see the log)"
    return "; ".join(parts)
