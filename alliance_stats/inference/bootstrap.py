"""Bootstrap intervals of mixed models: simulated responses, or whole therapists drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.inference.problem import Problem, estimates, problem, regrouped, solve, solve_many
from alliance_stats.inference.refit import estimate_labels, estimate_names, members
from alliance_stats.models.mixed import Grouping
from alliance_stats.numerics.mixed.effects import are_nested
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result, tidy_frame

Kind = Literal["parametric", "cluster"]
Statistic = Callable[[Result], float | Mapping[str, float]]
Names = Sequence[tuple[str, str, str]]
AT_ONCE = 100  # responses simulated and fitted together
TESTED = ("fixed", "correlation", "effect")  # that a standard deviation is zero is no hypothesis for a percentile


def bootstrap(
    result: Result,
    statistic: Statistic | None = None,
    draws: int = 1000,
    kind: Kind = "parametric",
    rng: Seed = 1,
    progress: bool = True,
    level: float | None = None,
) -> Result:
    """Standard errors, percentile intervals and p-values of a mixed model from resamples that are fitted again.

    Parameters
    ----------
    result : a mixed model.
    statistic : a function of a fitted result that returns a number, or numbers by name, e.g. an ICC; by default every estimate.
    draws : number of resamples.
    kind : ``"parametric"`` draws random effects and residuals from the fitted model; ``"cluster"`` draws the groups of the
        coarsest factor (therapists) with replacement, with all that lies within them, each copy a group of its own, and assumes
        neither normal nor equal variances.
    rng : seed; the same seed gives the same draws, whatever else is computed.
    progress : whether a bar is shown.
    level : confidence level, that of the model by default.

    Returns
    -------
    The result with ``estimates`` from the bootstrap (``interval = "percentile"``, the estimate that of the fit) and ``draws``,
    one row a resample. ``p_value`` is min(1, 2(1 + min(#≤0, #≥0))/(1 + draws)); standard deviations have none. Resamples that
    could not be fitted are left out and counted in ``notes``.

    Raises AllianceError for crossed factors with ``"cluster"``, ConvergenceError where half of the resamples fail.

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
    _require(result, given, draws, kind, level)
    if statistic is not None and kind == "parametric":
        _outcome(result)
    names, values = _statistics(result, given, statistic)
    made = _bar(_resamples(result, given, statistic, draws, kind, rng), draws, progress)
    rows = [values for values in made if values is not None]
    failures = draws - len(rows)
    if failures > draws / 2:
        raise ConvergenceError(f"bootstrap: {failures} of {draws} resamples could not be fitted; use a simpler model")
    frame = pd.DataFrame(rows, columns=estimate_labels(list(names)))
    estimated = _rows(names, values, frame.to_numpy(), level)
    return replace(
        result, estimates=estimated, draws=frame, notes=(*result.notes, *_notes(frame, draws, failures, kind))
    )


def draws_p_value(values: np.ndarray) -> float:
    """min(1, 2(1 + min(#≤0, #≥0))/(1 + B)): never zero, and twice the smaller tail.

    >>> draws_p_value(np.array([0.2, 0.5, 0.1, 0.4]))
    0.4
    """
    tail = min((values <= 0).sum(), (values >= 0).sum())
    return float(min(1.0, 2 * (1 + tail) / (1 + len(values))))


def _resamples(
    result: Result, given: Problem, statistic: Statistic | None, draws: int, kind: str, rng: Seed
) -> Iterator[list[float] | None]:
    """What every resample gives, None where it cannot be fitted; each has its own stream of random numbers."""
    for first in range(0, draws, AT_ONCE):
        streams = [stream(rng, "bootstrap", kind, i) for i in range(first, min(first + AT_ONCE, draws))]
        if kind == "parametric" and statistic is None:
            Y = np.column_stack([result.model._simulate(result, each, 1)[0] for each in streams])
            for found in solve_many(given, Y, result.state.theta):
                yield None if found is None else list(estimates(found, given.levels))
        else:
            yield from (_draw_or_none(result, given, statistic, kind, each) for each in streams)


def _draw_or_none(
    result: Result, given: Problem, statistic: Statistic | None, kind: str, rng: np.random.Generator
) -> list[float] | None:
    try:
        return _draw(result, given, statistic, kind, rng)
    except (AllianceError, np.linalg.LinAlgError):
        return None


def _draw(
    result: Result, given: Problem, statistic: Statistic | None, kind: str, rng: np.random.Generator
) -> list[float]:
    if kind == "parametric" and statistic is not None:
        y = result.model._simulate(result, rng, 1)[0]
        return _numbers(statistic, _afresh(result, result.frame.assign(**{_outcome(result): y})))
    index, copies = _resampled(given.levels[-1].codes, rng)
    if statistic is None:
        levels = regrouped(given.levels, index, copies)
        return list(estimates(solve(given.rows(index, levels), result.state.theta), levels))
    return _numbers(statistic, _afresh(result, _relabelled(result, index, copies)))


def _resampled(codes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of as many groups as there are, drawn with replacement, and which copy each row belongs to."""
    size = int(codes.max()) + 1
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    chosen = [rows[code] for code in rng.integers(size, size=size)]
    return np.concatenate(chosen), np.repeat(np.arange(size), [len(each) for each in chosen])


def _relabelled(result: Result, index: np.ndarray, copies: np.ndarray) -> pd.DataFrame:
    """The rows with the labels of their groups made the copy's own."""
    frame = result.frame.iloc[index].reset_index(drop=True)
    names = {name for grouping in result.state.groupings for name in _free_parts(result, grouping)}
    number = pd.Series(copies.astype(str), index=frame.index)
    return frame.assign(**{name: number + ":" + frame[name].astype(str) for name in names})


def _free_parts(result: Result, grouping: Grouping) -> list[str]:
    """Columns of a factor that are labels only, not predictors too."""
    predictors = {*result.state.design.variables}
    predictors.update(name for each in result.state.groupings for design in each.designs for name in design.variables)
    return [name for name in grouping.parts if name not in predictors]


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


def _notes(frame: pd.DataFrame, draws: int, failures: int, kind: str) -> list[str]:
    notes = [f"{kind} bootstrap with {draws} resamples"]
    if failures:
        notes.append(f"{failures} of {draws} resamples could not be fitted and were left out")
    absent = frame.isna().sum()
    notes += [
        f"'{name}' is missing in {n} resamples: a variance was zero there" for name, n in absent[absent > 0].items()
    ]
    return notes


def _require(result: Result, given: Problem, draws: int, kind: str, level: float) -> None:
    if kind not in get_args(Kind):
        raise AllianceError(f"bootstrap: kind is {kind!r}; use 'parametric' or 'cluster'")
    if draws < 2:
        raise AllianceError(f"bootstrap: draws is {draws}; use 2 or more, 1000 for an interval")
    if not 0 < level < 1:
        raise AllianceError(f"bootstrap: level is {level}; use a number between 0 and 1, e.g. 0.95")
    if kind == "parametric":
        return
    if not are_nested(given.levels):
        raise AllianceError(
            "bootstrap: the grouping factors are crossed, no rows belong together; use kind='parametric'"
        )
    for grouping in result.state.groupings:
        if not members(result, grouping).all():
            raise AllianceError(
                f"bootstrap: some rows have no '{grouping.name}' and cannot be drawn with one; use kind='parametric'"
            )
        if not _free_parts(result, grouping):
            raise AllianceError(
                f"bootstrap: '{grouping.name}' is a predictor too, and its copies cannot be told apart; use kind='parametric'"
            )


def _bar(made: Iterator[list[float] | None], draws: int, shown: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(made, total=draws, desc="bootstrap", unit="draw", disable=not shown)
