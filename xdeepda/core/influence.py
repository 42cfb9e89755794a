"""What an observation does to the analysis: derivatives with respect to observed values.

Forward-mode automatic differentiation carries one direction y' of the observed values
through an analysis, and gives the derivative of the analysis mean along it; classical
steps that keep no graph for the training let it pass.  Of a linear analysis
x_a = x_b + K (y - H x_b) it is K y', whatever the values are; of a learned one it is
taken where the analysis stands.

References
----------
Baydin et al. (2018), J. Mach. Learn. Res. 18(153): forward-mode differentiation.
Cardinali et al. (2004), doi:10.1256/qj.03.205: trace(d(H x_a)/dy) as what observations
tell; Chapnik et al. (2006), doi:10.1256/qj.04.182: estimated with random perturbations.
Bekas et al. (2007), doi:10.1016/j.apnum.2007.01.003: diagonals by random signs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from xdeepda.core.architecture import Architecture
from xdeepda.core.state import Observed, State

#: Directions that are carried at once, at most.
_TOGETHER = 16


def derivative(
    architecture: Architecture, background: State, observed: Observed, direction: Tensor
) -> Tensor:
    """Derivative of the analysis mean along a direction of the observed values.

    Parameters
    ----------
    architecture : Architecture
    background : State
    observed : Observed
    direction : Tensor, shape (B, C, Y, X)
        0 where nothing is observed.

    Returns
    -------
    Tensor, shape (B, C, Y, X)
    """
    with torch.no_grad(), forward_ad.dual_level():
        value = forward_ad.make_dual(observed.value, direction)
        analysis = architecture.analyse(background, observed._replace(value=value))
        tangent = forward_ad.unpack_dual(analysis.mean).tangent
    return torch.zeros_like(direction) if tangent is None else tangent


def columns(
    architecture: Architecture, background: State, observed: Observed, cells: Tensor
) -> Tensor:
    """Columns of the effective gain: what a unit of each of some observed values adds.

    Parameters
    ----------
    architecture : Architecture
    background : State
        Of batch 1.
    observed : Observed
        Of batch 1.
    cells : Tensor of int64, shape (p,)
        Flat numbers in (C, Y, X) of observed cells.

    Returns
    -------
    Tensor, shape (p, C, Y, X)
    """
    parts = []
    for some in cells.split(_TOGETHER):
        direction = observed.value.new_zeros(len(some), observed.value[0].numel())
        direction[torch.arange(len(some), device=some.device), some] = 1.0
        parts.append(_along(architecture, background, observed, direction))
    return torch.cat(parts)


def self_sensitivity(
    architecture: Architecture, background: State, observed: Observed, cells: Tensor
) -> Tensor:
    """Diagonal of d(H x_a)/dy, by one derivative for each observation; (p,).

    Parameters are those of :func:`columns`.
    """
    parts = []
    for some in cells.split(_TOGETHER):
        made = columns(architecture, background, observed, some).flatten(1)
        parts.append(made[torch.arange(len(some), device=some.device), some])
    return torch.cat(parts)


def probed_sensitivity(
    architecture: Architecture,
    background: State,
    observed: Observed,
    cells: Tensor,
    probes: int,
    generator: torch.Generator,
) -> Tensor:
    """Estimates of the diagonal of S = d(H x_a)/dy by random signs v: of v * (S v).

    Parameters
    ----------
    architecture, background, observed, cells
        Those of :func:`columns`.
    probes : int
        Number N of estimates.
    generator : torch.Generator
        On the CPU: the same signs on every device.

    Returns
    -------
    Tensor, shape (N, p)
        Each row without bias; a sum over a group of observations has the variance of the
        sensitivities between them and all others.
    """
    signs = 2.0 * torch.randint(2, (probes, len(cells)), generator=generator) - 1.0
    signs = signs.to(observed.value)
    parts = []
    for some in signs.split(_TOGETHER):
        direction = observed.value.new_zeros(len(some), observed.value[0].numel())
        direction[:, cells] = some
        made = _along(architecture, background, observed, direction).flatten(1)
        parts.append(some * made[:, cells])
    return torch.cat(parts)


def _along(
    architecture: Architecture, background: State, observed: Observed, direction: Tensor
) -> Tensor:
    """Derivatives along several directions (B, C Y X), of one state and its observations."""
    number = len(direction)

    def wide(x: Tensor) -> Tensor:
        return x.expand(number, *x.shape[1:]).contiguous()

    return derivative(
        architecture,
        background.each(wide),
        Observed(*(wide(part) for part in observed)),
        direction.view(number, *observed.value.shape[1:]),
    )


def carried_on(
    architecture: Architecture, background: State, observed: Observed, season: Tensor
) -> Tensor | None:
    """What a scheme carries to the background of the next cycle, at `season` of the year."""
    with torch.no_grad():
        analysis = architecture.analyse(background, observed)
        return architecture.forecast(analysis, season).carried


def signs_from(seed: int) -> torch.Generator:
    """Generator of the signs of :func:`probed_sensitivity`."""
    return torch.Generator().manual_seed(seed)
