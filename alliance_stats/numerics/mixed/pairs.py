"""Σ S_g'D_gS_g over the groups of a sparse S, and its adjoint, by the pairs of columns that meet in a group.

The sum is linear in D: a sparse matrix (pairs of columns, elements of D) holds it, and an evaluation is a product with
a vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

MOST = 8_000_000  # products kept (12 bytes each); above, S'DS is formed anew every time
FULL = 0.1  # share of elements of S from which it is held as a full matrix where products are not kept


@dataclass(frozen=True)
class Pairs:
    """S (groups·q, m); where products are kept, ``map`` (pairs of columns, groups · q(q+1)/2) and ``at``, the pairs (2, ·)."""

    S: Any
    q: int
    map: Any | None
    at: np.ndarray

    def sums(self, D: np.ndarray) -> np.ndarray:
        """Σ S_g'D_gS_g, shape (m, m), for symmetric D (groups, q, q)."""
        if self.map is None:
            return _dense(self.S.T @ (_block_diagonal(D) @ self.S))
        low, m = np.tril_indices(self.q), self.S.shape[1]
        values = self.map @ D[:, low[0], low[1]].ravel()
        found = np.zeros((m, m))
        found[self.at[0], self.at[1]] = found[self.at[1], self.at[0]] = values
        return found

    def quadratic(self, F: np.ndarray, G: np.ndarray) -> np.ndarray:
        """Σ F_g S_gΓS_g' F_g', shape (q, q), for symmetric Γ (m, m)."""
        if self.map is None:
            return self._by_products(F, G)
        low, rows = np.tril_indices(self.q), np.where(self.at[0] == self.at[1], 1.0, 2.0)
        packed = (self.map.T @ (G[self.at[0], self.at[1]] * rows)).reshape(len(F), -1)
        Q = np.empty_like(F)
        Q[:, low[0], low[1]] = Q[:, low[1], low[0]] = packed * np.where(low[0] == low[1], 1.0, 0.5)
        return np.asarray(np.einsum("gab,gcb->ac", F @ Q, F))

    def _by_products(self, F: np.ndarray, G: np.ndarray) -> np.ndarray:
        FS = _block_diagonal(F) @ self.S
        found = np.empty((self.q, self.q))
        for a, b in zip(*np.tril_indices(self.q), strict=True):
            product = FS[a :: self.q].T @ FS[b :: self.q]
            found[a, b] = found[b, a] = product.multiply(G).sum() if sparse.issparse(product) else np.vdot(product, G)
        return found


def pairs(S: Any, q: int) -> Pairs:
    """The pairs of columns of a sparse S (groups·q, m) that meet in a group."""
    entries = S.tocoo()
    (rows, columns), m = entries.coords, S.shape[1]
    keys, where = np.unique((rows // q).astype(np.int64) * m + columns, return_inverse=True)
    values = np.zeros((len(keys), q))
    values[where, rows % q] = entries.data
    group, column = np.divmod(keys, m)
    met = np.bincount(group, minlength=S.shape[0] // q)
    if (met * (met + 1)).sum() * q * (q + 1) > 4 * MOST:
        return Pairs(S.toarray() if S.nnz > FULL * S.shape[0] * m else S, q, None, np.empty((2, 0), dtype=np.intp))
    left, right = _meetings(met)
    packed, at = _numbered(column[left] * m + column[right], m)
    return Pairs(S, q, _map(packed, group[left], values[left], values[right], (at.shape[1], len(met))), at)


def _meetings(met: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every entry with itself and the earlier ones of its group."""
    first = np.cumsum(met) - met
    place = np.arange(met.sum()) - np.repeat(first, met)
    left = np.repeat(np.arange(len(place)), place + 1)
    begin = np.cumsum(place + 1) - (place + 1)
    return left, np.arange(len(left)) - np.repeat(begin - np.repeat(first, met), place + 1)


def _numbered(keys: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Consecutive numbers of the pairs, and the two columns of each."""
    present = np.zeros(m * m, dtype=bool)
    present[keys] = True
    number = np.cumsum(present) - 1
    return number[keys], np.array(np.divmod(np.flatnonzero(present), m))


def _map(number: np.ndarray, group: np.ndarray, left: np.ndarray, right: np.ndarray, shape: tuple[int, int]) -> Any:
    """Column g·q(q+1)/2 + k belongs to the k-th element of the lower triangle of D_g."""
    low = np.transpose(np.tril_indices(left.shape[1]))
    values = [left[:, a] * right[:, b] + (left[:, b] * right[:, a] if a != b else 0.0) for a, b in low]
    rows, columns = np.tile(number, len(low)), np.concatenate([group * len(low) + k for k in range(len(low))])
    size = (shape[0], shape[1] * len(low))
    return sparse.coo_array((np.concatenate(values), (rows, columns)), shape=size).tocsr()


def _block_diagonal(D: np.ndarray) -> Any:
    groups, q, _ = D.shape
    if q == 1:
        return sparse.diags_array(D[:, 0, 0])
    return sparse.bsr_array((D, np.arange(groups), np.arange(groups + 1)), shape=(groups * q, groups * q)).tocsr()


def _dense(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.todense() if sparse.issparse(matrix) else matrix)
