"""What the groups of a mixed model look like: their random effects, and the shares of variance between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit

from alliance_stats.errors import AllianceError
from alliance_stats.inference.problem import variance_parameters
from alliance_stats.inference.refit import grouping_of, members
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.models.generalized_families import FAMILIES
from alliance_stats.models.mixed import MixedModel, MixedState
from alliance_stats.models.mixed_rows import residual_variance
from alliance_stats.models.mixed_system import at_boundary
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.mixed.effects import are_nested, conditional_covariance, level_factors
from alliance_stats.result import Result, tidy_frame

Grouped = MixedState | GeneralizedState
STEP = 1e-6  # of central differences of the logits, which are smooth and cheap


def random_effects(result: Result, group: str | None = None) -> pd.DataFrame:
    """Conditional modes of the random effects (BLUPs), with their conditional standard deviations and intervals.

    One row a group and effect, ``group`` the factor and ``at`` the group's name; tidy columns. ``group`` restricts the frame
    to one factor. The standard deviations hold the fixed coefficients and the variances fixed, as lme4's ``condVar`` does.
    Those of a generalised mixed model are on the scale of the linear predictor, by the normal approximation at the mode.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(list("abcdef"), 10), "pain": rng.normal(size=60)})
    >>> data["pain"] += data["therapist"].map(dict(zip("abcdef", range(6))))
    >>> fit = MixedModel("pain ~ 1 + (1 | therapist)").fit(data)
    >>> random_effects(fit)[["group", "at", "term"]].head(1).to_dict("records")
    [{'group': 'therapist', 'at': 'a', 'term': 'Intercept'}]
    """
    state = _grouped(result, "random_effects")
    if group is not None:
        grouping_of(result, group, "random_effects")
    spread = conditional_covariance([g.level for g in state.groupings], state.theta, state.weights)
    frames = [
        _rows(grouping.name, grouping.effects, grouping.groups, modes, state.sigma**2 * blocks, result.model.level)
        for grouping, modes, blocks in zip(state.groupings, state.modes, spread, strict=True)
        if group in (None, grouping.name)
    ]
    return pd.concat(frames, ignore_index=True)


def icc(result: Result) -> pd.DataFrame:
    """Share of the variance of the outcome that lies between the groups of each factor (intraclass correlation).

    Columns ``group variance icc correlation std_error conf_low conf_high interval``; the last row is the residual. ``icc`` is
    the variance of that level's random effects, averaged over the rows where slopes vary (Johnson 2014, doi
    10.1111/2041-210X.12225), divided by the total of all levels and the residual. ``correlation`` is that of two rows of one
    group: two patients of one therapist correlate by the therapist's share, two sessions of one patient by the patient's
    and the therapist's together.

    Intervals are of ``icc``, by the delta method on the logit scale from the Hessian of the criterion in the variances,
    with normal quantiles. They are missing for a factor with a variance at zero or a correlation at ±1, where no such
    approximation holds, and with ``residual_by``. With few groups they are rough: see ``profile`` and ``bootstrap``.

    Of a generalised mixed model the shares are on the scale of the linear predictor, the last row being the variance of the
    outcome itself there: π²/3 for the logit, 1 for the probit, π²/6 for the complementary log-log, log(1 + 1/λ + 1/θ) of counts
    with mean λ (Nakagawa, Johnson & Schielzeth 2017, doi 10.1098/rsif.2017.0213), taken as known. Raises AllianceError for
    families in which none is agreed on (beta, beta-binomial).

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(40), 5), "pain": rng.normal(size=200)})
    >>> data["pain"] += np.repeat(rng.normal(size=40), 5)
    >>> icc(MixedModel("pain ~ 1 + (1 | therapist)").fit(data))[["group", "icc", "conf_low", "conf_high"]].round(2)
           group   icc  conf_low  conf_high
    0  therapist  0.39      0.25       0.55
    1   residual  0.61      0.45       0.75
    """
    state, own = _grouped(result, "icc"), _own_variance(result)
    variances = _variances(state, state.theta, own)
    shares = variances / variances.sum()
    frame = pd.DataFrame(
        {"group": [*(g.name for g in state.groupings), "residual"], "variance": variances, "icc": shares}
    )
    std_error = _logit_std_error(result, own)
    half = t_quantile((1 + result.model.level) / 2, np.inf) * std_error
    with np.errstate(divide="ignore"):
        logit = np.log(shares) - np.log1p(-shares)
    return frame.assign(
        correlation=_correlations(state, shares), std_error=std_error * shares * (1 - shares),
        conf_low=_logistic(logit - half), conf_high=_logistic(logit + half), interval="delta",
    )  # fmt: skip


def caseload(result: Result, group: str) -> pd.DataFrame:
    """How many groups a factor has, and how much each holds: rows, and the groups of every other factor.

    One row a kind of content: ``group n_groups of min median max``, e.g. therapists, their number, ``"patient"``, and the
    smallest, median and largest number of patients a therapist. ``of`` is ``"rows"`` in the first row.

    >>> data = pd.DataFrame({"therapist": list("aaaabbcc"), "patient": [1, 1, 2, 2, 3, 3, 4, 4], "week": [0, 1] * 4})
    >>> data["pain"] = [6.0, 5, 7, 5, 4, 2, 8, 6]
    >>> fit = MixedModel("pain ~ week + (1 | patient) + (1 | therapist)").fit(data)
    >>> caseload(fit, "therapist")[["n_groups", "of", "min", "median", "max"]]
       n_groups       of  min  median  max
    0         3     rows    2     2.0    4
    1         3  patient    1     1.0    2
    """
    state, own = _grouped(result, "caseload"), grouping_of(result, group, "caseload")
    member, size = members(result, own), len(own.groups)
    contents = {"rows": np.bincount(own.level.codes[member], minlength=size)}
    for other in state.groupings:
        if other is not own:
            both = member & members(result, other)
            met = np.unique(np.column_stack([own.level.codes[both], other.level.codes[both]]), axis=0)
            contents[other.name] = np.bincount(met[:, 0], minlength=size)
    return pd.DataFrame(
        {"group": group, "n_groups": size, "of": name, "min": n.min(), "median": float(np.median(n)), "max": n.max()}
        for name, n in contents.items()
    )


def dependability(
    result: Result,
    group: str = "patient",
    ratings: Sequence[int] = (1, 2, 4),
    patients: Sequence[int] = (5, 10, 20, 60),
) -> pd.DataFrame:
    """How well a mean of ratings tells the groups of a factor apart: a generalisability coefficient (Crits-Christoph et al.
    2011, doi 10.1037/a0023668).

    Parameters
    ----------
    result : a mixed model of the ratings, e.g. ``"alliance ~ 1 + (1 | patient) + (1 | therapist)"``; intercepts only.
    group : the factor that is measured.
    ratings : numbers of ratings a patient, k.
    patients : numbers of patients a therapist, n; used where another factor lies within ``group``.

    Returns a frame with columns ``group patients ratings dependability``. For the finest factor dependability is
    σ²_p / (σ²_p + σ²_e/k), patients of one therapist being compared; for one above it σ²_t / (σ²_t + σ²_p/n + σ²_e/(nk)).
    With shares of .77 and .23 one rating has .77, two .87 and three .91.

    Raises AllianceError for random slopes, crossed factors and numbers below 1.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(200), 4)})
    >>> data["alliance"] = np.repeat(rng.normal(0, 0.77**0.5, 200), 4) + rng.normal(0, 0.23**0.5, 800)
    >>> fit = MixedModel("alliance ~ 1 + (1 | patient)").fit(data)
    >>> dependability(fit)[["ratings", "dependability"]].round(2)
       ratings  dependability
    0        1           0.74
    1        2           0.85
    2        4           0.92
    """
    state, own = _mixed(result, "dependability"), grouping_of(result, group, "dependability")
    if min([*ratings, *patients]) < 1:
        raise AllianceError("dependability: ratings and patients are numbers of 1 or more")
    if any(g.effects != ("Intercept",) for g in state.groupings):
        raise AllianceError(
            "dependability: a random slope makes it depend on the predictor; fit random intercepts only"
        )
    if not are_nested([g.level for g in state.groupings]):
        raise AllianceError("dependability: the grouping factors are crossed; the formulae are for nested ones")
    place = state.groupings.index(own)
    if place > 1:
        raise AllianceError(
            f"dependability: '{group}' has two factors within it; fit it with one, e.g. patients in therapists"
        )
    *levels, error = _variances(state, state.theta, residual_variance(state))
    cases = [(n, k) for n in (patients if place else (1,)) for k in ratings]
    noise = [(levels[0] if place else 0.0) / n + error / (n * k) for n, k in cases]
    return pd.DataFrame(
        {
            "group": group,
            "patients": [n if place else np.nan for n, _ in cases],
            "ratings": [k for _, k in cases],
            "dependability": levels[place] / (levels[place] + np.array(noise)),
        }
    )


def _variances(state: Grouped, theta: np.ndarray, own: float) -> np.ndarray:
    """Variances between the groups of each factor, averaged over the rows, and ``own``, that of the residual."""
    levels = [grouping.level for grouping in state.groupings]
    factors = level_factors(levels, theta)
    between = [((level.Z @ L) ** 2).sum(axis=1).mean() for level, L in zip(levels, factors, strict=True)]
    return np.array([*(state.sigma**2 * np.array(between)), own])


def _own_variance(result: Result) -> float:
    """Variance of an outcome within the groups: the residual's, or the family's on the scale of the linear predictor."""
    if isinstance(result.model, MixedModel):
        return residual_variance(result.state)
    family, state = FAMILIES[result.model.family], result.state
    own = family.own_variance(state.link, float(state.outcome.y.mean()), state.dispersion)
    if not np.isfinite(own):
        raise AllianceError(
            f"icc: family {family.name!r} has no agreed variance of its own on the scale of the linear predictor; report the "
            "standard deviations of the random effects, or average_marginal_effects"
        )
    return own


def _logit_std_error(result: Result, own: float) -> np.ndarray:
    """Of the logit of each share; missing for factors at the boundary, and where residual variances differ."""
    state: Grouped = result.state
    if state.strata is not None:
        return np.full(len(state.groupings) + 1, np.nan)
    theta, at_zero = state.theta, at_boundary(state.groupings, state.theta)

    def logit(point: np.ndarray) -> np.ndarray:
        variances = _variances(state, point, own)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(variances) - np.log(variances.sum() - variances))

    steps = STEP * np.maximum(np.abs(theta), 0.1)
    with np.errstate(invalid="ignore"):
        slopes = np.array([(logit(theta + h) - logit(theta - h)) / (2 * h.max()) for h in np.diag(steps)])
    variance = np.einsum("ai,ab,bi->i", slopes, _theta_covariance(result), slopes)
    inside = [grouping.name not in at_zero for grouping in state.groupings]
    return np.where([*inside, any(inside)], np.sqrt(np.maximum(variance, 0)), np.nan)


def _theta_covariance(result: Result) -> np.ndarray:
    if isinstance(result.model, MixedModel):
        return np.asarray(variance_parameters(result).covariance[:-1, :-1])
    p = len(result.state.coefficients)
    return np.asarray(result.state.joint[p:, p:])


def _correlations(state: Grouped, shares: np.ndarray) -> np.ndarray:
    """Each factor's share with those of the factors in whose groups its own groups lie; nothing for the residual."""
    levels = [grouping.level for grouping in state.groupings]
    found = [
        sum(shares[j] for j, outer in enumerate(levels) if i == j or (j > i and are_nested([inner, outer])))
        for i, inner in enumerate(levels)
    ]
    return np.array([*found, np.nan])


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(expit(x))


def _mixed(result: Result, where: str) -> MixedState:
    _grouped(result, where)
    if not isinstance(result.model, MixedModel):
        raise AllianceError(f"{where}: {type(result.model).__name__} has no residual variance; fit a MixedModel")
    state: MixedState = result.state
    return state


def _grouped(result: Result, where: str) -> Grouped:
    """The state of a mixed model, linear or generalised."""
    if not getattr(result.state, "groupings", ()):
        raise AllianceError(f"{where}: {type(result.model).__name__} has no random effects; fit a mixed model")
    state: Grouped = result.state
    return state


def _rows(
    name: str, effects: tuple[str, ...], groups: tuple[str, ...], modes: np.ndarray, blocks: np.ndarray, level: float
) -> pd.DataFrame:
    sd = np.sqrt(np.maximum(np.diagonal(blocks, axis1=1, axis2=2), 0)).ravel()
    half = t_quantile((1 + level) / 2, np.inf) * sd
    estimate = modes.ravel()
    return tidy_frame(
        term=list(effects) * len(groups), component="random", group=name, at=np.repeat(groups, len(effects)),
        estimate=estimate, std_error=sd, conf_low=estimate - half, conf_high=estimate + half, interval="normal",
    )  # fmt: skip
