"""Quality flags of the archives, brought to one scheme with reasons.

The scheme is that of Argo, GTSPP and SeaDataNet without its special codes:
0 no control, 1 good, 2 probably good, 3 probably bad, 4 bad, 9 missing.  Every
flag of 3 and 4 gets a reason in words.  Knows codes; it knows no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xdeepda.observations.flags import (
    BAD,
    GOOD,
    MEANINGS,
    MISSING,
    NONE,
    PROBABLY_BAD,
    PROBABLY_GOOD,
)


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
        {0: 1, 1: 4, **dict.fromkeys(range(2, 6), 3), **dict.fromkeys(range(6, 10), 4)},
        {1: "out of range", 2: "density inversion", 3: "gradient", 4: "anomaly",
         5: "gradient and inversion", 6: "range and inversion", 7: "range and gradient",
         8: "range and anomaly", 9: "range, inversion and gradient"},
    ),
    # WOD, flags of whole profiles of a variable
    "wod_profile": Scheme(
        "WOD profile",
        {0: 1, **dict.fromkeys(range(1, 10), 3)},
        {1: "annual standard deviation", 2: "density inversions", 3: "cruise",
         4: "seasonal standard deviation", 5: "monthly standard deviation",
         6: "annual and seasonal standard deviation",
         7: "anomaly, or annual and monthly standard deviation",
         8: "seasonal and monthly standard deviation",
         9: "annual, seasonal and monthly standard deviation"},
    ),
    # IQuOD (in WOD files): 1 passed, 2 probably good, 3 suspicious, 4 bad
    "iquod": Scheme("IQuOD", {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}, {3: "suspicious"}),
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


#: Words in the meanings of flags, and the flag that they mean; the first that fits decides.
_WORDS = (
    (("not_used", "not used"), NONE),
    (("missing", "not_sampled", "no_data", "no_value", "not_reported"), MISSING),
    (("no_q", "not_eval", "unknown", "not_check", "no_flag", "not_calib", "not_assess"), NONE),
    (("probably_good", "changed", "interpol", "adjusted", "estimated", "despiked"), PROBABLY_GOOD),
    (("correctable", "probably_bad", "suspect", "question", "doubt", "suspici", "of_interest"),
     PROBABLY_BAD),
    (("bad", "fail", "reject", "error", "wrong", "out_of", "_out", "invalid"), BAD),
    (("good", "pass", "accept", "valid", "ok", "correct"), GOOD),
)  # fmt: skip


def scheme_of(attrs: Mapping[str, Any]) -> Scheme | None:
    """Scheme that a variable of flags declares by ``flag_values`` and ``flag_meanings``.

    Parameters
    ----------
    attrs : mapping
        Attributes of the variable.

    Returns
    -------
    Scheme or None
        None where nothing is declared, or not a single word is understood.

    Examples
    --------
    >>> own = scheme_of({"flag_values": [1, 2], "flag_meanings": "pass fail"})
    >>> dict(own.codes)
    {1: 1, 2: 4}
    """
    values = np.atleast_1d(attrs.get("flag_values", []))
    if values.dtype.kind in "SU":
        values = np.array([ord(str(v)[-1]) if not str(v).isdigit() else int(v) for v in values])
    words = str(attrs.get("flag_meanings", "")).lower().split()
    if not values.size or len(words) != values.size or values.dtype.kind not in "iuf":
        return None
    codes, reasons = {}, {}
    ascii_codes = bool((values >= 48).all())
    for value, word in zip(values.tolist(), words, strict=True):
        hit = next((flag for parts, flag in _WORDS if any(p in word for p in parts)), None)
        if hit is not None:
            code = int(value) - 48 if ascii_codes and 48 <= value <= 57 else int(value)
            codes[code], reasons[code] = hit, word.replace("_", " ")
    return Scheme("archive", codes, reasons) if GOOD in codes.values() else None


def _reason(scheme: Scheme, code: int) -> str:
    """Sentence for one code."""
    flag = scheme.codes.get(code, NONE)
    if flag not in (PROBABLY_BAD, BAD):
        return ""
    letter = chr(code) if code > 9 else str(code)
    return f"{scheme.name} flag {letter} ({scheme.reasons.get(code, MEANINGS[flag])})"
