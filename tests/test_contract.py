"""The contract of every verb: function and accessor, arrays of any kind, input untouched."""

from __future__ import annotations

import copy

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdeepda
from xdeepda import source as source_module


def same(a: xr.Dataset, b: xr.Dataset) -> None:
    """Equal to the bit, attributes too, apart from the time stamp."""
    a, b = (x.assign_attrs(history="") for x in (a, b))
    xr.testing.assert_identical(a, b)


# ---- function and accessor, Dataset and DataArray


def test_train(ocean, network, tiny, tiny_model):
    for model in (
        ocean.deepda.train(network, var="thetao", **tiny),
        xdeepda.train(ocean["thetao"], network, **tiny),
        ocean["thetao"].deepda.train(network, var="thetao", **tiny),
        ocean[["thetao"]].deepda.train(network, var=["thetao"], **tiny),
    ):
        assert model.hash == tiny_model.hash


def test_assimilate(ocean, cells, points, tiny_model):
    for obs in (cells, points):
        whole = xdeepda.assimilate(ocean, obs, model=tiny_model, members=3, seed=2)
        same(ocean.deepda.assimilate(obs, model=tiny_model, members=3, seed=2), whole)
        single = ocean["thetao"].deepda.assimilate(obs, model=tiny_model, members=3, seed=2)
        xr.testing.assert_equal(single, whole.drop_vars("depth_bnds"))
        nameless = ocean["thetao"].rename(None)
        other = xdeepda.assimilate(nameless, obs, model=tiny_model, members=3, seed=2)
        xr.testing.assert_equal(other, single)


def test_observe(truth, network, cells):
    same(truth.deepda.observe(network, var="thetao", seed=5), cells)
    xr.testing.assert_equal(xdeepda.observe(truth["thetao"], network, seed=5), cells)
    xr.testing.assert_equal(truth["thetao"].deepda.observe(network, seed=5), cells)


def test_superob(points, truth):
    whole = xdeepda.superob(points, truth, cycle="month", var="thetao")
    same(points.deepda.superob(truth, cycle="month", var="thetao"), whole)
    same(xdeepda.superob(points, truth["thetao"], cycle="month"), whole)
    alone = points["thetao"]
    a = alone.deepda.superob(truth["thetao"], cycle="month")
    same(a, xdeepda.superob(alone, truth["thetao"], cycle="month"))
    assert int(a["thetao_count"].sum()) == 200


def test_network(points, truth):
    a = points.deepda.network(truth["thetao"])
    b = xdeepda.network(points, truth, var="thetao")
    assert repr(a) == repr(b)
    drawn = [xdeepda.observe(truth["thetao"], n, cycle="month", seed=1) for n in (a, b)]
    same(*drawn)


def test_a_table_in_pandas_is_the_table_in_xarray(ocean, points, tiny_model):
    frame = points.to_dataframe().rename(columns={"thetao": "value", "thetao_error": "error"})
    frame.attrs["units"] = "degC"
    frame["variable"] = "thetao"
    a, b = (xdeepda.assimilate(ocean, obs, model=tiny_model) for obs in (frame, points))
    xr.testing.assert_equal(a, b)
    assert isinstance(frame, pd.DataFrame)


def test_gridded_and_superobbed_points_agree(ocean, truth, points, tiny_model):
    cells = xdeepda.superob(points, truth, cycle="month", var="thetao")
    a, b = (xdeepda.assimilate(ocean, obs, model=tiny_model) for obs in (cells, points))
    xr.testing.assert_equal(a, b)


def test_a_list_of_sources_is_one_source_where_they_do_not_overlap(
    ocean, cells, tiny_model, analysis
):
    parts = [cells.isel(time=slice(0, 2)), cells.isel(time=slice(2, 6))]
    found = xdeepda.assimilate(ocean, parts, model=tiny_model)
    np.testing.assert_allclose(found["thetao"], analysis["thetao"], atol=1e-5)


def test_the_same_datum_twice_counts_more(ocean, cells, tiny_model, analysis):
    found = xdeepda.assimilate(ocean, [cells, cells], model=tiny_model)
    np.testing.assert_array_equal(found["thetao_obs_count"], 2 * analysis["thetao_obs_count"])
    seen = analysis["thetao_obs_count"].values > 0
    closer = found["thetao_spread"].values[seen] <= analysis["thetao_spread"].values[seen] + 1e-6
    assert closer.mean() > 0.95


# ---- numpy and dask


def counting_scheduler(sizes: list[int]):
    """Scheduler that notes the bytes of all results asked for at once."""

    def flat(results):
        for item in results:
            yield from flat(item) if isinstance(item, (list, tuple)) else (item,)

    def get(graph, keys, **kwargs):
        results = dask.get(graph, keys, **kwargs)
        sizes.append(sum(np.asarray(r).nbytes for r in flat([results])))
        return results

    return get


def test_a_lazy_run_is_streamed_through_training(ocean, network, tiny, tiny_model, monkeypatch):
    sizes: list[int] = []
    lazy = ocean.chunk(time=6)
    whole = ocean["thetao"].nbytes
    monkeypatch.setattr(source_module, "BLOCK_BYTES", whole // 10)
    with dask.config.set(scheduler=counting_scheduler(sizes)):
        model = xdeepda.train(lazy, network, var="thetao", **tiny)
    assert max(sizes) <= whole // 10
    # blocks do not matter beyond the round-off of sums
    for name, weight in model.weights.items():
        np.testing.assert_allclose(weight, tiny_model.weights[name], atol=1e-4)


def test_a_lazy_run_is_streamed_through_observing(truth, network, cells, monkeypatch):
    sizes: list[int] = []
    monkeypatch.setattr(source_module, "BLOCK_BYTES", truth["thetao"].nbytes // 6)
    with dask.config.set(scheduler=counting_scheduler(sizes)):
        found = xdeepda.observe(truth.chunk(time=1), network, var="thetao", seed=5)
    assert max(sizes) <= truth["thetao"].nbytes // 6
    same(found, cells)


def test_an_assimilation_reads_only_the_states_that_it_starts_from(
    ocean, cells, tiny_model, analysis
):
    sizes: list[int] = []
    month = ocean["thetao"].nbytes // 120
    with dask.config.set(scheduler=counting_scheduler(sizes)):
        found = xdeepda.assimilate(ocean.chunk(time=1), cells.chunk(time=1), model=tiny_model)
        # the observations and the bounds of time alone
        assert sum(sizes) <= 3 * 6 * month + ocean["time_bnds"].nbytes
        xdeepda.assimilate(ocean.chunk(time=1), cells, model=tiny_model, members=3)
    assert max(sizes) <= 6 * month
    xr.testing.assert_equal(found.drop_vars("depth_bnds"), analysis.drop_vars("depth_bnds"))


# ---- the input


def test_no_verb_changes_its_input(ocean, truth, network, points, cells, tiny, tiny_model):
    def prepared(ds: xr.Dataset) -> xr.Dataset:
        out = ds.copy(deep=True).assign_attrs(mark=[1, 2])
        for variable in out.variables.values():
            variable.encoding = {"dtype": "float32", "zlib": True}
        return out

    inputs = [prepared(x) for x in (ocean, truth, points, cells)]
    before = copy.deepcopy(inputs)
    run, part, table, grid = inputs
    repr(run.deepda)
    run.deepda.train(network, var="thetao", **tiny)
    part.deepda.observe(network, var="thetao")
    table.deepda.superob(part["thetao"], cycle="month")
    table.deepda.network(part["thetao"])
    result = run.deepda.assimilate([table, grid], model=tiny_model, members=2, keep_members=True)
    result["thetao"].attrs["units"] = "mine"
    result["depth"].attrs["units"] = "mine"
    result["lat"].attrs.clear()
    result["thetao"].values[:] = 0
    for now, then in zip(inputs, before, strict=True):
        xr.testing.assert_identical(now, then)
        for name, variable in now.variables.items():
            assert variable.encoding == then.variables[name].encoding
            assert variable.dtype == then.variables[name].dtype


def test_the_result_shares_nothing_with_the_model(ocean, cells, tiny_model, analysis):
    before = tiny_model.hash, tiny_model.climatology.coefficients.copy()
    found = xdeepda.assimilate(ocean, cells, model=tiny_model)
    found["thetao"].values[:] = 7
    found["thetao_spread"].attrs["units"] = "mine"
    np.testing.assert_array_equal(tiny_model.climatology.coefficients, before[1])
    xr.testing.assert_equal(xdeepda.assimilate(ocean, cells, model=tiny_model), analysis)


@pytest.mark.parametrize("subset", [{"time": 0}, {"lon": slice(0, None, 2)}])
def test_attributes_are_not_shared_with_the_source_of_a_selection(ocean, subset):
    part = ocean.isel(subset)
    repr(part.deepda)
    assert part["thetao"].attrs == ocean["thetao"].attrs
