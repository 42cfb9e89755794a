"""Operations and bytes of a calculation, counted; and what the machine can do at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

#: Sides of the matrices, and numbers of the copy, that measure the machine.
_SIDE, _NUMBERS = 2048, 2**26


class ByteCounter(TorchDispatchMode):
    """Sums the bytes that operations read and write; views are free.

    An upper bound of the traffic to memory: what stays in a cache is counted, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        returns = func._schema.returns
        if not any(r.alias_info is not None and not r.alias_info.is_write for r in returns):
            for x in tree_leaves((args, kwargs, out)):
                self.bytes += x.nbytes if isinstance(x, Tensor) else 0
        return out


def counted(call: Callable[[], object]) -> tuple[int, int]:
    """Operations (matrix products and convolutions) and bytes of a call."""
    with FlopCounterMode(display=False) as flops, ByteCounter() as traffic:
        call()
    return int(flops.get_total_flops()), traffic.bytes


def synchronise(device: str) -> None:
    """Wait for what a GPU still does."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def machine_peak(device: str, precision: str, repeat: int = 5) -> tuple[float, float]:
    """Operations per second of a matrix product, and bytes per second of a copy."""
    dtype = getattr(torch, precision)
    side = _SIDE * (4 if torch.device(device).type == "cuda" else 1)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    source = torch.zeros(_NUMBERS, device=device)
    target = torch.empty_like(source)
    product = _fastest(lambda: torch.mm(a, b), device, repeat)
    copy = _fastest(lambda: target.copy_(source), device, repeat)
    return 2 * side**3 / product, 2 * source.nbytes / copy


def _fastest(call: Callable[[], object], device: str, repeat: int) -> float:
    """Seconds of the fastest of some calls."""
    best = float("inf")
    for _ in range(repeat + 1):
        synchronise(device)
        start = time.perf_counter()
        call()
        synchronise(device)
        best = min(best, time.perf_counter() - start)
    return best
