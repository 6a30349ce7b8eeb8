"""Standardised effects of linear models and of contrasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.formula import response
from alliance_stats.models.linear import LinearModel, LinearState
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.least_squares import least_squares
from alliance_stats.result import Result

FAR = 1e4  # |t| beyond which the normal part of a noncentral t is lost beside its chi part
LABELS = ("group", "equation", "at")
COLUMNS = (
    "term", "beta", "beta_low", "beta_high", "d", "d_low", "d_high", "partial_r", "partial_r_low", "partial_r_high",
    "partial_r2", "f2",
)  # fmt: skip


def standardised_effects(result: Result, level: float | None = None) -> pd.DataFrame:
    """Effect sizes of the coefficients of a linear model, and of its terms that have several.

    Parameters
    ----------
    result : a fitted LinearModel.
    level : confidence level; that of the model unless given.

    Returns
    -------
    One row a coefficient, without the intercept, in these columns:

    - ``beta``: SDs of the outcome for one SD of the column. Its interval is that of the coefficient (with the model's
      own, if need be robust, standard error) in these units; the SDs count as known.
    - ``d``: the coefficient in residual SDs. For a level of a factor this is the standardised mean difference adjusted
      for the other terms, for a number the effect of one unit.
    - ``partial_r``: t / √(t² + df), the correlation with the outcome given the other terms; ``partial_r2`` its square
      and ``f2`` = t² / df (Cohen 1988).

    The intervals of d and r hold every noncentrality of t that the observed t does not contradict (Steiger 2004, doi
    10.1037/1082-989X.9.2.164), brought to d and r by the formulae of the estimates; they exclude 0 where the t test
    rejects, and take the predictors as fixed. They rest on the classical t, whatever the ``vcov`` of the model: with
    unequal variances there is no one SD to standardise by.

    A term with several coefficients, such as a factor with three levels, adds a row of its own with ``partial_r2`` and
    ``f2`` of all its columns together.

    Raises AllianceError for other models and DataError where the outcome does not vary.

    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 4, 2, 3], "alliance": [40.0, 44, 47, 50, 55, 60]})
    >>> effects = standardised_effects(LinearModel("pain ~ alliance").fit(data))
    >>> effects[["term", "beta", "partial_r2"]].round(2).to_dict("records")
    [{'term': 'alliance', 'beta': -0.89, 'partial_r2': 0.79}]
    """
    state, X, y = linear_parts(result, "standardised_effects")
    level = _checked(result.model.level if level is None else level)
    rows = pd.DataFrame(_coefficient_rows(result, state, X, y, level), columns=list(COLUMNS))
    whole = pd.DataFrame(_term_rows(state, X, y), columns=list(COLUMNS))
    return pd.concat([part for part in (rows, whole) if len(part)] or [rows], ignore_index=True)


def cohens_d(result: Result, contrasts: pd.DataFrame, level: float | None = None) -> pd.DataFrame:
    """Contrasts in residual SDs: Cohen's d and Hedges' g.

    Parameters
    ----------
    result : the fitted model that the contrasts were made from; its residual ``sigma`` is the unit.
    contrasts : a frame with the columns ``term estimate std_error df``, such as ``contrast()`` returns.
    level : confidence level; that of the model unless given.

    Returns
    -------
    ``term`` (and ``group``, ``equation``, ``at`` where they say something) with ``d d_low d_high g g_low g_high``. d is
    estimate / sigma; its limits are those of the noncentrality of t = estimate / std_error, times std_error / sigma
    (Steiger 2004, doi 10.1037/1082-989X.9.2.164). g = J d with the exact J = Γ(m/2) / (√(m/2) Γ((m − 1)/2)), m being
    the df of sigma (Hedges 1981, doi 10.3102/10769986006002107).

    With covariates in the model sigma is the SD that they leave, smaller than the SD within the groups. With a robust
    ``vcov`` the interval is approximate. Raises AllianceError where the model has no residual SD, DataError for a
    frame without the columns.

    >>> from alliance_stats.inference.contrasts import contrast
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 4, 2, 3], "arm": list("aaabbb")})
    >>> fit = LinearModel("pain ~ arm").fit(data)
    >>> cohens_d(fit, contrast(fit, "arm"))[["term", "d", "g"]].round(2).to_dict("records")
    [{'term': 'b − a', 'd': -2.0, 'g': -1.6}]
    """
    require_columns(contrasts.columns, ("term", "estimate", "std_error", "df"), "cohens_d")
    sigma = _sigma(result)
    level = _checked(result.model.level if level is None else level)
    estimate, se, df = (contrasts[name].to_numpy(dtype=float) for name in ("estimate", "std_error", "df"))
    low, high = noncentrality(_ratio(estimate, se), df, level)
    d = {"d": estimate / sigma, "d_low": low * se / sigma, "d_high": high * se / sigma}
    J = small_sample_factor(np.asarray(result.statistics.get("df_residual", df), dtype=float))
    g = {name.replace("d", "g", 1): J * values for name, values in d.items()}
    shown = [name for name in LABELS if name in contrasts and (contrasts[name].astype(str) != "").any()]
    return contrasts[["term", *shown]].reset_index(drop=True).assign(**d, **g)


def linear_parts(result: Result, purpose: str) -> tuple[LinearState, np.ndarray, np.ndarray]:
    """State, design matrix (all columns) and outcome of a linear model; AllianceError for any other model."""
    if not isinstance(result.model, LinearModel):
        raise AllianceError(f"{purpose} needs a fitted LinearModel, not {type(result.model).__name__}")
    state: LinearState = result.state
    y = response(state.design.formula, result.frame)
    if np.ptp(y) == 0:
        raise DataError(f"{purpose}: the outcome '{state.design.formula.response}' is {y[0]:g} in every row")
    return state, state.design.matrix(result.frame), y


def classical_t(state: LinearState) -> np.ndarray:
    """t statistics with the classical standard errors, whatever the covariance of the model."""
    return np.asarray(_ratio(state.coefficients, state.sigma * np.sqrt(np.diag(state.bread))))


def noncentrality(t: np.ndarray, df: np.ndarray | float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Confidence limits of the noncentrality of observed t statistics (Steiger 2004).

    >>> low, high = noncentrality(np.array([2.5]), 20, 0.95)
    >>> print(low.round(3), high.round(3))
    [0.367] [4.579]
    """
    statistics, dfs = np.broadcast_arrays(np.asarray(t, dtype=float), np.asarray(df, dtype=float))
    pairs = list(zip(statistics.tolist(), dfs.tolist(), strict=True))
    low = [_noncentrality(s, m, (1 + level) / 2) for s, m in pairs]
    high = [_noncentrality(s, m, (1 - level) / 2) for s, m in pairs]
    return np.array(low), np.array(high)


def small_sample_factor(df: np.ndarray) -> np.ndarray:
    """J(df) = Γ(df/2) / (√(df/2) Γ((df − 1)/2)), which makes Cohen's d unbiased; missing for df ≤ 1.

    >>> print(small_sample_factor(np.array([10.0, 125.0])).round(4))
    [0.9227 0.994 ]
    """
    m = np.where(df > 1, df, np.nan)
    finite = np.where(np.isinf(m), 2.0, m)
    return np.where(np.isinf(m), 1.0, special.poch((finite - 1) / 2, 0.5) / np.sqrt(finite / 2))


def _coefficient_rows(
    result: Result, state: LinearState, X: np.ndarray, y: np.ndarray, level: float
) -> Iterator[tuple[Any, ...]]:
    scale = np.std(X[:, state.kept], axis=0) / np.std(y)
    half = t_quantile((1 + level) / 2, result.estimates["df"]) * result.estimates["std_error"].to_numpy()
    low, high = noncentrality(classical_t(state), state.df_residual, level)
    unit = np.sqrt(np.diag(state.bread))
    for j, term in enumerate(result.estimates["term"]):
        if term == "Intercept":
            continue
        beta = scale[j] * (state.coefficients[j] + np.array([0.0, -half[j], half[j]]))
        ncp = np.array([classical_t(state)[j], low[j], high[j]])
        r = _partial_r(ncp, state.df_residual)
        f2 = ncp[0] ** 2 / state.df_residual
        yield (term, *beta, *(unit[j] * ncp), *r, r[0] ** 2, f2)


def _term_rows(state: LinearState, X: np.ndarray, y: np.ndarray) -> Iterator[tuple[Any, ...]]:
    """Terms of several columns: what the residual squares gain when all of them leave the model."""
    within = state.residual @ state.residual
    for name, where in state.design.slices.items():
        columns = np.intersect1d(np.arange(where.start, where.stop), state.kept)
        if len(columns) > 1:
            others = least_squares(X[:, np.setdiff1d(state.kept, columns)], y).residuals
            without = others @ others
            yield (name, *[np.nan] * 9, 1 - within / without, _ratio(without - within, within))


def _partial_r(t: np.ndarray, df: float) -> np.ndarray:
    """t / √(t² + df) without overflow, so that a perfect fit gives ±1."""
    return np.asarray(np.sin(np.arctan(t / np.sqrt(df))))


def _noncentrality(t: float, df: float, p: float) -> float:
    """The δ with P(T ≤ t | δ) = p."""
    if np.isnan(t) or np.isnan(df):
        return float("nan")
    if t < 0:
        return -_noncentrality(-t, df, 1 - p)
    if np.isinf(df):
        return t - float(special.ndtri(p))
    from_chi = t * float(np.sqrt(special.chdtri(df, p) / df))
    return from_chi if t > FAR else _root(lambda delta: float(special.nctdtr(df, delta, t)) - p, from_chi)


def _root(decreasing: Callable[[float], float], start: float) -> float:
    from scipy.optimize import brentq

    low, high, width = start, start, 4.0
    while decreasing(low) < 0:
        low, width = low - width, 2 * width
    while decreasing(high) > 0:
        high, width = high + width, 2 * width
    return float(brentq(decreasing, low, high, xtol=1e-13, rtol=1e-14))


def _sigma(result: Result) -> float:
    sigma = float(result.statistics["sigma"].iloc[0]) if "sigma" in result.statistics else np.nan
    if not np.isfinite(sigma) or sigma <= 0:
        raise AllianceError(
            f"cohens_d: the residual SD of the {type(result.model).__name__} is {sigma:g}; there is no unit"
        )
    return sigma


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise AllianceError(f"level is {level}; use a number between 0 and 1, e.g. 0.95")
    return level


def _ratio(a: Any, b: Any) -> Any:
    """a / b, infinite or missing where b is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(a, b)
