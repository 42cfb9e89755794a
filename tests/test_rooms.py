"""Who may import whom, and what importing the package loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import xdeepda

ROOT = Path(xdeepda.__file__).parent

#: Room -> its floor.  A room may import lower floors, and itself.
FLOORS = {
    "address": 0,
    "errors": 0,
    "core": 0,
    "options": 1,
    "provenance": 1,
    "architectures": 1,
    "progress": 2,
    "reading": 2,
    "units": 2,
    "calendar": 2,
    "axes": 3,
    "grid": 4,
    "source": 5,
    "climatology": 6,
    "datasets": 6,
    "observations": 6,
    "verification": 7,
    "model": 7,
    "diagnostics": 7,
    "bridge": 8,
    "analysis": 8,
    "conditions": 8,
    "initial": 8,
    "forecasts": 9,
    "request": 9,
    "training": 9,
    "production": 10,
    "assimilation": 11,
    "experiments": 12,
    "realtime": 12,
    "baselines": 10,
    "impact": 10,
    "plot": 10,
    "reporting": 11,
    "inspection": 10,
    "accessor": 12,
    "__init__": 13,
}
#: Rooms that calculate with tensors; no other imports torch (options asks for devices).
TENSORS = {"core", "bridge", "training", "options"}
HEAVY = ("torch", "dask", "zarr", "pint", "cf_xarray", "matplotlib")


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules that a file imports, also within functions; types for the checker aside."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            if node.module == "xdeepda":
                yield from (f"xdeepda.{alias.name}" for alias in node.names)
            else:
                yield node.module
        else:
            yield from imports(node)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


FILES = sorted(ROOT.rglob("*.py"))
NAMES = {
    path: ".".join(("xdeepda", *path.relative_to(ROOT).with_suffix("").parts)) for path in FILES
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_keep_to_the_rooms(path):
    own = room(NAMES[path])
    assert own in FLOORS, f"give {own!r} a floor"
    found = set(imports(ast.parse(path.read_text(encoding="utf-8"))))
    tops = {name.split(".")[0] for name in found}
    for other in (room(name) for name in found if name.split(".")[0] == "xdeepda"):
        assert other == own or FLOORS[other] < FLOORS[own], f"{own} must not import {other}"
    if own == "core":
        assert tops <= {"torch", "numpy", "xdeepda", *sys.stdlib_module_names}
        assert {room(n) for n in found if n.startswith("xdeepda")} <= {"core"}
    if "torch" in tops:
        assert own in TENSORS, f"{own} must not import torch"
        assert "xarray" not in tops or own == "bridge"


def test_the_walk_sees_imports_in_functions():
    text = "import a\ndef f():\n    from xdeepda.bridge import x\n    import torch.nn\n"
    assert list(imports(ast.parse(text))) == ["a", "xdeepda.bridge", "torch.nn"]


def fresh(code: str) -> str:
    """Output of a Python process of its own."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_import_loads_nothing_heavy():
    loaded = fresh(f"import sys, xdeepda; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded == "[]"


def test_looking_at_an_object_loads_no_torch():
    code = (
        "import sys, numpy as np, xarray as xr, xdeepda\n"
        "da = xr.DataArray(np.zeros((2, 2)), dims=('lat', 'lon'), name='sst',"
        " coords={'lat': [0, 1], 'lon': [0, 1]}, attrs={'units': 'degC'})\n"
        "repr(da.deepda), da.deepda._repr_html_(), dir(xdeepda), xdeepda.__version__\n"
        "print('torch' in sys.modules)"
    )
    assert fresh(code) == "False"


def test_every_public_name_is_there():
    for name in xdeepda.__all__:
        assert getattr(xdeepda, name) is not None
    assert set(dir(xdeepda)) == set(xdeepda.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = xdeepda.nonsense
