"""Groups ready to be eliminated: one by one, or as cells of exchangeable groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.mixed.grouped import Family, family, inner, products, sums, times
from alliance_stats.numerics.mixed.parts import Elimination, elimination, in_factor


@dataclass(frozen=True)
class Groups:
    """Cross-products A = Z'Z (groups, q, q) and K = Z'T (groups, q, t), and which groups share a parent."""

    A: np.ndarray
    K: np.ndarray
    parents: Family

    def eliminate(self, L: np.ndarray) -> Gone:
        """Σ K'MK for every parent, and Σ log|I + Λ'AΛ|."""
        at = elimination(self.A, L)
        E = at.M @ self.K
        return Gone(at, E, products(self.K, E, self.parents), float(at.log_det.sum()))

    def slope(self, gone: Gone, G: np.ndarray) -> np.ndarray:
        """Derivative of the criterion in Λ from Γ of the parents."""
        U = self.K - self.A @ gone.E
        UG = times(U, G, self.parents)
        return in_factor(self.A, gone.at, inner(UG, U))

    def adjoint(self, gone: Gone, G: np.ndarray) -> np.ndarray:
        """Γ of the groups from Γ of their parents."""
        E, (_, q, t) = gone.E, self.K.shape
        found = np.empty((len(E), q + t, q + t))
        EG = times(E, G, self.parents)
        found[:, :q, :q] = gone.at.M + EG @ E.transpose(0, 2, 1)
        found[:, :q, q:] = -EG
        found[:, q:, :q] = -EG.transpose(0, 2, 1)
        found[:, q:, q:] = np.repeat(G, self.parents.sizes, axis=0)
        return found

    def squares(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A, the products zz' of z = Z'ỹ, and how many groups each stands for."""
        z = self.K[:, :, -1]
        return self.A, z[:, :, None] * z[:, None, :], np.ones(len(z))


@dataclass(frozen=True)
class Cells:
    """Groups with equal A and the same parent: ``P`` (cells, q(q+1)/2, t, t) holds the sums of symmetrised K_a'K_b."""

    A: np.ndarray
    count: np.ndarray
    P: np.ndarray
    parents: Family

    def eliminate(self, L: np.ndarray) -> Gone:
        """Σ K'MK for every parent, and Σ log|I + Λ'AΛ|."""
        at, low = elimination(self.A, L), np.tril_indices(len(L))
        cells, k, t, _ = self.P.shape
        S = at.M[:, low[0], low[1]][:, None, :] @ self.P.reshape(cells, k, t * t)
        return Gone(at, np.empty(0), sums(S.reshape(cells, t, t), self.parents), float(self.count @ at.log_det))

    def slope(self, gone: Gone, G: np.ndarray) -> np.ndarray:
        """Derivative of the criterion in Λ from Γ of the parents."""
        cells, k, t, _ = self.P.shape
        stack = self.P.reshape(cells, k, t * t)
        Q = self._unpacked(times(stack, G.reshape(-1, t * t, 1), self.parents)[:, :, 0])
        F = np.eye(self.A.shape[1]) - self.A @ gone.at.M
        return in_factor(self.A, gone.at, np.einsum("gab,gcb->ac", F @ Q, F), self.count)

    def squares(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A, the sums of zz' with z = Z'ỹ, and how many groups each stands for."""
        return self.A, self._unpacked(self.P[:, :, -1, -1]), self.count

    def _unpacked(self, packed: np.ndarray) -> np.ndarray:
        """Symmetric matrices from their lower triangles, in which the elements off the diagonal are doubled."""
        q = self.A.shape[1]
        low = np.tril_indices(q)
        found = np.empty((len(packed), q, q))
        found[:, low[0], low[1]] = found[:, low[1], low[0]] = packed * np.where(low[0] == low[1], 1.0, 0.5)
        return found


@dataclass(frozen=True)
class Gone:
    """What an elimination leaves: M and V⁻¹, E = MK (of groups one by one), Σ K'MK (parents, t, t) and Σ log|V|."""

    at: Elimination
    E: np.ndarray
    total: np.ndarray
    log_det: float


def gathered(A: np.ndarray, K: np.ndarray, parents: Family, key: np.ndarray) -> Groups | Cells:
    """Cells where so many groups are exchangeable, having the same ``key`` (groups, q, q), that they are the smaller way."""
    q = A.shape[1]
    order, starts, owner = exchangeable(key, parents)
    if 2 * (q + 1) * len(starts) > len(A):
        return Groups(A, K, parents)
    cells, K = family(starts, len(A)), K[order]
    low = np.tril_indices(q)
    P = np.empty((len(starts), len(low[0]), K.shape[2], K.shape[2]))
    for k, (a, b) in enumerate(zip(*low, strict=True)):
        one = products(np.ascontiguousarray(K[:, a]), np.ascontiguousarray(K[:, b]), cells)
        P[:, k] = one if a == b else one + one.transpose(0, 2, 1)
    first_cells = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    return Cells(A[order][starts], cells.sizes.astype(float), P, family(first_cells, len(starts)))


def exchangeable(A: np.ndarray, parents: Family) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An order of groups, parents together, the first group of each run with equal A and parent, and the parents of the runs.

    Groups are brought together by a hash of the bits of A, but are equal only if every element is: a collision can split a
    cell, never join two.
    """
    low = np.tril_indices(A.shape[1])
    key = np.column_stack([A[:, low[0], low[1]]])
    owner = np.repeat(np.arange(len(parents.starts)), parents.sizes)
    order = np.argsort(_hash(key, owner))
    key, owner = key[order], owner[order]
    new = (key[1:] != key[:-1]).any(axis=1) | (owner[1:] != owner[:-1])
    starts = np.flatnonzero(np.r_[True, new])
    by_parent = np.argsort(owner[starts], kind="stable")
    sizes = np.diff(np.r_[starts, len(A)])[by_parent]
    first = np.cumsum(sizes) - sizes
    rows = np.repeat(starts[by_parent] - first, sizes) + np.arange(len(A))
    return order[rows], first, owner[starts][by_parent]


def _hash(key: np.ndarray, owner: np.ndarray) -> np.ndarray:
    mixed = owner.astype(np.uint64)
    for column in key.T:
        mixed = (mixed ^ np.ascontiguousarray(column + 0.0).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
