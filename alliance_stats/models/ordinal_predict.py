"""Probabilities of categories and mean ratings, at known groups or averaged over them, and draws of ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import special

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.models.generalized_predict import averaged, averaged_mean
from alliance_stats.models.ordinal_outcome import Rating
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.random_terms import group_codes
from alliance_stats.result import Result, tidy_frame

if TYPE_CHECKING:
    from alliance_stats.models.ordinal import OrdinalState

Groups = Literal["population", "conditional"]


@dataclass(frozen=True, eq=False)
class MeanRating:
    """The mean rating, and its derivatives in each threshold (rows, K − 1), in η and in the variance σ²."""

    mean: np.ndarray
    threshold: np.ndarray
    eta: np.ndarray
    variance: np.ndarray


def mean_rating(link: str, rating: Rating, thresholds: np.ndarray, eta: np.ndarray, sigma: float) -> MeanRating:
    """s_K − Σ (s_{j+1} − s_j) P(Y ≤ j), averaged over random effects with standard deviation σ."""
    gaps, variance = np.diff(rating.scores), np.full(len(eta), sigma**2)
    mean, slopes, bends = np.full(len(eta), rating.scores[-1]), [], np.zeros(len(eta))
    for gap, threshold in zip(gaps, thresholds, strict=True):
        below, slope, bend = averaged(link, threshold - eta, variance)
        mean, bends = mean - gap * below, bends - gap * bend
        slopes.append(-gap * slope)
    by_threshold = np.column_stack(slopes)
    return MeanRating(mean, by_threshold, -by_threshold.sum(axis=1), bends)


def linear_part(result: Result, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rows of X of the terms that were kept and Xβ̂, missing where the data of the fit cannot speak."""
    state: OrdinalState = result.state
    rows = state.design.matrix(frame)
    off = np.abs(rows @ state.off.T).max(axis=1, initial=0.0) > 1e-6 * (1 + np.abs(rows).max(initial=0.0))
    X = rows[:, state.kept]
    return X, np.where(off, np.nan, X @ state.coefficients)


def mean_and_derivatives(result: Result, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Mean rating of every row, averaged over the groups, and its derivatives in thresholds, coefficients and σ."""
    state: OrdinalState = result.state
    X, eta = linear_part(result, frame)
    at = mean_rating(state.link, state.rating, state.thresholds, np.nan_to_num(eta), state.sigma)
    J = np.column_stack([at.threshold, at.eta[:, None] * X, 2 * state.sigma * at.variance])
    return np.where(np.isnan(eta), np.nan, at.mean), J


def mean_frame(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    """``fitted std_error df`` of the mean rating, the error by the delta method in thresholds, coefficients and σ."""
    mean, J = mean_and_derivatives(result, frame)
    error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", J, result.state.joint, J), 0))
    error = np.where(np.isnan(mean), np.nan, error)
    return pd.DataFrame({"fitted": mean, "std_error": error, "df": np.inf}, index=frame.index)


def bounded_frame(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    """``fitted std_error conf_low conf_high``, intervals on the logit of the mean's place between the extreme scores."""
    state: OrdinalState = result.state
    rows = mean_frame(result, frame).drop(columns="df")
    lowest, width = state.rating.scores[0], float(np.ptp(state.rating.scores))
    place = np.clip((rows["fitted"].to_numpy() - lowest) / width, 1e-12, 1 - 1e-12)
    half = (
        t_quantile((1 + result.model.level) / 2, np.inf) * rows["std_error"].to_numpy() / width / (place * (1 - place))
    )
    low, high = (lowest + width * special.expit(special.logit(place) + side * half) for side in (-1, 1))
    return rows.assign(conf_low=low, conf_high=high)


def category_probabilities(
    result: Result, new: pd.DataFrame | None = None, *, groups: Groups = "population"
) -> pd.DataFrame:
    """Probability of every category for new rows (or those of the fit), one column a category.

    ``groups="population"`` averages over the random effects; ``"conditional"`` takes the modes of groups that were in the fit,
    and averages for others. A row with a missing predictor gets missing probabilities.

    Raises AllianceError for a result that is not an OrdinalModel's, DataError for an absent column or an unknown level.

    >>> from alliance_stats.models.ordinal import OrdinalModel
    >>> data = pd.DataFrame({"siras": [1, 2, 1, 3, 2, 3, 2, 3], "alliance": [40.0, 41, 44, 47, 50, 52, 55, 60]})
    >>> fit = OrdinalModel("siras ~ alliance").fit(data)
    >>> category_probabilities(fit, pd.DataFrame({"alliance": [50]})).round(2).to_dict("list")
    {'1': [0.12], '2': [0.5], '3': [0.38]}
    """
    state = _ordinal(result, "category_probabilities")
    if groups not in ("population", "conditional"):
        raise AllianceError(f"groups is {groups!r}; use 'population' or 'conditional'")
    if groups == "conditional" and not state.parts:
        raise AllianceError("groups='conditional' is for a model with a random intercept")
    frame = result.frame if new is None else new
    if new is not None:
        for step in state.steps:
            frame = step(frame)
    require_columns(frame.columns, state.design.variables, "category_probabilities")
    complete = frame[list(state.design.variables)].notna().all(axis=1).to_numpy()
    values = np.full((len(frame), len(state.rating.names)), np.nan)
    if complete.any():
        values[complete] = _probabilities(result, frame[complete], groups)
    return pd.DataFrame(values, index=frame.index, columns=list(state.rating.names))


def _probabilities(result: Result, frame: pd.DataFrame, groups: Groups) -> np.ndarray:
    state: OrdinalState = result.state
    _, eta = linear_part(result, frame)
    variance = np.full(len(frame), state.sigma**2)
    if groups == "conditional":
        at = _places(state, frame)
        eta, variance = eta + np.where(at >= 0, state.modes[at], 0.0), np.where(at >= 0, 0.0, variance)
    known = np.nan_to_num(eta)
    below = [averaged_mean(state.link, threshold - known, variance) for threshold in state.thresholds]
    steps = np.column_stack([np.zeros(len(frame)), *below, np.ones(len(frame))])
    return np.where(np.isnan(eta)[:, None], np.nan, np.diff(steps, axis=1))


def _places(state: OrdinalState, frame: pd.DataFrame) -> np.ndarray:
    require_columns(frame.columns, state.parts, "category_probabilities")
    codes, names = group_codes(frame, state.parts)
    known = {name: i for i, name in enumerate(state.groups)}
    places: np.ndarray = np.array([*(known.get(name, -1) for name in names), -1])
    return np.asarray(places[codes])


def group_effects(result: Result) -> pd.DataFrame:
    """Modes of the random intercepts with standard deviations and intervals that hold the estimates fixed; tidy columns.

    >>> from alliance_stats.models.ordinal import OrdinalModel
    >>> data = pd.DataFrame({"siras": [1, 2, 1, 3, 2, 3, 2, 3] * 3, "therapist": list("aaabbbcc") * 3})
    >>> group_effects(OrdinalModel("siras ~ 1 + (1 | therapist)").fit(data))["at"].tolist()
    ['a', 'b', 'c']
    """
    state = _ordinal(result, "group_effects")
    if not state.parts:
        raise AllianceError("group_effects: the model has no random intercept; write (1 | group)")
    half = t_quantile((1 + result.model.level) / 2, np.inf) * state.spread
    return tidy_frame(
        term=["Intercept"] * len(state.groups), component="random", group=":".join(state.parts), at=state.groups,
        estimate=state.modes, std_error=state.spread, conf_low=state.modes - half, conf_high=state.modes + half,
        interval="normal",
    )  # fmt: skip


def drawn(result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
    """New ratings, shape (n, rows), with new therapists."""
    state: OrdinalState = result.state
    _, eta = linear_part(result, result.frame)
    linear = np.repeat(eta[None], n, axis=0)
    if state.parts:
        linear += state.sigma * rng.standard_normal((n, len(state.groups)))[:, state.codes]
    uniform = rng.random(linear.shape)
    passed = [LINKS[state.link].mean(threshold - linear) < uniform for threshold in state.thresholds]
    return np.asarray(state.rating.scores[np.sum(passed, axis=0)])


def _ordinal(result: Result, name: str) -> OrdinalState:
    if not hasattr(result.state, "rating"):
        raise AllianceError(f"{name} is for results of OrdinalModel, not of {type(result.model).__name__}")
    state: OrdinalState = result.state
    return state
