"""Arrays of multilevel mediation: moments of products, covariances from θ, groups drawn again, and their posteriors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alliance_stats.numerics.mixed.effects import posterior
from alliance_stats.numerics.mixed.grouped import Family, family
from alliance_stats.numerics.mixed.leaves import Cells, Groups
from alliance_stats.numerics.mixed.optimise import differenced_hessian
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.numerics.mixed.tree import Tree

Function = Callable[[np.ndarray], np.ndarray]
ENOUGH = 1e-6  # expected gain in −2 log likelihood below which a resample's descent ends
LONGEST, SHORTEST = 0.9, 1e-6  # step in search units, and the part of it below which the descent gives up
TINY = 1e-30  # imaginary step: derivatives without a difference


def product_variance(a: np.ndarray, b: np.ndarray, va: np.ndarray, vb: np.ndarray, cab: np.ndarray) -> np.ndarray:
    """Var(AB) of jointly normal A and B (Bauer, Preacher & Gil 2006, equation 11).

    >>> float(product_variance(np.array(0.0), np.array(0.0), np.array(1.0), np.array(4.0), np.array(0.0)))
    4.0
    """
    return np.asarray(b**2 * va + a**2 * vb + va * vb + 2 * a * b * cab + cab**2)


def lower(q: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the lower triangle, in the order in which covariances are kept."""
    return np.tril_indices(q)


def covariance_parameters(t: np.ndarray, levels: Sequence[Level], strata: int, least: int) -> np.ndarray:
    """Lower triangles of σ²ΛΛ' of every level, then the residual variances, from t = (θ of strata, θ of levels, σ)."""
    s2, at, found = t[-1] ** 2, strata - 1, []
    for level in levels:
        L = np.zeros((level.q, level.q), dtype=t.dtype)
        L[level.rows, level.columns] = t[at : at + len(level.rows)]
        found.append(s2 * (L @ L.T)[lower(level.q)])
        at += len(level.rows)
    residual = np.full(strata, s2)
    residual[np.arange(strata) != least] = s2 * (1 + t[: strata - 1] ** 2)
    return np.concatenate([*found, residual])


def gradients(function: Function, at: np.ndarray) -> np.ndarray:
    """Derivatives (values, parameters) of a function of rows of parameters, by the imaginary step.

    >>> gradients(lambda p: p[..., :1] * p[..., 1:], np.array([2.0, 3.0])).tolist()
    [[3.0, 2.0]]
    """
    return np.asarray(function(at + 1j * TINY * np.eye(len(at))).imag.T / TINY)


def delta_variances(function: Function, at: np.ndarray, V: np.ndarray, *, second: bool) -> np.ndarray:
    """g'Vg of every value, with ½ tr(HVHV) added where ``second``: exact for sums of products of normal estimates."""
    J = gradients(function, at)
    variance = np.einsum("ij,jk,ik->i", J, V, J)
    if second:
        steps = 1e-4 * np.maximum(np.abs(at), 0.1)
        H = [(gradients(function, at + h) - gradients(function, at - h)) / (2 * h.max()) for h in np.diag(steps)]
        HV = np.array(H).transpose(1, 0, 2) @ V
        variance += np.einsum("ijk,ikj->i", HV, HV) / 2
    return np.asarray(np.maximum(variance, 0.0))


def redrawn(tree: Tree, rng: np.random.Generator, *, within: bool = False) -> Tree:
    """A tree of rows within groups (within larger groups), the largest groups drawn with replacement.

    Groups are drawn with their cross-products, so that nothing is computed from rows again; copies are groups of their own.
    ``within`` draws the groups of every larger group drawn again, too.
    """
    if len(tree.above) == 1:
        above: tuple[Family, ...] = tree.above
        chosen = rng.integers(len(tree.B), size=len(tree.B))
    else:
        outer = tree.above[0]
        top = rng.integers(len(outer.starts), size=len(outer.starts))
        chosen, inner = members(outer, top)
        if within:
            chosen = np.repeat(outer.starts[top], inner.sizes) + rng.integers(np.repeat(inner.sizes, inner.sizes))
        above = (inner, tree.above[1])
    rows, parents = members(tree.finest.parents, chosen)
    finest: Groups | Cells
    if isinstance(tree.finest, Cells):
        finest = Cells(tree.finest.A[rows], tree.finest.count[rows], tree.finest.P[rows], parents)
        n = int(finest.count.sum())
    else:
        finest, n = Groups(tree.finest.A[rows], tree.finest.K[rows], parents), len(rows)
    return replace(tree, n=n, finest=finest, B=tree.B[chosen], above=above)


def members(groups: Family, chosen: np.ndarray) -> tuple[np.ndarray, Family]:
    """The members of the chosen groups, side by side, and their families.

    >>> members(family(np.array([0, 2]), 5), np.array([1, 1]))[0].tolist()
    [2, 3, 4, 2, 3, 4]
    """
    sizes = groups.sizes[chosen]
    ends = np.cumsum(sizes)
    index = np.repeat(groups.starts[chosen] - (ends - sizes), sizes) + np.arange(int(ends[-1]))
    return index, family(ends - sizes, int(ends[-1]))


@dataclass(frozen=True, eq=False)
class Metric:
    """Where the descent of resamples begins: θ, the inverse Hessian there, and the matrix that makes θ from search units."""

    start: np.ndarray
    inverse: np.ndarray
    to_units: np.ndarray


def metric(tree: Tree, theta: np.ndarray, *, reml: bool) -> Metric:
    """That of the whole sample, whose optimum lies near those of its resamples; beside every zero, where θ cannot move."""
    units = tree.units
    start = np.where(tree.diagonal & (np.abs(theta) < 0.05 * tree.scale), 0.05 * tree.scale, theta)
    H = units.T @ differenced_hessian(lambda t: tree.evaluate(t, reml=reml).gradient, start) @ units
    value, vector = np.linalg.eigh((H + H.T) / 2)
    half = units @ vector / np.sqrt(np.maximum(np.abs(value), 1e-3 * np.abs(value).max()))
    return Metric(start, half @ half.T, np.linalg.inv(units))


def descend(tree: Tree, given: Metric, *, reml: bool, limit: int = 60) -> np.ndarray | None:
    """A stationary θ by BFGS from the optimum and curvature of the whole sample; None where ``limit`` steps do not reach it.

    It ends where a further step is expected to gain less than ``ENOUGH``: a thousandth of a standard error.
    """
    theta, W = given.start, given.inverse
    at = tree.evaluate(theta, reml=reml)
    for _ in range(limit):
        step = -W @ at.gradient
        gain = -float(at.gradient @ step)
        if gain < ENOUGH:
            return theta
        length = min(1.0, LONGEST / float(np.abs(given.to_units @ step).max()))
        new = tree.evaluate(theta + length * step, reml=reml)
        while new.value > at.value - 1e-4 * length * gain and length > SHORTEST:
            length *= float(np.clip(gain * length / (2 * (new.value - at.value + gain * length)), 0.1, 0.5))
            new = tree.evaluate(theta + length * step, reml=reml)
        if length <= SHORTEST:
            return None
        move, turn = length * step, new.gradient - at.gradient
        bend = float(move @ turn)
        if bend > 1e-10 * float(np.linalg.norm(move) * np.linalg.norm(turn)):
            Wt = W @ turn
            W = (
                W
                + np.outer(move, move) * (1 + turn @ Wt / bend) / bend
                - (np.outer(Wt, move) + np.outer(move, Wt)) / bend
            )
        theta, at = theta + move, new
    return None


@dataclass(frozen=True, eq=False)
class Posterior:
    """Means (groups, q + r + p) and covariances of a group's effects, its r larger groups' effects over their factor, and β."""

    means: np.ndarray
    covariance: np.ndarray


def group_posterior(
    levels: Sequence[Level], factors: Sequence[np.ndarray], X: np.ndarray, y: np.ndarray, precision: np.ndarray
) -> Posterior:
    """Random effects of the groups of the first level, together with those of the larger groups they lie in and with β.

    ``factors`` are σΛ, ``precision`` (rows,) the inverse residual variances. The prediction variances are those of Henderson's
    mixed-model equations: unlike lme4's ``condVar`` they hold what is not known of β.
    """
    first = levels[0]
    T = np.column_stack([*(level.Z @ L for level, L in zip(levels[1:], factors[1:], strict=True)), X, y])
    order = np.argsort(first.codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(first.codes[order]) > 0])
    A, K, B = (
        np.add.reduceat((left * precision[:, None])[order][:, :, None] * right[order][:, None, :], starts, axis=0)
        for left, right in ((first.Z, first.Z), (first.Z, T), (T, T))
    )
    M = posterior(A, factors[0])
    own, known = _own_columns(levels, X.shape[1])
    H = np.zeros((known + X.shape[1] + 1,) * 2)
    H[range(known), range(known)] = 1.0
    columns = np.column_stack([own, np.full(len(own), len(H) - 1)])
    np.add.at(H, (columns[:, :, None], columns[:, None, :]), B - K.transpose(0, 2, 1) @ M @ K)
    C = np.linalg.inv(H[:-1, :-1])
    gamma, E = (C @ H[:-1, -1])[own], M @ K[:, :, :-1]
    modes = np.einsum("gab,gb->ga", M, K[:, :, -1]) - np.einsum("gab,gb->ga", E, gamma)
    outer = C[own[:, :, None], own[:, None, :]]
    cross = -E @ outer
    inner = M - cross @ E.transpose(0, 2, 1)
    joint = [np.concatenate([inner, cross], axis=2), np.concatenate([cross.transpose(0, 2, 1), outer], axis=2)]
    return Posterior(np.concatenate([modes, gamma], axis=1), np.concatenate(joint, axis=1))


def _own_columns(levels: Sequence[Level], p: int) -> tuple[np.ndarray, int]:
    """Unknowns of each group beside its own effects, (groups, r + p): its larger groups' and β; and how many precede β."""
    first = np.unique(levels[0].codes, return_index=True)[1]
    parts, start = [], 0
    for level in levels[1:]:
        parts.append(start + level.codes[first][:, None] * level.q + np.arange(level.q))
        start += (int(level.codes.max()) + 1) * level.q
    return np.concatenate([*parts, np.broadcast_to(start + np.arange(p), (len(first), p))], axis=1), start
