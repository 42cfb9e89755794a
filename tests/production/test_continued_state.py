"""An analysis that is continued from its last written state knows no more than was known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import xdeepda


@pytest.fixture(scope="module")
def doubtful(ocean):
    """Persistence in each cell, whose errors are larger than it predicts."""
    model = xdeepda.baselines.persistence(ocean, var="thetao", cycle="month")
    one = np.ones_like(model.calibration["analysis"])
    return replace(model, calibration={"analysis": 2.5 * one, "background": one})


def test_where_the_written_spread_is_climatological_nothing_is_known(ocean, months, doubtful):
    whole = xdeepda.assimilate(ocean, months, model=doubtful)
    first = xdeepda.assimilate(ocean, months.isel(time=slice(0, 20)), model=doubtful)
    later = months.isel(time=slice(20, None))
    found = xdeepda.assimilate(first.isel(time=-1), later, model=doubtful)
    expected = whole.isel(time=slice(20, None))

    wet = doubtful.wet[0]
    deviation = doubtful.statistics.deviation
    capped = first["thetao_spread"].values[-1][wet] > 0.9999 * deviation[wet]
    assert 0.1 < capped.mean() < 0.9
    # the next analysis; in cells of their own nothing else changes it
    name = "thetao_background_spread"
    mine, theirs = (x[name].values[0][wet] for x in (found, expected))
    np.testing.assert_allclose(mine[~capped], theirs[~capped], rtol=1e-5)
    assert (mine[capped] >= theirs[capped] * (1 - 1e-6)).all()
    # it is what any state of which nothing is known starts from
    np.testing.assert_allclose(mine[capped], deviation[wet][capped], rtol=1e-4)
    mine, theirs = (x["thetao_spread"].values[:, wet] for x in (found, expected))
    assert (mine >= theirs * (1 - 1e-5)).all()


def test_a_spread_above_the_climatological_one_is_believed(ocean, months, doubtful):
    first = xdeepda.assimilate(ocean, months.isel(time=slice(0, 20)), model=doubtful)
    state = first.isel(time=-1)
    wide = state.assign(thetao_spread=(3 * state["thetao_spread"]).assign_attrs(units="K"))
    from xdeepda.bridge import Conductor

    wet = doubtful.wet[0]
    spread = wide["thetao_spread"].values
    conductor = Conductor(doubtful, np.zeros((1, *spread.shape)), spread=spread)
    variance = conductor.state.variance.numpy()[0][wet]
    given = (spread / doubtful.statistics.scale[:, None, None])[wet] ** 2
    many = given > (doubtful.statistics.deviation[wet]) ** 2
    assert many.any()
    assert (variance >= given / 2.5 * (1 - 1e-5)).all()
