"""Reckonings from printed numbers that have no rows behind them, as a model like any other: table in, Result out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.result import Result


@dataclass(frozen=True)
class PrintedNumbers:
    """What follows from a table of printed numbers.

    Parameters
    ----------
    formula : what is computed, in words; it is shown where models show their formula.
    reckon : from the table to a frame in the columns of the glossary (see ``tidy_frame``).
    size : from the table to the n that is shown, e.g. the printed number of patients.
    notes : sentences on what was assumed.

    Estimates carry a standard error only where one follows from what is printed. There are no rows to predict or simulate.

    >>> from alliance_stats.result import tidy_frame
    >>> odds = PrintedNumbers("odds ratio", lambda t: tidy_frame(term=["OR"], estimate=np.exp(t["b"])), lambda t: 133)
    >>> odds.fit(pd.DataFrame({"b": [-0.10]})).tidy()[["term", "estimate"]].round(2).to_dict("list")
    {'term': ['OR'], 'estimate': [0.9]}
    """

    formula: str
    reckon: Callable[[pd.DataFrame], pd.DataFrame]
    size: Callable[[pd.DataFrame], int]
    notes: tuple[str, ...] = ()
    level: float = 0.95

    def fit(self, data: pd.DataFrame) -> Result:
        """The reckoning as a Result; DataError for a table without rows."""
        if not isinstance(data, pd.DataFrame) or data.empty:
            raise DataError(f"PrintedNumbers ({self.formula}): needs a table with at least one row")
        statistics = pd.DataFrame({"n_obs": [self.size(data)]})
        return Result(self, data, None, self.reckon(data), statistics, pd.DataFrame(), notes=self.notes)

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        raise _without_rows()

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        raise _without_rows()

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        raise _without_rows()

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        raise _without_rows()


def _without_rows() -> AllianceError:
    return AllianceError("PrintedNumbers: printed numbers have no rows to predict, simulate or test")
