"""A forecast of the user's in place of the model's own."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import xarray as xr

import xdeepda
from xdeepda.bridge import module_of, tensors_of, weights_of
from xdeepda.core.registry import build
from xdeepda.core.state import State
from xdeepda.errors import ForecastError, InputError
from xdeepda.production.restart import Keeper


def close(found: xr.Dataset, held: xr.Dataset, atol: float = 2e-5) -> None:
    """Equal to the rounding of full fields to float32."""
    assert list(found.data_vars) == list(held.data_vars)
    for name in held.data_vars:
        if held[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], held[name], atol=atol, err_msg=str(name))


@pytest.fixture(scope="module")
def few(months) -> xr.Dataset:
    """Observations of five months."""
    return months.isel(time=slice(0, 5))


@pytest.fixture(scope="module")
def persistence(ocean) -> xdeepda.Model:
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="module")
def baselines(ocean, persistence, tiny_model) -> dict[str, xdeepda.Model]:
    """One of each kind that has a background of its own."""
    small = {"var": "thetao", "cycle": "month"}
    enoi = xdeepda.baselines.enoi(ocean, ensemble=20, **small)
    kalman = xdeepda.baselines.kalman(ocean, patterns=10, **small)
    sizes = {"patterns": 10, "ensemble": 20, "width": 8, "deep_width": 8, "dilations": (1,)}
    fitted = kalman.weights | enoi.weights
    return {
        "persistence": persistence,
        "increment": tiny_model,
        "enoi": enoi,
        "oi": xdeepda.baselines.oi(ocean, ensemble=20, **small),
        "kalman": kalman,
        "combined": xdeepda.baselines.combined(ocean, patterns=10, ensemble=20, **small),
        "hybrid": untrained(kalman, "hybrid", fitted, forecast_width=4, **sizes),
        "deepda2024": untrained(kalman, "deepda2024", {}),
    }


def untrained(
    like: xdeepda.Model, name: str, fitted: dict[str, np.ndarray], **settings
) -> xdeepda.Model:
    """Model of an architecture with its initial weights, and classical schemes of baselines."""
    tensors = tensors_of(like)
    module = build(name, settings, tensors.geometry)
    if fitted:
        module.classical.take({n: torch.from_numpy(w) for n, w in fitted.items()})
    spec = xdeepda.architectures.ArchitectureSpec(name, settings)
    return replace(like, architecture=spec, weights=weights_of(module))


def replay(run: xr.Dataset):
    """Forecast that gives the backgrounds of an analysis."""
    background = run["thetao_background"].load()

    def step(ds: xr.Dataset) -> xr.Dataset:
        made = background.sel(time=ds["valid_time"].item()).drop_vars("time")
        return ds.assign(thetao=made.assign_attrs(units=background.attrs["units"]))

    return step


# ---- the model's own, from outside


KINDS = ["persistence", "increment", "enoi", "oi", "kalman", "combined", "hybrid", "deepda2024"]


@pytest.mark.parametrize("name", KINDS)
def test_the_own_forecast_from_outside_changes_nothing(name, ocean, few, baselines):
    model = baselines[name]
    held = xdeepda.assimilate(ocean, few, model=model)
    found = xdeepda.assimilate(ocean, few, model=model, forecast=replay(held))
    close(found, held, atol=2e-4 if name in ("kalman", "combined") else 2e-5)
    assert found.attrs["forecast"].startswith("replay.<locals>.step (full fields")
    assert "forecast" not in held.attrs
    # and another one does change it
    other = xdeepda.assimilate(ocean, few, model=model, forecast=lambda ds: ds + 0.01)
    assert float(abs(other["thetao"] - held["thetao"]).max()) > 5e-4


@pytest.mark.parametrize("name", ["kalman", "combined", "hybrid"])
def test_the_filter_follows_the_forecast(name, baselines):
    """Moved by a sum of its patterns, its coefficients move by the same; the rest stays."""
    model = baselines[name]
    tensors = tensors_of(model)
    module = module_of(model, tensors)
    reduced = module.classical.filter if name == "hybrid" else module.filter
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(2, *tensors.shape, generator=generator) * module.wet
    start = State(mean, module.clim_variance.expand_as(mean))
    background = module.forecast(start, tensors.season(0.3).expand(2, 2))
    step = torch.randn(2, 10, generator=generator)
    moved = module.sea.field(reduced.fields(step.double()))
    after = module.replaced(background, background.mean + moved)
    torch.testing.assert_close(after.mean, background.mean + moved, atol=1e-3, rtol=0)
    torch.testing.assert_close(after.variance, background.variance, atol=1e-6, rtol=1e-5)
    assert background.carried is not None
    assert after.carried is not None
    gone = after.carried[..., 0] - background.carried[..., 0]
    torch.testing.assert_close(gone.float(), step, atol=5e-3, rtol=0)
    torch.testing.assert_close(after.carried[..., 1:], background.carried[..., 1:])


def test_members_of_a_network_and_lists_of_models(ocean, few, persistence, tiny_model):
    """Each member of each model is forecast on its own."""
    kwargs = {"members": 2, "seed": 4, "keep_members": True}
    sizes = []

    def step(ds: xr.Dataset) -> xr.Dataset:
        sizes.append(dict(ds.sizes))
        return ds * fading

    models = [persistence, tiny_model]
    found = {}
    for number, model in enumerate(models):
        fading = memory_of(model)
        held = xdeepda.assimilate(ocean, few, model=model, **kwargs)
        one = xdeepda.Forecast(step, fields="anomaly", name="fading")
        all_ = xdeepda.Forecast(step, fields="anomaly", members=True)
        sizes.clear()
        found[number] = xdeepda.assimilate(ocean, few, model=model, forecast=one, **kwargs)
        assert sizes == [{"depth": 3, "lat": 10, "lon": 24}] * 10
        close(found[number], held)
        sizes.clear()
        other = xdeepda.assimilate(ocean, few, model=model, forecast=all_, **kwargs)
        assert [s.pop("member") for s in sizes] == [2] * 5
        xr.testing.assert_equal(other, found[number])
    both = xdeepda.assimilate(ocean, few, model=models, forecast=one, members=2, seed=4)
    # the last one's fading for both: the second model is what it is alone but for its draws
    assert np.isfinite(both["thetao"].values[:, tiny_model.wet[0]]).all()
    alone = xdeepda.assimilate(ocean, few, model=persistence, forecast=one, members=2, seed=4)
    assert not np.allclose(both["thetao"], alone["thetao"], equal_nan=True)


def memory_of(model: xdeepda.Model) -> xr.DataArray:
    """By what the anomalies of a model fade, on its grid."""
    tensors = tensors_of(model)
    values = module_of(model, tensors).memory().detach().numpy()
    return xr.DataArray(values, dims=("depth", "lat", "lon"))


# ---- what is declared


def test_fields_units_labels_and_times(ocean, few, persistence):
    """Full fields or anomalies, kelvin or degC, any order of dimensions: the same analysis."""
    fading = memory_of(persistence)
    mine = ocean[["thetao"]].isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat", ...)
    mine = mine.rename(time="t", lat="y")
    seen = []

    def anomaly(ds):
        seen.append(ds)
        turned = fading.isel(lat=slice(None, None, -1)).rename(lat="y")
        return ds * turned

    climate = persistence.climatology

    def full(ds):
        """The same with the climatology taken off and put on, in kelvin, without units."""
        parts = []
        for name in ("t", "valid_time"):
            number = persistence.cycle.index([ds[name].item()])
            at = climate.at(persistence.cycle.year_fraction(number, "noleap"))[0, 0]
            da = xr.DataArray(at + 273.15, dims=("depth", "lat", "lon"))
            parts.append(da.isel(lat=slice(None, None, -1)).rename(lat="y"))
        turned = fading.isel(lat=slice(None, None, -1)).rename(lat="y")
        made = (ds["thetao"] - parts[0]) * turned + parts[1]
        return made.drop_attrs().transpose("depth", ...).to_dataset(name="thetao")

    held = xdeepda.assimilate(mine, few, model=persistence)
    a = xdeepda.assimilate(
        mine, few, model=persistence, forecast=xdeepda.Forecast(anomaly, fields="anomaly")
    )
    b = xdeepda.assimilate(mine, few, model=persistence, forecast=xdeepda.Forecast(full, units="K"))
    close(a, held)
    close(b, held, atol=1e-4)
    first = seen[0]
    assert first["thetao"].dims == ("lon", "y", "depth")
    np.testing.assert_array_equal(first["y"], mine["y"])
    assert first["thetao"].attrs["units"] == "K"  # of differences of degC
    assert [str(ds["valid_time"].item()) for ds in seen] == [str(t) for t in held["t"].values]
    for before, after in pairwise(seen):
        assert before["valid_time"].item() == after["t"].item()


def test_what_it_may_return(ocean, few, persistence):
    """Another unit that says so, quantities, dask, its own time, other variables, any order."""
    import pint_xarray  # noqa: F401

    from xdeepda.units import registry

    def kelvin(ds):
        return ds.assign(thetao=(ds["thetao"] + 273.15).assign_attrs(units="K"))

    def alike(ds):
        made = kelvin(ds).expand_dims(time=[3]).transpose("lon", "time", ...)
        return made.assign(ice=("cat", [1.0, 2.0])).drop_vars(["lat", "valid_time"])

    held = xdeepda.assimilate(ocean, few, model=persistence, forecast=lambda ds: ds)
    for step in (
        kelvin,
        alike,
        lambda ds: ds.drop_vars("time").chunk(lat=2),
        lambda ds: kelvin(ds)["thetao"].drop_vars(["time", "valid_time"]),
        lambda ds: kelvin(ds)[["thetao"]].pint.quantify(unit_registry=registry()),
    ):
        found = xdeepda.assimilate(ocean, few, model=persistence, forecast=step)
        close(found, held, atol=2e-4)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda ds: ds["thetao"].values, "no Dataset"),
        (lambda ds: ds.rename(thetao="temp"), r"\['thetao'\] are missing"),
        (lambda ds: ds.isel(depth=0), "dimensions of 'thetao' differ"),
        (lambda ds: ds.isel(lat=slice(0, 4)), "the grid of 'thetao' differs"),
        (lambda ds: ds.isel(lat=slice(None, None, -1)), "the grid of 'thetao' differs"),
        (lambda ds: ds.assign_coords(lon=ds["lon"] + 1), "the grid of 'thetao' differs"),
        (lambda ds: ds.assign(thetao=ds["thetao"].assign_attrs(units="m")), "units of 'thetao'"),
        (lambda ds: ds.where(ds["lat"] < 0), "not finite in .* cells of the sea"),
        (lambda ds: ds.astype(str), "holds no numbers"),
        (lambda ds: ds / undefined, "failed: NameError"),  # noqa: F821
        (lambda ds: None, "no Dataset"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_cycle(step, words, ocean, few, persistence):
    calls = []

    def late(ds):
        calls.append(ds)
        return ds if len(calls) < 3 else step(ds)

    with pytest.raises(ForecastError, match=words) as error:
        xdeepda.assimilate(ocean, few, model=persistence, forecast=late)
    assert "month around" in str(error.value)
    assert str(few["time"].values[2])[:7] in str(error.value)


@pytest.mark.parametrize(
    ("forecast", "words"),
    [
        (3, "forecast= is no forecast"),
        (xdeepda.Forecast(abs, fields="increment"), "fields of the forecast are not known"),
        (xdeepda.Forecast(abs, members=3), "members of the forecast is True or False"),
        (xdeepda.Forecast(abs, name=""), "name of the forecast is no text"),
        (xdeepda.Forecast(abs, units="m"), "in another dimension"),
        (xdeepda.Forecast(abs, units="nonsense"), "not understood"),
        (xdeepda.Forecast(abs, units={"so": "psu"}), "name other variables"),
        (xdeepda.Forecast(abs, error=0.3), "error of the forecast is no Dataset"),
    ],
)
def test_what_cannot_be_a_forecast(forecast, words, ocean, few, persistence, monkeypatch):
    from xdeepda import assimilation

    monkeypatch.setattr(assimilation, "_conduct", None)
    with pytest.raises(InputError, match=words):
        xdeepda.assimilate(ocean, few, model=persistence, forecast=forecast)


def test_where_it_makes_no_sense(ocean, few, baselines, persistence, tmp_path):
    climatology = xdeepda.baselines.climatology(ocean, var="thetao", cycle="month")
    with pytest.raises(InputError, match="its analysis is the climatology"):
        xdeepda.assimilate(ocean, few, model=climatology, forecast=abs)
    known = xdeepda.Forecast(abs, error=ocean[["thetao"]].isel(time=0))
    for name, words in (
        ("oi", "background error is climatological"),
        ("kalman", "covariance follows the linear inverse model"),
        ("combined", "covariance follows the linear inverse model"),
    ):
        with pytest.raises(InputError, match=words):
            xdeepda.assimilate(ocean, few, model=baselines[name], forecast=known)
    with pytest.raises(InputError, match="cannot be cut into streams"):
        xdeepda.assimilate(
            ocean, few, model=persistence, forecast=abs, store=tmp_path / "a.zarr", streams=2
        )


# ---- stores


def test_a_store_knows_its_forecast(ocean, months, persistence, tmp_path, hasty):
    """A resume and an update with another one are refused, with the same they are the same."""
    first, later = months.isel(time=slice(0, 9)), months.isel(time=slice(9, 14))
    calls, limit = [], 6

    def step(ds):
        calls.append(ds)
        if len(calls) > limit:
            raise RuntimeError("the model has crashed")
        return 0.8 * ds

    named = xdeepda.Forecast(step, fields="anomaly", name="damping, version 1")
    other = xdeepda.Forecast(step, fields="anomaly", name="damping, version 2")
    call = {"model": persistence, "store": tmp_path / "a.zarr"}
    with pytest.raises(InputError, match="has no name to know it by"):
        xdeepda.assimilate(ocean, first, forecast=lambda ds: ds, **call)
    with pytest.raises(ForecastError, match=r"model has crashed.*6 of 9 cycles are in") as error:
        xdeepda.assimilate(ocean, first, forecast=named, **call)
    assert isinstance(error.value.__cause__, RuntimeError)
    assert Keeper(tmp_path / "a.zarr").load().position == 4
    limit = 10**6
    for wrong in (other, None):
        with pytest.raises(InputError, match="forecast: damping, version 1"):
            xdeepda.assimilate(ocean, first, forecast=wrong, **call)
    calls.clear()
    xdeepda.assimilate(ocean, first, forecast=named, **call)
    assert len(calls) == 5
    for wrong in (other, None):
        with pytest.raises(InputError, match="the analysis was made with another forecast"):
            xdeepda.update(tmp_path / "a.zarr", later, model=persistence, forecast=wrong)
    found = xdeepda.update(tmp_path / "a.zarr", later, model=persistence, forecast=named)
    whole = xdeepda.assimilate(ocean, [first, later], model=persistence, forecast=named)
    xr.testing.assert_equal(found.load(), whole)
    assert found.attrs["forecast"] == whole.attrs["forecast"] == named.identity


# ---- the variance of the background


def test_without_an_error_the_variance_is_that_of_the_own_forecast(ocean, few, persistence):
    held = xdeepda.assimilate(ocean, few, model=persistence)
    found = xdeepda.assimilate(ocean, few, model=persistence, forecast=lambda ds: ds)
    np.testing.assert_array_equal(found["thetao_spread"], held["thetao_spread"])
    assert not np.allclose(found["thetao"], held["thetao"], equal_nan=True)


def test_the_variance_grows_by_the_error(ocean, few, persistence):
    """var + lost (climate - var), lost the share of the climate that one step loses."""
    one = np.ones_like(persistence.calibration["analysis"])
    model = replace(persistence, calibration={"analysis": one, "background": one})
    wet = model.wet[0]
    climate = np.maximum(model.statistics.deviation, 1e-2 * model.statistics.scale[:, None, None])
    like = ocean[["thetao"]].isel(time=0, drop=True)
    for size in (0.0, 0.2, 50.0):
        error = xr.full_like(like, size).where(like.notnull())
        error["thetao"].attrs["units"] = "K"
        step = xdeepda.Forecast(lambda ds: ds, name="as it is", error=error)
        found = xdeepda.assimilate(ocean, few, model=model, forecast=step)
        before = found["thetao_spread"].values[0] ** 2
        after = found["thetao_background_spread"].values[1] ** 2
        lost = np.minimum(size**2 / climate**2, 1)
        expected = before + lost * (climate**2 - before)
        np.testing.assert_allclose(after[wet], expected[wet], rtol=1e-4)
    bad = xdeepda.Forecast(lambda ds: ds, error=-error)
    with pytest.raises(InputError, match="a standard deviation is negative"):
        xdeepda.assimilate(ocean, few, model=model, forecast=bad)


# ---- an ocean of which everything is known


def test_the_true_dynamics_beat_damped_persistence():
    ocean = xdeepda.datasets.linear_ocean((2, 6, 12))
    control = ocean.simulate(73 * 10, seed=1)
    states = ocean.states(60, seed=9)
    truth, mask = ocean.dataset(states, start=73 * 40), ocean.observation_masks(60, seed=3)
    noise = ocean.error * np.random.default_rng(0).standard_normal(states.shape)
    cells = ocean.dataset(np.where(mask, states + noise, np.nan), start=73 * 40)
    error = (0 * cells["thetao"] + ocean.error).assign_attrs(units="K")
    cells["thetao_error"] = error

    def dynamics(ds: xr.Dataset) -> xr.Dataset:
        field = np.full(ocean.wet.shape, np.nan)
        field[ocean.wet] = ocean.M @ ds["thetao"].values[ocean.wet]
        return ds.assign(thetao=ds["thetao"].copy(data=field))

    enoi = xdeepda.baselines.enoi(control, var="thetao", cycle="pentad", localisation=9000.0)
    true = xdeepda.Forecast(dynamics, fields="anomaly").measured(
        ocean.simulate(100, seed=5), model=enoi
    )
    # what one step misses is the noise of the ocean
    measured = true.error["thetao"].values[ocean.wet]
    assert abs(np.mean(measured / np.sqrt(np.diag(ocean.Q))) - 1) < 0.03
    assert "error" in true.identity

    def score(forecast):
        found = xdeepda.assimilate(control, cells, model=enoi, forecast=forecast)
        late = slice(15, None)
        missed = [
            (found[name] - truth["thetao"]).isel(time=late)
            for name in ("thetao", "thetao_background")
        ]
        return [float(np.sqrt((m**2).mean())) for m in missed]

    own, others = score(None), score(true)
    assert others[0] < 0.93 * own[0]
    assert others[1] < 0.93 * own[1]
