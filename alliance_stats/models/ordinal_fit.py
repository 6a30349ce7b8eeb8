"""From the columns of an ordinal model to its optimum, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.errors import ConvergenceError, DataError
from alliance_stats.models.ordinal_outcome import Rating
from alliance_stats.numerics.glmm.starting import separating
from alliance_stats.numerics.ordinal import Cumulative, CumulativeFit, cumulative, first_thresholds, fit_cumulative
from alliance_stats.numerics.ordinal_random import fit_random

if TYPE_CHECKING:
    from alliance_stats.models.ordinal import OrdinalModel


@dataclass(frozen=True, eq=False)
class Estimated:
    """(thresholds, coefficients), σ, their joint covariance, modes and their deviations, −2 log likelihood."""

    phi: np.ndarray
    sigma: float
    joint: np.ndarray
    modes: np.ndarray
    spread: np.ndarray
    deviance: float
    notes: tuple[str, ...]


def estimate(
    X: np.ndarray, rating: Rating, codes: np.ndarray, groups: Sequence[str], model: OrdinalModel, terms: Sequence[str]
) -> Estimated:
    """The optimum; ConvergenceError where a predictor separates the categories or none was found."""
    K = len(rating.names)
    if len(X) <= X.shape[1] + K - 1 + bool(groups):
        raise DataError(f"{len(X)} complete rows cannot estimate {X.shape[1]} terms and {K - 1} thresholds")
    setting = cumulative(rating.codes, K, X, model.link)
    _require_apart(setting, K - 1, terms)
    start = np.concatenate([first_thresholds(rating.codes, K, model.link), np.zeros(X.shape[1])])
    plain = fit_cumulative(setting, start)
    if not plain.converged:
        raise ConvergenceError(f"formula {model.formula!r}: no optimum found; try predictors on a similar scale")
    if not groups:
        return _without(plain)
    return _with_random(setting, plain, codes, groups, model)


def _without(plain: CumulativeFit) -> Estimated:
    q = len(plain.phi)
    joint = np.zeros((q + 1, q + 1))
    inverse = np.linalg.inv(plain.information)
    joint[:q, :q] = (inverse + inverse.T) / 2
    none = np.zeros(0)
    return Estimated(plain.phi, 0.0, joint, none, none, -2 * plain.log_likelihood, ())


def _with_random(
    setting: Cumulative, plain: CumulativeFit, codes: np.ndarray, groups: Sequence[str], model: OrdinalModel
) -> Estimated:
    if len(groups) < 2:
        raise DataError("the grouping factor has one group only; a random effect needs two or more")
    if len(groups) >= len(codes):
        raise DataError(f"{len(groups)} random effects from {len(codes)} rows cannot be told apart from chance")
    try:
        found = fit_random(setting, codes, model.quadrature, plain)
    except np.linalg.LinAlgError as problem:
        raise ConvergenceError(f"formula {model.formula!r}: no optimum found ({problem})") from problem
    if not found.converged:
        raise ConvergenceError(
            f"formula {model.formula!r}: no optimum found; the variance may go to infinity, or predictors be badly scaled"
        )
    notes = () if found.sigma else ("estimated at the boundary (a variance of zero): sd(Intercept)",)
    return Estimated(found.phi, found.sigma, found.covariance, found.modes, found.spread, found.deviance, notes)


def _require_apart(setting: Cumulative, thresholds: int, terms: Sequence[str]) -> None:
    """No direction in thresholds and coefficients along which no probability falls: a rises nowhere and b falls nowhere."""
    lower, upper = setting.lower[~setting.bottom], setting.upper[~setting.top]
    low, rows = np.arange(len(lower) + len(upper)) < len(lower), np.concatenate([lower, upper])
    direction = separating(rows, low, ~low)[thresholds:]
    found = [j for j in range(len(terms)) if direction[j] != 0]
    own = list(range(thresholds))
    alone = [j for j in found if separating(rows[:, [*own, thresholds + j]], low, ~low)[-1] != 0]
    names = [f"'{terms[j]}'" for j in alone or found]
    if names:
        verb = "separates" if len(names) == 1 else "each separate" if alone else "together separate"
        raise ConvergenceError(
            f"{', '.join(names)} {verb} the categories of the outcome (complete or quasi-complete separation), so that the "
            "estimate is infinite. Leave the term out, or join it or the categories with others"
        )
