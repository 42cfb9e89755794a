"""The paired layers of the networks published in 2024.

Each layer is a pair, *relu* with He-normal and *tanh* with Glorot-normal initial weights, whose
outputs are concatenated; here one convolution calculates both. Three kinds: ordinary (background
branch, discriminator), partial (observation branch) and transposed (decoder).

This module knows tensors of shape (batch, channels, level, latitude, longitude) only. It may not
know names, units or files, nor how the layers are connected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xdeepda.core.partial_conv import (
    along_channels,
    box_sum,
    convolve,
    pad_longitude,
    pad_same,
)

_EPSILON = 1e-8  # of the published ratio
_TRUNCATED_STD = 0.87962566103423978  # of a standard normal cut at two standard deviations
_FEW_OUTPUTS = 8  # up to here a transposed convolution goes faster level by level


def to_axes(published: Sequence[int]) -> tuple[int, ...]:
    """Turn (longitude, latitude, level), the order of the publication, into that of the axes."""
    return tuple(reversed(published))


def _truncated_normal_(weight: Tensor, std: float, generator: torch.Generator | None) -> None:
    """Fill with normal numbers cut at two standard deviations; `std` is theirs after the cut."""
    scale = std / _TRUNCATED_STD
    nn.init.trunc_normal_(weight, 0.0, scale, -2 * scale, 2 * scale, generator=generator)


def he_normal_(weight: Tensor, fan_in: int, generator: torch.Generator | None) -> None:
    """Fill with truncated normal numbers of variance 2 / fan_in (He et al. 2015), for relu."""
    _truncated_normal_(weight, math.sqrt(2 / fan_in), generator)


def glorot_normal_(
    weight: Tensor, fan_in: int, fan_out: int, generator: torch.Generator | None
) -> None:
    """Fill with truncated normal numbers of variance 2 / (fan_in + fan_out), for tanh."""
    _truncated_normal_(weight, math.sqrt(2 / (fan_in + fan_out)), generator)


def _initialise_pair(
    weight: Tensor,
    widths: tuple[int, int],
    fans: tuple[int, int],
    generator: torch.Generator | None,
) -> None:
    """He-normal for the relu half, Glorot-normal for the tanh half of (outputs, ...) weights.

    `fans` are those of one output and of one input; each half counts as a layer of its own.
    """
    relu, tanh = widths
    he_normal_(weight[:relu], fans[0], generator)
    if tanh:
        glorot_normal_(weight[relu:], fans[0], fans[1] * tanh, generator)


def activate_pair(x: Tensor, relu: int) -> Tensor:
    """Apply relu to the first `relu` channels and tanh to the others."""
    if relu == x.shape[1]:
        return F.relu(x)
    return torch.cat([F.relu(x[:, :relu]), torch.tanh(x[:, relu:])], dim=1)


class ConvPair(nn.Module):
    """A relu and a tanh convolution side by side, calculated as one.

    Parameters
    ----------
    in_channels, relu, tanh : int
        Channels of the input and of the two halves of the output; `tanh` may be 0.
    kernel, stride : sequence of 3 int
        (level, latitude, longitude), padded as "same".
    periodic : bool
        The longitude closes on itself.
    generator : torch.Generator or None
        Source of the initial weights.
    """

    def __init__(
        self,
        in_channels: int,
        relu: int,
        tanh: int,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        *,
        periodic: bool,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        self.relu = relu
        self.kernel, self.stride = tuple(kernel), tuple(stride)
        self.periodic = periodic
        self.weight = nn.Parameter(torch.empty(relu + tanh, in_channels, *self.kernel))
        self.bias = nn.Parameter(torch.zeros(relu + tanh))
        window = math.prod(self.kernel)
        with torch.no_grad():
            fans = (window * in_channels, window)
            _initialise_pair(self.weight, (relu, tanh), fans, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, z, y, x) to (batch, relu + tanh, ...)."""
        padded = pad_same(x, self.kernel, self.stride, self.periodic)
        return activate_pair(convolve(padded, self.weight, self.bias, self.stride), self.relu)


class ObservationPair(nn.Module):
    """A pair of partial convolutions on observations, with the quirks that concern them.

    Without quirks it is :class:`xdeepda.core.partial_conv.PartialConv` on a 0/1 mask, followed by
    relu and tanh. The mask may have a single channel for all features: it is then counted once.

    The features must be 0 where their mask is (they are, behind such a layer): they are not
    multiplied by the mask, since the published code does not do so either.

    Parameters
    ----------
    in_channels, relu, tanh, kernel, stride, periodic, generator
        As for :class:`ConvPair`.
    quirks : frozenset of str
        Concerned are "trained_mask_kernels", "window_ignores_channels" and "scaled_bias".
    linear : bool
        No activation function.
    """

    def __init__(
        self,
        in_channels: int,
        relu: int,
        tanh: int,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        *,
        periodic: bool,
        generator: torch.Generator | None,
        quirks: frozenset[str] = frozenset(),
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.relu, self.linear = relu, linear
        self.kernel, self.stride = tuple(kernel), tuple(stride)
        self.periodic = periodic
        self.scaled_bias = "scaled_bias" in quirks
        window = math.prod(self.kernel)
        self.window = window * (1 if "window_ignores_channels" in quirks else in_channels)
        self.weight = nn.Parameter(torch.empty(relu + tanh, in_channels, *self.kernel))
        self.bias = nn.Parameter(torch.zeros(relu + tanh))
        self.mask_weight: nn.Parameter | None = None
        if "trained_mask_kernels" in quirks:
            self.mask_weight = nn.Parameter(torch.ones_like(self.weight))
        with torch.no_grad():
            fans = (window * in_channels, window)
            _initialise_pair(self.weight, (relu, tanh), fans, generator)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map features and mask.

        Parameters
        ----------
        x : Tensor, shape (batch, in_channels, z, y, x)
        mask : Tensor, shape (batch, 1 or in_channels, z, y, x)

        Returns
        -------
        features : Tensor, shape (batch, relu + tanh, ...)
        new_mask : Tensor, shape (batch, 1, ...)
            With trained mask kernels (batch, relu + tanh, ...), values within 0 and 1.
        """
        padded = pad_same(x, self.kernel, self.stride, self.periodic)
        y = convolve(padded, self.weight, None, self.stride)
        total = self._total(mask)
        # The gradient at exactly 0 must be 0: that of the published formula overflows there.
        positive = torch.where(total > 0, total, 0)
        new_mask = positive.clamp(max=1)
        ratio = self.window * new_mask / (positive + _EPSILON)
        bias = along_channels(self.bias, y)
        out = (y + bias) * ratio if self.scaled_bias else y * ratio + bias
        out = torch.where(total > 0, out, 0).to(y.dtype)
        return (out if self.linear else activate_pair(out, self.relu)), new_mask

    def _total(self, mask: Tensor) -> Tensor:
        """Sum of the mask over window and channels: (batch, 1 or relu + tanh, ...)."""
        channels = self.weight.shape[1]
        if self.mask_weight is None:
            copies = channels if mask.shape[1] == 1 else 1
            padded = pad_same(
                mask.sum(dim=1, keepdim=True), self.kernel, self.stride, self.periodic
            )
            return copies * box_sum(padded, self.kernel, self.stride)
        padded = pad_same(
            mask.expand(-1, channels, -1, -1, -1), self.kernel, self.stride, self.periodic
        )
        with torch.autocast(mask.device.type, enabled=False):
            return convolve(padded, self.mask_weight.to(mask.dtype), None, self.stride)


def _transpose_by_level(x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
    """Transposed 3-D convolution with level stride 1, level by level in 2-D.

    The levels become the batch, the levels of the kernel more outputs. Three times faster than
    PyTorch's where the outputs are few.
    """
    batch, channels, nz, ny, nx = x.shape
    _, outputs, kz, ky, kx = weight.shape
    planes = F.conv_transpose2d(
        x.transpose(1, 2).reshape(batch * nz, channels, ny, nx),
        weight.reshape(channels, outputs * kz, ky, kx),
        stride=stride,
    )
    planes = planes.view(batch, nz, outputs, kz, *planes.shape[2:])
    out = planes.new_zeros(batch, outputs, nz + kz - 1, *planes.shape[4:])
    for level in range(kz):
        out[:, :, level : level + nz] += planes[:, :, :, level].transpose(1, 2)
    return out


class TransposedPair(nn.Module):
    """A relu and a tanh transposed convolution side by side, calculated as one.

    The output has ``n * stride`` cells along each axis: the transpose of a "same" convolution.

    Parameters
    ----------
    in_channels, relu, tanh, kernel, stride, periodic, generator
        As for :class:`ConvPair`; the level stride is 1.

    Notes
    -----
    The initial weights follow the published code, whose library (Keras) takes inputs for outputs
    when it counts the fans of a transposed convolution.
    """

    def __init__(
        self,
        in_channels: int,
        relu: int,
        tanh: int,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1, 1),
        *,
        periodic: bool,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        self.relu = relu
        self.kernel, self.stride = tuple(kernel), tuple(stride)
        self.periodic = periodic
        self.weight = nn.Parameter(torch.empty(in_channels, relu + tanh, *self.kernel))
        self.bias = nn.Parameter(torch.zeros(relu + tanh))
        window = math.prod(self.kernel)
        with torch.no_grad():
            he_normal_(self.weight[:, :relu], window * relu, generator)
            glorot_normal_(self.weight[:, relu:], window * tanh, window * in_channels, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, z, y, x) to (batch, relu + tanh, z, y * stride, ...)."""
        sizes = [n * s for n, s in zip(x.shape[2:], self.stride, strict=True)]
        before = [max(k - s, 0) // 2 for k, s in zip(self.kernel, self.stride, strict=True)]
        if self.periodic:  # neighbours beyond the seam that reach into the output
            west = (self.kernel[2] - 1 - before[2]) // self.stride[2]
            east = -(-before[2] // self.stride[2])
            x = pad_longitude(x, west, east)
            before[2] += west * self.stride[2]
        full = self._transpose(x)
        for dim, (first, size) in enumerate(zip(before, sizes, strict=True), start=2):
            full = full.narrow(dim, first, size)
        return activate_pair(full + along_channels(self.bias, full), self.relu)

    def _transpose(self, x: Tensor) -> Tensor:
        if self.weight.shape[1] <= _FEW_OUTPUTS and self.stride[0] == 1:
            return _transpose_by_level(x, self.weight, (self.stride[1], self.stride[2]))
        return F.conv_transpose3d(x, self.weight, stride=self.stride)
