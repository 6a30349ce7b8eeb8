"""Whether the random part of one mixed model is a special case of that of another, as a family of covariance matrices.

The random effects of a term have covariance Σ_g Z_gΨZ_g', Ψ any covariance matrix. Most often terms are nested by their
columns: ``(1 | patient)`` in ``(1 + week | patient)``. They can be without: ``(1 | Worker:Machine)`` gives the covariance of
``(0 + Machine | Worker)`` with Ψ = τ²I. So the Φ of the larger model's terms are sought that give the covariance of the
smaller one; both are linear in their parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.models.mixed import Grouping
from alliance_stats.result import Result

ALIKE = 1e-6  # relative size below which numbers are rounding


@dataclass(frozen=True, eq=False)
class Block:
    """One set of correlated random effects: group of each row, and columns Z (rows, q)."""

    codes: np.ndarray
    Z: np.ndarray


@dataclass(frozen=True)
class Embedding:
    """Where the smaller model lies in the larger one, all its variances being positive.

    ``added`` is how many random effects of the larger one do not vary there; ``by_columns`` whether the terms are nested by
    their columns.
    """

    added: int
    by_columns: bool


def random_blocks(result: Result) -> list[Block]:
    """The sets of correlated random effects of a result; none of a linear model."""
    groupings: tuple[Grouping, ...] = getattr(result.state, "groupings", ())
    return [Block(each.level.codes, design.matrix(result.frame)) for each in groupings for design in each.designs]


def embedding(small: Sequence[Block], large: Sequence[Block]) -> Embedding | None:
    """Where the covariances of the one lie among those of the other; None where they are not among them."""
    large = [_scaled(block) for block in large]
    total = [np.zeros((block.Z.shape[1],) * 2) for block in large]
    by_columns = True
    for block in small:
        parts = _by_columns(block, large)
        if parts is None:
            parts, by_columns = _by_covariance(_scaled(block), large), False
        if parts is None:
            return None
        total = [a + b for a, b in zip(total, parts, strict=True)]
    return Embedding(
        sum(len(phi) - int(np.linalg.matrix_rank(phi, tol=ALIKE, hermitian=True)) for phi in total), by_columns
    )


def within(Z: np.ndarray, X: np.ndarray) -> bool:
    """Whether the columns of Z are combinations of those of X."""
    off = Z - X @ np.linalg.lstsq(X, Z, rcond=None)[0]
    return bool(np.abs(off).max(initial=0.0) <= ALIKE * np.abs(Z).max(initial=0.0))


def _by_columns(block: Block, large: Sequence[Block]) -> list[np.ndarray] | None:
    """Φ of every term of the larger model for Ψ = I, where one over the same groups has the columns: TT' with Z = Z_large T."""
    for k, other in enumerate(large):
        if _same_groups(block.codes, other.codes) and within(block.Z, other.Z):
            T = np.linalg.lstsq(other.Z, block.Z / _size(block.Z), rcond=None)[0]
            return [T @ T.T if i == k else np.zeros((each.Z.shape[1],) * 2) for i, each in enumerate(large)]
    return None


def _by_covariance(block: Block, large: Sequence[Block]) -> list[np.ndarray] | None:
    """The same where the covariance itself is that of the larger model, Ψ → Φ being linear.

    Every Ψ has a Φ that is a covariance matrix if Σ E_ij ⊗ Φ(E_ij) is one, E_ij being the matrix with a single 1 (Choi 1975,
    doi 10.1016/0024-3795(75)90075-0).
    """
    if not large:
        return None
    q = block.Z.shape[1]
    gram = np.block([[_inner(a, b) for b in large] for a in large])
    right = np.concatenate([_inner(a, block) for a in large])
    solution = np.linalg.lstsq(gram, right, rcond=1e-10)[0]
    own = _inner(block, block)
    off = np.diag(own - 2 * right.T @ solution + solution.T @ gram @ solution)
    if (off > ALIKE**2 * np.diag(own)).any():
        return None
    ends = np.cumsum([other.Z.shape[1] ** 2 for other in large])
    found = []
    for part, other in zip(np.split(solution, ends[:-1]), large, strict=True):
        p = other.Z.shape[1]
        choi = part.reshape(p, p, q, q).transpose(2, 0, 3, 1).reshape(q * p, q * p)
        if np.linalg.eigvalsh((choi + choi.T) / 2).min() < -ALIKE * np.abs(solution).max():
            return None
        phi = np.einsum("abii->ab", part.reshape(p, p, q, q))
        found.append((phi + phi.T) / 2)
    return found


def _inner(a: Block, b: Block) -> np.ndarray:
    """Inner products of the matrices Σ_g Z_gE_ijZ_g' of two terms, (q_a², q_b²).

    They are sums of C ⊗ C, C being the cross-product of the two Z over the rows that a group of the one and of the other share.
    """
    _, met = np.unique(np.column_stack([a.codes, b.codes]), axis=0, return_inverse=True)
    p, q = a.Z.shape[1], b.Z.shape[1]
    C = np.zeros((int(met.max()) + 1, p, q))
    np.add.at(C, met.ravel(), a.Z[:, :, None] * b.Z[:, None, :])
    flat = C.reshape(-1, p * q)
    return np.asarray((flat.T @ flat).reshape(p, q, p, q).transpose(0, 2, 1, 3).reshape(p * p, q * q))


def _scaled(block: Block) -> Block:
    return Block(block.codes, block.Z / _size(block.Z))


def _size(Z: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.mean(Z**2, axis=0)))


def _same_groups(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two factors group the rows alike, whatever the names."""
    pairs = len(np.unique(np.column_stack([a, b]), axis=0))
    return bool(pairs == a.max() + 1 == b.max() + 1)
