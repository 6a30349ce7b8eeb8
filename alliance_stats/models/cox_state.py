"""What a fitted hazard model keeps, and the rows and notes that Cox and competing-risks models report alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.formula import Design
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.result import Result, tidy_frame


@dataclass(frozen=True, eq=False)
class Baseline:
    """Increments of the cumulative hazard of a row at the means of the predictors, one an event time.

    ``variance`` and ``means`` (increments times the distance of the predictors' weighted means) carry its standard error;
    Fine–Gray fits have none. ``last`` is the end of the longest interval.
    """

    times: np.ndarray
    strata: np.ndarray
    hazard: np.ndarray
    variance: np.ndarray | None
    means: np.ndarray | None
    labels: tuple[str, ...]
    last: float


@dataclass(frozen=True, eq=False)
class CoxState:
    """What is needed to predict from a hazard model, test with it and simulate from it.

    ``means`` are those of the columns of the design without its intercept; rows of ``dependence`` are combinations of these
    columns that are constant in the data. ``fitted`` is the log hazard ratio of each row to the mean of the predictors,
    ``expected`` its cumulative hazard (frailty included), ``event`` 1 where its interval ends in an event.
    ``log_frailties`` are one a group.
    """

    design: Design
    steps: tuple[Step, ...]
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    dependence: np.ndarray
    means: np.ndarray
    naive: np.ndarray
    baseline: Baseline
    event: np.ndarray
    expected: np.ndarray
    fitted: np.ndarray
    log_likelihoods: tuple[float, float]
    theta: float | None = None
    groups: tuple[object, ...] = ()
    log_frailties: np.ndarray | None = None
    frailty_errors: np.ndarray | None = None
    residual: None = None
    fitted_population: None = None


def columns_of(design: Design) -> list[int]:
    """Columns of the design besides the intercept, which a hazard model has none of."""
    return [j for j, term in enumerate(design.terms) if term != "Intercept"]


def predictors(design: Design, X: np.ndarray) -> np.ndarray:
    """Those columns of a matrix of the design."""
    return X[:, columns_of(design)]


def widened(design: Design, null: np.ndarray) -> np.ndarray:
    """Inestimable combinations over all columns of the design: the intercept is one of them."""
    columns = columns_of(design)
    rows = np.zeros((len(null), len(design.terms)))
    rows[:, columns] = null
    intercept = np.eye(len(design.terms))[[j for j in range(len(design.terms)) if j not in columns]]
    return np.vstack([intercept, rows])


def left_out(terms: Sequence[str], kept: np.ndarray) -> tuple[str, ...]:
    """A note for each term without information of its own."""
    return tuple(
        f"'{term}' depends on other terms, or does not vary among patients at risk together, and was left out"
        for j, term in enumerate(terms)
        if j not in kept
    )


def monotone(direction: np.ndarray, terms: Sequence[str], text: str) -> ConvergenceError:
    """The error for a likelihood without a maximum, with the terms that it rises along."""
    share = np.abs(direction) / np.abs(direction).max()
    names = ", ".join(f"'{term}'" for term, size in zip(terms, share, strict=True) if size > 0.1)
    return ConvergenceError(
        f"formula {text!r}: the likelihood is monotone in {names}: at every event the patients with events are at one end "
        "(all events in one arm?), so that the estimate is infinite. Leave the term out, merge its levels, or use it as strata"
    )


def coefficient_rows(terms: Sequence[str], estimate: np.ndarray, std_error: np.ndarray, level: float) -> pd.DataFrame:
    """Tidy rows of log hazard ratios with z statistics."""
    half = t_quantile((1 + level) / 2, np.inf) * std_error
    with np.errstate(divide="ignore", invalid="ignore"):
        z = estimate / std_error
    return tidy_frame(
        term=terms, component="fixed", estimate=estimate, std_error=std_error, statistic=z,
        p_value=t_p_value(z, np.inf), conf_low=estimate - half, conf_high=estimate + half, interval="normal",
    )  # fmt: skip


def log_hazard(result: Result, frame: pd.DataFrame) -> pd.DataFrame:
    """Log hazard ratio of rows to the mean of the predictors: ``fitted std_error df``."""
    state: CoxState = result.state
    rows = state.design.matrix(frame)
    off = ~spoken_for(state, rows)
    X = rows[:, state.kept] - centre(state)
    V = result.covariance.to_numpy()
    std_error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", X, V, X), 0))
    return pd.DataFrame(
        {"fitted": np.where(off, np.nan, X @ state.coefficients), "std_error": np.where(off, np.nan, std_error), "df": np.inf},
        index=frame.index,
    )  # fmt: skip


def spoken_for(state: CoxState, rows: np.ndarray) -> np.ndarray:
    """Rows of the design that hold to the dependences of the data of the fit."""
    away = predictors(state.design, rows) - state.means
    off = np.abs(away @ state.dependence.T).max(axis=1, initial=0.0)
    return np.asarray(off <= 1e-6 * (1 + np.abs(rows).max(initial=0.0)))


def centre(state: CoxState) -> np.ndarray:
    """Means of the columns that have a coefficient."""
    columns = columns_of(state.design)
    return np.asarray(state.means[[columns.index(int(j)) for j in state.kept]])


def simulated_events(state: CoxState, rng: np.random.Generator, n: int) -> np.ndarray:
    """Whether each interval of the fit ends in an event, shape (n, rows): probability 1 − exp(−expected)."""
    return np.asarray(rng.random((n, len(state.expected))) < -np.expm1(-state.expected), dtype=float)


def checked_options(level: float, prepare: object) -> None:
    """AllianceError for a level or steps that no model takes."""
    if not isinstance(prepare, tuple | list):
        raise AllianceError(f"prepare is a {type(prepare).__name__}; give a tuple of steps, e.g. (Centre(…),)")
    if not 0 < level < 1:
        raise AllianceError(f"level is {level}; use a number between 0 and 1, e.g. 0.95")
