"""Ratings as ordered categories: read from whole numbers or from ordered categoricals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, FormulaError
from alliance_stats.formula import Formula, is_factor

MOST = 30  # different values beyond which an outcome is no rating


@dataclass(frozen=True, eq=False)
class Rating:
    """Names and scores of the categories that occur, lowest first, and the category of every row from 0."""

    names: tuple[str, ...]
    scores: np.ndarray
    codes: np.ndarray

    @property
    def thresholds(self) -> tuple[str, ...]:
        """Names of the thresholds, ``1|2`` and so on."""
        return tuple(f"{low}|{high}" for low, high in zip(self.names, self.names[1:], strict=False))


def read_rating(formula: Formula, frame: pd.DataFrame) -> tuple[Rating, tuple[str, ...]]:
    """The outcome, and notes on categories that never occur.

    Raises DataError for what has no order or is no rating: text, fractions, one category, more than 30.

    >>> from alliance_stats.formula import read_formula
    >>> rating, notes = read_rating(read_formula("siras ~ arm"), pd.DataFrame({"siras": [3, 5, 4, 3], "arm": 0}))
    >>> rating.thresholds, rating.codes.tolist()
    (('3|4', '4|5'), [0, 2, 1, 0])
    """
    name = formula.response.strip("`")
    if name not in frame:
        raise FormulaError(f"formula {formula.text!r}: the outcome of an OrdinalModel is a column, not an expression")
    column = frame[name]
    rating, notes = _ordered(column, name) if is_factor(column) else _whole(column, name)
    if len(rating.names) < 2:
        raise DataError(f"outcome '{name}' is {rating.names[0]} in all {len(frame)} rows; there is nothing to explain")
    if len(rating.names) > MOST:
        raise DataError(
            f"outcome '{name}' has {len(rating.names)} different values; a rating has few (at most {MOST}): use LinearModel "
            "or MixedModel, or a model of proportions"
        )
    return rating, notes


def _ordered(column: pd.Series[Any], name: str) -> tuple[Rating, tuple[str, ...]]:
    if not isinstance(column.dtype, pd.CategoricalDtype) or not column.cat.ordered:
        raise DataError(
            f"outcome '{name}' holds {column.dtype} values without an order; give whole numbers, or "
            "pd.Categorical(…, categories=[lowest, …, highest], ordered=True)"
        )
    every = [str(category) for category in column.cat.categories]
    counts = np.bincount(column.cat.codes, minlength=len(every))
    used = np.flatnonzero(counts)
    codes = np.searchsorted(used, column.cat.codes.to_numpy())
    notes = _unused(name, [every[i] for i in np.flatnonzero(counts == 0)])
    return Rating(tuple(every[i] for i in used), used + 1.0, codes), notes


def _whole(column: pd.Series[Any], name: str) -> tuple[Rating, tuple[str, ...]]:
    values = column.to_numpy(dtype=float)
    bad = values != np.round(values)
    if bad.any():
        raise DataError(
            f"outcome '{name}' holds fractions in {int(bad.sum())} rows (e.g. {values[bad][0]:g}); ratings are whole numbers. "
            "For means of items use LinearModel or MixedModel, for proportions BetaModel or FractionalModel"
        )
    scores, codes = np.unique(values, return_inverse=True)
    if len(scores) <= MOST:
        between = np.setdiff1d(np.arange(scores[0], scores[-1] + 1), scores)
        return Rating(tuple(f"{s:g}" for s in scores), scores, codes), _unused(name, [f"{s:g}" for s in between])
    return Rating(tuple(f"{s:g}" for s in scores), scores, codes), ()


def _unused(name: str, levels: list[str]) -> tuple[str, ...]:
    if not levels:
        return ()
    those = ", ".join(levels)
    return (f"no row has '{name}' at {those}: the categories beside it share a threshold, and its probability is zero",)
