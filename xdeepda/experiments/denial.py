"""The verb ``ose``: the same analysis with and without one observing system.

Conducts the experiment; calculates nothing itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xdeepda.errors import InputError, Problems
from xdeepda.experiments.systems import (
    by_system,
    check_settings,
    common_cycle,
    common_variables,
    described,
    systems_of,
)
from xdeepda.observations.departures import departures
from xdeepda.observations.sources import superob
from xdeepda.observations.table import as_table, is_gridded
from xdeepda.verification.verb import verify

logger = logging.getLogger("xdeepda")

#: Names of the two analyses.
WITH, WITHOUT = "with", "without"
#: Columns of names that rows can be denied by; words without a column are looked for in this order.
COLUMNS = ("instrument", "source", "platform", "variable")


def ose(
    ds: xr.Dataset | xr.DataArray,
    obs: Any,
    *,
    model: Any,
    deny: Any,
    var: str | Sequence[str] | None = None,
    members: int = 1,
    by: str | Sequence[str] = "depth",
    statistics: str | Sequence[str] | None = None,
    regions: Any = None,
    bands: Sequence[float] | None = None,
    climatology: str | xr.Dataset | xr.DataArray = "model",
    checks: Any = None,
    device: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Observing system experiment: what an analysis loses if one observing system is denied.

    Parameters
    ----------
    ds : Dataset or DataArray
        Where the estimate starts, see :func:`xdeepda.assimilate`.
    obs : Dataset, DataArray, pandas.DataFrame, or a list of these
        Points; fields in a list are never denied.
    model : Model or path, or a list of these
        Several are in one analysis.
    deny : str, list of str, mapping, or mask
        Words: rows of these instruments, else of these sources, else of these platforms
        (which of them is said in the log).  A mapping of ``instrument``, ``source``,
        ``platform`` or ``variable`` to words, and of ``depth`` to (top, bottom) in
        metres: rows for which all hold.  A mask: True along the rows of `obs` to deny,
        or a list of masks, one for each table.
    var : str or list of str, optional
        Variables to compare; by default those of the model.
    members : int
    by, statistics, regions, bands
        Of the scores, see :func:`xdeepda.verify`.
    climatology : "model", or Dataset or DataArray
        See :func:`xdeepda.assimilate`; a field is also the climatology of the scores.
    checks : optional
    device : str, optional
    seed : int
        The same for both analyses: members start alike.
    progress : bool

    Returns
    -------
    xarray.Dataset
        Along ``experiment``, ``"with"`` and ``"without"`` the denied observations, the
        statistics of :func:`xdeepda.verify` at the denied observations: ``with`` has seen
        them, ``without`` has not.  Besides ``field_spread`` of both analyses, over all
        cells, and ``difference_rms`` and ``difference_bias`` of their difference, without
        minus with.

    Raises
    ------
    InputError
        With all that is wrong, before anything is assimilated: what is denied matches
        nothing or everything, or an unknown column.

    Notes
    -----
    The difference is what the denied observations change, not an error: whether the analysis
    is better with them is told by observations that neither has seen, see
    :func:`xdeepda.withheld_experiment`, or by a truth, see :func:`xdeepda.osse`.

    Examples
    --------
    >>> lost = control.deepda.ose(obs, model=model, deny="mooring")  # doctest: +SKIP
    >>> lost.difference_rms  # doctest: +SKIP
    """
    from xdeepda.assimilation import assimilate

    problems = Problems("ose")
    asked = {"by": by, "statistics": statistics, "regions": regions, "bands": bands, "seed": seed}
    check_settings(asked, problems)
    chosen = systems_of({"model": model}, None, None, problems)
    names = common_variables(chosen, var, problems)
    cycle = common_cycle(chosen, None, problems)
    rest, denied, words = divided(obs, deny, problems)
    if names is not None and cycle is not None and not len(problems):
        for what, part in (("denied", denied), ("other", rest)):
            try:
                superob(part, ds, cycle=cycle.name, var=names)
            except InputError as error:
                problems.add(f"the {what} observations cannot be used", found=str(error))
    problems.raise_if_any()
    assert cycle is not None
    models = chosen["model"]
    arguments = {
        "model": models, "members": members, "climatology": climatology, "checks": checks,
        "device": device, "seed": seed, "progress": progress,
    }  # fmt: skip
    # as it was given: two sources would be combined in another way than one
    full = assimilate(ds, obs, **arguments)
    time = next(str(d) for d in full.dims if full[d].attrs.get("axis") == "T")
    several = isinstance(obs, (list, tuple))
    less = assimilate(ds, rest if several else rest[0], times=full[time], **arguments)
    settings = {**asked, "var": names, "cycle": cycle.name, "progress": False}
    own = None if isinstance(climatology, str) else climatology
    fit = by_system(
        {
            WITH: verify(
                full, departures(full, denied), assimilated=True, climatology=own, **settings
            ),
            WITHOUT: verify(less, departures(less, denied), climatology=own, **settings),
        },
        "experiment",
    )
    assert isinstance(models, list)
    scores = _with_fields(fit, full, less, settings)
    scores.attrs["reference"] = (
        "the denied observations, which only the analysis with them has seen"
    )
    attrs = {"denied": words, "seed": int(seed), "members": int(members)}
    call = f"ose(deny={words!r}, seed={seed}, members={members})"
    return described(scores, "observing system experiment", call, {"model": models}, attrs)


def _with_fields(
    scores: xr.Dataset, full: xr.Dataset, less: xr.Dataset, settings: Mapping[str, Any]
) -> xr.Dataset:
    """Add what is known of the fields: their difference, and the spread of both."""
    plain = {**settings, "statistics": ("bias", "rmse", "spread"), "persistence": 0}
    there, back = verify(less, full, **plain), verify(full, less, **plain)
    spreads = by_system({WITH: back, WITHOUT: there}, "experiment")["spread"]
    out = scores.assign(
        difference_rms=there["rmse"], difference_bias=there["bias"], field_spread=spreads
    )
    for name, words in (
        ("difference_rms", "root mean square difference of the analyses, without minus with"),
        ("difference_bias", "mean difference of the analyses, without minus with"),
        ("field_spread", "root mean variance of the stated error, over all cells"),
    ):
        out[name].attrs = {"long_name": words, "units": there["rmse"].attrs["units"]}
    return out


# ---- what is denied


def divided(obs: Any, deny: Any, problems: Problems) -> tuple[list[Any], list[Any], str]:
    """Other and denied observations, each as a list, and what is denied in words."""
    before = len(problems)
    sources = list(obs) if isinstance(obs, (list, tuple)) else [obs]
    fields = [one for one in sources if is_gridded(one)]
    tables = []
    for one in sources:
        if not is_gridded(one):
            try:
                tables.append(as_table(one))
            except InputError as error:
                problems.absorb(error)
    if not tables and len(problems) == before:
        problems.add("there are no points to deny", expected="at least one table of observations")
    if len(problems) > before:
        return [], [], ""
    masks, words = _masks(deny, tables, problems)
    if masks is None:
        return [], [], ""
    number, total = sum(int(m.sum()) for m in masks), sum(m.size for m in masks)
    if number == 0 or (number == total and not fields):
        what = "matches nothing" if number == 0 else "matches everything"
        problems.add(f"deny= {what}", found=f"{words}, of {total} data", expected=_choices(tables))
    told = f"{words}: {number} of {total} data"
    logger.info("ose: denied are %s", told)
    rest = [
        t.isel(obs=np.flatnonzero(~m)) for t, m in zip(tables, masks, strict=True) if not m.all()
    ]
    denied = [t.isel(obs=np.flatnonzero(m)) for t, m in zip(tables, masks, strict=True) if m.any()]
    return [*fields, *rest], denied, told


def _masks(
    deny: Any, tables: list[xr.Dataset], problems: Problems
) -> tuple[list[np.ndarray] | None, str]:
    """Rows to deny of each table, and the rule in words; None with a problem."""
    listed = isinstance(deny, (list, tuple))
    if isinstance(deny, Mapping):
        return _by_columns(deny, tables, problems)
    if isinstance(deny, str) or (listed and deny and all(isinstance(w, str) for w in deny)):
        words = [deny] if isinstance(deny, str) else list(deny)
        for column in COLUMNS[:3]:
            held = {v for t in tables if column in t.variables for v in map(str, t[column].values)}
            if held & {*words}:
                logger.info("ose: %s are taken for names of column %r", words, column)
                return _by_columns({column: words}, tables, problems)
        problems.add(
            f"deny= {words} is no instrument, source or platform", expected=_choices(tables),
            todo="a mapping, such as {'variable': 'so'} or {'depth': (0, 100)}, or a mask",
        )  # fmt: skip
        return None, ""
    given = list(deny) if listed and deny and np.ndim(deny[0]) else [deny]
    masks = [np.asarray(getattr(m, "values", m)) for m in given]
    sizes = [t.sizes["obs"] for t in tables]
    if [m.shape for m in masks] != [(n,) for n in sizes] or any(m.dtype != bool for m in masks):
        problems.add(
            "deny= is not understood", found=f"{type(deny).__name__}",
            expected=f"words, a mapping, or a mask of True and False along {sizes} rows",
        )  # fmt: skip
        return None, ""
    return masks, "a mask"


def _by_columns(
    deny: Mapping[Any, Any], tables: list[xr.Dataset], problems: Problems
) -> tuple[list[np.ndarray] | None, str]:
    """Rows for which all conditions hold."""
    before = len(problems)
    unknown = [k for k in deny if k not in (*COLUMNS, "depth")]
    if unknown or not deny:
        problems.add(f"deny= by {unknown or 'nothing'} is not known",
                     expected=f"of {', '.join((*COLUMNS, 'depth'))}")  # fmt: skip
    masks = [np.ones(t.sizes["obs"], dtype=bool) for t in tables]
    for column, wanted in deny.items():
        if column == "depth":
            edges = _edges(wanted, problems)
            if edges is not None:
                for mask, table in zip(masks, tables, strict=True):
                    depth = table["depth"].values
                    mask &= (depth >= edges[0]) & (depth <= edges[1])
        elif column in COLUMNS:
            words = [wanted] if isinstance(wanted, str) else [str(w) for w in np.atleast_1d(wanted)]
            for mask, table in zip(masks, tables, strict=True):
                there = table[column].values if column in table.variables else None
                held = [] if there is None else [str(v) in words for v in there.tolist()]
                mask &= np.array(held, dtype=bool) if there is not None else False
    told = " and ".join(f"{column} {wanted}" for column, wanted in deny.items())
    return (masks if len(problems) == before else None), told


def _edges(given: Any, problems: Problems) -> tuple[float, float] | None:
    """Top and bottom of a range of depths."""
    pair = (given.start, given.stop) if isinstance(given, slice) else given
    try:
        top, bottom = (float(x) for x in pair)
    except (TypeError, ValueError):
        top, bottom = 1.0, 0.0
    if not top <= bottom:
        problems.add(
            "deny= depth is no range", found=repr(given), expected="(top, bottom) in metres"
        )
        return None
    return top, bottom


def _choices(tables: list[xr.Dataset]) -> str:
    """What there is to deny."""
    told = []
    for column in COLUMNS:
        held = sorted(
            {str(v) for t in tables if column in t.variables for v in t[column].values} - {""}
        )
        if held:
            more = f", ... ({len(held)})" if len(held) > 8 else ""
            told.append(f"{column} {', '.join(held[:8])}{more}")
    return "; ".join(told) or "a mask, or a range of depths"
