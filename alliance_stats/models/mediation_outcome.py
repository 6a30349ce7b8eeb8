"""The outcome equation on its own: mean and new values for rows with their own exposure and mediators."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.models.mediation_equations import Equation
from alliance_stats.numerics.mediation import cdf, response_mean
from alliance_stats.numerics.mediation_fit import glm_weights

TINY = 1e-30  # complex step


def outcome_mean(
    outcome: Equation, phi: np.ndarray, covariance: np.ndarray, frame: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and its standard error by the delta method, shape (rows,) each; thresholds count as known."""
    X = outcome.design.matrix(frame)[:, outcome.columns]
    where = outcome.block.coefficients
    eta = X @ outcome.coefficients
    fitted = response_mean(outcome.block, phi[None], eta[None])[0]
    variance = np.einsum("ij,jk,ik->i", X, covariance[where, where], X)
    return fitted, _mean_change(outcome, phi, eta) * np.sqrt(np.maximum(variance, 0))


def outcome_draws(outcome: Equation, phi: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """New outcomes of the rows of the fit, shape (n, rows)."""
    family, fitted = outcome.family, outcome.fit.fitted
    shape = (n, len(fitted))
    if family.name == "gaussian":
        return np.asarray(fitted + outcome.sigma * rng.standard_normal(shape))
    if family.name == "poisson":
        return rng.poisson(fitted, shape).astype(float)
    if family.name == "binomial":
        return np.asarray(rng.random(shape) < fitted, dtype=float)
    below = cdf(family.link, phi[outcome.block.thresholds] - outcome.fit.eta[:, None])
    level = (rng.random(shape)[..., None] > below).sum(axis=-1)
    return np.asarray(np.array(family.scores)[level])


def _mean_change(outcome: Equation, phi: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Derivative of the mean in the linear predictor."""
    if outcome.family.link == "identity":
        return np.ones(len(eta))
    if outcome.family.name == "ordinal":
        moved = response_mean(outcome.block, (phi + 0j)[None], (eta + 1j * TINY)[None])[0]
        return np.asarray(np.abs(moved.imag) / TINY)
    if outcome.family.link == "probit":
        return np.asarray(np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi))
    return glm_weights(eta, outcome.y[:1], outcome.family)[1]
