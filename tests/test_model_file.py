"""The model file: round trip to the bit, and no trust in what a file says."""

from __future__ import annotations

import json
import pickle
import resource
import struct

import numpy as np
import pytest
import xarray as xr
from safetensors import safe_open
from safetensors.numpy import save_file

import xdeepda
from xdeepda.architectures import SETTINGS, ArchitectureSpec
from xdeepda.errors import InputError, ModelFileError


@pytest.fixture
def path(tiny_model, tmp_path):
    """A good model file."""
    tiny_model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def rewrite(path, change_text=None, change_arrays=None) -> None:
    """Write the file anew with another description or other arrays."""
    with safe_open(path, framework="numpy") as file:
        text = json.loads(file.metadata()["xdeepda"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if change_text is not None:
        text = change_text(text)
    if change_arrays is not None:
        change_arrays(arrays)
    raw = text if isinstance(text, str) else json.dumps(text)
    save_file(arrays, path, metadata={"xdeepda": raw})


def refused(path, ds=None, obs=None) -> str:
    """Message of the error, on loading or on first use, without a large allocation."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelFileError) as error:
        xdeepda.assimilate(ds, obs, model=xdeepda.load_model(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 300 * 1024
    return str(error.value)


# ---- round trip


def test_everything_comes_back_to_the_bit(path, tiny_model):
    back = xdeepda.load_model(path)
    assert back.hash == tiny_model.hash
    for name, array in tiny_model.weights.items():
        assert array.dtype == back.weights[name].dtype
        np.testing.assert_array_equal(array, back.weights[name])
    np.testing.assert_array_equal(back.wet, tiny_model.wet)
    np.testing.assert_array_equal(
        back.climatology.coefficients, tiny_model.climatology.coefficients
    )
    assert back.provenance == tiny_model.provenance
    assert back.attributes == tiny_model.attributes
    assert (back.architecture, back.cycle, back.calendar, back.variables, back.units) == (
        tiny_model.architecture,
        tiny_model.cycle,
        tiny_model.calendar,
        tiny_model.variables,
        tiny_model.units,
    )
    xr.testing.assert_identical(back.history, tiny_model.history)
    assert repr(back) == repr(tiny_model)


def test_a_loaded_model_analyses_to_the_same_bits(path, ocean, cells, analysis):
    for model in (path, str(path), xdeepda.load_model(path)):
        again = xdeepda.assimilate(ocean, cells, model=model)
        xr.testing.assert_equal(again, analysis)
        assert again.attrs["model_hash"] == analysis.attrs["model_hash"]


def test_the_same_model_makes_the_same_file(path, tiny_model, tmp_path):
    tiny_model.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    xdeepda.load_model(path).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "model.safetensors"]


def test_the_hash_knows_all_that_an_analysis_depends_on(path, tiny_model):
    def shifted(arrays):
        arrays["climatology"] = arrays["climatology"] + np.float32(1)

    rewrite(path, change_arrays=shifted)
    assert xdeepda.load_model(path).hash != tiny_model.hash


def test_history_is_labelled(tiny_model, pair_model):
    assert tiny_model.history.sizes["epoch"] == 1
    assert pair_model.history["validation_rmse"].dims == ("epoch", "variable", "depth")
    assert list(pair_model.history["variable"].values) == ["thetao", "so"]
    assert all(v.attrs["long_name"] for v in pair_model.history.data_vars.values())


def test_the_repr_does_without_a_seed(path):
    rewrite(path, change_text=lambda t: {**t, "provenance": {"training_period": ["1", "2"]}})
    assert "seed unknown" in repr(xdeepda.load_model(path))


def test_the_repr_says_what_and_how_good(tiny_model):
    for word in ("increment", "thetao (degC)", "month", "noleap", "cyclic", "score", "seed 0"):
        assert word in repr(tiny_model)


# ---- damaged files


def test_no_file(tmp_path):
    for missing in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileNotFoundError, match="no model file at"):
            xdeepda.load_model(missing)


def test_every_truncation_is_told(path):
    whole = path.read_bytes()
    header = struct.unpack("<Q", whole[:8])[0]
    lengths = [0, 1, 7, 8, 9, header // 2, header + 7, header + 8, header + 9, len(whole) // 2]
    for length in [*lengths, len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert "not a whole safetensors file" in refused(path)


def test_bits_flipped_in_the_header_never_pass_unseen(path, tiny_model):
    whole = bytearray(path.read_bytes())
    header = struct.unpack("<Q", whole[:8])[0]
    rng = np.random.default_rng(0)
    for position in [*range(8), *rng.integers(8, header + 8, 60)]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            model = xdeepda.load_model(path)
        except ModelFileError:
            continue
        # then it stands in what the model tells of itself, or changes its hash
        changed = model.hash != tiny_model.hash or model.provenance != tiny_model.provenance
        assert changed or not model.history.identical(tiny_model.history)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"format": ' + "9" * 5000 + "}", "no JSON"),
        ("[1, 2]", "no format version"),
        ("{}", "no format version"),
        ('{"format": "1"}', "no format version"),
        ('{"format": 2}', "newer"),
        ('{"format": 1}', "do not fit together"),
        ('{"format": 0}', "no format version"),
        ('{"format": true}', "no format version"),
    ],
)
def test_a_wrong_description_is_told(path, text, words):
    rewrite(path, change_text=lambda _: text)
    message = refused(path)
    assert words in message
    assert str(path) in message


WRONG_WORDS = [
    {"architecture": "transformer"},
    {"architecture": ["increment"]},
    {"settings": []},
    {"settings": {"width": 10**12}},
    {"settings": {"depth": 3}},
    {"settings": {"dilations": [1] * 1000}},
    {"calendar": "mars"},
    {"cycle": "decade"},
    {"cycle": {}},
    {"calendar": 7},
    {"variables": []},
    {"variables": "thetao"},
    {"variables": ["thetao", "thetao"]},
    {"variables": ["thetao", "so"]},
    {"variables": [["thetao"]]},
    {"units": []},
    {"units": [3]},
    {"attributes": []},
    {"attributes": {"thetao": "x"}},
    {"attributes": {"thetao": {"a": []}}},
    {"provenance": "me"},
    {"grid": None},
    {"grid": {"depth": [1.0]}},
    {"grid": {"depth": None, "lat": [0.0, "x"], "lon": [0.0], "cyclic": True}},
    {"grid": {"depth": None, "lat": [], "lon": [0.0], "cyclic": True}},
    {"grid": {"depth": [5.0, 4.0], "lat": [0.0], "lon": [0.0], "cyclic": True}},
    {"grid": {"depth": [5.0, float("nan")], "lat": [0.0], "lon": [0.0], "cyclic": True}},
    {"grid": {k: list(range(10**5)) for k in ("depth", "lat", "lon")} | {"cyclic": True}},
]


@pytest.mark.parametrize("change", WRONG_WORDS, ids=lambda c: str(c)[:60])
def test_a_description_of_wrong_kinds_is_told(path, change):
    rewrite(path, change_text=lambda text: {**text, **change})
    message = refused(path)
    assert str(path) in message
    assert len(message) < 500 + len(str(path))


def put(name, array):
    return lambda arrays: arrays.__setitem__(name, array)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("wet"),
        lambda arrays: arrays.pop("statistics/scale"),
        lambda arrays: arrays.pop("calibration/analysis"),
        put("wet", np.zeros(3, np.uint8)),
        put("wet", np.zeros(90, np.int64)),
        put("climatology", np.zeros((9, 1, 3, 10, 23), np.float32)),
        put("climatology", np.zeros((8, 1, 3, 10, 24), np.float32)),
        put("climatology", np.full((9, 1, 3, 10, 24), np.nan, np.float32)),
        put("climatology", np.zeros((), np.float32)),
        put("statistics/scale", np.zeros(3, np.float32)),
        put("statistics/length", np.zeros(2, np.int32)),
        put("statistics/surprise", np.zeros(2)),
        put("calibration/analysis", np.zeros(4)),
        put("calibration/analysis", np.full(3, -1.0)),
        put("statistics/deviation", np.full((3, 10, 24), -1, np.float32)),
        put("statistics/persistence", np.full((3, 10, 24), 1.5, np.float32)),
        put("history/training_loss", np.zeros(5)),
        put("history/validation_rmse", np.zeros((1, 17))),
    ],
)
def test_arrays_that_do_not_fit_are_told(path, change):
    rewrite(path, change_arrays=change)
    assert str(path) in refused(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("weights/memory_shift"),
        put("weights/surprise", np.zeros(3, np.float32)),
        put("weights/memory_shift", np.zeros((4, 1, 1), np.float32)),
        put("weights/memory_shift", np.full((3, 1, 1), np.inf, np.float32)),
    ],
)
def test_weights_that_do_not_fit_are_told_before_use(path, change, ocean, cells):
    rewrite(path, change_arrays=change)
    refused(path, ocean, cells)


def test_settings_of_a_huge_network_take_no_memory(path, ocean, cells):
    huge = {"width": 4096, "deep_width": 4096, "dilations": [1] * 64}
    rewrite(path, change_text=lambda text: {**text, "settings": huge})
    assert "the weights are not those of increment" in refused(path, ocean, cells)


# ---- files of another kind


def test_other_kinds_of_files(tmp_path):
    bait = tmp_path / "executed"

    class Hostile:
        def __reduce__(self):
            return (open, (str(bait), "w"))

    (tmp_path / "pickle").write_bytes(pickle.dumps(Hostile()))
    (tmp_path / "text").write_text("hello")
    (tmp_path / "zeros").write_bytes(b"\0" * 1000)
    (tmp_path / "big").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "netcdf")
    for name in ("pickle", "text", "zeros", "big", "netcdf"):
        assert "not a whole safetensors file" in refused(tmp_path / name)
    assert not bait.exists()


def test_a_safetensors_file_of_somebody_else(tmp_path):
    save_file({"a": np.zeros(3)}, tmp_path / "other", metadata={"format": "pt"})
    assert "not of xdeepda" in refused(tmp_path / "other")
    save_file({"a": np.zeros(3)}, tmp_path / "bare")
    assert "not of xdeepda" in refused(tmp_path / "bare")


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3"])
def test_numbers_that_numpy_does_not_have(tmp_path, dtype):
    size = 2 if dtype == "BF16" else 1
    entry = {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}
    header = json.dumps({"a": entry, "__metadata__": {"xdeepda": "{}"}}).encode()
    raw = struct.pack("<Q", len(header)) + header + b"\0" * size
    (tmp_path / "exotic").write_bytes(raw)
    assert "arrays of an unknown kind" in refused(tmp_path / "exotic")


def test_a_newer_format_names_both_versions(path):
    rewrite(path, change_text=lambda text: {**text, "format": 99})
    message = refused(path)
    assert "format 99 is newer than the 1" in message
    assert "update xdeepda" in message


def test_a_seed_of_numpy_can_be_saved(ocean, network, tiny, tmp_path):
    model = xdeepda.train(ocean["thetao"], network, **tiny, seed=np.int64(3))
    model.save(tmp_path / "m.safetensors")
    assert xdeepda.load_model(tmp_path / "m.safetensors").provenance["seed"] == 3


def test_a_hybrid_from_before_columns_were_thinned_keeps_them_all(path):
    def older(text):
        settings = {k: v for k, v in SETTINGS["hybrid"].items() if k != "thinning"}
        return {**text, "architecture": "hybrid", "settings": settings}

    rewrite(path, change_text=older)
    assert xdeepda.load_model(path).architecture.settings["thinning"] == 0.0
    with pytest.raises(InputError, match=r"hybrid\.thinning=-1"):
        ArchitectureSpec("hybrid", {"thinning": -1.0})
