"""Code tables of the World Ocean Database: probes, standard levels, quality flags.

From Garcia et al. (2018), World Ocean Database 2018 User's Manual.  Knows codes; it
knows no file.
"""

from __future__ import annotations

import numpy as np

from xdeepda.observations.readers.flags import Scheme

#: Second header 29 of the manual.
PROBES = {
    1: "MBT", 2: "XBT", 3: "DBT", 4: "CTD", 5: "STD", 6: "XCTD", 7: "bottle", 8: "underway",
    9: "profiling float", 10: "moored buoy", 11: "drifting buoy", 12: "towed CTD", 13: "animal",
    14: "bucket", 15: "glider", 16: "micro BT",
}  # fmt: skip

#: Standard levels up to the edition of 2009, and since that of 2013 (m).
STANDARD_LEVELS = {
    40: np.array(
        [0, 10, 20, 30, 50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 600, 700, 800, 900, 1000,
         1100, 1200, 1300, 1400, 1500, 1750, *range(2000, 9001, 500)], dtype=float,
    ),
    137: np.array(
        [*range(0, 101, 5), *range(125, 501, 25), *range(550, 2001, 50), *range(2100, 9001, 100)],
        dtype=float,
    ),
}  # fmt: skip

#: Flags of single values at observed levels; range checks are failed by what cannot be.
OBSERVED = Scheme(
    "WOD",
    {0: 1, 1: 4, 2: 3, 3: 3, 4: 3, 5: 3, 6: 4, 7: 4, 8: 4, 9: 4},
    {1: "outside of the broad range", 2: "density inversion", 3: "gradient",
     4: "bull's eye or zero gradient", 5: "gradient and inversion", 6: "range and inversion",
     7: "range and gradient", 8: "range and questionable data",
     9: "range, gradient and inversion"},
)  # fmt: skip
#: The same at standard levels: standard deviations from the climatology.
STANDARD = Scheme(
    "WOD standard level",
    {0: 1, **dict.fromkeys(range(1, 10), 3)},
    {1: "bull's eye", 2: "density inversion", 3: "annual standard deviation",
     4: "seasonal standard deviation", 5: "monthly standard deviation",
     6: "annual and seasonal standard deviation", 7: "annual and monthly standard deviation",
     8: "seasonal and monthly standard deviation",
     9: "annual, seasonal and monthly standard deviation"},
)  # fmt: skip
PROFILE = Scheme(
    "WOD profile",
    {0: 1, **dict.fromkeys(range(1, 10), 3)},
    {1: "annual standard deviation", 2: "two or more density inversions", 3: "cruise",
     4: "seasonal standard deviation", 5: "monthly standard deviation",
     6: "annual and seasonal standard deviation",
     7: "bull's eye, or annual and monthly standard deviation",
     8: "seasonal and monthly standard deviation",
     9: "annual, seasonal and monthly standard deviation"},
)  # fmt: skip
DEPTH = Scheme(
    "WOD depth", {0: 1, 1: 3, 2: 3}, {1: "not below the one before", 2: "density inversion"}
)
ORIGINATOR = Scheme(
    "originator's GTSPP",
    {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 2, 6: 0, 7: 2, 8: 2, 9: 9},
    {3: "doubtful", 4: "erroneous"},
)
