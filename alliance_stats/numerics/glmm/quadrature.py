"""−2 log likelihood by adaptive Gauss–Hermite quadrature, for one random effect a group, with its analytic gradient.

A group's integral is σ̂ Σ_j ω_j exp(x_j²) exp l(û + √2σ̂x_j), l = Σ log f − u²/2, around its mode û with σ̂ = H^(−1/2) (Pinheiro &
Chao 2006, doi 10.1198/106186006X96962). One node is Laplace's approximation. The nodes move with û and σ̂: with π_j the share
of a node in the integral, d log I = Σ π_j ∂l_j + κ₁ dû − ½κ₂ d log H, κ₁ = Σ π_j l'_j, κ₂ = 1 + √2σ̂ Σ π_j x_j l'_j.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from alliance_stats.numerics.glmm.laplace import Evaluation
from alliance_stats.numerics.glmm.likelihood import Outer
from alliance_stats.numerics.glmm.mode import SETTLED, Mode, Problem, find_mode
from alliance_stats.numerics.glmm.nested import Nested

ROOT_TWO = float(np.sqrt(2))


@cache
def hermite(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x and log ω + x² of the k-point rule for ∫ exp(−x²) f(x) dx, the weights relative to √π.

    >>> hermite(1)[0].tolist(), hermite(1)[1].tolist()
    ([0.0], [0.0])
    """
    nodes, weights = np.polynomial.hermite.hermgauss(k)
    return nodes, np.log(weights / np.sqrt(np.pi)) + nodes**2


@dataclass(frozen=True, eq=False)
class _Groups:
    """The one level: Λ, z of the rows, and sums and repetitions over the groups, which lie along the last axis."""

    scale: float
    z: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    def sum(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.add.reduceat(rows, self.starts, axis=-1))

    def spread(self, groups: np.ndarray) -> np.ndarray:
        return np.asarray(np.repeat(groups, self.sizes, axis=-1))


@dataclass(frozen=True, eq=False)
class _Nodes:
    """The integrand at the nodes: η and score (k, rows), u, shares of the integral and l' (k, groups); log I (groups,)."""

    eta: np.ndarray
    score: np.ndarray
    u: np.ndarray
    share: np.ndarray
    slope: np.ndarray
    log_integral: np.ndarray


@dataclass(frozen=True, eq=False)
class _Moved:
    """What the nodes follow: û, κ₂/H, and ∂D/∂û divided by its curvature (groups,); the derivative by way of η (rows,)."""

    u: np.ndarray
    k: np.ndarray
    pull: np.ndarray
    whole: np.ndarray


def quadrature(
    given: Problem,
    points: int,
    beta: np.ndarray,
    theta: np.ndarray,
    psi: float = 0.0,
    start: np.ndarray | None = None,
    tolerance: float = SETTLED,
) -> Evaluation:
    """The approximation with ``points`` nodes, for a structure of one level with one random effect."""
    level, scale = given.structure, float(theta[0])
    assert isinstance(level, Nested)
    assert level.Z.shape[1] == 1
    groups = _Groups(scale, level.Z[:, 0], level.starts[0], level.sizes[0])
    mode = find_mode(given, given.offset + given.X @ beta, [np.array([[scale]])], psi, start, tolerance)
    outer, z = given.likelihood.outer(mode.eta, psi, mode.inner), groups.z
    lens = groups.sum(z * z * outer.weight)
    H, u = 1 + scale**2 * lens, scale * groups.sum(z * mode.inner.score)
    nodes = _integrate(given, groups, points, mode, u, H, psi)
    moved = _moved(groups, points, mode, outer, nodes, u, H)
    score = groups.spread(nodes.share) * nodes.score
    in_scale = (
        2 * scale * (moved.k * lens).sum()
        - 2 * (nodes.u * groups.sum(score * z)).sum()
        + (moved.u * groups.sum(moved.whole * z)).sum()
        + (moved.pull * groups.sum(z * mode.inner.score)).sum()
    )
    value = -2 * (float(nodes.log_integral.sum()) + given.likelihood.constant)
    value = value if mode.settled else np.inf
    of_beta = given.X.T @ (moved.whole - 2 * score.sum(axis=0))
    of_psi = _in_psi(given, groups, nodes, moved, outer, psi)
    return Evaluation(value, of_beta, np.array([in_scale]), of_psi, mode)


def _integrate(
    given: Problem, groups: _Groups, points: int, mode: Mode, u: np.ndarray, H: np.ndarray, psi: float
) -> _Nodes:
    x, log_weight = hermite(points)
    at = u + ROOT_TWO * x[:, None] / np.sqrt(H)
    eta = (mode.eta - mode.random) + groups.scale * groups.z * groups.spread(at)
    inner = given.likelihood.inner(eta, psi)
    log_terms = groups.sum(inner.log_f) - at**2 / 2 + log_weight[:, None]
    top = log_terms.max(axis=0)
    terms = np.exp(log_terms - top)
    total = terms.sum(axis=0)
    slope = groups.scale * groups.sum(inner.score * groups.z) - at
    return _Nodes(eta, inner.score, at, terms / total, slope, top + np.log(total) - np.log(H) / 2)


def _moved(
    groups: _Groups, points: int, mode: Mode, outer: Outer, nodes: _Nodes, u: np.ndarray, H: np.ndarray
) -> _Moved:
    x, z, scale = hermite(points)[0][:, None], groups.z, groups.scale
    k1 = (nodes.share * nodes.slope).sum(axis=0)
    k = (1 + ROOT_TWO / np.sqrt(H) * (nodes.share * x * nodes.slope).sum(axis=0)) / H
    by_eta = groups.spread(k * scale**2) * z * z * outer.weight_slope
    bend = 1 + scale**2 * groups.sum(z * z * mode.inner.curvature)
    pull = (scale * groups.sum(z * by_eta) - 2 * k1) / bend
    return _Moved(u, k, pull, by_eta - mode.inner.curvature * z * scale * groups.spread(pull))


def _in_psi(given: Problem, groups: _Groups, nodes: _Nodes, moved: _Moved, outer: Outer, psi: float) -> np.ndarray:
    if not given.likelihood.dispersed:
        return np.zeros(0)
    z, scale = groups.z, groups.scale
    direct = -2 * (groups.spread(nodes.share) * given.likelihood.log_f_psi(nodes.eta, psi)).sum()
    by_H = (groups.spread(moved.k * scale**2) * z * z * outer.weight_psi).sum()
    return np.array([direct + by_H + (groups.spread(moved.pull) * scale * z * outer.score_psi).sum()])
