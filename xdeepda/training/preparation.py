"""What training and baselines need of a control run: checked, described, split into years."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xdeepda.architectures import ArchitectureSpec
from xdeepda.calendar import Cycle
from xdeepda.climatology import (
    Climatology,
    Statistics,
    fit_climatology,
    fit_statistics,
    harmonics_of,
)
from xdeepda.errors import InputError, Problems
from xdeepda.model import Model
from xdeepda.source import RunSource
from xdeepda.training.values import check_values

#: Fewer years, or fewer cycles, say nothing about a climate.
FEWEST_YEARS, FEWEST_CYCLES = 3, 24
#: CF attributes that an analysis takes over from the control run.
_KEPT_ATTRIBUTES = ("standard_name", "long_name", "cell_methods")


@dataclass(frozen=True)
class Prepared:
    """A control run, checked and described.

    Attributes
    ----------
    source : RunSource
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    climatology : Climatology
    statistics : Statistics
    split : int
        Position of the first validation cycle.
    """

    source: RunSource
    wet: np.ndarray
    climatology: Climatology
    statistics: Statistics
    split: int

    def model(
        self,
        architecture: ArchitectureSpec,
        weights: dict[str, np.ndarray],
        calibration: dict[str, np.ndarray],
        provenance: dict[str, Any],
        records: dict[str, np.ndarray] | None = None,
    ) -> Model:
        """Model of this run with given weights."""
        source = self.source
        middle = source.cycle.middle(source.cycles[[0, self.split - 1]], source.calendar)
        period = [str(time)[:10] for time in middle]
        attributes = {
            name: {k: str(f.attrs[k]) for k in _KEPT_ATTRIBUTES if k in f.attrs}
            for name, f in zip(source.variables, source.fields, strict=True)
        }
        return Model(
            architecture=architecture,
            weights=weights,
            grid=source.grid,
            cycle=source.cycle,
            calendar=source.calendar,
            variables=source.variables,
            units=source.units,
            attributes=attributes,
            wet=self.wet,
            climatology=self.climatology,
            statistics=self.statistics,
            calibration=calibration,
            provenance={
                "training_period": period,
                "training_cycles": [int(source.cycles[0]), int(source.cycles[self.split - 1])],
                "validation_cycles": [int(source.cycles[self.split]), int(source.cycles[-1])],
                **provenance,
            },
            records=records or {},
        )


def split_years(count: int, per_year: int, validation: float) -> int:
    """Position that parts training from validation: whole years at the end are validated on."""
    years = max(1, round(validation * count / per_year))
    return count - years * per_year


def fewest_cycles(per_year: int) -> int:
    """Cycles that are needed for training alone."""
    return max(FEWEST_YEARS * per_year, FEWEST_CYCLES)


def open_run(
    ds: Any, var: Any, cycle: str, validation: float, problems: Problems
) -> tuple[RunSource | None, int]:
    """Understand a control run without reading its values; (source, split)."""
    is_fraction = isinstance(validation, (int, float)) and 0 < validation < 0.6
    if not is_fraction:
        problems.add(
            "validation is a fraction of the years",
            found=repr(validation),
            expected="between 0 and 0.6",
        )
    try:
        source = RunSource(ds, var, Cycle(cycle), problems=problems)
    except InputError as error:
        problems.absorb(error)
        return None, 0
    if not len(source) or not is_fraction:
        return None, 0
    split = split_years(len(source), source.cycle.per_year, validation)
    fewest = fewest_cycles(source.cycle.per_year)
    if split < fewest:
        problems.add(
            "the control run is too short to train on",
            found=f"{len(source)} cycles ({len(source) / source.cycle.per_year:.3g} years), of "
            f"which {max(split, 0)} remain after validation={validation:g}",
            expected=f"at least {fewest} {source.cycle.name}s for training alone",
            todo="use a longer run; decades are better",
        )
    return source, split


def describe(
    source: RunSource, split: int, harmonics: int | str | None, problems: Problems
) -> Prepared:
    """Read the run in blocks: check every value, fit climatology and statistics.

    Raises
    ------
    InputError
        With all problems that were collected so far and those of the values.
    """
    if source.is_lazy:
        # reading may take long: what is wrong already is told before
        problems.raise_if_any()
        source.hold()
    wet = check_values(source, problems)
    problems.raise_if_any()
    climatology = fit_climatology(source, wet, harmonics_of(harmonics, source.cycle), split)
    return Prepared(
        source, wet, climatology, fit_statistics(source, climatology, wet, split), split
    )
