"""Precision of the networks: halves where they are as good, single precision elsewhere.

Convolutions of the networks may take bfloat16, which processors and GPUs multiply several
times faster.  What feeds them and what comes out is float32; so are the counts of masks
and their ratios, variances, and the classical analyses.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

#: Names of the precisions that networks may have.
PRECISIONS = ("float32", "bfloat16")


class Network(nn.Module):
    """A module whose convolutions may be of lower precision than what goes in and comes out."""

    #: Name of the precision.
    precision = "float32"

    def lowered(self, x: Tensor) -> AbstractContextManager[None]:
        """Context in which the convolutions have the precision of the network."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(x.device.type, dtype=torch.bfloat16)


def set_precision(module: nn.Module, precision: str) -> None:
    """Set the precision of all networks of a module.

    Parameters
    ----------
    module : nn.Module
    precision : {"float32", "bfloat16"}

    Raises
    ------
    ValueError
        If it is neither.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}: one of {', '.join(PRECISIONS)}")
    for part in module.modules():
        if isinstance(part, Network):
            part.precision = precision


def compile_networks(module: nn.Module) -> None:
    """Let ``torch.compile`` make one kernel of several; it takes a minute at first."""
    for part in module.modules():
        if isinstance(part, Network):
            part.compile()


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device calculates in bfloat16 itself, and not by way of float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False
