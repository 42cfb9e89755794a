"""Values of a netCDF field beside those of its coordinates, whatever dimensions these have.

A *frame* spans the dimensions of one measured field.  Any other variable is
spread over it: one that shares some of its dimensions, one along the instances
of a ragged array (by row sizes or by an index), a scalar.  Only levels at which
something was measured are looked at.  Knows dimensions; it knows no names.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers.base import Source
from xdeepda.observations.readers.decode import flag_codes, numbers, read, texts, times
from xdeepda.observations.readers.flags import Scheme, map_flags


class Frame:
    """Levels of a file at which something was measured.

    Parameters
    ----------
    source : Source
    fields : sequence of str
        Measured variables, all with the dimensions of the first (in any order).
    alias : dict of str to str, optional
        Dimensions that stand for one of the fields' (of the same length).

    Attributes
    ----------
    dims : tuple of str
    index : dict of str to numpy.ndarray
        Position along each dimension of each level, shape (n,).  Dimensions
        of instances are added by :meth:`contiguous` and :meth:`indexed`; -1
        where a level belongs to no instance.

    Raises
    ------
    MemoryForeseenError
        If the fields do not fit into memory.
    """

    def __init__(
        self, source: Source, fields: Sequence[str], alias: Mapping[str, str] | None = None
    ) -> None:
        self.source, self.ds = source, source.dataset()
        # variables, not DataArrays: their coordinates are of no use here and cost much
        self._all = {str(n): v for n, v in self.ds.variables.items()}
        first = self._all[fields[0]]
        self.dims = tuple(str(d) for d in first.dims)
        source.require_memory(first.size * len(fields))
        values = {}
        for name in fields:
            if set(self._all[name].dims) != set(self.dims):
                raise InputError(
                    f"{name!r} has dimensions {self._all[name].dims}, {fields[0]!r} {self.dims}"
                )
            order = [self._all[name].dims.index(d) for d in self.dims]
            values[name] = numbers(self._all[name]).transpose(order)
        measured = np.any([np.isfinite(v) for v in values.values()], axis=0)
        self._values = {n: v[measured] for n, v in values.items()}
        self.size = int(measured.sum())
        positions = np.nonzero(measured) if self.dims else ()
        self.index = dict(zip(self.dims, positions, strict=True))
        for other, own in (alias or {}).items():
            if self.ds.sizes.get(other) == self.ds.sizes[own]:
                self.index.setdefault(other, self.index[own])

    @classmethod
    def of_samples(cls, source: Source, name: str) -> Frame:
        """Frame of all samples of a variable, also of those without a value."""
        frame = cls(source, [name])
        own = frame._all[name]
        frame.index = dict(
            zip(frame.dims, np.indices(own.shape).reshape(own.ndim, -1), strict=True)
        )
        frame.size = int(own.size)
        frame._values = {}
        return frame

    # ---- ragged arrays

    def contiguous(self, counts: str, dim: str) -> None:
        """Add the instances of a contiguous ragged array.

        Parameters
        ----------
        counts : str
            Variable with the number of samples of each instance.
        dim : str
            Dimension of the samples.

        Raises
        ------
        InputError
            If sizes are negative or sum to more than there is.
        """
        variable = self._all[counts]
        sizes = whole_numbers(variable, counts, missing=0)
        have = self.ds.sizes[dim]
        if sizes.ndim != 1 or (sizes < 0).any() or sizes.sum() > have:
            raise InputError(
                f"row sizes {counts!r} do not fit: they sum to {int(sizes.sum())}, "
                f"dimension {dim!r} has {have}"
            )
        parent = np.full(have, -1, dtype=np.int64)
        parent[: sizes.sum()] = np.repeat(np.arange(sizes.size), sizes)
        self.index[str(variable.dims[0])] = parent[self.index[dim]]

    def indexed(self, name: str, instance: str) -> None:
        """Add the instances of an indexed ragged array.

        Parameters
        ----------
        name : str
            Variable with the instance of each sample, counted from 0.
        instance : str
            Dimension of the instances.

        Raises
        ------
        InputError
            If an index lies outside.
        """
        index = self.gather(name, whole_numbers(self._all[name], name, missing=-1), missing=-1)
        have = self.ds.sizes[instance]
        if index.size and (index.min() < -1 or index.max() >= have):
            hint = "; it seems to count from 1" if (index.min(), index.max()) == (1, have) else ""
            raise InputError(
                f"index {name!r} does not fit: values {int(index.min())} to {int(index.max())}, "
                f"expected 0 to {have - 1}{hint}"
            )
        self.index[instance] = index

    # ---- columns

    def covers(self, name: str, *, chars: bool = False) -> bool:
        """Whether a variable can be spread: its dimensions are known here or of length 1."""
        dims = self._all[name].dims[: -1 if chars else None]
        return all(str(d) in self.index or self.ds.sizes[d] == 1 for d in dims)

    def gather(self, name: str, values: np.ndarray, *, missing: Any) -> np.ndarray:
        """Value of a variable at each level, shape (n,)."""
        return self.gather_dims(
            self._all[name].dims[: values.ndim], values, missing=missing, of=name
        )

    def gather_dims(
        self, dims: Sequence[Hashable], values: np.ndarray, *, missing: Any, of: str = ""
    ) -> np.ndarray:
        """Value of an array with these dimensions at each level, shape (n,)."""
        names = [str(d) for d in dims]
        lost = [d for d in names if d not in self.index and self.ds.sizes[d] != 1]
        if lost:
            raise InputError(
                f"dimension {lost[0]!r} of {of!r} has no relation to those of the "
                f"measurements, {self.dims}"
            )
        if values.size == 0:
            return np.full(self.size, missing)
        if not names:
            return np.full(self.size, values[()])
        nowhere = np.zeros(self.size, dtype=bool)
        at = []
        for dim in names:
            place = self.index.get(dim)
            if place is None:
                place = np.zeros(self.size, dtype=np.int64)
            nowhere |= place < 0
            at.append(np.where(place < 0, 0, place) if (place < 0).any() else place)
        result = values[tuple(at)]
        if nowhere.any():
            result = np.where(nowhere, missing, result)
        return result

    def number(self, name: str, *, fills: bool = True) -> np.ndarray:
        """Numbers, NaN where none, shape (n,)."""
        if name in self._values:
            return self._values[name]
        found = numbers(self._all[name], fills=fills)
        return self.gather(name, found, missing=np.nan)

    def position(self, name: str) -> np.ndarray:
        """Degrees of a latitude or longitude, NaN where none, shape (n,).

        Only declared fills count as nothing: -99 is a longitude, and what is
        none is seen by its range.
        """
        value = self.number(name, fills=False)
        units = str(self._all[name].attrs.get("units", "")).lower()
        return np.rad2deg(value) if units in ("radian", "radians", "rad") else value

    def time(self, name: str) -> np.ndarray:
        """Dates, shape (n,)."""
        found = times(self._all[name])
        missing = None if found.dtype == object else np.datetime64("NaT", "ns")
        return self.gather(name, found, missing=missing)

    def text(self, name: str) -> np.ndarray:
        """Texts, shape (n,)."""
        variable = self._all[name]
        return self.gather(name, texts(variable, chars=self.has_letters(name)), missing="")

    def has_letters(self, name: str) -> bool:
        """Whether the last dimension of a variable counts letters."""
        variable = self._all[name]
        single = variable.dtype.kind == "S" and variable.dtype.itemsize == 1 and variable.ndim > 0
        return bool(single) and str(variable.dims[-1]) not in self.index

    def codes(self, name: str) -> np.ndarray:
        """Codes of flags, -1 where none, shape (n,)."""
        variable = self._all[name]
        if self.has_letters(name):
            joined = texts(variable, chars=True)
            variable = xr.Variable(variable.dims[:-1], joined, variable.attrs)
        elif str(variable.encoding.get("char_dim_name")) in self.index:
            variable = self._split(variable)
            return self.gather_dims(variable.dims, flag_codes(variable), missing=-1)
        return self.gather(name, flag_codes(variable), missing=-1)

    def _split(self, variable: xr.Variable) -> xr.Variable:
        """Flags of which decoding joined the letters along a dimension of levels."""
        dim = str(variable.encoding["char_dim_name"])
        size = self.ds.sizes[dim]
        raw = np.asarray(read(variable)).astype(f"S{size}")
        letters = np.ascontiguousarray(raw).reshape(*raw.shape, 1).view("S1")
        return xr.Variable((*variable.dims, dim), letters[..., :size], variable.attrs)

    def flags(
        self, name: str, scheme: str | Scheme, what: str = ""
    ) -> tuple[np.ndarray, np.ndarray]:
        """Flags of the table and reasons, the latter beginning with `what`."""
        qc, reason = map_flags(self.codes(name), scheme)
        if what:
            told = reason != ""
            for text in set(reason[told]):
                reason[reason == text] = f"{what}: {text}"
        return qc, reason


def whole_numbers(variable: xr.Variable, name: str, *, missing: int) -> np.ndarray:
    """Counts and indices as int64, those that are fills as `missing`.

    Raises
    ------
    InputError
        If there are other numbers than whole ones.
    """
    values = numbers(variable, fills=False)
    nothing = np.isnan(values)
    if nothing.any() and not _may_miss(variable):
        raise InputError(f"{name!r} should hold whole numbers")
    values = np.where(nothing, missing, values)
    if (values != np.floor(values)).any() or (np.abs(values) > 2**53).any():
        raise InputError(f"{name!r} should hold whole numbers")
    return values.astype(np.int64)


def _may_miss(variable: xr.Variable) -> bool:
    """Whether a variable has fills, also one whose fills were decoded."""
    return (
        variable.dtype.kind == "f"
        or bool({"_FillValue", "missing_value"} & {*variable.attrs, *variable.encoding})
    )  # fmt: skip
