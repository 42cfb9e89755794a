"""Basins by coordinates, boxes and masks."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from xdeepda.errors import Problems
from xdeepda.verification import regions as rg

PLACES = {
    "Atlantic": [
        *((40, -40), (0, -25), (-30, 0), (25, -90), (15, -70), (55, -50), (60, -85), (57, 20)),
        *((45, -5), (-45, -55), (10, -79.5), (56, 3), (36, -8), (12, -81), (20, -85), (-34, 17)),
    ],
    "Pacific": [
        *((0, -140), (30, 150), (-40, -100), (10, 115), (-5, 130), (55, -170), (40, 135)),
        *(
            (-45, 170),
            (-45, -76),
            (8, -80),
            (12, -90),
            (15, -97),
            (27, -112),
            (10, 102),
            (-40, 155),
        ),
        *((5, 105), (36, 123), (7, -78.5), (58, -145)),
    ],
    "Indian": [
        *((-15, 80), (10, 65), (20, 38), (27, 51), (12, 88), (-30, 100), (-40, 120), (10, 95)),
        *((-34, 30), (28, 33.8), (-10, 110), (5.5, 94), (-12, 125), (0, 97), (-35, 22)),
    ],
    "Arctic": [(80, 0), (75, -150), (70, 30), (72, -60), (85, 180)],
    "Southern": [(-60, 0), (-55, 140), (-65, -150), (-70, -40), (-55, -60)],
}
NOWHERE = [(35, 18), (38, 5), (40, 26), (43, 35), (42, 50), (36, -3), (44, 9), (33, 33)]


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("turn", [0, 360])
def test_known_seas_are_in_their_basin(name, turn):
    lat, lon = np.array(PLACES[name]).T
    inside = rg.basins(lat, lon + turn)
    assert inside.sum(axis=0).tolist() == [1] * lat.size
    found = [rg.BASINS[k] for k in inside.argmax(axis=0)]
    assert found == [name] * lat.size, [
        p for p, f in zip(PLACES[name], found, strict=True) if f != name
    ]


def test_enclosed_seas_are_in_none():
    lat, lon = np.array(NOWHERE).T
    assert not rg.basins(lat, lon).any()
    assert not rg.basins([np.nan, 0.0], [0.0, np.nan]).any()


@given(lat=st.floats(-90, 90), lon=st.floats(-180, 360))
def test_no_place_is_in_two_basins(lat, lon):
    assert rg.basins([lat], [lon]).sum() <= 1
    np.testing.assert_array_equal(rg.basins([lat], [lon]), rg.basins([lat], [lon - 360]))


def test_the_basins_hold_about_what_they_hold():
    """Shares of the ocean by area, on the land of the real world as far as lines know it."""
    lat, lon = np.meshgrid(np.arange(-89.5, 90), np.arange(0.5, 360), indexing="ij")
    weight = np.cos(np.deg2rad(lat)).ravel()
    shares = rg.basins(lat.ravel(), lon.ravel()) @ weight / weight.sum()
    # land counts here: the Americas are divided, Africa and Asia too
    low, high = [0.15, 0.3, 0.1, 0.03, 0.1], [0.35, 0.5, 0.25, 0.06, 0.14]
    assert (shares > low).all()
    assert (shares < high).all()


# ---- what a user gives


def test_boxes_cross_the_seam_and_leave_out_their_far_edge():
    found = rg.regions_of({"nino3.4": (-5, 5, 190, 240), "gulf": (0, 90, -10, 10)}, Problems("x"))
    assert found.names == ("all", "nino3.4", "gulf")
    lat, lon = np.array([0, 0, 5, 90, 40, 40.0]), np.array([-170, 240, 200, 0, 355, 5.0])
    inside = found.membership(lat, lon)
    assert inside[0].all()
    assert inside[1].tolist() == [True, False, False, False, False, False]
    assert inside[2].tolist() == [False, False, False, True, True, True]


@pytest.fixture
def mask():
    lat, lon = np.arange(80.0, -90, -10), np.arange(-175.0, 180, 10)
    north = np.where(lat[:, None] > 0, 2.0, 1.0) * np.ones(lon.size)
    north[:, 0] = 0
    north[0, 1] = np.nan
    return xr.DataArray(north, {"lat": lat, "lon": lon}, ("lat", "lon"))


def test_a_mask_of_numbers_names_its_values(mask):
    lat, lon = np.array([42.0, -42, 0, 42, 78]), np.array([100.0, 300, 20, 185, 195])
    plain = rg.regions_of(mask, Problems("x"))
    assert plain.names == ("all", "1", "2")
    inside = plain.membership(lat, lon)
    np.testing.assert_array_equal(inside[1:], [[0, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    named = mask.assign_attrs(flag_values=[1, 2], flag_meanings="south north")
    assert rg.regions_of(named.T, Problems("x")).names == ("all", "south", "north")
    words = xr.where(mask > 1, "north", "").assign_coords(mask.coords)
    assert rg.regions_of(words, Problems("x")).names == ("all", "north")
    alone = rg.regions_of({"mine": mask == 2}, Problems("x"))
    np.testing.assert_array_equal(alone.membership(lat, lon)[1], inside[2])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "not understood"),
        ({}, "not understood"),
        ({"a": (10, 0, 0, 5)}, "no box"),
        ({"a": "wide"}, "no box"),
        ({"all": (0, 10, 0, 5)}, "called 'all'"),
        (xr.DataArray(np.ones(3), dims="q"), "'q'"),
        (xr.DataArray(np.ones(3), {"lat": [0, 1, 2]}, ("lat",)), "alone"),
    ],
)
def test_what_is_no_region_is_told(given, words):
    problems = Problems("verify")
    rg.regions_of(given, problems)
    assert words in problems.message()


def test_example():
    assert doctest.testmod(rg).failed == 0


def test_basins_agree_with_those_of_the_world_ocean_atlas(data_folder):
    """Codes 1, 2, 3, 10, 11 of its 1 degree mask, at the surface."""
    with xr.open_dataset(data_folder / "climatology" / "basin_mask_1deg.nc") as ds:
        codes = ds["basin"].isel(Z=0).load()
    lat, lon = np.meshgrid(codes.Y, codes.X, indexing="ij")
    inside = rg.basins(lat.ravel(), lon.ravel()).reshape(5, *lat.shape)
    weight = np.cos(np.deg2rad(lat))
    least = {"Atlantic": (1, 0.998), "Pacific": (2, 0.997), "Indian": (3, 0.998),
             "Southern": (10, 0.999), "Arctic": (11, 0.95)}  # fmt: skip
    for name, (code, share) in least.items():
        theirs = weight * (codes.values == code)
        mine = inside[rg.BASINS.index(name)]
        assert (theirs * mine).sum() / theirs.sum() > share, name
    # the same mask as regions= of a user
    named = rg.regions_of(codes, Problems("verify"))
    pacific = named.membership(lat.ravel(), lon.ravel())[named.names.index("2")]
    np.testing.assert_array_equal(pacific, (codes.values == 2).ravel())
