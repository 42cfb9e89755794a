"""Ocean data assimilation by deep learning, at home in xarray.

The import registers the accessor ``.deepda`` and loads neither torch nor dask;
both come with the first verb that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xdeepda.accessor import DeepDAAccessor

if TYPE_CHECKING:
    from xdeepda import architectures, baselines, datasets, plot
    from xdeepda.analysis import increment
    from xdeepda.assimilation import assimilate
    from xdeepda.conditions import initial_conditions
    from xdeepda.diagnostics.extremes import marine_heatwave_days
    from xdeepda.diagnostics.heat import heat_content, steric_height
    from xdeepda.diagnostics.indices import index
    from xdeepda.diagnostics.layers import isotherm_depth, mixed_layer_depth
    from xdeepda.diagnostics.members import over_members
    from xdeepda.diagnostics.modes import eofs
    from xdeepda.diagnostics.seasons import anomalies, seasonal_cycle
    from xdeepda.diagnostics.stability import static_stability
    from xdeepda.diagnostics.trends import drift, trend
    from xdeepda.experiments import ose, osse, withheld_experiment
    from xdeepda.forecasts import Forecast
    from xdeepda.impact import degrees_of_freedom, design, influence
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
    from xdeepda.production.joints import joints
    from xdeepda.realtime import update
    from xdeepda.reporting.verb import report
    from xdeepda.training import train
    from xdeepda.verification.table import to_table
    from xdeepda.verification.verb import verify

#: Public name -> module that defines it.
_PUBLIC = {
    "Forecast": "xdeepda.forecasts",
    "Model": "xdeepda.model",
    "Network": "xdeepda.observations.network",
    "anomalies": "xdeepda.diagnostics.seasons",
    "architectures": "",
    "assimilate": "xdeepda.assimilation",
    "baselines": "",
    "datasets": "",
    "degrees_of_freedom": "xdeepda.impact",
    "departures": "xdeepda.observations.departures",
    "design": "xdeepda.impact",
    "drift": "xdeepda.diagnostics.trends",
    "eofs": "xdeepda.diagnostics.modes",
    "explain": "xdeepda.observations.explanation",
    "heat_content": "xdeepda.diagnostics.heat",
    "increment": "xdeepda.analysis",
    "index": "xdeepda.diagnostics.indices",
    "influence": "xdeepda.impact",
    "initial_conditions": "xdeepda.conditions",
    "isotherm_depth": "xdeepda.diagnostics.layers",
    "joints": "xdeepda.production.joints",
    "load_model": "xdeepda.model",
    "marine_heatwave_days": "xdeepda.diagnostics.extremes",
    "mixed_layer_depth": "xdeepda.diagnostics.layers",
    "network": "xdeepda.observations.network",
    "observe": "xdeepda.observations.operator",
    "open_observations": "xdeepda.observations.readers",
    "ose": "xdeepda.experiments",
    "osse": "xdeepda.experiments",
    "over_members": "xdeepda.diagnostics.members",
    "plot": "",
    "quality_control": "xdeepda.observations.qc",
    "quality_report": "xdeepda.observations.qc",
    "report": "xdeepda.reporting.verb",
    "seasonal_cycle": "xdeepda.diagnostics.seasons",
    "set_options": "xdeepda.options",
    "static_stability": "xdeepda.diagnostics.stability",
    "steric_height": "xdeepda.diagnostics.heat",
    "superob": "xdeepda.observations.sources",
    "to_table": "xdeepda.verification.table",
    "train": "xdeepda.training",
    "trend": "xdeepda.diagnostics.trends",
    "update": "xdeepda.realtime",
    "verify": "xdeepda.verification.verb",
    "withheld_experiment": "xdeepda.experiments",
    "withhold": "xdeepda.observations.withholding",
}

__all__ = [
    "DeepDAAccessor",
    "Forecast",
    "Model",
    "Network",
    "__version__",
    "anomalies",
    "architectures",
    "assimilate",
    "baselines",
    "datasets",
    "degrees_of_freedom",
    "departures",
    "design",
    "drift",
    "eofs",
    "explain",
    "heat_content",
    "increment",
    "index",
    "influence",
    "initial_conditions",
    "isotherm_depth",
    "joints",
    "load_model",
    "marine_heatwave_days",
    "mixed_layer_depth",
    "network",
    "observe",
    "open_observations",
    "ose",
    "osse",
    "over_members",
    "plot",
    "quality_control",
    "quality_report",
    "report",
    "seasonal_cycle",
    "set_options",
    "static_stability",
    "steric_height",
    "superob",
    "to_table",
    "train",
    "trend",
    "update",
    "verify",
    "withheld_experiment",
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
