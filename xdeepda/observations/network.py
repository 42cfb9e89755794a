"""Observing networks: where, when and how accurately is measured.

A network is a description in positions and physical rates; :meth:`Network.on`
places it on a grid and cycle, where :meth:`BoundNetwork.draw` gives the observed
cells of one cycle after the other.  Knows no values of observations and no model.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Protocol

import numpy as np
import xarray as xr

from xdeepda.calendar import Cycle
from xdeepda.errors import InputError, Problems
from xdeepda.grid import Grid
from xdeepda.observations.platforms import ERAS
from xdeepda.observations.quantities import kind_of
from xdeepda.observations.recorded import BoundRecorded, points_of
from xdeepda.observations.simulated import BAND, BoundSimulated
from xdeepda.observations.target import target_of

logger = logging.getLogger("xdeepda")

_FORMAT = "xdeepda network 1"


class BoundNetwork(Protocol):
    """A network on a grid, for one kind of cycle."""

    def draw(
        self, index: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observed cells (int64, sorted, flat in (variable, nz, ny, nx)), errors, counts."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """An observing network.

    Made by :meth:`simulated` or :meth:`from_observations`.

    Attributes
    ----------
    era : str
        "1980s" or "argo" for simulated ones, "" for recorded ones.
    kinds : dict
        Kind of quantity (temperature, salinity or None) by variable.
    density : float
        Factor on the number of platforms, or of recorded profiles.
    seed : int
        Lays the routes of simulated ships.
    points : Dataset or None
        Recorded positions and errors; profiles and the measurements in them.
    """

    era: str
    kinds: dict[str, str | None]
    density: float = 1.0
    seed: int = 0
    points: xr.Dataset | None = field(default=None)

    @classmethod
    def simulated(
        cls,
        like: xr.Dataset | xr.DataArray | None,
        era: str = "argo",
        *,
        density: float = 1.0,
        seed: int = 0,
    ) -> Network:
        """Make a network of the kind of an era, without any observations.

        Parameters
        ----------
        like : Dataset, DataArray or None
            A field of the model, for the names of its variables; None leaves
            them to be known by name (thetao, so, ...) when the network is used.
        era : {"argo", "1980s"}
            *1980s*, about 1985, profiles and reports per 10⁶ km² of sea and day:
            XBT 0.25 to 460 m and 0.13 to 760 m, MBT 0.19 to 250 m, stations
            (CTD and bottles) 0.09, ships' surface temperature 14, drifters 0.55
            daily means, and the first 13 moorings of the equatorial Pacific.
            *argo*, about 2015: Argo 1.06 to 2,000 m (where there is water of
            1,000 m), XBT 0.14, stations 0.04, ships 8.5, drifters 3.5, and 112
            moorings in three oceans.  Sources and assumptions are beside the
            numbers in ``xdeepda.observations.platforms``.
        density : float
            Factor on all these rates.
        seed : int
            Lays the routes of the ships.  Everything else is drawn anew for
            every cycle.

        Returns
        -------
        Network

        Notes
        -----
        Ships sail back and forth on routes (random great circles, mostly
        northern), so that their reports come in clusters; a voyage lasts 10 to
        20 days and may be cut by the cycle.  Floats and drifters start at
        uniform random positions and move in a straight line within a cycle; from
        one cycle to the next they are drawn anew, so that a float does *not*
        stay in its cell for years as a real one may.  Stations and moorings
        measure temperature and (most stations, some moorings) salinity; XBT,
        MBT, ships and drifters temperature only.  The error of a report is that
        of its instrument and :func:`xdeepda.observations.default_error`, of
        which a part remains however many reports share a cell.  On a section
        without latitudes the grid stands for 5° S to 5° N.

        Raises
        ------
        InputError
            For an unknown era, or a density that is not positive.

        Examples
        --------
        >>> Network.simulated(None, "argo", density=0.5).density
        0.5
        """
        problems = Problems("network")
        if era not in ERAS:
            problems.add(f"era {era!r} is not known", expected=" or ".join(ERAS))
        _check_density(density, problems)
        kinds: dict[str, str | None] = {}
        if like is not None:
            target = target_of(like, None, problems)
            kinds = target.kinds() if target is not None else {}
        problems.raise_if_any()
        return cls(era, kinds, float(density), int(seed))

    @classmethod
    def from_observations(
        cls,
        obs: Any,
        like: xr.Dataset | xr.DataArray,
        *,
        cycle: str | None = None,
        var: str | Sequence[str] | None = None,
    ) -> Network:
        """Take the sampling of real observations; see :func:`network`."""
        problems = Problems("network")
        interval: Cycle | None = None
        if cycle is not None:
            try:
                interval = Cycle(cycle)
            except InputError as error:
                problems.absorb(error)
        target = target_of(like, var, problems)
        problems.raise_if_any()
        assert target is not None
        points = points_of(obs, target, interval)
        made = cls("", target.kinds(), points=points)
        if interval is not None:
            # binding once tells now what of the record is outside of this grid and season
            made.on(target.grid, interval, "standard", target.variables, target.wet)
        return made

    def thinned(self, density: float) -> Network:
        """Return a network of only a part of the platforms or profiles.

        Parameters
        ----------
        density : float
            Factor on the present density, at most 1.

        Returns
        -------
        Network
        """
        problems = Problems("network")
        _check_density(density, problems)
        if density > 1:
            problems.add(
                "thinning makes nothing denser", found=f"density={density}", todo="densified(...)"
            )
        problems.raise_if_any()
        return replace(self, density=self.density * density)

    def densified(self, density: float) -> Network:
        """Return a network of more platforms or profiles.

        A simulated one has more of every platform.  A recorded one takes, for one
        cycle, the profiles of several recorded cycles: of the same season of other
        years (drawn at random), and where these are not enough of the nearest
        seasons.  That keeps where ships and floats go, but what measured in
        different years now stands side by side: clusters of one year are diluted.

        Parameters
        ----------
        density : float
            Factor on the present density, at least 1.  A recorded network must
            hold as many cycles; that is checked when it is used.

        Returns
        -------
        Network
        """
        problems = Problems("network")
        _check_density(density, problems)
        if density < 1:
            problems.add(
                "a smaller density is no denser", found=f"density={density}", todo="thinned(...)"
            )
        problems.raise_if_any()
        return replace(self, density=self.density * density)

    def sample(
        self,
        year: int,
        seed: int = 0,
        *,
        like: xr.Dataset | xr.DataArray | None = None,
        cycle: str = "month",
        calendar: str | None = None,
    ) -> xr.Dataset:
        """Draw a year of the network: where and when is measured, with which error.

        Parameters
        ----------
        year : int
            Any year, recorded or not: seasons count alone.
        seed : int
            The same seed gives the same draw.
        like : Dataset or DataArray, optional
            Without it a recorded network gives its profiles, at their own positions
            and depths.  With it, the cells of its grid are given, as a training on
            it sees them.  A simulated network needs it, for its sea.
        cycle : {"pentad", "month", "year"}
            The recorded profiles of a whole cycle are drawn together, so that
            voyages and clusters stay.
        calendar : str, optional
            Of the times; by default that of the record, or of `like`.

        Returns
        -------
        Dataset
            Along ``obs``: ``variable`` (name), ``error`` (standard deviation, K or
            psu, others in units of the model), ``count`` (measurements), and the
            coordinates ``time``, ``depth``, ``latitude``, ``longitude`` and (of
            profiles) ``profile``; in the order of time.

        Raises
        ------
        InputError
            With all that is wrong; if there is no calendar for the dates.

        Examples
        --------
        >>> like = xr.DataArray(np.ones((1, 30, 60)), dims=("depth", "lat", "lon"), name="thetao",
        ...     coords={"depth": ("depth", [5.0], {"units": "m"}), "lat": np.arange(-87.0, 90, 6),
        ...             "lon": np.arange(0.0, 360, 6)}, attrs={"units": "degC"})
        >>> year = Network.simulated(like, "argo").sample(1985, seed=1, like=like)
        >>> sorted(year.coords), bool((year.time.dt.year == 1985).all())
        (['depth', 'latitude', 'longitude', 'time'], True)
        """
        from xdeepda.observations.sampling import sample_cells, sample_points

        problems = Problems("sample")
        for name, value, low in (("year", year, -(10**4)), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                problems.add(f"{name} is not a number from {low} on", found=f"{value!r}")
        interval = None
        try:
            interval = Cycle(cycle)
        except InputError as error:
            problems.absorb(error)
        target = target_of(like, None, problems) if like is not None else None
        if like is None and self.points is None:
            problems.add("a simulated network needs a sea to measure in", todo="like=...")
        problems.raise_if_any()
        assert interval is not None
        if like is None or target is None:
            assert self.points is not None
            out = sample_points(
                self.points, list(self.kinds), self.density, int(year), interval, int(seed),
                calendar,
            )  # fmt: skip
        else:
            out = sample_cells(self, target, like, int(year), interval, int(seed), calendar)
        out.attrs = {"network": repr(self), "year": int(year), "seed": int(seed)}
        return out

    def on(
        self,
        grid: Grid,
        cycle: Cycle,
        calendar: str,
        variables: Sequence[str],
        wet: np.ndarray,
    ) -> BoundNetwork:
        """Place the network on a grid.

        Parameters
        ----------
        grid : Grid
        cycle : Cycle
        calendar : str
            Of the run, for the length of its cycles.
        variables : sequence of str
        wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)

        Returns
        -------
        BoundNetwork
            With ``draw(index, rng)``.  A recorded network draws a recorded cycle
            of the same month (pentads: not more than 6 pentads away), with its
            cells, errors and counts.

        Raises
        ------
        InputError
            If the network measures none of the variables, or nothing in this sea.
        """
        kinds = [self.kinds.get(name, kind_of(name)) for name in variables]
        if self.points is not None:
            lookup = self._lookup(tuple(variables), kinds)
            bound = BoundRecorded(self.points, lookup, grid, cycle, wet, density=self.density)
            return bound
        if grid.lat is None:
            logger.info(
                "network: the grid has no latitudes; it stands for %g S to %g N", BAND, BAND
            )
        simulated = BoundSimulated(
            ERAS[self.era], grid, cycle, calendar, kinds, wet, density=self.density, seed=self.seed
        )
        measured = simulated.measured()
        if not any(measured):
            raise InputError(
                f"network: no platform of {self.era!r} measures {', '.join(variables)}"
            )
        for name, seen in zip(variables, measured, strict=True):
            if not seen:
                logger.warning("network: no platform of %r measures %r", self.era, name)
        return simulated

    def _lookup(self, variables: tuple[str, ...], kinds: Sequence[str | None]) -> list[int]:
        """Position in `variables` of each variable of the points, -1 for none."""
        lookup = []
        for name, kind in self.kinds.items():
            hits = [v for v, own in enumerate(variables) if own == name]
            hits = hits or [v for v, own in enumerate(kinds) if kind is not None and own == kind]
            lookup.append(hits[0] if len(hits) == 1 else -1)
        if all(position < 0 for position in lookup):
            raise InputError(
                f"network: it was recorded for {', '.join(self.kinds)}, "
                f"which is none of {', '.join(variables)}"
            )
        return lookup

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a netCDF file; simulated ones are a few attributes."""
        ds = xr.Dataset() if self.points is None else self.points.copy()
        ds.attrs = {
            "format": _FORMAT,
            "era": self.era,
            "kinds": json.dumps(self.kinds),
            "density": self.density,
            "seed": self.seed,
        }
        packed = {"zlib": True, "complevel": 4, "shuffle": True}
        encoding = {name: dict(packed) for name in ds.variables}
        ds.to_netcdf(path, encoding=encoding)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Network:
        """Read a network that :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is not of a network.
        """
        with xr.open_dataset(path) as ds:
            if ds.attrs.get("format") != _FORMAT:
                raise InputError(f"{path} is not the file of a network (format {_FORMAT!r})")
            points = ds.load() if ds.sizes else None
            attrs = dict(ds.attrs)
        if points is not None:
            points.attrs = {}
        kinds, density = json.loads(attrs["kinds"]), float(attrs["density"])
        return cls(str(attrs["era"]), kinds, density, int(attrs["seed"]), points)

    def __repr__(self) -> str:
        """Say what, how much, when."""
        thin = "" if self.density == 1 else f", density {self.density:g}"
        if self.points is None:
            kinds = ", ".join(p.name for p in ERAS[self.era])
            return f"<Network simulated, {self.era!r}{thin}: {kinds}; seed {self.seed}>"
        sizes, time = self.points.sizes, self.points["time"].values
        return (
            f"<Network recorded{thin}: {sizes['profile']} profiles, {sizes['obs']} measurements of "
            f"{', '.join(self.kinds)}, {str(time.min())[:10]} to {str(time.max())[:10]}>"
        )


def _check_density(density: float, problems: Problems) -> None:
    """A density is a positive number."""
    if not (np.isfinite(density) and density > 0):
        problems.add("density must be positive", found=f"{density}")


def network(
    obs: Any,
    like: xr.Dataset | xr.DataArray,
    *,
    cycle: str | None = None,
    var: str | Sequence[str] | None = None,
) -> Network:
    """Take the sampling of real observations: positions, times and errors, not values.

    Parameters
    ----------
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
        Points, gridded observations, or gridded masks (bool, or NaN where
        nothing was measured).
    like : Dataset or DataArray
        A field of the model, for variables and (of gridded observations) the grid.
    cycle : {"pentad", "month", "year"}, optional
        Checks at once, and tells, what lies outside of the grid of `like`, and
        which seasons were never observed.
    var : str or list of str, optional
        Variables of `like`.

    Returns
    -------
    Network
        Points remain points: it can be used on any grid and with any cycle.

    Raises
    ------
    InputError
        With all problems of the observations.
    """
    return Network.from_observations(obs, like, cycle=cycle, var=var)
