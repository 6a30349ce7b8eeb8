"""Bootstrap intervals of mixed models: simulated responses, or therapists (and patients within them) drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.inference.problem import Problem, each, estimates, problem, solve, solve_many
from alliance_stats.inference.refit import estimate_labels, estimate_names
from alliance_stats.inference.resample import Scheme, drawn_again, scheme
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.progress import bar
from alliance_stats.result import Result, tidy_frame

Kind = Literal["parametric", "cluster"]
Statistic = Callable[[Result], float | Mapping[str, float]]
Names = Sequence[tuple[str, str, str]]
AT_ONCE = 100  # responses simulated and fitted together
AT_A_TIME = 10  # resamples fitted one after the other, as one piece of work
TESTED = ("fixed", "correlation", "effect")  # that a standard deviation is zero is no hypothesis for a percentile


def bootstrap(
    result: Result,
    statistic: Statistic | None = None,
    draws: int = 1000,
    kind: Kind = "parametric",
    rng: Seed = 1,
    progress: bool = True,
    level: float | None = None,
    resample: str | Sequence[str] | None = None,
) -> Result:
    """Standard errors, percentile intervals and p-values of a mixed model from resamples that are fitted again.

    Parameters
    ----------
    result : a mixed model.
    statistic : a function of a fitted result that returns a number, or numbers by name, e.g. an ICC; by default every estimate.
    draws : number of resamples.
    kind : ``"parametric"`` draws random effects and residuals from the fitted model, with ``residual_by`` each group's own
        residuals; ``"cluster"`` draws groups with replacement, with all that lies within them, each copy a group of its own,
        and assumes neither normal nor equal variances.
    rng : seed; the same seed gives the same draws, whatever else is computed.
    progress : whether long work shows a bar.
    level : confidence level, that of the model by default.
    resample : the grouping factor whose groups ``"cluster"`` draws, by default the coarsest; or nested factors, coarsest first:
        ``("therapist", "patient")`` draws therapists, then patients within every therapist drawn. Factors that lie within none
        of them, coarser or crossed ones, keep their groups.

    Returns
    -------
    The result with ``estimates`` from the bootstrap (``interval = "percentile"``, the estimate that of the fit) and ``draws``,
    one row a resample. ``p_value`` is min(1, 2(1 + min(#≤0, #≥0))/(1 + draws)); standard deviations have none. Resamples that
    could not be fitted are left out and counted in ``notes``. Inside ``joblib.parallel_config(n_jobs=…)`` the resamples are
    shared among processes; the numbers are the same.

    Therapists alone are drawn by default. Their means vary with their patients already; to draw these as well counts the
    variance between patients twice, and standard errors come out too large, by √2 where therapists do not differ (Davison &
    Hinkley 1997, section 3.8).

    Raises AllianceError for crossed factors with ``"cluster"`` unless one is named, ConvergenceError where half of the
    resamples fail.

    Source: Davison & Hinkley 1997, doi 10.1017/CBO9780511802843, sections 3.8 and 5.3.

    >>> from alliance_stats.models.mixed import MixedModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(20), 4), "week": np.tile(range(4), 20)})
    >>> data["pain"] = 6 - 0.5 * data["week"] + np.repeat(rng.normal(size=20), 4) + rng.normal(size=80)
    >>> again = bootstrap(MixedModel("pain ~ week + (1 | patient)").fit(data), draws=50, progress=False)
    >>> again.tidy()[["term", "interval"]].iloc[1].tolist(), again.draws.shape
    (['week', 'percentile'], (50, 4))
    """
    given, level = problem(result, "bootstrap"), result.model.level if level is None else level
    _require(draws, kind, level, resample)
    plan = _Plan(result, given, statistic, kind, scheme(result, given, resample) if kind == "cluster" else None)
    if statistic is not None and kind == "parametric":
        _outcome(result)
    names, values = _statistics(result, given, statistic)
    made = _resamples(plan, draws, rng)
    rows = [values for values in bar(made, "bootstrap", "draw", shown=progress, total=draws) if values is not None]
    failures = draws - len(rows)
    if failures > draws / 2:
        raise ConvergenceError(f"bootstrap: {failures} of {draws} resamples could not be fitted; use a simpler model")
    frame = pd.DataFrame(rows, columns=estimate_labels(list(names)))
    estimated = _rows(names, values, frame.to_numpy(), level)
    return replace(result, estimates=estimated, draws=frame, notes=(*result.notes, *_notes(plan, frame, draws)))


def draws_p_value(values: np.ndarray) -> float:
    """min(1, 2(1 + min(#≤0, #≥0))/(1 + B)): never zero, and twice the smaller tail.

    >>> draws_p_value(np.array([0.2, 0.5, 0.1, 0.4]))
    0.4
    """
    tail = min((values <= 0).sum(), (values >= 0).sum())
    return float(min(1.0, 2 * (1 + tail) / (1 + len(values))))


@dataclass(frozen=True, eq=False)
class _Plan:
    """What every resample needs."""

    result: Result
    given: Problem
    statistic: Statistic | None
    kind: str
    scheme: Scheme | None

    @property
    def at_once(self) -> int:
        """Resamples in one piece of work: responses to one grouping factor share their arithmetic."""
        together = self.scheme is None and self.statistic is None and len(self.given.levels) == 1
        return AT_ONCE if together and self.given.strata is None else AT_A_TIME


Values = list[float] | None


def _resamples(plan: _Plan, draws: int, rng: Seed) -> Iterator[Values]:
    """What every resample gives, None where it cannot be fitted; each has its own stream of random numbers."""
    numbers = [range(first, min(first + plan.at_once, draws)) for first in range(0, draws, plan.at_once)]
    pieces = ((plan, [stream(rng, "bootstrap", plan.kind, i) for i in some]) for some in numbers)
    for made in each(_some, pieces):
        yield from made


def _some(plan: _Plan, streams: list[np.random.Generator]) -> list[Values]:
    if plan.kind == "cluster" or plan.statistic is not None:
        return [_draw_or_none(plan, rng) for rng in streams]
    Y = np.column_stack([plan.result.model._simulate(plan.result, rng, 1)[0] for rng in streams])
    solutions = solve_many(plan.given, Y, plan.result.state.theta)
    return [None if found is None else list(estimates(found, plan.given.levels)) for found in solutions]


def _draw_or_none(plan: _Plan, rng: np.random.Generator) -> Values:
    try:
        return _draw(plan, rng)
    except (AllianceError, np.linalg.LinAlgError):
        return None


def _draw(plan: _Plan, rng: np.random.Generator) -> list[float]:
    result, statistic = plan.result, plan.statistic
    if plan.scheme is None:
        assert statistic is not None
        y = result.model._simulate(result, rng, 1)[0]
        return _numbers(statistic, _afresh(result, result.frame.assign(**{_outcome(result): y})))
    again = drawn_again(plan.scheme, rng)
    if statistic is not None:
        return _numbers(statistic, _afresh(result, again.frame(result, plan.scheme)))
    made = again.problem(plan.given, plan.scheme)
    return list(estimates(solve(made, result.state.theta), made.levels))


def _afresh(result: Result, frame: pd.DataFrame) -> Result:
    fitted: Result = replace(result.model, prepare=()).fit(frame)
    return fitted


def _outcome(result: Result) -> str:
    name = str(result.state.design.formula.response).strip("`")
    if name not in result.frame.columns:
        raise AllianceError(
            f"bootstrap: the outcome {name!r} is computed in the formula; for a statistic of parametric draws make it a column"
        )
    return name


def _numbers(statistic: Statistic, fitted: Result) -> list[float]:
    found = statistic(fitted)
    return [float(value) for value in found.values()] if isinstance(found, Mapping | pd.Series) else [float(found)]


def _statistics(result: Result, given: Problem, statistic: Statistic | None) -> tuple[Names, np.ndarray]:
    """Names and values of what is bootstrapped, at the fit itself."""
    if statistic is None:
        return estimate_names(result), estimates(solve(given), given.levels)
    found = statistic(result)
    terms = list(found.keys()) if isinstance(found, Mapping | pd.Series) else ["statistic"]
    return [(str(term), "effect", "") for term in terms], np.array(_numbers(lambda _: found, result))


def _rows(names: Names, values: np.ndarray, found: np.ndarray, level: float) -> pd.DataFrame:
    kept = [column[np.isfinite(column)] for column in found.T]
    ends = [np.quantile(x, [(1 - level) / 2, (1 + level) / 2]) if len(x) > 1 else (np.nan, np.nan) for x in kept]
    tested = [component in TESTED and len(x) > 1 for (_, component, _), x in zip(names, kept, strict=True)]
    return tidy_frame(
        term=[term for term, _, _ in names], component=[component for _, component, _ in names],
        group=[group for _, _, group in names], estimate=values,
        std_error=[x.std(ddof=1) if len(x) > 1 else np.nan for x in kept],
        p_value=[draws_p_value(x) if test else np.nan for x, test in zip(kept, tested, strict=True)],
        conf_low=[low for low, _ in ends], conf_high=[high for _, high in ends], interval="percentile",
    )  # fmt: skip


def _notes(plan: _Plan, frame: pd.DataFrame, draws: int) -> list[str]:
    of = "" if plan.scheme is None else f" of {plan.scheme}"
    notes, failures = [f"{plan.kind} bootstrap with {draws} resamples{of}"], draws - len(frame)
    if failures:
        notes.append(f"{failures} of {draws} resamples could not be fitted and were left out")
    absent = frame.isna().sum()
    for name, n in absent[absent > 0].items():
        reason = "its group had no rows there" if str(name).startswith("sd(residual)|") else "a variance was zero there"
        notes.append(f"'{name}' is missing in {n} resamples: {reason}")
    return notes


def _require(draws: int, kind: str, level: float, resample: object) -> None:
    if kind not in get_args(Kind):
        raise AllianceError(f"bootstrap: kind is {kind!r}; use 'parametric' or 'cluster'")
    if draws < 2:
        raise AllianceError(f"bootstrap: draws is {draws}; use 2 or more, 1000 for an interval")
    if not 0 < level < 1:
        raise AllianceError(f"bootstrap: level is {level}; use a number between 0 and 1, e.g. 0.95")
    if resample is not None and kind != "cluster":
        raise AllianceError(f"bootstrap: resample={resample!r} is for kind='cluster'; kind is {kind!r}")
