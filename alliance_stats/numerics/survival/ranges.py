"""Sums over ranges of positions by additions alone.

Differences of cumulative sums lose everything where large terms come and go: a patient with a hazard of e^40 who has left would
still be felt. Here each range is cut into at most 2 log₂ K blocks of a binary tree; sums go up the tree or down it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Ranges:
    """n ranges lo … hi − 1 of K positions: ``blocks``, shape (2 · size, n), holds the blocks of each."""

    blocks: csr_array
    turned: csr_array
    size: int
    K: int

    def covering(self, values: np.ndarray) -> np.ndarray:
        """Σ of the values, one a range, over the ranges that cover each position; (n, columns) → (K, columns)."""
        tree = self.blocks @ values
        width = 1
        while width < self.size:
            tree[2 * width : 4 * width] += np.repeat(tree[width : 2 * width], 2, axis=0)
            width *= 2
        return np.asarray(tree[self.size : self.size + self.K])

    def within(self, values: np.ndarray) -> np.ndarray:
        """Σ of the values, one a position, over the positions of each range; (K, columns) → (n, columns)."""
        tree = np.zeros((2 * self.size, values.shape[1]))
        tree[self.size : self.size + self.K] = values
        width = self.size
        while width > 1:
            tree[width // 2 : width] = tree[width : 2 * width : 2] + tree[width + 1 : 2 * width : 2]
            width //= 2
        return np.asarray(self.turned @ tree)


def ranges(lo: np.ndarray, hi: np.ndarray, K: int) -> Ranges:
    """The blocks of ranges of K positions.

    >>> found = ranges(np.array([0, 2]), np.array([3, 5]), 5)
    >>> found.covering(np.array([[1.0], [10.0]])).ravel().tolist()
    [1.0, 1.0, 11.0, 10.0, 10.0]
    """
    size = 1 << max(K - 1, 0).bit_length()
    left, right, rows = lo + size, hi + size, np.arange(len(lo))
    nodes, owners = [], []
    while True:
        open_ = left < right
        left, right, rows = left[open_], right[open_], rows[open_]
        if not len(rows):
            break
        odd = (left & 1).astype(bool)
        nodes.append(left[odd])
        owners.append(rows[odd])
        left = left + odd
        odd = (right & 1).astype(bool)
        right = right - odd
        nodes.append(right[odd])
        owners.append(rows[odd])
        left, right = left >> 1, right >> 1
    at, of = np.concatenate([*nodes, np.zeros(0, dtype=int)]), np.concatenate([*owners, np.zeros(0, dtype=int)])
    blocks = csr_array((np.ones(len(at)), (at, of)), shape=(2 * size, len(lo)))
    return Ranges(blocks, csr_array(blocks.T), size, K)
