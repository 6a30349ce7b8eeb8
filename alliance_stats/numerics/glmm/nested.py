"""Nested groups: every group is eliminated into its parent, finest first, so that the cost is linear in the rows.

A finest group owns S_g = Σ w z z' over its rows, z the columns of all levels side by side. With [A K; K' B] = S_g split after
its own columns, eliminating it leaves B − K'MK to its parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from alliance_stats.numerics.glmm.structure import Curved, shapes_of
from alliance_stats.numerics.mixed.parts import Elimination, Level, Shape, elimination, in_factor


@dataclass(frozen=True, eq=False)
class Nested:
    """Rows sorted by group.

    ``Z`` (rows, Q) are the columns of all levels; ``products`` the different products of two of them, ``where`` (Q, Q) which
    product is whose; ``starts[l]`` the first row, or finer group, of every group of level l; ``numbers[l]`` their codes.
    """

    order: np.ndarray
    shapes: tuple[Shape, ...]
    Z: np.ndarray
    products: tuple[np.ndarray | None, ...]
    where: np.ndarray
    starts: tuple[np.ndarray, ...]
    sizes: tuple[np.ndarray, ...]
    numbers: tuple[np.ndarray, ...]

    @cached_property
    def ones(self) -> bool:
        """Whether there are random intercepts only."""
        return bool((self.Z == 1).all())

    @property
    def dense(self) -> int:
        return 0

    def factor(self, w: np.ndarray, Ls: Sequence[np.ndarray]) -> NestedFactor:
        """The elimination at weights w."""
        C = np.moveaxis(np.array([self._total(w, column) for column in self.products])[self.where], 2, 0)
        stages, log_det = [], 0.0
        for level, L in enumerate(Ls):
            q = len(L)
            A, K, B = np.ascontiguousarray(C[:, :q, :q]), C[:, :q, q:], C[:, q:, q:]
            with np.errstate(invalid="ignore", divide="ignore"):
                at = elimination(A, L)
                log_det += float(at.log_det.sum())
            E = at.M @ K
            stages.append(_Stage(A, K, E, at))
            if level + 1 < len(Ls):
                C = np.add.reduceat(B - K.swapaxes(1, 2) @ E, self.starts[level + 1], axis=0)
        return NestedFactor(self, tuple(stages), log_det)

    def sums(self, v: np.ndarray) -> list[np.ndarray]:
        found, path = [], self.by_group(v)
        for level, (q, _, _) in enumerate(self.shapes):
            path = path if level == 0 else np.add.reduceat(path, self.starts[level], axis=0)
            ordered = np.empty((len(path), q))
            ordered[self.numbers[level]] = path[:, :q]
            found.append(ordered)
            path = path[:, q:]
        return found

    def spread(self, effects: Sequence[np.ndarray]) -> np.ndarray:
        path = np.zeros((len(self.starts[-1]), 0))
        for level in reversed(range(len(effects))):
            path = np.concatenate([effects[level][self.numbers[level]], path], axis=1)
            path = path if level == 0 else np.repeat(path, self.sizes[level], axis=0)
        return self.along(path)

    def along(self, path: np.ndarray) -> np.ndarray:
        """z'path of every row, from the effects (groups, Q) of a finest group and those above it."""
        if self.ones:
            return np.repeat(path.sum(axis=1), self.sizes[0])
        return np.asarray(np.einsum("ij,ij->i", self.Z, np.repeat(path, self.sizes[0], axis=0)))

    def by_group(self, v: np.ndarray) -> np.ndarray:
        """Σ z v over the rows of the finest groups, shape (groups, Q)."""
        if self.ones:
            return np.repeat(np.add.reduceat(v, self.starts[0])[:, None], self.Z.shape[1], axis=1)
        return np.asarray(np.add.reduceat(self.Z * v[:, None], self.starts[0], axis=0))

    def _total(self, w: np.ndarray, column: np.ndarray | None) -> np.ndarray:
        return np.asarray(np.add.reduceat(w if column is None else w * column, self.starts[0]))


@dataclass(frozen=True, eq=False)
class _Stage:
    """A = Z'WZ of the groups of a level, K = Z'W[Z above], E = MK, and the elimination."""

    A: np.ndarray
    K: np.ndarray
    E: np.ndarray
    at: Elimination


@dataclass(frozen=True, eq=False)
class NestedFactor:
    """All eliminations at one set of weights."""

    design: Nested
    stages: tuple[_Stage, ...]
    log_det: float

    def solve(self, t: np.ndarray) -> np.ndarray:
        design, f, alone = self.design, self.design.by_group(t), []
        for level, stage in enumerate(self.stages):
            q = len(stage.at.L)
            own = _times(stage.at.M, f[:, :q])
            alone.append(own)
            if level + 1 < len(self.stages):
                rest = f[:, q:] - (stage.K * own[:, :, None]).sum(axis=1)
                f = np.add.reduceat(rest, design.starts[level + 1], axis=0)
        path = alone[-1]
        for level in reversed(range(len(self.stages) - 1)):
            path = np.repeat(path, design.sizes[level + 1], axis=0)
            path = np.concatenate([alone[level] - _times(self.stages[level].E, path), path], axis=1)
        return design.along(path)

    def curved(self) -> Curved:
        """From the top down, C of a group and those above it is [[M + EC E', −EC], [·, C]]."""
        slopes: list[np.ndarray] = []
        C = np.zeros((len(self.stages[-1].A), 0, 0))
        for level in reversed(range(len(self.stages))):
            stage = self.stages[level]
            if level + 1 < len(self.stages):
                C = np.repeat(C, self.design.sizes[level + 1], axis=0)
            F = np.eye(stage.A.shape[1]) - stage.A @ stage.at.M
            U = F @ stage.K
            slopes.append(in_factor(stage.A, stage.at, np.einsum("gat,gtu,gbu->ab", U, C, U, optimize=True)))
            EC = stage.E @ C
            cross = -EC.swapaxes(1, 2)
            top = np.concatenate([stage.at.M + EC @ stage.E.swapaxes(1, 2), -EC], axis=2)
            C = np.concatenate([top, np.concatenate([cross, C], axis=2)], axis=1)
        return Curved(self._variances(C), tuple(slopes[::-1]))

    def _variances(self, C: np.ndarray) -> np.ndarray:
        """z'Cz of every row, by the different products."""
        total = np.zeros(len(self.design.Z))
        for k, column in enumerate(self.design.products):
            each = np.repeat(C[:, self.design.where == k].sum(axis=1), self.design.sizes[0])
            total += each if column is None else each * column
        return total


def _times(stack: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The matrices of a stack times vectors, written out: they are tiny and many."""
    if stack.shape[2] == 1:
        return np.asarray(stack[:, :, 0] * vectors)
    return np.asarray(np.einsum("gab,gb->ga", stack, vectors))


def build_nested(levels: Sequence[Level]) -> Nested:
    """Levels finest first, every group within one group of the next."""
    order = np.lexsort([level.codes for level in levels])
    codes = [level.codes[order] for level in levels]
    firsts = [np.flatnonzero(np.r_[True, each[1:] != each[:-1]]) for each in codes]
    starts = (firsts[0], *(np.searchsorted(fine, coarse) for fine, coarse in pairwise(firsts)))
    counts = (len(order), *(len(first) for first in firsts[:-1]))
    sizes = tuple(np.diff(np.append(start, n)) for start, n in zip(starts, counts, strict=True))
    numbers = tuple(each[first] for each, first in zip(codes, firsts, strict=True))
    Z = np.concatenate([level.Z for level in levels], axis=1)[order]
    products, where = _products(Z)
    return Nested(order, shapes_of(levels), Z, products, where, starts, sizes, numbers)


def _products(Z: np.ndarray) -> tuple[tuple[np.ndarray | None, ...], np.ndarray]:
    """Products of two columns, each once; None for a column of ones, which random intercepts make."""
    found: list[np.ndarray] = []
    where = np.zeros((Z.shape[1], Z.shape[1]), dtype=int)
    for a in range(Z.shape[1]):
        for b in range(a + 1):
            column = Z[:, a] * Z[:, b]
            same = [k for k, other in enumerate(found) if np.array_equal(other, column)]
            where[a, b] = where[b, a] = same[0] if same else len(found)
            if not same:
                found.append(column)
    return tuple(None if (column == 1).all() else column for column in found), where
