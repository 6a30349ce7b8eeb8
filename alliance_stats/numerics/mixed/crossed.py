"""Crossed grouping factors: the factor with most levels is eliminated group by group, the others as one dense block.

C − Σ S_g'M_gS_g of the m other effects is taken over the pairs of effects that meet in a group. Λ is applied by blocks,
and log|V| of the dense block has the derivative 2 × the diagonal blocks of CΛV⁻¹, so that one Cholesky factor and one
inverse are the only operations of order m³.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from alliance_stats.numerics.mixed.coordinates import Basis, basis, scale_of, turn_of, turned, units_of
from alliance_stats.numerics.mixed.pairs import Pairs, pairs
from alliance_stats.numerics.mixed.parts import (
    Elimination,
    Ending,
    Evaluation,
    Level,
    Shape,
    diagonal_elements,
    elements,
    elimination,
    factors,
    in_factor,
    solve_root,
)
from alliance_stats.numerics.mixed.starting import moment_factor, residual_variance
from alliance_stats.numerics.threads import blas_threads


@dataclass(frozen=True)
class Crossed:
    """Cross-products of a crossed design.

    Of the eliminated factor ``A`` (groups, q, q), ``S`` sparse (groups·q, m) with the m other random effects, ``pairs``
    of S, and ``T`` (groups, q, p + 1) with X̃ and ỹ; of the others ``C`` (m, m) and ``K`` (m, p + 1), and the number of
    their groups in ``sizes``; ``B`` of X̃ and ỹ.
    """

    n: int
    shapes: tuple[Shape, ...]
    sizes: tuple[int, ...]
    A: np.ndarray
    S: Any
    pairs: Pairs
    T: np.ndarray
    C: np.ndarray
    K: np.ndarray
    B: np.ndarray
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
        with blas_threads(len(self.C)):
            return self._evaluate(theta, reml=reml, sigma2=sigma2, gradient=gradient)

    def _evaluate(self, theta: np.ndarray, *, reml: bool, sigma2: float | None, gradient: bool) -> Evaluation:
        Ls = [R @ L for R, L in zip(self.turns, factors(theta, self.shapes), strict=True)]
        ending = Ending(self.n, self.basis, self.log_weights, reml, sigma2)
        first = self._eliminate_first(Ls[0])
        rest = _eliminate_rest(first, Ls[1:], self.sizes)
        root = solve_root(first.B - first.K.T @ rest.E)
        value, s2 = ending.value(root, float(first.at.log_det.sum()) + rest.log_det)
        if not gradient:
            return ending.evaluation(root, value, s2, np.empty(0))
        G = ending.adjoint(root, s2)
        V_inverse = _inverse(rest.factor)
        slopes = self._rest_slopes(first, rest, V_inverse, G, Ls[1:])
        slopes.insert(0, self._first_slope(first, rest, V_inverse, G, Ls))
        slopes = [R.T @ S for R, S in zip(self.turns, slopes, strict=True)]
        return ending.evaluation(root, value, s2, elements(slopes, self.shapes))

    def start(self) -> np.ndarray:
        """θ by the method of moments: the eliminated factor first, then the others, each as if it were alone."""
        z, one = self.T[:, :, -1], np.ones(len(self.A))
        squares = z[:, :, None] * z[:, None, :]
        sigma2 = residual_variance(self.A, squares, one, self.n, float(self.B[-1, -1]))
        found = [moment_factor(self.A, squares, one, sigma2, self.shapes[0])]
        first = self._eliminate_first(found[0])
        for at, size, shape in zip(self._slices(), self.sizes, self.shapes[1:], strict=True):
            z = first.K[at, -1].reshape(size, -1)
            A = _diagonal_blocks(first.C[at, at], size)
            found.append(moment_factor(A, z[:, :, None] * z[:, None, :], np.ones(size), sigma2, shape))
        return np.asarray(self.units @ elements(found, self.shapes))

    def _eliminate_first(self, L: np.ndarray) -> First:
        at = elimination(self.A, L)
        MT = at.M @ self.T
        flat, flat_T = MT.reshape(-1, MT.shape[2]), self.T.reshape(-1, MT.shape[2])
        return First(at, self.C - self.pairs.sums(at.M), self.K - self.S.T @ flat, self.B - flat_T.T @ flat)

    def _first_slope(
        self, first: First, rest: Rest, V_inverse: np.ndarray, G: np.ndarray, Ls: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Σ FQF' needs Q = [S T] Γ [S T]' with Γ = [[M + EΓ₀E', −EΓ₀], [·, Γ₀]] at the pairs of effects that meet only."""
        EG = rest.E @ G
        dense = _left(Ls[1:], _scaled(V_inverse, [L.T for L in Ls[1:]], self.sizes), self.sizes)
        dense += EG @ rest.E.T
        F = np.eye(len(Ls[0])) - self.A @ first.at.M
        U = F @ self.T
        cross = F @ (self.S @ EG).reshape(self.T.shape)
        mixed = np.einsum("gat,gbt->ab", cross, U)
        below = self.pairs.quadratic(F, dense) + np.einsum("gat,gbt->ab", U @ G, U) - mixed - mixed.T
        return in_factor(self.A, first.at, below)

    def _rest_slopes(
        self, first: First, rest: Rest, V_inverse: np.ndarray, G: np.ndarray, Ls: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """2 Σ of the diagonal blocks of CΛV⁻¹ − FKΓK'F'Λ, F = I − CM, over the groups of each factor."""
        U = first.K - first.C @ rest.E
        UG, slopes = U @ G, []
        for at, L in zip(self._slices(), Ls, strict=True):
            q = len(L)
            near = np.array([[np.vdot(rest.CL[at][a::q], V_inverse[at][b::q]) for b in range(q)] for a in range(q)])
            far = np.array([[np.vdot(UG[at][a::q], U[at][b::q]) for b in range(q)] for a in range(q)])
            slopes.append(2 * (near - far @ L))
        return slopes

    def _slices(self) -> list[slice]:
        """Where the effects of each of the other factors lie among the m."""
        ends = np.cumsum([0, *(size * q for size, (q, _, _) in zip(self.sizes, self.shapes[1:], strict=True))])
        return [slice(a, b) for a, b in pairwise(ends.tolist())]


@dataclass(frozen=True)
class First:
    """After the elimination of the first factor: its M, and what is left of C, K and B."""

    at: Elimination
    C: np.ndarray
    K: np.ndarray
    B: np.ndarray


@dataclass(frozen=True)
class Rest:
    """The dense block: CΛ, the Cholesky factor of V = I + Λ'CΛ, E = ΛV⁻¹Λ'K and log|V|."""

    CL: np.ndarray
    factor: np.ndarray
    E: np.ndarray
    log_det: float


def _eliminate_rest(first: First, Ls: Sequence[np.ndarray], sizes: Sequence[int]) -> Rest:
    CL = _scaled(first.C, Ls, sizes)
    transposed = [L.T for L in Ls]
    V = _left(transposed, CL, sizes)
    V.flat[:: len(V) + 1] += 1
    factor, failed = lapack.dpotrf(V.T, lower=1, overwrite_a=1, clean=1)
    if failed:
        raise np.linalg.LinAlgError("I + Λ'CΛ is not positive definite in double precision")
    solved, _ = lapack.dpotrs(factor, _left(transposed, first.K, sizes), lower=1)
    return Rest(CL, factor, _left(Ls, solved, sizes), 2 * float(np.log(np.diag(factor)).sum()))


def _inverse(factor: np.ndarray) -> np.ndarray:
    """V⁻¹ from its lower Cholesky factor (zeros above the diagonal), which is overwritten."""
    lower, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    inverse = np.asarray(lower + lower.T)
    inverse.flat[:: len(inverse) + 1] /= 2
    return inverse


def _scaled(matrix: np.ndarray, Ls: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """matrix · Λ, with Λ the block-diagonal matrix that repeats each level's factor over its groups."""
    parts, start = [], 0
    for L, size in zip(Ls, sizes, strict=True):
        q = len(L)
        block = matrix[:, start : start + size * q]
        parts.append(block * L[0, 0] if q == 1 else (block.reshape(-1, q) @ L).reshape(block.shape))
        start += size * q
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _left(Ls: Sequence[np.ndarray], matrix: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Λ · matrix."""
    parts, start = [], 0
    for L, size in zip(Ls, sizes, strict=True):
        q = len(L)
        block = matrix[start : start + size * q]
        parts.append(block * L[0, 0] if q == 1 else (L @ block.reshape(size, q, -1)).reshape(block.shape))
        start += size * q
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _diagonal_blocks(C: np.ndarray, size: int) -> np.ndarray:
    q = len(C) // size
    at = np.arange(size)
    return np.ascontiguousarray(C.reshape(size, q, size, q)[at, :, at])


def build_crossed(levels: Sequence[Level], X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Crossed:
    """Cross-products of crossed levels, the one to eliminate (most groups) first."""
    root = None if weights is None else np.sqrt(weights)
    coordinates = basis(X, y, root)
    fixed = np.column_stack([X @ coordinates.turn, y - X @ coordinates.origin])
    fixed = fixed if root is None else fixed * root[:, None]
    sizes = [int(level.codes.max()) + 1 for level in levels]
    Zs = [level.Z if root is None else level.Z * root[:, None] for level in levels]
    turns = tuple(turn_of(Z, level.rows, level.columns) for Z, level in zip(Zs, levels, strict=True))
    each = zip(levels, Zs, turns, sizes, strict=True)
    first, *others = [_indicator(level.codes, turned(Z, R), size) for level, Z, R, size in each]
    Z, q = sparse.hstack(others).tocsr(), levels[0].q
    A = _diagonal_of(first.T @ first, sizes[0], q)
    S = (first.T @ Z).tocsr()
    S.sort_indices()
    T = np.asarray(first.T @ fixed).reshape(sizes[0], q, -1)
    lost = 0.0 if weights is None else float(np.log(weights).sum())
    shapes = tuple((level.q, level.rows, level.columns) for level in levels)
    C, K = np.asarray((Z.T @ Z).todense()), np.asarray(Z.T @ fixed)
    return Crossed(
        len(y), shapes, tuple(sizes[1:]), A, S, pairs(S, q), T, C, K, fixed.T @ fixed, turns, coordinates, lost
    )  # fmt: skip


def _indicator(codes: np.ndarray, Z: np.ndarray, groups: int) -> Any:
    """Z as a sparse matrix (n, groups·q), the effects of a group side by side."""
    n, q = Z.shape
    columns = codes[:, None] * q + np.arange(q)
    return sparse.csr_array((Z.ravel(), (np.repeat(np.arange(n), q), columns.ravel())), shape=(n, groups * q))


def _diagonal_of(matrix: Any, groups: int, q: int) -> np.ndarray:
    """The diagonal blocks of a sparse block-diagonal matrix."""
    found = np.zeros((groups, q, q))
    entries = matrix.tocoo()
    rows, columns = entries.coords
    found[rows // q, rows % q, columns % q] = entries.data
    return found
