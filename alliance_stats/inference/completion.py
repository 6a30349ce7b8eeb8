"""Probabilities of still being in therapy after a number of sessions, from a discrete-time hazard model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.models.mixed_groupings import random_columns
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.mixed.effects import level_factors
from alliance_stats.result import Result

WHERE = "completion_probability"
MOST = 3  # independent random effects over which a path is integrated
REACH = 8.0  # standard deviations to either side
STEP = 0.5  # largest step of the nodes, in standard deviations and on the scale of the linear predictor
NOTHING = 1e-9  # on the scale of the linear predictor
STEPS = 1e-4  # of the differences in a parameter, in its standard errors


@dataclass(frozen=True, eq=False)
class _Paths:
    """n profiles followed through K sessions: X (n, K, p), and Z (n, K, q) of every grouping factor."""

    labels: pd.DataFrame
    sessions: np.ndarray
    X: np.ndarray
    Z: tuple[np.ndarray, ...]


def completion_probability(
    result: Result,
    new: pd.DataFrame,
    by_session: int | Sequence[int] = 12,
    *,
    session: str = "session",
    patient: str | None = None,
    start: int = 1,
    typical: bool = False,
) -> pd.DataFrame:
    """Probability not to have left by a session, averaged over therapists, with delta intervals.

    ∏(1 − hazard) over the sessions ``start`` … ``by_session``, given that the patient was there at ``start``. A therapist's
    effect is the same in all sessions of a patient, so the product is averaged over therapists, not each hazard.

    Parameters
    ----------
    result : a fitted `DiscreteTimeModel`.
    new : one row a profile, the predictors staying what they are while the session runs; or with ``patient`` the sessions
        ``start`` … ``by_session`` of every patient, one row each, with predictors that change.
    by_session : one session, or several.
    session, patient : names of these columns.
    start : first session at risk.
    typical : at random effects of zero instead of the average.

    Returns the columns of the profiles (or the patient), then ``session estimate std_error conf_low conf_high interval``, one
    row a profile and session. Standard errors are by the delta method in the coefficients and the variances together; intervals
    are made on the scale of log(−log S). In frames of ``dropout_frame`` an event lies in the last session attended, so that who
    is to attend session k must not leave by session k − 1.

    Raises AllianceError for other models and where more than three random effects differ along a path, DataError for sessions
    that are absent and missing predictors.

    >>> data = pd.DataFrame({"session": [1, 2, 3, 1, 2, 1, 1, 2, 3, 1, 2, 3], "left": [0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1]})
    >>> fit = DiscreteTimeModel("left ~ 1").fit(data)
    >>> completion_probability(fit, data.head(1)[["left"]], [1, 3])[["session", "estimate"]].round(2).to_dict("list")
    {'session': [1, 3], 'estimate': [0.67, 0.3]}
    """
    if not isinstance(result.model, DiscreteTimeModel):
        raise AllianceError(
            f"{WHERE}: {type(result.model).__name__} has no hazard of a session; fit a DiscreteTimeModel"
        )
    wanted = [by_session] if isinstance(by_session, int | np.integer) else list(by_session)
    if not wanted or any(not isinstance(k, int | np.integer) or k < start for k in wanted):
        raise AllianceError(f"{WHERE}: by_session is {by_session!r}; give whole numbers from start={start} on")
    state: GeneralizedState = result.state
    paths = _paths(result, new, np.arange(start, max(wanted) + 1), session, patient)
    at = np.searchsorted(paths.sessions, wanted)

    def chance(parameters: np.ndarray) -> np.ndarray:
        beta, theta = np.split(parameters, [len(state.coefficients)])
        return _chance(state, paths, beta, theta, typical=typical)[:, at].ravel()

    estimate, error = _delta(chance, np.concatenate([state.coefficients, state.theta]), state.joint)
    low, high = _limits(estimate, error, result.model.level)
    frame = paths.labels.loc[paths.labels.index.repeat(len(wanted))].reset_index(drop=True)
    frame = frame.drop(columns=[session], errors="ignore").assign(**{session: wanted * len(paths.labels)})
    return frame.assign(estimate=estimate, std_error=error, conf_low=low, conf_high=high, interval="delta")


def _paths(result: Result, new: pd.DataFrame, sessions: np.ndarray, session: str, patient: str | None) -> _Paths:
    if not isinstance(new, pd.DataFrame) or not len(new):
        raise DataError(f"{WHERE}: new is no DataFrame with rows; give one row a profile")
    if patient is None:
        labels = new.reset_index(drop=True)
        rows = labels.loc[labels.index.repeat(len(sessions))].reset_index(drop=True)
        rows = rows.assign(**{session: np.tile(sessions, len(labels))})
    else:
        rows = _sorted(new, sessions, session, patient)
        labels = rows[[patient]].iloc[:: len(sessions)].reset_index(drop=True)
    for step in result.state.steps:
        rows = step(rows)
    state: GeneralizedState = result.state
    designs = [state.design, *(design for grouping in state.groupings for design in grouping.designs)]
    needed = list(dict.fromkeys(name for design in designs for name in design.variables))
    require_columns(rows.columns, needed, WHERE)
    missing = rows[needed].isna().sum()
    if missing.any():
        each = ", ".join(f"{name} {n}" for name, n in missing.items() if n)
        raise DataError(f"{WHERE}: predictors are missing in some sessions ({each}); a path needs all of them")
    full = state.design.matrix(rows)
    if np.abs(full @ state.null.T).max(initial=0.0) > 1e-6 * (1 + np.abs(full).max(initial=0.0)):
        raise DataError(f"{WHERE}: some rows rest on terms that the data of the fit cannot tell apart (see its notes)")
    shape = (len(labels), len(sessions), -1)
    Z = tuple(random_columns(rows, grouping).reshape(shape) for grouping in state.groupings)
    return _Paths(labels, sessions, full[:, state.kept].reshape(shape), Z)


def _sorted(new: pd.DataFrame, sessions: np.ndarray, session: str, patient: str) -> pd.DataFrame:
    """The wanted sessions of every patient in order; DataError where one is absent or there twice."""
    require_columns(new.columns, [patient, session], WHERE)
    rows = new[new[session].isin(sessions)]
    place = rows[patient].factorize()[0]
    rows = rows.iloc[np.lexsort((rows[session].to_numpy(), place))].reset_index(drop=True)
    counts = rows.groupby(patient, sort=False)[session].agg(["size", "nunique"])
    bad = counts[(counts["size"] != len(sessions)) | (counts["nunique"] != len(sessions))]
    lost = new[patient].nunique() - len(counts)
    if len(bad) or lost:
        which = f" (e.g. {patient} {bad.index[0]})" if len(bad) else ""
        raise DataError(
            f"{WHERE}: {len(bad) + lost} patients{which} do not have each session from {sessions[0]} to {sessions[-1]} once"
        )
    return rows


def _chance(
    state: GeneralizedState, paths: _Paths, beta: np.ndarray, theta: np.ndarray, *, typical: bool
) -> np.ndarray:
    """∏(1 − hazard) after every session of every path, averaged over the random effects, shape (n, K)."""
    eta = paths.X @ beta
    levels = [grouping.level for grouping in state.groupings]
    parts = [z @ L for z, L in zip(paths.Z, level_factors(levels, theta), strict=True)]
    if typical or not parts:
        return np.asarray(np.exp(np.cumsum(_stay(state.link, eta), axis=1)))
    # What matters of the random effects of a path is a vector of K numbers; it has few directions.
    U, S, _ = np.linalg.svd(np.concatenate(parts, axis=2), full_matrices=False)
    rank = int((S > NOTHING).sum(axis=1).max())
    if not rank:
        return np.asarray(np.exp(np.cumsum(_stay(state.link, eta), axis=1)))
    if rank > MOST:
        raise AllianceError(
            f"{WHERE}: {rank} random effects differ along a path; {MOST} at most can be averaged over. Use typical=True"
        )
    found = np.empty(eta.shape)
    for i, (each, u, s) in enumerate(zip(eta, U[:, :, :rank], S[:, :rank], strict=True)):
        nodes, weights = _nodes(s / np.sqrt(len(each)))
        stay = _stay(state.link, each[:, None] + (u * s) @ nodes.T)
        found[i] = np.exp(np.cumsum(stay, axis=0)) @ weights
    return found


def _stay(link: str, eta: np.ndarray) -> np.ndarray:
    """log(1 − hazard)."""
    return np.asarray(np.log1p(-LINKS[link].mean(eta)))


def _nodes(size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equally spaced points of independent standard normal variables, shape (m, r), and their weights.

    ``size`` is what one standard deviation of each does to the linear predictor of a session.
    """
    axes = []
    for each in size:
        half = int(np.ceil(REACH / min(STEP, STEP / max(float(each), 1e-300))))
        axes.append(np.linspace(-REACH, REACH, 2 * half + 1))
    nodes = np.array(list(product(*axes))).reshape(-1, len(axes))
    weights = np.exp(-(nodes**2).sum(axis=1) / 2)
    return nodes, weights / weights.sum()


def _delta(
    function: Callable[[np.ndarray], np.ndarray], origin: np.ndarray, V: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Value and standard error by central differences in every parameter that has a variance."""
    value, slopes = function(origin), []
    moving = np.flatnonzero(np.diag(V) > 0)
    for j in moving:
        h = np.zeros(len(origin))
        h[j] = STEPS * np.sqrt(V[j, j])
        slopes.append((function(origin + h) - function(origin - h)) / (2 * h[j]))
    J = np.array(slopes).T
    variance = np.einsum("ij,jk,ik->i", J, V[np.ix_(moving, moving)], J)
    return value, np.sqrt(np.maximum(variance, 0))


def _limits(estimate: np.ndarray, error: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric on the scale of log(−log S); none where S is 0 or 1."""
    inside = (estimate > 0) & (estimate < 1)
    safe = np.where(inside, estimate, 0.5)
    half = t_quantile((1 + level) / 2, np.inf) * error / (safe * -np.log(safe))
    low, high = safe ** np.exp(half), safe ** np.exp(-half)
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)
