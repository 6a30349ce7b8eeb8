"""Standard errors and limits of the derived numbers: delta, Monte Carlo, or whole groups drawn again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import ConvergenceError
from alliance_stats.models.mixed_system import SINGULAR
from alliance_stats.models.multilevel_fit import Solved, parameters, solve_tree, turned
from alliance_stats.models.multilevel_paths import Quantity, evaluate
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.mediation_resample import draws_p_values, normal_draws, percentile_limits
from alliance_stats.numerics.mixed.tree import Tree
from alliance_stats.numerics.multilevel_mediation import Metric, delta_variances, descend, metric, redrawn
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.progress import bar
from alliance_stats.result import tidy_frame

AT_A_TIME = 20  # resamples fitted as one piece of work


@dataclass(frozen=True, eq=False)
class Inference:
    """Tidy rows of the derived numbers, their draws, and notes."""

    rows: pd.DataFrame
    draws: pd.DataFrame | None
    notes: tuple[str, ...]


def delta(
    wanted: Sequence[Quantity], phi: np.ndarray, V: np.ndarray, level: float, *, second: bool, df: float = np.inf
) -> Inference:
    """Normal limits, or those of t. ``second`` adds the second-order term: the variance of a product is then exact."""
    estimate, se = evaluate(wanted, phi), np.sqrt(delta_variances(lambda p: evaluate(wanted, p), phi, V, second=second))
    half = t_quantile((1 + level) / 2, df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(se > 0, estimate / se, np.nan)
    p = np.where(np.isnan(z), np.nan, t_p_value(np.nan_to_num(z), np.full(len(z), df)))
    spread = np.array([quantity.term.startswith("sd(") for quantity in wanted])
    z, p = np.where(spread, np.nan, z), np.where(spread, np.nan, p)
    plain = "normal" if np.isinf(df) else "t"
    interval = [plain if quantity.component == "path" else "delta" for quantity in wanted]
    own = np.where(np.isnan(z) | np.isinf(df), np.nan, df)
    rows = _rows(
        wanted, estimate, se, np.array([estimate - half, estimate + half]), interval, statistic=z, df=own, p_value=p
    )
    return Inference(rows, None, ())


def monte_carlo(
    wanted: Sequence[Quantity], phi: np.ndarray, V: np.ndarray, level: float, draws: int, rng: Seed, df: float = np.inf
) -> Inference:
    """Coefficients, variances and covariances drawn from their joint normal sampling distribution, or multivariate t."""
    random = stream(rng, "multilevel", "monte-carlo")
    away = normal_draws(np.zeros(len(phi)), V, draws, random)
    if np.isfinite(df):
        away *= np.sqrt(df / random.chisquare(df, size=(draws, 1)))
    made = evaluate(wanted, phi + away)
    return effect_rows(wanted, evaluate(wanted, phi), made, level, "monte-carlo", draws, "draws")


def bootstrap(
    wanted: Sequence[Quantity], solved: Solved, level: float, draws: int, rng: Seed, *, within: bool, progress: bool
) -> Inference:
    """Whole groups drawn again, the coarsest first, and both equations fitted to each resample as one model."""
    estimate = evaluate(wanted, parameters(solved))
    made = bar(_resamples(solved, draws, rng, within), "bootstrap", "draw", shown=progress, total=draws)
    found = [phi for phi in made if phi is not None]
    if len(found) < max(2, draws / 2):
        raise ConvergenceError(
            f"interval='bootstrap': {draws - len(found)} of {draws} resamples could not be fitted; use a simpler random="
        )
    kept = evaluate(wanted, np.array(found))
    return effect_rows(wanted, estimate, kept, level, "percentile", draws, "resamples")


def _resamples(solved: Solved, draws: int, rng: Seed, within: bool) -> Iterator[np.ndarray | None]:
    from joblib import Parallel, delayed

    near = tuple(metric(tree, turned(solved, k), reml=solved.reml) for k, tree in enumerate(solved.trees))
    pieces = [range(first, min(first + AT_A_TIME, draws)) for first in range(0, draws, AT_A_TIME)]
    light = replace(solved, stack=replace(solved.stack, X=solved.stack.X[:0], y=solved.stack.y[:0]))
    calls = (delayed(_some)(light, near, [(rng, i) for i in piece], within) for piece in pieces)
    for made in Parallel(return_as="generator")(calls):
        yield from made


def _some(
    solved: Solved, near: tuple[Metric, ...], seeds: list[tuple[Seed, int]], within: bool
) -> list[np.ndarray | None]:
    return [_one(solved, near, rng, i, within) for rng, i in seeds]


def _one(solved: Solved, near: tuple[Metric, ...], rng: Seed, i: int, within: bool) -> np.ndarray | None:
    """The parameters of one resample: from the optimum of the whole sample, or by the full search where that does not reach."""

    def tree(least: int) -> Tree:
        return redrawn(solved.trees[least], stream(rng, "multilevel", "bootstrap", i), within=within)

    try:
        for least in (solved.least, 1 - solved.least):
            own = tree(least)
            theta = descend(own, near[least], reml=solved.reml)
            if theta is not None and abs(theta[0]) > SINGULAR:
                at = own.evaluate(theta, reml=solved.reml, gradient=False)
                return parameters(replace(solved, least=least, theta=theta, at=at))
        return parameters(solve_tree(replace(solved, trees=(tree(0), tree(1)))))
    except (ConvergenceError, np.linalg.LinAlgError):
        return None


def effect_rows(
    wanted: Sequence[Quantity],
    estimate: np.ndarray,
    made: np.ndarray,
    level: float,
    interval: str,
    draws: int,
    what: str,
) -> Inference:
    """Rows from draws (draws, wanted) of the derived numbers; draws that are not finite are counted in a note."""
    kept = made[np.isfinite(made).all(axis=1)]
    if len(kept) < max(2, draws / 2):
        raise ConvergenceError(f"fewer than half of the {draws} {what} gave every effect; use interval='delta'")
    p = draws_p_values(kept, np.zeros(len(wanted)))
    p = np.where([quantity.term.startswith("sd(") for quantity in wanted], np.nan, p)
    rows = _rows(wanted, estimate, kept.std(axis=0, ddof=1), percentile_limits(kept, level), interval, p_value=p)
    lost = draws - len(kept)
    notes = (f"{lost} of {draws} {what} could not be fitted and were left out",) if lost else ()
    return Inference(rows, pd.DataFrame(kept, columns=[quantity.label for quantity in wanted]), notes)


def limits_of(rows: pd.DataFrame, limits: np.ndarray, statistic: np.ndarray, p_value: np.ndarray) -> pd.DataFrame:
    """Rows with limits (2, rows) and tests of the profile likelihood in place of their own."""
    made = np.where(np.isnan(limits).all(axis=0), "", "profile")
    return rows.assign(
        conf_low=limits[0], conf_high=limits[1], statistic=statistic, p_value=p_value,
        interval=pd.Series(made, index=rows.index, dtype="str"),
    )  # fmt: skip


def _rows(
    wanted: Sequence[Quantity], estimate: np.ndarray, se: np.ndarray, limits: np.ndarray, interval: Any, **more: Any
) -> pd.DataFrame:
    return tidy_frame(
        term=[q.term for q in wanted], component=[q.component for q in wanted], group=[q.group for q in wanted],
        equation=[q.equation for q in wanted], at=[q.at for q in wanted], estimate=estimate, std_error=se,
        conf_low=limits[0], conf_high=limits[1], interval=interval, **more,
    )  # fmt: skip
