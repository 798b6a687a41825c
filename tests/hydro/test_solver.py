"""Hydro's scheme: against an exact solution, against the mini-app, and what holds for every state."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("maestro._core", reason="Maestro's library is not built")

import maestro
from maestro.workflows.hydro import solver
from maestro.workflows.hydro.ranks import Block, Simulation, cut
from maestro.workflows.hydro.solver import X, Y

GAMMA = 1.4
# Of the public mini-app Hydro in double precision, 250 x 250 cells: at a step, time, rho_max, rho_min, p_max and speed_max.
MINI_APP = {
    1: (0.0013363062095621224, 1.08529862083524, 0.584802967765589, 82.8521157277176, 2.61340192845662),
    10: (0.034120991957620382, 1.74318577173166, 0.03613760551195, 3.27801669555476, 1.93055326768299),
    20: (0.084611096740965147, 2.0565821730645, 0.020051926300294, 1.45749767577194, 1.31044622303434),
}


def test_the_explosion_is_that_of_the_mini_app():
    run = Simulation.begin("centre", Block((250, 250)))
    for _ in range(max(MINI_APP)):
        run.advance()
        if run.step in MINI_APP:
            rho, vx, vy, p = solver.primitive(run.inner)
            found = (run.time, rho.max(), rho.min(), p.max(), np.hypot(vx, vy).max())
            np.testing.assert_allclose(found, MINI_APP[run.step], rtol=1e-11)


# ---- A shock tube
def wave(p, rho, p0):
    """How much the velocity changes across a wave into gas at rest, behind which the pressure is p."""
    c = np.sqrt(GAMMA * p0 / rho)
    if p > p0:
        return (p - p0) * np.sqrt(2 / (GAMMA + 1) / rho / (p + (GAMMA - 1) / (GAMMA + 1) * p0))
    return 2 * c / (GAMMA - 1) * ((p / p0) ** ((GAMMA - 1) / (2 * GAMMA)) - 1)


def sod(x, time):
    """Exact density of Sod's shock tube (E. F. Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics, section 4.5)."""
    low, high = 0.1, 1.0
    for _ in range(60):
        p = 0.5 * (low + high)
        low, high = (low, p) if wave(p, 1, 1) + wave(p, 0.125, 0.1) > 0 else (p, high)
    v, k, c = wave(p, 0.125, 0.1), (GAMMA - 1) / (GAMMA + 1), np.sqrt(GAMMA)
    behind_fan, behind_shock = p ** (1 / GAMMA), 0.125 * (p / 0.1 + k) / (k * p / 0.1 + 1)
    c_star = c * p ** ((GAMMA - 1) / (2 * GAMMA))
    shock = np.sqrt(GAMMA * 0.1 / 0.125) * np.sqrt((GAMMA + 1) / (2 * GAMMA) * p / 0.1 + (GAMMA - 1) / (2 * GAMMA))
    s = (x - 0.5) / time
    fan = (2 / (GAMMA + 1) - k / c * np.clip(s, -c, v - c_star)) ** (2 / (GAMMA - 1))
    return np.select([s < -c, s < v - c_star, s < v, s < shock], [1.0, fan, behind_fan, behind_shock], 0.125)


def sod_error(n):
    """Mean absolute error of the density with n cells along the tube."""
    run = Simulation.begin("sod", Block((2, n)))
    while run.time < 0.2:
        run.advance()
    assert (run.inner[:, 0] == run.inner[:, 1]).all()
    assert not run.inner[2].any()
    return np.abs(run.inner[0, 0] - sod((np.arange(n) + 0.5) / n, run.time)).mean()


def test_a_shock_tube_converges_to_the_exact_solution():
    errors = [sod_error(n) for n in (100, 200, 400)]
    assert errors[1] < 0.004
    assert all(np.log2(coarse / fine) > 0.75 for coarse, fine in itertools.pairwise(errors))  # 1 at best, with jumps


# ---- Of any state
@st.composite
def states(draw, strongest=1.0):
    """Gas with jumps of all strengths up to one, in every cell; ghost cells not filled."""
    ny, nx = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rho, p = np.exp(draw(st.floats(0, strongest)) * random.standard_normal((2, ny + 4, nx + 4)))
    velocity = draw(st.floats(0, strongest)) * random.standard_normal((2, ny + 4, nx + 4))
    return np.stack([rho, *(rho * velocity), p / (GAMMA - 1) + 0.5 * rho * (velocity**2).sum(axis=0)])


@given(u=states(strongest=0.5))
@settings(max_examples=60, deadline=None)
def test_a_closed_box_keeps_mass_and_energy_to_rounding(u):
    inner = u[:, 2:-2, 2:-2]
    before = inner[[0, 3]].sum(axis=(1, 2))
    for step in range(10):
        solver.advance(u, 0.5 * solver.largest_step(u, 1.0), 1.0, step, solver.walls)
    assert (inner[0] > 0).all()
    assert (solver.pressure(*inner) > 0).all()
    np.testing.assert_allclose(inner[[0, 3]].sum(axis=(1, 2)), before, rtol=1e-13)


@given(u=states())
@settings(max_examples=40, deadline=None)
def test_both_axes_are_treated_alike_bit_for_bit(u):
    turned = u[[0, 2, 1, 3]].swapaxes(1, 2).copy()
    dt = 0.5 * solver.largest_step(u, 1.0)
    solver.advance(u, dt, 1.0, 0, solver.walls)
    solver.advance(turned, dt, 1.0, 1, solver.walls)
    assert (turned[[0, 2, 1, 3]].swapaxes(1, 2)[:, 2:-2, 2:-2] == u[:, 2:-2, 2:-2]).all()


# ---- The cut
@given(cells=st.tuples(st.integers(2, 40), st.integers(2, 40)), ranks=st.integers(1, 12))
@settings(deadline=None)
def test_blocks_tile_the_grid_and_have_cells_for_their_neighbours_ghosts(cells, ranks):
    if all(cells[Y] // rows < 2 or cells[X] // (ranks // rows) < 2 for rows in range(1, ranks + 1) if ranks % rows == 0):
        with pytest.raises(maestro.ArgumentError, match="use fewer ranks"):
            cut(cells, ranks)
        return
    owners = np.zeros(cells, int)
    for rank in range(ranks):
        block = Block(cells, SimpleNamespace(rank=rank, size=ranks))
        assert min(block.shape) >= 2
        owners[tuple(slice(low, low + n) for low, n in zip(block.low, block.shape, strict=True))] += 1
    assert (owners == 1).all()
