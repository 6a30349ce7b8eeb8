"""Probabilities of still being in therapy after a number of sessions, and their differences between patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.survival_paths import WHERE, chance, paths_of
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_staying import staying
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.result import Result

STEPS = 1e-4  # of the differences in a parameter, in its standard errors


@dataclass(frozen=True, eq=False)
class _Stay:
    """Probabilities (n, K) of n profiles at K sessions; ``root`` (n, K, m), whose products are covariances at one session."""

    labels: pd.DataFrame
    estimate: np.ndarray
    root: np.ndarray


def completion_probability(
    result: Result, new: pd.DataFrame, by_session: int | Sequence[int] = 12, *, session: str = "session",
    patient: str | None = None, start: int = 1, typical: bool = False, stratum: str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Probability not to have left by a session, with delta intervals; under random effects averaged over therapists.

    ∏(1 − hazard) over the sessions ``start`` … ``by_session``, given that the patient was there at ``start``. A therapist's
    effect is the same in all sessions of a patient, so the product is averaged over therapists, not each hazard.

    Parameters
    ----------
    result : a fitted `DiscreteTimeModel`, or a `CoxModel` without frailty on times that count sessions.
    new : one row a profile, the predictors staying what they are while the session runs; or with ``patient`` the sessions
        ``start`` … ``by_session`` of every patient, one row each, with predictors that change (discrete time only).
    by_session : one session, or several.
    session, patient : names of these columns.
    start : first session at risk.
    typical : at random effects of zero instead of the average.
    stratum : of a stratified Cox model, one of the names in `baseline_hazard`.

    Returns the columns of the profiles (or the patient), then ``session estimate std_error conf_low conf_high interval``, one
    row a profile and session. Standard errors are by the delta method in the coefficients and the variances together, in a Cox
    model in the coefficients and the baseline; intervals are made on the scale of log(−log S). In frames of ``dropout_frame``
    an event lies in the last session attended: who is to attend session k must not leave by session k − 1, so that completing
    12 planned sessions is ``by_session=11``.

    Raises AllianceError for other models and where more than three random effects differ along a path, DataError for sessions
    that are absent or beyond the data of a Cox model, and missing predictors.

    >>> data = pd.DataFrame({"session": [1, 2, 3, 1, 2, 1, 1, 2, 3, 1, 2, 3], "left": [0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1]})
    >>> fit = DiscreteTimeModel("left ~ 1").fit(data)
    >>> completion_probability(fit, data.head(1)[["left"]], [1, 3])[["session", "estimate"]].round(2).to_dict("list")
    {'session': [1, 3], 'estimate': [0.67, 0.3]}
    """
    wanted = _wanted(by_session, start)
    found = _stay(result, new, wanted, session, patient, start, typical, stratum)
    error = np.sqrt((found.root**2).sum(axis=2)).ravel()
    estimate = found.estimate.ravel()
    low, high = _limits(estimate, error, result.model.level)
    return _profiles(found.labels, session, wanted).assign(
        estimate=estimate, std_error=error, conf_low=low, conf_high=high, interval="delta"
    )


def completion_difference(
    result: Result, new: pd.DataFrame, by_session: int | Sequence[int] = 12, *, reference: pd.DataFrame | None = None,
    session: str = "session", patient: str | None = None, start: int = 1, typical: bool = False,
    stratum: str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Differences in the probability not to have left by a session, each profile less a reference, with intervals.

    Parameters
    ----------
    result, by_session, session, patient, start, typical, stratum : as for `completion_probability`.
    new : the profiles, e.g. one row with a high alliance.
    reference : one profile, e.g. one row with a low alliance (or with ``patient`` the sessions of one patient). Without it the
        first of ``new`` is the reference and has no row of its own.

    Returns the columns of the profiles, then ``session estimate std_error statistic p_value conf_low conf_high interval``. What
    two probabilities share, coefficients, baseline and variances of therapists, is taken into account by the delta method.

    Raises as `completion_probability`, and DataError where there is no other profile, or several references.

    >>> data = pd.DataFrame({"session": [1, 2, 3, 1, 2, 1, 1, 2, 3, 1, 2, 3], "left": [0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1],
    ...     "bond": [5, 5, 5, 3, 3, 2, 6, 6, 6, 4, 4, 4]})
    >>> fit = DiscreteTimeModel("left ~ bond").fit(data)
    >>> completion_difference(fit, pd.DataFrame({"bond": [3, 6]}), 2)[["bond", "session", "estimate"]].round(2).values.tolist()
    [[6.0, 2.0, 0.72]]
    """
    wanted = _wanted(by_session, start)
    options = (wanted, session, patient, start, typical, stratum)
    found = _stay(result, new, *options)
    base = found if reference is None else _stay(result, reference, *options)
    if reference is not None and len(base.labels) != 1:
        raise DataError(f"completion_difference: reference has {len(base.labels)} profiles; give one")
    first = int(reference is None)
    if len(found.labels) == first:
        raise DataError("completion_difference: new has one profile; give two or more, or a reference")
    labels = found.labels.iloc[first:].reset_index(drop=True)
    estimate = (found.estimate[first:] - base.estimate[:1]).ravel()
    error = np.sqrt(((found.root[first:] - base.root[:1]) ** 2).sum(axis=2)).ravel()
    half = t_quantile((1 + result.model.level) / 2, np.inf) * error
    z = np.divide(estimate, error, out=np.full(len(error), np.nan), where=error > 0)
    return _profiles(labels, session, wanted).assign(
        estimate=estimate, std_error=error, statistic=z, p_value=t_p_value(z, np.inf), conf_low=estimate - half,
        conf_high=estimate + half, interval="delta",
    )  # fmt: skip


def _wanted(by_session: int | Sequence[int], start: int) -> list[int]:
    wanted = [by_session] if isinstance(by_session, int | np.integer) else list(by_session)
    if not wanted or any(not isinstance(k, int | np.integer) or k < start for k in wanted):
        raise AllianceError(f"{WHERE}: by_session is {by_session!r}; give whole numbers from start={start} on")
    return [int(k) for k in wanted]


def _profiles(labels: pd.DataFrame, session: str, wanted: list[int]) -> pd.DataFrame:
    """The columns of the profiles, one row a profile and session."""
    frame = labels.loc[labels.index.repeat(len(wanted))].reset_index(drop=True)
    return frame.drop(columns=[session], errors="ignore").assign(**{session: wanted * len(labels)})


def _stay(
    result: Result, new: pd.DataFrame, wanted: list[int], session: str, patient: str | None, start: int, typical: bool,
    stratum: str | None,
) -> _Stay:  # fmt: skip
    if isinstance(result.model, CoxModel):
        return _proportional(result, new, wanted, patient, start, stratum)
    if not isinstance(result.model, DiscreteTimeModel):
        raise AllianceError(
            f"{WHERE}: {type(result.model).__name__} has no hazard of a session; fit a DiscreteTimeModel or a CoxModel"
        )
    if stratum is not None:
        raise AllianceError(f"{WHERE}: stratum= is for Cox models")
    state: GeneralizedState = result.state
    paths = paths_of(result, new, np.arange(start, max(wanted) + 1), session, patient)
    at = np.searchsorted(paths.sessions, wanted)

    def chances(parameters: np.ndarray) -> np.ndarray:
        beta, theta = np.split(parameters, [len(state.coefficients)])
        return chance(state, paths, beta, theta, typical=typical)[:, at]

    estimate, root = _delta(chances, np.concatenate([state.coefficients, state.theta]), state.joint)
    return _Stay(paths.labels, estimate, root)


def _proportional(
    result: Result, new: pd.DataFrame, wanted: list[int], patient: str | None, start: int, stratum: str | None
) -> _Stay:
    if patient is not None:
        raise AllianceError(f"{WHERE}: patient= is for discrete-time hazards; a Cox model takes predictors that stay")
    if not isinstance(new, pd.DataFrame) or not len(new):
        raise DataError(f"{WHERE}: new is no DataFrame with rows; give one row a profile")
    labels = new.reset_index(drop=True)
    estimate, root = staying(result, labels, wanted, after=start - 1, stratum=stratum, where=WHERE)
    return _Stay(labels, estimate, root)


def _delta(
    function: Callable[[np.ndarray], np.ndarray], origin: np.ndarray, V: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Value and root of its covariance, by central differences in every parameter that has a variance."""
    value, slopes = function(origin), []
    moving = np.flatnonzero(np.diag(V) > 0)
    for j in moving:
        h = np.zeros(len(origin))
        h[j] = STEPS * np.sqrt(V[j, j])
        slopes.append((function(origin + h) - function(origin - h)) / (2 * h[j]))
    size, vector = np.linalg.eigh(V[np.ix_(moving, moving)])
    return value, np.stack(slopes, axis=-1) @ (vector * np.sqrt(np.maximum(size, 0)))


def _limits(estimate: np.ndarray, error: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric on the scale of log(−log S); none where S is 0 or 1."""
    inside = (estimate > 0) & (estimate < 1)
    safe = np.where(inside, estimate, 0.5)
    half = t_quantile((1 + level) / 2, np.inf) * error / (safe * -np.log(safe))
    low, high = safe ** np.exp(half), safe ** np.exp(-half)
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)
