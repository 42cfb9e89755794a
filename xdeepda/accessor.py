"""The accessor ``.deepda``: an address, not an algorithm.

Holds only the object; each method calls the function of the same name.
Importing this module loads xarray alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from xdeepda.model import Model
    from xdeepda.observations.network import Network


@xr.register_dataset_accessor("deepda")
@xr.register_dataarray_accessor("deepda")
class DeepDAAccessor:
    """Verbs of xdeepda on a Dataset or DataArray.

    In a notebook, ``ds.deepda`` shows what was understood of the object, and what
    is missing for each verb; it computes nothing.

    Parameters
    ----------
    obj : Dataset or DataArray
    """

    def __init__(self, obj: xr.Dataset | xr.DataArray) -> None:
        self._obj = obj

    def train(self, network: Any, **kwargs: Any) -> Model:
        """Train a model on this control run; see :func:`xdeepda.train`."""
        from xdeepda.training import train

        return train(self._obj, network, **kwargs)

    def assimilate(self, obs: Any, **kwargs: Any) -> xr.Dataset:
        """Analyse observations, starting from this; see :func:`xdeepda.assimilate`."""
        from xdeepda.assimilation import assimilate

        return assimilate(self._obj, obs, **kwargs)

    def observe(self, network: Any, **kwargs: Any) -> xr.Dataset:
        """Simulate observations of this truth; see :func:`xdeepda.observe`."""
        from xdeepda.observations.operator import observe

        return observe(self._obj, network, **kwargs)

    def superob(self, like: Any, **kwargs: Any) -> xr.Dataset:
        """Combine these observations by cell and cycle; see :func:`xdeepda.superob`."""
        from xdeepda.observations.superob import superob

        return superob(self._obj, like, **kwargs)

    def network(self, like: Any, **kwargs: Any) -> Network:
        """Sampling of these observations; see :func:`xdeepda.network`."""
        from xdeepda.observations.network import network

        return network(self._obj, like, **kwargs)

    def increment(self, var: str | None = None) -> xr.Dataset | xr.DataArray:
        """Analysis minus background of this analysis; see :func:`xdeepda.increment`."""
        from xdeepda.analysis import increment

        return increment(self._obj, var)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        """Say what was understood, and what is missing for each verb."""
        from xdeepda.inspection import describe

        return describe(self._obj)

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        from xdeepda.inspection import describe_html

        return describe_html(self._obj)
