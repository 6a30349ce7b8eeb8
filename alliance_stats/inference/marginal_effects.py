"""Average effects on the scale of the outcome: what a predictor changes in shares and counts, over patients and groups.

A coefficient of a model with a link is an effect at given random effects, and on a scale on which nobody counts sessions. Here
every row of the fit is set to one value of a predictor and to another; the means are averaged over the random effects (the
integral of the mean over their distribution) and over the rows, and compared. The delta method takes the covariance of
coefficients and variances together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.inference.combine import Adjust, adjusted
from alliance_stats.inference.grid import At, as_values, describe_at
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.models.generalized_predict import link_interval, mean_and_derivatives
from alliance_stats.models.generalized_response import read_trials
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.result import Result, tidy_frame

Over = Literal["population", "typical"]
Unit = Literal["response", "mean"]
Contrasts = Literal["reference", "pairwise"]
SMALL = 1e-4  # of a standard deviation: step of the central difference that stands for a derivative


@dataclass(frozen=True, eq=False)
class _Means:
    """Averages over the rows, one for each way to set the predictors, and their derivatives in the parameters."""

    value: np.ndarray
    slopes: np.ndarray
    size: float


def average_marginal_effects(
    result: Result,
    variable: str,
    *,
    values: Sequence[Any] | None = None,
    step: float | None = None,
    contrasts: Contrasts = "reference",
    at: At | None = None,
    groups: Over = "population",
    scale: Unit = "response",
    adjust: Adjust = "none",
) -> pd.DataFrame:
    """Average change of the expected outcome with a predictor, over the rows of the fit and the random effects.

    Parameters
    ----------
    result : a fitted `GeneralizedMixedModel`, `DiscreteTimeModel`, `LinearModel` or `MixedModel`.
    variable : a predictor of the formula. Of a factor, differences between levels; of a number, the average derivative.
    values : compare these levels, or numbers, e.g. ``(0, 1)`` of an arm that is coded so.
    step : of a number: the effect of so much more of it, e.g. 1, instead of the derivative.
    contrasts : of levels or values, ``"reference"`` (each against the first) or ``"pairwise"``.
    at : other predictors set to a value in every row, e.g. ``{"arm": "enhanced"}``.
    groups : ``"population"``, averaged over the random effects; or ``"typical"``, at random effects of zero.
    scale : ``"response"``, the outcome's unit (sessions of those assigned in the row), or ``"mean"``, a share or count.
    adjust : of the p-values, over the rows returned.

    Returns tidy rows, ``term`` the predictor and ``at`` the contrast. z statistics; of linear models t with the model's degrees
    of freedom. Standard errors are by the delta method and take the predictors of the rows as given.

    Raises AllianceError for other models, DataError for an absent predictor or a level that was not in the fit.

    Sources: Hedeker et al. 2018, doi 10.1111/biom.12707 (marginalised effects); Lane & Nelder 1982, doi 10.2307/2530043.

    >>> from alliance_stats import GeneralizedMixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(30), 8), "arm": np.tile(["usual", "enhanced"], 120)})
    >>> chance = np.where(data["arm"] == "usual", 0.4, 0.6)
    >>> data["stayed"] = rng.binomial(1, np.clip(chance + np.repeat(rng.normal(0, 0.15, 30), 8), 0, 1))
    >>> fit = GeneralizedMixedModel("stayed ~ arm + (1 | therapist)").fit(data)
    >>> average_marginal_effects(fit, "arm")[["term", "at", "estimate"]].round(1).to_dict("records")
    [{'term': 'arm', 'at': 'usual − enhanced', 'estimate': -0.3}]
    """
    _require(result, variable, groups, scale, "average_marginal_effects")
    if contrasts not in get_args(Contrasts):
        raise AllianceError(f"average_marginal_effects: contrasts is {contrasts!r}; use 'reference' or 'pairwise'")
    base = _set(result, at, "average_marginal_effects")
    compared = result.state.design.levels.get(variable) if values is None else list(values)
    if compared is not None and step is not None:
        raise AllianceError(f"average_marginal_effects: step={step!r} is for numbers, without values=")
    if compared is None:
        names, frames, C = _of_number(base, variable, step, float(result.frame[variable].std()))
    else:
        frames = [_assigned(result, base, variable, value) for value in compared]
        names, C = _of_values(variable, compared, contrasts)
    means = _means(result, frames, groups, scale)
    estimate, J = C @ means.value, C @ means.slopes
    error, df = _errors(result, J)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = estimate / error
    half = t_quantile((1 + result.model.level) / 2, df) * error
    beside = f"; {describe_at(at)}" if at else ""
    return tidy_frame(
        term=[variable] * len(names), component="effect", at=[name + beside for name in names], estimate=estimate,
        std_error=error, statistic=t, df=np.where(np.isinf(df), np.nan, df), p_value=adjusted(t_p_value(t, df), adjust),
        conf_low=estimate - half, conf_high=estimate + half, interval=np.where(np.isinf(df), "delta", "t"),
    )  # fmt: skip


def average_outcomes(
    result: Result,
    variable: str,
    values: Any = None,
    *,
    at: At | None = None,
    groups: Over = "population",
    scale: Unit = "response",
) -> pd.DataFrame:
    """Expected outcome if every row of the fit had one value of a predictor, averaged over rows and random effects.

    ``values`` are levels of a factor (all of them unless given) or numbers, which must be given. Other arguments and the errors
    are those of ``average_marginal_effects``. Tidy rows, ``at`` the value; intervals are made on the scale of the link.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 3], "arm": ["a", "a", "b", "b"], "week": [0, 1, 0, 1]})
    >>> average_outcomes(LinearModel("pain ~ arm + week").fit(data), "arm")["estimate"].round(1).tolist()
    [5.5, 3.5]
    """
    _require(result, variable, groups, scale, "average_outcomes")
    levels = result.state.design.levels.get(variable)
    if values is None and levels is None:
        raise AllianceError(f"average_outcomes: '{variable}' is a number; give values=, e.g. (40, 60)")
    chosen = list(levels) if values is None and levels is not None else as_values(values)
    base = _set(result, at, "average_outcomes")
    means = _means(result, [_assigned(result, base, variable, value) for value in chosen], groups, scale)
    error, df = _errors(result, means.slopes)
    half = t_quantile((1 + result.model.level) / 2, df) * error
    low, high = means.value - half, means.value + half
    if not _is_linear(result):
        low, high = (
            means.size * limit
            for limit in link_interval(result.state.link, means.value / means.size, half / means.size)
        )
    described = [describe_at({variable: value, **(at or {})}) for value in chosen]
    return tidy_frame(
        term=[variable] * len(chosen), component="effect", at=described, estimate=means.value, std_error=error,
        df=np.where(np.isinf(df), np.nan, df), conf_low=low, conf_high=high,
        interval=np.where(np.isinf(df), "delta", "t"),
    )  # fmt: skip


def _of_number(
    base: pd.DataFrame, variable: str, step: float | None, spread: float
) -> tuple[list[str], list[pd.DataFrame], np.ndarray]:
    column = base[variable].astype(float)
    if step is not None:
        if not np.isfinite(step) or step == 0:
            raise AllianceError(f"average_marginal_effects: step is {step!r}; give a number other than 0")
        return [f"{step:+g}"], [base, base.assign(**{variable: column + step})], np.array([[-1.0, 1.0]])
    h = SMALL * (spread if spread > 0 else 1.0)
    frames = [base.assign(**{variable: column + move}) for move in (-h, h)]
    return ["derivative"], frames, np.array([[-1.0, 1.0]]) / (2 * h)


def _of_values(variable: str, values: Sequence[Any], contrasts: Contrasts) -> tuple[list[str], np.ndarray]:
    if len(values) < 2:
        raise AllianceError(f"average_marginal_effects: '{variable}' has one value here; there is nothing to compare")
    n = len(values)
    pairs = (
        [(i, 0) for i in range(1, n)] if contrasts == "reference" else [(i, j) for j, i in combinations(range(n), 2)]
    )
    return [f"{values[i]} − {values[j]}" for i, j in pairs], np.array([np.eye(n)[i] - np.eye(n)[j] for i, j in pairs])


def _means(result: Result, frames: Sequence[pd.DataFrame], groups: Over, scale: Unit) -> _Means:
    if _is_linear(result):
        X = [result.state.design.matrix(frame) for frame in frames]
        rows = np.array([each.mean(axis=0) for each in X])
        if np.abs(rows @ result.state.null.T).max(initial=0.0) > 1e-6 * (1 + np.abs(rows).max()):
            raise AllianceError("the means rest on terms that the data cannot tell apart (see the notes of the result)")
        rows = rows[:, result.state.kept]
        return _Means(rows @ result.state.coefficients, rows, 1.0)
    size = read_trials(result.state.left, frames[0]) if scale == "response" else np.ones(len(frames[0]))
    found = [mean_and_derivatives(result, frame, typical=groups == "typical") for frame in frames]
    if any(np.isnan(mean).any() for mean, _ in found):
        raise AllianceError("the means rest on terms that the data cannot tell apart (see the notes of the result)")
    value = np.array([(size * mean).mean() for mean, _ in found])
    return _Means(value, np.array([size @ J / len(size) for _, J in found]), float(size.mean()))


def _errors(result: Result, J: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors, and degrees of freedom, of functions with derivatives J in the parameters."""
    linear = _is_linear(result)
    V = result.covariance.to_numpy() if linear else result.state.joint
    error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", J, V, J), 0))
    return error, result.model._df(result, J) if linear else np.full(len(J), np.inf)


def _set(result: Result, at: At | None, where: str) -> pd.DataFrame:
    frame = result.frame
    require_columns(result.state.design.variables, at or {}, where)
    for name, value in (at or {}).items():
        frame = _assigned(result, frame, name, value)
    return frame


def _assigned(result: Result, frame: pd.DataFrame, name: str, value: Any) -> pd.DataFrame:
    levels = result.state.design.levels.get(name)
    if levels is not None and value not in levels:
        raise DataError(f"'{name}' has no level {value!r}; levels: {', '.join(map(str, levels))}")
    return frame.assign(**{name: value})


def _is_linear(result: Result) -> bool:
    return isinstance(result.model, LinearModel | MixedModel)


def _require(result: Result, variable: str, groups: str, scale: str, where: str) -> None:
    if not _is_linear(result) and not isinstance(result.state, GeneralizedState):
        raise AllianceError(f"{where}: {type(result.model).__name__} has no mean on the scale of its outcome here")
    if groups not in get_args(Over):
        raise AllianceError(f"{where}: groups is {groups!r}; use 'population' or 'typical'")
    if scale not in get_args(Unit):
        raise AllianceError(f"{where}: scale is {scale!r}; use 'response' or 'mean'")
    require_columns(result.state.design.variables, [variable], where)
