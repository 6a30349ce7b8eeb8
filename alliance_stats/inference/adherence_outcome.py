"""What an outcome of adherence holds: 0 and 1, sessions of those assigned, proportions, or ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.formula import is_factor
from alliance_stats.models.ordinal_outcome import MOST

CATEGORIES = "a rating in ordered categories"


@dataclass(frozen=True)
class AdherenceOutcome:
    """Name, trials and support of the outcome, right-hand side of the formula, and the clusters."""

    name: str
    trials: str | None
    support: str
    ends: tuple[int, int]
    right: str
    cluster: str | None
    clusters: int

    @property
    def left(self) -> str:
        """The left-hand side."""
        return f"{self.name} | trials({self.trials})" if self.trials else self.name

    @property
    def fixed(self) -> str:
        """A formula without random effects."""
        return f"{self.left} ~ {self.right}"

    @property
    def mixed(self) -> str:
        """A formula with a random intercept for the clusters."""
        return f"{self.fixed} + (1 | {self.cluster})"


def read_outcome(
    frame: pd.DataFrame, outcome: str, predictors: str, assigned: str | None, cluster: str | None
) -> AdherenceOutcome:
    """The support of the outcome over the complete rows; DataError for what no model of adherence fits."""
    wanted = [outcome, *([assigned] if assigned else []), *([cluster] if cluster else [])]
    require_columns(frame.columns, wanted, "adherence")
    right = predictors.strip().removeprefix("~").strip() or "1"
    rows = frame[wanted].dropna()
    if rows.empty:
        raise DataError(f"adherence: no row is complete in {', '.join(wanted)}")
    groups = int(rows[cluster].nunique()) if cluster else 0
    if cluster and groups < 2:
        raise DataError(f"adherence: cluster='{cluster}' has one group only; leave it out")
    if is_factor(rows[outcome]):
        return AdherenceOutcome(
            outcome, None, _of_categories(rows[outcome], outcome, assigned), (0, 0), right, cluster, groups
        )
    values = rows[outcome].to_numpy(dtype=float)
    if assigned:
        _require_sessions(values, rows, outcome, assigned)
        return AdherenceOutcome(
            outcome, assigned, "sessions completed of those assigned", (0, 0), right, cluster, groups
        )
    ends = (int((values == 0).sum()), int((values == 1).sum()))
    return AdherenceOutcome(outcome, None, _of_numbers(values, outcome), ends, right, cluster, groups)


def _of_categories(column: pd.Series[Any], name: str, assigned: str | None) -> str:
    if assigned:
        raise DataError(
            f"adherence: outcome '{name}' holds {column.dtype} values; sessions completed are whole numbers"
        )
    if not isinstance(column.dtype, pd.CategoricalDtype) or not column.cat.ordered:
        raise DataError(
            f"adherence: outcome '{name}' holds {column.dtype} values without an order; give numbers, or ordered categories"
        )
    return CATEGORIES


def _require_sessions(values: np.ndarray, rows: pd.DataFrame, outcome: str, assigned: str) -> None:
    if is_factor(rows[assigned]):
        raise DataError(f"adherence: assigned='{assigned}' holds {rows[assigned].dtype} values; numbers are needed")
    of = rows[assigned].to_numpy(dtype=float)
    for name, bad, advice in (
        (outcome, values != np.round(values), "fractions; give sessions completed, not shares of those assigned"),
        (assigned, of != np.round(of), "fractions; give whole numbers of sessions"),
        (outcome, values < 0, "values below 0; sessions completed are 0 or more"),
        (assigned, of < 1, "values below 1; leave out rows in which nothing was assigned"),
        (
            outcome,
            values > of,
            f"values above '{assigned}'; nobody completes more than was assigned: correct one of the two",
        ),
    ):
        if bad.any():
            n = int(bad.sum())
            raise DataError(f"adherence: column '{name}' has in {n} {'row' if n == 1 else 'rows'} {advice}")
    if not values.any() or (values == of).all():
        every = "all of those assigned" if values.any() else "0"
        raise DataError(
            f"adherence: outcome '{outcome}' is {every} in all {len(values)} rows; there is nothing to explain"
        )


def _of_numbers(values: np.ndarray, name: str) -> str:
    whole = bool((values == np.round(values)).all())
    if values.min() == values.max():
        raise DataError(
            f"adherence: outcome '{name}' is {values[0]:g} in all {len(values)} rows; there is nothing to explain"
        )
    if whole and set(np.unique(values)) == {0.0, 1.0}:
        return "0 and 1"
    if not whole and (values >= 0).all() and (values <= 1).all():
        return "a proportion"
    if whole and (values >= 0).all() and len(np.unique(values)) <= MOST:
        return "a rating"
    bad = values[(values < 0) | (values > 1)]
    advice = (
        "sessions completed need assigned=, and ratings have few different values"
        if whole
        else "proportions lie from 0 to 1: divide per cent by 100; for sessions completed give assigned="
    )
    raise DataError(
        f"adherence: outcome '{name}' holds values outside 0 to 1 in {len(bad)} rows (e.g. {bad[0]:g}); {advice}"
    )
