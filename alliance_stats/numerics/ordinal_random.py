"""Cumulative link models with a random intercept of one factor, by Laplace's approximation or adaptive quadrature.

A group's integral of exp{Σ log p − u²/2}/√2π around its mode û with curvature h: k nodes û + √2 h^(−½)x_j (Pinheiro & Chao
2006, doi 10.1198/106186006X96962); one node is Laplace. Search and second derivatives are by central differences of the
criterion, in coordinates in which the fit without random effects has the identity as Hessian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.glmm.quadrature import hermite
from alliance_stats.numerics.ordinal import Cumulative, CumulativeFit, logs

LIMIT = 100
STEP = 1e-3  # of differences, in standard errors of the fit without random effects
NOTHING = 1e-4  # standard deviation that is a zero
Criterion = Callable[[np.ndarray], float]


@dataclass(frozen=True, eq=False)
class RandomFit:
    """φ̂ and σ̂, their joint covariance (zero for a σ̂ of zero), modes σ̂û with their deviations, −2 log likelihood."""

    phi: np.ndarray
    sigma: float
    covariance: np.ndarray
    modes: np.ndarray
    spread: np.ndarray
    deviance: float
    converged: bool


@dataclass(frozen=True, eq=False)
class Setting:
    """The rows, their groups 0 … G − 1, and the number of nodes."""

    model: Cumulative
    codes: np.ndarray
    groups: int
    nodes: int

    def modes(self, phi: np.ndarray, sigma: float, start: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """û and h of the groups; None where thresholds are out of order."""
        a, b = self.model.ends(phi)
        u = start
        for _ in range(LIMIT):
            at = logs(self.model.link, a - sigma * u[self.codes], b - sigma * u[self.codes])
            if at is None:
                return None
            score = -sigma * np.bincount(self.codes, at.a + at.b, self.groups) - u
            h = 1 - sigma**2 * np.bincount(self.codes, at.aa + 2 * at.ab + at.bb, self.groups)
            step = np.clip(score / h, -2.0, 2.0)
            u = u + step
            if np.abs(step).max() < 1e-9:
                return u, h
        return None

    def deviance(self, phi: np.ndarray, sigma: float) -> float:
        """−2 log likelihood; infinite where there is none."""
        found = self.modes(phi, sigma, np.zeros(self.groups))
        if found is None:
            return np.inf
        u, h = found
        a, b = self.model.ends(phi)
        x, weight = hermite(self.nodes)
        logged = np.empty((self.nodes, self.groups))
        for j in range(self.nodes):
            v = u + np.sqrt(2 / h) * x[j]
            at = logs(self.model.link, a - sigma * v[self.codes], b - sigma * v[self.codes])
            if at is None:
                return np.inf
            logged[j] = weight[j] + np.bincount(self.codes, at.value, self.groups) - v**2 / 2
        peak = logged.max(axis=0)
        return float(-2 * np.sum(peak + np.log(np.exp(logged - peak).sum(axis=0)) - np.log(h) / 2))


def fit_random(model: Cumulative, codes: np.ndarray, nodes: int, plain: CumulativeFit) -> RandomFit:
    """The optimum from that of the fit without random effects and a standard deviation of ½."""
    setting = Setting(model, codes, int(codes.max()) + 1, nodes)
    L = np.linalg.inv(np.linalg.cholesky(plain.information)).T
    q = len(plain.phi)
    unit = 0.1

    def value(t: np.ndarray) -> float:
        return setting.deviance(plain.phi + L @ t[:q], unit * t[q])

    t, converged = _descend(value, np.append(np.zeros(q), 0.5 / unit))
    t, H, polished = _polish(value, t)
    sigma = abs(unit * t[q])
    if sigma < NOTHING or -2 * plain.log_likelihood <= value(t) + 1e-9:
        covariance = np.zeros((q + 1, q + 1))
        covariance[:q, :q] = np.linalg.inv(plain.information)
        empty = np.zeros(setting.groups)
        return RandomFit(plain.phi, 0.0, covariance, empty, empty, -2 * plain.log_likelihood, True)
    back = np.zeros((q + 1, q + 1))
    back[:q, :q], back[q, q] = L, unit * np.sign(t[q])
    phi = plain.phi + L @ t[:q]
    covariance = 2 * back @ np.linalg.inv(H) @ back.T
    found = setting.modes(phi, sigma, np.zeros(setting.groups))
    if found is None:
        raise np.linalg.LinAlgError("no mode of the random effects")
    u, h = found
    return RandomFit(
        phi, sigma, (covariance + covariance.T) / 2, sigma * u, sigma / np.sqrt(h), value(t), converged and polished
    )


def _gradient(value: Criterion, t: np.ndarray, step: float = STEP) -> np.ndarray:
    """Fourth-order central differences."""
    return np.array(
        [
            (8 * (value(t + e) - value(t - e)) - (value(t + 2 * e) - value(t - 2 * e))) / (12 * step)
            for e in step * np.eye(len(t))
        ]
    )


def _descend(value: Criterion, t: np.ndarray) -> tuple[np.ndarray, bool]:
    """BFGS with halved steps."""
    H, f, g = np.eye(len(t)) / 2, value(t), _gradient(value, t)
    for _ in range(LIMIT):
        step = -H @ g
        if -float(step @ g) < 1e-9:
            return t, True
        length = 1.0 / max(1.0, float(np.abs(step).max()) / 5)
        while length > 1e-8 and not value(t + length * step) <= f + 1e-4 * length * float(step @ g):
            length /= 2
        if length <= 1e-8:
            return t, False
        s, old = length * step, g
        t = t + s
        f, g = value(t), _gradient(value, t)
        y = g - old
        if (sy := float(s @ y)) > 1e-12:
            turn = np.eye(len(t)) - np.outer(s, y) / sy
            H = turn @ H @ turn.T + np.outer(s, s) / sy
    return t, False


def _polish(value: Criterion, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Newton steps from differences near the optimum, and the Hessian there."""
    H = _hessian(value, t)
    for _ in range(4):
        if np.linalg.eigvalsh(H)[0] <= 0:
            return t, H, False
        g = _gradient(value, t)
        step = -np.linalg.solve(H, g)
        if -float(step @ g) < 1e-13 or value(t + step) > value(t) + 1e-9:
            break
        t = t + step
    return t, _hessian(value, t), bool(-float(step @ g) < 1e-6)


def _hessian(value: Criterion, t: np.ndarray, step: float = 0.02) -> np.ndarray:
    """Second differences at two widths, extrapolated."""
    wide, narrow = (_second(value, t, width) for width in (step, step / 2))
    return np.asarray((4 * narrow - wide) / 3)


def _second(value: Criterion, t: np.ndarray, step: float) -> np.ndarray:
    q, centre = len(t), value(t)
    E = step * np.eye(q)
    H = np.empty((q, q))
    for i in range(q):
        H[i, i] = (value(t + E[i]) - 2 * centre + value(t - E[i])) / step**2
        for j in range(i):
            pairs = [value(t + a * E[i] + b * E[j]) * a * b for a in (1, -1) for b in (1, -1)]
            H[i, j] = H[j, i] = sum(pairs) / (4 * step**2)
    return H
