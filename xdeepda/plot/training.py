"""The course of a training."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError
from xdeepda.plot.style import new_axes

_LINES = {
    "validation_score": ("analysis, mean over channels", {"color": "C0", "marker": "."}),
    "validation_background": ("background", {"color": "C0", "linestyle": "--"}),
}


def history(
    ds: Any,
    *,
    channels: bool = True,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    **kwargs: Any,
) -> Any:
    """Scores of training and validation by epoch.

    Parameters
    ----------
    ds : Dataset or Model
        ``model.history``, or the model itself.
    channels : bool
        Also a thin line for each variable and level.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    figsize : (float, float), optional
        Inches.
    **kwargs
        As matplotlib's ``plot``, for the validation.

    Returns
    -------
    matplotlib.axes.Axes
        Validation on the left; the loss of the training has an axis of its own on the right.

    Raises
    ------
    InputError
        If this is no history, or an empty one.

    Examples
    --------
    >>> model.history.deepda.plot.history()  # doctest: +SKIP
    """
    records = ds if isinstance(ds, (xr.Dataset, xr.DataArray)) else getattr(ds, "history", None)
    if not isinstance(records, xr.Dataset) or "validation_score" not in records:
        raise InputError(
            f"plot.history: this is no history of a training ({type(ds).__name__}); give "
            "model.history of a model that was trained"
        )
    if not records.sizes["epoch"]:
        raise InputError("plot.history: nothing was trained; the history is empty")
    ax = new_axes(ax, figsize, (7.0, 4.0))
    epoch = records["epoch"].values
    if channels and "validation_rmse" in records:
        _channels(ax, epoch, records["validation_rmse"])
    for name, (words, style) in _LINES.items():
        if name in records:
            _line(ax, epoch, records[name].values, {"label": words, **style, **kwargs})
    _best(ax, epoch, records["validation_score"].values)
    ax.axhline(1.0, color="0.6", linewidth=0.8, linestyle=":")
    ax.set_xlabel("epoch")
    ax.set_ylabel("validation: RMSE / RMSE of climatology")
    if "training_loss" in records:
        _loss(ax, epoch, records["training_loss"].values)
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def _line(ax: Any, epoch: np.ndarray, values: np.ndarray, style: dict[str, Any]) -> None:
    """A line through the epochs that were validated."""
    there = np.isfinite(values)
    ax.plot(epoch[there], values[there], **style)


def _channels(ax: Any, epoch: np.ndarray, scores: xr.DataArray) -> None:
    """A thin line for each variable and level; the sea floor has none."""
    rows = scores.transpose("epoch", ...).values.reshape(epoch.size, -1)
    for n in range(rows.shape[1]):
        _line(ax, epoch, rows[:, n], {"color": "C0", "alpha": 0.25, "linewidth": 0.7})


def _best(ax: Any, epoch: np.ndarray, score: np.ndarray) -> None:
    """The epoch whose weights the model has."""
    if np.isfinite(score).any():
        n = int(np.nanargmin(score))
        ax.plot(epoch[n], score[n], "*", color="C3", markersize=11, zorder=4,
                label=f"best: {score[n]:.3f} at epoch {epoch[n]}")  # fmt: skip


def _loss(ax: Any, epoch: np.ndarray, loss: np.ndarray) -> None:
    """Loss of the training, on an axis of its own."""
    right = ax.twinx()
    _line(right, epoch, loss, {"color": "0.45", "linewidth": 1, "label": "training loss (right)"})
    right.set_ylabel("training loss", color="0.45")
    right.tick_params(axis="y", colors="0.45")
    handles, labels = (a + b for a, b in zip(ax.get_legend_handles_labels(),
                       right.get_legend_handles_labels(), strict=True))  # fmt: skip
    right.legend(handles, labels, fontsize="small", loc="upper right")
