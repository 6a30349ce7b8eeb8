"""What follows from a printed dependability alone: Spearman–Brown on one number, with what its rounding leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.result import Result, tidy_frame
from alliance_stats.study.dependability import SESSIONS, THRESHOLDS, needed_ratings, whole_ratings

HALF = 0.005  # of the last digit of a dependability printed with two decimals
COLUMNS = ("dependability", "share_first", "share_mean", "sessions_mean", "n")


@dataclass(frozen=True)
class PrintedDependability:
    """The dependability of k ratings, from that of one.

    ``fit`` takes a table of one row: ``dependability`` of one rating, ``share_first`` and ``share_mean`` of the outcome's
    variance that one rating and the mean of ``sessions_mean`` ratings explain, and ``n`` patients. The tidy frame has one row a
    number of sessions, without intervals: a printed number carries no standard error, only its rounding.

    Source: G_k = k·G_1 / (1 + (k − 1)·G_1) (Spearman 1910, doi 10.1111/j.2044-8295.1910.tb00206.x; Brown 1910, doi
    10.1111/j.2044-8295.1910.tb00207.x).

    >>> row = {"dependability": 0.77, "share_first": 0.047, "share_mean": 0.147, "sessions_mean": 7, "n": 45}
    >>> PrintedDependability((1, 3)).fit(pd.DataFrame([row])).tidy()[["term", "estimate"]].round(3).to_dict("list")
    {'term': ['1 session', '3 sessions'], 'estimate': [0.77, 0.909]}
    """

    sessions: Sequence[int] = SESSIONS
    level: float = 0.95

    @property
    def formula(self) -> str:
        """What is computed, in words."""
        return "Spearman–Brown from the printed dependability of one session"

    def fit(self, data: pd.DataFrame) -> Result:
        """Raises AllianceError for another number of rows, DataError for an absent column."""
        require_columns(data.columns, COLUMNS, "PrintedDependability")
        if len(data) != 1:
            raise AllianceError(f"PrintedDependability: the table has {len(data)} rows; give one")
        first = float(data["dependability"].iloc[0])
        values = [stepped_up(first, k) for k in self.sessions]
        rows = tidy_frame(
            term=[f"{k} session{'s' * (k != 1)}" for k in self.sessions], component="effect", estimate=values
        )
        statistics = pd.DataFrame({"n_obs": [int(data["n"].iloc[0])]})
        return Result(self, data, None, rows, statistics, pd.DataFrame())

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        raise _without_rows()

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        raise _without_rows()

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        raise _without_rows()

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        raise _without_rows()


def stepped_up(first: float, k: float) -> float:
    """Dependability of the mean of k ratings.

    >>> [round(stepped_up(0.77, k), 3) for k in (2, 3, 4)]
    [0.87, 0.909, 0.931]
    """
    return k * first / (1 + (k - 1) * first)


def printed_needed(result: Result, thresholds: Sequence[float] = THRESHOLDS) -> pd.DataFrame:
    """Sessions needed by the printed dependability, and the most and fewest that its rounding allows."""
    first = _printed(result, "dependability")
    rows = []
    for c in thresholds:
        exact, most, fewest = (needed_ratings(first + move, c) for move in (0.0, -HALF, HALF))
        whole, at_most, at_least = whole_ratings(np.array([exact, most, fewest])).tolist()
        rows.append({"term": f"sessions for {_two(c)}", "estimate": exact, "n_needed": whole,
                     "n_at_least": at_least, "n_at_most": at_most})  # fmt: skip
    return pd.DataFrame(rows)


def printed_range(result: Result) -> pd.DataFrame:
    """The dependabilities with the lowest and highest value that the rounding of the printed one leaves."""
    first = _printed(result, "dependability")
    rows = [
        {"term": f"{k} session{'s' * (k != 1)}", "estimate": stepped_up(first, k),
         "lowest": stepped_up(first - HALF, k), "highest": stepped_up(first + HALF, k)}
        for k in result.model.sessions
    ]  # fmt: skip
    return pd.DataFrame(rows)


def printed_shares(result: Result) -> pd.DataFrame:
    """What the share of one rating would be with more ratings if error of measurement were all that differs."""
    share, first = _printed(result, "share_first"), _printed(result, "dependability")
    k = int(_printed(result, "sessions_mean"))
    values = {
        "printed, one session": share,
        f"expected, mean of {k} sessions": share * stepped_up(first, k) / first,
        "expected, without error": share / first,
        f"printed, mean of {k} sessions": _printed(result, "share_mean"),
    }
    return pd.DataFrame({"term": list(values), "estimate": list(values.values())})


def implied_therapist_shares(
    result: Result, patients: int, thresholds: Sequence[float] = (0.7, 0.8, 0.9)
) -> pd.DataFrame:
    """The therapists' share of the variance between patients at which so many patients reach a dependability."""
    ratio = [c / (1 - c) / patients for c in thresholds]
    terms = [f"{patients} patients reach {_two(c)}" for c in thresholds]
    return pd.DataFrame({"term": terms, "estimate": [value / (1 + value) for value in ratio]})


def printed_audit(table: pd.DataFrame, printed: dict[float, int]) -> pd.DataFrame:
    """Whether printed numbers of sessions, by threshold, and printed shares follow from the printed dependability."""
    result = PrintedDependability().fit(table)
    needed = printed_needed(result, tuple(printed))
    rows = [
        _needed_check(result, c, n, row) for (c, n), row in zip(printed.items(), needed.to_dict("records"), strict=True)
    ]
    return pd.DataFrame([*rows, _share_check(result)])


def _needed_check(result: Result, threshold: float, printed: int, row: dict[Any, Any]) -> dict[str, str]:
    first, found = _printed(result, "dependability"), int(row["n_needed"])
    low, high = (stepped_up(first + move, found) for move in (-HALF, HALF))
    fits = row["n_at_least"] <= printed <= row["n_at_most"]
    odds = threshold / (1 - threshold)
    lowest, highest = (odds / (k + odds) for k in (printed, printed - 1))
    why = f"{printed} are needed where one session has {_two(lowest, 3)} to {_two(highest, 3)}, not {_two(first)}"
    return {
        "check": "sessions needed", "item": f"dependability of {_two(threshold)}", "printed": str(printed),
        "recomputed": f"{found} ({found} sessions have {_two(low, 3)} to {_two(high, 3)})",
        "verdict": "consistent" if fits else "inconsistent",
        "detail": "" if fits else why,
    }  # fmt: skip


def _share_check(result: Result) -> dict[str, str]:
    shares = printed_shares(result)
    one, expected, most, mean = shares["estimate"]
    k, n = int(_printed(result, "sessions_mean")), int(_printed(result, "n"))
    fits = abs(mean - expected) <= 0.001
    low, high = _share_interval(one, n)
    why = (
        f"less error of measurement alone does not make this rise ({100 * most:.1f} % without any error); sampling can: with "
        f"{n} patients the 95 % interval of {100 * one:.1f} % runs from {100 * low:.0f} to {100 * high:.0f} %; and in later "
        "sessions alliance may follow improvement"
    )
    return {
        "check": "explained variance", "item": f"mean of {k} sessions, from that of one", "printed": f"{100 * mean:.1f} %",
        "recomputed": f"{100 * expected:.1f} %", "verdict": "consistent" if fits else "inconsistent",
        "detail": "" if fits else why,
    }  # fmt: skip


def _share_interval(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a squared correlation of n patients, by Fisher's z."""
    z, half = np.arctanh(np.sqrt(share)), 1.959964 / np.sqrt(n - 3)
    low, high = np.tanh(z - half), np.tanh(z + half)
    return float(max(low, 0.0) ** 2), float(high**2)


def _printed(result: Result, name: str) -> float:
    return float(result.frame[name].iloc[0])


def _two(value: float, decimals: int = 2) -> str:
    return f"{value:.{decimals}f}".removeprefix("0")


def _without_rows() -> AllianceError:
    return AllianceError("PrintedDependability: a printed number has no rows to predict, simulate or test")
