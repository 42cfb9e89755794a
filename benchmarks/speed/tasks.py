"""The measurements: an analysis, a training step, a cycle from table to store."""

from __future__ import annotations

import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import xdeepda
from benchmarks.speed.asking import Wish
from benchmarks.speed.counting import counted, machine_peak, synchronise
from benchmarks.speed.sizes import SIZES, Size
from benchmarks.speed.systems import (
    SYSTEMS,
    model_of_system,
    module_of_system,
    observed_of,
    tensors_of_size,
)
from xdeepda.bridge import Tensors, conductor
from xdeepda.core.architecture import Architecture
from xdeepda.core.discriminator import Discriminator3D
from xdeepda.core.losses import (
    discriminator_loss,
    gaussian_nll,
    generator_adversarial_loss,
)
from xdeepda.core.precision import compile_networks, set_precision
from xdeepda.core.state import State, climatological


def measure(wish: Wish) -> dict[str, Any]:
    """Measure in this process.

    Returns
    -------
    dict
        ``seconds`` and ``cpu`` (seconds of all processors) of one, ``flop`` and ``bytes``
        counted, and ``gpu`` bytes at most; of the machine, ``flops`` by precision and
        ``bandwidth``.
    """
    if wish.threads is not None:
        torch.set_num_threads(wish.threads)
    xdeepda.set_options(
        progress=False, device=wish.device, threads=wish.threads, precision=wish.precision
    )
    if wish.task == "machine":
        return _machine(wish)
    size = _size(wish.size)
    made = {"analysis": _analysis, "step": _step, "cycle": _cycle}[wish.task](wish, size)
    if torch.device(wish.device).type == "cuda":
        made["gpu"] = torch.cuda.max_memory_allocated(wish.device)
    return made


def _size(name: str) -> Size:
    """Size by its name, with another number of levels where that is given."""
    name, _, levels = name.partition("/")
    return replace(SIZES[name], levels=int(levels)) if levels else SIZES[name]


def _machine(wish: Wish) -> dict[str, Any]:
    """What the machine can do."""
    flops = {}
    for precision in ("float32", "bfloat16"):
        flops[precision], bandwidth = machine_peak(wish.device, precision)
    name = torch.cuda.get_device_name(wish.device) if wish.device != "cpu" else "processor"
    return {
        "flops": flops, "bandwidth": bandwidth, "name": name, "torch": torch.__version__,
        "used": torch.get_num_threads(),
    }  # fmt: skip


def _processor() -> float:
    """Seconds that this process has had of all processors."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _timed(call: Callable[[], object], wish: Wish) -> dict[str, Any]:
    """Medians after a first call, in which is counted."""
    flop, traffic = counted(call)
    seconds, cpu = [], []
    for _ in range(wish.repeat):
        synchronise(wish.device)
        start, used = time.perf_counter(), _processor()
        call()
        synchronise(wish.device)
        seconds.append(time.perf_counter() - start)
        cpu.append(_processor() - used)
    middle = statistics.median
    return {"seconds": middle(seconds), "cpu": middle(cpu), "flop": flop, "bytes": traffic}


def _prepared(wish: Wish, size: Size) -> tuple[Tensors, Architecture]:
    """Tensors and module."""
    tensors = tensors_of_size(size, wish.device)
    module = module_of_system(SYSTEMS[wish.system], tensors.geometry, size.grid.lon)
    set_precision(module, wish.precision)
    if wish.compiled:
        compile_networks(module)
    return tensors, module


def _analysis(wish: Wish, size: Size) -> dict[str, Any]:
    """Forecast and analysis of one cycle, from a state that has seen observations."""
    tensors, module = _prepared(wish, size)
    module.eval()
    state = climatological(tensors.geometry, wish.members)
    observed = observed_of(size, tensors, wish.share, wish.members, wish.seed)

    @torch.inference_mode()
    def call() -> State:
        return module.analyse(module.forecast(state, observed.season), observed)

    state = call()
    return _timed(call, wish)


def _step(wish: Wish, size: Size) -> dict[str, Any]:
    """Gradient of one cycle of one sequence, and a step of the optimiser.

    As published, the discriminator is trained besides.
    """
    tensors, module = _prepared(wish, size)
    if not module.trainable:
        return {"error": "nothing to train"}
    module.train()
    trained = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-6)
    state = climatological(tensors.geometry, wish.members)
    observed = observed_of(size, tensors, wish.share, wish.members, wish.seed)
    truth = 0.5 * torch.randn_like(state.mean) * module.wet
    judge = None
    if SYSTEMS[wish.system].architecture == "deepda2024":
        judge = Discriminator3D(module.variables).to(tensors.device)
        judging = torch.optim.Adam(judge.parameters(), lr=1e-6)

    def call() -> None:
        background = module.forecast(state, observed.season)
        analysis = module.analyse(background, observed)
        if judge is None:
            square = ((analysis.mean - truth) ** 2 * module.weights).sum(dim=(2, 3))
            floor = 1e-4 * module.clim_variance + (1 - module.wet)
            told = gaussian_nll(
                analysis.mean.detach(), analysis.variance + floor, truth, module.weights
            )
            loss = (square + 1e-8).sqrt().mean() + 0.05 * told
        else:
            loss = ((analysis.mean - truth) ** 2).mean()
            loss = loss + _adversarial(judge, judging, background.mean, analysis.mean, truth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return _timed(call, wish)


def _adversarial(
    judge: Discriminator3D,
    judging: torch.optim.Optimizer,
    background: Tensor,
    analysis: Tensor,
    truth: Tensor,
) -> Tensor:
    """Train the discriminator on the increments; the generator's share of the loss."""
    real, fake = ((x - background)[:, None] for x in (truth, analysis))
    loss = discriminator_loss(judge(real), judge(fake.detach()))
    judging.zero_grad(set_to_none=True)
    loss.backward()
    judging.step()
    return 0.1 * generator_adversarial_loss(judge(fake))


def _cycle(wish: Wish, size: Size) -> dict[str, Any]:
    """A cycle of a run from a table of observations to a store on disk, start included.

    ``core`` is the share of the processor time that the tensors take; the rest is for
    tables, labels and the store.
    """
    model = model_of_system(SYSTEMS[wish.system], size)
    obs, run = size.observations(wish.cycles, wish.share, wish.seed), size.run()
    inside = [0.0]
    original = conductor.module_of

    def timed_module(*args: Any) -> Architecture:
        module = original(*args)
        for name in ("forecast", "analyse"):
            setattr(module, name, _within(getattr(module, name), inside))
        return module

    conductor.module_of = timed_module
    folder = Path(tempfile.mkdtemp())
    try:
        start, used = time.perf_counter(), _processor()
        found = xdeepda.assimilate(
            run, obs, model=model, members=wish.members, store=folder / "analysis.zarr",
            seed=wish.seed,
        )  # fmt: skip
        seconds, cpu = time.perf_counter() - start, _processor() - used
        stored = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        assert found.sizes["time"] == wish.cycles
    finally:
        conductor.module_of = original
        shutil.rmtree(folder)
    return {
        "seconds": seconds / wish.cycles, "cpu": cpu / wish.cycles, "core": inside[0] / cpu,
        "stored": stored, "rows": obs.sizes["obs"],
    }  # fmt: skip


def _within(call: Callable[..., Any], total: list[float]) -> Callable[..., Any]:
    """Call that adds the processor time that it takes."""

    def timed(*args: Any) -> Any:
        used = _processor()
        out = call(*args)
        total[0] += _processor() - used
        return out

    return timed
