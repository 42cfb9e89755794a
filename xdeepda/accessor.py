"""The accessor ``.deepda``: an address, not an algorithm.

Holds only the object; each verb is the function of the same name, bound to it.
Importing this module loads xarray alone.
"""

from __future__ import annotations

import xarray as xr

from xdeepda.address import Verb


class Plots:
    """Pictures of a Dataset or DataArray; each is a function of :mod:`xdeepda.plot`.

    Parameters
    ----------
    obj : Dataset or DataArray
    """

    map = Verb("xdeepda.plot", "xdeepda.plot")
    section = Verb("xdeepda.plot", "xdeepda.plot")
    profile = Verb("xdeepda.plot", "xdeepda.plot")
    hovmoller = Verb("xdeepda.plot", "xdeepda.plot")
    series = Verb("xdeepda.plot", "xdeepda.plot")
    by_depth = Verb("xdeepda.plot", "xdeepda.plot")
    rank_histogram = Verb("xdeepda.plot", "xdeepda.plot")
    innovations = Verb("xdeepda.plot", "xdeepda.plot")
    coverage = Verb("xdeepda.plot", "xdeepda.plot")
    history = Verb("xdeepda.plot", "xdeepda.plot")
    animate = Verb("xdeepda.plot", "xdeepda.plot")

    def __init__(self, obj: xr.Dataset | xr.DataArray) -> None:
        self._obj = obj

    def __repr__(self) -> str:
        """Names of the pictures."""
        kinds = (name for name, verb in vars(type(self)).items() if isinstance(verb, Verb))
        return f"<xdeepda: pictures of this {type(self._obj).__name__}: {', '.join(kinds)}>"


@xr.register_dataset_accessor("deepda")
@xr.register_dataarray_accessor("deepda")
class DeepDAAccessor:
    """Verbs of xdeepda on a Dataset or DataArray.

    In a notebook, ``ds.deepda`` shows what was understood of the object, and what
    is missing for each verb; it computes nothing.

    Parameters
    ----------
    obj : Dataset or DataArray

    See Also
    --------
    xdeepda.train : Train a model on this control run.
    xdeepda.assimilate : Analyse observations, starting from this.
    xdeepda.update : Go on with this stored analysis.
    xdeepda.joints : Streams of this analysis, compared where they meet.
    xdeepda.observe : Simulate observations of this truth.
    xdeepda.quality_control : Flag what is wrong with these observations.
    xdeepda.quality_report : Count what was flagged.
    xdeepda.withhold : Keep part of these observations aside, to verify with.
    xdeepda.superob : Combine these observations by cell and cycle.
    xdeepda.network : Sampling of these observations.
    xdeepda.increment : Analysis minus background of this analysis.
    xdeepda.departures : Observations minus this analysis, datum by datum.
    xdeepda.initial_conditions : This analysis on the grid of a model that starts from it.
    xdeepda.explain : What happened to one observation of this ledger.
    xdeepda.verify : Compare this analysis and its spread with what is known better.
    xdeepda.osse : Observe this truth, and compare systems that look for it.
    xdeepda.withheld_experiment : Compare systems at withheld ones of these observations.
    xdeepda.ose : Analyse with and without one observing system.
    xdeepda.to_table : These statistics as a table.
    xdeepda.heat_content : Heat in a layer.
    xdeepda.steric_height : Height of the sea by temperature and salinity.
    xdeepda.isotherm_depth : Depth of the 20 degC or another isotherm.
    xdeepda.mixed_layer_depth : Depth of the mixed layer.
    xdeepda.index : Niño 3.4 and other indices.
    xdeepda.anomalies : Departures from the climatology.
    xdeepda.seasonal_cycle : Climatology, amplitude and phase.
    xdeepda.trend : Linear trend with its error.
    xdeepda.drift : Trend of the mean of each level.
    xdeepda.marine_heatwave_days : Days of marine heatwave in each year.
    xdeepda.static_stability : Heavier water above lighter.
    xdeepda.eofs : Empirical orthogonal functions.
    xdeepda.over_members : Mean and spread over members.
    xdeepda.report : A page with the pictures and tables that a reviewer would ask for.
    xdeepda.plot : Pictures: ``.plot.map()``, ``.plot.section()``, ...
    """

    train = Verb("xdeepda.training")
    assimilate = Verb("xdeepda.assimilation")
    update = Verb("xdeepda.realtime")
    joints = Verb("xdeepda.production.joints")
    observe = Verb("xdeepda.observations.operator")
    quality_control = Verb("xdeepda.observations.qc")
    quality_report = Verb("xdeepda.observations.qc")
    withhold = Verb("xdeepda.observations.withholding")
    superob = Verb("xdeepda.observations.sources")
    network = Verb("xdeepda.observations.network")
    increment = Verb("xdeepda.analysis")
    departures = Verb("xdeepda.observations.departures")
    initial_conditions = Verb("xdeepda.conditions")
    explain = Verb("xdeepda.observations.explanation")
    verify = Verb("xdeepda.verification.verb")
    osse = Verb("xdeepda.experiments")
    withheld_experiment = Verb("xdeepda.experiments")
    ose = Verb("xdeepda.experiments")
    to_table = Verb("xdeepda.verification.table")
    heat_content = Verb("xdeepda.diagnostics.heat")
    steric_height = Verb("xdeepda.diagnostics.heat")
    isotherm_depth = Verb("xdeepda.diagnostics.layers")
    mixed_layer_depth = Verb("xdeepda.diagnostics.layers")
    index = Verb("xdeepda.diagnostics.indices")
    anomalies = Verb("xdeepda.diagnostics.seasons")
    seasonal_cycle = Verb("xdeepda.diagnostics.seasons")
    trend = Verb("xdeepda.diagnostics.trends")
    drift = Verb("xdeepda.diagnostics.trends")
    marine_heatwave_days = Verb("xdeepda.diagnostics.extremes")
    static_stability = Verb("xdeepda.diagnostics.stability")
    eofs = Verb("xdeepda.diagnostics.modes")
    over_members = Verb("xdeepda.diagnostics.members")
    report = Verb("xdeepda.reporting.verb")

    def __init__(self, obj: xr.Dataset | xr.DataArray) -> None:
        self._obj = obj

    @property
    def plot(self) -> Plots:
        """Pictures; see :mod:`xdeepda.plot`."""
        return Plots(self._obj)

    def __repr__(self) -> str:
        """Say what was understood, and what is missing for each verb."""
        from xdeepda.inspection import describe

        return describe(self._obj)

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        from xdeepda.inspection import describe_html

        return describe_html(self._obj)
