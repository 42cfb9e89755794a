"""The generator published in 2024, with and without the peculiarities of its code.

Ham, Joo, Kim & Lee, "Partial-convolution-implemented generative adversarial network for global
oceanic data assimilation", Nature Machine Intelligence 2024, doi 10.1038/s42256-024-00867-x. Two
inputs, the background and the gridded observations of the cycle, each with an encoder of its own
(the observations by partial convolution), a common decoder, the analysis as output.

The authors' public code differs in places from what a reader of the paper would write. Each
difference has a name in :data:`QUIRKS` and can be switched on for comparison; all are off unless
asked for.

This module knows tensors of shape (batch, variable, level, latitude, longitude) only. It may not
know names, units, calendars, files or how the network is trained.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xdeepda.core.pairs import (
    ConvPair,
    ObservationPair,
    TransposedPair,
    glorot_normal_,
    to_axes,
)
from xdeepda.core.partial_conv import pad_longitude
from xdeepda.core.precision import Network

QUIRKS = MappingProxyType(
    {
        "trained_mask_kernels": "each output has a mask kernel of its own, initially all ones, "
        "that is trained; otherwise the cells seen are counted",
        "window_ignores_channels": "the ratio compares the sum over all input channels with the "
        "size of the window of a single one, so it is too small by their number (24 and 48)",
        "tanh_mask": "a third of the mask that enters stage 2 (8 of 24 channels) is not a mask "
        "but the tanh features of stage 1",
        "scaled_bias": "the bias is multiplied by the ratio, with the weighted sum",
        "sign_flip": "the discriminator learns analysis - background but judges the generator on "
        "background - analysis (acts in the training)",
        "linear_obs_skip": "the skip of the observation branch has no relu; that of the "
        "background branch has",
        "no_periodicity": "the first and the last longitude are not neighbours",
        "unweighted_loss": "the squared error counts all cells alike, whatever their area, land "
        "included (acts in the training)",
    }
)
"""Name and meaning of each peculiarity of the published code."""

# Kernels and strides in the order of the publication: longitude, latitude, level.
_BACKGROUND_KERNEL = (8, 6, 4)
_WIDE_KERNEL = (6, 4, 4)
_SMALL_KERNEL = (3, 3, 3)
_SKIP_KERNEL = (4, 4, 4)
_SKIP_STRIDE = (4, 4, 1)
_HALVING = (2, 2, 1)
_POOL = (1, 2, 2)  # level, latitude, longitude
_MULTIPLE = 4  # the encoder halves latitude and longitude twice


def resolve_quirks(quirks: Iterable[str] | str = ()) -> frozenset[str]:
    """Check names of quirks.

    Parameters
    ----------
    quirks : iterable of str, or "all"
        Names out of :data:`QUIRKS`.

    Returns
    -------
    frozenset of str

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> sorted(resolve_quirks(["tanh_mask", "scaled_bias"]))
    ['scaled_bias', 'tanh_mask']
    >>> len(resolve_quirks("all"))
    8
    """
    if quirks == "all":
        return frozenset(QUIRKS)
    names = frozenset((quirks,) if isinstance(quirks, str) else quirks)
    unknown = sorted(names - QUIRKS.keys())
    if unknown:
        raise ValueError(f'unknown quirks {unknown}; expected "all" or any of {sorted(QUIRKS)}')
    return names


class DeepDA2024Generator(Network):
    """Background and observations of a cycle in, analysis out.

    1,101,917 parameters for one variable with all quirks, 858,461 without the trained mask
    kernels. Any number of levels, latitudes and longitudes; where latitude or longitude is not
    divisible by 4 the fields are padded (longitude periodically where it is periodic) and cropped.

    Parameters
    ----------
    variables : int
        Number of variables, V below; 1 in the publication.
    cyclic : bool
        The grid goes round the earth. The network does not use this with the quirk
        "no_periodicity".
    quirks : iterable of str, or "all"
        Peculiarities of the published code to switch on, see :data:`QUIRKS`. "sign_flip" and
        "unweighted_loss" are only recorded here (attribute `quirks`): they act in the training.
    generator : torch.Generator, optional
        Source of the initial weights; torch's global one if not given.

    Attributes
    ----------
    quirks : frozenset of str
    periodic : bool
        Whether the first and the last longitude are neighbours for the network.

    Examples
    --------
    >>> net = DeepDA2024Generator(generator=torch.Generator().manual_seed(0))
    >>> background, obs = torch.randn(2, 1, 1, 4, 8, 12)
    >>> analysis = net(background, obs, torch.rand_like(obs) < 0.1, torch.ones(1, 4, 8, 12))
    >>> analysis.shape
    torch.Size([1, 1, 4, 8, 12])
    """

    def __init__(
        self,
        variables: int = 1,
        *,
        cyclic: bool = True,
        quirks: Iterable[str] | str = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.variables = variables
        self.quirks = resolve_quirks(quirks)
        self.periodic = cyclic and "no_periodicity" not in self.quirks
        self._build_background(generator)
        self._build_observations(generator)
        self._build_decoder(generator)

    def _build_background(self, generator: torch.Generator | None) -> None:
        pair = functools.partial(ConvPair, periodic=self.periodic, generator=generator)
        v = self.variables
        self.background1 = pair(v, 16, 8, to_axes(_BACKGROUND_KERNEL))
        self.background2 = pair(24, 32, 16, to_axes(_WIDE_KERNEL))
        self.background3 = pair(48, 64, 32, to_axes(_SMALL_KERNEL))
        self.background_skip = pair(v, 96, 0, to_axes(_SKIP_KERNEL), to_axes(_SKIP_STRIDE))

    def _build_observations(self, generator: torch.Generator | None) -> None:
        pair = functools.partial(
            ObservationPair, periodic=self.periodic, generator=generator, quirks=self.quirks
        )
        v, linear = self.variables, "linear_obs_skip" in self.quirks
        self.observation1 = pair(v, 16, 8, to_axes(_WIDE_KERNEL))
        self.observation2 = pair(24, 32, 16, to_axes(_WIDE_KERNEL))
        self.observation3 = pair(48, 64, 32, to_axes(_SMALL_KERNEL))
        self.observation_skip = pair(
            v, 96, 0, to_axes(_SKIP_KERNEL), to_axes(_SKIP_STRIDE), linear=linear
        )

    def _build_decoder(self, generator: torch.Generator | None) -> None:
        pair = functools.partial(TransposedPair, periodic=self.periodic, generator=generator)
        v = self.variables
        self.up1 = pair(192, 32, 16, to_axes(_SMALL_KERNEL), to_axes(_HALVING))
        self.up2 = pair(48, 16, 8, to_axes(_WIDE_KERNEL), to_axes(_HALVING))
        self.up3 = pair(24, v, v, to_axes(_BACKGROUND_KERNEL))
        self.output = nn.Conv3d(2 * v, v, 1)
        with torch.no_grad():
            glorot_normal_(self.output.weight, 2 * v, v, generator)
            assert self.output.bias is not None  # the default of Conv3d
            self.output.bias.zero_()

    def forward(self, background: Tensor, obs: Tensor, obs_mask: Tensor, wet: Tensor) -> Tensor:
        """Analyse one cycle.

        Parameters
        ----------
        background : Tensor, shape (batch, V, level, latitude, longitude)
            Anomalies, scaled or not; anything, NaN too, on land.
        obs : Tensor, same shape
            Gridded observations in the same units; anything, NaN too, where the mask is 0.
        obs_mask : Tensor, same shape
            Above 0 where there is an observation. Observations on land are not used.
        wet : Tensor, shape (V, level, latitude, longitude)
            Above 0 in the sea.

        Returns
        -------
        Tensor, same shape as `background`
            Analysis, exactly 0 on land.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        self._check(background, obs, obs_mask, wet)
        sea = wet > 0
        seen = (obs_mask > 0) & sea
        dtype = torch.promote_types(torch.float32, background.dtype)
        mask = self._enlarge(seen.to(dtype))
        background = self._enlarge(torch.where(sea, background, 0))
        obs = self._enlarge(torch.where(seen, obs, 0).to(background.dtype))
        with self.lowered(obs):
            features = torch.cat(
                [self._encode_background(background), self._encode_observations(obs, mask)], dim=1
            )
            out = self.output(self.up3(self.up2(self.up1(features)))).to(background.dtype)
        return torch.where(sea, out[..., : sea.shape[-2], : sea.shape[-1]], 0)

    def _enlarge(self, x: Tensor) -> Tensor:
        """Pad latitude and longitude at their ends to the next multiple of 4."""
        north, east = (-n % _MULTIPLE for n in x.shape[-2:])
        if self.periodic:
            x, east = pad_longitude(x, 0, east), 0
        return F.pad(x, (0, east, 0, north)) if north or east else x

    def _encode_background(self, x: Tensor) -> Tensor:
        """Features (batch, 96, level, latitude / 4, longitude / 4) of the background."""
        features = F.max_pool3d(self.background2(self.background1(x)), _POOL)
        features = F.max_pool3d(self.background3(features), _POOL)
        skip: Tensor = self.background_skip(x)
        return features + skip

    def _encode_observations(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (batch, 96, level, latitude / 4, longitude / 4) of the observations."""
        skip: Tensor = self.observation_skip(x, mask)[0]
        features, mask = self.observation1(x, mask)
        if "tanh_mask" in self.quirks:
            relu = self.observation1.relu
            shape = (features.shape[0], relu, *features.shape[2:])
            part = mask[:, :relu].expand(shape)
            mask = torch.cat([part, features[:, relu:].to(mask.dtype)], dim=1)
        features, mask = self.observation2(features, mask)
        features, mask = self.observation3(F.max_pool3d(features, _POOL), F.max_pool3d(mask, _POOL))
        return F.max_pool3d(features, _POOL) + skip

    def _check(self, background: Tensor, obs: Tensor, obs_mask: Tensor, wet: Tensor) -> None:
        shape = tuple(background.shape)
        found = [tuple(x.shape) for x in (background, obs, obs_mask, wet)]
        if len(shape) != 5 or shape[1] != self.variables or found != [shape] * 3 + [shape[1:]]:
            raise ValueError(
                "generator: background, obs, obs_mask and wet have shapes "
                f"{', '.join(map(str, found))}; expected three times (batch, {self.variables}, "
                f"level, latitude, longitude) and ({self.variables}, level, latitude, longitude)"
            )
