"""Arrays of the classical baselines, fitted to the anomalies of a control run.

Ensembles of anomalies, leading EOFs in area-weighted normalised units, and a linear
inverse model of their coefficients, by an operator of neighbouring cells or a regression.
Knows numpy and the sources of cycle means; the run is read in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from xdeepda.climatology import anomalies
from xdeepda.training.dynamics import applied, coefficients_of, neighbours, sums_of
from xdeepda.training.preparation import Prepared

#: EOFs are those of so many cycles at least (if there are), and for each EOF.
SNAPSHOTS, PER_PATTERN = 500, 4
#: Ridges of the inverse model that are tried, and parts of the run that test them.
RIDGES = (0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 5.0, 20.0, 1e3)
FOLDS = 4
#: Largest modulus of an eigenvalue of a linear inverse model: anomalies fade.
FADING = 0.999


class Anomalies:
    """Normalised anomalies of the training cycles, cells of the sea as vectors.

    Parameters
    ----------
    prepared : Prepared
    without : (int, int), optional
        Training cycles, first and last but one, that are left out.  What is fitted to pairs
        of consecutive cycles takes those on both sides of them for a pair, one of hundreds.
    stored : (numpy.ndarray, numpy.ndarray), optional
        Cells of the sea that are looked at, numbers among them, and their weights; by
        default all, by their area.
    apart : (int, int)
        Rows and columns from one of these cells to the next.
    """

    def __init__(
        self,
        prepared: Prepared,
        without: tuple[int, int] = (0, 0),
        stored: tuple[np.ndarray, np.ndarray] | None = None,
        apart: tuple[int, int] = (1, 1),
    ) -> None:
        self.prepared, self.gap, self.apart = prepared, without, apart
        self.count = prepared.split - (without[1] - without[0])
        channels = prepared.wet.shape[0] * prepared.wet.shape[1]
        wet = prepared.wet.reshape(channels, -1)
        #: Flat numbers of the cells, (n,).
        self.cells = np.flatnonzero(wet)
        if stored is not None:
            self.cells = self.cells[stored[0]]
        scale = prepared.statistics.scale[:, None]
        self.scale = np.broadcast_to(scale, wet.shape).ravel()[self.cells].astype(np.float32)
        area = prepared.source.grid.area.ravel() * wet
        weight = area / np.maximum(area.sum(axis=1, keepdims=True), 1e-30)
        #: Area weights, of sum 1 in every channel; (n,).
        self.weight = weight.ravel()[self.cells].astype(np.float32)
        if stored is not None:
            self.weight = stored[1].astype(np.float32)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Anomalies of positions start to stop; float32 (cycles, n)."""
        p, (first, last) = self.prepared, self.gap
        parts = [(start, min(stop, first)), (max(start, first) + last - first, stop + last - first)]
        read = [
            anomalies(p.source, p.climatology, p.wet, *part) for part in parts if part[0] < part[1]
        ]
        values = read[0] if len(read) == 1 else np.concatenate(read)
        return values.reshape(len(values), -1)[:, self.cells] / self.scale

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Training cycles start to stop, some at a time, with the position of the first."""
        stop = self.count if stop is None else stop
        step = self.prepared.source.block
        for first in range(start, stop, step):
            yield first, self.read(first, min(first + step, stop))

    def pick(self, number: int) -> np.ndarray:
        """Anomalies of `number` cycles, spread over the run and over the seasons; (number, n)."""
        wanted = spread(self.count, number)
        parts = []
        for start, block in self.blocks():
            inside = wanted[(wanted >= start) & (wanted < start + len(block))]
            parts.append(block[inside - start])
        return np.concatenate(parts)


def spread(count: int, number: int) -> np.ndarray:
    """`number` of `count` positions, one at random in each of as many equal parts.

    Equal steps would meet the same seasons again and again.
    """
    rng = np.random.default_rng(0)
    edges = np.linspace(0, count, number + 1)
    drawn = rng.uniform(edges[:-1], edges[1:]).astype(np.int64)
    # a part may be no longer than one position: keep them different
    drawn = np.maximum.accumulate(drawn - np.arange(number)) + np.arange(number)
    last = count - number + np.arange(number)
    return np.asarray(np.minimum(drawn, last))


def roots_of(states: np.ndarray) -> np.ndarray:
    """Roots of the sample correlation: rows of length 1 of cells; (cycles, n) -> (n, cycles)."""
    roots = states.T.astype(np.float64)
    length = np.linalg.norm(roots, axis=1, keepdims=True)
    roots /= np.where(length > 0, length, 1.0)
    return np.ascontiguousarray(roots, dtype=np.float32)


@dataclass(frozen=True)
class Patterns:
    """Leading EOFs, and the linear inverse model of their coefficients.

    Attributes
    ----------
    patterns : numpy.ndarray, shape (n, k)
        Orthonormal under the area weights.
    operator, noise : numpy.ndarray, shape (k, k)
    spectrum : numpy.ndarray, shape (k,)
        Variance of the coefficients.
    """

    patterns: np.ndarray
    operator: np.ndarray
    noise: np.ndarray
    spectrum: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array of float32, for the module."""
        return {f"filter.{k}": np.asarray(v, dtype=np.float32) for k, v in vars(self).items()}


def snapshot_number(cycles: int, patterns: int) -> int:
    """How many cycles the EOFs are made of."""
    return min(cycles, max(SNAPSHOTS, PER_PATTERN * patterns))


class Snapshots:
    """Weighted anomalies of cycles spread over a run, and EOFs of all or some of them.

    Parameters
    ----------
    run : Anomalies
    number : int
        EOFs, fewer than cycles.
    """

    def __init__(self, run: Anomalies, number: int) -> None:
        self.number = number
        count = snapshot_number(run.count, number)
        self.positions = spread(run.count, count)
        self.root = np.sqrt(np.maximum(run.weight, 1e-30))
        self.weighted = run.pick(count)
        self.weighted *= self.root
        self.gram = (self.weighted @ self.weighted.T).astype(np.float64)

    def eofs(self, keep: np.ndarray | None = None) -> np.ndarray:
        """Leading EOFs of the snapshots `keep` (all by default); float32 (n, number).

        Orthonormal under the area weights.
        """
        kept = np.arange(len(self.gram)) if keep is None else np.flatnonzero(keep)
        values, vectors = np.linalg.eigh(self.gram[np.ix_(kept, kept)])
        values, vectors = values[::-1][: self.number], vectors[:, ::-1][:, : self.number]
        leading = np.zeros((len(self.gram), vectors.shape[1]), dtype=np.float32)
        leading[kept] = vectors / np.sqrt(np.maximum(values, 1e-12))
        return np.asarray(self.weighted.T @ leading / self.root[:, None])


def fit_patterns(run: Anomalies, snapshots: Snapshots, neighbours: bool) -> Patterns:
    """EOFs of a run and a linear inverse model of one cycle.

    Its operator is that of neighbouring cells, as it acts on the EOFs, or else a regression of
    their coefficients.
    """
    patterns = snapshots.eofs()
    series = coefficients(run, patterns)
    deviation = np.sqrt(np.maximum((series**2).mean(axis=0), 1e-30))
    fit = near_model(run, patterns, series) if neighbours else coupled_model(series)
    return Patterns(patterns, fit[0], noise_of(fit[1], deviation), deviation**2)


def coefficients(run: Anomalies, patterns: np.ndarray) -> np.ndarray:
    """Coefficients of the training cycles, float64 (cycles, k)."""
    projector = run.weight[:, None] * patterns
    return np.concatenate([block @ projector for _, block in run.blocks()]).astype(np.float64)


def parts_of_pairs(pairs: int) -> np.ndarray:
    """Part of a run, one of ``FOLDS``, that each pair of consecutive cycles belongs to."""
    return np.arange(pairs) * FOLDS // max(pairs, 1)


def near_model(
    run: Anomalies, patterns: np.ndarray, series: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Operator by which cells follow their neighbours, as it acts on patterns.

    A regression of the coefficients on each other would predict better from states that are
    known well, and worse from analyses.

    Parameters
    ----------
    run : Anomalies
    patterns : numpy.ndarray, shape (n, k)
    series : numpy.ndarray, shape (cycles, k)
        Coefficients of the run.

    Returns
    -------
    operator : numpy.ndarray, shape (k, k)
    missed : numpy.ndarray, shape (cycles - 1, k)
        What is not predicted of each part of the run by an operator of the others.
    """
    shape, cyclic = run.prepared.wet.shape, run.prepared.source.grid.cyclic
    part = parts_of_pairs(len(series) - 1)
    sums = sums_of(neighbours(run.cells, shape, run.apart, cyclic), run.blocks(), part)
    projector = (run.weight[:, None] * patterns).T

    def operator(left_out: int | None) -> np.ndarray:
        near = coefficients_of(*sums.but(left_out))
        return fading((projector @ applied(near, sums.around, patterns)).astype(np.float64))

    missed = np.empty_like(series[1:])
    for left_out in np.unique(part):
        rows = part == left_out
        missed[rows] = series[1:][rows] - series[:-1][rows] @ operator(left_out).T
    return operator(None), missed


def coupled_model(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Operator of a regression of each state on the one before.

    Not the memory of each coefficient but its couplings with others are held small, as much
    as predicts best the quarters of the run that were left out.

    Parameters
    ----------
    series : numpy.ndarray, shape (cycles, k)

    Returns
    -------
    operator, missed : numpy.ndarray
        As of :func:`near_model`.
    """
    deviation = np.sqrt(np.maximum((series**2).mean(axis=0), 1e-30))
    before, after = series[:-1] / deviation, series[1:] / deviation
    part = parts_of_pairs(len(before))
    missed = np.empty((len(RIDGES), *before.shape))
    for number, ridge in enumerate(RIDGES):
        for left_out in range(FOLDS):
            mine, theirs = part != left_out, part == left_out
            operator = _regression(before[mine], after[mine], ridge)
            missed[number, theirs] = (after[theirs] - before[theirs] @ operator.T) * deviation
    best = int(np.argmin((missed**2).sum(axis=(1, 2))))
    operator = _regression(before, after, RIDGES[best])
    return fading(operator * (deviation[:, None] / deviation[None, :])), missed[best]


def _regression(before: np.ndarray, after: np.ndarray, ridge: float) -> np.ndarray:
    """Operator from `before` to `after`, its couplings held down by `ridge`."""
    square = before.T @ before
    size = np.maximum(np.diag(square), 1e-30)
    alone = (before * after).sum(axis=0) / size
    couplings = np.linalg.solve(square + ridge * np.diag(size), before.T @ (after - before * alone))
    return np.asarray(np.diag(alone) + couplings.T)


def fading(operator: np.ndarray) -> np.ndarray:
    """Operator under which anomalies fade."""
    largest = np.abs(np.linalg.eigvals(operator)).max()
    return np.asarray(operator * min(1.0, FADING / max(largest, 1e-30)))


def noise_of(missed: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Covariance (k, k) of what an operator misses (cycles - 1, k), positive definite."""
    values, vectors = np.linalg.eigh(shrunk_covariance(missed / deviation))
    noise = (vectors * np.maximum(values, 1e-4)) @ vectors.T
    return np.asarray(noise * np.outer(deviation, deviation))


def shrunk_covariance(x: np.ndarray) -> np.ndarray:
    """Covariance of rows (cycles, k) with correlations that are as small as few rows demand.

    Correlations are multiplied by one number, which makes the expected error least.

    References
    ----------
    Schäfer & Strimmer (2005), doi:10.2202/1544-6115.1175.
    """
    deviation = np.sqrt(np.maximum((x**2).mean(axis=0), 1e-30))
    normal = x / deviation
    correlation = normal.T @ normal / len(x)
    square = normal**2
    uncertain = (square.T @ square / len(x) - correlation**2) / max(len(x) - 1, 1)
    apart = ~np.eye(x.shape[1], dtype=bool)
    size = (correlation[apart] ** 2).sum()
    shrink = 1.0 if size <= 0 else float(np.clip(uncertain[apart].sum() / size, 0.0, 1.0))
    correlation *= np.where(apart, 1.0 - shrink, 1.0)
    return np.asarray(correlation * np.outer(deviation, deviation))


@dataclass
class Rest:
    """What the EOFs leave of a run that they were not made of.

    Attributes
    ----------
    variance : numpy.ndarray, shape (n,)
    memory : numpy.ndarray, shape (n,)
        Correlation of one cycle with the next.
    states : numpy.ndarray, shape (ensemble, n)
        Some of it, spread over the run.
    """

    variance: np.ndarray
    memory: np.ndarray
    states: np.ndarray


def fit_rest(run: Anomalies, snapshots: Snapshots, ensemble: int) -> Rest:
    """What EOFs leave of the parts of a run, each seen with EOFs of the other parts.

    EOFs hold nearly all of the cycles that they were made of, and much less of others.

    Parameters
    ----------
    run : Anomalies
    snapshots : Snapshots
    ensemble : int
        States to return.
    """
    fold = snapshots.positions * FOLDS // run.count
    wanted = spread(run.count, ensemble)
    square, lagged, before = np.zeros((3, len(run.cells)))
    states = []
    for part in range(FOLDS):
        patterns = snapshots.eofs(fold != part)
        projector = run.weight[:, None] * patterns
        start, stop = (-(-run.count * f // FOLDS) for f in (part, part + 1))
        last = None
        for first, block in run.blocks(start, stop):
            block -= (block @ projector) @ patterns.T
            states.append(block[wanted[(wanted >= first) & (wanted < first + len(block))] - first])
            chain = block if last is None else np.concatenate([last, block])
            lagged += np.einsum("tn,tn->n", chain[1:], chain[:-1])
            before += np.einsum("tn,tn->n", chain[:-1], chain[:-1])
            square += np.einsum("tn,tn->n", block, block)
            last = block[-1:]
    memory = np.clip(lagged / np.maximum(before, 1e-30), 0.0, 0.999)
    return Rest(np.maximum(square / run.count, 1e-4), memory, np.concatenate(states))


def fit_arrays(run: Anomalies, settings: dict[str, Any], *, of_rest: bool) -> dict[str, np.ndarray]:
    """Arrays of a reduced filter, of an ensemble covariance, or of both.

    Parameters
    ----------
    run : Anomalies
    settings : dict
        With ``patterns`` and ``neighbours`` for a filter, ``ensemble`` for a covariance.
    of_rest : bool
        Whether the ensemble is one of what the patterns leave.
    """
    arrays: dict[str, np.ndarray] = {}
    states: np.ndarray | None = None
    if "patterns" in settings:
        snapshots = Snapshots(run, settings["patterns"])
        rest = fit_rest(run, snapshots, settings.get("ensemble", 2))
        arrays |= fit_patterns(run, snapshots, settings["neighbours"]).arrays()
        arrays["filter.rest"] = rest.variance.astype(np.float32)
        if of_rest:
            arrays["rest_memory"] = rest.memory.astype(np.float32)
            states = rest.states
    if "ensemble" in settings:
        grid = run.prepared.source.grid
        ny, nx = run.prepared.wet.shape[2:]
        latitude = np.zeros(ny) if grid.lat is None else np.deg2rad(grid.lat)
        longitude = np.zeros(nx) if grid.lon is None else np.deg2rad(grid.lon)
        arrays |= {
            "covariance.roots": roots_of(
                run.pick(settings["ensemble"]) if states is None else states
            ),
            "covariance.latitude": latitude.astype(np.float32),
            "covariance.longitude": longitude.astype(np.float32),
        }
    return arrays
