r"""Convolutions that know where nothing was measured.

A partial convolution (Liu et al. 2018, "Image inpainting for irregular holes using partial
convolutions") sees only the cells under a mask and is rescaled by how much of its window was
seen. With a 0/1 mask it is the normalised convolution of Knutsson & Westin (1993); with weights
:math:`1/\sigma^2` in place of 0/1 it is the place where observation errors enter.

This module knows tensors and the order of their last axes only: longitude is the last axis,
latitude the second last, level the third last where there is one. It may not know names, units,
calendars or files.

Two conventions hold throughout. Padding is "same" in TensorFlow's sense, so that kernels of any
size, even ones too, give ``ceil(n / stride)`` outputs. Cells beyond an edge that is not periodic
count as not seen.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xdeepda.core.precision import Network

# PyTorch's CPU dispatcher takes its slow 3-D convolution where kernels are small and
# batch * channels * (first two spatial sizes) is at most this.
_SLOW_CONV3D_SIZE = 20480


def same_padding(size: int, kernel: int, stride: int = 1) -> tuple[int, int]:
    """Give the padding before and after an axis for ``ceil(size / stride)`` outputs.

    Where the total is odd the larger half goes to the end, as TensorFlow's "same" does.

    Parameters
    ----------
    size, kernel, stride : int
        Cells of the axis, width of the window, step of the window.

    Returns
    -------
    before, after : int

    Examples
    --------
    >>> same_padding(10, 4)
    (1, 2)
    >>> same_padding(10, 3, 2)
    (0, 1)
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_longitude(x: Tensor, before: int, after: int) -> Tensor:
    """Repeat the last axis periodically by `before` and `after` cells, however short it is.

    Parameters
    ----------
    x : Tensor, shape (..., longitude)
    before, after : int

    Returns
    -------
    Tensor, shape (..., before + longitude + after)
    """
    n = x.shape[-1]
    if before == 0 and after == 0:
        return x
    if before <= n and after <= n:
        return torch.cat([x[..., n - before :], x, x[..., :after]], dim=-1)
    index = torch.arange(-before, n + after, device=x.device) % n
    return x[..., index]


def pad_same(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], periodic: bool = False
) -> Tensor:
    """Pad the last ``len(kernel)`` axes as :func:`same_padding` says.

    Parameters
    ----------
    x : Tensor, shape (..., [level,] latitude, longitude)
    kernel, stride : sequence of int
        In the order of the axes.
    periodic : bool
        Repeat the longitudes (last axis); all other axes are padded with zeros.

    Returns
    -------
    Tensor
        Ready for a convolution without padding of its own.
    """
    sizes = x.shape[-len(kernel) :]
    pads = [same_padding(n, k, s) for n, k, s in zip(sizes, kernel, stride, strict=True)]
    if periodic:
        x = pad_longitude(x, *pads[-1])
        pads[-1] = (0, 0)
    flat = [side for pair in reversed(pads) for side in pair]  # F.pad counts from the last axis
    return F.pad(x, flat) if any(flat) else x


def _window_sum(x: Tensor, width: int, dim: int) -> Tensor:
    """Sum over `width` neighbours along `dim` by doubling: about 2 log2(width) additions."""
    n = x.shape[dim] - width + 1
    parts: list[Tensor] = []
    block, size, offset = x, 1, 0  # block[i] = x[i] + ... + x[i + size - 1]
    while offset < width:
        if width & size:
            parts.append(block.narrow(dim, offset, n))
            offset += size
        if offset < width:
            rest = block.shape[dim] - size
            block = block.narrow(dim, 0, rest) + block.narrow(dim, size, rest)
            size *= 2
    return functools.reduce(torch.add, parts)


def box_sum(x: Tensor, kernel: Sequence[int], stride: Sequence[int] | None = None) -> Tensor:
    """Sum over a box at every position that lies wholly inside (no padding).

    One axis after the other, by additions of neighbours only: sums of 0/1 masks are exact
    integers, a window of zeros gives exactly 0 (a difference of cumulative sums would not, for
    weights), and each position adds in the same order. Several times faster than a convolution
    with ones or a sum pooling.

    Parameters
    ----------
    x : Tensor, shape (..., n_1, ..., n_d)
    kernel : sequence of d int
    stride : sequence of d int, optional
        1 along every axis if not given.

    Returns
    -------
    Tensor, shape (..., (n_1 - kernel_1) // stride_1 + 1, ...)

    Examples
    --------
    >>> box_sum(torch.ones(4, 4), (2, 3))
    tensor([[6., 6.],
            [6., 6.],
            [6., 6.]])
    """
    steps = tuple(stride) if stride is not None else (1,) * len(kernel)
    for width, step, dim in zip(kernel, steps, range(-len(kernel), 0), strict=True):
        x = _window_sum(x, width, dim)
        if step > 1:
            x = x[(..., slice(None, None, step)) + (slice(None),) * (-1 - dim)]
    return x


def _avoids_slow_path(x: Tensor, weight: Tensor) -> bool:
    """Whether a 3-D convolution gets off PyTorch's slow CPU path by having its level last."""
    batch_channels = x.shape[0] * x.shape[1]
    return (
        x.ndim == 5
        and x.device.type == "cpu"
        and max(weight.shape[-3:]) <= 3
        and batch_channels * x.shape[-3] * x.shape[-2] <= _SLOW_CONV3D_SIZE
        and batch_channels * x.shape[-2] * x.shape[-1] > _SLOW_CONV3D_SIZE
    )


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int]) -> Tensor:
    """Convolution in 2-D or 3-D without padding, by the fastest way there is.

    Parameters
    ----------
    x : Tensor, shape (batch, channels, [level,] latitude, longitude)
    weight : Tensor, shape (outputs, channels, [level,] latitude, longitude)
    bias : Tensor, shape (outputs,), or None
    stride : sequence of int
        In the order of the axes.

    Returns
    -------
    Tensor, shape (batch, outputs, [level,] latitude, longitude)
    """
    if x.ndim == 4:
        return F.conv2d(x, weight, bias, tuple(stride))
    if _avoids_slow_path(x, weight):
        level_last = (0, 1, 3, 4, 2)
        turned = F.conv3d(
            x.permute(level_last).contiguous(),
            weight.permute(level_last).contiguous(),
            bias,
            (stride[1], stride[2], stride[0]),
        )
        return turned.permute(0, 1, 4, 2, 3)
    return F.conv3d(x, weight, bias, tuple(stride))


def _mask_dtype(x: Tensor) -> torch.dtype:
    """Give the type of counts and ratios: never coarser than float32, whatever `x` is."""
    return torch.promote_types(torch.float32, x.dtype)


def along_channels(per_channel: Tensor, like: Tensor) -> Tensor:
    """Shape a vector (channels,) so that it broadcasts against (batch, channels, space...)."""
    return per_channel.view(1, -1, *(1,) * (like.ndim - 2))


class PartialConv(Network):
    r"""Convolution of the seen cells, rescaled by how much of the window was seen.

    .. math:: y = \frac{n}{\sum m}\, W * (m x) + b \quad\text{where}\ \sum m > 0,
        \qquad y = 0 \quad\text{elsewhere,}

    with the sum over the window and the input channels, and n the number of its elements. A
    constant field gives the same constant whatever the mask, also in the corners, if the kernel
    is uniform. Values under the mask, NaN among them, have no influence on values or gradients.
    The bias is added after the rescaling (unlike in some published codes).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : sequence of 2 or 3 int
        ([level,] latitude, longitude); any size, even ones too.
    stride : sequence of int, optional
        In the same order; 1 along every axis if not given.
    bias : bool
    periodic : bool
        The longitude (last axis) closes on itself.
    weights : bool
        Take the mask's values as weights of the cells, for example :math:`1/\sigma^2` divided
        by its typical value. Otherwise a cell is seen where its mask is above 0.
    generator : torch.Generator, optional
        Source of the initial (He-normal) weights; torch's global one if not given.

    Notes
    -----
    Liu et al. 2018, doi 10.1007/978-3-030-01252-6_6. Mask sums are separable box sums in
    float32 or finer, also under autocast.

    Examples
    --------
    >>> layer = PartialConv(1, 8, (3, 4), periodic=True)
    >>> features, seen = layer(torch.randn(2, 1, 10, 20), torch.rand(2, 1, 10, 20) < 0.1)
    >>> features.shape, seen.shape
    (torch.Size([2, 8, 10, 20]), torch.Size([2, 1, 10, 20]))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        stride: Sequence[int] | None = None,
        *,
        bias: bool = True,
        periodic: bool = False,
        weights: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = tuple(kernel_size)
        self.stride = tuple(stride) if stride is not None else (1,) * len(self.kernel_size)
        _check_window(self.kernel_size, self.stride)
        self.in_channels = in_channels
        self.periodic = periodic
        self.weights = weights
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu", generator=generator)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve the seen cells of `x`.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, [level,] latitude, longitude)
            Anything, NaN too, where the mask is 0.
        mask : Tensor, shape (batch or 1, 1 or in_channels, [level,] latitude, longitude)
            Boolean, 0/1, or weights of at least 0. NaN and negative values count as not seen.

        Returns
        -------
        out : Tensor, shape (batch, out_channels, ...)
            Exactly 0 where the window is empty.
        new_mask : Tensor, shape (batch or 1, 1, ...)
            1 where the window saw anything, else 0. One channel: it is the same for all.

        Raises
        ------
        ValueError
            If the shapes do not fit each other or the layer.
        """
        self._check(x, mask)
        seen = mask > 0
        x = torch.where(seen, x, 0)  # before any arithmetic: 0 * NaN is NaN, also in gradients
        if self.weights:
            m = torch.where(seen, mask, 0).to(_mask_dtype(x))
            x = x * m.to(x.dtype)
        else:
            m = seen.to(_mask_dtype(x))
        ratio, new_mask = self._ratio(m)
        padded = pad_same(x, self.kernel_size, self.stride, self.periodic)
        with self.lowered(x):
            y = convolve(padded, self.weight, None, self.stride)
        out = y * ratio
        if self.bias is not None:
            out = out + along_channels(self.bias, out)
        out = torch.where(new_mask > 0, out, 0)
        kept = x.dtype if self.precision != "float32" else y.dtype
        return out.to(kept), new_mask

    def _ratio(self, m: Tensor) -> tuple[Tensor, Tensor]:
        """Window size over the sum in the window (0 where that is 0), and the new mask."""
        window = math.prod(self.kernel_size)
        if m.shape[1] > 1:
            window *= m.shape[1]
            m = m.sum(dim=1, keepdim=True)  # sums over channels and space commute: one box sum
        padded = pad_same(m, self.kernel_size, self.stride, self.periodic)
        total = box_sum(padded, self.kernel_size, self.stride)
        seen = total > window * torch.finfo(total.dtype).tiny  # below, the ratio would overflow
        ratio = torch.where(seen, window / torch.where(seen, total, 1), 0)
        return ratio, seen.to(total.dtype)

    def _check(self, x: Tensor, mask: Tensor) -> None:
        ndim = 2 + len(self.kernel_size)
        if x.ndim != ndim or x.shape[1] != self.in_channels:
            raise ValueError(
                f"partial convolution: x has shape {tuple(x.shape)}; expected (batch, "
                f"{self.in_channels}) and {ndim - 2} axes of space"
            )
        fits = mask.ndim == ndim and mask.shape[2:] == x.shape[2:]
        if not (fits and mask.shape[0] in (1, x.shape[0]) and mask.shape[1] in (1, x.shape[1])):
            raise ValueError(
                f"partial convolution: the mask has shape {tuple(mask.shape)}; expected that of "
                f"x, {tuple(x.shape)}, with 1 allowed for batch and channels"
            )

    def extra_repr(self) -> str:
        """Show the settings in the printed module."""
        return (
            f"{self.in_channels}, {self.weight.shape[0]}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, periodic={self.periodic}, weights={self.weights}"
        )


def _check_window(kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
    if len(kernel) not in (2, 3) or len(stride) != len(kernel) or min(kernel + stride) < 1:
        raise ValueError(
            f"partial convolution: kernel_size {kernel} and stride {stride}; expected two or "
            "three whole numbers of at least 1 each"
        )
