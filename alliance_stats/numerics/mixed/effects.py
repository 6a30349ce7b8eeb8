"""Conditional modes of the random effects, and their conditional covariance given β and θ.

Every level is eliminated, finest first; then, from the top down, the mode of a group is M K w, with M = (A + Ψ⁻¹)⁻¹, K the
condensed cross-product of its Z with [Z above, y − Xβ], and w = (−modes above, 1). Its covariance, in units of σ², is
M + E C E', E = M K, where C is that of the effects above. This solves the penalised least squares of Bates et al. (2015,
doi 10.18637/jss.v067.i01) by blocks; the cost is linear in the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import linalg, sparse

from alliance_stats.numerics.mixed.parts import Level, factors

CHUNK = 4_000_000  # numbers held at once where many groups meet many crossed effects


@dataclass(frozen=True)
class CrossProducts:
    """Cross-products of the first level's Z with T = [Z of the levels above, further columns], with all groups kept.

    ``A`` = Z'Z (groups, q, q); ``K`` = Z'T (groups, q, t); ``B`` = T'T (parents, t, t); ``starts[l]`` the first group of
    level l in every parent; ``codes[l]`` the number of each group, in that order. In crossed designs everything above the first
    level counts as one group, and K is sparse (groups·q, t).
    """

    A: np.ndarray
    K: Any
    B: np.ndarray
    starts: tuple[np.ndarray, ...]
    codes: tuple[np.ndarray, ...]
    nested: bool

    def condense(self, D: np.ndarray) -> np.ndarray:
        """Σ K'DK over the groups of every parent, D (groups, q, q), result (parents, t, t)."""
        if self.nested:
            left, right = self.K.reshape(-1, self.K.shape[2]), (D @ self.K).reshape(-1, self.K.shape[2])
            at = np.r_[self.starts[0], len(self.K)] * D.shape[1]
            return np.array([left[a:b].T @ right[a:b] for a, b in pairwise(at)])
        return np.asarray((self.K.T @ (_block_diagonal(D) @ self.K)).todense())[None]


def cross_products(levels: Sequence[Level], columns: np.ndarray, weights: np.ndarray | None = None) -> CrossProducts:
    """Levels in the order of θ: nested ones finest first, else the one to eliminate (most groups) first."""
    root = np.ones(len(columns)) if weights is None else np.sqrt(weights)
    return (_nested if are_nested(levels) else _crossed)(levels, columns, root)


def are_nested(levels: Sequence[Level]) -> bool:
    """Whether every group of a level lies in one group of the next."""
    return all(_lies_within(fine.codes, coarse.codes) for fine, coarse in pairwise(levels))


def _lies_within(fine: np.ndarray, coarse: np.ndarray) -> bool:
    owner = np.zeros(int(fine.max()) + 1, dtype=coarse.dtype)
    owner[fine] = coarse
    return bool((owner[fine] == coarse).all())


def add_by_parent(stack: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of the matrices of a stack over the groups of every parent."""
    return np.add.reduceat(stack, starts, axis=0)


def transposed(stack: np.ndarray) -> np.ndarray:
    """The transpose of every matrix of a stack."""
    return stack.swapaxes(-1, -2)


def _nested(levels: Sequence[Level], columns: np.ndarray, root: np.ndarray) -> CrossProducts:
    order = np.lexsort([level.codes for level in levels])
    W = np.concatenate([*(level.Z for level in levels), columns], axis=1)[order] * root[order][:, None]
    sorted_codes = [level.codes[order] for level in levels]
    firsts = [np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) for codes in sorted_codes]
    numbers = tuple(codes[first] for codes, first in zip(sorted_codes, firsts, strict=True))
    firsts.append(np.array([0]))
    starts = tuple(np.searchsorted(fine, coarse) for fine, coarse in pairwise(firsts))
    q, T = levels[0].q, W[:, levels[0].q :]
    ZW = np.stack([np.add.reduceat(W * W[:, [a]], firsts[0], axis=0) for a in range(q)], axis=1)
    B = np.array([T[a:b].T @ T[a:b] for a, b in pairwise(np.r_[firsts[1], len(T)])])
    return CrossProducts(ZW[:, :, :q], ZW[:, :, q:], B, starts, numbers, True)


def _crossed(levels: Sequence[Level], columns: np.ndarray, root: np.ndarray) -> CrossProducts:
    first, *above = [_indicator(level, root) for level in levels]
    T = sparse.hstack([*above, sparse.csr_array(columns * root[:, None])]).tocsr()
    scaled = levels[0].Z * root[:, None]
    A = np.zeros((_groups(levels[0]), levels[0].q, levels[0].q))
    np.add.at(A, levels[0].codes, scaled[:, :, None] * scaled[:, None, :])
    top = np.array([0])
    B = np.asarray((T.T @ T).todense())[None]
    return CrossProducts(A, (first.T @ T).tocsr(), B, (top, top), (np.arange(len(A)), top), False)


def _groups(level: Level) -> int:
    return int(level.codes.max()) + 1


def _indicator(level: Level, root: np.ndarray) -> Any:
    """√weights · Z as a sparse matrix (n, groups·q), the effects of a group side by side."""
    n, q = level.Z.shape
    columns = (level.codes[:, None] * q + np.arange(q)).ravel()
    values, shape = (level.Z * root[:, None]).ravel(), (n, _groups(level) * q)
    return sparse.csr_array((values, (np.repeat(np.arange(n), q), columns)), shape=shape)


def _block_diagonal(D: np.ndarray) -> Any:
    groups, q, _ = D.shape
    return sparse.bsr_array((D, np.arange(groups), np.arange(groups + 1)), shape=(groups * q, groups * q)).tocsr()


def level_factors(levels: Sequence[Level], theta: np.ndarray) -> list[np.ndarray]:
    """Λ of every level."""
    return factors(theta, [(level.q, level.rows, level.columns) for level in levels])


def posterior(A: np.ndarray, L: np.ndarray) -> np.ndarray:
    """M = (A + Ψ⁻¹)⁻¹ = Λ(I + Λ'AΛ)⁻¹Λ', defined at Ψ = 0 too, for a stack of A."""
    d = np.diag(L)
    if np.count_nonzero(L) == np.count_nonzero(d):  # over many groups, products with a full Λ would cost the most
        scale = np.outer(d, d)
        return np.asarray(np.linalg.inv(A * scale + np.eye(len(L))) * scale)
    return np.asarray(L @ np.linalg.inv(L.T @ A @ L + np.eye(len(L))) @ L.T)


def over_groups(levels: Sequence[Level], blocks: Sequence[np.ndarray]) -> np.ndarray:
    """The block-diagonal matrix that repeats each level's block over its groups."""
    repeated = [np.kron(np.eye(_groups(level)), block) for level, block in zip(levels, blocks, strict=True)]
    return np.asarray(linalg.block_diag(*repeated))


@dataclass(frozen=True)
class _Stage:
    """One elimination: M (groups, q, q), K (groups, q, t) or sparse (groups·q, t), and the first group of every parent."""

    M: np.ndarray
    K: Any
    starts: np.ndarray

    def of_parents(self, stack: np.ndarray) -> np.ndarray:
        """What belongs to a parent, repeated for its groups."""
        return np.repeat(stack, np.diff(np.r_[self.starts, len(self.M)]), axis=0)

    def modes(self, w: np.ndarray) -> np.ndarray:
        """M K w, shape (groups, q), from w (parents, t)."""
        if sparse.issparse(self.K):
            right = (self.K @ w[0]).reshape(self.M.shape[:2])
        else:
            right = np.einsum("gqt,gt->gq", self.K, self.of_parents(w))
        return np.asarray(np.einsum("gab,gb->ga", self.M, right))

    def covariance(self, C: np.ndarray) -> np.ndarray:
        """M + E C E', shape (groups, q, q), from C (parents, t, t)."""
        if sparse.issparse(self.K):
            return np.asarray(self.M + _quadratic(_block_diagonal(self.M) @ self.K, C[0], self.M.shape[1]))
        E = self.M @ self.K
        return np.asarray(self.M + E @ self.of_parents(C) @ transposed(E))

    def joint_covariance(self, C: np.ndarray) -> np.ndarray:
        """Of a group's own effects and those above."""
        C, E = self.of_parents(C), self.M @ self.K
        top = np.concatenate([self.M + E @ C @ transposed(E), -E @ C], axis=2)
        return np.concatenate([top, np.concatenate([-C @ transposed(E), C], axis=2)], axis=1)


def _quadratic(E: Any, C: np.ndarray, q: int) -> np.ndarray:
    """E_g C E_g' for the q rows of every group of a sparse E, some groups at a time."""
    at_once = q * max(1, CHUNK // (q * max(1, len(C))))
    found = []
    for start in range(0, E.shape[0], at_once):
        part = E[start : start + at_once]
        shape = (-1, q, len(C))
        found.append((part @ C).reshape(shape) @ transposed(np.asarray(part.todense()).reshape(shape)))
    return np.concatenate(found)


def _stages(products: CrossProducts, levels: Sequence[Level], Ls: Sequence[np.ndarray]) -> list[_Stage]:
    """The eliminations, finest first; in crossed designs the second is that of all effects above the first level."""
    stages = [_Stage(posterior(products.A, Ls[0]), products.K, products.starts[0])]
    above = Ls[1:] if products.nested else [over_groups(levels[1:], Ls[1:])]
    C = products.B - products.condense(stages[0].M) if above else products.B
    for L, starts in zip(above, products.starts[1:], strict=True):
        q = len(L)
        A, K, B = C[:, :q, :q], C[:, :q, q:], C[:, q:, q:]
        stages.append(_Stage(posterior(A, L), K, starts))
        C = add_by_parent(B - transposed(K) @ stages[-1].M @ K, starts)
    return stages


def conditional_modes(
    levels: Sequence[Level],
    X: np.ndarray,
    y: np.ndarray,
    theta: np.ndarray,
    beta: np.ndarray,
    weights: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Modes b̂ of the random effects given β and θ: (groups, q) for every level, in the order of its codes.

    >>> level = Level(np.array([0, 0, 0, 1]), np.ones((4, 1)), np.array([0]), np.array([0]))
    >>> conditional_modes([level], np.empty((4, 0)), np.array([1.0, 2, 3, -4]), np.ones(1), np.empty(0))[0].round(3).tolist()
    [[1.5], [-2.0]]
    """
    products = cross_products(levels, (y - X @ beta)[:, None], weights)
    stages = _stages(products, levels, level_factors(levels, theta))
    w = np.ones((1, 1))
    found = [stages[-1].modes(w)]
    for above, stage in zip(stages[:0:-1], stages[-2::-1], strict=True):
        w = np.concatenate([-found[0], above.of_parents(w)], axis=1)
        found.insert(0, stage.modes(w))
    if not products.nested:
        ends = np.cumsum([_groups(level) * level.q for level in levels[1:]])
        parts = np.split(found[1][0], ends[:-1])
        found[1:] = [part.reshape(-1, level.q) for part, level in zip(parts, levels[1:], strict=True)]
        return found
    return [b[np.argsort(codes)] for b, codes in zip(found, products.codes, strict=True)]


def conditional_covariance(
    levels: Sequence[Level], theta: np.ndarray, weights: np.ndarray | None = None
) -> list[np.ndarray]:
    """Covariance of b given y, β and θ, in units of σ²: (groups, q, q) for every level, in the order of its codes."""
    products = cross_products(levels, np.empty((len(levels[0].codes), 0)), weights)
    stages = _stages(products, levels, level_factors(levels, theta))
    C = np.empty((1, 0, 0))
    found = [stages[-1].covariance(C)]
    for above, stage in zip(stages[:0:-1], stages[-2::-1], strict=True):
        C = above.joint_covariance(C)
        found.insert(0, stage.covariance(C))
    if not products.nested:
        found[1:] = _diagonal_blocks(found[1][0], levels[1:])
        return found
    return [V[np.argsort(codes)] for V, codes in zip(found, products.codes, strict=True)]


def _diagonal_blocks(V: np.ndarray, levels: Sequence[Level]) -> list[np.ndarray]:
    blocks, start = [], 0
    for level in levels:
        at = start + np.arange(_groups(level) * level.q).reshape(-1, level.q)
        blocks.append(V[at[:, :, None], at[:, None, :]])
        start += at.size
    return blocks
