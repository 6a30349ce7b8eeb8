"""Profile likelihood intervals of mixed models, on the criterion of maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.inference.grid import Names, as_names
from alliance_stats.inference.problem import Problem, Solution, estimates, pairs, problem, solve
from alliance_stats.inference.profile_paths import (
    CorrelationPath,
    DeviationPath,
    FixedPath,
    Path,
    SigmaPath,
    StratumPath,
)
from alliance_stats.inference.refit import estimate_names
from alliance_stats.models.mixed_strata import Strata
from alliance_stats.progress import bar
from alliance_stats.result import Result, tidy_frame

FLOOR = 0.2  # of the least residual standard deviation, below which no profile is expected to take it
DOUBLINGS = 40  # of the distance from the estimate at which an end of the interval is looked for


def profile(
    result: Result, parameters: Names | None = None, level: float | None = None, *, progress: bool = True
) -> pd.DataFrame:
    """Intervals of all values of a parameter at which the likelihood ratio test does not reject.

    Parameters
    ----------
    result : a mixed model. Estimates and intervals are those of maximum likelihood; a REML fit is fitted again.
    parameters : terms as ``tidy()`` names them, e.g. ``["week", "sd(week)", "cor(Intercept,week)", "sd(residual)"]``; all by
        default. A name that several factors share stands for all of them.
    level : confidence level, that of the model by default.
    progress : whether long work shows a bar.

    Returns tidy rows with ``interval = "profile"``: fixed coefficients, standard deviations and correlations of random effects,
    and the residual standard deviation, with ``residual_by`` that of every group. The ends are where the deviance, minimised
    over all other parameters, exceeds the minimum by the χ²(1) quantile (Bates et al. 2015, section 5.1, doi
    10.18637/jss.v067.i01). A standard deviation's lower end is 0, a correlation's −1 or 1, where not even the boundary is
    rejected. A correlation with an effect that does not vary has neither estimate nor interval.

    Raises AllianceError for unknown names, ConvergenceError where an end cannot be found.

    >>> from alliance_stats.models.mixed import MixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(20), 4), "week": np.tile(range(4), 20)})
    >>> data["pain"] = 6 - 0.5 * data["week"] + np.repeat(rng.normal(size=20), 4) + rng.normal(size=80)
    >>> fit = MixedModel("pain ~ week + (1 | patient)").fit(data)
    >>> profile(fit, "sd(Intercept)")[["term", "estimate", "conf_low", "conf_high"]].round(2).to_dict("list")
    {'term': ['sd(Intercept)'], 'estimate': [0.43], 'conf_low': [0.0], 'conf_high': [0.76]}
    """
    level = result.model.level if level is None else level
    if not 0 < level < 1:
        raise AllianceError(f"profile: level is {level}; use a number between 0 and 1, e.g. 0.95")
    given = replace(problem(result, "profile"), reml=False)
    names = estimate_names(result)
    wanted = _wanted(names, parameters)
    best = solve(given)
    values = estimates(best, given.levels)
    paths = _paths(given, best) if given.strata is None else _stratified_paths(given, given.strata, best)
    asked = bar(wanted, "profile", "parameter", shown=progress)
    ends = [_ends(paths[i], values[i], best.value, _critical(level), names[i][0]) for i in asked]
    return tidy_frame(
        term=[names[i][0] for i in wanted], component=[names[i][1] for i in wanted], group=[names[i][2] for i in wanted],
        estimate=values[wanted], conf_low=[low for low, _ in ends], conf_high=[high for _, high in ends],
        interval="profile",
    )  # fmt: skip


def _wanted(names: Sequence[tuple[str, str, str]], parameters: Names | None) -> list[int]:
    terms = [term for term, _, _ in names]
    asked = list(dict.fromkeys(terms)) if parameters is None else as_names(parameters)
    unknown = [name for name in asked if name not in terms]
    if unknown:
        raise AllianceError(
            f"profile: {unknown[0]!r} is not a parameter; parameters: {', '.join(dict.fromkeys(terms))}"
        )
    return [i for i, term in enumerate(terms) if term in asked]


def _paths(given: Problem, best: Solution) -> list[Path]:
    """How every parameter is held at a value, in the order of ``estimate_names``."""
    sigma = float(np.sqrt(best.sigma2))
    return [*_effect_paths(given, 0, best.theta, sigma), SigmaPath(given, best.theta, sigma)]


def _stratified_paths(given: Problem, strata: Strata, best: Solution) -> list[Path]:
    floor = FLOOR * float(np.sqrt(best.sigma2))
    theta = np.r_[np.sqrt((best.deviations / floor) ** 2 - 1), best.theta / FLOOR]
    found = _effect_paths(given.from_floor(strata, floor), 1, theta, floor)
    return [*found, *(StratumPath(given, strata, k, floor, theta, sd) for k, sd in enumerate(best.deviations.tolist()))]


def _effect_paths(given: Problem, first: int, theta: np.ndarray, sigma: float) -> list[Path]:
    """The fixed coefficients, and the random effects from level ``first`` on."""
    found: list[Path] = [FixedPath(given, j, theta) for j in range(given.X.shape[1])]
    for place, level in list(enumerate(given.levels))[first:]:
        found += [DeviationPath(given, place, i, theta, sigma) for i in range(level.q)]
        found += [CorrelationPath(given, place, i, j, theta) for i, j in pairs(level)]
    return found


def _critical(level: float) -> float:
    from scipy.stats import chi2

    return float(np.sqrt(chi2.ppf(level, 1)))


def _ends(path: Path, estimate: float, least: float, critical: float, name: str) -> tuple[float, float]:
    """Where ±√(deviance − minimum) reaches the critical value, going out from the estimate."""
    if not np.isfinite(estimate):
        return np.nan, np.nan

    def excess(value: float) -> float:
        return float(np.sqrt(max(path.deviance(value) - least, 0.0))) - critical

    (least_value, most), step = path.bounds, path.step
    low, high = _end(excess, estimate, -step, least_value, name), _end(excess, estimate, step, most, name)
    if isinstance(path, StratumPath) and low == least_value:
        raise ConvergenceError(
            f"profile: {name!r} of '{path.strata.levels[path.k]}' goes to zero, where the likelihood has no maximum; its rows "
            "are too few or fitted exactly: use a coarser residual_by"
        )
    return low, high


def _end(excess: Callable[[float], float], estimate: float, step: float, bound: float, name: str) -> float:
    """The root beyond the estimate, or the bound where there is none before it."""
    from scipy.optimize import brentq

    near, far = estimate, estimate + step
    for _ in range(DOUBLINGS):
        far = max(far, bound) if step < 0 else min(far, bound)
        if excess(far) > 0:
            return float(brentq(excess, near, far, xtol=1e-9 * abs(step), rtol=1e-11))
        if far == bound:
            return bound
        near, far, step = far, far + 2 * step, 2 * step
    raise ConvergenceError(f"profile: no {'lower' if step < 0 else 'upper'} end of the interval of {name!r} was found")
