"""Proving grounds, small: their tables are made, and the exact filter is not beaten."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray as xr

import xdeepda


@pytest.fixture(scope="module")
def grounds() -> Any:
    """Modules of the benchmarks by name."""
    from importlib import import_module

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[1]))

        def module(name: str) -> ModuleType:
            return import_module(f"benchmarks.{name}")

        yield module


@pytest.fixture(scope="module")
def kalman(grounds, tmp_path_factory) -> tuple[Path, str, dict[str, Any]]:
    """Folder, text and numbers of a kalman run on a small ocean, with a trained network."""
    out = tmp_path_factory.mktemp("kalman")
    arguments = [
        "--shape", "2", "6", "12", "--years", "6", "2", "3", "--out", str(out),
        "--systems", "climatology", "enoi", "kalman", "increment", "exact_filter",
        "exact_smoother", "--budget", "3s", "--settings", "width=8", "deep_width=8",
        "dilations=(1,)", "batch=8",
    ]  # fmt: skip
    assert grounds("kalman").main(arguments) == 0
    numbers = json.loads((out / "kalman_seed0.json").read_text())
    return out, (out / "kalman_seed0.txt").read_text(), numbers


def test_kalman_writes_table_figure_and_model(kalman):
    out, text, numbers = kalman
    assert (out / "kalman_seed0.png").stat().st_size > 10_000
    assert [p.name.partition("_0_")[0] for p in (out / "models").iterdir()] == ["kalman_increment"]
    for system in ("climatology", "enoi", "kalman", "increment", "exact_filter"):
        assert f"\n{system} " in text
        assert np.shape(numbers[system]["analysis"]) == (2,)
    assert "increment against kalman: " in text


def test_nothing_beats_the_exact_filter_but_the_smoother(kalman, grounds):
    _, _, numbers = kalman
    rows = {s: {k: np.array(v) for k, v in row.items()} for s, row in numbers.items()}
    limit = rows["exact_filter"]
    for system in ("climatology", "enoi", "kalman", "increment"):
        ratio, error = grounds("scores").ratio_to(rows[system], limit)
        assert ratio > 1 - 2 * error
        assert rows[system]["crps"].mean() > 0.98 * limit["crps"].mean()
    ratio, error = grounds("scores").ratio_to(rows["exact_smoother"], limit)
    assert ratio < 1 - 2 * error
    # it knows its own error
    assert limit["spread_skill"] == pytest.approx(1, abs=0.08)
    assert limit["pit"].mean(axis=0) == pytest.approx(1, abs=0.3)
    assert rows["kalman"]["ratio"].mean() < rows["climatology"]["ratio"].mean()


def test_all_systems_of_kalman_see_the_same_observations(kalman):
    _, _, numbers = kalman
    first, *others = (np.array(row["obs_error"]) for row in numbers.values())
    assert first == pytest.approx(0.3, rel=0.1)
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_tuning_prints_the_best_settings(grounds, monkeypatch, capsys):
    monkeypatch.setattr(grounds("kalman"), "GRIDS", {"enoi": {"localisation": (50.0, 9000.0)}})
    monkeypatch.setattr(grounds("kalman"), "TUNED", {})
    small = ["--shape", "1", "4", "8", "--years", "3", "1", "2"]
    assert grounds("kalman").main([*small, "--tune", "--systems", "enoi", "increment"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("'localisation': 9000.0}")


def test_settings_that_do_not_exist_are_refused(grounds, capsys):
    with pytest.raises(SystemExit):
        grounds("kalman").main(["--settings", "wdith=8"])
    assert "no setting 'wdith'; known: " in capsys.readouterr().err


#: A network so small that a training of a second moves all of it.
SMALL = ["--budget", "1s", "--settings", "width=8", "deep_width=8", "dilations=(1,)", "batch=8"]


@pytest.fixture(scope="module")
def runs(grounds, tmp_path_factory) -> Path:
    """Data folder of small runs in place of those of MITgcm: other draws of one ocean."""
    common, folder = grounds("common"), tmp_path_factory.mktemp("data")
    (folder / "models").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, years in (("TRAIN", (1, 6)), ("VALIDATE", (7, 7)), ("REPORT", (8, 9))):
            patch.setattr(common, name, years)
        patch.setattr(grounds("osse"), "TUNED", {})
        patch.setattr(grounds("twin"), "CLIMATE", (1, 7))
        patch.setattr(grounds("twin"), "REPORT", (8, 9))
        patch.setattr(grounds("trend"), "YEARS", {"w": (1, 9), "a": (1, 9)})
        for seed, name in enumerate("abw"):
            ocean = xdeepda.datasets.idealised_ocean(9, resolution=15.0, levels=3, seed=seed)
            field = ocean.thetao
            if name == "w":
                field = field + 0.1 * (ocean.time.dt.year + ocean.time.dt.month / 12)
            field = field.assign_attrs(ocean.thetao.attrs).to_dataset(name="thetao")
            field.to_netcdf(folder / "models" / f"mitgcm_{name}.nc")
        yield folder


def test_osse_and_twin(grounds, runs, tmp_path):
    """A twin that is the same ocean keeps about what there is to gain."""
    arguments = ["--data", str(runs), "--out", str(tmp_path), "--network", "dense"]
    systems = ["--systems", "climatology", "enoi", "increment"]
    assert grounds("osse").main([*arguments, *systems, *SMALL, "--members", "3"]) == 0
    numbers = json.loads((tmp_path / "osse_dense_test_seed0.json").read_text())
    assert np.shape(numbers["enoi"]["crps"]) == (3,)
    assert np.shape(numbers["enoi"]["spread_skill_bands"]) == (3, 3)
    assert np.shape(numbers["enoi"]["mean_spread_skill"]) == (3, 3)
    assert np.all(np.array(numbers["enoi"]["mean_spread_skill"]) > 0)
    assert np.mean(numbers["enoi"]["ratio"]) < 0.9
    # the climatology has no anomalies, hence no power; the truth's own would be 1
    assert np.allclose(numbers["climatology"]["power"], 0, atol=1e-6)
    assert 0.1 < np.mean(np.array(numbers["enoi"]["power"])[:, :3]) < 1.5
    (trained,) = (tmp_path / "models").iterdir()
    written = trained.stat().st_mtime_ns
    models = ["--models", str(tmp_path / "models")]
    own = ["--climatology", "own"]
    assert grounds("twin").main([*arguments, *models, *systems, *own, *SMALL]) == 0
    assert trained.stat().st_mtime_ns == written
    other = json.loads((tmp_path / "twin_dense_own_seed0.json").read_text())
    for system in ("enoi", "increment"):
        assert np.mean(other[system]["ratio"]) == pytest.approx(
            np.mean(numbers[system]["ratio"]), rel=0.15
        )
    kept = (tmp_path / "twin_dense_kept_seed0.txt").read_text().splitlines()
    gain = 1 - np.mean(numbers["increment"]["ratio"]) / np.mean(numbers["enoi"]["ratio"])
    (row,) = (line for line in kept if line.startswith("increment"))
    assert float(row.split()[1]) == pytest.approx(gain, abs=6e-4)
    assert "no persistence, oi, kalman" in kept[-1]


def test_forecasts_from_better_analyses_are_better(grounds, runs, tmp_path):
    arguments = ["--data", str(runs), "--out", str(tmp_path), "--network", "dense", "--leads", "3"]
    systems = ["--systems", "climatology", "persistence", "enoi", "increment"]
    assert grounds("forecast").main([*arguments, *systems, *SMALL]) == 0
    numbers = json.loads((tmp_path / "forecast_dense_seed0.json").read_text())
    assert (tmp_path / "forecast_dense_seed0.png").stat().st_size > 10_000
    text = (tmp_path / "forecast_dense_seed0.txt").read_text()
    for scheme in ("persistence", "lim", "lim_rest"):
        rows = {s: np.array(row["ratio"]) for s, row in numbers[scheme].items()}
        assert rows["enoi"].shape == (3, 3)
        # no anomaly stays none
        np.testing.assert_allclose(rows["climatology"], 1.0)
        # what is known is forgotten
        assert (np.diff(rows["truth"].mean(axis=1)) > 0).all()
        assert rows["truth"][0].mean() < 1
        assert f"\n{scheme}: mean over the levels" in text
    mean = {s: np.mean(row["ratio"], axis=1) for s, row in numbers["persistence"].items()}
    assert mean["truth"][0] < mean["enoi"][0] < mean["persistence"][0] < 1
    assert text.count("increment: RMSE / that of the best baseline of each lead (") == 3


def test_forecast_by_persistence_is_a_power_of_the_memory(grounds, ocean):
    forecast = grounds("forecast")
    ground = grounds("systems").Ground("test", ocean[["thetao"]], None)
    model = forecast.forecaster("persistence", ground)
    start = ocean.thetao[:2].copy(data=np.ones((2, *ocean.thetao.shape[1:]), np.float32))
    first, second = forecast.forecasts(model, start, 2)
    memory = model.statistics.persistence
    sea = ocean.thetao[0].notnull().values
    np.testing.assert_allclose(first.values[:, sea], memory[sea][None].repeat(2, 0), rtol=1e-5)
    np.testing.assert_allclose(second.values[0][sea], memory[sea] ** 2, rtol=1e-5)


def test_spread_of_means_of_members(grounds):
    """Whole members that err alike by a normal number: 1 for their mean, whatever the cells do."""
    rng = np.random.default_rng(0)
    lat, shape = np.arange(-75.0, 90, 30), (20, 400, 1, 6, 8)
    common = rng.standard_normal((20, 400, 1, 1, 1)) + 0.5 * rng.standard_normal(shape)
    dims = ("member", "time", "depth", "lat", "lon")
    members = xr.DataArray(common, dims=dims, coords={"lat": lat, "lon": np.arange(8)})
    truth = members.isel(member=0)
    found = grounds("scores").of_means(members.isel(member=slice(1, None)), truth)
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found, 1, atol=0.1)


def test_trend_of_a_warming_ocean_and_of_none(grounds, runs, tmp_path):
    arguments = ["--data", str(runs), "--out", str(tmp_path), "--systems", "climatology", "enoi"]
    assert grounds("trend").main([*arguments, "--climatology", "published"]) == 0
    warm, still = (
        json.loads((tmp_path / f"trend_{x}_published_seed0.json").read_text()) for x in "wa"
    )
    np.testing.assert_allclose(warm["truth"]["slope"], 1.0, atol=0.3)
    np.testing.assert_allclose(still["truth"]["slope"], 0.0, atol=0.3)
    np.testing.assert_allclose(warm["climatology"]["slope"], 0.0, atol=1e-4)
    assert warm["enoi"]["slope"][0] == pytest.approx(warm["truth"]["slope"][0], abs=0.3)


def test_trend_is_in_kelvin_a_decade(grounds):
    found = grounds("trend").trend(0.02 * np.arange(30.0)[:, None] + [[0.0, 5.0]])
    np.testing.assert_allclose(found.slope, 0.2)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-10)


def test_several_wrong_models_are_better_together(grounds, tmp_path):
    arguments = ["--shape", "1", "6", "12", "--years", "4", "1", "2", "--out", str(tmp_path)]
    assert grounds("several").main([*arguments, "--systems", "kalman"]) == 0
    numbers = json.loads((tmp_path / "several_seed0.json").read_text())
    score = {name: np.mean(row["ratio"]) for name, row in numbers.items()}
    alone = [score[f"kalman {name}"] for name in ("fast", "slow", "fading")]
    assert score["exact_filter"] < score["kalman all"] < np.mean(alone)


def test_altered_ocean_keeps_what_is_not_altered(grounds):
    ocean = xdeepda.datasets.linear_ocean((2, 4, 8))
    same = grounds("several").altered(ocean, 1.0, 1.0)
    np.testing.assert_allclose(same.M, ocean.M, atol=1e-10)
    np.testing.assert_allclose(same.P_inf, ocean.P_inf, atol=1e-8)
    fading = grounds("several").altered(ocean, 1.0, 2.0)
    assert np.trace(fading.P_inf) < 0.8 * np.trace(ocean.P_inf)


def test_ablations_have_a_line_for_each_part(grounds, monkeypatch, tmp_path):
    ablations = grounds("ablations")
    for name, line in (("adversarial 0.1", "increment"), ("average of 3 seeds", "increment")):
        monkeypatch.setitem(ablations.LINES, name, ablations.LINES[name]._replace(system=line))
    arguments = ["--shape", "1", "4", "8", "--years", "3", "1", "2", "--out", str(tmp_path)]
    lines = ["adversarial 0.1", "average of 3 seeds", "deepda2024 with quirks"]
    small = [*SMALL, "--deepda2024-budget", "1s", "--lines", *lines]
    assert ablations.main([*arguments, *small]) == 0
    numbers = json.loads((tmp_path / "ablations_kalman_seed0.json").read_text())
    assert list(numbers) == ["exact_filter", "exact_smoother", *lines]
    assert all(np.isfinite(row["ratio"]).all() for row in numbers.values())
    assert len(list((tmp_path / "models").glob("kalman_increment_[012]_*"))) == 4
    assert (tmp_path / "ablations_kalman_seed0_power.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["ablations", "kalman", "osse", "sections", "twin"])
def test_lines_and_defaults_are_known(grounds, name):
    """Every system and setting that a benchmark names is one of the package."""
    module = grounds(name)
    lines = getattr(module, "LINES", {}).values()
    named = [(line.system, line.settings) for line in lines]
    named += [(s, own) for s, own in getattr(module, "TUNED", {}).items()]
    named += [
        (s, {k: v[0] for k, v in own.items()}) for s, own in getattr(module, "GRIDS", {}).items()
    ]
    training = grounds("systems").of_training()
    for system, settings in named:
        own = {k: v for k, v in settings.items() if k not in training}
        assert xdeepda.architectures.ArchitectureSpec(system, own).name == system


def test_sections_of_two_models(grounds, data_folder, monkeypatch, tmp_path):
    for name, number in (("TRAIN", 200), ("VALIDATE", 20), ("REPORT", 40)):
        monkeypatch.setattr(grounds("sections"), name, number)
    arguments = ["--data", str(data_folder), "--out", str(tmp_path)]
    assert grounds("sections").main([*arguments, "--systems", "climatology", "enoi"]) == 0
    for truth in ("hadcm3l", "miroc32"):
        numbers = json.loads((tmp_path / f"sections_{truth}_seed0.json").read_text())
        score = {name: np.mean(row["ratio"]) for name, row in numbers.items()}
        assert score[f"enoi of {truth}"] < 0.9
        other = min(score[f"enoi of {t}"] for t in ("hadcm3l", "miroc32") if t != truth)
        assert score["enoi all"] < other


def test_the_notebook_was_run_from_top_to_bottom():
    path = Path(__file__).parents[1] / "benchmarks" / "equatorial_pacific.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 7
