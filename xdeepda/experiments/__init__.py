"""Experiments in one call: with a known truth, with withheld observations, with a system denied.

Each conducts verbs that exist on their own (``observe``, ``withhold``, ``assimilate``,
``departures``, ``verify``) and calculates nothing itself.
"""

from xdeepda.experiments.denial import ose
from xdeepda.experiments.simulated import osse
from xdeepda.experiments.systems import analyses
from xdeepda.experiments.withheld import withheld_experiment

__all__ = ["analyses", "ose", "osse", "withheld_experiment"]
