"""Observing networks of the proving grounds, drawn anew for every cycle and every caller.

The two networks of the OSSE:

Errors of the observations: 0.3 K at the surface, 0.25 K at 100 m, 0.05 K below
700 m, linear between.

*sparse*: each month 30 % of the surface cells between 60 S and 60 N, on tracks;
profiles to 460 m in 4 % of the columns, three quarters of them north of the equator.
*dense*: 80 % of all surface cells; profiles to the bottom in 20 % of the columns,
and moorings on the equator from 165 E to 95 W every month.

That of a section: 40 % of the surface cells, and profiles to 500 m in 10 % of the columns.
And that of the linear ocean, ``LinearOcean.observation_masks``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xdeepda.calendar import Cycle
from xdeepda.datasets import LinearOcean
from xdeepda.grid import Grid

#: Longitudes of the moorings on the equator.
MOORINGS = (165.0, 180.0, 190.0, 205.0, 220.0, 235.0, 250.0, 265.0)


def error_at(depth: np.ndarray) -> np.ndarray:
    """Standard deviation of the error of an observation (K)."""
    return np.interp(depth, [0.0, 100.0, 700.0], [0.3, 0.25, 0.05])


@dataclass(frozen=True)
class GridNetwork:
    """A network defined by fractions of cells, for one grid and monthly cycles."""

    name: str  # "sparse" or "dense"

    def on(
        self, grid: Grid, cycle: Cycle, calendar: str, variables: Sequence[str], wet: np.ndarray
    ) -> BoundGridNetwork:
        """Place the network on a grid; only the first variable is measured."""
        return BoundGridNetwork(self.name, grid, wet[0])


class BoundGridNetwork:
    """The network on a grid."""

    def __init__(self, name: str, grid: Grid, wet: np.ndarray) -> None:
        assert grid.depth is not None
        assert grid.lat is not None
        self.dense = name == "dense"
        self.grid, self.wet = grid, wet
        self.error = error_at(grid.depth)
        north = grid.lat > 0
        columns = wet[0]
        # three quarters of the profiles in the north, 4 % of the columns in all
        share = np.where(north, 0.75, 0.25)[:, None]
        count = np.where(north[:, None], columns[north].sum(), columns[~north].sum())
        fraction = 0.04 * columns.sum() * share / count
        self.profiles = np.full(columns.shape, 0.2) if self.dense else fraction * columns
        self.reach = grid.depth <= (np.inf if self.dense else 460.0)
        self.belt = columns & (np.abs(grid.lat) < 60)[:, None]
        self.moored = np.zeros(columns.shape, dtype=bool)
        if self.dense:
            j = int(np.argmin(np.abs(grid.lat)))
            i = grid.locate(grid.depth[0], grid.lat[j], np.array(MOORINGS)) % columns.shape[1]
            self.moored[j, i] = True

    def draw(
        self, index: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observed cells, errors and counts of one month."""
        columns = self.wet[0]
        surface = rng.random(columns.shape) < 0.8 if self.dense else self._tracks(rng)
        profile = (rng.random(columns.shape) < self.profiles) | self.moored
        mask = profile[None] & self.reach[:, None, None]
        mask[0] |= surface
        cell = np.flatnonzero(mask & self.wet)
        return cell, self.error[cell // columns.size], np.ones(cell.size, dtype=np.int32)

    def _tracks(self, rng: np.random.Generator) -> np.ndarray:
        """30 % of the belt's cells, on straight tracks of 10 to 40 cells."""
        ny, nx = self.belt.shape
        seen = np.zeros((ny, nx), dtype=bool)
        wanted = 0.3 * self.belt.sum()
        while (seen & self.belt).sum() < wanted:
            length = int(rng.integers(10, 41))
            angle = rng.uniform(0, 2 * np.pi)
            steps = np.arange(length)
            y = np.round(rng.uniform(0, ny) + steps * np.sin(angle)).astype(int)
            x = np.round(rng.uniform(0, nx) + steps * np.cos(angle)).astype(int) % nx
            inside = (y >= 0) & (y < ny)
            seen[y[inside], x[inside]] = True
        return seen & self.belt


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """The network of a linear ocean: a share of the cells, and moorings."""

    ocean: LinearOcean

    def on(
        self, grid: Grid, cycle: Cycle, calendar: str, variables: Sequence[str], wet: np.ndarray
    ) -> BoundLinearNetwork:
        """Place the network on the grid of the ocean; there is no other."""
        if wet.shape[1:] != self.ocean.wet.shape or not (wet[0] == self.ocean.wet).all():
            raise ValueError("the network of a linear ocean is for its own grid")
        return BoundLinearNetwork(self.ocean)


class BoundLinearNetwork:
    """The network on the grid of the ocean."""

    def __init__(self, ocean: LinearOcean) -> None:
        self.ocean, self.cell = ocean, np.flatnonzero(ocean.wet)

    def draw(
        self, index: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observed cells, errors and counts of one cycle."""
        (mask,) = self.ocean.observation_masks(1, seed=int(rng.integers(2**63)))
        cell = self.cell[mask]
        return cell, np.full(cell.size, self.ocean.error), np.ones(cell.size, dtype=np.int32)


@dataclass(frozen=True)
class SectionNetwork:
    """The network of a section without latitudes."""

    def on(
        self, grid: Grid, cycle: Cycle, calendar: str, variables: Sequence[str], wet: np.ndarray
    ) -> BoundSectionNetwork:
        """Place the network on a grid; only the first variable is measured."""
        return BoundSectionNetwork(grid, wet[0])


class BoundSectionNetwork:
    """The network on the grid of a section."""

    def __init__(self, grid: Grid, wet: np.ndarray) -> None:
        assert grid.depth is not None
        self.wet, self.error = wet, error_at(grid.depth)
        self.reach = grid.depth <= 500.0

    def draw(
        self, index: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observed cells, errors and counts of one cycle."""
        columns = self.wet[0]
        mask = (rng.random(columns.shape) < 0.1)[None] & self.reach[:, None, None]
        mask[0] |= rng.random(columns.shape) < 0.4
        cell = np.flatnonzero(mask & self.wet)
        return cell, self.error[cell // columns.size], np.ones(cell.size, dtype=np.int32)
