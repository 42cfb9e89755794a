"""Train a model on several GPUs, or several processors: one process for each.

    torchrun --nproc-per-node 4 examples/train_distributed.py control_*.nc --var thetao \
        --batch 12 --checkpoint training.pt --resume --output model.safetensors

Each process analyses an equal part of the batch and reads the sequences of that part alone, so
that the control run should be given as files: netCDF, or one zarr store.  The first process
fits, validates, shows the progress and writes.  The same command goes on from the checkpoint
after an interruption, with any number of processes that divides the batch.  Without torchrun
(``python examples/train_distributed.py ...``) a single process does the same.
"""

from __future__ import annotations

import argparse
import ast
import os
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import distributed

import xdeepda


def main(argv: list[str] | None = None) -> None:
    """Join the other processes, open the run, train; the first process saves the model."""
    given = arguments(argv)
    shared = "LOCAL_RANK" in os.environ  # torchrun started this process
    if shared:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group()
    control = control_run(given.runs)
    model = xdeepda.train(
        control, observing(given.network, control), var=given.var, cycle=given.cycle,
        architecture=given.architecture, epochs=given.epochs, budget=given.budget,
        checkpoint=given.checkpoint, resume=given.resume, device=given.device, seed=given.seed,
        **dict(given.settings),
    )  # fmt: skip
    if not shared or distributed.get_rank() == 0:
        model.save(given.output)
        print(model)
    if shared:
        distributed.destroy_process_group()


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("runs", nargs="+", help="netCDF files of the control run, or one zarr store")
    add("--network", default="argo", help="'argo', '1980s', or the file of a saved network")
    add("--var", nargs="+", help="variables of the state")
    add("--cycle", default="pentad", choices=("pentad", "month", "year"))
    add("--architecture", default="default", help="'default', 'hybrid', 'deepda2024', ...")
    add("--epochs", type=int, help="passes through the training years")
    add("--batch", dest="settings", type=batch, action="append", default=[],
        help="sequences of all processes together")  # fmt: skip
    add("--set", dest="settings", type=setting, action="append", metavar="NAME=VALUE",
        help="another setting of the training, such as cycles=6 or adversarial=0.1")  # fmt: skip
    add("--budget", help="time for the training, such as 8h")
    add("--checkpoint", type=Path, help="file that is written after each epoch")
    add("--resume", action="store_true", help="go on from the checkpoint if there is one")
    add("--device", help="'cuda' or 'cpu'; each process takes the GPU of its own number")
    add("--seed", type=int, default=0)
    add("--output", type=Path, default=Path("model.safetensors"), help="file of the model")
    return parser.parse_args(argv)


def batch(text: str) -> tuple[str, int]:
    """Size of the batch as a setting."""
    return "batch", int(text)


def setting(text: str) -> tuple[str, Any]:
    """Name and value of ``name=value``; what is no number is a text."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def control_run(paths: list[str]) -> xr.Dataset:
    """The control run, its values still on the disk."""
    if len(paths) == 1 and Path(paths[0]).is_dir():
        return xr.open_zarr(paths[0])
    return xr.open_mfdataset(paths, combine="by_coords", data_vars="minimal", coords="minimal",
                             compat="override")  # fmt: skip


def observing(name: str, control: xr.Dataset) -> xdeepda.Network:
    """A simulated network by its name, or a saved one."""
    if Path(name).is_file():
        return xdeepda.Network.load(name)
    return xdeepda.Network.simulated(control, name)


if __name__ == "__main__":
    main()
