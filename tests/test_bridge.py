"""From labels to tensors and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr

import xdeepda
from xdeepda.bridge import tensors_of
from xdeepda.calendar import Cycle
from xdeepda.errors import DivergenceError
from xdeepda.observations.interpolation import PointOperator
from xdeepda.source import RunSource
from xdeepda.training.simulation import Simulator, TruthReader


@pytest.fixture(scope="module")
def tensors(pair_model):
    return tensors_of(pair_model)


@pytest.fixture(scope="module")
def run(ocean) -> RunSource:
    return RunSource(ocean, ["thetao", "so"], Cycle("month"))


def test_there_and_back(tensors, pair_model):
    rng = np.random.default_rng(0)
    anomaly = np.where(pair_model.wet, rng.normal(size=(4, *pair_model.wet.shape)), np.nan)
    flat = anomaly.reshape(4, -1, *pair_model.wet.shape[2:]).astype("f4")
    x = tensors.normalise(flat)
    assert x.shape == (4, 6, 10, 24)
    assert (x[:, torch.from_numpy(~pair_model.wet.reshape(6, 10, 24))] == 0).all()
    np.testing.assert_allclose(tensors.denormalise(x), anomaly, rtol=1e-6)


@pytest.mark.parametrize("kind", [">f4", "f8", "reversed", "readonly"])
def test_any_memory_layout_and_none_is_shared(kind, tensors):
    values = np.random.default_rng(0).normal(size=(2, 6, 10, 24)).astype("f4")
    given = values[..., ::-1].copy()[..., ::-1] if kind == "reversed" else values
    given = given.astype(kind) if kind in (">f4", "f8") else given
    given.flags.writeable = kind != "readonly"
    before = given.copy()
    x = tensors.normalise(given)
    expected = tensors.normalise(values)
    assert torch.equal(x, expected)
    x.mul_(7)
    np.testing.assert_array_equal(given, before)


def test_observations_are_scattered_to_their_cells(tensors, pair_model):
    wet = pair_model.wet.reshape(-1)
    cell = np.array([np.flatnonzero(wet)[5], np.flatnonzero(wet)[-3], np.flatnonzero(~wet)[2]])
    rows = [(cell, np.array([1.0, -0.2, 9.0]), np.array([0.3, 0.02, 0.1])), (cell[:0],) * 3]
    observed = tensors.scatter(rows, np.array([0.25]))
    flat = observed.mask.reshape(2, -1)
    assert flat[0].nonzero().ravel().tolist() == sorted(cell[:2].tolist())
    assert flat[1].sum() == 0
    scale = np.repeat(pair_model.statistics.scale, 240)[cell]
    value, variance = (part.reshape(2, -1)[0].numpy() for part in observed[:2])
    np.testing.assert_allclose(value[cell], [1 / scale[0], -0.2 / scale[1], 0], rtol=1e-6)
    np.testing.assert_allclose(
        variance[cell], [(0.3 / scale[0]) ** 2, (0.02 / scale[1]) ** 2, 0], rtol=1e-6
    )
    np.testing.assert_allclose(observed.season, [[0, 1], [0, 1]], atol=1e-7)


def test_a_simulated_observation_is_the_truth_with_its_error(tensors, run, network, pair_model):
    bound = network.on(run.grid, run.cycle, run.calendar, run.variables, pair_model.wet)
    scales = np.ones(2)
    simulate = Simulator(tensors, bound, run, scales)
    reader = TruthReader(run, tensors)
    rng = np.random.default_rng(0)
    noise = []
    for position in range(60):
        truth = reader.read(position, position + 1)
        observed = simulate(truth, np.array([position]), rng)
        seen = observed.mask > 0
        noise.append(((observed.value - truth)[seen] / observed.variance[seen].sqrt()).numpy())
        assert (observed.value[~seen] == 0).all()
    together = np.concatenate(noise)
    assert together.std() == pytest.approx(1, abs=4 / np.sqrt(2 * together.size))
    assert together.mean() == pytest.approx(0, abs=4 / np.sqrt(together.size))


def test_a_truth_in_memory_or_not_is_the_same(tensors, run, ocean, tmp_path):
    held = TruthReader(run, tensors)
    ocean.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc", decode_times=False) as ds:
        closed = ds.assign_coords(time=ocean["time"])
        for other, streamed in ((ocean.chunk(time=7), True), (closed, False)):
            lazy = RunSource(other, ["thetao", "so"], Cycle("month"))
            assert lazy.is_lazy
            reader = TruthReader(lazy, tensors)
            assert (reader._held is None) == streamed
            assert torch.equal(held.read(3, 9), reader.read(3, 9))
    assert (held.read(0, 96).square().mean(dim=(0, 2, 3)) < 1.5).all()


def test_a_number_that_is_not_finite_is_told_with_its_place(ocean, cells, tiny_model):
    # an error that is no number in one cell makes the analysis there none
    weights = {k: np.full_like(v, np.nan) for k, v in tiny_model.weights.items()}
    broken = dataclasses.replace(tiny_model, weights=weights)
    with pytest.raises(DivergenceError) as error:
        xdeepda.assimilate(ocean, cells, model=broken)
    for words in ("cycle 6 of year 10", "member 0", "'thetao'", "depth 10 m", "latitude -64.8"):
        assert words in str(error.value)


def test_impossible_observations_are_held_and_told(ocean, cells, tiny_model):
    wrong = cells.assign(thetao=cells["thetao"] + 1000)
    with pytest.warns(UserWarning, match="held at 10 standard deviations from climatology"):
        xdeepda.assimilate(ocean, wrong, model=tiny_model)


def test_nothing_is_told_of_an_ordinary_analysis(ocean, cells, tiny_model, recwarn):
    xdeepda.assimilate(ocean, cells, model=tiny_model)
    assert not [w for w in recwarn if "standard deviations" in str(w.message)]


@pytest.mark.parametrize("variable", [0, 1])
def test_states_are_read_at_points_in_units_of_the_variable(tensors, pair_model, variable):
    rng = np.random.default_rng(variable)
    wet = pair_model.wet
    anomaly = np.where(wet, rng.normal(size=(3, *wet.shape)), np.nan)
    where = rng.uniform(0, 800, 40), rng.uniform(-70, 70, 40), rng.uniform(-180, 180, 40)
    operator = PointOperator.on(pair_model.grid, wet[variable], *where)
    expected = np.nan_to_num(operator.apply(anomaly[:, variable]))
    x = tensors.normalise(anomaly.reshape(3, -1, *wet.shape[2:])).requires_grad_()
    points = tensors.points(variable, *where)
    there = points(x)
    assert (operator.reached).any()
    np.testing.assert_allclose(there.detach(), expected, atol=1e-5)
    y = torch.from_numpy(rng.normal(size=(3, 40)).astype("f4"))
    (there * y).sum().backward()
    np.testing.assert_allclose(x.grad, points.adjoint(y, tensors.shape), atol=1e-5)
