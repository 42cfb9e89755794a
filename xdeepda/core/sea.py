"""Cells of the sea as vectors, and the columns of which something is stored.

Fields that are smooth are stored for some of the water columns and interpolated to the
others: patterns and anomalies, which would fill gigabytes on a fine grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xdeepda.core.classical import Mesh, afloat
from xdeepda.core.state import Geometry, Observed

#: Numbers of what is stored that are looked at at a time.
_CHUNK = 2 * 10**6
#: Bilinear weight that columns of the sea must have around another one, of 1.
_ENOUGH = 0.3
#: Columns of the sea that are looked at at a time.
_COLUMNS = 4096


class Sea(nn.Module):
    """Cells of the sea as vectors of length n, and the water columns they stand in.

    Parameters
    ----------
    geometry : Geometry
    """

    cells: Tensor  # (n,) flat numbers in (C, Y, X)
    table: Tensor  # (columns, C) position in `cells`, -1 on land
    column: Tensor  # (n,)
    columns: Tensor  # (columns,) flat numbers in (Y, X)
    place: Tensor  # (n,) flat numbers in (columns, C)

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        wet = geometry.wet > 0
        self.shape, self.cyclic = tuple(wet.shape), geometry.cyclic
        afloat = wet.any(dim=0).flatten()
        flat = wet.flatten(1)[:, afloat]  # (C, columns)
        number = torch.full(flat.shape, -1, dtype=torch.int64, device=flat.device)
        number[flat] = torch.arange(int(flat.sum()), device=flat.device)
        place = torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
        index = {
            "cells": wet.flatten().nonzero()[:, 0],
            "table": number.mT.contiguous(),
            "column": place[flat],
            "columns": afloat.nonzero()[:, 0],
        }
        level = index["cells"] // wet[0].numel()
        index["place"] = index["column"] * len(wet) + level
        for name, values in index.items():
            self.register_buffer(name, values, persistent=False)

    @property
    def size(self) -> int:
        """Number n of cells."""
        return self.cells.numel()

    def vector(self, x: Tensor) -> Tensor:
        """Cells of the sea of fields (..., C, Y, X); (..., n)."""
        return x.flatten(-3)[..., self.cells]

    def field(self, x: Tensor) -> Tensor:
        """Fields (..., C, Y, X) of cells of the sea (..., n), 0 on land."""
        channels, rows, columns = self.shape
        out = x.new_zeros(*x.shape[:-1], channels * rows * columns)
        out[..., self.cells] = x
        return out.unflatten(-1, self.shape)

    def observed(self, observed: Observed, row: int) -> tuple[Tensor, Tensor]:
        """Observed cells of a row of the batch and their error variances; (p,), (p,)."""
        cell = (self.vector(observed.mask[row]) > 0).nonzero()[:, 0]
        return cell, self.vector(observed.variance[row])[cell]


def mesh_of(sea: Sea, stride: tuple[int, int]) -> Mesh:
    """Every so many columns along Y and X, and nearer ones where land lies between.

    Weights are bilinear, between columns of the sea.
    """
    node, weight = _around(sea, stride)
    alone = weight.sum(dim=1) < _ENOUGH
    while max(stride) > 1:
        # nearer ones for what has no others around it
        stride = ((stride[0] + 1) // 2, (stride[1] + 1) // 2)
        nearer, theirs = _around(sea, stride)
        node[alone], weight[alone] = nearer[alone], theirs[alone]
        alone = weight.sum(dim=1) < _ENOUGH
    solved = torch.unique(node[weight > 0])
    node[solved, 0], weight[solved] = solved, weight.new_tensor([1.0, 0.0, 0.0, 0.0])
    position = torch.searchsorted(solved, node).clamp_max(len(solved) - 1) * (weight > 0)
    return Mesh(solved, position, weight / weight.sum(dim=1, keepdim=True))


def _around(sea: Sea, stride: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Nodes (columns, 4) around all columns, and their weights: 0 where a node is on land."""
    _, ny, nx = sea.shape
    device = sea.columns.device
    number = torch.full((ny * nx,), -1, dtype=torch.int64, device=device)
    number[sea.columns] = torch.arange(len(sea.columns), device=device)
    y, x = sea.columns // nx, sea.columns % nx
    corners = []
    for north in (False, True):
        for east in (False, True):
            row, part_y = _node(y, ny, stride[0], False, north)
            column, part_x = _node(x, nx, stride[1], sea.cyclic, east)
            corners.append((number[row * nx + column], part_y * part_x))
    node = torch.stack([c for c, _ in corners], dim=1)
    return node, torch.stack([w for _, w in corners], dim=1) * (node >= 0)


def _node(
    place: Tensor, size: int, stride: int, cyclic: bool, upper: bool
) -> tuple[Tensor, Tensor]:
    """Node below or above places on an axis, and its linear weight."""
    low = place // stride * stride
    # the seam of a cyclic axis is a node
    high = (low + stride).clamp_max(size if cyclic else size - 1)
    part = (place - low) / (high - low).clamp_min(1)
    return (high % size, part) if upper else (low, 1 - part)


class Meshed(nn.Module):
    """Something with a mesh of columns, or without one."""

    def hold_mesh(self, mesh: Mesh | None) -> None:
        """Hold a mesh as buffers, that it moves with the module."""
        self.meshed = mesh is not None
        for name, part in zip(Mesh._fields, mesh or (), strict=False):
            self.register_buffer(f"mesh_{name}", part, persistent=False)

    @property
    def mesh(self) -> Mesh | None:
        """The mesh."""
        if not self.meshed:
            return None
        return Mesh(*(getattr(self, f"mesh_{name}") for name in Mesh._fields))


class Kept(Meshed):
    """Columns of the sea of which something is stored; what is between them is interpolated.

    Weights are bilinear.  Below the sea floor of a stored column, its deepest cell stands.

    Parameters
    ----------
    sea : Sea
    stride : (int, int)
        Every so many columns are stored, along Y and X; (1, 1) for all.
    """

    cells: Tensor  # (s,) stored cells, numbers among the cells of the sea
    columns: Tensor  # (m,) stored columns, numbers among those of the sea
    table: Tensor  # (m, C) position in `cells`; the cell above stands for one on land

    def __init__(self, sea: Sea, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.sea = sea
        self.hold_mesh(mesh_of(sea, stride) if max(stride) > 1 else None)
        columns = torch.arange(len(sea.table), device=sea.table.device)
        if self.mesh is not None:
            columns = self.mesh.solved
        filled = afloat(sea.table[columns])
        cells, table = torch.unique(filled, return_inverse=True)
        for name, values in (("cells", cells), ("columns", columns), ("table", table)):
            self.register_buffer(name, values, persistent=False)

    @property
    def size(self) -> int:
        """Number s of stored cells."""
        return self.cells.numel()

    @property
    def place(self) -> Tensor:
        """Numbers (n,) of the cells of the sea in all columns (columns, C)."""
        return self.sea.place

    def pick(self, x: Tensor) -> Tensor:
        """Stored cells of all cells of the sea (..., n); (..., s)."""
        return x if self.mesh is None else x[..., self.cells]

    def collect(self, x: Tensor) -> Tensor:
        """Adjoint of :meth:`spread`: weights (n,) of all cells as weights (s,) of the stored."""
        if self.mesh is None:
            return x
        out = x.new_zeros(self.size)
        for some in torch.arange(len(x), device=x.device).split(32 * _COLUMNS):
            corners, weight = self.corners(some)
            parts = weight * x[some, None]
            out.index_add_(0, corners.flatten(), parts.flatten())
        return out

    def spread(self, x: Tensor) -> Tensor:
        """All cells of the sea (..., n) from the stored cells (..., s)."""
        return x if self.mesh is None else self.spread_columns(x[..., self.table])

    def spread_columns(self, x: Tensor) -> Tensor:
        """All cells of the sea (..., n) from the stored columns (..., m, C)."""
        if self.mesh is not None:
            x = self.mesh.spread(x)
        return x.flatten(-2)[..., self.place]

    def rows(self, array: Tensor, cell: Tensor) -> Tensor:
        """Rows of cells of the sea (...), of what is stored (s, K); (..., K).

        Halves are made whole.
        """
        if self.mesh is None:
            return whole(array[cell])
        return self.weighted(array, *self.corners(cell))

    @staticmethod
    def weighted(array: Tensor, corners: Tensor, weight: Tensor) -> Tensor:
        """Sum of rows of an array (s, K) at corners (..., 4) with weights (..., 4); (..., K)."""
        out = whole(array[corners[..., 0]]) * weight[..., :1]
        for n in range(1, corners.shape[-1]):
            out = torch.addcmul(out, whole(array[corners[..., n]]), weight[..., n : n + 1])
        return out

    def corners(self, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Stored cells (..., 4) around cells of the sea (...), and their weights."""
        mesh = self.mesh
        assert mesh is not None
        column = self.sea.column[cell]
        level = self.sea.place[cell] - column * self.table.shape[1]
        return self.table[mesh.corners[column], level[..., None]], mesh.weight[column]

    def lengths(self, array: Tensor) -> Tensor:
        """Lengths of the rows (n,) of all cells of the sea of what is stored (s, K)."""
        if self.mesh is None:
            return torch.linalg.vector_norm(whole(array), dim=1)
        mesh, channels = self.mesh, self.table.shape[1]
        # columns between the same four stored ones share their products
        boxes, box = torch.unique(mesh.corners, dim=0, return_inverse=True)
        products = []
        for part in boxes.split(max(1, _CHUNK // (4 * channels * array.shape[1]))):
            corners = whole(array[self.table[part]]).transpose(1, 2)  # (boxes, C, 4, K)
            corners = corners.contiguous()
            products.append(corners @ corners.mT)
        between, square = torch.cat(products).flatten(2), []
        for some in torch.arange(len(box), device=box.device).split(_COLUMNS):
            weight = mesh.weight[some]
            pairs = (weight[:, :, None] * weight[:, None, :]).flatten(1)  # (columns, 16)
            square.append((between[box[some]] * pairs[:, None, :]).sum(dim=2))
        return torch.cat(square).flatten()[self.place].clamp_min(0).sqrt()


def whole(x: Tensor) -> Tensor:
    """Halves as single precision; others as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
