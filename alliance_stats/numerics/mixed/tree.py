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

from alliance_stats.numerics.mixed.coordinates import Basis, basis, scale_of, turn_of, turned, units_of
from alliance_stats.numerics.mixed.grouped import Family, family, products, sums
from alliance_stats.numerics.mixed.leaves import Cells, Gone, Groups, gathered
from alliance_stats.numerics.mixed.parts import (
    Ending,
    Evaluation,
    Level,
    Shape,
    diagonal_elements,
    elements,
    factors,
    solve_root,
)
from alliance_stats.numerics.mixed.starting import moment_factor, residual_variance


@dataclass(frozen=True)
class Tree:
    """Cross-products of a nested design.

    ``finest`` are the groups (or cells of groups) of the first level; ``B`` (groups of the second level, t, t) the
    cross-products of T; ``above[l]`` says which groups of level l + 2 share a parent. ``turns`` are the R of all levels:
    inside, their effects are Rb.
    """

    n: int
    shapes: tuple[Shape, ...]
    finest: Groups | Cells
    B: np.ndarray
    above: tuple[Family, ...]
    turns: tuple[np.ndarray, ...]
    basis: Basis
    log_weights: float

    @property
    def diagonal(self) -> np.ndarray:
        """Which elements of θ stand on the diagonal of Λ."""
        return diagonal_elements(self.shapes)

    @property
    def scale(self) -> np.ndarray:
        """The size of θ at which a random effect varies as much as the residual."""
        return scale_of(self.turns, self.shapes)

    @property
    def units(self) -> np.ndarray:
        """The matrix (k, k) that makes θ from coordinates in which the search is at ease."""
        return units_of(self.turns, self.shapes)

    def evaluate(
        self, theta: np.ndarray, *, reml: bool = True, sigma2: float | None = None, gradient: bool = True
    ) -> Evaluation:
        """The criterion at θ, with its gradient."""
        Ls = [R @ L for R, L in zip(self.turns, factors(theta, self.shapes), strict=True)]
        ending = Ending(self.n, self.basis, self.log_weights, reml, sigma2)
        H, gone = _forward(self, lambda level, _: Ls[level])
        root = solve_root(H)
        value, s2 = ending.value(root, sum(each.log_det for _, each in gone))
        if not gradient:
            return ending.evaluation(root, value, s2, np.empty(0))
        slopes = [R.T @ S for R, S in zip(self.turns, _backward(gone, ending.adjoint(root, s2)), strict=True)]
        return ending.evaluation(root, value, s2, elements(slopes, self.shapes))

    def start(self) -> np.ndarray:
        """θ by the method of moments, level by level."""
        found: list[np.ndarray] = []
        sigma2 = residual_variance(*self.finest.squares(), self.n, float(self.B[:, -1, -1].sum()))

        def pick(level: int, groups: Groups | Cells) -> np.ndarray:
            found.append(moment_factor(*groups.squares(), sigma2, self.shapes[level]))
            return found[-1]

        _forward(self, pick)
        return np.asarray(self.units @ elements(found, self.shapes))


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


def _backward(gone: Eliminations, G: np.ndarray) -> list[np.ndarray]:
    """The derivatives in Λ of every level, by the adjoint Γ from the root down."""
    slopes, G = [], G[None]
    for groups, each in gone[::-1]:
        slopes.append(groups.slope(each, G))
        if isinstance(groups, Groups) and len(slopes) < len(gone):
            G = groups.adjoint(each, G)
    return slopes[::-1]


def build_tree(levels: Sequence[Level], X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Tree:
    """Cross-products of nested levels, finest first; every group lies in one group of the next level."""
    n, order = len(y), _order([level.codes for level in levels])
    root = None if weights is None else np.sqrt(weights)
    coordinates = basis(X, y, root)
    Zs = [level.Z if root is None else level.Z * root[:, None] for level in levels]
    turns = [turn_of(Z, level.rows, level.columns) for Z, level in zip(Zs, levels, strict=True)]
    T = _columns([turned(Z, R) for Z, R in zip(Zs[1:], turns[1:], strict=True)], X, y, coordinates, root)
    Z, T = (Zs[0], T) if order is None else (Zs[0][order], T[order])
    codes = [level.codes if order is None else level.codes[order] for level in levels]
    firsts = [*map(_first_rows, codes), np.array([0])]
    above = [_family(fine, coarse, n) for fine, coarse in pairwise(firsts)]
    rows = family(firsts[0], n)
    finest = _finest(np.ascontiguousarray(Z), turns[0], T, rows, above[0])
    shapes = tuple((level.q, level.rows, level.columns) for level in levels)
    lost = 0.0 if weights is None else float(np.log(weights).sum())
    B = products(T, T, family(firsts[1], n))
    return Tree(n, shapes, finest, B, tuple(above[1:]), tuple(turns), coordinates, lost)


def _finest(Z: np.ndarray, R: np.ndarray, T: np.ndarray, rows: Family, parents: Family) -> Groups | Cells:
    """Groups are equal where their Z'Z are: in whole numbers, such as sessions, these are exact."""
    Z_turned = turned(Z, R)
    A = products(Z_turned, Z_turned, rows)
    return gathered((A + A.transpose(0, 2, 1)) / 2, products(Z_turned, T, rows), parents, products(Z, Z, rows))


def _columns(
    above: Sequence[np.ndarray], X: np.ndarray, y: np.ndarray, coordinates: Basis, root: np.ndarray | None
) -> np.ndarray:
    """T = [Z of the levels above, X̃, ỹ]."""
    T = np.empty((len(y), sum(Z.shape[1] for Z in above) + X.shape[1] + 1))
    start = 0
    for Z in above:
        T[:, start : start + Z.shape[1]] = Z
        start += Z.shape[1]
    T[:, start:-1] = X @ coordinates.turn
    T[:, -1] = y - X @ coordinates.origin
    if root is not None:
        T[:, start:] *= root[:, None]
    return T


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
