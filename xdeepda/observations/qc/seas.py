"""Seas with rules of their own, as polygons of a few corners (longitude, latitude)."""

from __future__ import annotations

import numpy as np

#: Corners (longitude, latitude) of the regions of the Argo QC manual, test 7.
RED_SEA = ((40.0, 10.0), (50.0, 20.0), (30.0, 30.0))
MEDITERRANEAN = ((-6.0, 30.0), (40.0, 30.0), (35.0, 40.0), (20.0, 42.0), (15.0, 50.0), (5.0, 40.0))
#: The Sulu Sea is closed by sills of 400 m and holds 10 degrees to its bottom at 5,000 m.
SULU_SEA = ((117.0, 9.5), (119.5, 5.0), (122.5, 6.5), (123.5, 9.0), (122.0, 12.0), (119.0, 11.5))

#: What the region of the manual lacks between Gibraltar and Sardinia.
WEST_MEDITERRANEAN = (
    (-5.6, 35.7), (0.0, 35.0), (8.0, 36.5), (10.0, 44.5), (3.0, 43.7), (-0.5, 40.0), (-2.0, 37.0),
    (-5.3, 36.8),
)  # fmt: skip
BLACK_SEA = ((27.0, 40.5), (42.0, 40.5), (42.0, 47.5), (27.0, 47.5))
BALTIC = ((9.5, 53.5), (31.0, 53.5), (31.0, 66.0), (16.0, 66.0), (9.5, 57.5))
PERSIAN_GULF = ((47.0, 28.0), (51.0, 23.5), (56.5, 24.0), (56.5, 27.5), (49.0, 31.0))
HUDSON_BAY = ((-95.5, 51.0), (-76.0, 51.0), (-76.0, 66.0), (-95.5, 66.0))

#: Seas that coarse models leave out.
SEAS = (
    RED_SEA, MEDITERRANEAN, WEST_MEDITERRANEAN, BLACK_SEA, BALTIC, PERSIAN_GULF, HUDSON_BAY,
)  # fmt: skip

#: Seas whose deep water is warmer or saltier than the open ocean allows.
CLOSED = (RED_SEA, MEDITERRANEAN, WEST_MEDITERRANEAN, SULU_SEA)


def inside(region: tuple[tuple[float, float], ...], lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Whether points lie in a polygon of the plane of longitude and latitude.

    Parameters
    ----------
    region : corners (longitude, latitude) in degrees
    lon, lat : numpy.ndarray, shape (n,)
        Any longitude.

    Examples
    --------
    >>> inside(RED_SEA, np.array([38.0, 398.0, 0.0]), np.array([20.0, 20.0, 20.0])).tolist()
    [True, True, False]
    """
    corners = np.asarray(region)
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    with np.errstate(invalid="ignore"):
        everywhere = np.mod(lon + 180.0, 360.0) - 180.0
    near = (everywhere >= west) & (everywhere <= east) & (lat >= south) & (lat <= north)
    x, lat = everywhere[near], lat[near]
    found = np.zeros(x.shape, dtype=bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        crossing = (y1 > lat) != (y2 > lat)
        found ^= crossing & (x < (x2 - x1) * (lat - y1) / (y2 - y1) + x1)
    near[near] = found
    return near
