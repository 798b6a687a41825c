"""The scheme of the mini-app Hydro in numpy: an ideal gas in a closed box, second order, one direction after the other.

A state is an array (4, ny + 4, nx + 4) of float64: density, momentum in x, momentum in y, total energy per volume, with two ghost cells
on each side. The caller fills them before each sweep (`walls` where the box ends), and no MPI is known here.

MUSCL-Hancock with limited slopes, traced along characteristics, and a two-shock approximate Riemann solver: P. Colella, SIAM J. Sci.
Stat. Comput. 6 (1985) 104; P. Colella and H. M. Glaz, J. Comput. Phys. 59 (1985) 264.

Invariant: a cell's new value depends on the values near it alone, bit for bit, wherever it lies in the array: only elementwise
operations that IEEE 754 rounds exactly, and no sums. So results do not depend on how a grid is cut.

Not promised: density and pressure are bounded from below where they are computed with, as in the mini-app, but in a state without any
smoothness the scheme may leave a cell with less energy than its motion has.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["CASES", "FIELDS", "GHOSTS", "X", "Y", "advance", "initial", "largest_step", "pressure", "walls", "width"]

FIELDS = ("rho", "mx", "my", "E")
Y, X = 0, 1  # axes
GHOSTS = 2
GAMMA, COURANT = 1.4, 0.8
SMALL = 1e-10  # least density, and least speed of sound
SMALL_P = SMALL**2 / GAMMA  # least pressure per density
NEWTON, ENOUGH = 10, 1e-6  # iterations of the Riemann solver at most; the relative change of pressure at which a face is done
GAMMA6 = (GAMMA + 1) / (2 * GAMMA)
CASES = {"sod": 1.0, "corner": 12.5, "centre": 12.5}  # and the width of the box


# ---- The start
def width(case: str, nx: int) -> float:
    """The width of a cell, in x and in y."""
    return CASES[case] / nx


def initial(case: str, cells: tuple[int, int], low: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """
    The state at time 0 of a block of a grid, without ghost cells.

    Parameters
    ----------
    case : {"sod", "corner", "centre"}
        A shock tube along x; a point explosion in the corner or in the centre of gas at rest.
    cells : tuple of int
        (ny, nx) of the grid.
    low, shape : tuple of int
        Where the block begins, and its cells.
    """
    ny, nx = cells
    y, x = np.ogrid[low[Y] : low[Y] + shape[Y], low[X] : low[X] + shape[X]]
    u = np.zeros((len(FIELDS), *shape))
    if case == "sod":
        left = (2 * x < nx) & (y >= 0)
        u[0], u[3] = np.where(left, 1.0, 0.125), np.where(left, 1.0, 0.1) / (GAMMA - 1)
    else:
        at = (0, 0) if case == "corner" else (ny // 2, nx // 2)
        u[0], u[3] = 1.0, np.where((y == at[Y]) & (x == at[X]), width(case, nx) ** -2, 1e-5)
    return u


# ---- A time step
def largest_step(u: np.ndarray, dx: float) -> float:
    """The time step that the cells of a state allow."""
    rho, vx, vy, p = primitive(u[:, GHOSTS:-GHOSTS, GHOSTS:-GHOSTS])
    c = np.sqrt(GAMMA * p / rho)
    return COURANT * dx / max(float((c + np.abs(vx)).max()), float((c + np.abs(vy)).max()), SMALL)


def advance(u: np.ndarray, dt: float, dx: float, step: int, fill: Callable[[np.ndarray, int], None]) -> None:
    """One time step in place: even ones go along x and then along y, odd ones the other way; `fill(u, axis)` fills an axis's ghosts."""
    for axis in (X, Y) if step % 2 == 0 else (Y, X):
        fill(u, axis)
        sweep(u, dt / dx, axis)


def walls(u: np.ndarray, axis: int, low: bool = True, high: bool = True) -> None:
    """Fill the ghost cells at the low and the high end of an axis as reflecting walls do."""
    rows = np.moveaxis(u, 1 + axis, 0)
    sign = np.ones((4, 1))
    sign[2 if axis == Y else 1] = -1.0
    if low:
        rows[0], rows[1] = sign * rows[3], sign * rows[2]
    if high:
        rows[-1], rows[-2] = sign * rows[-4], sign * rows[-3]


def sweep(u: np.ndarray, dtdx: float, axis: int) -> None:
    """Advance the inner cells by the fluxes along one axis, whose ghost cells are filled."""
    along, across = (1, 2) if axis == X else (2, 1)
    inside = u[:, GHOSTS:-GHOSTS] if axis == X else u[:, :, GHOSTS:-GHOSTS].swapaxes(1, 2)
    q = primitive(inside, along, across)
    low, high = trace(q[..., 1:-1], slopes(q), dtdx)
    rho, v, w, p = riemann(high[..., :-1], low[..., 1:])
    mass = rho * v
    energy = v * (p / (GAMMA - 1) + 0.5 * rho * (v * v + w * w) + p)
    for field, flux in ((0, mass), (along, mass * v + p), (across, mass * w), (3, energy)):
        inside[field, :, GHOSTS:-GHOSTS] += dtdx * (flux[:, :-1] - flux[:, 1:])


def primitive(u: np.ndarray, along: int = 1, across: int = 2) -> np.ndarray:
    """Density, velocity along and across, pressure; of the same shape."""
    q = np.empty(u.shape)
    q[0] = np.maximum(u[0], SMALL)
    q[1], q[2] = u[along] / q[0], u[across] / q[0]
    inner = u[3] / q[0] - 0.5 * (q[1] * q[1] + q[2] * q[2])
    q[3] = np.maximum((GAMMA - 1) * q[0] * inner, q[0] * SMALL_P)
    return q


def pressure(rho: np.ndarray, mx: np.ndarray, my: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Pressure from the conserved variables."""
    return (GAMMA - 1) * (energy - 0.5 * (mx * mx + my * my) / rho)


def slopes(q: np.ndarray) -> np.ndarray:
    """Differences along the last axis, limited: none at an extremum, else the least of both sides and their mean."""
    steps = np.diff(q)
    before, after = steps[..., :-1], steps[..., 1:]
    mean = 0.5 * (before + after)
    least = np.minimum(np.minimum(np.abs(before), np.abs(after)), np.abs(mean))
    return np.where(before * after > 0, np.copysign(least, mean), 0.0)


def trace(q: np.ndarray, dq: np.ndarray, dtdx: float) -> tuple[np.ndarray, np.ndarray]:
    """Each cell's state at its low and its high face, half a step later."""
    rho, v, _, p = q
    c = np.sqrt(GAMMA * p / rho)
    forth = 0.5 * (dq[3] / (rho * c) + dq[1]) * rho / c  # amplitudes of the waves
    back = 0.5 * (dq[3] / (rho * c) - dq[1]) * rho / c
    still = dq[0] - dq[3] / (c * c)
    faces = []
    for side in (1.0, -1.0):  # the low face, the high face
        plus, minus, zero = (-0.5 * (speed * dtdx + side) for speed in (v + c, v - c, v))
        up, down = plus * forth, minus * back
        face = np.empty(q.shape)
        face[0] = rho + (up + down + zero * still)
        face[1] = v + (up - down) * c / rho
        face[2] = q[2] + zero * dq[2]
        face[3] = p + (up + down) * (c * c)
        faces.append(face)
    return faces[0], faces[1]


def riemann(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The state at faces between two constant states, for all later times."""
    rl, rr = np.maximum(left[0], SMALL), np.maximum(right[0], SMALL)
    pl, pr = np.maximum(left[3], rl * SMALL_P), np.maximum(right[3], rr * SMALL_P)
    vl, vr = left[1], right[1]
    star = star_pressure(rl, vl, pl, rr, vr, pr)
    wl = np.sqrt(GAMMA * pl * rl * (1 + GAMMA6 * (star - pl) / pl))
    wr = np.sqrt(GAMMA * pr * rr * (1 + GAMMA6 * (star - pr) / pr))
    speed = 0.5 * (vl + (pl - star) / wl + vr - (pr - star) / wr)
    from_left = speed > 0
    sign = np.where(from_left, 1.0, -1.0)
    r, v, p, w, across = (
        np.where(from_left, ours, theirs) for ours, theirs in ((rl, rr), (vl, vr), (pl, pr), (wl, wr), (left[2], right[2]))
    )
    c = np.maximum(np.sqrt(GAMMA * p / r), SMALL)
    r_star = np.maximum(r / (1 + r * (p - star) / (w * w)), SMALL)
    c_star = np.maximum(np.sqrt(GAMMA * star / r_star), SMALL)
    shock = w / r - sign * v
    head = np.where(star >= p, shock, c - sign * v)  # speeds at which the wave towards us begins and ends
    tail = np.where(star >= p, shock, c_star - sign * speed)
    inside = np.clip(0.5 * (1 + (head + tail) / np.maximum(head - tail, SMALL + np.abs(head + tail))), 0.0, 1.0)
    share = np.where(tail > 0, 1.0, np.where(head < 0, 0.0, inside))
    face = np.empty(left.shape)
    face[0] = share * r_star + (1 - share) * r
    face[1] = share * speed + (1 - share) * v
    face[2] = across
    face[3] = share * star + (1 - share) * p
    return face


def star_pressure(rl, vl, pl, rr, vr, pr) -> np.ndarray:
    """Pressure between the two waves, as if both were shocks, by Newton's method; a face that is done changes no more."""
    cl, cr = GAMMA * pl * rl, GAMMA * pr * rr
    wl, wr = np.sqrt(cl), np.sqrt(cr)
    star = np.maximum(((wr * pl + wl * pr) + wl * wr * (vl - vr)) / (wl + wr), 0.0).ravel()
    rest, sides = np.arange(star.size), [values.ravel() for values in (cl, pl, vl, cr, pr, vr)]
    for _ in range(NEWTON):
        now, (cl, pl, vl, cr, pr, vr) = star[rest], (values[rest] for values in sides)
        wl, wr = np.sqrt(cl * (1 + GAMMA6 * (now - pl) / pl)), np.sqrt(cr * (1 + GAMMA6 * (now - pr) / pr))
        ql, qr = 2 * wl * (wl * wl) / (wl * wl + cl), 2 * wr * (wr * wr) / (wr * wr + cr)
        gap = (vl - (now - pl) / wl) - (vr + (now - pr) / wr)
        change = np.maximum(qr * ql / (qr + ql) * gap, -now)
        star[rest] = now = now + change
        rest = rest[np.abs(change / (now + SMALL * SMALL_P)) > ENOUGH]
        if not rest.size:
            break
    return star.reshape(rl.shape)
