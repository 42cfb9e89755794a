"""The observation operator as a function of tensors: differentiable, with its transpose."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Weighted sums of cells: H, linear, with gradients through autograd.

    Attributes
    ----------
    index : Tensor of int64, shape (n, m)
        Cells that each point is made of, flat in the last dimensions of the state.
    weight : Tensor, shape (n, m)
        Rows of 0 where a point is out of reach; its value is 0 then.
    """

    index: Tensor
    weight: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Hx: states (..., C, Y, X) to the points, shape (..., n)."""
        flat = x.flatten(-3)
        picked = flat.index_select(-1, self.index.reshape(-1))  # (..., n m)
        picked = picked.unflatten(-1, tuple(self.index.shape))
        return (picked * self.weight).sum(dim=-1)

    def adjoint(self, y: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Hᵀy: values at the points (..., n) to a state (..., C, Y, X)."""
        part = (y.unsqueeze(-1) * self.weight).flatten(-2)  # (..., n m)
        cells = shape[0] * shape[1] * shape[2]
        out = torch.zeros((*y.shape[:-1], cells), dtype=part.dtype, device=part.device)
        return out.index_add(-1, self.index.reshape(-1), part).unflatten(-1, shape)

    def to(self, device: torch.device | str) -> Interpolation:
        """Copy on a device."""
        return Interpolation(self.index.to(device), self.weight.to(device))
