"""What the engine asks of the random part of a model, whatever the shape of its groups.

With weights w, S = Z'WZ and H = I + Λ'SΛ. Random effects b = Λu are never divided by Λ, so that a variance of zero is a point
like any other: M = ΛH⁻¹Λ' = (S + Ψ⁻¹)⁻¹.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from alliance_stats.numerics.mixed.parts import Level, Shape


@dataclass(frozen=True)
class Curved:
    """Of log|H|: its derivative in every weight (the variance of η given the data), and in every Λ."""

    variances: np.ndarray
    slopes: tuple[np.ndarray, ...]


class Factored(Protocol):
    """H after its factorisation."""

    @property
    def log_det(self) -> float:
        """log|H|; not finite where H is not positive definite."""

    def solve(self, t: np.ndarray) -> np.ndarray:
        """ZMZ't of every row, from t (rows,)."""

    def curved(self) -> Curved:
        """Derivatives of log|H|."""


class Structure(Protocol):
    """Groups and columns of the random effects. Rows are in the order ``order`` of the user's rows."""

    @property
    def order(self) -> np.ndarray: ...
    @property
    def shapes(self) -> tuple[Shape, ...]: ...
    @property
    def dense(self) -> int:
        """Rows of the largest dense matrix."""

    def factor(self, w: np.ndarray, Ls: Sequence[np.ndarray]) -> Factored: ...
    def sums(self, v: np.ndarray) -> list[np.ndarray]:
        """Z'v by groups, (groups, q) for every level, in the order of its codes."""

    def spread(self, effects: Sequence[np.ndarray]) -> np.ndarray:
        """Zb of every row from b (groups, q) of every level."""


def shapes_of(levels: Sequence[Level]) -> tuple[Shape, ...]:
    """Sizes and free elements of Λ."""
    return tuple((level.q, level.rows, level.columns) for level in levels)


def structure(levels: Sequence[Level]) -> Structure:
    """The structure of levels in order: nested ones finest first, else the one with most effects first."""
    from alliance_stats.numerics.glmm.crossed import build_crossed
    from alliance_stats.numerics.glmm.nested import build_nested
    from alliance_stats.numerics.mixed.effects import are_nested

    return build_nested(levels) if are_nested(levels) else build_crossed(levels)
