"""Oceans of three sizes: masks, climates and observations, random but realistic, of no file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.climatology import Climatology, Statistics
from xdeepda.datasets.geography import mean_temperature, sea_floor
from xdeepda.grid import Grid

#: Bottom of the deepest level, m.
_BOTTOM = 3500.0
#: Share of the water columns with a profile in a pentad: 2,000 at 1°, as the Argo floats give.
SHARE = 0.05
#: First cycle of the observations: year 2000 in pentads.
FIRST = 2000 * 73


@dataclass(frozen=True)
class Size:
    """An ocean.

    Attributes
    ----------
    name : str
    levels : int
    lat, lon : (float, float, int)
        First and last edge in degrees, and number of cells.
    length : (float, float)
        Correlation length of the anomalies in degrees, northward and eastward.
    """

    name: str
    levels: int
    lat: tuple[float, float, int]
    lon: tuple[float, float, int]
    length: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, Y, X)."""
        return self.levels, self.lat[2], self.lon[2]

    @cached_property
    def grid(self) -> Grid:
        """Its grid."""
        edges = _BOTTOM * np.expm1(3.5 * np.arange(self.levels + 1) / self.levels) / np.expm1(3.5)
        centres = []
        for first, last, number in (self.lat, self.lon):
            centres.append(first + (np.arange(number) + 0.5) * (last - first) / number)
        cyclic = self.lon[1] - self.lon[0] == 360.0
        return Grid((edges[1:] + edges[:-1]) / 2, *centres, cyclic)

    @cached_property
    def wet(self) -> np.ndarray:
        """Cells of the sea, (1, C, Y, X)."""
        floor = sea_floor(self.grid.lat[:, None], self.grid.lon[None, :])
        return (self.grid.depth[:, None, None] < floor)[None]

    @cached_property
    def climatology(self) -> Climatology:
        """Mean and four harmonics of temperature."""
        grid, levels = self.grid, (slice(None), None, None)
        mean = mean_temperature(grid.depth[levels], grid.lat[:, None], grid.lon[None, :])
        waves = np.exp(-grid.depth / 50)[levels] * np.sin(np.deg2rad(grid.lat))[:, None]
        parts = np.zeros((9, 1, *self.shape), np.float32)
        parts[0, 0], parts[1, 0], parts[2, 0] = mean, -2 * waves, -3 * waves
        return Climatology(parts * self.wet)

    @cached_property
    def statistics(self) -> Statistics:
        """Variability that fades with depth and lasts longer there."""
        grid, wet = self.grid, self.wet[0]
        deviation = 0.15 + 0.9 * np.exp(-grid.depth / 400)
        near = np.abs(np.log1p(grid.depth[:, None] / 50) - np.log1p(grid.depth / 50))
        memory = 0.98 - 0.12 * np.exp(-grid.depth / 200)
        cells = (self.lat[1] - self.lat[0]) / self.lat[2], (self.lon[1] - self.lon[0]) / self.lon[2]
        length = [degrees / cell for degrees, cell in zip(self.length, cells, strict=True)]
        parts = (
            deviation,
            deviation[:, None, None] * wet,
            memory[:, None, None] * wet,
            np.exp(-near),
            np.array(length),
        )
        return Statistics(*(np.asarray(x, np.float32) for x in parts))

    def run(self) -> xr.Dataset:
        """Two cycles of a control run: what an assimilation starts from, with its labels."""
        cycle, number = Cycle("pentad"), np.arange(FIRST - 2, FIRST)
        fields = self.climatology.at(cycle.year_fraction(number, "noleap"))[:, 0]
        fields = np.where(self.wet, fields, np.float32(np.nan))
        coords = {
            "time": cycle.middle(number, "noleap"),
            "depth": ("depth", self.grid.depth, {"units": "m", "positive": "down"}),
            "lat": ("lat", self.grid.lat, {"units": "degrees_north"}),
            "lon": ("lon", self.grid.lon, {"units": "degrees_east"}),
        }
        attrs = {"units": "degC", "standard_name": "sea_water_potential_temperature"}
        return xr.Dataset(
            {"thetao": (("time", "depth", "lat", "lon"), fields, attrs)}, coords=coords
        )

    def profiles(self, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cells of profiles in `share` of the columns of the sea: level and column, (p,) each.

        Half of them reach the bottom, the others end anywhere.
        """
        wet = self.wet[0].reshape(self.levels, -1)
        sea = np.flatnonzero(wet[0])
        columns = rng.choice(sea, max(1, round(share * sea.size)), replace=False)
        deepest = np.where(rng.random(columns.size) < 0.5, self.levels, 0)
        deepest = np.maximum(deepest, rng.integers(1, self.levels + 1, columns.size))
        inside = wet[:, columns] & (np.arange(self.levels)[:, None] < deepest)
        level, place = np.nonzero(inside)
        return level, columns[place]

    def observations(self, cycles: int, share: float, seed: int) -> xr.Dataset:
        """Table of profiles of some cycles, with errors."""
        rng, cycle, grid = np.random.default_rng(seed), Cycle("pentad"), self.grid
        parts = []
        for number in range(FIRST, FIRST + cycles):
            level, column = self.profiles(share, rng)
            climate = self.climatology.at(cycle.year_fraction([number], "noleap"))[0, 0]
            spread = self.statistics.scale[level]
            value = climate.reshape(self.levels, -1)[level, column]
            value = value + spread * rng.normal(size=level.size).astype(np.float32)
            parts.append((np.full(level.size, number), level, column, value, 0.3 * spread))
        number, level, column, value, error = map(np.concatenate, zip(*parts, strict=True))
        places = {
            "time": (
                "obs",
                cycle.middle(np.arange(FIRST, FIRST + cycles), "noleap")[number - FIRST],
            ),
            "depth": ("obs", grid.depth[level], {"units": "m", "positive": "down"}),
            "lat": ("obs", grid.lat[column // self.shape[2]], {"units": "degrees_north"}),
            "lon": ("obs", grid.lon[column % self.shape[2]], {"units": "degrees_east"}),
        }
        attrs = {"units": "degC", "standard_name": "sea_water_potential_temperature"}
        return xr.Dataset(
            {
                "thetao": ("obs", value, attrs),
                "thetao_error": ("obs", error, {"units": "K"}),
            },
            coords=places,
        )


_GLOBE, _NORMAL = (0.0, 360.0), (5.0, 11.0)
#: Name -> size, from the smallest.
SIZES = {
    size.name: size
    for size in (
        Size("tiny", 3, (-60.0, 60.0, 12), (*_GLOBE, 24), (15.0, 30.0)),
        Size("4deg", 16, (-80.0, 80.0, 40), (*_GLOBE, 90), _NORMAL),
        Size("1deg", 38, (-90.0, 90.0, 180), (*_GLOBE, 360), _NORMAL),
        # eddies and waves near the equator
        Size("quarter", 38, (-20.0, 20.0, 160), (120.0, 280.0, 640), (2.0, 4.0)),
    )
}
