"""Who is at risk when, as two integers a row; sums over risk sets by cumulative sums, or by a tree where rows enter late.

A row with the interval (start, stop] is at risk at an event time t where start < t ≤ stop. The event times of all strata stand
in one list, strata one after the other, so that a row is at risk at the positions ``lo`` … ``hi − 1`` of that list and a sum
over all risk sets is a pass over the rows and one over the times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.survival.ranges import Ranges, ranges

CLOSE = float(np.sqrt(np.finfo(float).eps))  # times this near, beside their mean, are one time; as in R's survival


@dataclass(frozen=True, eq=False)
class RiskSets:
    """Rows against event times.

    ``times`` and ``strata`` describe the K event times; ``lo`` and ``hi`` the rows; ``events`` the rows that end in an event,
    in the order of their times, and ``at`` the position of each; ``ties`` the events at each time. ``share`` is l/d for the
    l-th of d tied events (Efron), or zero (Breslow). ``ranges`` is None where all rows are at risk from the first time on.
    """

    times: np.ndarray
    strata: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    events: np.ndarray
    at: np.ndarray
    ties: np.ndarray
    share: np.ndarray
    ranges: Ranges | None

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Σ of the values of the rows at risk at each event time; shape (K,) or (K, columns)."""
        if self.ranges is not None:
            found = self.ranges.covering(values.reshape(len(values), -1))
            return found.reshape(len(found), *values.shape[1:])
        if values.ndim == 2:
            return self._columns(self.sums, values)
        return np.cumsum(np.bincount(self.hi, values, len(self.times) + 1)[:0:-1])[::-1]

    def tied(self, values: np.ndarray) -> np.ndarray:
        """Σ of values, one an event, at each event time; shape (K,) or (K, columns)."""
        if values.ndim == 2:
            return self._columns(self.tied, values)
        return np.bincount(self.at, values, len(self.times))

    def _columns(self, add: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
        out = np.zeros((len(self.times), values.shape[1]))
        for j in range(values.shape[1]):
            out[:, j] = add(values[:, j])
        return out

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Σ of values, one an event time, over the times at which each row is at risk; shape (n,) or (n, columns)."""
        if self.ranges is not None:
            found = self.ranges.within(values.reshape(len(values), -1))
            return found.reshape(len(found), *values.shape[1:])
        total = np.zeros((len(self.times) + 1, *values.shape[1:]))
        np.cumsum(values, axis=0, out=total[1:])
        return np.asarray(total[self.hi])


def risk_sets(
    start: np.ndarray | None, stop: np.ndarray, event: np.ndarray, strata: np.ndarray, *, efron: bool = True
) -> RiskSets:
    """Risk sets of rows with intervals (start, stop], or (−∞, stop] without ``start``; ``strata`` are codes 0, 1, ….

    >>> start, stop = np.array([0.0, 2, 0]), np.array([2.0, 3, 3])
    >>> sets = risk_sets(start, stop, np.array([0, 1, 0]), np.zeros(3, dtype=int))
    >>> sets.sums(np.ones(3)).tolist()  # the first row has ended when the second has its event
    [2.0]
    """
    rows = np.flatnonzero(event)
    values = np.unique(stop[rows])
    width = len(values) + 1
    ended = strata * width + np.searchsorted(values, stop, side="right")
    keys, at = np.unique(ended[rows], return_inverse=True)
    order = np.argsort(at, kind="stable")
    hi = np.searchsorted(keys, ended, side="right")
    begun = strata * width + (0 if start is None else np.searchsorted(values, start, side="right"))
    lo = np.searchsorted(keys, begun, side="right")
    at = at[order]
    ties = np.bincount(at, minlength=len(keys))
    nth = np.arange(len(at)) - np.concatenate([[0], np.cumsum(ties)[:-1]])[at] if len(at) else at
    share = nth / ties[at] if efron else np.zeros(len(at))
    late = ranges(lo, hi, len(keys)) if lo.any() else None
    return RiskSets(values[keys % width - 1], keys // width, lo, hi, rows[order], at, ties, share, late)


def settled(*times: np.ndarray | None) -> tuple[np.ndarray | None, ...]:
    """Times that differ by rounding alone made equal, so that 0.1 + 0.2 and 0.3 are tied.

    >>> [float(t) for t in settled(np.array([0.1 + 0.2, 0.3, 1.0]))[0]]
    [0.3, 0.3, 1.0]
    """
    given = [t for t in times if t is not None]
    if all(np.array_equal(t, np.rint(t)) for t in given):
        return times
    values = np.sort(np.concatenate(given))
    values = values[np.concatenate([[True], np.diff(values) > 0])]
    first = np.concatenate([[True], np.diff(values) > CLOSE * max(1.0, float(np.abs(values).mean()))])
    if first.all():
        return times
    kept = values[first]
    return tuple(None if t is None else kept[first.cumsum()[np.searchsorted(values, t)] - 1] for t in times)
