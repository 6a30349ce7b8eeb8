"""Coordinates for fixed and random effects in which no digits are lost, and in which Newton's method is at ease.

A calendar year among the columns, or a mean of y far from 0, would cost the digits in which the optimum is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

RIDGE = 1e-12  # keeps dependent columns of Z, whose variances cannot be told apart, from stopping the search


@dataclass(frozen=True)
class Basis:
    """X̃ = X·turn with X̃'X̃ = I, ỹ = y − Xβ₀, and β = β₀ + turn·β̃; the criterion differs by log|X'X| only."""

    turn: np.ndarray
    origin: np.ndarray
    log_det: float


def basis(X: np.ndarray, y: np.ndarray, root: np.ndarray | None = None) -> Basis:
    """Coordinates in which the columns of X, times the roots of weights, are orthonormal and y is its residual."""
    if root is not None:
        X, y = X * root[:, None], y * root
    norm = np.sqrt(np.einsum("ij,ij->j", X, X))
    gram = X.T @ X / np.outer(norm, norm)
    well = X.shape[1] < 2 or np.linalg.eigvalsh(gram)[0] > 1e-8
    R = np.linalg.cholesky(gram).T * norm if well else np.linalg.qr(X, mode="r")
    if (np.abs(np.diag(R)) < 1e-13 * norm).any():
        raise np.linalg.LinAlgError("the columns of X are linearly dependent")
    turn = np.linalg.inv(R)
    origin = turn @ (turn.T @ (X.T @ y))
    origin += turn @ (turn.T @ (X.T @ (y - X @ origin)))
    return Basis(turn, origin, 2 * float(np.log(np.abs(np.diag(R))).sum()))


def turn_of(Z: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """R, lower triangular, with R'R = Z'Z/n within the blocks of Λ, whose free elements are given.

    The effects Rb belong to Z̃ = ZR⁻¹, orthonormal but for the factor n, and have the factor RΛ, lower triangular as well.
    """
    n, q = Z.shape
    free = np.zeros((q, q), dtype=bool)
    free[rows, columns] = free[columns, rows] = True
    moments = np.where(free, Z.T @ Z / n, 0.0)
    size = np.sqrt(np.where(np.diag(moments) > 0, np.diag(moments), 1.0))
    correlation = moments / np.outer(size, size)
    correlation[range(q), range(q)] = 1.0 + RIDGE
    half = np.linalg.cholesky(correlation[::-1, ::-1])[::-1, ::-1]
    return np.asarray(half.T * size)


def turned(Z: np.ndarray, R: np.ndarray) -> np.ndarray:
    """ZR⁻¹, one column after the other so that equal rows stay equal to the last bit."""
    inverse = np.linalg.inv(R)
    found = np.empty(Z.shape)
    for a in range(len(R)):
        found[:, a] = Z[:, a] * inverse[a, a]
        for k in np.flatnonzero(inverse[a + 1 :, a]) + a + 1:
            found[:, a] += Z[:, k] * inverse[k, a]
    return found


def units_of(turns: Sequence[np.ndarray], shapes: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> np.ndarray:
    """The matrix (k, k) that makes θ from the elements of RΛ."""
    blocks = []
    for R, (_, rows, columns) in zip(turns, shapes, strict=True):
        inverse = np.linalg.inv(R)
        blocks.append(inverse[np.ix_(rows, rows)] * (columns[:, None] == columns))
    return np.asarray(linalg.block_diag(*blocks))


def scale_of(turns: Sequence[np.ndarray], shapes: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> np.ndarray:
    """The size of every element of θ at which its random effect varies as much as the residual."""
    return np.concatenate([1 / np.linalg.norm(R, axis=0)[rows] for R, (_, rows, _) in zip(turns, shapes, strict=True)])
