"""Sums of products over consecutive rows, on which building and evaluating an elimination tree spend their time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

MANY = 16  # rows a group from which one call of BLAS a group pays


@dataclass(frozen=True)
class Family:
    """Consecutive rows in groups: the first row of every group, their sizes, and the common size (0 if there is none)."""

    starts: np.ndarray
    sizes: np.ndarray
    common: int

    @property
    def rows(self) -> int:
        """Rows of all groups together."""
        return int(self.starts[-1] + self.sizes[-1])

    @property
    def bounds(self) -> np.ndarray:
        """First rows, and the end."""
        return np.append(self.starts, self.rows)


def family(starts: np.ndarray, rows: int) -> Family:
    """Groups from the first row of each.

    >>> family(np.array([0, 2]), 4).common
    2
    """
    sizes = np.diff(np.append(starts, rows))
    return Family(starts, sizes, int(sizes[0]) if (sizes == sizes[0]).all() else 0)


def products(left: np.ndarray, right: np.ndarray, groups: Family) -> np.ndarray:
    """Σ left'right over the rows of each group, (groups, a, b) from (rows, a) and (rows, b).

    Stacks (rows, q, a) and (rows, q, b) are taken as q rows each.
    """
    inner = 1 if left.ndim == 2 else left.shape[1]
    left, right = left.reshape(-1, left.shape[-1]), right.reshape(-1, right.shape[-1])
    if groups.common:
        by_group = (len(groups.starts), groups.common * inner, -1)
        return np.asarray(left.reshape(by_group).transpose(0, 2, 1) @ right.reshape(by_group))
    bounds = groups.bounds * inner
    if len(left) >= MANY * len(groups.starts):
        return np.array([left[a:b].T @ right[a:b] for a, b in pairwise(bounds.tolist())])
    return np.stack([_weighted_sums(left[:, a], right, bounds) for a in range(left.shape[1])], axis=1)


def _weighted_sums(weights: np.ndarray, values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    shape = (len(bounds) - 1, len(weights))
    return np.asarray(sparse.csr_array((weights, np.arange(len(weights)), bounds), shape=shape) @ values)


def times(stack: np.ndarray, matrices: np.ndarray, groups: Family) -> np.ndarray:
    """The members of a stack (rows, q, a), each times the matrix (a, b) of its group."""
    q, a = stack.shape[1:]
    if groups.common:
        by_group = stack.reshape(len(groups.starts), groups.common * q, a)
        return np.asarray(by_group @ matrices).reshape(len(stack), q, -1)
    if len(stack) * q < MANY * len(groups.starts):
        return np.asarray(stack @ np.repeat(matrices, groups.sizes, axis=0))
    flat, bounds = stack.reshape(-1, a), (groups.bounds * q).tolist()
    parts = [flat[s:e] @ matrix for (s, e), matrix in zip(pairwise(bounds), matrices, strict=True)]
    return np.concatenate(parts).reshape(len(stack), q, -1)


def sums(stack: np.ndarray, groups: Family) -> np.ndarray:
    """Sums of the members of a stack over each group."""
    if groups.common == 1:
        return stack
    if groups.common:
        return np.asarray(stack.reshape(len(groups.starts), groups.common, *stack.shape[1:]).sum(axis=1))
    return np.asarray(np.add.reduceat(stack, groups.starts, axis=0))


def inner(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Σ left_g right_g' over a stack, symmetric: (q, q) from (groups, q, t) twice."""
    q = left.shape[1]
    found = np.empty((q, q))
    for a in range(q):
        for b in range(a + 1):
            found[a, b] = found[b, a] = np.einsum("gt,gt->", left[:, a], right[:, b])
    return found
