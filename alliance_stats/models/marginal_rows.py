"""What models of the mean without random effects share: their rows, options, and tidy rows of coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.formula import Design, build_design, read_formula
from alliance_stats.models.frames import analysis_frame, prepared
from alliance_stats.models.generalized_response import LeftSide, read_left, read_trials, require_outcome
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.least_squares import independent_columns, null_rows
from alliance_stats.random_terms import split_bars
from alliance_stats.result import tidy_frame


@dataclass(frozen=True, eq=False)
class Rows:
    """Complete rows of a formula: y as a share of the trials where there are any, their number as weights."""

    steps: tuple[Step, ...]
    frame: pd.DataFrame
    notes: tuple[str, ...]
    left: LeftSide
    design: Design
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    kept: np.ndarray
    null: np.ndarray

    @property
    def terms(self) -> list[str]:
        """Names of the columns of X that are kept."""
        return [self.design.terms[j] for j in self.kept]


def require_options(prepare: Any, level: float) -> None:
    """AllianceError for steps that are no tuple and levels that are no share."""
    if not isinstance(prepare, tuple | list):
        raise AllianceError(f"prepare is a {type(prepare).__name__}; give a tuple of steps, e.g. (Centre(…),)")
    if not 0 < level < 1:
        raise AllianceError(f"level is {level}; use a number between 0 and 1, e.g. 0.95")


def require_fixed(text: str, model: str) -> None:
    """AllianceError for random effects in a model that has none."""
    if split_bars(read_left(text).formula)[1]:
        raise AllianceError(
            f"formula {text!r}: {model} has no random effects; give cluster=, or use GeneralizedMixedModel"
        )


def read_rows(
    text: str, prepare: Sequence[Step], data: pd.DataFrame, labels: Sequence[str], family: str = "binomial"
) -> Rows:
    """Prepared, complete rows with design and outcome; DataError for outcomes that the family cannot have."""
    left = read_left(text)
    formula = read_formula(left.formula)
    steps, frame = prepared(prepare, data)
    frame, notes = analysis_frame(frame, (*formula.columns, *left.columns), labels, text)
    design, X, y = build_design(formula, frame)
    if left.trials is not None and family != "binomial":
        raise AllianceError(f"family {family!r} has no trials; leave '| trials({left.trials})' out of the formula")
    weights = read_trials(left, frame)
    _require(family, y, left, weights, formula.response.strip("`"))
    kept = independent_columns(X)
    notes += tuple(f"'{design.terms[j]}' depends on other terms and was left out" for j in dropped(X, kept))
    if not len(kept):
        raise DataError(f"formula {text!r}: no term that could be estimated")
    if len(y) <= len(kept):
        raise DataError(f"formula {text!r}: {len(y)} complete rows cannot estimate {len(kept)} terms")
    return Rows(steps, frame, notes, left, design, X[:, kept], y / weights, weights, kept, null_rows(X, kept))


def dropped(X: np.ndarray, kept: np.ndarray) -> list[int]:
    """Columns that were left out."""
    return [j for j in range(X.shape[1]) if j not in kept]


def _require(family: str, y: np.ndarray, left: LeftSide, trials: np.ndarray, name: str) -> None:
    if family == "poisson" or left.trials is not None:
        require_outcome(family, y, left, trials, name)
    elif family == "binomial":
        require_shares(y, name)
    elif np.ptp(y) == 0:
        raise DataError(f"outcome '{name}' is {y[0]:g} in all {len(y)} rows; there is nothing to explain")


def require_shares(y: np.ndarray, name: str) -> None:
    """DataError for shares outside [0, 1] and for those that are all the same."""
    bad = (y < 0) | (y > 1)
    if bad.any():
        n = int(bad.sum())
        advice = "for sessions of those assigned write 'completed | trials(assigned)'; divide per cent by 100"
        raise DataError(
            f"outcome '{name}' holds values outside 0 to 1 in {n} {'row' if n == 1 else 'rows'} (e.g. {y[bad][0]:g}); "
            f"{advice}"
        )
    if np.ptp(y) == 0:
        raise DataError(f"outcome '{name}' is {y[0]:g} in all {len(y)} rows; there is nothing to explain")


def lone_rows(codes: np.ndarray, cluster: str) -> tuple[str, ...]:
    """A note on clusters with one row: they add to the means, and tell nothing of the correlation within clusters."""
    sizes = np.bincount(codes)
    lone = int((sizes == 1).sum())
    if not lone:
        return ()
    return (
        f"{lone} of {len(sizes)} clusters in '{cluster}' hold one row only: nothing of what is alike within them is seen",
    )


def coefficient_rows(
    terms: Sequence[str], estimate: np.ndarray, covariance: np.ndarray, df: np.ndarray | float, level: float,
    component: str = "fixed", **columns: Any,
) -> pd.DataFrame:  # fmt: skip
    """Tidy rows with t or, at infinite df, normal tests and intervals; no test where the variance is unknown."""
    df = np.broadcast_to(np.asarray(df, dtype=float), estimate.shape)
    se = np.sqrt(np.maximum(np.diag(covariance), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(np.isnan(df), np.nan, estimate / se)
    half = t_quantile((1 + level) / 2, df) * se
    return tidy_frame(
        term=list(terms), component=component, estimate=estimate, std_error=se, statistic=statistic,
        df=np.where(np.isinf(df), np.nan, df), p_value=t_p_value(statistic, df), conf_low=estimate - half,
        conf_high=estimate + half, interval=["normal" if np.isinf(each) else "t" for each in df], **columns,
    )  # fmt: skip


def new_trials(left: LeftSide, frame: pd.DataFrame) -> np.ndarray:
    """Trials of new rows, missing where they are missing; ones without ``trials(…)``."""
    if not left.columns:
        return read_trials(left, frame)
    require_columns(frame.columns, left.columns, "predict")
    known = frame[left.columns[0]].notna().to_numpy()
    trials = np.full(len(frame), np.nan)
    if known.any():
        trials[known] = read_trials(left, frame[known])
    return trials
