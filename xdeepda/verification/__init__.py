"""Verification: how good an estimate and its uncertainty are.

:mod:`~xdeepda.verification.scores` and :mod:`~xdeepda.verification.calibration` hold the
formulas as functions on arrays, :mod:`~xdeepda.verification.resampling` the bootstrap.
Knows arrays and labels; no torch.
"""

from __future__ import annotations
