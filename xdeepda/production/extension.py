"""A stored analysis that is gone on with: what it was left with, and the store made longer.

The fields are lengthened and written behind those that are there; the description that
readers go by is renewed last, in one file that is renamed, so that they see the analysis
as it was until it is complete.  Knows stores, labels and cycles; calculates nothing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.analysis import Labels
from xdeepda.climatology import Climatology
from xdeepda.errors import InputError, Problems
from xdeepda.model import Model
from xdeepda.production.account import Account
from xdeepda.production.identity import hash_of
from xdeepda.production.restart import FOLDER, Keeper, Restart
from xdeepda.production.store import Store
from xdeepda.request import Gathered, Inputs, positions_of, wanted_cycles
from xdeepda.source import RunSource

logger = logging.getLogger("xdeepda")

#: What to do where there is nothing to go on from.
HOW_TO = (
    "assimilate(..., store='analysis.zarr') makes an analysis that can be gone on with; from "
    "other ones only the written state can be: assimilate(analysis.isel(time=-1), obs, model=...)"
)


@dataclass(frozen=True)
class Left:
    """What a stored analysis was left with.

    Attributes
    ----------
    request : dict of str
        What the store was asked for last.
    machine : dict of str
    pending : bool
        Whether that is an update that was interrupted.
    last : Restart
        The end of the complete analysis.
    template : Dataset
        Its last cycle, whose labels the next ones take.
    """

    request: dict[str, str]
    machine: dict[str, str]
    pending: bool
    last: Restart
    template: xr.Dataset

    @property
    def wanted(self) -> np.ndarray:
        """Cycles that are given out, absolute numbers."""
        return self.last.arrays["wanted"]

    @property
    def hash(self) -> str:
        """Hash of the request of the complete analysis."""
        return str(self.last.notes["request"])

    @property
    def members(self) -> int:
        """Members of each model."""
        return len(self.last.arrays["0/state/mean"])

    @property
    def keep_members(self) -> bool:
        """Whether they are given out."""
        return self.request["members"].endswith("kept")

    @property
    def seed(self) -> int:
        """Seed of the analysis."""
        return int(self.request["seed"])

    @property
    def rows(self) -> int:
        """Rows of its ledger."""
        return int(self.last.notes["rows"])

    def climatologies(self, models: Sequence[Model]) -> list[Climatology]:
        """What anomalies are taken from by each model."""
        names = [f"climatology/{number}" for number in range(len(models))]
        return [
            Climatology(self.last.arrays[name]) if name in self.last.arrays else model.climatology
            for name, model in zip(names, models, strict=True)
        ]


def place_of(analysis: Any, store: Any, problems: Problems) -> Path | None:
    """Folder of the store of an analysis; None with a problem."""
    given = store
    if given is None and isinstance(analysis, (xr.Dataset, xr.DataArray)):
        given = analysis.encoding.get("source")
        if given is None:
            problems.add(
                "the analysis is not known to be in a store",
                found="an object in memory, or one that forgot where it was read from",
                todo=f"name its folder: store='analysis.zarr'; {HOW_TO}",
            )
            return None
    given = analysis if given is None else given
    try:
        path = Path(given).absolute()
    except TypeError:
        problems.add(
            "this is no stored analysis",
            found=type(given).__name__,
            expected="a Dataset that was opened from a store, or the path of one",
        )
        return None
    if not path.is_dir() or not (path / FOLDER).is_dir():
        problems.add(
            "this is no analysis that was written with store=", found=str(path), todo=HOW_TO
        )
        return None
    return path


def left_of(keeper: Keeper, given: Any, problems: Problems) -> Left | None:
    """What a stored analysis was left with; None with a problem.

    `given` is the user's object: its quantities of pint are those of the result.
    """
    found, last = keeper.request(), keeper.load_last()
    if found is None:
        problems.add("the analysis was not begun", found=str(keeper.store), todo=HOW_TO)
        return None
    request, complete = found["wanted"], found["complete"]
    at_its_end = last is not None and last.notes.get("request") == hash_of(request)
    if at_its_end and not complete:
        # it was stopped between its last two steps
        keeper.write_request(request, found["machine"], complete=True)
        complete = True
    if not complete and "continues" not in request:
        problems.add(
            "the analysis is not complete",
            found=str(keeper.store),
            todo="call assimilate again with the same arguments: it goes on where it was",
        )
        return None
    ours = last is not None and last.notes.get("request") == request.get("continues")
    if last is None or not (at_its_end or (ours and not complete)):
        problems.add(
            "the store does not keep where the analysis ends",
            found=f"{keeper.store}, by a smoother, in streams, by an earlier version, or damaged",
            todo=HOW_TO,
        )
        return None
    template = _template(keeper.store, request["calendar"], last, given)
    return Left(request, found["machine"], not complete, last, template)


def _template(path: Path, calendar: str, last: Restart, given: Any) -> xr.Dataset:
    """Last cycle of the analysis, with the members of one model."""
    coder = xr.coders.CFDatetimeCoder(use_cftime=calendar != "standard", time_unit="us")
    ds = xr.open_zarr(path, consolidated=True, decode_times=coder)
    texts = [n for n, c in ds.coords.items() if c.size and isinstance(c.values.flat[0], str)]
    # of no fixed width in the store
    ds = ds.assign_coords({n: ds[n].copy(data=np.array(ds[n].values.tolist())) for n in texts})
    time = next(str(n) for n, c in ds.coords.items() if c.attrs.get("axis") == "T")
    ds = ds.isel({time: slice(-1, None)})
    pairs = [(ds[n].dims, ds[f"{n}_spread"].dims) for n in ds.data_vars if f"{n}_spread" in ds]
    member = next((d for mine, theirs in pairs for d in mine if d not in theirs), None)
    if member is not None:
        # members of several models follow each other
        ds = ds.isel({member: slice(0, len(last.arrays["0/state/mean"]))})
        ds = ds.drop_vars("model", errors="ignore")
    if isinstance(given, xr.Dataset):
        same = [n for n in ds.data_vars if n in given and unit_tools.is_quantified(given[n])]
        ds = ds.assign({n: unit_tools.requantify(ds[n], given[n]) for n in same})
        ds = unit_tools.requantify_axes(ds, given)
    return ds


def extended(
    left: Left,
    source: RunSource,
    models: Sequence[Model],
    lead: Model,
    gathered: Gathered,
    times: Any,
    problems: Problems,
    before: Mapping[str, int] | None = None,
) -> Inputs | None:
    """Inputs of the whole period, of which the last part is new; None with a problem.

    Parameters
    ----------
    left : Left
    source : RunSource
        Of the template.
    models, lead, gathered, times
        See :func:`xdeepda.request.prepare`.
    problems : Problems
    before : dict of int, optional
        Number of cycles (``position``) and of those given out (``count``) from where to go on
        in place of the end.
    """
    cells, calendar = gathered.cells, left.request["calendar"]
    count = len(left.wanted) if before is None else before["count"]
    position = left.last.position if before is None else before["position"]
    done = left.wanted[:count]
    end = int(done[-1])
    if cells is None:
        return None
    if not _one_calendar(gathered.calendar, calendar):
        problems.add(
            "the observations are in another calendar than the analysis",
            found=f"{gathered.calendar!r} and {calendar!r}",
            todo="obs.convert_calendar(...)",
        )
        return None
    if cells.last <= end:
        _refuse_late(cells, end, lead, calendar, problems)
        return None
    new: np.ndarray | None = np.arange(end + 1, cells.last + 1)
    if times is None:
        _check_gap(cells, end, lead, calendar, problems)
    else:
        new = wanted_cycles(times, lead, gathered.calendar, cells, problems)
    if new is None:
        return None
    if new[0] <= end:
        problems.add(
            "times= begins within the stored analysis",
            found=str(_middle(lead, int(new[0]), calendar)),
            expected=f"after {_middle(lead, end, calendar)}",
        )
    if gathered.records is not None:
        gathered.records.close(int(new[-1]), end + 1)
    cycles = np.arange(end + 1 - position, int(new[-1]) + 1)
    return Inputs(
        source, models, lead, cells, positions_of(cells, lead), cycles,
        np.concatenate([done, new]), calendar, left.climatologies(models), gathered.records,
    )  # fmt: skip


def _check_gap(cells: Any, end: int, lead: Model, calendar: str, problems: Problems) -> None:
    """Refuse to go on where nothing was observed for a year, which is hardly meant."""
    first = next(n for n in range(end + 1, cells.last + 1) if cells.at(n)[0].size)
    if (gap := first - end - 1) >= lead.cycle.per_year:
        problems.add(
            f"{gap} {lead.cycle.name}s without any observation follow on the stored analysis",
            found=f"its end {_middle(lead, end, calendar)}, observations from "
            f"{_middle(lead, first, calendar)}",
            todo="give what was observed between; or name all cycles, times=..., if nothing was",
        )


def tell_of_the_joint(inputs: Inputs, start: int) -> None:
    """Say in the log what cannot be used, and what is bridged without observations."""
    cells, lead, end = inputs.cells, inputs.lead, int(inputs.cycles[start]) - 1
    calendar = inputs.calendar
    if late := len(cells) - cells.after(end):
        logger.warning(
            "update: %d of %d superobservations are of cycles that are analysed already (until "
            "%s) and are not used; with them that period would have to be analysed anew, into "
            "another store", late, len(cells), _middle(lead, end, calendar),
        )  # fmt: skip
    if later := cells.after(int(inputs.cycles[-1])):
        logger.info("update: %d superobservations after the last output time not used", later)
    numbers = map(int, inputs.cycles[start:])
    gap = next((n for n in numbers if cells.at(n)[0].size), end + 1) - end - 1
    if gap:
        logger.warning(
            "update: nothing was observed in %d %ss after the end of the stored analysis, %s; "
            "they are analysed without, and what arrives of them later cannot be used",
            gap, lead.cycle.name, _middle(lead, end, calendar),
        )  # fmt: skip


def _refuse_late(cells: Any, end: int, lead: Model, calendar: str, problems: Problems) -> None:
    """Say that all observations are of cycles that are analysed already."""
    problems.add(
        "all observations are of cycles that are analysed already",
        found=f"{len(cells)} superobservations from {_middle(lead, cells.first, calendar)} to "
        f"{_middle(lead, cells.last, calendar)}",
        expected=f"some after {_middle(lead, end, calendar)}, the end of the stored analysis",
        todo="give what has arrived since; late data of earlier cycles can only be used by "
        "analysing that period anew, into another store",
    )


def _middle(model: Model, number: int, calendar: str) -> Any:
    """Middle of a cycle."""
    return model.cycle.middle([number], calendar)[0]


def _one_calendar(a: str, b: str) -> bool:
    """Whether times of both can be on one axis."""
    plain = {"standard": "gregorian", "proleptic_gregorian": "gregorian"}
    return plain.get(a, a) == plain.get(b, b)


class Extension(Store):
    """The store of a complete analysis, made longer.

    Parameters
    ----------
    keeper : Keeper
        Which holds the lock.
    labels, inputs, account
        See :class:`Store`; of the whole period.
    left : Left
    """

    def __init__(
        self, keeper: Keeper, labels: Labels, inputs: Inputs, account: Account, left: Left
    ) -> None:
        super().__init__(keeper.store, labels, inputs, account)
        self.keeper, self.left = keeper, left
        self.begin = self.written = len(left.wanted)
        self.chunk = self._chunk_of_time()
        self.noted = {"before": {"position": left.last.position, "count": len(left.wanted)}}

    def _chunk_of_time(self) -> int:
        """Cycles of a chunk of the fields, which must be those of the analysis."""
        group = self._group()
        wrong = []
        for name in self.fields:
            da, array = self._one[name], group.get(name)
            time = da.dims.index(self.labels.time)
            rest = [n for d, n in da.sizes.items() if d != self.labels.time]
            there = None if array is None else [n for i, n in enumerate(array.shape) if i != time]
            if there != rest or array.metadata.dimension_names != da.dims:
                wrong.append(name)
        if wrong:
            raise InputError(
                f"update: {wrong} of {self.path} are not as the analysis was written; was it "
                "changed since?"
            )
        return int(group[self.fields[0]].chunks[self._one[self.fields[0]].dims.index(self._time)])

    @property
    def _time(self) -> str:
        """Name of the time axis."""
        return self.labels.time

    def _group(self) -> Any:
        """Group of the store, by the descriptions of the arrays themselves."""
        import zarr

        return zarr.open_group(self.path, mode="r+", use_consolidated=False)

    def open(self, request: Mapping[str, str], machine: Mapping[str, str]) -> None:
        """Make the fields longer, or find out where an interrupted update is gone on with.

        Parameters
        ----------
        request, machine : dict of str
            See :meth:`Store.open`.

        Raises
        ------
        StoreError
            If the store cannot be written.
        """
        left = self.left
        self._request, self._machine = dict(request), dict(machine)
        try:
            if not left.pending or left.request != self._request:
                if left.pending:
                    logger.warning(
                        "update: the one that was interrupted had other observations or cycles; "
                        "it is begun anew after %s",
                        _middle(self.labels.model, int(left.wanted[-1]), self.labels.calendar),
                    )
                self.keeper.clean()
                self.keeper.write_request(self._request, self._machine, complete=False)
            self._go_on({"complete": False, "machine": left.machine})
            self._lengthen()
        except OSError as error:
            raise self._failure(error) from None

    def _resume(self) -> None:
        """Take over the newest restart, or the end of the complete analysis."""
        super()._resume()
        if self.restart is None:
            self.restart, self.start = self.left.last, self.left.last.position

    def _lengthen(self) -> None:
        """Make fields and times as long as they will be; readers do not see it yet."""
        group, size = self._group(), len(self.wanted)
        times = self.labels.with_times(xr.Dataset(), self.wanted)
        like = group[self._time].attrs
        for name in [*self.fields, self._time, f"{self._time}_bnds"]:
            array = group[name]
            at = array.metadata.dimension_names.index(self._time)
            shape = tuple(size if i == at else n for i, n in enumerate(array.shape))
            if shape != array.shape:
                array.resize(shape)
            if name not in self.fields:
                coord = times[name].copy()
                coord.encoding |= {"units": like["units"], "calendar": like["calendar"]}
                array[self.begin :] = _encoded(coord)[self.begin :]

    def finish(self) -> xr.Dataset:
        """Show the longer analysis to readers, and return it, lazy."""
        import zarr

        self._settle()
        try:
            with warnings.catch_warnings():
                # of the folder that is not zarr's own
                warnings.filterwarnings("ignore", message="Object at .xdeepda")
                warnings.filterwarnings("ignore", message="Consolidated metadata")
                zarr.consolidate_metadata(self.path)
            group = zarr.open_group(self.path, mode="r+")
            if group.attrs.get("history") != (history := self.labels.attributes["history"]):
                group.attrs["history"] = history
        except OSError as error:
            raise self._failure(error) from None
        return self._opened()

    def opened(self) -> xr.Dataset:
        """The analysis as it is, lazy."""
        return self._opened()


def _encoded(coord: xr.DataArray) -> np.ndarray:
    """Numbers that times are stored as."""
    return np.asarray(xr.conventions.encode_cf_variable(coord.variable).values)
