"""Optima for many responses to one design.

With one grouping factor Newton's method runs for all responses at once. Responses whose Ψ of several random effects comes
out nearly singular, or for which a few steps are not enough, are fitted one by one, as are all in designs with more factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from alliance_stats.numerics.mixed.batch import Batch, Evaluations, build_batch
from alliance_stats.numerics.mixed.crossed import Crossed, build_crossed
from alliance_stats.numerics.mixed.optimise import BESIDE, fit
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.numerics.mixed.search import NEARLY, STEP
from alliance_stats.numerics.mixed.tree import Tree, build_tree, nested_order
from alliance_stats.numerics.mixed.triangles import triangles

AT_ONCE = 4_000_000  # numbers in the largest array of one batch
ROUNDS = 15  # Newton steps after which a response is fitted alone
HALVINGS = 8
CLOSE = 0.02  # a variance's root below which zero itself is tried


@dataclass(frozen=True)
class Fits:
    """Optima of R responses: θ (R, k), the criterion (R,), β (R, p), H_XX⁻¹ (R, p, p), σ² (R,) and if they converged."""

    theta: np.ndarray
    value: np.ndarray
    beta: np.ndarray
    inverse: np.ndarray
    sigma2: np.ndarray
    converged: np.ndarray


def fit_many(
    levels: Sequence[Level], X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None = None, *, reml: bool = True
) -> Fits:
    """The optimum for every column of Y (n, R), levels in the order of elimination."""
    if len(levels) > 1:
        return _joined([_alone(levels, X, y, weights, reml) for y in Y.T])
    level, (n, p), k = levels[0], X.shape, len(levels[0].rows)
    size = max(1, AT_ONCE // (n + (int(level.codes.max()) + 1) * level.q * (k * (p + 1) + 4 * level.q)))
    start = build_tree(levels, X, Y[:, 0], weights).start()
    parts = [
        _fit_batch(build_batch(level, X, Y[:, at : at + size], weights, reml=reml), start)
        for at in range(0, Y.shape[1], size)
    ]
    found = _joined(parts)
    for r in np.flatnonzero(~found.converged):
        one = _alone(levels, X, Y[:, r], weights, reml)
        for field in fields(Fits):
            getattr(found, field.name)[r] = getattr(one, field.name)[0]
    return found


def _joined(parts: Sequence[Fits]) -> Fits:
    return Fits(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Fits)))


def _alone(levels: Sequence[Level], X: np.ndarray, y: np.ndarray, weights: np.ndarray | None, reml: bool) -> Fits:
    nested = nested_order([level.codes for level in levels]) == list(range(len(levels)))
    system: Tree | Crossed = (build_tree if nested else build_crossed)(levels, X, y, weights)
    best = fit(system, reml=reml)
    at = system.evaluate(best.theta, reml=reml, gradient=False)
    one = np.array([best.value]), at.beta[None], at.inverse[None], np.array([at.sigma2]), np.array([best.converged])
    return Fits(best.theta[None], *one)


def _fit_batch(batch: Batch, start: np.ndarray) -> Fits:
    units = batch.units
    theta, converged = _newton(batch, np.tile(np.linalg.solve(units, start), (len(batch.total), 1)))
    if theta.shape[1] == 1:
        theta, converged = _settled_zeros(batch, theta, converged)
    else:
        shape = triangles(batch.diagonal)
        converged &= np.array([shape.smallest(each) > NEARLY for each in theta])
        theta = np.array([shape.positive(each) * each for each in theta])
    at = batch.evaluate(theta)
    beta = batch.origin + at.beta @ batch.turn.T
    return Fits(theta @ units.T, at.value, beta, batch.turn @ at.inverse @ batch.turn.T, at.sigma2, converged)


def _newton(batch: Batch, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """θ (R, k) in the batch's units after Newton's method with differenced Hessians, and where it came to rest."""
    theta, active = theta.copy(), np.arange(len(theta))
    for _ in range(ROUNDS):
        some = batch.of(active)
        at = some.evaluate(theta[active])
        step = _newton_step(some, theta[active], at)
        gain = -np.einsum("rk,rk->r", step, at.gradient)
        going = gain > np.maximum(1e-10, 2e-14 * np.abs(at.value))
        active = active[going]
        if not len(active):
            break
        theta[active] += (
            _lengths(some.of(going), theta[active], step[going], at.value[going], gain[going]) * step[going]
        )
    return theta, ~np.isin(np.arange(len(theta)), active)


def _newton_step(batch: Batch, theta: np.ndarray, at: Evaluations) -> np.ndarray:
    """−H⁻¹∂f, negative curvature turned round, of at most 0.9."""
    R, k = theta.shape
    H, slope = np.empty((R, k, k)), at.gradient
    for j in range(k):
        h = STEP * np.maximum(np.abs(theta[:, j]), 0.1)
        beside = theta.copy()
        beside[:, j] += h
        H[:, j] = (batch.evaluate(beside).gradient - slope) / h[:, None]
    value, vector = np.linalg.eigh((H + H.transpose(0, 2, 1)) / 2)
    size = np.maximum(np.abs(value), 1e-7 * np.abs(value).max(axis=1, keepdims=True) + 1e-12)
    step = -np.einsum("rab,rb,rcb,rc->ra", vector, 1 / size, vector, slope)
    return np.asarray(step * np.minimum(1.0, 0.9 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300)))


def _lengths(batch: Batch, theta: np.ndarray, step: np.ndarray, value: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """How far along its step each response gains, (R, 1); zero where it does not."""
    length, left = np.ones((len(theta), 1)), np.arange(len(theta))
    for _ in range(HALVINGS):
        new = batch.of(left).evaluate(theta[left] + length[left] * step[left]).value
        short = new > value[left] - 1e-4 * length[left, 0] * gain[left] + 4e-15 * np.abs(value[left])
        left = left[short]
        if not len(left):
            return length
        length[left] /= 3
    length[left] = 0.0
    return length


def _settled_zeros(batch: Batch, theta: np.ndarray, converged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A single variance: exactly zero where that is no worse, and not converged where it is lower beside zero."""
    theta = np.abs(theta)
    near = np.flatnonzero(theta[:, 0] < CLOSE)
    if not len(near):
        return theta, converged
    some = batch.of(near)
    here, zero = some.evaluate(theta[near]).value, some.evaluate(0 * theta[near]).value
    enough = np.maximum(1e-10, 2e-14 * np.abs(zero))
    at_zero = zero <= here + enough
    theta[near[at_zero]] = 0.0
    lower = some.evaluate(0 * theta[near] + 1e-3).gradient[:, 0] < 0
    for size in BESIDE:
        lower |= some.evaluate(0 * theta[near] + size).value < zero - enough
    converged = converged.copy()
    converged[near[at_zero & lower]] = False
    return theta, converged
