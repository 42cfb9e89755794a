"""A stored analysis that is gone on with is, to the bit, that of one run over the whole period."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError, ModelMismatchError
from xdeepda.production.cycling import Cycling
from xdeepda.production.extension import Extension
from xdeepda.production.restart import FOLDER, Keeper


def same(found: xr.Dataset, held: xr.Dataset) -> None:
    """Identical to the bit, in labels, order and dtype, apart from the history."""
    a, b = (x.load().assign_attrs(history="") for x in (found, held))
    xr.testing.assert_identical(a, b)
    assert list(a.data_vars) == list(b.data_vars)
    for name in b.variables:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].dims == b[name].dims, name


class Interruption(Exception):
    pass


def steps_of(monkeypatch, until: int | None = None) -> list[int]:
    """Numbers of the cycles that are taken from now on, at most so many."""
    step, taken = Cycling._step, []

    def counted(self, number):
        if len(taken) == until:
            raise Interruption
        taken.append(number)
        return step(self, number)

    monkeypatch.setattr(Cycling, "_step", counted)
    return taken


@pytest.fixture(scope="module")
def model(ocean) -> xdeepda.Model:
    """Carries nothing besides mean and variance."""
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


@pytest.fixture(scope="module")
def filtering(ocean) -> xdeepda.Model:
    """Carries a covariance besides."""
    return xdeepda.baselines.kalman(ocean, var="thetao", cycle="month", patterns=10)


@pytest.fixture(scope="module")
def held(ocean, months, model) -> xr.Dataset:
    return xdeepda.assimilate(ocean, months, model=model)


@pytest.fixture(scope="module")
def begun(ocean, months, model, tmp_path_factory):
    """Store of the first 18 months, to be copied."""
    place = tmp_path_factory.mktemp("begun") / "a.zarr"
    with pytest.MonkeyPatch.context() as patched:
        from xdeepda.production import store

        patched.setattr(store, "CHUNK_CYCLES", 4)
        xdeepda.assimilate(ocean, months.isel(time=slice(0, 18)), model=model, store=place)
    return place


@pytest.fixture
def place(begun, tmp_path):
    """Store of the first 18 months, the last two of them in a chunk that is half full."""
    shutil.copytree(begun, tmp_path / "a.zarr")
    return tmp_path / "a.zarr"


# ---- the same as one long run


def test_the_same_as_one_run(months, model, held, place, hasty):
    analysis = xr.open_zarr(place)
    found = analysis.deepda.update(months.isel(time=slice(18, 29)), model=model)
    assert found["thetao"].chunks is not None
    same(found, held.isel(time=slice(0, 29)))
    # and again, by the path, and from what was returned
    found = xdeepda.update(str(place), months.isel(time=slice(29, 30)), model=model)
    same(found, held.isel(time=slice(0, 30)))
    found = xdeepda.update(found, months.isel(time=slice(30, 40)), model=model)
    same(found, held)
    same(xr.open_zarr(place)[list(held.data_vars)], held)
    same(xr.open_zarr(place, consolidated=False)[list(held.data_vars)], held)
    lines = found.attrs["history"].splitlines()
    assert [line.split(": ")[1].split("(")[0] for line in lines[:4]] == [
        *["update"] * 3,
        "assimilate",
    ]
    left = sorted(p.name for p in (place / FOLDER).iterdir())
    assert left == ["last.safetensors", "lock", "request.json"]
    # what was opened before stays as it was
    same(analysis[list(held.data_vars)], held.isel(time=slice(0, 18)))


@pytest.mark.parametrize("which", ["members", "models", "checks and ledger", "own climatology"])
def test_everything_that_flows_goes_on(
    which, ocean, months, points, model, filtering, tmp_path, hasty
):
    """Random numbers, the noise of members, carried covariances, fates of single data."""
    first, last = months.isel(time=slice(24, 36)), months.isel(time=slice(36, 40))
    models, kwargs = model, {"members": 3, "seed": 3, "keep_members": True}
    if which == "models":
        models, kwargs = [model, filtering], kwargs | {"members": 2}
    elif which == "checks and ledger":
        wild = points.assign(thetao=points["thetao"].where(points["lat"] < 20, 40.0))
        late = points["time"] > months["time"].values[35]
        first = [first, wild.isel(obs=np.flatnonzero(~late))]
        last = [last, wild.isel(obs=np.flatnonzero(late))]
        kwargs = {"checks": "all", "ledger": tmp_path / "l.nc"}
    elif which == "own climatology":
        fields = ocean["thetao"].isel(time=slice(0, 24)) + 0.3
        kwargs = {"climatology": fields.assign_attrs(ocean["thetao"].attrs).to_dataset()}
    both = [*first, *last] if isinstance(first, list) else [first, last]
    whole = xdeepda.assimilate(ocean, both, model=models, **kwargs)
    ledger = xdeepda.departures(whole).load() if "ledger" in kwargs else None
    begun = xdeepda.assimilate(ocean, first, model=models, store=tmp_path / "a.zarr", **kwargs)
    found = xdeepda.update(begun, last, model=models)
    same(found, whole)
    if ledger is not None:
        again = xdeepda.departures(found).load()
        assert (again["fate"] > 6).any()
        order = np.argsort(ledger["source_number"] % 2 == 0, kind="stable")
        key = ["cycle", "source_number", "row"]
        a, b = (x.to_dataframe().sort_values(key) for x in (again, ledger))
        assert len(a) == len(b) == len(order)
        for name in ("innovation", "residual", "background_spread", "gross_error", "fate"):
            np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


def test_any_labels(ocean, months, model, tmp_path, hasty):
    """Another order, a descending axis, other names, kelvin, a coordinate besides, pint."""
    import pint_xarray  # noqa: F401

    from xdeepda.units import registry

    mine = ocean[["thetao"]].isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat", ...)
    mine = mine.rename(time="t", lat="y").assign_coords(basin=("lon", np.array(["a", "bc"] * 12)))
    mine["thetao"] = (mine["thetao"] + 273.15).assign_attrs(ocean["thetao"].attrs, units="K")
    mine = mine.pint.quantify(unit_registry=registry())
    whole = xdeepda.assimilate(mine, months, model=model)
    begun = xdeepda.assimilate(
        mine, months.isel(time=slice(0, 10)), model=model, store=tmp_path / "a.zarr"
    )
    found = begun.deepda.update(months.isel(time=slice(10, 40)), model=model)
    assert found["thetao"].pint.units == whole["thetao"].pint.units
    same(found.pint.dequantify(), whole.pint.dequantify())


def test_datetimes(ocean, months, model, tmp_path):
    dates = (np.datetime64("1597-02") + np.arange(40)).astype("M8[s]")
    gregorian = months.drop_vars("time_bnds").assign_coords(time=dates)
    whole = xdeepda.assimilate(ocean, gregorian, model=model)
    parts = gregorian.isel(time=slice(0, 7)), gregorian.isel(time=slice(7, 40))
    xdeepda.assimilate(ocean, parts[0], model=model, store=tmp_path / "a.zarr")
    same(xdeepda.update(tmp_path / "a.zarr", parts[1], model=model), whole)


def test_chosen_times(ocean, months, model, held, place):
    found = xdeepda.update(
        place, months.isel(time=slice(18, 40)), model=model, times=months["time"].values[[20, 30]]
    )
    same(found, held.isel(time=[*range(18), 20, 30]))


# ---- interrupted


@pytest.mark.parametrize("after", [0, 2, 13])
def test_an_interrupted_update_goes_on(
    after, months, model, held, place, tmp_path, hasty, monkeypatch
):
    later = months.isel(time=slice(18, 40))
    with monkeypatch.context() as patched:
        steps_of(patched, after)
        with pytest.raises(Interruption):
            xdeepda.update(place, later, model=model)
    # until it is complete, readers see the analysis as it was
    same(xr.open_zarr(place)[list(held.data_vars)], held.isel(time=slice(0, 18)))
    taken = steps_of(monkeypatch)
    same(xdeepda.update(place, later, model=model), held)
    # chunks end after 20, 24, ...
    assert len(taken) == {0: 22, 2: 20, 13: 12}[after]


@pytest.mark.parametrize("moment", ["before it is shown", "before its end", "before it is done"])
def test_stopped_at_its_very_end(moment, months, model, held, place, monkeypatch):
    later = months.isel(time=slice(18, 40))
    owner, name = {
        "before it is shown": (Extension, "finish"),
        "before its end": (Keeper, "save_last"),
        "before it is done": (Keeper, "write_request"),
    }[moment]
    original = getattr(owner, name)

    def stopped(self, *args, **kwargs):
        if name == "write_request" and not kwargs["complete"]:
            return original(self, *args, **kwargs)
        raise Interruption

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, stopped)
        with pytest.raises(Interruption):
            xdeepda.update(place, later, model=model)
    same(xdeepda.update(place, later, model=model), held)
    assert xr.open_zarr(place).attrs["history"].count("update(") == 1
    assert json.loads((place / FOLDER / "request.json").read_text())["complete"]


def test_what_was_interrupted_may_be_done_with_other_observations(
    months, model, held, place, hasty, monkeypatch, caplog
):
    other = months.isel(time=slice(18, 40))
    other = other.assign(thetao=(other["thetao"] + 1).assign_attrs(months["thetao"].attrs))
    with monkeypatch.context() as patched:
        steps_of(patched, 9)
        with pytest.raises(Interruption):
            xdeepda.update(place, other, model=model)
    found = xdeepda.update(place, months.isel(time=slice(18, 25)), model=model)
    assert "it is begun anew after" in caplog.text
    same(found, held.isel(time=slice(0, 25)))
    same(xdeepda.update(place, months.isel(time=slice(25, 40)), model=model), held)


def test_the_same_update_again(months, model, held, place, monkeypatch, caplog):
    caplog.set_level("INFO", "xdeepda")
    later = months.isel(time=slice(18, 40))
    xdeepda.update(place, later, model=model)
    taken = steps_of(monkeypatch)
    same(xdeepda.update(place, later, model=model), held)
    assert not taken
    assert "holds these observations already" in caplog.text


def test_another_process_writes(months, model, place):
    keeper = Keeper(place)
    keeper.lock()
    with pytest.raises(InputError, match="another process is writing"):
        xdeepda.update(place, months.isel(time=slice(18, 40)), model=model)
    keeper.release()


def test_an_analysis_of_another_kind_of_device(ocean, months, model, held, place, tmp_path):
    """Made on a GPU, whose generators have states of their own."""
    keeper, later = Keeper(place), months.isel(time=slice(18, 40))
    last = keeper.load_last()
    last.arrays["0/draws"] = np.zeros(16, np.uint8)
    keeper.save_last(last)
    found = keeper.request()
    keeper.write_request(found["wanted"], found["machine"] | {"device": "cuda:0"}, complete=True)
    same(xdeepda.update(place, later, model=model), held)
    other = tmp_path / "b.zarr"
    first = months.isel(time=slice(0, 2))
    xdeepda.assimilate(ocean, first, model=model, members=2, store=other)
    keeper = Keeper(other)
    found = keeper.request()
    keeper.write_request(found["wanted"], found["machine"] | {"device": "cuda:0"}, complete=True)
    with pytest.raises(InputError, match="members were drawn on another kind of device"):
        xdeepda.update(other, later, model=model)


# ---- observations that do not follow


def test_late_observations_are_told(months, model, held, place, caplog):
    found = xdeepda.update(place, months.isel(time=slice(16, 20)), model=model)
    same(found, held.isel(time=slice(0, 20)))
    late = int(np.isfinite(months["thetao"].values[16:18]).sum())
    total = int(np.isfinite(months["thetao"].values[16:20]).sum())
    assert f"{late} of {total} superobservations are of cycles that are analysed" in caplog.text


def test_observations_that_are_all_late(months, model, place):
    with pytest.raises(InputError, match="all observations are of cycles that are analysed") as e:
        xdeepda.update(place, months.isel(time=slice(3, 18)), model=model)
    count = int(np.isfinite(months["thetao"].values[3:18]).sum())
    assert f"{count} superobservations from" in str(e.value)
    assert "into another store" in str(e.value)


def test_a_gap_is_bridged_and_told(ocean, months, model, place, caplog):
    later = months.isel(time=slice(20, 24))
    whole = xdeepda.assimilate(ocean, [months.isel(time=slice(0, 18)), later], model=model)
    same(xdeepda.update(place, later, model=model), whole)
    assert "nothing was observed in 2 months after the end" in caplog.text


def test_a_gap_of_a_year_is_asked_for(months, model, place):
    later = months.isel(time=slice(30, 34))
    with pytest.raises(InputError, match="12 months without any observation follow"):
        xdeepda.update(place, later, model=model)
    found = xdeepda.update(place, later, model=model, times=months["time"].values[18:34])
    assert found.sizes["time"] == 34
    assert int(found["thetao_obs_count"][18:30].sum()) == 0


# ---- what cannot be gone on with


def test_all_that_is_wrong_is_told_at_once(ocean, months, model, place, tiny_model):
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file() and p.name != "lock"}
    wrong = months.isel(time=slice(3, 10))
    with pytest.raises(ModelMismatchError) as error:
        xdeepda.update(place, wrong, model=tiny_model)
    told = str(error.value)
    assert "2 problems" in told
    assert f"found: {tiny_model.hash}" in told
    assert f"expected: {model.hash}" in told
    assert "all observations are of cycles that are analysed already" in told
    times = months["time"].values[[17, 20]]
    with pytest.raises(InputError, match="times= begins within the stored analysis"):
        xdeepda.update(place, months.isel(time=slice(18, 22)), model=model, times=times)
    dates = (np.datetime64("1999-02") + np.arange(40)).astype("M8[ns]")
    with pytest.raises(InputError, match="in another calendar than the analysis"):
        xdeepda.update(place, months.drop_vars("time_bnds").assign_coords(time=dates), model=model)
    salty = months.assign(thetao=months["thetao"].assign_attrs(units="psu"))
    with pytest.raises(InputError, match="psu"):
        xdeepda.update(place, salty, model=model)
    assert before == {p: p.read_bytes() for p in before}


def test_a_smoother_is_refused(months, place, smoother):
    with pytest.raises(InputError, match="a real-time analysis cannot see later observations"):
        xdeepda.update(place, months.isel(time=slice(18, 22)), model=smoother)


def test_an_analysis_in_memory(months, model, held, tmp_path):
    with pytest.raises(InputError, match="not known to be in a store") as error:
        xdeepda.update(held, months, model=model)
    assert "store='analysis.zarr'" in str(error.value)
    held.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match="no analysis that was written with store="):
        xdeepda.update(xr.open_dataset(tmp_path / "a.nc"), months, model=model)
    with pytest.raises(InputError, match="this is no stored analysis"):
        xdeepda.update(3, months, model=model)


def test_stores_that_keep_no_end(ocean, months, model, place, tmp_path, monkeypatch):
    later = months.isel(time=slice(18, 22))
    (place / FOLDER / "last.safetensors").unlink()
    with pytest.raises(InputError, match="does not keep where the analysis ends"):
        xdeepda.update(place, later, model=model)
    with monkeypatch.context() as patched:
        steps_of(patched, 3)
        with pytest.raises(Interruption):
            xdeepda.assimilate(ocean, months, model=model, store=tmp_path / "b.zarr")
    with pytest.raises(InputError, match="the analysis is not complete"):
        xdeepda.update(tmp_path / "b.zarr", later, model=model)


def test_an_analysis_in_streams(ocean, months, model, tmp_path):
    """The end of the last stream is that of no run over the whole period."""
    first = months.isel(time=slice(0, 8))
    xdeepda.assimilate(ocean, first, model=model, store=tmp_path / "a.zarr", streams=2, spinup=2)
    with pytest.raises(InputError, match="in streams"):
        xdeepda.update(tmp_path / "a.zarr", months.isel(time=slice(8, 9)), model=model)


def test_a_store_that_was_changed(months, model, place):
    import zarr

    group = zarr.open_group(place, mode="r+")
    del group["thetao_spread"]
    with pytest.raises(InputError, match="thetao_spread"):
        xdeepda.update(place, months.isel(time=slice(18, 22)), model=model)


def test_the_first_call_again(ocean, months, model, place):
    xdeepda.update(place, months.isel(time=slice(18, 22)), model=model)
    with pytest.raises(InputError, match=r"update\(\) has gone on with this analysis"):
        xdeepda.assimilate(ocean, months.isel(time=slice(0, 18)), model=model, store=place)


def test_a_moved_store_and_its_ledger(ocean, points, months, model, tmp_path):
    first, last = (points.isel(obs=np.flatnonzero(late)) for late in (
        points["time"] <= months["time"].values[36], points["time"] > months["time"].values[36]
    ))  # fmt: skip
    (tmp_path / "old").mkdir()
    xdeepda.assimilate(ocean, first, model=model, ledger=True, store=tmp_path / "old" / "a.zarr")
    (tmp_path / "old").rename(tmp_path / "new")
    found = xdeepda.update(tmp_path / "new" / "a.zarr", last, model=model)
    assert xdeepda.departures(found).sizes["obs"] == points.sizes["obs"]
    (tmp_path / "new" / "a.ledger.nc").unlink()
    with pytest.raises(InputError, match="the ledger of the analysis is not there"):
        xdeepda.update(tmp_path / "new" / "a.zarr", last, model=model)


def test_a_lazy_table(ocean, points, months, model, tmp_path):
    late = points["time"] > months["time"].values[36]
    first, last = (points.isel(obs=np.flatnonzero(w)) for w in (~late, late))
    whole = xdeepda.assimilate(ocean, [first, last], model=model)
    xdeepda.assimilate(ocean, first, model=model, store=tmp_path / "a.zarr")
    same(xdeepda.update(tmp_path / "a.zarr", last.chunk(obs=20), model=model), whole)


def test_wrong_kinds(months, place):
    with pytest.raises(ModelMismatchError, match="model is a int"):
        xdeepda.update(place, months, model=3)
