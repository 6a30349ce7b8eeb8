"""Residual variances that differ by stratum, e.g. by arm: σ_k of stratum k, as nlme's varIdent has them.

What a stratum varies more than the one that varies least is written as a random effect of each of its rows: V is the same
as that of Pinheiro & Bates (2000, doi 10.1007/b98882, section 5.2), and stays linear in its parameters, so that one more
level of grouping does for criterion, gradient and inference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.numerics.mixed.kenward_roger import KenwardRoger, kenward_roger
from alliance_stats.numerics.mixed.parts import Level, template
from alliance_stats.random_terms import group_codes


@dataclass(frozen=True, eq=False)
class Strata:
    """The column, its levels, the level of each row, and the σ_k of the levels relative to the least (ones before the fit)."""

    name: str
    levels: tuple[str, ...]
    codes: np.ndarray
    ratios: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """(σ_least/σ_k)² of every row."""
        weights: np.ndarray = self.ratios[self.codes] ** -2.0
        return weights

    @property
    def extra(self) -> int:
        """Parameters beside those of the random effects and σ."""
        return len(self.levels) - 1

    def others(self, least: int) -> np.ndarray:
        """The strata but the one with the least variance."""
        return np.flatnonzero(np.arange(len(self.levels)) != least)

    def at(self, least: int, theta: np.ndarray) -> Strata:
        """With the ratios √(1 + θ²) of the others."""
        ratios = np.ones(len(self.levels))
        ratios[self.others(least)] = np.hypot(1.0, theta[: self.extra])
        return replace(self, ratios=ratios)

    def deviations(self, sigma: float) -> list[tuple[str, float]]:
        """Levels and their residual standard deviations, the least being ``sigma``."""
        return list(zip(self.levels, (sigma * self.ratios).tolist(), strict=True))

    def mean_square(self) -> float:
        """Residual variance relative to the least, averaged over the rows."""
        return float(np.mean(self.ratios[self.codes] ** 2))


def read_strata(frame: pd.DataFrame, name: str) -> Strata:
    """The strata of a column; DataError unless there are two or more, with two rows or more each."""
    codes, levels = group_codes(frame, (name,))
    rows = np.bincount(codes, minlength=len(levels))
    if len(levels) < 2:
        raise DataError(f"residual_by='{name}': one group only ({levels[0]}); leave it out")
    if rows.min() < 2:
        raise DataError(f"residual_by='{name}': group {levels[rows.argmin()]} has one row, too few for a variance")
    return Strata(name, levels, codes, np.ones(len(levels)))


def row_level(strata: Strata, least: int, weights: np.ndarray | None) -> Level:
    """Each row a group of its own, with an effect for its stratum unless that is the one with the least variance."""
    Z = (strata.codes[:, None] == strata.others(least)).astype(float)
    if weights is not None:
        Z /= np.sqrt(weights)[:, None]
    return Level(np.arange(len(Z)), Z, *template([1] * strata.extra))


def by_spread(strata: Strata, residuals: np.ndarray) -> Iterator[int]:
    """Strata from the least to the largest mean square of the residuals of least squares."""
    squares = [float(np.mean(residuals[strata.codes == k] ** 2)) for k in range(len(strata.levels))]
    yield from np.argsort(squares).tolist()


def stratified_kenward_roger(
    levels: Sequence[Level], X: np.ndarray, theta: np.ndarray, sigma2: float, weights: np.ndarray | None, strata: Strata
) -> KenwardRoger:
    """Kenward and Roger's inference with a residual variance for each stratum; ``sigma2`` and θ are relative to the least."""
    least = int(strata.ratios.argmin())
    more = np.sqrt(strata.ratios[strata.others(least)] ** 2 - 1)
    return kenward_roger([row_level(strata, least, weights), *levels], X, np.r_[more, theta], sigma2, weights)
