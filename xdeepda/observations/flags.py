"""Flags of the table: what quality control has found of each datum.

The scheme is that of Argo, GTSPP and SeaDataNet without its special codes.  Data
flagged 3 or 4 are not used; they stay in the table, with the reason in words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xdeepda.errors import Problems

NONE, GOOD, PROBABLY_GOOD, PROBABLY_BAD, BAD, MISSING = 0, 1, 2, 3, 4, 9

#: Meaning of the flags of the table.
MEANINGS = {
    NONE: "no quality control",
    GOOD: "good",
    PROBABLY_GOOD: "probably good",
    PROBABLY_BAD: "probably bad",
    BAD: "bad",
    MISSING: "missing",
}

#: Severity, by which the worse of two flags is chosen.
SEVERITY = {NONE: 0, GOOD: 0, PROBABLY_GOOD: 1, PROBABLY_BAD: 2, BAD: 3, MISSING: 4}


def rejected(qc: Any) -> np.ndarray:
    """Whether flags say that the datum must not be used."""
    flags = np.asarray(qc)
    return (flags == PROBABLY_BAD) | (flags == BAD)


def check_flags(values: np.ndarray, problems: Problems) -> np.ndarray:
    """Flags as int8; a problem where one is none of :data:`MEANINGS`."""
    numbers = np.asarray(values)
    if numbers.dtype.kind in "OUS":
        text = numbers.astype(str)
        whole = np.char.isdecimal(text)
        numbers = np.where(whole, np.where(whole, text, "-1").astype(np.int64), -1)
    known = np.isin(numbers, list(MEANINGS))
    if not known.all():
        problems.add(
            f"column 'qc' holds unknown flags in {int((~known).sum())} rows",
            found=f"{np.asarray(values)[~known][0]!r} in row {int(np.argmin(known))}",
            expected=", ".join(f"{flag} {meaning}" for flag, meaning in MEANINGS.items()),
        )
    return np.where(known, numbers, NONE).astype(np.int8)


def worse(
    qc: np.ndarray, reason: np.ndarray, other: np.ndarray, other_reason: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Worse of two flags of each row, with the reasons of both where both are bad.

    Where neither is a reproach (0 and 1) the first one stays.

    Parameters
    ----------
    qc, other : numpy.ndarray of int8, shape (n,)
    reason, other_reason : numpy.ndarray of str objects, shape (n,)

    Returns
    -------
    qc, reason : numpy.ndarray, shape (n,)
    """
    rank = np.zeros(10, dtype=np.int8)
    for flag, severity in SEVERITY.items():
        rank[flag] = severity
    result = np.where(rank[other] > rank[qc], other, qc).astype(np.int8)
    text = reason.copy()
    add = np.flatnonzero(other_reason.astype(bool) & (other_reason != reason))
    for i in add:
        text[i] = f"{reason[i]}; {other_reason[i]}" if reason[i] else other_reason[i]
    return result, text
