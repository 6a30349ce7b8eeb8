"""Predictions of generalised mixed models: at known groups, at random effects of zero, and averaged over the groups.

The mean of an outcome is not linear in the random effects: at random effects of zero it is that of a typical therapist, which
is not the average over therapists. The average is the integral of the mean over the normal distribution of the linear
predictor's random part, z'Ψz: in closed form for the log link, else by the trapezoidal rule, whose error for such integrands
falls exponentially with the step (Gauss–Hermite nodes are too far apart where the effects vary much more than the link bends).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.models.generalized_response import read_exposure, read_trials
from alliance_stats.models.mixed_groupings import known_groups, random_columns
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.mixed.effects import level_factors
from alliance_stats.result import Result

if TYPE_CHECKING:
    from alliance_stats.models.generalized import GeneralizedState

Scale = Literal["response", "mean", "link"]
Groups = Literal["conditional", "population", "typical"]
REACH = 8.5  # standard deviations to either side
STEP = 0.25, 0.5  # largest step, in standard deviations and on the scale of the linear predictor
AT_ONCE = 2_000_000  # numbers held at once


def averaged(link: str, eta: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of μ(η + e), e ~ N(0, variance), and its derivatives in η and in the variance, each (rows,).

    >>> [round(float(x[0]), 3) for x in averaged("logit", np.array([1.0]), np.array([1.0]))]
    [0.697, 0.178, -0.026]
    """
    function, varying = LINKS[link], np.flatnonzero(variance > 0)
    at = function.slopes(eta)
    mean, slope, bend = at.mean.copy(), at.first.copy(), at.second / 2
    if link == "log":
        grown = np.exp(np.minimum(eta + variance / 2, 700.0))
        return grown, grown, grown / 2
    nodes, weights = _normal_nodes(float(np.sqrt(np.nanmax(variance, initial=0.0))))
    for rows in np.array_split(varying, 1 + len(varying) * len(nodes) // AT_ONCE):
        spread = eta[rows, None] + np.sqrt(variance[rows, None]) * nodes
        each = function.slopes(spread)
        mean[rows], slope[rows], bend[rows] = each.mean @ weights, each.first @ weights, each.second @ weights / 2
    return mean, slope, bend


def averaged_mean(link: str, eta: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Mean of μ(η + e), e ~ N(0, variance), alone."""
    if link == "log":
        return averaged(link, eta, variance)[0]
    nodes, weights = _normal_nodes(float(np.sqrt(variance.max(initial=0.0))))
    parts = np.array_split(np.arange(len(eta)), 1 + len(eta) * len(nodes) // AT_ONCE)
    spread = (eta[rows, None] + np.sqrt(variance[rows, None]) * nodes for rows in parts)
    return np.concatenate([LINKS[link].mean(each) @ weights for each in spread])


def _normal_nodes(deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """Equally spaced points of a standard normal variable, and their weights, for a factor of ``deviation``."""
    half = int(np.ceil(REACH / min(STEP[0], STEP[1] / max(deviation, 1e-300))))
    nodes = np.linspace(-REACH, REACH, 2 * half + 1)
    weights = np.exp(-nodes * nodes / 2)
    return nodes, weights / weights.sum()


def linear_part(result: Result, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rows of X of the terms that were kept, and offset + Xβ̂, missing where the data of the fit cannot speak."""
    state: GeneralizedState = result.state
    rows = state.design.matrix(frame)
    off = np.abs(rows @ state.null.T).max(axis=1, initial=0.0) > 1e-6 * (1 + np.abs(rows).max(initial=0.0))
    X = rows[:, state.kept]
    return X, np.where(off, np.nan, X @ state.coefficients + read_exposure(frame, result.model.exposure))


def population_variance(state: GeneralizedState, Z: Sequence[np.ndarray], codes: Sequence[np.ndarray]) -> np.ndarray:
    """Σ z'Ψz over the factors in which a row's group is not known (code −1)."""
    Ls = level_factors([grouping.level for grouping in state.groupings], state.theta)
    parts = [np.where(at < 0, ((z @ L) ** 2).sum(axis=1), 0.0) for z, at, L in zip(Z, codes, Ls, strict=True)]
    return np.asarray(np.sum(parts, axis=0))


def predicted(
    result: Result,
    frame: pd.DataFrame,
    *,
    groups: Groups = "conditional",
    scale: Scale = "response",
    std_error: np.ndarray | None = None,
) -> pd.DataFrame:
    """Columns ``fitted std_error conf_low conf_high`` for prepared, complete rows.

    Parameters
    ----------
    groups : ``"conditional"``: at the modes of known groups, averaged over the groups that were not in the fit;
        ``"population"``: averaged over all groups; ``"typical"``: at random effects of zero.
    scale : ``"response"`` in the outcome's unit (successes of the trials, counts at the exposure), ``"mean"`` (a share, or a
        count) or ``"link"``, on which the population is at random effects of zero too, its average.
    std_error : of the linear predictor at known groups, for ``"conditional"`` (``conditional_std_error`` of inference).

    Standard errors on the scale of the outcome are by the delta method; those of the population's average contain the
    uncertainty of the variances. Intervals are made on the scale of the link and carried over.
    """
    if groups not in ("conditional", "population", "typical"):
        raise AllianceError(f"predict: groups is {groups!r}; use 'conditional', 'population' or 'typical'")
    if scale not in ("response", "mean", "link"):
        raise AllianceError(f"predict: scale is {scale!r}; use 'response', 'mean' or 'link'")
    X, eta = linear_part(result, frame)
    if groups == "conditional":
        eta = eta + result.model._random_part(result, frame)[0]
        error = np.full(len(eta), np.nan) if std_error is None else np.where(np.isnan(eta), np.nan, std_error)
    else:
        error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", X, result.covariance.to_numpy(), X), 0))
        error = np.where(np.isnan(eta), np.nan, error)
    half = t_quantile((1 + result.model.level) / 2, np.inf)
    if scale == "link":
        return _frame(frame, eta, error, eta - half * error, eta + half * error)
    return _on_outcome(result, frame, X, eta, error, half, groups, scale)


def _on_outcome(
    result: Result, frame: pd.DataFrame, X: np.ndarray, eta: np.ndarray, error: np.ndarray, half: np.ndarray,
    groups: Groups, scale: Scale,
) -> pd.DataFrame:  # fmt: skip
    state: GeneralizedState = result.state
    Z = [] if groups == "typical" else [random_columns(frame, grouping) for grouping in state.groupings]
    nobody = np.full(len(frame), -1)
    codes = [known_groups(frame, g) if groups == "conditional" else nobody for g in state.groupings]
    variance = population_variance(state, Z, codes) if Z else np.zeros(len(frame))
    mean, slope, bend = averaged(state.link, eta, variance)
    error = slope * error
    if groups == "population":
        J = _derivatives(state, X, Z, slope, bend)
        error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", J, state.joint, J), 0))
    error = np.where(np.isnan(mean), np.nan, error)
    low, high = link_interval(state.link, mean, half * error)
    size = read_trials(state.left, frame) if scale == "response" else np.ones(len(frame))
    return _frame(frame, size * mean, size * error, size * np.fmin(low, mean), size * np.fmax(high, mean))


def link_interval(link: str, mean: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limits of means with an interval of mean ± half, made symmetric on the scale of the link."""
    function = LINKS[link]
    centre = function.inverse(mean)
    reach = half / np.maximum(function.slopes(centre).first, 1e-300)
    return function.mean(centre - reach), function.mean(centre + reach)


def mean_and_derivatives(result: Result, frame: pd.DataFrame, *, typical: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean of every row (a share, or a count at its exposure) and its derivatives in (β, θ), shape (rows, p + k).

    Averaged over all random effects or, where ``typical``, at random effects of zero.
    """
    state: GeneralizedState = result.state
    X, eta = linear_part(result, frame)
    Z = [] if typical else [random_columns(frame, grouping) for grouping in state.groupings]
    nobody = [np.full(len(frame), -1)] * len(Z)
    mean, slope, bend = averaged(state.link, eta, population_variance(state, Z, nobody) if Z else np.zeros(len(frame)))
    if Z:
        return mean, _derivatives(state, X, Z, slope, bend)
    return mean, np.concatenate([slope[:, None] * X, np.zeros((len(X), len(state.theta)))], axis=1)


def _derivatives(
    state: GeneralizedState, X: np.ndarray, Z: Sequence[np.ndarray], slope: np.ndarray, bend: np.ndarray
) -> np.ndarray:
    """Of population means in β and θ: ∂z'ΛΛ'z/∂Λ_ab = 2 z_a (Λ'z)_b."""
    levels = [grouping.level for grouping in state.groupings]
    parts = [slope[:, None] * X]
    for z, level, L in zip(Z, levels, level_factors(levels, state.theta), strict=True):
        parts.append(2 * bend[:, None] * z[:, level.rows] * (z @ L)[:, level.columns])
    return np.concatenate(parts, axis=1)


def _frame(
    frame: pd.DataFrame, fitted: np.ndarray, std_error: np.ndarray, low: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    columns = {"fitted": fitted, "std_error": std_error, "conf_low": low, "conf_high": high}
    return pd.DataFrame(columns, index=frame.index)
