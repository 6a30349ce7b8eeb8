"""Profiles, or patients, followed through the sessions of a discrete-time hazard, and the chance that they stay."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.models.mixed_groupings import random_columns
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.mixed.effects import level_factors
from alliance_stats.result import Result

WHERE = "completion_probability"
MOST = 3  # independent random effects over which a path is integrated
REACH = 8.0  # standard deviations to either side
STEP = 0.5  # largest step of the nodes, in standard deviations and on the scale of the linear predictor
NOTHING = 1e-9  # on the scale of the linear predictor


@dataclass(frozen=True, eq=False)
class Paths:
    """n profiles followed through K sessions: X (n, K, p), and Z (n, K, q) of every grouping factor."""

    labels: pd.DataFrame
    sessions: np.ndarray
    X: np.ndarray
    Z: tuple[np.ndarray, ...]


def paths_of(result: Result, new: pd.DataFrame, sessions: np.ndarray, session: str, patient: str | None) -> Paths:
    """The designs of all profiles, or patients, in all sessions."""
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
    return Paths(labels, sessions, full[:, state.kept].reshape(shape), Z)


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


def chance(state: GeneralizedState, paths: Paths, beta: np.ndarray, theta: np.ndarray, *, typical: bool) -> np.ndarray:
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
