"""Architectures by name and settings: what to train, before anything is trained.

Standard library only: a specification is plain data, checked here, that the
tensor side builds (``xdeepda.core.registry``) and the model file stores.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from xdeepda.errors import InputError

#: Architecture behind ``architecture="default"``.
DEFAULT = "increment"

#: Name -> settings with their defaults.
SETTINGS: dict[str, dict[str, Any]] = {
    "increment": {
        "width": 32,
        "deep_width": 64,
        "dilations": (1, 2, 4, 8),
        "distances": (0.4, 1.0, 2.5),
        "partial": True,
        "kernel": 5,
        "lag": 0,
    },
    "hybrid": {
        "folds": 3,
        "patterns": 192,
        "neighbours": True,
        "truncation": 8.0,
        "ensemble": 200,
        "localisation": 6000.0,
        "most": 80,
        "spacing": 1.5,
        "thinning": 0.5,
        "modes": 6,
        "forecast_width": 24,
        "carried": True,
        "width": 40,
        "deep_width": 80,
        "dilations": (1, 2, 4, 8),
        "distances": (0.4, 1.0),
        "partial": True,
        "kernel": 5,
        "lag": 0,
    },
    "deepda2024": {"quirks": ()},
    "climatology": {},
    "persistence": {},
    "oi": {
        "ensemble": 108,
        "localisation": 4500.0,
        "inflation": 1.0,
        "local": True,
        "most": 100,
    },
    "enoi": {
        "ensemble": 108,
        "localisation": 4500.0,
        "inflation": 1.0,
        "damping": 1.0,
        "evolving": True,
        "local": True,
        "most": 100,
    },
    "kalman": {"patterns": 150, "neighbours": True, "inflation": 1.0, "truncation": 3.0},
    "combined": {
        "patterns": 100,
        "neighbours": True,
        "truncation": 4.0,
        "ensemble": 108,
        "localisation": 4000.0,
        "inflation": 1.0,
        "damping": 1.0,
        "evolving": True,
        "local": True,
        "most": 100,
    },
}

#: Settings that files do not name which were written before there were these: what was done then.
BEFORE: dict[str, dict[str, Any]] = {
    "hybrid": {"thinning": 0.0, "neighbours": False},
    "kalman": {"neighbours": False},
    "combined": {"neighbours": False},
}

#: Peculiarities of the published code, explained in ``xdeepda.core.deepda2024.QUIRKS``.
QUIRKS = (
    "trained_mask_kernels",
    "window_ignores_channels",
    "tanh_mask",
    "scaled_bias",
    "sign_flip",
    "linear_obs_skip",
    "no_periodicity",
    "unweighted_loss",
)
#: Largest number and longest list that a setting may hold; a model file cannot ask for more.
_LARGEST, _LONGEST = 4096, 64
#: Most later cycles whose observations may enter an analysis.
LONGEST_LAG = 64
#: Numbers that are no counts, and may be 0.
_MAY_BE_ZERO = ("hybrid.thinning",)
#: Largest number that is no count, such as a distance: half the circumference of the Earth in km.
_FARTHEST = 20015.0


@dataclass(frozen=True)
class ArchitectureSpec:
    """An architecture before training: its name and settings.

    Parameters
    ----------
    name : str
        One of ``SETTINGS``.
    settings : dict
        Those that differ from the defaults.

    Raises
    ------
    InputError
        If the name or a setting is unknown, or a value is of a wrong kind or size.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check names and sizes; lists become tuples."""
        if not isinstance(self.name, str) or self.name not in SETTINGS:
            raise InputError(
                f"architecture {self.name!r} is not known; known: {', '.join(SETTINGS)}"
            )
        known = SETTINGS[self.name]
        for key, value in self.settings.items():
            if key not in known:
                raise InputError(
                    f"{self.name} has no setting {key!r}; it has: {', '.join(known) or 'none'}"
                )
            _check_setting(f"{self.name}.{key}", value, known[key])
        plain = {k: tuple(v) if isinstance(v, list) else v for k, v in self.settings.items()}
        object.__setattr__(self, "settings", {**known, **plain})


def _check_setting(name: str, value: Any, default: Any) -> None:
    """Refuse a value of another kind than the default, or too large to be meant."""
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or len(value) > _LONGEST:
            raise InputError(f"{name} is a list of at most {_LONGEST} entries, not {value!r}")
        if default and not value:
            raise InputError(f"{name} is a list of at least one entry")
        for entry in value:
            _check_setting(name, entry, default[0] if default else "")
        return
    if isinstance(default, str):
        # the only setting of words
        if value != "all" and value not in QUIRKS:
            raise InputError(f"{name} has no {value!r}; it has: all, {', '.join(QUIRKS)}")
        return
    if isinstance(default, bool):
        good = isinstance(value, bool)
    elif isinstance(default, int):
        # counts, of which few may be none
        least = min(1, default)
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST
    else:
        good = isinstance(value, (int, float)) and 0 <= value <= _FARTHEST
        good = good and (value > 0 or name in _MAY_BE_ZERO)
    if not good:
        raise InputError(f"{name}={value!r} is not of the kind of {default!r}, or out of range")


def architecture_spec(architecture: str | ArchitectureSpec) -> ArchitectureSpec:
    """Specification for what the user gave as `architecture=`."""
    if isinstance(architecture, ArchitectureSpec):
        return architecture
    return ArchitectureSpec(DEFAULT if architecture == "default" else architecture)


def increment(**settings: Any) -> ArchitectureSpec:
    """Architecture that takes innovations and gives increments and their error variance.

    Depth as channels, two-dimensional, trains in minutes on a laptop.

    Parameters
    ----------
    width, deep_width : int
        Features at full and at half resolution (32 and 64).
    dilations : tuple of int
        Of the residual blocks at half resolution, (1, 2, 4, 8).
    distances : tuple of float
        Scales of the smooth averages of innovations, in correlation lengths.
    partial : bool
        Learned partial convolution as observation operator (True).
    kernel : int
        Its size in cells (5).
    lag : int
        Later cycles whose observations enter an analysis (0); ``train`` sets it by ``window``.

    Returns
    -------
    ArchitectureSpec
        For ``train(..., architecture=...)``.

    Examples
    --------
    >>> increment(width=48).settings["width"]
    48
    """
    return ArchitectureSpec("increment", settings)


def hybrid(**settings: Any) -> ArchitectureSpec:
    """Architecture that stands on classical analyses: a reduced Kalman filter and EnOI.

    The network weighs them against each other, corrects what both lack, and gives the error
    variance.  While it is trained, each part of the control run is analysed by schemes that
    were fitted to the others.

    Parameters
    ----------
    folds : int
        Parts of the control run (3) that are each analysed with what was fitted to the others.
    patterns : int
        EOFs of the filter (192; fewer where the run is short).
    neighbours : bool
        Whether the filter's inverse model is an operator by which cells follow their
        neighbours (True), or a regression of the coefficients of the EOFs on each other.
    truncation : float
        Factor on the variance that the EOFs leave out, as an error of the observations (8).
    ensemble : int
        Errors of a first run that make the correlations of the EnOI (200; fewer where the
        control run is short).
    localisation : float
        Distance in km beyond which no observation acts in the EnOI (6000).
    most : int
        Observations that a water column uses in the EnOI (80).
    spacing : float
        The EnOI solves columns so many correlation lengths (1.5) of the anomalies apart, and
        interpolates its weights between.
    thinning : float
        Patterns and anomalies are kept for columns so many correlation lengths (0.5) apart at
        most, and interpolated between, which makes models of fine grids small; 0 keeps all.
    modes : int
        Combinations of the observations of a water column that the EnOI keeps (6).
    forecast_width : int
        Features of the network that corrects the forecast (24).
    carried : bool
        Whether the error variance, and the filter's covariance, are carried from cycle to
        cycle (True).  Else each analysis begins with the mean square of the errors of the first
        run, as an EnOI does; where nothing is observed the spread is then not climatological.
    width, deep_width, dilations, distances, partial, kernel, lag
        Of the network, see :func:`increment` (40, 80, (1, 2, 4, 8), (0.4, 1.0), True, 5, 0).

    Returns
    -------
    ArchitectureSpec

    References
    ----------
    Cane et al. (1996), doi:10.1029/96JC01684: filter in the space of EOFs.
    Evensen (2003), doi:10.1007/s10236-003-0036-9: ensemble optimal interpolation.

    Examples
    --------
    >>> hybrid(patterns=60).settings["patterns"]
    60
    """
    return ArchitectureSpec("hybrid", settings)


def fitting(spec: ArchitectureSpec, cycles: int) -> ArchitectureSpec:
    """Specification with no more patterns and anomalies than a run of so many cycles tells apart.

    Parameters
    ----------
    spec : ArchitectureSpec
    cycles : int
        Of the shortest part of the run that something is fitted to.
    """
    most = {"patterns": cycles * 2 // 3, "ensemble": cycles}
    changed = {
        k: max(2, limit)
        for k, limit in most.items()
        if isinstance(spec.settings.get(k), int) and spec.settings[k] > limit
    }
    return ArchitectureSpec(spec.name, {**spec.settings, **changed}) if changed else spec


def deepda2024(quirks: Iterable[str] | str = ()) -> ArchitectureSpec:
    """Architecture of Ham, Joo, Kim & Lee (2024): background and observations in, analysis out.

    Parameters
    ----------
    quirks : iterable of str, or "all"
        Peculiarities of the published code to switch on; see
        ``xdeepda.core.deepda2024.QUIRKS`` for names and meaning.

    Returns
    -------
    ArchitectureSpec

    Examples
    --------
    >>> deepda2024().name
    'deepda2024'
    """
    chosen = ("all",) if quirks == "all" else tuple(sorted(quirks))
    return ArchitectureSpec("deepda2024", {"quirks": chosen})
