"""Nested grouping factors: an elimination tree whose cost does not grow with the number of rows.

A group of level l owns the cross-product of [Z_l | T], T = [Z_{l+1} … X̃ ỹ]: A = Z'Z, K = Z'T, B = T'T. Eliminating it
adds B − K'MK to its parent. Finest groups with equal A and the same parent are exchangeable: sums of their K'K are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse

from alliance_stats.numerics.mixed.grouped import Family, family, products, sums
from alliance_stats.numerics.mixed.leaves import Cells, Gone, Groups, gathered
from alliance_stats.numerics.mixed.parts import (
    Basis,
    Ending,
    Evaluation,
    Level,
    Shape,
    basis,
    diagonal_elements,
    elements,
    factors,
    sizes_of_theta,
    solve_root,
)
from alliance_stats.numerics.mixed.starting import moment_factor, residual_variance


@dataclass(frozen=True)
class Tree:
    """Cross-products of a nested design.

    ``finest`` are the groups (or cells of groups) of the first level; ``B`` (groups of the second level, t, t) the
    cross-products of T; ``above[l]`` says which groups of level l + 2 share a parent.
    """

    n: int
    shapes: tuple[Shape, ...]
    finest: Groups | Cells
    B: np.ndarray
    above: tuple[Family, ...]
    squares: tuple[np.ndarray, ...]
    basis: Basis
    log_weights: float

    @property
    def diagonal(self) -> np.ndarray:
        """Which elements of θ stand on the diagonal of Λ."""
        return diagonal_elements(self.shapes)

    @property
    def scale(self) -> np.ndarray:
        """The size of θ at which a random effect varies as much as the residual."""
        return sizes_of_theta(self.squares, self.shapes, self.n)

    def evaluate(
        self, theta: np.ndarray, *, reml: bool = True, sigma2: float | None = None, gradient: bool = True
    ) -> Evaluation:
        """The criterion at θ, with its gradient."""
        Ls, ending = factors(theta, self.shapes), Ending(self.n, self.basis, self.log_weights, reml, sigma2)
        H, gone = _forward(self, lambda level, _: Ls[level])
        root = solve_root(H)
        value, s2 = ending.value(root, sum(each.log_det for _, each in gone))
        slope = _backward(gone, ending.adjoint(root, s2), self.shapes) if gradient else np.empty(0)
        return ending.evaluation(root, value, s2, slope)

    def start(self) -> np.ndarray:
        """θ by the method of moments, level by level."""
        scale, found = self.scale[self.diagonal], []
        ends = np.cumsum([q for q, _, _ in self.shapes])
        sigma2 = residual_variance(*self.finest.squares(), scale[: ends[0]], self.n, float(self.B[:, -1, -1].sum()))

        def pick(level: int, groups: Groups | Cells) -> np.ndarray:
            own = scale[ends[level] - self.shapes[level][0] : ends[level]]
            found.append(moment_factor(*groups.squares(), own, sigma2, self.shapes[level]))
            return found[-1]

        _forward(self, pick)
        return elements(found, self.shapes)


Eliminations = list[tuple[Groups | Cells, Gone]]


def _forward(tree: Tree, pick: Callable[[int, Groups | Cells], np.ndarray]) -> tuple[np.ndarray, Eliminations]:
    """H at the root and the eliminations, finest first; ``pick`` gives Λ of every level."""
    first = tree.finest.eliminate(pick(0, tree.finest))
    gone: Eliminations = [(tree.finest, first)]
    C = tree.B - first.total
    for level, parents in enumerate(tree.above, start=1):
        q = tree.shapes[level][0]
        groups = Groups(np.ascontiguousarray(C[:, :q, :q]), np.ascontiguousarray(C[:, :q, q:]), parents)
        gone.append((groups, groups.eliminate(pick(level, groups))))
        C = sums(C[:, q:, q:], parents) - gone[-1][1].total
    return C[0], gone


def _backward(gone: Eliminations, G: np.ndarray, shapes: Sequence[Shape]) -> np.ndarray:
    """The gradient in θ, by the adjoint Γ from the root down."""
    slopes, G = [], G[None]
    for groups, each in gone[::-1]:
        slopes.append(groups.slope(each, G))
        if isinstance(groups, Groups) and len(slopes) < len(gone):
            G = groups.adjoint(each, G)
    return elements(slopes[::-1], shapes)


def build_tree(levels: Sequence[Level], X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Tree:
    """Cross-products of nested levels, finest first; every group lies in one group of the next level."""
    n, order = len(y), _order([level.codes for level in levels])
    root = None if weights is None else np.sqrt(weights)
    coordinates = basis(X, y, root)
    Z, T = levels[0].Z, _columns(levels[1:], X, y, coordinates)
    if root is not None:
        Z, T = Z * root[:, None], T * root[:, None]
    if order is not None:
        Z, T = Z[order], T[order]
    codes = [level.codes if order is None else level.codes[order] for level in levels]
    firsts = [*map(_first_rows, codes), np.array([0])]
    above = [_family(fine, coarse, n) for fine, coarse in pairwise(firsts)]
    rows, Z = family(firsts[0], n), np.ascontiguousarray(Z)
    A = products(Z, Z, rows)
    finest = gathered((A + A.transpose(0, 2, 1)) / 2, products(Z, T, rows), above[0])
    B = products(T, T, family(firsts[1], n))
    shapes = tuple((level.q, level.rows, level.columns) for level in levels)
    lost = 0.0 if weights is None else float(np.log(weights).sum())
    squares = np.split(np.r_[_trace(A), _trace(B)], np.cumsum([level.q for level in levels]))[:-1]
    return Tree(n, shapes, finest, B, tuple(above[1:]), tuple(squares), coordinates, lost)


def _columns(above: Sequence[Level], X: np.ndarray, y: np.ndarray, coordinates: Basis) -> np.ndarray:
    """T = [Z of the levels above, X̃, ỹ]."""
    T = np.empty((len(y), sum(level.q for level in above) + X.shape[1] + 1))
    start = 0
    for level in above:
        T[:, start : start + level.q] = level.Z
        start += level.q
    T[:, start:-1] = X @ coordinates.turn
    T[:, -1] = y - X @ coordinates.origin
    return T


def _trace(stack: np.ndarray) -> np.ndarray:
    """Sums of the diagonals of a stack."""
    return np.asarray(np.einsum("gaa->a", stack))


def _first_rows(codes: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])


def _family(fine: np.ndarray, coarse: np.ndarray, n: int) -> Family:
    """Which groups, given by their first rows, lie together in the groups of the next level."""
    begins = np.zeros(n, dtype=bool)
    begins[coarse] = True
    return family(np.flatnonzero(begins[fine]), len(fine))


def _order(codes: Sequence[np.ndarray]) -> np.ndarray | None:
    """An order of rows in which the groups of every level are consecutive; None if they are."""
    if all(len(_first_rows(each)) == len(np.unique(each[_first_rows(each)])) for each in codes):
        return None
    fine, groups = codes[0], int(codes[0].max()) + 1
    owners = []
    for coarse in codes[1:]:
        owner = np.zeros(groups, dtype=np.int64)
        owner[fine] = coarse
        owners.append(owner)
    rank = np.empty(groups, dtype=np.int64)
    rank[np.lexsort([np.arange(groups), *owners])] = np.arange(groups)
    return _counting_sort(rank[fine], groups)


def _counting_sort(codes: np.ndarray, groups: int) -> np.ndarray:
    """The stable order of codes, in linear time."""
    n = len(codes)
    rows = sparse.coo_array((np.ones(n, dtype=np.int8), (codes, np.arange(n))), shape=(groups, n)).tocsr()
    return np.asarray(rows.indices)


def nested_order(codes: Sequence[np.ndarray]) -> list[int] | None:
    """Positions of the factors from finest to coarsest where each lies within the next, else None.

    >>> nested_order([np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])])
    [1, 0]
    """
    order = sorted(range(len(codes)), key=lambda i: -int(codes[i].max()))
    return order if all(_within(codes[a], codes[b]) for a, b in pairwise(order)) else None


def _within(fine: np.ndarray, coarse: np.ndarray) -> bool:
    owner = np.zeros(int(fine.max()) + 1, dtype=coarse.dtype)
    owner[fine] = coarse
    return bool((owner[fine] == coarse).all())
