"""How far a prediction for known groups may be off: the covariance of (β̂, b̂ − b) given the variances of the model.

The random effects of the factor with most groups are eliminated group by group, those of the other factors form one block:
with A = Z₁'Z₁, K = Z₁'Z₂ and M = (A + Ψ₁⁻¹)⁻¹, Cov(b₂ | y, β) = σ²(Z₂'Z₂ − K'MK + Ψ₂⁻¹)⁻¹ and b₁ follows b₂ by −MK. β adds
D Cov(β̂) D', D the derivative of b̂ in β. These are the mixed-model equations (Henderson 1975, doi 10.2307/2529430).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from alliance_stats.models.mixed import Grouping, MixedState, known_groups, random_columns
from alliance_stats.numerics.mixed.effects import level_factors, over_groups, posterior
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.result import Result

ROWS = 2_000  # rows of the dense part worked on at once


def conditional_std_error(result: Result, frame: pd.DataFrame) -> np.ndarray:
    """Standard error of x'β̂ + z'b̂ as a prediction of x'β + z'b for prepared rows, shape (rows,).

    A group that was not in the fit has b̂ = 0 and a variance of z'Ψz σ².
    """
    state: MixedState = result.state
    X = state.design.matrix(frame)[:, state.kept]
    equations = _equations(result)
    codes = [known_groups(frame, grouping) for grouping in state.groupings]
    Z = [random_columns(frame, grouping) for grouping in state.groupings]
    first, *others = [_spread(z, at, len(g.groups)) for z, at, g in zip(Z, codes, state.groupings, strict=True)]
    above = _beside(others, len(frame)) - first @ equations.E
    slope = X - first @ equations.D_first - _beside(others, len(frame)) @ equations.D_above
    given = equations.of_first(Z[0], codes[0]) + _quadratic(above, equations.V) + _new_groups(state, Z, codes)
    variance = state.sigma**2 * given + np.einsum("ij,jk,ik->i", slope, result.covariance.to_numpy(), slope)
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


@dataclass(frozen=True)
class _Equations:
    """M (groups, q, q); E = MK (groups·q, m) sparse; V (m, m) of the other effects; D, the derivatives of −b̂ in β."""

    M: np.ndarray
    E: Any
    V: np.ndarray
    D_first: np.ndarray
    D_above: np.ndarray

    def of_first(self, Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """z'Mz of the rows of known groups."""
        return np.where(codes >= 0, np.einsum("ia,iab,ib->i", Z, self.M[codes], Z), 0.0)


def _equations(result: Result) -> _Equations:
    state: MixedState = result.state
    root = np.ones(len(state.fitted)) if state.weights is None else np.sqrt(state.weights)
    X = state.design.matrix(result.frame)[:, state.kept] * root[:, None]
    levels = [grouping.level for grouping in state.groupings]
    Ls = level_factors(levels, state.theta)
    first, *others = [_of_level(g, root) for g in state.groupings]
    above = _beside(others, len(root))
    M = posterior(_diagonal(first, levels[0]), Ls[0])
    blocks = sparse.block_diag(list(M), format="csr")
    E = (blocks @ (first.T @ above)).tocsr()
    C = (above.T @ above - (above.T @ first) @ E).toarray()
    V = posterior(C[None], over_groups(levels[1:], Ls[1:]))[0] if others else np.zeros((0, 0))
    alone = blocks @ (first.T @ X)
    D_above = V @ (above.T @ X - (above.T @ first) @ alone)
    return _Equations(M, E, V, alone - E @ D_above, D_above)


def _of_level(grouping: Grouping, root: np.ndarray) -> Any:
    return _spread(grouping.level.Z * root[:, None], grouping.level.codes, len(grouping.groups))


def _spread(Z: np.ndarray, codes: np.ndarray, groups: int) -> Any:
    """Z as a sparse matrix (rows, groups·q); rows of new groups, codes −1, are empty."""
    n, q = Z.shape
    columns = np.maximum(codes, 0)[:, None] * q + np.arange(q)
    values = np.where(codes[:, None] >= 0, Z, 0.0)
    return sparse.csr_array((values.ravel(), (np.repeat(np.arange(n), q), columns.ravel())), shape=(n, groups * q))


def _beside(matrices: Sequence[Any], rows: int) -> Any:
    return sparse.hstack(matrices).tocsr() if matrices else sparse.csr_array((rows, 0))


def _diagonal(first: Any, level: Level) -> np.ndarray:
    """Z'Z of every group, shape (groups, q, q)."""
    q = level.q
    entries = (first.T @ first).tocoo()
    rows, columns = entries.coords
    found = np.zeros((first.shape[1] // q, q, q))
    found[rows // q, rows % q, columns % q] = entries.data
    return found


def _quadratic(rows: Any, V: np.ndarray) -> np.ndarray:
    """r'Vr of every row of a sparse matrix, some rows at a time."""
    parts = [rows[start : start + ROWS] for start in range(0, rows.shape[0], ROWS)]
    return np.concatenate([np.einsum("ij,ij->i", part @ V, part.toarray()) for part in parts])


def _new_groups(state: MixedState, Z: Sequence[np.ndarray], codes: Sequence[np.ndarray]) -> np.ndarray:
    """z'Ψz of the groups that were not in the fit."""
    Ls = level_factors([grouping.level for grouping in state.groupings], state.theta)
    parts = [np.where(at < 0, ((z @ L) ** 2).sum(axis=1), 0.0) for z, at, L in zip(Z, codes, Ls, strict=True)]
    return np.asarray(np.sum(parts, axis=0))
