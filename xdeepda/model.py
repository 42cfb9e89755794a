"""The trained model: everything needed to analyse, in one safetensors file.

Weights, grid, mask, climatology, statistics, units, calendar, cycle and
provenance.  The file holds arrays and one JSON text; reading it executes
nothing.  Knows arrays and labels; no torch.
"""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.address import Verb
from xdeepda.architectures import BEFORE, ArchitectureSpec
from xdeepda.calendar import CALENDARS, Cycle
from xdeepda.climatology import Climatology, Statistics
from xdeepda.errors import InputError, ModelFileError, ModelMismatchError, Problems
from xdeepda.grid import Grid
from xdeepda.provenance import hash_arrays, package_version

#: Version of the layout of the file; a reader refuses a newer one.
FORMAT = 1
#: The only metadata key: with several, their order in the file would vary.
_KEY = "xdeepda"
#: A header longer than this is no model of ours.
_LONGEST_TEXT = 16 * 2**20


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model, or a fitted baseline.

    Made by :func:`xdeepda.train` and :func:`xdeepda.load_model`, not by hand.

    Attributes
    ----------
    architecture : ArchitectureSpec
    weights : dict of numpy.ndarray
    grid : Grid
    cycle : Cycle
    calendar : str
        Of the control run.
    variables, units : tuple of str
    attributes : dict of dict
        CF attributes of the variables.
    wet : numpy.ndarray of bool, shape (variable, nz, ny, nx)
    climatology : Climatology
    statistics : Statistics
    calibration : dict of numpy.ndarray, shape (C,)
        Factors on the predicted variance of analysis and background, and of the smoothed
        analysis of a smoother, from validation years.
    provenance : dict
        Training period, settings, network, seed, versions.
    records : dict of numpy.ndarray
        Training history, see :attr:`history`.
    """

    architecture: ArchitectureSpec
    weights: dict[str, np.ndarray]
    grid: Grid
    cycle: Cycle
    calendar: str
    variables: tuple[str, ...]
    units: tuple[str, ...]
    attributes: dict[str, dict[str, str]]
    wet: np.ndarray
    climatology: Climatology
    statistics: Statistics
    calibration: dict[str, np.ndarray]
    provenance: dict[str, Any] = field(default_factory=dict)
    records: dict[str, np.ndarray] = field(default_factory=dict)

    influence = Verb("xdeepda.impact")
    degrees_of_freedom = Verb("xdeepda.impact")
    design = Verb("xdeepda.impact")

    @property
    def window(self) -> tuple[int, int]:
        """Cycles whose observations enter an analysis: (0, 0) of a filter, (0, n) of a smoother."""
        return 0, int(self.architecture.settings.get("lag", 0))

    @property
    def history(self) -> xr.Dataset:
        """Scores of training and validation by epoch, as a Dataset along ``epoch``."""
        nz = self.grid.shape[0]
        variables = {}
        for name, values in self.records.items():
            dims = ("epoch",) if values.ndim == 1 else ("epoch", "variable", "depth")
            variables[name] = (dims, values.reshape(len(values), -1, nz) if dims[1:] else values)
        epochs = len(next(iter(self.records.values()))) if self.records else 0
        out = xr.Dataset(variables, coords={"epoch": np.arange(1, epochs + 1)})
        if "variable" in out.dims:
            out = out.assign_coords(variable=list(self.variables))
            if self.grid.depth is not None:
                out = out.assign_coords(depth=("depth", self.grid.depth, {"units": "m"}))
        for name, text in _HISTORY_WORDS.items():
            if name in out:
                out[name].attrs["long_name"] = text
        return out

    @cached_property
    def hash(self) -> str:
        """Hash of all that an analysis depends on, 16 hexadecimal digits."""
        return hash_arrays(self._arrays(), json.dumps(self._settings(), sort_keys=True))

    def _arrays(self) -> dict[str, np.ndarray]:
        """Arrays that an analysis depends on, by the names that they have in the file."""
        groups: dict[str, dict[str, np.ndarray]] = {
            "weights": self.weights,
            "statistics": self.statistics.arrays(),
            "calibration": self.calibration,
        }
        flat = {
            f"{g}/{k}": np.ascontiguousarray(v) for g, d in groups.items() for k, v in d.items()
        }
        flat["climatology"] = np.ascontiguousarray(self.climatology.coefficients)
        flat["wet"] = np.packbits(self.wet)
        return flat

    def _settings(self) -> dict[str, Any]:
        """What the file says besides arrays, without the provenance."""
        return {
            "format": FORMAT,
            "architecture": self.architecture.name,
            "settings": self.architecture.settings,
            "grid": self.grid.to_dict(),
            "cycle": self.cycle.name,
            "calendar": self.calendar,
            "variables": self.variables,
            "units": self.units,
            "attributes": self.attributes,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, whole or not at all.

        Parameters
        ----------
        path : path
            By custom ending in ``.safetensors``.

        Examples
        --------
        >>> model.save("deepda.safetensors")  # doctest: +SKIP
        """
        from safetensors.numpy import save

        text = json.dumps({**self._settings(), "provenance": self.provenance}, sort_keys=True)
        arrays = self._arrays()
        arrays |= {f"history/{k}": np.ascontiguousarray(v) for k, v in self.records.items()}
        target = Path(path)
        part = target.with_name(target.name + ".part")
        part.write_bytes(save(arrays, metadata={_KEY: text}))
        part.replace(target)

    def __repr__(self) -> str:
        """Several lines: what, from what, how good."""
        lines = [
            f"<xdeepda.Model {self.architecture.name} {self.hash}>",
            f"  variables: {', '.join(f'{v} ({u})' for v, u in self._pairs())}",
            f"  cycle:     {self.cycle.name} (trained on calendar {self.calendar})",
            f"  grid:      {self.grid}",
            f"  weights:   {sum(w.size for w in self.weights.values()):,} numbers",
        ]
        period = self.provenance.get("training_period")
        if period:
            seed = self.provenance.get("seed", "unknown")
            lines.append(f"  trained:   {period[0]} to {period[1]}, seed {seed}")
        if "validation_score" in self.records:
            best = float(np.nanmin(self.records["validation_score"]))
            lines.append(f"  validation score: {best:.3f} (RMSE / RMSE of climatology)")
        return "\n".join(lines)

    def _pairs(self) -> list[tuple[str, str]]:
        """Variables with their units."""
        return list(zip(self.variables, self.units, strict=True))

    def check(self, grid: Grid, units: tuple[str, ...], problems: Problems) -> None:
        """Refuse fields of another grid or dimension of units, naming both sides."""
        told = self.grid.differences(grid)
        if told:
            problems.add(
                "the fields are on another grid than the model",
                found="; ".join(told) + " (model against fields)",
                expected=str(self.grid),
                todo="interpolate the fields: ds.interp(lat=..., lon=..., depth=...)",
            )
        for (name, mine), theirs in zip(self._pairs(), units, strict=False):
            if theirs and not _convertible(mine, theirs):
                problems.add(
                    f"units of {name!r} are of another dimension than the model's",
                    found=repr(theirs),
                    expected=f"convertible to {mine!r}",
                )


def _convertible(unit: str, other: str) -> bool:
    """Whether two units convert; False if one is not understood."""
    try:
        return unit_tools.same_dimension(unit, other)
    except InputError:
        return False


_HISTORY_WORDS = {
    "training_loss": "loss of the mean over the batches of the epoch",
    "validation_score": "mean over channels of RMSE / RMSE of climatology, long rollout",
    "validation_background": "the same for the background",
    "validation_rmse": "RMSE of the analysis / RMSE of climatology by channel",
    "validation_spread_skill": "predicted standard deviation / RMSE by channel, uncalibrated",
    "lag": "later cycles that entered the validated analyses: 0 while the filter was trained",
    "learning_rate": "learning rate at the end of the epoch",
    "seconds": "wall-clock time since the start of the training",
}


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model that :meth:`Model.save` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Model

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is no model file, is damaged, or of a newer format.

    Examples
    --------
    >>> model = xdeepda.load_model("deepda.safetensors")  # doctest: +SKIP
    """
    target = Path(path)
    if not target.is_file():
        raise FileNotFoundError(f"no model file at {target}")
    arrays, text = _read(target)
    try:
        return _assemble(arrays, text)
    except ModelFileError as error:
        raise ModelFileError(f"{target}: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        # a hostile file may hold anything: its own words are cut short
        words = textwrap.shorten(str(error), 300, placeholder=" ...")
        raise ModelFileError(
            f"{target}: the parts of the model do not fit together "
            f"({type(error).__name__}: {words})"
        ) from None


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and JSON text of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if _KEY not in metadata:
                raise ModelFileError(f"{path}: a safetensors file, but not of xdeepda")
            if len(metadata[_KEY]) > _LONGEST_TEXT:
                raise ModelFileError(f"{path}: its description is too long")
            text = json.loads(metadata[_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except ModelFileError:
        raise
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path}: not a whole safetensors file ({error}); truncated, or of another kind?"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: its description is no JSON ({error})") from None
    except (TypeError, AttributeError) as error:
        # numbers that numpy does not have, such as bfloat16
        raise ModelFileError(f"{path}: arrays of an unknown kind ({error})") from None
    version = text.get("format") if isinstance(text, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFileError(f"{path}: its description has no format version")
    if text["format"] > FORMAT:
        raise ModelFileError(
            f"{path}: format {text['format']} is newer than the {FORMAT} that xdeepda "
            f"{package_version()} reads; update xdeepda"
        )
    return arrays, text


def _assemble(arrays: dict[str, np.ndarray], text: dict[str, Any]) -> Model:
    """Put a model together, checking that its parts agree."""
    _check_text(text)
    grid = Grid.from_dict(text["grid"])
    for axis in (grid.depth, grid.lat, grid.lon):
        if axis is not None and not (axis.ndim == 1 and axis.size and (np.diff(axis) > 0).all()):
            raise ModelFileError("an axis of its grid does not increase")
    variables = tuple(text["variables"])
    shape = (len(variables), *grid.shape)
    size = int(np.prod(shape, dtype=float))
    packed = arrays["wet"]
    if packed.dtype != np.uint8 or packed.shape != (-(-size // 8),):
        raise ModelFileError(f"mask of {packed.size} bytes for {size} cells")
    groups = _grouped(arrays)
    statistics = Statistics(**groups["statistics"])
    climatology = Climatology(arrays["climatology"])
    _check_arrays(shape, climatology, statistics, groups)
    before = BEFORE.get(text["architecture"], {})
    architecture = ArchitectureSpec(text["architecture"], {**before, **text["settings"]})
    if architecture.settings.get("lag") and "smoothed" not in groups["calibration"]:
        raise ModelFileError("a smoother without the calibration of its analyses")
    return Model(
        architecture=architecture,
        weights=groups["weights"],
        grid=grid,
        cycle=Cycle(text["cycle"]),
        calendar=text["calendar"],
        variables=variables,
        units=tuple(text["units"]),
        attributes=text["attributes"],
        wet=np.unpackbits(packed, count=size).astype(bool).reshape(shape),
        climatology=climatology,
        statistics=statistics,
        calibration=groups["calibration"],
        provenance=text["provenance"],
        records=groups["history"],
    )


def _check_text(text: dict[str, Any]) -> None:
    """Refuse a description of wrong kinds: words, lists of words, tables."""
    for name in ("architecture", "cycle", "calendar"):
        if not isinstance(text[name], str):
            raise ModelFileError(f"its {name} is no word")
    for name in ("grid", "settings", "attributes", "provenance"):
        if not isinstance(text[name], dict):
            raise ModelFileError(f"its {name} is no table")
    for name in ("variables", "units"):
        if not isinstance(text[name], list) or not all(isinstance(w, str) for w in text[name]):
            raise ModelFileError(f"its {name} are no list of words")
    variables, units = text["variables"], text["units"]
    if not variables or len(set(variables)) < len(variables) or len(units) != len(variables):
        raise ModelFileError(f"variables {variables} with units {units}")
    if text["calendar"] not in CALENDARS:
        raise ModelFileError(f"calendar {text['calendar'][:40]!r} is not known")
    for name, kept in text["attributes"].items():
        if not isinstance(kept, dict) or not all(isinstance(v, str) for v in kept.values()):
            raise ModelFileError(f"attributes of {name!r} are no table of words")


def _grouped(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Arrays by group, the part of their names before the first "/"."""
    groups: dict[str, dict[str, np.ndarray]] = {
        name: {} for name in ("weights", "statistics", "calibration", "history")
    }
    for name, array in arrays.items():
        group, _, key = name.partition("/")
        if key and group in groups:
            groups[group][key] = array
    return groups


def _check_arrays(
    shape: tuple[int, int, int, int],
    climatology: Climatology,
    statistics: Statistics,
    groups: dict[str, dict[str, np.ndarray]],
) -> None:
    """Refuse arrays that are not of the shape that variables and grid ask for, or not finite."""
    channels = shape[0] * shape[1]
    if not {"analysis", "background"} <= groups["calibration"].keys():
        raise ModelFileError("its calibration is missing")
    harmonics = climatology.coefficients.shape[0]
    if harmonics % 2 == 0:
        raise ModelFileError(f"climatology of {harmonics} coefficients, expected an odd number")
    expected = {
        "climatology": (climatology.coefficients, (harmonics, *shape)),
        "scale": (statistics.scale, (channels,)),
        "deviation": (statistics.deviation, (channels, *shape[2:])),
        "persistence": (statistics.persistence, (channels, *shape[2:])),
        "correlation": (statistics.correlation, (channels, channels)),
        "length": (statistics.length, (2,)),
        **{k: (c, (channels,)) for k, c in groups["calibration"].items()},
        **{k: (w, w.shape) for k, w in groups["weights"].items()},
    }
    for name, (array, wanted) in expected.items():
        if array.shape != wanted or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ModelFileError(f"{name} of shape {array.shape}, expected finite {wanted}")
    if not (statistics.scale > 0).all():
        raise ModelFileError("a scale that is not positive")
    persistence = statistics.persistence
    variances = [statistics.deviation, *groups["calibration"].values()]
    if any((v < 0).any() for v in variances) or not ((persistence >= 0) & (persistence < 1)).all():
        raise ModelFileError("statistics that no control run has")
    epochs = {array.shape[0] for array in groups["history"].values()}
    rest = {array.shape[1:] for array in groups["history"].values()}
    if len(epochs) > 1 or not rest <= {(), (channels,)}:
        raise ModelFileError("its history is of different lengths")


def as_model(model: Any) -> Model:
    """Model for what the user gave: a Model, or the path of its file.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        return load_model(model)
    raise ModelMismatchError(
        f"model is a {type(model).__name__}; expected a Model (from train or load_model) or a path"
    )
