"""Classical steps against naive dense solves, closed forms and limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xdeepda.core import classical
from xdeepda.core.classical import (
    EARTH_RADIUS,
    Correlation,
    Mesh,
    Observations,
    Rows,
    dense_step,
    gaspari_cohn,
    great_circle,
    local_step,
    unit_vectors,
)

ALL = 10**6


def make(
    ny: int = 4, nx: int = 6, levels: int = 3, ensemble: int = 12, support: float = 9000.0
) -> Correlation:
    """Columns of a small globe, some shallow, and correlations of random anomalies."""
    rng = torch.Generator().manual_seed(3)
    lat = torch.linspace(-1.2, 1.2, ny, dtype=torch.float64)
    lon = torch.arange(nx, dtype=torch.float64) * 2 * np.pi / nx
    position = unit_vectors(lat[:, None], lon[None, :]).flatten(0, 1)
    depth = torch.randint(1, levels + 1, (ny * nx,), generator=rng)
    wet = torch.arange(levels)[:, None] < depth
    table = torch.full(wet.shape, -1, dtype=torch.int64)
    table[wet] = torch.arange(int(wet.sum()))
    column = torch.arange(ny * nx).expand(levels, -1)[wet]
    smooth = torch.randn(3, ensemble, generator=rng, dtype=torch.float64)
    pattern = torch.cat([position[column], 0.3 * torch.ones(len(column), 1)], dim=1)[:, :3]
    roots = pattern @ smooth + 0.5 * torch.randn(
        len(column), ensemble, generator=rng, dtype=torch.float64
    )
    roots = roots / roots.norm(dim=1, keepdim=True)
    return Correlation(roots, table.mT.contiguous(), column, position, support)


def observe(correlation: Correlation, p: int = 9, members: int = 2, seed: int = 0) -> Observations:
    rng = torch.Generator().manual_seed(seed)
    n = correlation.roots.shape[0]
    cell = torch.randperm(n, generator=rng)[:p].sort().values
    innovation = torch.randn(members, p, generator=rng, dtype=torch.float64)
    variance = 0.05 + torch.rand(p, generator=rng, dtype=torch.float64)
    return Observations(cell, innovation, variance)


def deviations(correlation: Correlation) -> torch.Tensor:
    return torch.linspace(0.5, 2.0, correlation.roots.shape[0], dtype=torch.float64)


def covariance(correlation: Correlation, deviation: torch.Tensor) -> np.ndarray:
    """The whole covariance matrix, element by element."""
    z, s = correlation.roots.numpy(), deviation.numpy()
    where = correlation.position.numpy()[correlation.column.numpy()]
    n = len(s)
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            angle = np.arctan2(
                np.linalg.norm(np.cross(where[i], where[j])), np.dot(where[i], where[j])
            )
            rho = tapered(angle * EARTH_RADIUS, correlation.support)
            out[i, j] = s[i] * s[j] * (z[i] @ z[j]) * rho
    return out


def tapered(distance: float, support: float) -> float:
    """Gaspari and Cohn (1999), equation 4.10, as printed."""
    z = distance / (support / 2)
    if z <= 1:
        return -(z**5) / 4 + z**4 / 2 + 5 * z**3 / 8 - 5 * z**2 / 3 + 1
    if z >= 2:
        return 0.0
    return z**5 / 12 - z**4 / 2 + 5 * z**3 / 8 + 5 * z**2 / 3 - 5 * z + 4 - 2 / (3 * z)


def naive(
    p: np.ndarray, observations: Observations, use: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Increment and analysis variance by the textbook's formula."""
    use = np.arange(len(observations.cell)) if use is None else use
    h = np.eye(len(p))[observations.cell.numpy()[use]]
    r = np.diag(observations.variance.numpy()[use])
    gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + r)
    increment = observations.innovation.numpy()[:, use] @ gain.T
    return increment, np.diag((np.eye(len(p)) - gain @ h) @ p)


@pytest.mark.parametrize("support", [2500.0, 9000.0, 20000.0])
def test_dense_step_is_the_naive_solve(support):
    c = make(support=support)
    d, obs = deviations(c), observe(c)
    increment, reduction = dense_step(c, d, obs)
    expected, variance = naive(covariance(c, d), obs)
    np.testing.assert_allclose(increment, expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose((1 - reduction) * d**2, variance, rtol=1e-10)


@pytest.mark.parametrize("table", [10**8, 0])
@pytest.mark.parametrize("chunk", [8 * 10**6, 40])
def test_local_step_is_the_dense_step_where_all_is_in_reach(monkeypatch, table, chunk):
    monkeypatch.setattr(classical, "TABLE", table)
    monkeypatch.setattr(classical, "_CHUNK", chunk)
    c = make(support=30000.0)  # beyond the antipodes
    d, obs = deviations(c), observe(c)
    increment, reduction = local_step(c, d, obs, ALL)
    expected, taken = dense_step(c, d, obs)
    np.testing.assert_allclose(increment, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(reduction, taken, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("step", [dense_step, lambda *a: local_step(*a[:3], ALL, modes=a[3])])
def test_combined_observations_of_columns_lose_nothing_while_all_are_kept(monkeypatch, step):
    monkeypatch.setattr(classical, "_LEAST_SIGNAL", 1e-12)
    c = make(support=30000.0, ensemble=40)
    d, obs = deviations(c), observe(c, 25)
    increment, reduction = step(c, d, obs, 3)
    expected, taken = dense_step(c, d, obs)
    np.testing.assert_allclose(increment, expected, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(reduction, taken, rtol=1e-7, atol=1e-10)


def test_fewer_combinations_tell_less_and_the_first_the_most():
    c = make(support=30000.0, levels=6, ensemble=40)
    d, obs = deviations(c), observe(c, 60)
    told = [dense_step(c, d, obs, modes)[1].sum() for modes in (1, 2, 6)]
    assert told[0] < told[1] < told[2]
    assert told[1] > 0.8 * told[2]
    rows = Rows.of(c, d, obs).compressed(1)
    assert len(rows.column) == len(torch.unique(c.column[obs.cell]))
    assert (rows.noise == 1).all()


def test_dense_step_on_a_mesh_is_exact_where_it_is_solved():
    c = make(support=20000.0)
    d, obs = deviations(c), observe(c)
    every = torch.arange(len(c.table))
    mesh = Mesh(every, every[:, None], torch.ones(len(every), 1, dtype=torch.float64))
    whole, some = dense_step(c, d, obs), dense_step(c, d, obs, mesh=mesh)
    for a, b in zip(whole, some, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("table", [10**8, 0])
def test_local_step_is_a_naive_solve_in_every_column(monkeypatch, table):
    monkeypatch.setattr(classical, "TABLE", table)
    c = make(support=6000.0)
    d, obs = deviations(c), observe(c, 14)
    p = covariance(c, d)
    increment, reduction = local_step(c, d, obs, ALL)
    reached = 0
    for column, cells in enumerate(c.table):
        cells = cells[cells >= 0].numpy()
        away = great_circle(c.position[[column]], c.position[c.column[obs.cell]])[0]
        use = np.flatnonzero(away.numpy() < c.support)
        reached += len(use)
        expected, variance = naive(p, obs, use)
        np.testing.assert_allclose(increment[:, cells], expected[:, cells], rtol=1e-10, atol=1e-13)
        after = ((1 - reduction) * d**2)[cells]
        np.testing.assert_allclose(after, variance[cells], rtol=1e-10)
    assert 0 < reached < 14 * len(c.table)


def test_a_column_uses_the_nearest_observations():
    c = make(support=20000.0, levels=1)
    d, obs = deviations(c), observe(c, 9)
    increment, _ = local_step(c, d, obs, 3)
    p = covariance(c, d)
    for column, cell in enumerate(c.table[:, 0]):
        away = great_circle(c.position[[column]], c.position[c.column[obs.cell]])[0]
        order = np.argsort(away.numpy())
        if np.diff(away.numpy()[order])[2] < 1e-6:
            continue  # two are equally far
        expected, _ = naive(p, obs, np.sort(order[:3]))
        np.testing.assert_allclose(increment[:, cell], expected[:, cell], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("step", [dense_step, lambda *a: local_step(*a, ALL)])
def test_limits_of_the_observation_error(step):
    c = make(ensemble=60)
    d, obs = deviations(c), observe(c)
    exact, taken = step(c, d, obs._replace(variance=torch.zeros(9, dtype=torch.float64)))
    np.testing.assert_allclose(exact[:, obs.cell], obs.innovation, atol=1e-5)
    np.testing.assert_allclose(taken[obs.cell], 1, atol=1e-5)
    nothing, taken = step(c, d, obs._replace(variance=torch.full((9,), 1e14).double()))
    assert nothing.abs().max() < 1e-10
    assert taken.max() < 1e-10
    reduction = step(c, d, obs)[1]
    assert (reduction >= 0).all()
    assert (reduction <= 1).all()


def test_out_of_reach_nothing_changes():
    c = make(support=1500.0)
    d, obs = deviations(c), observe(c, 1)
    increment, reduction = local_step(c, d, obs, ALL)
    away = great_circle(c.position[c.column], c.position[c.column[obs.cell]])[:, 0] >= 1500
    assert (increment[:, away] == 0).all()
    assert (reduction[away] == 0).all()
    assert (increment[:, ~away] != 0).any()


def test_gain_is_symmetric():
    """What a datum at a does at b is what one at b does at a, for equal errors."""
    c = make(support=20000.0)
    d = deviations(c)
    one, error = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    responses = []
    for here, there in ((2, 20), (20, 2)):
        obs = Observations(torch.tensor([here]), one, error + 1e3 - d[here] ** 2)
        responses.append(dense_step(c, d, obs)[0][0, there].item())
    assert responses[0] == pytest.approx(responses[1], rel=1e-12)
    assert responses[0] != 0


def test_gaspari_cohn():
    r = torch.linspace(0, 3, 601, dtype=torch.float64)
    rho = gaspari_cohn(r, 2.0)
    np.testing.assert_allclose(rho, [tapered(float(x), 2.0) for x in r], atol=1e-14)
    assert rho[0] == 1
    assert (rho[r >= 2] == 0).all()
    assert (rho.diff() <= 1e-15).all()
    # the second derivative is continuous
    assert rho.diff().diff().diff().abs().max() < 1e-5
    assert gaspari_cohn(torch.tensor([1.0]).double(), 2.0).item() == pytest.approx(5 / 24)


@pytest.mark.parametrize("support", [500.0, 5000.0, 20015.0])
def test_localisation_is_positive_definite_on_the_sphere(support):
    rng = torch.Generator().manual_seed(0)
    where = torch.randn(300, 3, generator=rng, dtype=torch.float64)
    where = where / where.norm(dim=1, keepdim=True)
    rho = gaspari_cohn(great_circle(where, where), support)
    assert torch.linalg.eigvalsh(rho).min() > -1e-10
    assert torch.equal(rho, rho.mT)


def test_great_circle_distances():
    degrees = torch.deg2rad(torch.tensor([[0.0, 0.0], [0.0, 90.0], [90.0, 7.0], [0.0, 1e-4]]))
    where = unit_vectors(degrees[:, 0].double(), degrees[:, 1].double())
    away = great_circle(where, where)
    quarter = EARTH_RADIUS * np.pi / 2
    np.testing.assert_allclose(away[0, :3], [0, quarter, quarter], atol=1e-3)
    assert away[0, 3].item() == pytest.approx(EARTH_RADIUS * np.deg2rad(1e-4), rel=1e-5)
    antipode = great_circle(where[:1], -where[:1]).item()
    assert antipode == pytest.approx(np.pi * EARTH_RADIUS)


def test_adjoint_of_the_observation_operator():
    """Gathering cells and scattering to them are adjoint: <Hx, y> = <x, H'y>."""
    c = make()
    n = c.roots.shape[0]
    obs = observe(c)
    rng = torch.Generator().manual_seed(5)
    x = torch.randn(n, generator=rng, dtype=torch.float64)
    y = torch.randn(9, generator=rng, dtype=torch.float64)
    back = torch.zeros(n, dtype=torch.float64).index_add(0, obs.cell, y)
    assert (x[obs.cell] @ y).item() == pytest.approx((x @ back).item(), rel=1e-12)
