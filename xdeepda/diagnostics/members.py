"""Error bars: the mean over members and their spread.

Knows xarray and the axes.
"""

from __future__ import annotations

import xarray as xr

from xdeepda import units as unit_tools
from xdeepda.axes import find_axes
from xdeepda.errors import InputError, Problems


def over_members(ds: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """Mean and spread over members of what a diagnostic gave.

    A diagnostic of an ensemble keeps its members: the spread of its values is their
    error, however nonlinear it is, and includes how errors hang together in space.

    Parameters
    ----------
    ds : Dataset or DataArray
        With a dimension of members.

    Returns
    -------
    Dataset
        Each variable that has members as their mean, and ``<var>_spread``, their standard
        deviation (with n - 1); the others unchanged.

    Raises
    ------
    InputError
        If there are no members, or only one.

    Examples
    --------
    >>> heat = xr.DataArray([1.0, 3.0], dims="member", name="heat", attrs={"units": "J"})
    >>> found = over_members(heat)
    >>> float(found["heat"]), round(float(found["heat_spread"]), 3)
    (2.0, 1.414)
    """
    problems = Problems("over_members")
    whole = ds if isinstance(ds, xr.Dataset) else ds.to_dataset(name=str(ds.name or "field"))
    members = [str(d) for d in whole.dims if _is_member(whole, str(d))]
    if not members:
        spread = [str(n) for n in whole.data_vars if str(n).endswith("_spread")]
        problems.add(
            "there are no members",
            found=f"dimensions {tuple(whole.dims)}" + (f", and {spread}" if spread else ""),
            expected="a dimension of members: the spread of cells gives no error of a mean or "
            "an integral over many",
            todo="assimilate(..., members=N, keep_members=True), and the diagnostic of that",
        )
    elif whole.sizes[members[0]] < 2:
        problems.add("one member has no spread", found=f"{members[0]!r} of size 1")
    problems.raise_if_any()
    out = {}
    for name, da in whole.data_vars.items():
        if members[0] not in da.dims:
            out[str(name)] = da
            continue
        mean = da.mean(members[0], keep_attrs=True)
        methods = (str(da.attrs.get("cell_methods", "")), f"{members[0]}: mean")
        mean.attrs = {**da.attrs, "cell_methods": " ".join(m for m in methods if m)}
        out[str(name)] = mean
        out[f"{name}_spread"] = _spread(da, members[0])
    return xr.Dataset(out, attrs=whole.attrs)


def _is_member(ds: xr.Dataset, dim: str) -> bool:
    """Whether a dimension is that of members."""
    coords = {dim: ds[dim].variable} if dim in ds.coords else {}
    alone = xr.DataArray(xr.Variable((dim,), range(ds.sizes[dim])), coords=coords, dims=(dim,))
    try:
        return find_axes(alone).member == dim
    except (InputError, NotImplementedError):
        return False


def _spread(da: xr.DataArray, member: str) -> xr.DataArray:
    """Standard deviation over members, with its unit."""
    plain = unit_tools.dequantify(da)
    out = plain.std(member, ddof=1)
    unit = unit_tools.unit_of(plain)
    words = da.attrs.get("long_name", da.name)
    out.attrs = {"long_name": f"{words}: standard deviation of the members"}
    if unit:
        out.attrs["units"] = unit_tools.difference_unit(unit)
    if unit_tools.is_quantified(da):
        out.attrs["units"] = str(unit_tools.parse(out.attrs["units"]))
    return unit_tools.requantify(out, da)
