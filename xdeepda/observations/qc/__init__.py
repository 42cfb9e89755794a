"""Quality control: small rules with reason codes, run in a declared order.

One module holds one family of rules; every threshold stands beside its source.
:mod:`.registry` declares the order, :mod:`.control` runs it, :mod:`.report` counts.
"""

from __future__ import annotations

from xdeepda.observations.qc.control import quality_control
from xdeepda.observations.qc.registry import RULES
from xdeepda.observations.qc.report import QualityReport, quality_report
from xdeepda.observations.qc.rule import Rule

__all__ = ["RULES", "QualityReport", "Rule", "quality_control", "quality_report"]
