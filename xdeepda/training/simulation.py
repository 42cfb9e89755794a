"""Truths of a run and simulated observations of them, as tensors."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xdeepda.bridge import Tensors
from xdeepda.climatology import anomalies
from xdeepda.core.state import Observed
from xdeepda.source import HOLD_BYTES, RunSource

#: Segments that are read ahead take at most this many bytes.
AHEAD_BYTES = 2**29
#: So many of the last segments are remembered, to see which are gone on with.
_REMEMBERED = 256


class TruthReader:
    """Normalised anomalies of a run by position, held in memory or read in segments.

    Where a segment follows one that was read before, the next one is read in a thread
    while the device is at work on this one.

    Parameters
    ----------
    source : RunSource
    tensors : Tensors
    hold : bool
        Hold a run that fits and is not one of dask.
    """

    def __init__(self, source: RunSource, tensors: Tensors, hold: bool = True) -> None:
        self.source, self.tensors = source, tensors
        bytes_needed = 4 * len(source) * int(np.prod(source.shape))
        self._held: Tensor | None = None
        if hold and not source.is_chunked and bytes_needed <= HOLD_BYTES:
            blocks = [self._load(first, first + len(b)) for first, b in source.blocks()]
            self._held = torch.cat(blocks)
        self._ahead: dict[tuple[int, int], Future[Tensor]] = {}
        self._ends: deque[int] = deque(maxlen=_REMEMBERED)
        self._pool: ThreadPoolExecutor | None = None

    def _load(self, start: int, stop: int) -> Tensor:
        """Read positions from the source."""
        values = anomalies(self.source, self.tensors.climatology, self.tensors.wet, start, stop)
        return self.tensors.normalise(values)

    def read(self, start: int, stop: int) -> Tensor:
        """Truth of positions start to stop, shape (n, C, Y, X)."""
        if self._held is not None:
            return self._held[start:stop]
        begun = self._ahead.pop((start, stop), None)
        out = self._load(start, stop) if begun is None else begun.result()
        if start in self._ends:
            self._begin(stop, 2 * stop - start)
        self._ends.append(stop)
        return out

    def _begin(self, start: int, stop: int) -> None:
        """Begin to read a segment that will probably be wanted."""
        room = AHEAD_BYTES // (4 * (stop - start) * int(np.prod(self.source.shape)))
        if stop > len(self.source) or not room:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="xdeepda-ahead")
        while len(self._ahead) >= room:  # of sequences that were begun anew
            self._ahead.pop(next(iter(self._ahead))).cancel()
        self._ahead[start, stop] = self._pool.submit(self._load, start, stop)


@dataclass
class Simulator:
    """Draws simulated observations of a truth through a network, anew at each call.

    Attributes
    ----------
    tensors : Tensors
    network : bound network, see :class:`xdeepda.observations.network.BoundNetwork`
    source : RunSource
        For the cycles and their place in the year.
    scales : numpy.ndarray, shape (variable,)
        Factors that take the errors of the network to the units of the run.
    """

    tensors: Tensors
    network: Any
    source: RunSource
    scales: np.ndarray

    def __call__(
        self,
        truth: Tensor,
        positions: np.ndarray,
        rng: np.random.Generator,
        groups: np.ndarray | None = None,
        own: np.ndarray | None = None,
    ) -> Observed:
        """Observe truths (B, C, Y, X) at positions (B,) in the run.

        Rows of the same of the `groups` (B,) are observed in the same cells.  Where the
        truths are only those of the rows `own`, the others are drawn as well, and left.
        """
        index = self.source.cycles[positions]
        rows, drawn = [], {}
        groups = np.arange(len(index)) if groups is None else groups
        for number, group in zip(index, groups, strict=True):
            if group not in drawn:
                cell, error, _ = self.network.draw(int(number), rng)
                drawn[group] = cell, error * self.scales[cell // self.tensors.wet[0].size]
            cell, error = drawn[group]
            noise = rng.standard_normal(len(cell)) * error
            rows.append((cell, noise, error))
        if own is not None:
            index, rows = index[own], [rows[n] for n in own]
        fraction = self.source.cycle.year_fraction(index, self.source.calendar)
        observed = self.tensors.scatter(rows, fraction)
        return observed._replace(value=observed.value + truth * observed.mask)
