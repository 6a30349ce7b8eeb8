"""From the groupings of a generalised mixed model to its optimum, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.errors import AllianceError, ConvergenceError, DataError
from alliance_stats.models.generalized_families import START, Family
from alliance_stats.models.generalized_response import Outcome
from alliance_stats.models.mixed_groupings import Grouping
from alliance_stats.models.mixed_system import SINGULAR
from alliance_stats.numerics.glmm.hessian import joint_hessian
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.glmm.search import Fitted, fit
from alliance_stats.numerics.glmm.starting import Plain, plain_fit, separating
from alliance_stats.numerics.mixed.effects import level_factors

SUSPICIOUS = 2.5e-3  # mean of a fit without random effects below which a separating predictor is looked for
EXTREME = 5.0  # standard deviation in the linear predictor from which Laplace's approximation is poor
ASYMMETRY = 1e-3  # of the differenced Hessian, beyond which standard errors are doubtful
SLACK = 1e-3  # largest gradient, relative to the criterion, at which a search that stopped early is believed


@dataclass(frozen=True, eq=False)
class Estimated:
    """What the model reports of the optimum, rows as the user has them.

    ``joint`` is the covariance of (β̂, θ̂), ``dispersion_error`` the standard error of log dispersion; missing without one.
    """

    beta: np.ndarray
    theta: np.ndarray
    joint: np.ndarray
    dispersion: float
    dispersion_error: float
    random: np.ndarray
    modes: tuple[np.ndarray, ...]
    weights: np.ndarray
    value: float
    converged: bool
    notes: tuple[str, ...]


def require_shape(groupings: Sequence[Grouping], X: np.ndarray, outcome: Outcome, family: Family, points: int) -> None:
    """DataError for what cannot be estimated from these rows; AllianceError where the quadrature is not defined."""
    n, p = X.shape
    if not p:
        raise DataError("no fixed term could be estimated; write at least an intercept")
    if n <= p:
        raise DataError(f"{n} complete rows cannot estimate {p} fixed terms and a variance")
    if points > 1 and (len(groupings) > 1 or groupings[0].level.q > 1):
        raise AllianceError(
            f"quadrature={points} needs one grouping factor with one random effect; use quadrature=1 (Laplace) here"
        )
    for grouping in groupings:
        effects, limit = len(grouping.groups) * grouping.level.q, n
        binary = family.name == "binomial" and (outcome.trials == 1).all()
        if effects > limit or (effects == limit and (binary or family.dispersion)):
            raise DataError(
                f"({', '.join(grouping.effects)} | {grouping.name}) asks for {effects} random effects from {n} rows; they "
                "cannot be told apart from chance. Use fewer effects, or a coarser grouping"
            )


def require_apart(X: np.ndarray, terms: Sequence[str], outcome: Outcome, family: Family, link: str) -> Plain:
    """The fit without random effects; ConvergenceError where a predictor tells the outcomes apart without error."""
    plain = plain_fit(X, outcome.offset, family.plain(outcome, link), family.first_eta(outcome, link))
    mean = LINKS[link].mean(plain.eta - outcome.offset)
    extreme = (mean if family.counts else np.minimum(mean, 1 - mean)).min() < SUSPICIOUS
    if family.name == "beta" or not extreme:
        return plain
    low = outcome.y == 0
    high = np.zeros(len(low), dtype=bool) if family.counts else outcome.y == outcome.trials
    direction = separating(X, low, high)
    names = [f"'{term}'" for term, value in zip(terms, direction, strict=True) if value != 0]
    guilty = [name for name in names if name != "'Intercept'"] or names
    if not names:
        return plain
    found = "only zeros" if family.counts else "one outcome only"
    verb = "separates" if len(guilty) == 1 else "together separate"
    raise ConvergenceError(
        f"{', '.join(guilty)} {verb} the outcomes: on one side there is {found} (complete or quasi-complete separation), so "
        "that the estimate is infinite. Leave the term out, or join it with others"
    )


def require_change(groupings: Sequence[Grouping], outcome: Outcome, family: Family) -> None:
    """ConvergenceError where no group of a factor has seen both outcomes: its variance has no finite estimate."""
    if family.counts or family.name == "beta":
        return
    for grouping in groupings:
        codes, n = grouping.level.codes, len(grouping.groups)
        done, of = np.bincount(codes, outcome.y, n), np.bincount(codes, outcome.trials, n)
        if ((done == 0) | (done == of)).all() and "Intercept" in grouping.effects:
            raise ConvergenceError(
                f"the outcome never changes within any '{grouping.name}': the variance of its random effects goes to infinity. "
                f"Leave (… | {grouping.name}) out and use one row a '{grouping.name}'"
            )


def estimate(
    groupings: Sequence[Grouping], X: np.ndarray, outcome: Outcome, family: Family, link: str, plain: Plain, points: int,
    formula: str,
) -> Estimated:  # fmt: skip
    """The optimum with standard errors; ConvergenceError where none was found."""
    levels = [grouping.level for grouping in groupings]
    try:
        found = fit(levels, X, outcome.offset, family.likelihood(outcome, link), plain, points, float(np.log(START)))
    except np.linalg.LinAlgError as problem:
        raise ConvergenceError(f"formula {formula!r}: no optimum found ({problem})") from problem
    _require_optimum(found, formula)
    joint, error, notes = _covariance(found, groupings)
    psi = found.psi if family.dispersion else np.nan
    if found.at_bound:
        notes += (
            f"no overdispersion: {family.dispersion} goes to infinity, where the family is its own limit without it",
        )
    notes += () if family.counts else _extremes(found, groupings, points)
    back = np.empty(len(X), dtype=int)
    back[found.setting.problem.structure.order] = np.arange(len(X))
    mode = found.at.mode
    Ls = level_factors(levels, found.theta)
    sums = found.setting.problem.structure.sums(mode.inner.score)
    modes = tuple(a @ (L @ L.T) for a, L in zip(sums, Ls, strict=True))
    weights = np.maximum(mode.inner.curvature, 0.0)[back]
    return Estimated(
        found.beta, found.theta, joint, float(np.exp(psi)), error, mode.random[back], modes, weights, found.at.value,
        found.converged, notes,
    )  # fmt: skip


def _require_optimum(found: Fitted, formula: str) -> None:
    if found.endless:
        raise ConvergenceError(
            f"formula {formula!r}: a variance of the random effects goes to infinity, as where the outcomes of nearly every "
            "group are all alike. Use a coarser grouping, or fewer random effects"
        )
    slack = float(np.abs(found.at.gradient).max()) / max(1.0, abs(found.at.value))
    if not (found.converged or slack < SLACK) or not found.at.mode.settled:
        raise ConvergenceError(
            f"formula {formula!r}: no optimum found in {found.evaluations} evaluations; try fewer random effects, or "
            "predictors on a similar scale"
        )


def _covariance(found: Fitted, groupings: Sequence[Grouping]) -> tuple[np.ndarray, float, tuple[str, ...]]:
    """Covariance of (β̂, θ̂), standard error of ψ̂, and what is to be said about them.

    The criterion is even in every column of Λ: at a column of zeros its mixed derivatives are zero, and it is left out.
    """
    p, k, moving = len(found.beta), len(found.theta), _moving(found.theta, groupings)
    H, off = joint_hessian(found, moving)
    notes: tuple[str, ...] = ()
    if off > ASYMMETRY:
        notes = (f"standard errors are doubtful: the second derivatives are known to {100 * off:.1g} % only",)
    dispersed = len(H) - p - len(moving)
    scale = np.sqrt(np.maximum(np.abs(np.diag(H)), 1e-300))
    if np.linalg.eigvalsh(H / np.outer(scale, scale))[0] <= 1e-9:
        notes += ("the criterion is flat in the variances: standard errors take them as known",)
        H, moving, dispersed = H[:p, :p], moving[:0], 0
        scale = scale[:p]
        if np.linalg.eigvalsh(H / np.outer(scale, scale))[0] <= 0:
            raise ConvergenceError("the criterion is flat in the fixed terms; leave one of them out")
    V = 2 * np.linalg.inv(H)
    places = np.r_[np.arange(p), p + moving]
    own = np.r_[np.arange(p), p + dispersed + np.arange(len(moving))]
    joint = np.zeros((p + k, p + k))
    joint[np.ix_(places, places)] = V[np.ix_(own, own)]
    return (joint + joint.T) / 2, float(np.sqrt(V[p, p])) if dispersed else np.nan, notes


def _extremes(found: Fitted, groupings: Sequence[Grouping], points: int) -> tuple[str, ...]:
    """A sentence for every factor whose random effects are so large that the outcomes of most groups are all alike."""
    Ls = level_factors([grouping.level for grouping in groupings], found.theta)
    sizes = [float(np.sqrt(np.mean((g.level.Z @ L) ** 2) * g.level.q)) for g, L in zip(groupings, Ls, strict=True)]
    scalar = len(groupings) == 1 and groupings[0].level.q == 1
    advice = "Laplace's approximation is poor" + ("; compare with quadrature=25" if scalar else "")
    advice = advice if points == 1 else f"{points} nodes may be too few; compare with more"
    return tuple(
        f"the random effects of '{grouping.name}' vary by {size:.1f} in the linear predictor (one standard deviation): the "
        f"outcomes of most groups are nearly all alike, and {advice}"
        for grouping, size in zip(groupings, sizes, strict=True)
        if size > EXTREME
    )


def _moving(theta: np.ndarray, groupings: Sequence[Grouping]) -> np.ndarray:
    """Elements of θ in columns of Λ that are not zero."""
    found, start = [], 0
    for grouping in groupings:
        level = grouping.level
        part = theta[start : start + len(level.rows)]
        size = np.abs(part) * np.sqrt(np.mean(level.Z**2, axis=0))[level.rows]
        used = [size[level.columns == column].max() > SINGULAR for column in level.columns]
        found.append(start + np.flatnonzero(used))
        start += len(level.rows)
    return np.concatenate(found)
