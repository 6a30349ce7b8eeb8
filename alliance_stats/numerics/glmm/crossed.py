"""Crossed factors: the one with most effects is eliminated group by group, the others as one dense block of m effects.

S = Z₁'WZ₂ and C = Z₂'WZ₂ have the same pattern at all weights, found once. With V = Cov(b₂ | y), the variance of η in a row is
z₁'(M + EVE')z₁ − 2z₁'EVz₂ + z₂'Vz₂, E = MS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from alliance_stats.numerics.glmm.structure import Curved, shapes_of
from alliance_stats.numerics.mixed.parts import Elimination, Level, Shape, elimination, in_factor


@dataclass(frozen=True, eq=False)
class _Pattern:
    """Σ over the rows into the places of a sparse matrix: the place of every product, its value at w = 1, and its row."""

    places: np.ndarray
    values: np.ndarray
    keys: np.ndarray
    shape: tuple[int, int]

    def at(self, w: np.ndarray) -> Any:
        data = np.bincount(self.places, (self.values * w[:, None]).ravel(), len(self.keys))
        rows, columns = np.divmod(self.keys, self.shape[1])
        return sparse.csr_array((data, (rows, columns)), shape=self.shape)


@dataclass(frozen=True, eq=False)
class Crossed:
    """Rows sorted by the first factor: ``Z`` (rows, q), ``starts``; ``others`` (rows, Q₂), their places ``at`` among the m."""

    order: np.ndarray
    shapes: tuple[Shape, ...]
    Z: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    others: np.ndarray
    at: np.ndarray
    counts: tuple[int, ...]
    cross: _Pattern
    square: _Pattern

    @property
    def ends(self) -> list[int]:
        """Where the effects of each of the other factors begin and end among the m."""
        each = (n * q for n, (q, _, _) in zip(self.counts, self.shapes[1:], strict=True))
        return [int(end) for end in np.cumsum([0, *each])]

    @property
    def dense(self) -> int:
        return self.ends[-1]

    def factor(self, w: np.ndarray, Ls: Sequence[np.ndarray]) -> CrossedFactor:
        """The elimination at weights w."""
        weighted = self.Z[:, :, None] * (self.Z * w[:, None])[:, None, :]
        with np.errstate(invalid="ignore", divide="ignore"):
            A = np.add.reduceat(weighted, self.starts, axis=0)
            at = elimination(A, Ls[0])
            log_det = float(at.log_det.sum())
        S = self.cross.at(w)
        E = (_blocks(at.M) @ S).tocsr()
        C = (self.square.at(w) - S.T @ E).toarray()
        L = _over_groups(Ls[1:], self.counts)
        CL = _times(L.T, C).T  # C is symmetric
        V = _times(L.T, CL)
        V.flat[:: len(V) + 1] += 1
        root, failed = lapack.dpotrf(V.T, lower=1, overwrite_a=1, clean=1)
        log_det += np.nan if failed else 2 * float(np.log(np.diag(root)).sum())
        return CrossedFactor(self, at, A, S, E, L, CL, root, log_det)

    def sums(self, v: np.ndarray) -> list[np.ndarray]:
        first = np.add.reduceat(self.Z * v[:, None], self.starts, axis=0)
        return [first, *self._split(self.to_others(v))]

    def _split(self, flat: np.ndarray) -> list[np.ndarray]:
        parts = zip(pairwise(self.ends), self.counts, strict=True)
        return [flat[a:b].reshape(n, -1) for (a, b), n in parts]

    def to_others(self, v: np.ndarray) -> np.ndarray:
        """Z₂'v, shape (m,)."""
        return np.bincount(self.at.ravel(), (self.others * v[:, None]).ravel(), self.ends[-1])

    def spread(self, effects: Sequence[np.ndarray]) -> np.ndarray:
        flat = np.concatenate([each.ravel() for each in effects[1:]])
        own = np.repeat(effects[0], self.sizes, axis=0)
        return np.asarray((self.Z * own).sum(axis=1) + (self.others * flat[self.at]).sum(axis=1))


@dataclass(frozen=True, eq=False)
class CrossedFactor:
    """The first factor's elimination, S, E = MS, Λ of the others, C − S'MS times Λ, and the root of I + Λ'(C − S'MS)Λ."""

    design: Crossed
    at: Elimination
    A: np.ndarray
    S: Any
    E: Any
    L: Any
    CL: np.ndarray
    root: np.ndarray
    log_det: float

    def solve(self, t: np.ndarray) -> np.ndarray:
        design = self.design
        first = np.add.reduceat(design.Z * t[:, None], design.starts, axis=0)
        alone = np.einsum("gab,gb->ga", self.at.M, first)
        right = _times(self.L.T, design.to_others(t) - self.S.T @ alone.ravel())
        above = _times(self.L, lapack.dpotrs(self.root, right, lower=1)[0])
        own = alone - (self.E @ above).reshape(alone.shape)
        parts = (design.Z * np.repeat(own, design.sizes, axis=0)).sum(axis=1)
        return np.asarray(parts + (design.others * above[design.at]).sum(axis=1))

    @cached_property
    def inverse(self) -> np.ndarray:
        """(I + Λ'(C − S'MS)Λ)⁻¹."""
        lower, _ = lapack.dpotri(self.root, lower=1)
        inverse = np.asarray(lower + lower.T)
        inverse.flat[:: len(inverse) + 1] /= 2
        return inverse

    def curved(self) -> Curved:
        V = _times(self.L, _times(self.L, self.inverse).T)
        q = self.A.shape[1]
        SV = self.S @ V
        Q = np.empty_like(self.A)
        for a in range(q):
            for b in range(q):
                Q[:, a, b] = self.S[b::q].multiply(SV[a::q]).sum(axis=1)
        F = np.eye(q) - self.A @ self.at.M
        below = (F @ Q @ F.swapaxes(1, 2)).sum(axis=0)
        return Curved(self._variances(V, SV, Q), (in_factor(self.A, self.at, below), *self._slopes()))

    def _slopes(self) -> list[np.ndarray]:
        """2 Σ of the diagonal blocks of (C − S'MS)ΛV⁻¹ over the groups of each of the other factors."""
        found = []
        for (a, b), (q, _, _) in zip(pairwise(self.design.ends), self.design.shapes[1:], strict=True):
            near, far = self.CL[a:b], self.inverse[a:b]
            found.append(2 * np.array([[np.vdot(near[i::q], far[j::q]) for j in range(q)] for i in range(q)]))
        return found

    def _variances(self, V: np.ndarray, SV: np.ndarray, Q: np.ndarray) -> np.ndarray:
        design, M = self.design, self.at.M
        rows = np.repeat(np.arange(len(design.starts)), design.sizes)
        total = np.einsum("ia,iab,ib->i", design.Z, (M + M @ Q @ M)[rows], design.Z)
        MSV = M @ SV.reshape(len(M), M.shape[1], -1)
        for j in range(design.others.shape[1]):
            z, at = design.others[:, j], design.at[:, j]
            total -= 2 * z * (design.Z * MSV[rows, :, at]).sum(axis=1)
            for k in range(design.others.shape[1]):
                total += z * design.others[:, k] * V[at, design.at[:, k]]
        return np.asarray(total)


def _over_groups(Ls: Sequence[np.ndarray], counts: Sequence[int]) -> Any:
    """Λ of the other factors, each repeated over its groups: the diagonal alone where all are numbers, else sparse."""
    if all(L.size == 1 for L in Ls):
        return np.repeat([L[0, 0] for L in Ls], counts)
    return sparse.csr_array(
        sparse.block_diag([sparse.kron(sparse.eye_array(n), L) for n, L in zip(counts, Ls, strict=True)])
    )


def _times(L: Any, right: np.ndarray) -> np.ndarray:
    if isinstance(L, np.ndarray):
        return np.asarray(L * right if right.ndim == 1 else L[:, None] * right)
    return np.asarray(L @ right)


def build_crossed(levels: Sequence[Level]) -> Crossed:
    """Levels, the one to eliminate first."""
    order = np.argsort(levels[0].codes, kind="stable")
    codes = [level.codes[order] for level in levels]
    counts = [int(each.max()) + 1 for each in codes]
    starts = np.flatnonzero(np.r_[True, codes[0][1:] != codes[0][:-1]])
    sizes = np.diff(np.append(starts, len(order)))
    offsets = np.cumsum([0, *(n * level.q for n, level in zip(counts[1:], levels[1:], strict=True))])
    at = np.concatenate(
        [first + each[:, None] * level.q + np.arange(level.q)
         for first, each, level in zip(offsets, codes[1:], levels[1:], strict=False)], axis=1,
    )  # fmt: skip
    Z, others = levels[0].Z[order], np.concatenate([level.Z for level in levels[1:]], axis=1)[order]
    m, own = int(offsets[-1]), codes[0][:, None] * levels[0].q + np.arange(levels[0].q)
    cross = _pattern(own, Z, at, others, (counts[0] * levels[0].q, m))
    square = _pattern(at, others, at, others, (m, m))
    return Crossed(order, shapes_of(levels), Z, starts, sizes, others, at, tuple(counts[1:]), cross, square)


def _pattern(left: np.ndarray, a: np.ndarray, right: np.ndarray, b: np.ndarray, shape: tuple[int, int]) -> _Pattern:
    rows = len(left)
    keys = (left[:, :, None].astype(np.int64) * shape[1] + right[:, None, :]).reshape(rows, -1)
    values = (a[:, :, None] * b[:, None, :]).reshape(rows, -1)
    found, places = np.unique(keys.ravel(), return_inverse=True)
    return _Pattern(places, values, found, shape)


def _blocks(M: np.ndarray) -> Any:
    groups, q, _ = M.shape
    return sparse.bsr_array((M, np.arange(groups), np.arange(groups + 1)), shape=(groups * q, groups * q)).tocsr()
