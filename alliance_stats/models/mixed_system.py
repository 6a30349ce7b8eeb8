"""From the groupings of a mixed model to the optimum of its criterion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.errors import ConvergenceError, DataError
from alliance_stats.models.mixed_groupings import Grouping
from alliance_stats.models.mixed_strata import Strata, by_spread, row_level
from alliance_stats.numerics.mixed.crossed import Crossed, build_crossed
from alliance_stats.numerics.mixed.optimise import Optimum, fit
from alliance_stats.numerics.mixed.parts import Evaluation, Level
from alliance_stats.numerics.mixed.tree import Tree, build_tree, nested_order

SINGULAR = 1e-4  # element of Λ below which lme4 calls a fit singular
EXACT = 1e-12  # part of the outcome's sum of squares left to the residuals below which these are rounding


def ordered(groupings: Sequence[Grouping]) -> tuple[Grouping, ...]:
    """Nested factors from finest to coarsest; crossed ones by their number of effects, largest first."""
    order = nested_order([grouping.level.codes for grouping in groupings])
    if order is not None:
        return tuple(groupings[i] for i in order)
    return tuple(sorted(groupings, key=lambda grouping: -len(grouping.groups) * grouping.level.q))


@dataclass(frozen=True)
class Fitted:
    """The system, the optimum of its criterion, how many of its parameters belong to strata, and the strata at the optimum."""

    system: Tree | Crossed
    optimum: Optimum
    extra: int
    strata: Strata | None

    @property
    def theta(self) -> np.ndarray:
        """θ of the groupings."""
        return self.optimum.theta[self.extra :]


def fit_system(
    levels: Sequence[Level],
    X: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None,
    strata: Strata | None,
    *,
    reml: bool,
) -> Fitted:
    """The optimum for levels in order, with residual variances by stratum where there are strata.

    That the stratum taken for the least varying one is not shows in a parameter of zero; then another is tried.
    """
    build = build_tree if nested_order([level.codes for level in levels]) is not None else build_crossed
    if strata is None:
        system = build(levels, X, y, weights)
        return Fitted(system, fit(system, reml=reml), 0, None)
    best: Fitted | None = None
    for least in by_spread(strata, y - X @ np.linalg.lstsq(X, y)[0]):
        system = build([row_level(strata, least, weights), *levels], X, y, weights)
        found = fit(system, reml=reml)
        if best is None or found.value < best.optimum.value:
            best = Fitted(system, found, strata.extra, strata.at(least, found.theta))
        if np.abs(found.theta[: strata.extra]).min() > SINGULAR:
            break
    assert best is not None
    return best


def require_estimable(groupings: Sequence[Grouping], X: np.ndarray, y: np.ndarray) -> None:
    """DataError where there are too few rows, or nothing to explain."""
    n, p = X.shape
    if not p:
        raise DataError("no fixed term could be estimated; write at least an intercept")
    if np.ptp(y) == 0:
        raise DataError("the outcome is the same in all rows; there is nothing to explain")
    if n <= p:
        raise DataError(f"{n} complete rows cannot estimate {p} fixed terms and a residual variance")
    for grouping in groupings:
        effects = len(grouping.groups) * grouping.level.q
        if effects >= n:
            raise DataError(
                f"({', '.join(grouping.effects)} | {grouping.name}) asks for {effects} random effects from {n} rows; they "
                "cannot be told apart from the residual. Use fewer effects, or a coarser grouping"
            )
    left = y - X @ np.linalg.lstsq(X, y)[0]
    if left @ left <= EXACT**2 * (y @ y):
        raise DataError("the fixed terms fit the outcome exactly; no variance is left to be divided")


def require_optimum(found: Optimum, at: Evaluation, formula: str, strata: Strata | None) -> None:
    """ConvergenceError where the search left for infinity, or ended where the gradient is not small."""
    hint = "" if strata is None else ", or no residual_by: a residual variance may be going to zero"
    if found.endless:
        why = f"the random effects explain the outcome exactly. Use fewer random effects{hint}"
        raise ConvergenceError(f"formula {formula!r}: no optimum found; {why}")
    slack = float(np.abs(at.gradient).max()) / max(1.0, abs(at.value))
    if not found.converged and slack > 1e-3:
        raise ConvergenceError(
            f"formula {formula!r}: no optimum found in {found.evaluations} evaluations; "
            f"try fewer random effects, or predictors on a similar scale{hint}"
        )


def at_boundary(groupings: Sequence[Grouping], theta: np.ndarray) -> list[str]:
    """Grouping factors whose Λ, with the columns of Z brought to a mean square of 1, has a diagonal element of zero."""
    found, start = [], 0
    for grouping in groupings:
        level: Level = grouping.level
        part = theta[start : start + len(level.rows)]
        size = np.sqrt(np.mean(level.Z**2, axis=0))
        if (np.abs(part[level.rows == level.columns]) * size < SINGULAR).any():
            found.append(grouping.name)
        start += len(level.rows)
    return found
