"""−2 log likelihood by Laplace's approximation, with its analytic gradient in β, θ and ψ.

D = −2 Σ log f(η̂) + û'û + log|H|, η̂ = offset + Xβ + ZΛû. The first two terms are stationary in û; through log|H| the mode
matters: with c_i = ∂log|H|/∂η_i and r = c − WZMZ'c, W the curvature, the whole derivative is r in place of c, and

    ∂D/∂β = X'(r − 2s),    ∂D/∂Λ = Σ_g (q p' + p q' − 2pp')Λ + ∂log|H|/∂Λ,    p = Z_g's, q = Z_g'r,    s = ∂log f/∂η.

Nothing is divided by Λ. The approximation is that of Tierney & Kadane (1986, doi 10.2307/2287970) as lme4 and TMB use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.glmm.likelihood import Outer
from alliance_stats.numerics.glmm.mode import SETTLED, Mode, Problem, find_mode
from alliance_stats.numerics.mixed.parts import elements, factors


@dataclass(frozen=True, eq=False)
class Evaluation:
    """−2 log likelihood, its derivatives in β, θ and ψ (empty without one), and the mode."""

    value: float
    beta: np.ndarray
    theta: np.ndarray
    psi: np.ndarray
    mode: Mode

    @property
    def gradient(self) -> np.ndarray:
        """In β, ψ, θ."""
        return np.concatenate([self.beta, self.psi, self.theta])


def laplace(
    given: Problem,
    beta: np.ndarray,
    theta: np.ndarray,
    psi: float = 0.0,
    start: np.ndarray | None = None,
    tolerance: float = SETTLED,
) -> Evaluation:
    """The approximation at one point; ``start`` is the Zb of a mode nearby."""
    Ls = factors(theta, given.structure.shapes)
    mode = find_mode(given, given.offset + given.X @ beta, Ls, psi, start, tolerance)
    outer = given.likelihood.outer(mode.eta, psi, mode.inner)
    same = outer.weight is mode.inner.curvature
    determinant = mode.factor if same else given.structure.factor(outer.weight, Ls)
    curved, score = determinant.curved(), mode.inner.score
    by_eta = curved.variances * outer.weight_slope
    moved = mode.factor.solve(by_eta)
    whole = by_eta - mode.inner.curvature * moved
    slopes = [
        (q.T @ p + p.T @ q - 2 * p.T @ p) @ L + own
        for p, q, L, own in zip(
            given.structure.sums(score), given.structure.sums(whole), Ls, curved.slopes, strict=True
        )
    ]
    value = -2 * (float(mode.inner.log_f.sum()) + given.likelihood.constant) + mode.penalty + determinant.log_det
    value = value if mode.settled else np.inf
    of_theta = elements(slopes, given.structure.shapes)
    return Evaluation(value, given.X.T @ (whole - 2 * score), of_theta, _in_psi(outer, curved.variances, moved), mode)


def _in_psi(outer: Outer, variances: np.ndarray, moved: np.ndarray) -> np.ndarray:
    if not len(outer.log_f_psi):
        return np.zeros(0)
    each = -2 * outer.log_f_psi + variances * outer.weight_psi + moved * outer.score_psi
    return np.array([each.sum()])
