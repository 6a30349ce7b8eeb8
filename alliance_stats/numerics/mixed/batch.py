"""One design with one grouping factor and many responses: the criteria of all of them at once.

Only sums that hold y differ between responses, so that an evaluation for R responses is a few products of matrices with R rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alliance_stats.numerics.mixed.coordinates import basis, turn_of, turned, units_of
from alliance_stats.numerics.mixed.grouped import Family, family, products
from alliance_stats.numerics.mixed.leaves import exchangeable
from alliance_stats.numerics.mixed.parts import Level, Shape, diagonal_elements, small_inverse


@dataclass(frozen=True)
class Evaluations:
    """The criteria of R responses, each at its own θ: value (R,), gradient (R, k), σ², and β̃, H̃⁻¹ in X̃'s coordinates."""

    value: np.ndarray
    gradient: np.ndarray
    beta: np.ndarray
    inverse: np.ndarray
    sigma2: np.ndarray


@dataclass(frozen=True)
class Batch:
    """Sums over cells of groups with equal A = Z'Z, (cells, q, q), of which there are ``count``, and of their K = Z'[X̃ Ỹ].

    For every pair of random effects, pairs of a cell side by side: ``XX`` (cells · pairs, p²), ``Xy`` (R, cells · pairs, p) and
    ``yy`` (R, cells · pairs). ``total`` (R,) are ỹ'ỹ; X = X̃·turn⁻¹ and ỹ = y − X·origin, with origins (R, p).
    """

    n: int
    shape: Shape
    R: np.ndarray
    A: np.ndarray
    count: np.ndarray
    XX: np.ndarray
    Xy: np.ndarray
    yy: np.ndarray
    total: np.ndarray
    turn: np.ndarray
    origin: np.ndarray
    constant: float
    reml: bool

    @property
    def diagonal(self) -> np.ndarray:
        """Which elements of θ stand on the diagonal of Λ."""
        return diagonal_elements([self.shape])

    @property
    def units(self) -> np.ndarray:
        """The matrix (k, k) that makes θ from the elements of RΛ, in which the criteria are evaluated."""
        return units_of([self.R], [self.shape])

    def of(self, which: np.ndarray) -> Batch:
        """Some of the responses."""
        return replace(
            self, Xy=self.Xy[which], yy=self.yy[which], total=self.total[which], origin=self.origin[which]
        )  # fmt: skip

    def evaluate(self, theta: np.ndarray) -> Evaluations:
        """The criteria at the elements (R, k) of RΛ, with their gradients."""
        q, rows, columns = self.shape
        L = np.zeros((len(theta), q, q))
        L[:, rows, columns] = theta
        V_inverse, M, log_det = self._eliminated(L)
        low, (R, p) = np.tril_indices(q), self.origin.shape
        m = M[:, :, low[0], low[1]].reshape(R, -1)
        H = np.eye(p) - (m @ self.XX).reshape(R, p, p)
        inverse, log_fixed = small_inverse(H)
        right = -(m[:, None, :] @ self.Xy)[:, 0]
        beta = (inverse @ right[:, :, None])[:, :, 0]
        r = self.total - np.einsum("rk,rk->r", m, self.yy) - np.einsum("rp,rp->r", right, beta)
        nu = self.n - p if self.reml else self.n
        s2 = r / nu
        value = log_det + self.constant + nu * (np.log(2 * np.pi * s2) + 1) + (log_fixed if self.reml else 0.0)
        gamma = beta[:, :, None] * beta[:, None, :] / s2[:, None, None] + (inverse if self.reml else 0.0)
        packed = (
            gamma.reshape(R, p * p) @ self.XX.T + (self.yy - 2 * (self.Xy @ beta[:, :, None])[:, :, 0]) / s2[:, None]
        )
        slope = self._slope(L, V_inverse, M, packed.reshape(R, len(self.A), -1))
        return Evaluations(value, slope, beta, inverse, s2)

    def _eliminated(self, L: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """V⁻¹ and M (R, cells, q, q), and Σ log|V| (R,)."""
        (R, q, _), cells = L.shape, len(self.A)
        V = (self.A.reshape(cells, q * q) @ _twice(L)).reshape(R * cells, q, q)
        V[:, range(q), range(q)] += 1
        inverse, log_det = small_inverse(V)
        M = inverse.reshape(R, cells, q * q) @ _twice(L.transpose(0, 2, 1))
        shape = (R, cells, q, q)
        return inverse.reshape(shape), M.reshape(shape), log_det.reshape(R, cells) @ self.count

    def _slope(self, L: np.ndarray, V_inverse: np.ndarray, M: np.ndarray, packed: np.ndarray) -> np.ndarray:
        """2(Σ AΛV⁻¹ − ΣFQF'Λ) on the free elements, Q from its packed lower triangle with the others doubled."""
        q, rows, columns = self.shape
        low, Q = np.tril_indices(q), np.empty_like(M)
        Q[:, :, low[0], low[1]] = Q[:, :, low[1], low[0]] = packed * np.where(low[0] == low[1], 1.0, 0.5)
        F = np.eye(q) - self.A @ M
        below = np.einsum("rcab,rcdb->rad", F @ Q, F) @ L
        near = np.einsum("c,rcab,rcbd->rad", self.count, self.A @ L[:, None], V_inverse)
        return np.asarray(2 * (near - below)[:, rows, columns])


def _twice(L: np.ndarray) -> np.ndarray:
    """L ⊗ L for every L of a stack."""
    R, q, _ = L.shape
    return np.asarray((L[:, :, None, :, None] * L[:, None, :, None, :]).reshape(R, q * q, q * q))


def build_batch(
    level: Level, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None = None, *, reml: bool = True
) -> Batch:
    """The sums for every column of Y (n, R)."""
    n, p = X.shape
    root = np.ones(n) if weights is None else np.sqrt(weights)
    coordinates = basis(X, Y[:, 0], root)
    turn, W = coordinates.turn, X * root[:, None]
    origin = turn @ (turn.T @ (W.T @ (Y * root[:, None])))
    order = np.argsort(level.codes, kind="stable")
    T = np.column_stack([W @ turn, (Y - X @ origin) * root[:, None]])[order]
    Z, codes = np.ascontiguousarray((level.Z * root[:, None])[order]), level.codes[order]
    R = turn_of(Z, level.rows, level.columns)
    Z_turned = turned(Z, R)
    groups = family(np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]), n)
    A, K = products(Z_turned, Z_turned, groups), products(Z_turned, T, groups)
    into, starts, _ = exchangeable(products(Z, Z, groups), family(np.array([0]), len(A)))
    A, K, cells = A[into], K[into], family(starts, len(A))
    pairs = list(zip(*np.tril_indices(level.q), strict=True))
    parts = [_sums(K[:, a], K[:, b], p, cells, 0.5 if a == b else 1.0) for a, b in pairs]
    XX, Xy, yy = (np.stack(each, axis=1) for each in zip(*parts, strict=True))
    size = len(starts) * len(pairs)
    lost = 0.0 if weights is None else float(np.log(weights).sum())
    return Batch(
        n, (level.q, level.rows, level.columns), R, A[starts], cells.sizes.astype(float), XX.reshape(size, p * p),
        np.ascontiguousarray(Xy.reshape(size, p, -1).transpose(2, 0, 1)), np.ascontiguousarray(yy.reshape(size, -1).T),
        np.einsum("nr,nr->r", T[:, p:], T[:, p:]), turn, np.ascontiguousarray(origin.T),
        (coordinates.log_det if reml else 0.0) - lost, reml,
    )  # fmt: skip


def _sums(
    left: np.ndarray, right: np.ndarray, p: int, cells: Family, once: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Σ (K_a'K_b + K_b'K_a) over the groups of each cell, half of it for a pair with itself: its parts XX, Xy and yy."""
    (aX, ay), (bX, by) = ((np.ascontiguousarray(K[:, :p]), np.ascontiguousarray(K[:, p:])) for K in (left, right))
    XX, Xy = products(aX, bX, cells), products(aX, by, cells) + products(bX, ay, cells)
    return once * (XX + XX.transpose(0, 2, 1)), once * Xy, 2 * once * np.add.reduceat(ay * by, cells.starts, axis=0)
