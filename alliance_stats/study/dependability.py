"""Dependability of alliance ratings with intervals: of patients over sessions, of therapists over patients.

Everything rests on the logit of a dependability, log(signal variance) − log(error variance): averaging k ratings adds log k
to it, so that one standard error serves all numbers of ratings (Spearman–Brown). Standard errors are of the delta method,
from the Hessian of the criterion in the relative standard deviations of the mixed model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.groups import dependability
from alliance_stats.inference.problem import variance_parameters
from alliance_stats.models.mixed_system import SINGULAR
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.result import Result, tidy_frame

SESSIONS = tuple(range(1, 10))
THRESHOLDS = (0.80, 0.90)
CASELOADS = (5, 10, 20, 60)


def over_sessions(result: Result, sessions: Sequence[int] = SESSIONS, group: str = "patient") -> pd.DataFrame:
    """Dependability of a patient's mean of k ratings, patients of one therapist being compared; one row a number of sessions.

    Tidy columns. ``result`` is a mixed model of the ratings with random intercepts, see ``dependability``.

    >>> from alliance_stats.models.mixed import MixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(200), 4)})
    >>> data["alliance"] = np.repeat(rng.normal(0, 0.77**0.5, 200), 4) + rng.normal(0, 0.23**0.5, 800)
    >>> fit = MixedModel("alliance ~ 1 + (1 | patient)").fit(data)
    >>> over_sessions(fit, (1, 4))[["term", "estimate", "conf_low", "conf_high"]].round(2).to_dict("records")[0]
    {'term': '1 session', 'estimate': 0.74, 'conf_low': 0.69, 'conf_high': 0.79}
    """
    values = dependability(result, group, tuple(sessions))["dependability"].to_numpy()
    std_error = _logit_error(result, group, np.ones(len(values)))
    return _on_logit([_sessions(k) for k in sessions], values, std_error, result.model.level)


def one_rating(result: Result, group: str = "patient") -> pd.DataFrame:
    """The two shares of a single rating: patients of one therapist, and error."""
    own = over_sessions(result, (1,), group)
    turned = own.assign(estimate=1 - own["estimate"], conf_low=1 - own["conf_high"], conf_high=1 - own["conf_low"])
    return pd.concat([own, turned], ignore_index=True).assign(term=["patients", "error"])


def sessions_needed(result: Result, thresholds: Sequence[float] = THRESHOLDS, group: str = "patient") -> pd.DataFrame:
    """Sessions at which the mean reaches a dependability: the number that would reach it exactly, and the next whole one.

    Tidy columns and ``n_needed``, the whole number; the interval is normal on the logarithm of the number.
    """
    first = float(dependability(result, group, (1,))["dependability"].iloc[0])
    std_error = _logit_error(result, group, np.ones(len(thresholds)))
    with np.errstate(divide="ignore"):
        needed = np.array([needed_ratings(first, c) for c in thresholds])
    return _numbers([f"sessions for {_share(c)}" for c in thresholds], needed, std_error, result.model.level)


def therapist_means(
    result: Result, sessions: Sequence[int] = (1, 4), patients: Sequence[int] = CASELOADS, group: str = "therapist"
) -> pd.DataFrame:
    """Dependability of a therapist's mean over n patients with k ratings each; tidy columns.

    Without variance between therapists it is 0, without an interval. There is no standard error: with few therapists the
    interval on the logit scale fills most of 0 to 1.
    """
    frame = dependability(result, group, tuple(sessions), tuple(patients))
    k = frame["ratings"].to_numpy(dtype=float)
    terms = [f"{n:.0f} patients, {_sessions(int(s))}" for n, s in zip(frame["patients"], k, strict=True)]
    rows = _on_logit(terms, frame["dependability"].to_numpy(), _logit_error(result, group, k), result.model.level)
    return rows.assign(std_error=np.nan)


def patients_needed(
    result: Result, thresholds: Sequence[float] = THRESHOLDS, sessions: int = 4, group: str = "therapist"
) -> pd.DataFrame:
    """Patients a therapist at which the therapist's mean reaches a dependability, as in ``sessions_needed``.

    Endless without variance between therapists.
    """
    first = float(dependability(result, group, (sessions,), (1,))["dependability"].iloc[0])
    std_error = _logit_error(result, group, np.full(len(thresholds), float(sessions)))
    with np.errstate(divide="ignore"):
        needed = np.array([needed_ratings(first, c) for c in thresholds])
    terms = [f"patients for {_share(c)}, {_sessions(sessions)} each" for c in thresholds]
    return _numbers(terms, needed, std_error, result.model.level).assign(std_error=np.nan)


def needed_ratings(first: float, threshold: float) -> float:
    """How many ratings reach a dependability when one has ``first``: the ratio of the odds, not rounded (Spearman–Brown).

    >>> round(needed_ratings(0.77, 0.90), 2)
    2.69
    """
    if not 0 <= first < 1 or not 0 < threshold < 1:
        raise AllianceError(f"dependability {first:g} and threshold {threshold:g}: give shares between 0 and 1")
    return float(np.float64(threshold / (1 - threshold)) / np.float64(first / (1 - first)))


def _logit_error(result: Result, group: str, sessions: np.ndarray) -> np.ndarray:
    """Standard error of the logit of the dependability for each number of sessions; missing at a variance of zero.

    θ are standard deviations relative to that of the error: logit = log θ_t² − log(θ_p² + 1/k) + log n for therapists.
    """
    theta = result.state.theta
    place = [grouping.name for grouping in result.state.groupings].index(group)
    if theta[place] < SINGULAR:
        return np.full(len(sessions), np.nan)
    slopes = np.zeros((len(sessions), len(theta)))
    slopes[:, place] = 2 / theta[place]
    if place == 1:
        slopes[:, 0] = -2 * theta[0] / (theta[0] ** 2 + 1 / sessions)
    kept = theta >= SINGULAR  # beside a zero the Hessian is one-sided; the others are taken as without that factor
    covariance = variance_parameters(result).covariance[:-1, :-1]
    variance = np.einsum("ka,ab,kb->k", slopes[:, kept], covariance[np.ix_(kept, kept)], slopes[:, kept])
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


def _on_logit(terms: Sequence[str], values: np.ndarray, std_error: np.ndarray, level: float) -> pd.DataFrame:
    half = t_quantile((1 + level) / 2, np.inf) * std_error
    with np.errstate(divide="ignore"):
        logit = np.log(values) - np.log1p(-values)
    low, high = (1 / (1 + np.exp(-(logit + sign * half))) for sign in (-1, 1))
    return tidy_frame(
        term=terms, component="effect", estimate=values, std_error=std_error * values * (1 - values), conf_low=low,
        conf_high=high, interval="delta",
    )  # fmt: skip


def _numbers(terms: Sequence[str], needed: np.ndarray, std_error: np.ndarray, level: float) -> pd.DataFrame:
    spread = np.exp(t_quantile((1 + level) / 2, np.inf) * std_error)
    rows = tidy_frame(
        term=terms, component="effect", estimate=needed, std_error=np.where(np.isfinite(needed), needed, np.nan) * std_error,
        conf_low=needed / spread, conf_high=needed * spread, interval="delta",
    )  # fmt: skip
    return rows.assign(n_needed=whole_ratings(needed))


def whole_ratings(needed: np.ndarray) -> np.ndarray:
    """The next whole number of ratings; a last digit of binary arithmetic adds none."""
    return np.asarray(np.ceil(np.asarray(needed) - 1e-9))


def _sessions(k: int) -> str:
    return f"{k} session{'s' * (k != 1)}"


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
