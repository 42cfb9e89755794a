"""Values that cannot be read: of which file, and of what time.

A lazy field or table is read long after its files were opened, and what the libraries say
then names no file.  Knows xarray and the files behind it; no fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, product
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from xdeepda.errors import InputError, Problems

_Read = TypeVar("_Read")
#: What the libraries of netCDF and zarr raise for a file that is damaged or gone.
_ERRORS = (OSError, RuntimeError)
#: More files than these are not named.
_MOST = 3


def read(
    act: Callable[[], _Read], verb: str, what: Callable[[xr.DataArray], str], *fields: xr.DataArray
) -> _Read:
    """Read values, or say what cannot be read.

    Parameters
    ----------
    act : callable
        Reads.
    verb : str
        For the message.
    what : callable
        Says what it is that cannot be read, given the part of a field.
    fields : DataArray
        What is read.

    Raises
    ------
    InputError
        If the files are damaged or gone: the first part that cannot be read is named, and
        its files.
    """
    try:
        return act()
    except MemoryError:
        raise
    except _ERRORS as error:
        if isinstance(error, InputError):
            raise
        bad = next((part for da in fields for part in _unreadable(da)), fields[0])
        problems = Problems(verb)
        files = files_of([bad])
        named = f"{', '.join(files)}: " if 0 < len(files) <= _MOST else ""
        problems.add(
            f"{what(bad)} cannot be read",
            found=f"{named}{error}",
            todo="repair the file and call again, or leave it out",
        )
        problems.raise_if_any()
        raise


def _unreadable(da: xr.DataArray) -> Iterator[xr.DataArray]:
    """Parts of a field, chunk by chunk of dask, that cannot be read."""
    if da.chunks is None:
        return
    ends = [np.cumsum([0, *sizes]) for sizes in da.chunks]
    for place in product(*(pairwise(edges.tolist()) for edges in ends)):
        part = da[tuple(slice(*edge) for edge in place)]
        try:
            part.compute()
        except _ERRORS:
            yield part


def files_of(fields: Iterable[xr.DataArray]) -> list[str]:
    """Files that lazy fields are read from, as far as they can be found."""
    found: set[str] = set()
    for da in fields:
        data = da.variable._data
        for leaf in _leaves(data) if hasattr(data, "__dask_graph__") else [data]:
            name = _file_of(leaf)
            if name is not None:
                found.add(name)
    return sorted(found)


def _leaves(array: Any) -> list[Any]:
    """What a dask array is made from, without what it does not need."""
    from dask.core import flatten, get_dependencies

    graph = dict(array.__dask_graph__())
    todo, seen = list(flatten(array.__dask_keys__())), set()
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            todo.extend(get_dependencies(graph, key))
    return [graph[key] for key in seen]


def _file_of(leaf: Any) -> str | None:
    """File behind the layers of xarray's lazy indexing, None where there is none."""
    leaf = getattr(leaf, "value", leaf)  # dask packs data
    while leaf is not None:
        store = getattr(leaf, "datastore", None)
        if getattr(store, "_filename", None) is not None:
            return str(store._filename)  # type: ignore[union-attr]
        path = getattr(getattr(leaf, "_array", None), "store_path", None)
        if path is not None:
            return str(path)
        leaf = getattr(leaf, "array", None)
    return None
