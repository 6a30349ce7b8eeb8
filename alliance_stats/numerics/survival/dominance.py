"""How many of the first m numbers are smaller than v, for many (m, v) at once."""

from __future__ import annotations

import numpy as np


def below(values: np.ndarray, m: np.ndarray, v: np.ndarray) -> np.ndarray:
    """#{i < m : values[i] < v} for whole numbers ≥ 0, one answer for each pair (m, v).

    A wavelet matrix: the values are sorted by one bit after the other, and each bit moves all pairs on in one step, so that
    the work is (values + pairs) × bits.

    >>> below(np.array([3, 1, 2, 1]), np.array([4, 2]), np.array([2, 3])).tolist()
    [2, 1]
    """
    values, m, v = np.asarray(values), np.array(m), np.asarray(v)
    bits = max(int(values.max(initial=0)), int(v.max(initial=0))).bit_length()
    lower, count = np.zeros_like(m), np.zeros(len(m), dtype=int)
    for bit in range(bits - 1, -1, -1):
        ones = (values >> bit) & 1
        zeros = np.concatenate([[0], np.cumsum(1 - ones)])
        total, up = zeros[-1], ((v >> bit) & 1).astype(bool)
        in_low, in_high = zeros[lower], zeros[m]
        count += np.where(up, in_high - in_low, 0)
        lower, m = (np.where(up, total + edge - found, found) for edge, found in ((lower, in_low), (m, in_high)))
        values = values[np.argsort(ones, kind="stable")]
    return count
