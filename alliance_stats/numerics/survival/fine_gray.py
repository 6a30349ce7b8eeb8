"""Fine & Gray's regression for the subdistribution hazard (1999, doi 10.1080/01621459.1999.10474144), as cmprsk's crr.

Who left for another cause stays at risk with the weight G(t−)/G(T−), G the Kaplan–Meier curve of the censoring. Both parts of
the risk set are cumulative sums, so that the work is one pass over the rows an iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.survival.cox import FEWEST
from alliance_stats.numerics.survival.newton import estimable, inverse, newton, standardised


@dataclass(frozen=True, eq=False)
class Subdistribution:
    """Rows against the times of the cause: ``hi`` counts those up to a row's own time, ``kept_by`` is 1/G(T−) or 0."""

    times: np.ndarray
    ties: np.ndarray
    hi: np.ndarray
    event: np.ndarray
    kept_by: np.ndarray
    censoring: np.ndarray  # G(t−) at the times
    stop: np.ndarray
    censored: np.ndarray


@dataclass(frozen=True, eq=False)
class FineGrayFit:
    """Maximum of the weighted partial likelihood, its robust covariance, and the baseline hazard at each time."""

    coefficients: np.ndarray
    covariance: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    centre: np.ndarray
    log_likelihood: float
    log_likelihood_null: float
    hazard: np.ndarray
    influence: np.ndarray


def subdistribution(stop: np.ndarray, kinds: np.ndarray) -> Subdistribution:
    """From times and kinds: 0 censored, 1 the cause, 2 another."""
    times, at = np.unique(stop[kinds == 1], return_inverse=True)
    G, own = censoring_curve(stop, kinds == 0)
    return Subdistribution(
        times, np.bincount(at).astype(float), np.searchsorted(times, stop, side="right"), kinds == 1,
        np.where(kinds == 2, 1 / own, 0.0), G(times), stop, kinds == 0,
    )  # fmt: skip


def censoring_curve(stop: np.ndarray, censored: np.ndarray) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """The function t → G(t−), and its value at every row's own time."""
    values, counts = np.unique(stop[censored], return_counts=True)
    at_risk = len(stop) - np.searchsorted(np.sort(stop), values)
    curve = np.concatenate([[1.0], np.cumprod(1 - counts / at_risk)])

    def left_limit(t: np.ndarray) -> np.ndarray:
        return np.asarray(curve[np.searchsorted(values, t)])

    return left_limit, left_limit(stop)


@dataclass(frozen=True, eq=False)
class _At:
    log_likelihood: float
    score: np.ndarray
    information: np.ndarray
    relative: np.ndarray
    hazard: np.ndarray
    means: np.ndarray


def _sums(sets: Subdistribution, r: np.ndarray) -> np.ndarray:
    """Σ over the weighted risk set at each time."""
    K = len(sets.times)
    here = np.bincount(sets.hi, r, K + 1)
    left = np.bincount(sets.hi, r * sets.kept_by, K + 1)
    return np.asarray(np.cumsum(here[:0:-1])[::-1] + sets.censoring * np.cumsum(left[:-1]))


def _passed(sets: Subdistribution, values: np.ndarray) -> np.ndarray:
    """Σ of values, one a time, over the times at which each row is at risk, weighted; (n,) or (n, columns)."""
    shape = (len(values) + 1, *values.shape[1:])
    plain, weighted = np.zeros(shape), np.zeros(shape)
    np.cumsum(values, axis=0, out=plain[1:])
    np.cumsum(values * sets.censoring.reshape(-1, *[1] * (values.ndim - 1)), axis=0, out=weighted[1:])
    keep = sets.kept_by.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(plain[sets.hi] + keep * (weighted[-1] - weighted[sets.hi]))


def _evaluate(sets: Subdistribution, Z: np.ndarray, beta: np.ndarray) -> _At:
    eta = Z @ beta
    top = float(eta.max(initial=FEWEST))
    r = np.exp(np.maximum(eta - top, FEWEST))
    S0 = np.maximum(_sums(sets, r), np.finfo(float).tiny)
    means = np.array([_sums(sets, r * z) for z in Z.T]).reshape(Z.shape[1], len(S0)).T / S0[:, None]
    hazard = sets.ties / S0
    W = r * _passed(sets, hazard)
    information = (Z * W[:, None]).T @ Z - (means * sets.ties[:, None]).T @ means
    log_likelihood = float((eta[sets.event] - top).sum() - sets.ties @ np.log(S0))
    score = Z[sets.event].sum(axis=0) - sets.ties @ means
    return _At(log_likelihood, score, information, r * np.exp(top), hazard * np.exp(-top), means)


def fit_fine_gray(sets: Subdistribution, X: np.ndarray) -> FineGrayFit:
    """Maximise the weighted partial likelihood; raises MonotoneError where it has no maximum.

    ``influence`` is each row's share of the error of the coefficients, that of estimating G included.
    """
    Z, centre, scale = standardised(X)
    start = _evaluate(sets, Z, np.zeros(Z.shape[1]))
    kept, null = estimable(start.information, int(sets.ties.sum()))
    s, columns = scale[kept], Z[:, kept]
    if len(kept):
        beta, at = newton(lambda b: _evaluate(sets, columns, b), kept, X.shape[1])
        scores = _score_influence(sets, columns, at) + _censoring_influence(sets, columns, at)
        influence = scores @ inverse(at.information) / s
    else:
        beta, at, influence = np.zeros(0), start, np.zeros((len(X), 0))
    baseline = at.hazard * float(np.exp(-centre[kept] / s @ beta))
    return FineGrayFit(
        beta / s, influence.T @ influence, kept, null / scale, centre, at.log_likelihood, start.log_likelihood,
        baseline, influence,
    )  # fmt: skip


def _score_influence(sets: Subdistribution, Z: np.ndarray, at: _At) -> np.ndarray:
    """∫ (z − z̄) w dM of each row."""
    out = -at.relative[:, None] * (Z * _passed(sets, at.hazard)[:, None] - _passed(sets, at.means * at.hazard[:, None]))
    out[sets.event] += Z[sets.event] - at.means[sets.hi[sets.event] - 1]
    return np.asarray(out)


def _censoring_influence(sets: Subdistribution, Z: np.ndarray, at: _At) -> np.ndarray:
    """What each row adds by having a share in the estimate of G."""
    values, where, number = np.unique(sets.stop[sets.censored], return_inverse=True, return_counts=True)
    at_risk = len(sets.stop) - np.searchsorted(np.sort(sets.stop), values)
    weighted = sets.censoring * at.hazard
    tail, tail_means = (np.concatenate([np.cumsum(a[::-1], axis=0)[::-1], np.zeros((1, *a.shape[1:]))])
                        for a in (weighted, at.means * weighted[:, None]))  # fmt: skip
    position = np.searchsorted(sets.times, values)
    order = np.argsort(sets.stop, kind="stable")
    stayed = (at.relative * sets.kept_by)[order]
    before = np.searchsorted(sets.stop[order], values)
    zero = np.zeros((1, Z.shape[1]))
    mass = np.concatenate([[0.0], np.cumsum(stayed)])[before]
    moment = np.concatenate([zero, np.cumsum(stayed[:, None] * Z[order], axis=0)])[before]
    q = moment * tail[position, None] - mass[:, None] * tail_means[position]
    passed = np.concatenate([zero, np.cumsum(q * (number / at_risk**2)[:, None], axis=0)])
    out = -passed[np.searchsorted(values, sets.stop, side="right")]
    out[sets.censored] += (q / at_risk[:, None])[where]
    return np.asarray(out)
