"""All discrete sampling geometries of the CF conventions.

The samples of the conventions' appendix H hold air temperature (random numbers);
called sea water, they must give back every number with its own place and time.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.observations.readers import open_observations, read_with

H = (
    "profile-Orthogonal-MultiDimensional-MultipleProfiles-H.3.1",
    "profile-Contiguous-Ragged-MultipleProfiles-H.3.4",
    "profile-Indexed-Ragged-MultipleProfiles-H.3.5",
    "timeSeries-Orthogonal-Multidimenstional-MultipleStations-H.2.1",
    "timeSeries-Incomplete-MultiDimensional-MultipleStations-H.2.2",
    "trajectory-Incomplete-Multidimensional-SingleTrajectory-H.4.2",
    "trajectory-Contiguous-Ragged-MultipleTrajectories-H.4.3",
    "trajectory-Indexed-Ragged-MultipleTrajectories-H.4.4",
    "timeSeriesProfile-Orthogonal-Multidimensional-MultipeStations-H.5.1",
    "timeSeriesProfile-Multidimensional-SingleStation-H.5.2",
    "timeSeriesProfile-Ragged-SingleStation-H.5.3",
    "trajectoryProfile-Multidimensional-SingleTrajectory-H.6.2",
    "trajectoryProfile-Ragged-MultipleTrajectories-H.6.3",
)
#: What the netCDF library wrote where the sample has no time.
NO_TIME = -2147483647.0


def sea(folder, name: str) -> xr.Dataset:
    """Sample of appendix H, undecoded, whose temperature is that of the sea."""
    ds = xr.open_dataset(folder / f"observations/cf_dsg/{name}.nc", decode_cf=False).load()
    ds["temperature"].attrs["standard_name"] = "sea_water_temperature"
    return ds


def there(value) -> bool:
    """Whether a number is no fill, declared or of the netCDF library."""
    return value != np.float32(-999.9) and value < 1e30


def brute_force(ds: xr.Dataset) -> set[tuple[float, ...]]:
    """(time, lat, lon, z, value) of every level, by loops over the declared structure."""
    field = ds["temperature"]
    parents: dict[str, dict[int, tuple[str, int]]] = {}
    for name, variable in ds.variables.items():
        if "sample_dimension" in variable.attrs:
            dim, at = variable.attrs["sample_dimension"], 0
            parents[dim] = {}
            for number, count in enumerate(variable.values):
                for sample in range(at, at + int(count)):
                    parents[dim][sample] = (str(variable.dims[0]), number)
                at += int(count)
        if "instance_dimension" in variable.attrs:
            parents[str(variable.dims[0])] = {
                k: (variable.attrs["instance_dimension"], int(v))
                for k, v in enumerate(ds[name].values)
            }
    rows = set()
    values = {name: ds[name].values for name in ("time", "lat", "lon", "temperature")}
    dims = {name: [str(d) for d in ds[name].dims] for name in values}
    for position in np.ndindex(field.shape):
        value = float(values["temperature"][position])
        if not there(value):
            continue
        at = dict(zip(map(str, field.dims), position, strict=True))
        for dim in list(at):
            while dim in parents:
                dim, at[dim] = parents[dim][at[dim]]
        place = (
            float(values[name][tuple(at[d] for d in dims[name])]) for name in ("time", "lat", "lon")
        )
        rows.add((*place, value))
    return rows


@pytest.mark.parametrize("name", H)
def test_every_value_keeps_its_place_and_time(data_folder, name):
    ds = sea(data_folder, name)
    table = open_observations(ds, var="temperature")
    seconds = (table["time"].values - np.datetime64("1990-01-01")) / np.timedelta64(1, "s")
    seconds[np.isnan(seconds)] = NO_TIME
    found = {
        (t, np.float32(y), np.float32(x))
        for t, y, x in zip(
            seconds.tolist(), table["latitude"].values, table["longitude"].values, strict=True
        )
    }
    expected = brute_force(ds)
    assert found == {(t, np.float32(y), np.float32(x)) for t, y, x, _ in expected}
    # potential temperature differs from what was measured by less than the adiabat of 300 m
    raw = ds["temperature"].values
    assert table.sizes["obs"] == sum(there(v) for v in raw.ravel().tolist())
    np.testing.assert_allclose(
        np.sort(table["value"].values), np.sort([v for *_, v in expected]), atol=0.2
    )


def test_the_chain_of_two_ragged_arrays_names_its_trajectory(data_folder):
    ds = sea(data_folder, "trajectoryProfile-Ragged-MultipleTrajectories-H.6.3")
    table = open_observations(ds, var="temperature")
    assert len(set(table["platform"].values)) == 5
    assert len(set(table["profile"].values)) == 20


def test_an_index_that_counts_from_one_is_refused(data_folder):
    ds = sea(data_folder, "badIndexed1To6")
    with pytest.raises(InputError, match="does not fit: values 1 to 6, expected 0 to 5; it seems"):
        open_observations(ds)


def ragged(**change) -> xr.Dataset:
    """Two profiles of 2 and 3 levels."""
    ds = xr.Dataset(
        {
            "temp": ("obs", [10.0, 9.0, 20.0, 19.0, 18.0],
                     {"units": "degC", "standard_name": "sea_water_temperature"}),
            "z": ("obs", [0.0, 50.0, 0.0, 50.0, 100.0],
                  {"units": "m", "standard_name": "depth", "positive": "down"}),
            "rowSize": ("profile", [2, 3], {"sample_dimension": "obs"}),
            "lat": ("profile", [1.0, 2.0], {"units": "degrees_north"}),
            "lon": ("profile", [3.0, 4.0], {"units": "degrees_east"}),
            "time": ("profile", [0.0, 1.0], {"units": "days since 2000-01-01"}),
        },
        attrs={"featureType": "profile", "Conventions": "CF-1.6"},
    )  # fmt: skip
    for name, values in change.items():
        ds[name].values[...] = values
    return ds


def test_profiles_keep_together():
    table = open_observations(ragged())
    assert table["latitude"].values.tolist() == [1.0, 1.0, 2.0, 2.0, 2.0]
    assert table["profile"].values.tolist() == ["0", "0", "1", "1", "1"]
    assert str(table["time"].values[-1])[:10] == "2000-01-02"


def test_row_sizes_that_sum_to_more_than_there_is():
    with pytest.raises(InputError, match="sum to 6, dimension 'obs' has 5"):
        open_observations(ragged(rowSize=[3, 3]))
    with pytest.raises(InputError, match="do not fit"):
        open_observations(ragged(rowSize=[6, -1]))


def test_levels_beyond_the_row_sizes_stay_and_are_flagged():
    table = open_observations(ragged(rowSize=[2, 2]))
    assert table["qc"].values.tolist() == [0, 0, 0, 0, 4]
    assert "position is missing" in table["reason"].values[4]


def test_a_sigma_coordinate_is_refused_by_name():
    ds = ragged().drop_vars("z")
    ds["s"] = ("obs", np.zeros(5), {"standard_name": "ocean_s_coordinate_g1"})
    with pytest.raises(InputError, match="vertical coordinate 's' is ocean_s_coordinate_g1"):
        open_observations(ds)


def test_any_order_of_dimensions_and_heights_gives_the_same():
    ds = xr.Dataset(
        {
            "thetao": (("z", "station"), [[10.0, 11.0], [9.0, 8.0]],
                       {"units": "K", "standard_name": "sea_water_potential_temperature"}),
            "z": ("z", [0.0, -100.0], {"units": "m", "positive": "up", "axis": "Z"}),
            "lat": ("station", [1.0, 2.0], {"units": "degrees_north"}),
            "lon": ("station", [3.0, 4.0], {"units": "degrees_east"}),
            "time": ((), 5.0, {"units": "hours since 2000-01-01"}),
        }
    )  # fmt: skip
    ds["thetao"] = ds["thetao"] + 273.15
    ds["thetao"].attrs = {"units": "K", "standard_name": "sea_water_potential_temperature"}
    a = read_with("cf", ds).sortby("value")
    b = read_with("cf", ds.transpose("station", "z")).sortby("value")
    np.testing.assert_allclose(a["value"].values, [8.0, 9.0, 10.0, 11.0])
    assert a["depth"].values.tolist() == b["depth"].values.tolist() == [100.0, 100.0, 0.0, 0.0]
    assert a["latitude"].values.tolist() == b["latitude"].values.tolist() == [2.0, 1.0, 1.0, 2.0]
    assert open_observations(ds).sizes["obs"] == 4  # no feature type: still points
