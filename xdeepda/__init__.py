"""Ocean data assimilation by deep learning, at home in xarray.

The import registers the accessor ``.deepda`` and loads neither torch nor dask;
both come with the first verb that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xdeepda.accessor import DeepDAAccessor

if TYPE_CHECKING:
    from xdeepda import architectures, baselines, datasets
    from xdeepda.analysis import increment
    from xdeepda.assimilation import assimilate
    from xdeepda.diagnostics.heat import heat_content, steric_height
    from xdeepda.diagnostics.indices import index
    from xdeepda.diagnostics.layers import isotherm_depth, mixed_layer_depth
    from xdeepda.model import Model, load_model
    from xdeepda.observations.departures import departures
    from xdeepda.observations.explanation import explain
    from xdeepda.observations.network import Network, network
    from xdeepda.observations.operator import observe
    from xdeepda.observations.qc import quality_control, quality_report
    from xdeepda.observations.readers import open_observations
    from xdeepda.observations.sources import superob
    from xdeepda.observations.withholding import withhold
    from xdeepda.options import set_options
    from xdeepda.training import train
    from xdeepda.verification.table import to_table
    from xdeepda.verification.verb import verify

#: Public name -> module that defines it.
_PUBLIC = {
    "Model": "xdeepda.model",
    "Network": "xdeepda.observations.network",
    "architectures": "",
    "assimilate": "xdeepda.assimilation",
    "baselines": "",
    "datasets": "",
    "departures": "xdeepda.observations.departures",
    "explain": "xdeepda.observations.explanation",
    "heat_content": "xdeepda.diagnostics.heat",
    "increment": "xdeepda.analysis",
    "index": "xdeepda.diagnostics.indices",
    "isotherm_depth": "xdeepda.diagnostics.layers",
    "load_model": "xdeepda.model",
    "mixed_layer_depth": "xdeepda.diagnostics.layers",
    "network": "xdeepda.observations.network",
    "observe": "xdeepda.observations.operator",
    "open_observations": "xdeepda.observations.readers",
    "quality_control": "xdeepda.observations.qc",
    "quality_report": "xdeepda.observations.qc",
    "set_options": "xdeepda.options",
    "steric_height": "xdeepda.diagnostics.heat",
    "superob": "xdeepda.observations.sources",
    "to_table": "xdeepda.verification.table",
    "train": "xdeepda.training",
    "verify": "xdeepda.verification.verb",
    "withhold": "xdeepda.observations.withholding",
}

__all__ = [
    "DeepDAAccessor",
    "Model",
    "Network",
    "__version__",
    "architectures",
    "assimilate",
    "baselines",
    "datasets",
    "departures",
    "explain",
    "heat_content",
    "increment",
    "index",
    "isotherm_depth",
    "load_model",
    "mixed_layer_depth",
    "network",
    "observe",
    "open_observations",
    "quality_control",
    "quality_report",
    "set_options",
    "steric_height",
    "superob",
    "to_table",
    "train",
    "verify",
    "withhold",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name == "__version__":
        return import_module("xdeepda.provenance").package_version()
    if name not in _PUBLIC:
        raise AttributeError(f"module 'xdeepda' has no attribute {name!r}")
    home = _PUBLIC[name]
    value = getattr(import_module(home), name) if home else import_module(f"xdeepda.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names."""
    return sorted(__all__)
