"""Kaplan–Meier and Aalen–Johansen from counts, restricted means, and what they are counted from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from alliance_stats.numerics.survival.risk import CLOSE


@dataclass(frozen=True, eq=False)
class Counts:
    """At each distinct time: how many are at risk, have an event of each kind, are censored, and enter."""

    times: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    censored: np.ndarray

    @property
    def any_event(self) -> np.ndarray:
        """Events of all kinds together, shape (K,)."""
        return np.asarray(self.events[0] if len(self.events) == 1 else self.events.sum(axis=0))


def counts(stop: np.ndarray, kinds: np.ndarray, n_kinds: int, start: np.ndarray | None = None) -> Counts:
    """Counts at every distinct end of an interval; ``kinds`` is 0 for censored and 1 … n_kinds for events.

    The rows are sorted once; all else is sums over what stands together.
    """
    times, sorted_kinds = _in_order(stop, kinds, n_kinds)
    gap = CLOSE * max(1.0, float(times.mean()))
    first = np.concatenate([[0], np.flatnonzero(np.diff(times) > gap) + 1])
    values = times if len(first) == len(times) else times[first]
    at_risk = (len(stop) - first).astype(float)
    if start is not None:
        entered = np.searchsorted(np.sort(start), values - gap, side="left")
        at_risk -= len(stop) - entered
    events = np.array([_together(sorted_kinds == k, first) for k in range(1, n_kinds + 1)])
    size = np.diff(np.append(first, len(times)))
    return Counts(values, at_risk, events, size - events.sum(axis=0))


def _in_order(stop: np.ndarray, kinds: np.ndarray, n_kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Times in rising order with their kinds.

    The bits of a double ≥ 0 are a whole number that rises with it and leaves the sign's bit free: one kind of event has room
    there, and sorting these numbers by value is three times as fast as sorting their places.
    """
    if n_kinds > 1 or (stop < 0).any():
        order = np.argsort(stop)
        return stop[order], kinds.astype(np.int8)[order]
    key = (stop + 0.0).view(np.uint64) << np.uint64(1)  # + 0.0: no −0.0, whose sign is in the bits
    key |= kinds.astype(np.uint64)
    key.sort()
    return (key >> np.uint64(1)).view(np.float64), (key & np.uint64(1)).astype(np.int8)


def _together(flags: np.ndarray, first: np.ndarray) -> np.ndarray:
    """How many rows are flagged from each first row up to the next."""
    found = flags.astype(float)
    return found if len(first) == len(found) else np.asarray(np.add.reduceat(found, first))


def product_limit(found: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Kaplan–Meier and Greenwood's Σ d/(n(n − d)), the variance of its logarithm, at each time."""
    n, d = found.at_risk, found.any_event
    share = d / n
    with np.errstate(divide="ignore"):
        variance = np.cumsum(share / (n - d))  # infinite where everybody left has the event
    return np.cumprod(1 - share), variance


def limits(survival: np.ndarray, variance: np.ndarray, kind: str, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise limits from the variance of log S: ``plain``, ``log`` or ``log-log``; S = 1 has no width, S = 0 none known."""
    z, se = float(ndtri((1 + level) / 2)), np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "plain":
            low, high = survival - z * survival * se, survival + z * survival * se
        elif kind == "log":
            low, high = survival * np.exp(-z * se), survival * np.exp(z * se)
        else:
            log_survival = np.log(survival)
            wide = np.exp(z * se / log_survival)
            low, high = np.exp(log_survival / wide), np.exp(log_survival * wide)
            certain = variance == 0
            low, high = np.where(certain, survival, low), np.where(certain, survival, high)
    gone = survival <= 0
    return np.where(gone, np.nan, np.clip(low, 0, 1)), np.where(gone, np.nan, np.clip(high, 0, 1))


def cumulative_incidence(found: Counts, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Aalen–Johansen's probability of an event of one kind, and its Greenwood-type variance, at each time.

    The increments are multinomial: Var = Σ (F(t) − F(u))² d/(n(n − d)) + S(u−)² d₁(n − d₁)/n³ − 2(F(t) − F(u)) S(u−) d₁/n²;
    without weights it is the infinitesimal jackknife's.
    """
    n, d, d1 = found.at_risk, found.any_event, found.events[kind]
    survival = np.cumprod(1 - d / n)
    before = np.concatenate([[1.0], survival[:-1]])
    F = np.cumsum(before * d1 / n)
    greenwood = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)  # nobody is left after n = d
    both = before * d1 / n**2
    squares = np.cumsum(greenwood * F**2 + before**2 * d1 * (n - d1) / n**3 + 2 * F * both)
    variance = F**2 * np.cumsum(greenwood) - 2 * F * np.cumsum(greenwood * F + both) + squares
    return F, np.maximum(variance, 0.0)


def aalen_variance(found: Counts, kind: int) -> np.ndarray:
    """Aalen's (1978) variance of a cumulative incidence, that of Gray's cuminc: tied events one after the other."""
    n, d, d1 = found.at_risk, found.any_event, found.events[kind]
    d2 = d - d1
    survival = np.cumprod(1 - d / n)
    before = np.concatenate([[1.0], survival[:-1]])
    F = np.cumsum(before * d1 / n)
    left = np.divide(1.0, survival, out=np.zeros_like(n), where=survival > 0)
    parts = []
    for events, own in ((d1, 1.0), (d2, 0.0)):
        ties = np.where(events > 1, 1 - (events - 1) / np.maximum(n - 1, 1), 1.0)
        size = before**2 * ties * events / n**2 * ((survival > 0) | (own > 0))
        parts.append([size * (own + left * F) ** 2, size * left * (own + left * F), size * left**2])
    v1, v2, v3 = (np.cumsum(a + b) for a, b in zip(*parts, strict=True))
    return np.asarray(np.maximum(v1 + F**2 * v3 - 2 * F * v2, 0.0))


def restricted_mean(times: np.ndarray, survival: np.ndarray, found: Counts, tau: float) -> tuple[float, float]:
    """Area under a survival curve up to ``tau`` and its variance, Σ (area after u)² d/(n(n − d))."""
    inside = times <= tau
    knots = np.concatenate([[0.0], times[inside], [tau]])
    areas = np.diff(knots) * np.concatenate([[1.0], survival[inside]])
    after = np.cumsum(areas[::-1])[::-1][1:]
    n, d = found.at_risk[inside], found.any_event[inside]
    greenwood = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
    return float(areas.sum()), float(after**2 @ greenwood)
