"""Tests between groups: the log-rank family and Gray's test."""

from __future__ import annotations

import numpy as np


def table(
    stop: np.ndarray, kinds: np.ndarray, groups: np.ndarray, n_groups: int, start: np.ndarray | None, n_kinds: int
) -> tuple[np.ndarray, np.ndarray]:
    """At risk (K, groups) and events (kinds, K, groups) at the distinct times of events of any kind."""
    values = np.unique(stop[kinds > 0])
    at_risk = np.zeros((len(values), n_groups))
    events = np.zeros((n_kinds, len(values), n_groups))
    for g in range(n_groups):
        mine = groups == g
        ends = np.sort(stop[mine])
        at_risk[:, g] = len(ends) - np.searchsorted(ends, values)
        if start is not None:
            at_risk[:, g] -= len(ends) - np.searchsorted(np.sort(start[mine]), values)
        for k in range(n_kinds):
            at = np.searchsorted(values, stop[mine & (kinds == k + 1)])
            events[k, :, g] = np.bincount(at, minlength=len(values))
    return at_risk, events


def log_rank(at_risk: np.ndarray, events: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed and expected events of each group and the covariance of their differences, in one stratum.

    Harrington & Fleming's G-rho family: weights S(t−)^rho, with rho = 0 the log-rank test, rho = 1 Peto & Peto's.
    """
    n, d = at_risk.sum(axis=1), events.sum(axis=1)
    survival = np.cumprod(1 - d / n)
    weight = np.concatenate([[1.0], survival[:-1]]) ** rho
    share = at_risk / n[:, None]
    spread = weight**2 * d * np.divide(n - d, n - 1, out=np.zeros_like(n), where=n > 1)
    covariance = np.diag(spread @ share) - (share * spread[:, None]).T @ share
    return np.asarray(weight @ events), np.asarray((weight * d) @ share), covariance


def quadratic(difference: np.ndarray, covariance: np.ndarray) -> tuple[float, int]:
    """χ² of differences that add up to zero, over the groups with any expected event, and its degrees of freedom."""
    counted = np.flatnonzero(np.diag(covariance) > 0)[1:]  # one group follows from the others
    if not len(counted):
        return np.nan, 0
    z = difference[counted]
    return float(z @ np.linalg.solve(covariance[np.ix_(counted, counted)], z)), len(counted)


def gray(at_risk: np.ndarray, events: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Gray's score of each group and its covariance, in one stratum; ``events[0]`` are those of the cause, ``[1]`` others.

    A group's risk set is Y (1 − F(t−))/S(t−): those who left for another cause stay in it. The covariance is that of the
    score as a sum of integrals over the group's two counting processes (Gray 1988, doi 10.1214/aos/1176350951), tied events
    one after the other.
    """
    G = at_risk.shape[1]
    d1, d2 = events
    safe = np.where(at_risk > 0, at_risk, 1.0)
    after = np.cumprod(1 - (d1 + d2) / safe, axis=0)  # S(t), and S(t−)
    before = np.vstack([np.ones(G), after[:-1]])
    own = np.cumsum(before * d1 / safe, axis=0)
    F_before = np.vstack([np.zeros(G), own[:-1]])
    here = at_risk > 0
    h = np.divide(at_risk, before, out=np.zeros_like(before), where=here & (before > 0))
    total, events1 = h.sum(axis=1), d1.sum(axis=1)
    pooled = np.cumsum(events1 / total)
    pooled_before = np.concatenate([[0.0], pooled[:-1]])
    weight = (1 - pooled_before) ** rho
    R = h * (1 - F_before)
    score = weight @ (d1 - events1[:, None] * R / R.sum(axis=1)[:, None])
    A = weight[:, None, None] * (np.eye(G) * h[:, :, None] - h[:, :, None] * h[:, None, :] / total[:, None, None])
    C = np.cumsum(A * (events1 / (total * (1 - pooled_before)))[:, None, None], axis=0)
    left = np.divide((1 - pooled)[:, None], after, out=np.zeros_like(after), where=after > 0)
    size1 = np.where(here, _ties(events1[:, None], total[:, None] * before), 0.0) * before * events1[:, None]
    size1 = np.divide(size1, total[:, None] * safe)
    size2 = np.where(here & (after > 0), _ties(d2, at_risk), 0.0) * before**2 * d2 / safe**2
    t4 = np.where(after > 0, 1 - left, 1.0)
    b1, b2 = A - t4[:, None, :] * C, left[:, None, :] * C  # integrands of group i against the processes of group k
    v3 = (t4**2 * size1 + left**2 * size2).sum(axis=0)
    v2 = np.einsum("tik,tk->ik", b1, t4 * size1) - np.einsum("tik,tk->ik", b2, left * size2)
    covariance = np.einsum("tik,tjk,tk->ij", b1, b1, size1) + np.einsum("tik,tjk,tk->ij", b2, b2, size2)
    last = C[-1]
    cross = np.einsum("ik,jk->ij", last, v2)
    return score, covariance + np.einsum("ik,jk,k->ij", last, last, v3) + cross + cross.T


def _ties(events: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """1 − (d − 1)/(n − 1) where several events are tied."""
    events, at_risk = np.broadcast_arrays(events, at_risk)
    apart = np.divide(events - 1, at_risk - 1, out=np.zeros(events.shape), where=(events > 1) & (at_risk > 1))
    return np.asarray(1 - apart)
