"""Quality control against the flags of the archives: hit rates and false alarms.

The flags with which the data came are taken off, the rules are run, and their verdict is
compared: with the flags that experts set by hand (QuOTA), with those of the archives, and
with errors that are planted into good casts.

    python -m benchmarks qc --data FOLDER
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

import xdeepda
from benchmarks import common
from xdeepda.observations.flags import rejected
from xdeepda.observations.qc.control import own_rule

#: Files of which the archive's good data should pass.
GOOD = {
    "XBT, January 2005 (WOD)": "wod/XBTS2005",
    "25 floats, equatorial Atlantic (Argo)": "argo/argo_equatorial_atlantic_2003_2025_prof.nc",
    "float, subpolar Atlantic (Argo)": "argo/6900388_prof.nc",
    "float under ice (Argo)": "argo/7900364_prof.nc",
    "CTD, February 1990 (WOD)": "wod/ocldb1224607247.14854.CTD10.csv.gz",
    "bottles, 7 August 1934 (WOD)": "wod/ocldb1570984477.6279_OSD.nc",
    "bottles, section A03 (CCHDO)": "cchdo/a03_hy1.csv.gz",
    "MBT, Mediterranean 1951 (CORA)": "cora/CO_DMQCGL01_19511210_PR_SH.nc",
    "mooring 0 N 140 W (TAO)": "tao/t0n140w_dy.cdf.gz",
    "mooring 0 N 170 W (TAO)": "tao/t0n170w_dy.cdf.gz",
}
QUOTA = "wod/quota_subset.dat"
#: Verdicts that say nothing about the value itself.
NOT_OF_VALUES = {"duplicate", "near_duplicate", "speed"}
#: The fill that QuOTA left undeclared, in degrees; potential temperature changes it little.
FILL = 99.0


@dataclass(frozen=True)
class Rates:
    """Agreement of two verdicts.

    Attributes
    ----------
    bad, good : int
        By the reference.
    hits, alarms : int
        Rejected among the bad, and among the good.
    """

    bad: int
    good: int
    hits: int
    alarms: int

    @property
    def hit_rate(self) -> float:
        return self.hits / self.bad if self.bad else float("nan")

    @property
    def false_alarm_rate(self) -> float:
        return self.alarms / self.good if self.good else float("nan")

    def __str__(self) -> str:
        found = f"{self.hits:>7} of {self.bad:<7} bad found ({100 * self.hit_rate:5.1f} %)"
        if not self.good:
            return found
        return (
            f"{found}, {self.alarms:>6} of {self.good:<7} good rejected "
            f"({100 * self.false_alarm_rate:.3f} %)"
        )


def rates(bad: np.ndarray, rejected_: np.ndarray) -> Rates:
    """Agreement of rows or casts."""
    return Rates(
        int(bad.sum()), int((~bad).sum()), int((bad & rejected_).sum()),
        int((~bad & rejected_).sum()),
    )  # fmt: skip


def unflagged(obs: xr.Dataset) -> xr.Dataset:
    """The table as if it had come without flags."""
    size = obs.sizes["obs"]
    return obs.assign(
        qc=("obs", np.zeros(size, np.int8)), reason=("obs", np.full(size, "", dtype=object))
    )


def verdict(checked: xr.Dataset, *, values: bool = False) -> np.ndarray:
    """Rows that the rules rejected; with `values` only for what is wrong with the value."""
    rule = np.array([own_rule(str(text)) for text in checked["reason"].values], dtype=object)
    out = rejected(checked["qc"].values)
    return out & ~np.isin(rule, list(NOT_OF_VALUES)) if values else out


def hand_flags(obs: xr.Dataset) -> np.ndarray:
    """Temperatures that QuOTA's experts flagged, by the originator's flags."""
    told = np.array(["originator" in str(text) for text in obs["reason"].values])
    return told & (obs["variable"].values == "thetao")


def by_cast(obs: xr.Dataset, rows: np.ndarray) -> np.ndarray:
    """Whether each cast has such a row."""
    _, cast = np.unique(obs["profile"].values.astype(str), return_inverse=True)
    return np.bincount(cast, weights=rows) > 0


def quota(obs: xr.Dataset) -> dict[str, Rates]:
    """Agreement with the hand-made flags of QuOTA: temperatures, levels and casts."""
    obs = obs.isel(obs=obs["variable"].values == "thetao")
    own = verdict(xdeepda.quality_control(unflagged(obs)), values=True)
    hand, fill = hand_flags(obs), obs["value"].values > FILL
    real = ~fill
    return {
        "levels, fills of 99.9": rates(fill[fill], own[fill]),
        "levels, flagged by hand": rates(hand[real], own[real]),
        "casts, flagged by hand": rates(by_cast(obs, hand & real), by_cast(obs, own & real)),
    }


def archive(obs: xr.Dataset) -> tuple[Rates, Counter[str]]:
    """Agreement with the flags of an archive, and the rules that rejected its good data."""
    checked = xdeepda.quality_control(unflagged(obs))
    own, bad = verdict(checked), rejected(obs["qc"].values)
    why = Counter(str(own_rule(str(t))) for t in checked["reason"].values[own & ~bad])
    return rates(bad, own), why


# ---- planted errors

Plant = Callable[[xr.Dataset, np.ndarray], xr.Dataset]


def _value(change: float, *, add: bool = True) -> Plant:
    """Plant that changes the value of some rows."""

    def plant(obs: xr.Dataset, rows: np.ndarray) -> xr.Dataset:
        new = obs["value"].values.copy()
        new[rows] = new[rows] + change if add else change
        return obs.assign(value=obs["value"].copy(data=new))

    return plant


def _place(name: str, change: float) -> Plant:
    """Plant that moves whole casts."""

    def plant(obs: xr.Dataset, rows: np.ndarray) -> xr.Dataset:
        mine = np.isin(obs["profile"].values, obs["profile"].values[rows])
        new = np.where(mine, obs[name].values + change, obs[name].values)
        return obs.assign_coords({name: obs[name].copy(data=new)})

    return plant


PLANTS: dict[str, Plant] = {
    "value 99.9": _value(99.9, add=False),
    "value 0.0 in the tropics": _value(0.0, add=False),
    **{f"{size:+g} K at one level": _value(size) for size in (-10.0, -5.0, -3.0, 3.0, 5.0, 10.0)},
    "latitude + 100 degrees": _place("latitude", 100.0),
    "longitude + 20 degrees": _place("longitude", 20.0),
    "latitude + 5 degrees": _place("latitude", 5.0),
}


def planted(obs: xr.Dataset, seed: int) -> dict[str, Rates]:
    """Found of errors that are planted into one in fifty casts of those that pass.

    Levels: one of each cast chosen, neither the first nor the last.  Places: the cast.
    """
    checked = xdeepda.quality_control(obs)
    good = checked.isel(obs=~rejected(checked["qc"].values))
    _, first, cast, size = np.unique(
        good["profile"].values.astype(str), return_index=True, return_inverse=True,
        return_counts=True,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    chosen = np.flatnonzero((size > 4) & (rng.random(size.size) < 0.02))
    rows = first[chosen] + rng.integers(1, size[chosen] - 1)
    out = {}
    for name, plant in PLANTS.items():
        mine = rows
        if "tropics" in name:
            mine = rows[np.abs(good["latitude"].values[rows]) < 20]
        result = rejected(xdeepda.quality_control(plant(good, mine))["qc"].values)
        bad = np.zeros(good.sizes["obs"], dtype=bool)
        bad[mine] = True
        if "degrees" in name:
            bad = np.isin(cast, chosen)
        out[name] = rates(bad, result)
    return out


# ---- speed


def million(casts: int = 12_500, levels: int = 40) -> xr.Dataset:
    """Table of a million rows: casts of temperature and salinity by 500 ships."""
    size = casts * levels
    number = np.repeat(np.arange(casts), levels)
    depth = np.tile(np.linspace(5.0, 1500.0, levels), casts)
    ship, leg = number % 500, number // 500
    noise = np.random.default_rng(0).standard_normal((2, size))
    value = [4.0 + 18.0 * np.exp(-depth / 400.0), 34.6 + 0.4 * np.exp(-depth / 900.0)]
    time_ = np.datetime64("2005-01-01T00:07", "ns") + leg * np.timedelta64(6, "h")
    columns = {
        "time": time_, "depth": depth, "latitude": ship * 0.2 - 50.0,
        "longitude": 160.0 + leg * 2.0 + 0.1 * (ship % 7),
        "platform": np.char.add("ship", ship.astype(str)).astype(object),
        "profile": number.astype(str).astype(object),
        "instrument": np.full(size, "CTD", dtype=object),
        "source": np.full(size, "a.nc", dtype=object),
    }  # fmt: skip
    attrs = {
        "units_thetao": "degC", "units_so": "psu",
        "standard_name_thetao": "sea_water_potential_temperature",
        "standard_name_so": "sea_water_practical_salinity",
    }  # fmt: skip
    both = np.concatenate([value[0] + 0.01 * noise[0], value[1] + 0.001 * noise[1]])
    return xr.Dataset(
        {
            "value": ("obs", both, attrs),
            "variable": ("obs", np.repeat(np.array(["thetao", "so"], dtype=object), size)),
        },
        coords={n: ("obs", np.concatenate([c, c])) for n, c in columns.items()},
    ).assign_coords(depth=("obs", np.concatenate([depth, depth]), {"units": "m"}))


def seconds(repeat: int = 3) -> tuple[float, int]:
    """Least processor time of a check of a million rows, and how many are rejected."""
    obs, best, bad = million(), np.inf, 0
    for _ in range(repeat):
        start = time.process_time()
        checked = xdeepda.quality_control(obs)
        best = min(best, time.process_time() - start)
        bad = int(rejected(checked["qc"].values).sum())
    return best, bad


def main(arguments: list[str]) -> int:
    options = common.parser("qc", str(__doc__).splitlines()[0]).parse_args(arguments)
    folder = common.data_file(options.data, "observations")
    lines = ["agreement with the hand-made flags of QuOTA (temperature)"]
    for name, found in quota(xdeepda.open_observations(folder / QUOTA)).items():
        lines.append(f"  {name:<38}{found}")
    lines.append("data that the archives hold to be good, all rules (flags taken off)")
    for name, path in GOOD.items():
        found, why = archive(xdeepda.open_observations(folder / path))
        told = ", ".join(f"{rule} {n}" for rule, n in why.most_common(4))
        lines.append(
            f"  {name:<38}{found.alarms:>6} of {found.good:>7} rejected "
            f"({100 * found.false_alarm_rate:.3f} %)  {told}".rstrip()
        )
    lines.append("errors planted into the XBT casts of January 2005 (rows)")
    for name, found in planted(
        xdeepda.open_observations(folder / GOOD["XBT, January 2005 (WOD)"]), options.seed
    ).items():
        lines.append(f"  {name:<38}{found}")
    best, bad = seconds()
    lines.append(f"a million rows in {best:.1f} s of one processor (least of 3), {bad} rejected")
    print("\n".join(lines))
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "qc.txt").write_text("\n".join(lines) + "\n")
    return 0
