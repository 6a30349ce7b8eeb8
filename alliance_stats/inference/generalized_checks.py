"""Whether the outcomes of a generalised mixed model vary as its family says, and have as many zeros."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.models.generalized import GeneralizedMixedModel, GeneralizedState
from alliance_stats.models.generalized_families import FAMILIES
from alliance_stats.models.generalized_response import Outcome
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.glmm.mode import Problem, find_mode
from alliance_stats.numerics.glmm.structure import structure
from alliance_stats.numerics.mixed.effects import level_factors
from alliance_stats.numerics.mixed.parts import Level, template
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result

FREE = 1e3  # standard deviation of a coefficient's part in the linear predictor: no bound at all
AT_ONCE = 1_000_000  # numbers held at once


def dispersion_check(result: Result, *, n: int = 1000, rng: Seed = 1) -> pd.DataFrame:
    """Pearson's measure of overdispersion, against outcomes simulated from the model.

    Σ(y − μ)²/V(μ), μ at the modes of coefficients and random effects together given the estimated variances. It is divided by
    its mean over simulated outcomes, whose modes are found anew each time, so that what the fit takes from the residuals is
    taken from both. Near 1 the variance is the family's; well above 1 standard errors of a binomial or Poisson model are too
    small: use ``"betabinomial"`` or ``"negativebinomial"``.

    Returns one row: ``statistic expected ratio expected_low expected_high p_value n_simulations``; the limits hold 95 % of the
    simulated ratios, and the two-sided p-value counts them. The simulations keep the estimated variances, which makes the
    check a little careful: a true model is rejected in 2 to 3 % of trials at p < .05.

    Raises AllianceError for other models, and for outcomes of one trial a row, whose variance is that of their mean whatever
    the truth.

    Source: a parametric bootstrap of the measure in Bolker et al. 2009, doi 10.1016/j.tree.2008.10.008.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(20), 10), "assigned": 12})
    >>> data["done"] = rng.binomial(12, rng.beta(3, 3, 200))
    >>> fit = GeneralizedMixedModel("done | trials(assigned) ~ 1 + (1 | therapist)").fit(data)
    >>> dispersion_check(fit, n=200)[["ratio", "p_value"]].round({"ratio": 1, "p_value": 2}).to_dict("list")
    {'ratio': [2.4], 'p_value': [0.01]}
    """
    state, n = _checked(result, n, "dispersion_check")
    if result.model.family == "binomial" and (state.outcome.trials == 1).all():
        raise AllianceError(
            "dispersion_check: outcomes of one trial a row cannot be overdispersed; their variance is that of their mean"
        )
    pearson = _pearson(result)
    draws = np.array([pearson(y) for y in _simulated(result, n, stream(rng, "dispersion_check"))])
    statistic, expected = pearson(state.outcome.y), float(draws.mean())
    found = {"statistic": statistic, "expected": expected, "ratio": statistic / expected}
    return _row(statistic / expected, draws / expected, found)


def zero_check(result: Result, *, n: int = 1000, rng: Seed = 1) -> pd.DataFrame:
    """Rows with an outcome of zero, against their number in outcomes simulated from the model with random effects drawn anew.

    Returns one row: ``zeros expected ratio expected_low expected_high p_value n_simulations``; ``expected`` is the mean of the
    simulations, the limits hold 95 % of them, and the two-sided p-value counts them. More zeros than expected may mean two
    kinds of patients, those who never begin and the others, or overdispersion: look at ``dispersion_check`` first. Coefficients
    are taken as known though the same outcomes gave them, so a true model is rejected far less often than the level says.

    Raises AllianceError for other models, and for outcomes that are 0 or 1 or never zero.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(20), 10)})
    >>> data["exercises"] = rng.poisson(4, 200) * rng.binomial(1, 0.7, 200)
    >>> fit = GeneralizedMixedModel("exercises ~ 1 + (1 | therapist)", "poisson").fit(data)
    >>> zero_check(fit)[["zeros", "p_value"]].round(3).to_dict("list")
    {'zeros': [64], 'p_value': [0.002]}
    """
    state, n = _checked(result, n, "zero_check")
    if result.model.family == "beta" or (
        not FAMILIES[result.model.family].counts and (state.outcome.trials == 1).all()
    ):
        raise AllianceError(
            "zero_check: it is for counts and successes of several trials; here zeros follow from the mean"
        )
    draws = np.array([(y == 0).sum() for y in _simulated(result, n, stream(rng, "zero_check"))], dtype=float)
    zeros, expected = int((state.outcome.y == 0).sum()), float(draws.mean())
    ratio = zeros / expected if expected > 0 else np.nan
    return _row(float(zeros), draws, {"zeros": zeros, "expected": expected, "ratio": ratio})


def _pearson(result: Result) -> Callable[[np.ndarray], float]:
    """Outcomes → Σ(y − μ)²/V(μ) at the modes; the coefficients are effects of one group of all rows that nothing holds back."""
    state: GeneralizedState = result.state
    X, family = state.design.matrix(result.frame)[:, state.kept], FAMILIES[result.model.family]
    levels = [grouping.level for grouping in state.groupings]
    whole = Level(np.zeros(len(X), dtype=int), X, *template([1] * X.shape[1]))
    Ls = [*level_factors(levels, state.theta), np.diag(FREE / np.sqrt(np.mean(X**2, axis=0)))]
    form = structure([*levels, whole])
    order = form.order
    trials, offset = state.outcome.trials[order], state.outcome.offset[order]
    fixed = offset + X[order] @ state.coefficients
    psi = float(np.log(state.dispersion)) if family.dispersion else 0.0
    size = Outcome(trials, trials, offset).size

    def measure(outcomes: np.ndarray) -> float:
        y = outcomes[order]
        likelihood = family.likelihood(Outcome(y, trials, offset), state.link)
        mean = LINKS[state.link].mean(find_mode(Problem(X[order], offset, likelihood, form), fixed, Ls, psi).eta)
        return float(((y - size * mean) ** 2 / family.variance(mean, trials, state.dispersion)).sum())

    return measure


def _simulated(result: Result, n: int, source: np.random.Generator) -> Iterator[np.ndarray]:
    """Outcomes with random effects drawn anew, a block at a time."""
    block = max(1, min(n, AT_ONCE // len(result.frame)))
    for start in range(0, n, block):
        yield from result.model._simulate(result, source, min(block, n - start))


def _row(found: float, draws: np.ndarray, first: dict[str, float]) -> pd.DataFrame:
    low, high = np.quantile(draws, [0.025, 0.975])
    fewer = min(int((draws <= found).sum()), int((draws >= found).sum()))
    p = min(1.0, 2 * (1 + fewer) / (1 + len(draws)))
    return pd.DataFrame(
        [first | {"expected_low": low, "expected_high": high, "p_value": p, "n_simulations": len(draws)}]
    )


def _checked(result: Result, n: int, where: str) -> tuple[GeneralizedState, int]:
    if not isinstance(result.model, GeneralizedMixedModel):
        raise AllianceError(f"{where}: {type(result.model).__name__} is no GeneralizedMixedModel")
    if isinstance(n, bool) or not isinstance(n, int) or n < 100:
        raise AllianceError(f"{where}: n is {n!r}; use 100 simulations or more")
    state: GeneralizedState = result.state
    return state, n
