"""What both kinds of system share: levels, evaluations, the elimination of one level, and the end of the elimination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.mixed.coordinates import Basis

Shape = tuple[int, np.ndarray, np.ndarray]
SMALL = 6  # random effects up to which the elimination is written out over the groups


@dataclass(frozen=True)
class Level:
    """Random effects of one grouping factor: group of each row, columns Z of shape (n, q), and the free elements of Λ."""

    codes: np.ndarray
    Z: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @property
    def q(self) -> int:
        """Random effects of a group."""
        return int(self.Z.shape[1])


@dataclass(frozen=True)
class Evaluation:
    """The criterion at one θ: value, gradient in θ, β, H_XX⁻¹ (covariance is σ² times it), σ², r = (y − Xβ)'V⁻¹(y − Xβ)."""

    value: float
    gradient: np.ndarray
    beta: np.ndarray
    inverse: np.ndarray
    sigma2: float
    r: float


def template(blocks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the free elements of Λ for terms of the given sizes: lower triangles along the diagonal.

    >>> [a.tolist() for a in template([2, 1])]
    [[0, 1, 1, 2], [0, 0, 1, 2]]
    """
    rows, columns, start = [], [], 0
    for size in blocks:
        r, c = np.tril_indices(size)
        rows.append(r + start)
        columns.append(c + start)
        start += size
    return np.concatenate(rows), np.concatenate(columns)


def factors(theta: np.ndarray, shapes: Sequence[Shape]) -> list[np.ndarray]:
    """Λ of every level from θ.

    >>> factors(np.array([2.0, 1.0, 3.0]), [(2, *template([2]))])[0].tolist()
    [[2.0, 0.0], [1.0, 3.0]]
    """
    found, start = [], 0
    for q, rows, columns in shapes:
        L = np.zeros((q, q))
        L[rows, columns] = theta[start : start + len(rows)]
        found.append(L)
        start += len(rows)
    return found


def elements(factors: Sequence[np.ndarray], shapes: Sequence[Shape]) -> np.ndarray:
    """θ from Λ of every level, or from the derivatives in Λ."""
    return np.concatenate([L[rows, columns] for L, (_, rows, columns) in zip(factors, shapes, strict=True)])


def diagonal_elements(shapes: Sequence[Shape]) -> np.ndarray:
    """Which elements of θ stand on the diagonal of Λ."""
    return np.concatenate([rows == columns for _, rows, columns in shapes])


@dataclass(frozen=True)
class Elimination:
    """V⁻¹ with V = I + Λ'AΛ, M = (A + Ψ⁻¹)⁻¹ = ΛV⁻¹Λ' (defined at Ψ = 0 too) and log|V|, for a stack of A."""

    L: np.ndarray
    V_inverse: np.ndarray
    M: np.ndarray
    log_det: np.ndarray


def elimination(A: np.ndarray, L: np.ndarray) -> Elimination:
    """The elimination of random effects with cross-products A (groups, q, q)."""
    q = len(L)
    V = (A.reshape(-1, q * q) @ _repeated(L)).reshape(A.shape)
    V[:, range(q), range(q)] += 1
    inverse, log_det = small_inverse(V)
    M = (inverse.reshape(-1, q * q) @ _repeated(L.T)).reshape(A.shape)
    return Elimination(L, inverse, M, log_det)


def _repeated(L: np.ndarray) -> np.ndarray:
    """L ⊗ L, with which L'AL of a stack is one product."""
    q = len(L)
    return np.asarray((L[:, None, :, None] * L[None, :, None, :]).reshape(q * q, q * q))


def eliminate(A: np.ndarray, L: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M = (A + Ψ⁻¹)⁻¹ and log|I + Λ'AΛ| for a stack of A."""
    at = elimination(A, L)
    return at.M, at.log_det


def in_factor(A: np.ndarray, at: Elimination, below: np.ndarray, count: np.ndarray | None = None) -> np.ndarray:
    """Derivative in Λ, 2(Σ AΛV⁻¹ − ΣFQF'Λ), from the sum over the groups ``below`` = ΣFQF'; ``count`` repeats groups."""
    inverse = at.V_inverse if count is None else at.V_inverse * count[:, None, None]
    return np.asarray(2 * (np.tensordot(A @ at.L, inverse, axes=([0, 2], [0, 1])) - below @ at.L))


def small_inverse(V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses and log-determinants of a stack of positive definite matrices (groups, q, q).

    >>> inverse, log_det = small_inverse(np.array([[[2.0, 1.0], [1.0, 3.0]]]))
    >>> inverse[0].round(3).tolist(), round(float(log_det[0]), 3)
    ([[0.6, -0.2], [-0.2, 0.4]], 1.609)
    """
    q = V.shape[-1]
    if q == 1:
        return 1 / V, np.log(V[:, 0, 0])
    if q > SMALL:
        return np.linalg.inv(V), np.linalg.slogdet(V)[1]
    inverse, det = _inverse_by_bordering(V)
    return inverse, np.log(det)


def _inverse_by_bordering(V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row by row, each operation over all groups: LAPACK's overhead a matrix would be a hundred times the arithmetic."""
    q = V.shape[-1]
    W = np.empty_like(V)
    det = V[:, 0, 0].copy()
    W[:, 0, 0] = 1 / det
    for k in range(1, q):
        v = V[:, :k, k]
        u = (W[:, :k, :k] * v[:, None, :]).sum(axis=2) if k > 1 else W[:, :1, 0] * v
        schur = V[:, k, k] - (u * v).sum(axis=1)
        det *= schur
        scaled = u / schur[:, None]
        W[:, :k, :k] += u[:, :, None] * scaled[:, None, :]
        W[:, :k, k] = W[:, k, :k] = -scaled
        W[:, k, k] = 1 / schur
    return W, det


@dataclass(frozen=True)
class Root:
    """The end of the elimination: H = [X̃ ỹ]'V⁻¹[X̃ ỹ] solved for β̃."""

    beta: np.ndarray
    inverse: np.ndarray
    r: float
    log_det: float


def solve_root(H: np.ndarray) -> Root:
    """β = H_XX⁻¹H_Xy, r = H_yy − H_yX β, log|H_XX|."""
    p = len(H) - 1
    c = np.linalg.cholesky(H[:p, :p])
    half = np.linalg.inv(c)
    inverse = half.T @ half
    beta = inverse @ H[:p, p]
    return Root(beta, inverse, float(H[p, p] - H[:p, p] @ beta), 2 * float(np.log(np.diag(c)).sum()))


@dataclass(frozen=True)
class Ending:
    """What the criterion needs beside the elimination: rows, coordinates, Σ log w, and how it is profiled."""

    n: int
    basis: Basis
    log_weights: float
    reml: bool
    sigma2: float | None

    def value(self, root: Root, log_det: float) -> tuple[float, float]:
        """The criterion and σ²; with σ² given, −2 log likelihood at that σ²."""
        nu = self.n - len(root.beta) if self.reml else self.n
        s2 = root.r / nu if self.sigma2 is None else self.sigma2
        fixed = root.log_det + self.basis.log_det if self.reml else 0.0
        return log_det - self.log_weights + fixed + nu * float(np.log(2 * np.pi * s2)) + root.r / s2, s2

    def adjoint(self, root: Root, sigma2: float) -> np.ndarray:
        """Γ, the derivative of the criterion in H."""
        w = np.r_[-root.beta, 1.0]
        G = np.outer(w, w) / sigma2
        if self.reml:
            p = len(root.beta)
            G[:p, :p] += root.inverse
        return G

    def evaluation(self, root: Root, value: float, sigma2: float, gradient: np.ndarray) -> Evaluation:
        """In the coordinates of X and y."""
        turn = self.basis.turn
        beta, inverse = self.basis.origin + turn @ root.beta, turn @ root.inverse @ turn.T
        return Evaluation(value, gradient, beta, inverse, sigma2, root.r)
