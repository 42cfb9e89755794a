"""What an analysis depends on, as hashes: to know whether a store belongs to a call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from xdeepda.analysis import Labels
from xdeepda.initial import initial_spread
from xdeepda.options import device_of, option, thread_count
from xdeepda.provenance import hash_arrays, package_version
from xdeepda.request import Inputs


def request_of(
    inputs: Inputs, labels: Labels, initial: list[np.ndarray], seed: int
) -> dict[str, str]:
    """What the analysis depends on, by name, in words or as a hash."""
    spreads = (initial_spread(inputs.source, model) for model in inputs.models)
    start = {f"spread {n}": s for n, s in enumerate(spreads) if s is not None}
    start |= {f"initial {n}": states for n, states in enumerate(initial)}
    climates = {f"{n}": c.coefficients for n, c in enumerate(inputs.climatologies)}
    attributes = labels.attributes
    # only where there is one, so that stores that were begun before it existed are gone on with
    forecast = {k: attributes[k] for k in ("forecast",) if k in attributes}
    return {
        "model": " ".join(model.hash for model in inputs.models),
        "observations": _hash_of_cells(inputs),
        "single data": _hash_of_records(inputs),
        "cycles": _hash_of_cycles(inputs),
        "calendar": inputs.calendar,
        "start": hash_arrays(start),
        "climatology": hash_arrays(climates),
        "members": f"{len(initial[0])}, {'kept' if labels.members else 'their mean'}",
        "seed": str(int(seed)),
        "labels": _hash_of_labels(labels, inputs.wanted),
        "checks": attributes.get("checks", "none"),
        "ledger": attributes.get("ledger", "none"),
        **forecast,
    }


def machine_of(device: str | None) -> dict[str, str]:
    """What the last bits depend on besides."""
    return {
        **versions(),
        "device": device_of(device),
        "threads": str(thread_count()),
        "precision": str(option("precision")),
    }


def versions() -> dict[str, str]:
    """Versions that the last bits depend on."""
    return {"xdeepda": package_version(), "torch": version("torch"), "numpy": np.__version__}


def hash_of(request: Mapping[str, str]) -> str:
    """Hash of a request."""
    return hash_arrays({}, json.dumps(dict(request), sort_keys=True))


def request_of_update(
    inputs: Inputs, before: Mapping[str, str], continues: str, start: int
) -> dict[str, str]:
    """What the continuation of an analysis depends on.

    Parameters
    ----------
    inputs : Inputs
    before : dict of str
        Request of the analysis that is gone on with.
    continues : str
        Its hash.
    start : int
        Position of the first cycle.
    """
    return {
        **{name: text for name, text in before.items() if name != "start"},
        "continues": continues,
        "model": " ".join(model.hash for model in inputs.models),
        "observations": _hash_of_cells(inputs, start),
        "single data": _hash_of_records(inputs),
        "cycles": _hash_of_cycles(inputs),
    }


def _hash_of_cells(inputs: Inputs, start: int = 0) -> str:
    """Hash of the superobservations, cycle by cycle."""
    digest = hashlib.sha256(" ".join(inputs.lead.variables).encode())
    for number in map(int, inputs.cycles[start:]):
        for column in inputs.at(number):
            digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()[:16]


def _hash_of_records(inputs: Inputs) -> str:
    """Hash of every datum, where they are kept."""
    records = inputs.records
    if records is None:
        return "not kept"
    names = ("cycle", "value", "error", "fate")
    return hash_arrays({name: getattr(records, name) for name in names})


def _hash_of_cycles(inputs: Inputs) -> str:
    """Cycles that are given out."""
    wanted, cycle = inputs.wanted, inputs.lead.cycle
    ends = cycle.middle(wanted[[0, -1]], inputs.calendar)
    return (
        f"{len(wanted)} from {ends[0]} to {ends[1]}, begun at {int(inputs.cycles[0])} "
        f"({hash_arrays({'wanted': wanted})})"
    )


def _hash_of_labels(labels: Labels, wanted: np.ndarray) -> str:
    """Hash of names, order, units and coordinates."""
    one = labels.dataset(labels.block(wanted[:1]))
    told: dict[str, Any] = {}
    for name, variable in one.variables.items():
        attrs = {k: str(v) for k, v in variable.attrs.items()}
        told[str(name)] = [list(map(str, variable.dims)), list(variable.shape), attrs]
        if name in one.coords and name != labels.time:
            told[str(name)].append(str(variable.values.tolist()))
    return hash_arrays({}, json.dumps(told, sort_keys=True))
