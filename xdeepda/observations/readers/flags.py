"""Quality flags of the archives, brought to one scheme with reasons.

The scheme is that of Argo, GTSPP and SeaDataNet without its special codes:
0 no control, 1 good, 2 probably good, 3 probably bad, 4 bad, 9 missing.  Every
flag of 3 and 4 gets a reason in words.  Knows codes; it knows no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

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

#: Severity, by which the worse of two flags is chosen: no control is no reproach.
_SEVERITY = {NONE: 1, GOOD: 0, PROBABLY_GOOD: 2, PROBABLY_BAD: 3, BAD: 4, MISSING: 5}


@dataclass(frozen=True)
class Scheme:
    """Flags of one archive.

    Attributes
    ----------
    name : str
        Appears in the reasons.
    codes : dict of int to int
        Code of the archive (a digit by its value, a letter by its ``ord``) to
        flag of the table.
    reasons : dict of int to str
        What a code says; by default the meaning of the flag.
    """

    name: str
    codes: Mapping[int, int]
    reasons: Mapping[int, str] = field(default_factory=dict)


_ARGO = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 2, 6: 0, 7: 2, 8: 2, 9: 9}
_QARTOD = {0: 0, 1: 1, 2: 0, 3: 3, 4: 4, 9: 9}

#: By name.
SCHEMES: dict[str, Scheme] = {
    # Argo reference table 2; OceanSITES and the Copernicus in-situ centre use the same
    # numbers, with 7 for nominal values; 5 is a changed, 8 an interpolated value
    "argo": Scheme("Argo", _ARGO, {3: "bad data that are potentially correctable"}),
    "gtspp": Scheme("GTSPP", _ARGO, {3: "doubtful", 4: "erroneous"}),
    "imos": Scheme("IMOS", _ARGO, {3: "bad data that are potentially correctable"}),
    # SeaDataNet vocabulary L20; 6 below and 7 in excess of what can be measured,
    # A: the phenomenon is uncertain, B: nominal, Q: below the limit of quantification
    "seadatanet": Scheme(
        "SeaDataNet",
        {**{k: v for k, v in _ARGO.items() if k not in (6, 7)}, 6: 3, 7: 3,
         ord("A"): 3, ord("B"): 2, ord("Q"): 3},
        {6: "below detection", 7: "in excess", ord("A"): "value phenomenon uncertain",
         ord("Q"): "below the limit of quantification"},
    ),
    # World Ocean Database, flags of single levels
    "wod": Scheme(
        "WOD",
        {0: 1, 1: 4, 2: 3, 3: 3, 4: 3, 5: 3, 6: 3, 7: 3, 8: 3, 9: 3},
        {1: "outside of the broad range", 2: "density inversion",
         3: "failed the standard deviation check (season)",
         4: "failed the standard deviation check (year)",
         5: "failed the standard deviation check (month)",
         6: "failed the standard deviation check (year, month)",
         7: "failed the standard deviation check (all)", 8: "bull's eye or questionable",
         9: "failed several checks"},
    ),
    # WOD, flags of whole profiles of a variable
    "wod_profile": Scheme(
        "WOD profile",
        {0: 1, 1: 3, 2: 3, 3: 3, 4: 3, 5: 3, 6: 3, 7: 3, 8: 3, 9: 3},
        {1: "failed the annual standard deviation check", 2: "two or more density inversions",
         3: "flagged cruise", 4: "failed the seasonal standard deviation check",
         5: "failed the monthly standard deviation check",
         6: "failed the annual and seasonal checks", 7: "bull's eye",
         8: "failed the annual and monthly checks", 9: "failed several checks"},
    ),
    # World Ocean Circulation Experiment, CTD: 1 not calibrated, 6 interpolated, 7 despiked
    "woce_ctd": Scheme(
        "WOCE CTD", {1: 0, 2: 1, 3: 3, 4: 4, 5: 9, 6: 2, 7: 2, 8: 0, 9: 9}, {3: "questionable"}
    ),
    # water samples: 1 not yet analysed, 6 mean of replicates, 7 and 8 chromatography
    "woce_bottle": Scheme(
        "WOCE bottle", {1: 9, 2: 1, 3: 3, 4: 4, 5: 9, 6: 1, 7: 2, 8: 2, 9: 9}, {3: "questionable"}
    ),
    # Ocean Data View: 0 good, 1 unknown, 4 questionable, 8 bad
    "odv": Scheme("ODV", {0: 1, 1: 0, 4: 3, 8: 4}, {4: "questionable"}),
    # moorings of PMEL: 1 highest, 2 default, 3 adjusted, 4 lower quality, 5 failed
    "pmel": Scheme(
        "PMEL", {0: 9, 1: 1, 2: 2, 3: 2, 4: 3, 5: 4, -9: 3},
        {4: "lower quality", 5: "sensor or tube failed", -9: "special, see the archive's notes"},
    ),
    "qartod": Scheme("QARTOD", _QARTOD, {3: "suspect", 4: "failed"}),
}  # fmt: skip


def map_flags(codes: np.ndarray, scheme: str | Scheme) -> tuple[np.ndarray, np.ndarray]:
    """Flags of the table, and reasons for those of 3 and 4.

    Parameters
    ----------
    codes : numpy.ndarray of int
        Codes of the archive, -1 where there is none
        (see :func:`xdeepda.observations.readers.decode.flag_codes`).
    scheme : str or Scheme
        One of :data:`SCHEMES`, or one's own.

    Returns
    -------
    qc : numpy.ndarray of int8
        A code that the scheme does not know is 0, "no quality control".
    reason : numpy.ndarray of str objects
        Empty for flags other than 3 and 4.

    Examples
    --------
    >>> qc, reason = map_flags(np.array([1, 4, -1]), "argo")
    >>> qc.tolist(), reason.tolist()
    ([1, 4, 0], ['', 'Argo flag 4 (bad)', ''])
    """
    own = SCHEMES[scheme] if isinstance(scheme, str) else scheme
    codes = np.asarray(codes)
    found, inverse = np.unique(codes, return_inverse=True)
    flags = np.array([own.codes.get(int(c), NONE) for c in found], dtype=np.int8)
    told = np.array([_reason(own, int(c)) for c in found], dtype=object)
    inverse = inverse.reshape(codes.shape)
    return flags[inverse], told[inverse]


def _reason(scheme: Scheme, code: int) -> str:
    """Sentence for one code."""
    flag = scheme.codes.get(code, NONE)
    if flag not in (PROBABLY_BAD, BAD):
        return ""
    letter = chr(code) if code > 9 else str(code)
    return f"{scheme.name} flag {letter} ({scheme.reasons.get(code, MEANINGS[flag])})"


def worse(
    qc: np.ndarray, reason: np.ndarray, other: np.ndarray, other_reason: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Worse of two flags of each row, with the reasons of both where both are bad.

    Parameters
    ----------
    qc, other : numpy.ndarray of int8, shape (n,)
    reason, other_reason : numpy.ndarray of str objects, shape (n,)

    Returns
    -------
    qc, reason : numpy.ndarray, shape (n,)
    """
    rank = np.zeros(10, dtype=np.int8)
    for flag, severity in _SEVERITY.items():
        rank[flag] = severity
    result = np.where(rank[other] > rank[qc], other, qc).astype(np.int8)
    text = reason.copy()
    add = np.flatnonzero(other_reason.astype(bool) & (other_reason != reason))
    for i in add:
        text[i] = f"{reason[i]}; {other_reason[i]}" if reason[i] else other_reason[i]
    return result, text
