"""The examples run from an empty folder, and their analysis is of use even after seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdeepda

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BUDGET = "5s"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folder; whatever starts in it finds the package that is tested."""
    monkeypatch.setenv("PYTHONPATH", str(Path(xdeepda.__file__).parents[1]))
    return tmp_path


def test_script(folder: Path) -> None:
    command = [sys.executable, EXAMPLES / "quickstart.py", "--budget", BUDGET]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "RMSE by depth in kelvin" in done.stdout
    made = folder / "quickstart-output"
    assert (made / "quickstart.png").stat().st_size > 20_000

    table = pd.read_csv(made / "rmse.csv", index_col="depth")
    assert (table["analysis"] < table["climatology"]).all()
    assert (table["analysis"] < table["background"]).all()
    assert (table["analysis there"] < table["observations"]).sum() >= 6
    assert table["spread"].between(0.5 * table["analysis"], 2 * table["analysis"]).all()

    model = xdeepda.load_model(made / "model.safetensors")
    with xr.open_dataset(made / "analysis.nc") as analysis:
        assert analysis.attrs["model_hash"] == model.hash
        assert analysis.sizes == {"time": 72, "depth": 8, "lat": 24, "lon": 48, "bnds": 2}
        assert (np.isfinite(analysis["thetao"].isel(time=-1)) == model.wet[0]).all()


#: Notebook -> how its training is cut short, and pictures that it draws.
NOTEBOOKS = {
    "01_quickstart": ('budget="20s"', f'budget="{BUDGET}"', 1),
    "02_osse": ("epochs=10", "epochs=1", 5),
    "03_tropical_pacific": ("epochs=8", "epochs=1", 5),
}


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook(name: str, folder: Path) -> None:
    long, short, pictures = NOTEBOOKS[name]
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    training = next(cell for cell in notebook.cells if long in cell.source)
    training.source = training.source.replace(long, short)

    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, timeout=600, resources=resources)
    client.execute()

    drawn = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(drawn) == pictures
    if name == "01_quickstart":
        with xr.open_dataset(folder / "analysis.nc") as analysis:
            assert np.isfinite(analysis["thetao_spread"]).any()
