"""Starting values by the method of moments, from sums of squares of z = Z̃'ỹ over the groups of a level.

With M = (A + I)⁻¹, the working Ψ being I, E Σ Mzz'M = σ² Σ (MAM + MAΨAM), which is linear in Ψ.
"""

from __future__ import annotations

import numpy as np

from alliance_stats.numerics.mixed.parts import Shape, eliminate

LEAST, MOST = 0.1, 30.0  # SDs of random effects as they enter y, in units of the residual SD


def residual_variance(A: np.ndarray, squares: np.ndarray, count: np.ndarray, n: int, total: float) -> float:
    """σ² from r = ỹ'V⁻¹ỹ under the working Ψ, jointly with the moments of the finest level."""
    M, _ = eliminate(A, np.eye(A.shape[1]))
    MA = M @ A
    own = np.einsum("g,gab->ab", count, A - A @ MA)
    kept = np.r_[n - float(count @ np.trace(MA, axis1=1, axis2=2)), own.ravel()]
    left = total - float(np.einsum("gab,gba->", M, squares))
    system = np.vstack([kept, np.column_stack([np.einsum("g,gab->ab", count, MA @ M).ravel(), _quadratic(MA, count)])])
    found = np.linalg.lstsq(system, np.r_[left, (M @ squares @ M).sum(axis=0).ravel()])[0][0]
    return float(np.clip(found, 0.01 * total / n, total / n))


def moment_factor(A: np.ndarray, squares: np.ndarray, count: np.ndarray, sigma2: float, shape: Shape) -> np.ndarray:
    """Λ of a level, with every random effect kept off zero."""
    M, _ = eliminate(A, np.eye(A.shape[1]))
    MA = M @ A
    right = (M @ squares @ M).sum(axis=0) / sigma2 - np.einsum("g,gab->ab", count, MA @ M)
    psi = np.linalg.lstsq(_quadratic(MA, count), right.ravel())[0].reshape(right.shape)
    return _factor(psi, shape)


def _quadratic(MA: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The matrix of Ψ → Σ MAΨAM."""
    q = MA.shape[1]
    return np.asarray(np.einsum("g,gac,gbd->abcd", count, MA, MA).reshape(q * q, q * q))


def _factor(psi: np.ndarray, shape: Shape) -> np.ndarray:
    """The lower triangular root of the nearest matrix of the level's structure that is positive definite."""
    q, rows, columns = shape
    free = np.zeros((q, q), dtype=bool)
    free[rows, columns] = free[columns, rows] = True
    value, vector = np.linalg.eigh(np.where(free, (psi + psi.T) / 2, 0.0))
    kept = (vector * np.clip(value, LEAST**2, MOST**2)) @ vector.T
    return np.asarray(np.linalg.cholesky(np.where(free, kept, 0.0)))
