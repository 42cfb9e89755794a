"""withheld_experiment: the numbers of the verbs by hand, pooled draws, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xdeepda
from xdeepda.errors import InputError


@pytest.fixture(scope="module")
def casts(truth) -> pd.DataFrame:
    """A year of forty platforms, each with some casts of three levels, with errors."""
    rng = np.random.default_rng(3)
    field = truth["thetao"]
    wet = np.argwhere(np.isfinite(field.isel(time=0).values).all(axis=0))
    rows = []
    for platform in range(40):
        j, i = wet[rng.integers(len(wet))]
        for t in rng.choice(6, 3, replace=False):
            for k in range(3):
                value = float(field[t, k, j, i]) + 0.1 * rng.standard_normal()
                rows.append((value, t, k, j, i, f"p{platform}"))
    value, t, k, j, i, platform = map(np.array, zip(*rows, strict=True))
    frame = pd.DataFrame(
        {
            "value": value.astype(float), "error": 0.1, "time": truth["time"].values[t],
            "depth": truth["depth"].values[k], "lat": truth["lat"].values[j],
            "lon": truth["lon"].values[i], "platform": platform, "variable": "thetao",
        }
    )  # fmt: skip
    frame.attrs["units"] = "degC"
    return frame


@pytest.fixture(scope="module")
def persistence(ocean) -> xdeepda.Model:
    return xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")


def by_hand(casts, ocean, model, seeds) -> xr.Dataset:
    tables = []
    for seed in seeds:
        kept, withheld = xdeepda.withhold(casts, 0.2, seed=seed)
        analysis = xdeepda.assimilate(ocean, kept, model=model, seed=seeds[0])
        tables.append(xdeepda.departures(analysis, withheld))
    together = xr.concat(tables, "obs", data_vars="all", coords="all", combine_attrs="override")
    return analysis.deepda.verify(together, climatology=ocean, block="platform", seed=seeds[0])


@pytest.mark.parametrize("repeats", [1, 3])
def test_equal_to_the_verbs_one_after_the_other(casts, ocean, persistence, tiny_model, repeats):
    found = xdeepda.withheld_experiment(
        casts,
        ocean,
        {"net": tiny_model},
        fraction=0.2,
        repeats=repeats,
        seed=5,
        baselines=["persistence"],
    )
    assert found["system"].values.tolist() == ["net", "persistence"]
    for name, model in (("net", tiny_model), ("persistence", persistence)):
        expected = by_hand(casts, ocean, model, list(range(5, 5 + repeats)))
        mine = found.sel(system=name, drop=True).drop_vars("model_hash", errors="ignore")
        xr.testing.assert_equal(mine, expected)
    assert (found["count"].sum("depth") >= 0.15 * repeats * len(casts)).all()
    assert found.attrs["repeats"] == repeats
    assert "withheld by platform" in found.attrs["withheld"]
    assert "not assimilated" in found.attrs["reference"]
    assert "withheld by platform" in repr(found.deepda)


def test_pooled_errors_are_those_of_all_rows(casts, ocean):
    """The mean square over all draws is that of each draw, weighted by its rows."""
    arguments = {"fraction": 0.2, "baselines": ["persistence"], "scores_by": ()}
    model = xdeepda.baselines.climatology(ocean, var="thetao", cycle="month")
    one = [xdeepda.withheld_experiment(casts, ocean, model, seed=s, **arguments) for s in (0, 1)]
    both = xdeepda.withheld_experiment(casts, ocean, model, repeats=2, **arguments)
    count = sum(s["count"] for s in one)
    square = sum(s["count"] * s["rmse"] ** 2 for s in one)
    np.testing.assert_array_equal(both["count"], count)
    np.testing.assert_allclose(both["rmse"], np.sqrt(square / count))


def refused(*args, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        xdeepda.withheld_experiment(*args, **kwargs)
    return str(error.value)


def test_bad_input_is_told_before_any_work(casts, ocean, tiny_model, monkeypatch):
    def work(*_, **__):
        raise AssertionError("work has started")

    for name in ("analyses", "fitted"):
        monkeypatch.setattr(f"xdeepda.experiments.withheld.{name}", work)
    text = refused(casts, ocean, tiny_model, fraction=2, by="ship", scores_by="deep",
                   baselines="kriging")  # fmt: skip
    for words in ("fraction is not", "by='ship'", "'deep'", "'kriging' is not known"):
        assert words in text
    assert "repeats=" in refused(casts, ocean, tiny_model, repeats=0)
    assert "nothing would be withheld" in refused(casts, ocean, tiny_model, fraction=1e-4)
    assert "no model" in refused(casts, ocean, None)
    assert "seed" in refused(casts, ocean, tiny_model, seed="x")
    far = casts.assign(depth=9000.0)
    text = refused(far, ocean, tiny_model)
    assert "the kept observations cannot be used" in text
    assert "the withheld observations cannot be used" in text
