"""Second derivatives at the optimum, from which standard errors come."""

from __future__ import annotations

from functools import partial

import numpy as np

from alliance_stats.numerics.glmm.search import Fitted
from alliance_stats.numerics.threads import blas_threads


def joint_hessian(found: Fitted, moving: np.ndarray) -> tuple[np.ndarray, float]:
    """Hessian of −2 log likelihood in (β, ψ, θ[moving]) by central differences of the analytic gradient, and its asymmetry.

    The asymmetry, the largest difference between mirrored elements on the scale of their diagonals, measures the error of the
    differences. ψ at a bound is left out.
    """
    setting, p = found.setting, len(found.beta)
    dispersed = setting.problem.likelihood.dispersed and not found.at_bound
    origin = np.r_[np.linalg.solve(setting.turn, found.beta), [found.psi] * dispersed, found.theta[moving]]
    steps = np.r_[np.full(p, 1e-3), [1e-3] * dispersed, 1e-4 * np.maximum(np.abs(found.theta[moving]), 0.1)]
    gradient = partial(_gradient, found, moving, dispersed)
    with blas_threads(setting.problem.structure.dense):
        H = np.array([(gradient(origin + h) - gradient(origin - h)) / (2 * h.max()) for h in np.diag(steps)])
    scale = np.sqrt(np.maximum(np.abs(np.diag(H)), 1e-300))
    off = float(np.abs((H - H.T) / np.outer(scale, scale)).max())
    back = np.eye(len(H))
    back[:p, :p] = np.linalg.inv(setting.turn)
    return np.asarray(back.T @ ((H + H.T) / 2) @ back), off


def _gradient(found: Fitted, moving: np.ndarray, dispersed: bool, point: np.ndarray) -> np.ndarray:
    p = len(found.beta)
    psi = float(point[p]) if dispersed else found.psi
    theta = found.theta.copy()
    theta[moving] = point[p + dispersed :]
    setting = found.setting
    at = setting.evaluate(setting.problem, point[:p], theta, psi, found.at.mode.random, 1e-8)
    return np.concatenate([at.beta, at.psi[: int(dispersed)], at.theta[moving]])
