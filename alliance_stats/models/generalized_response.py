"""Outcomes of generalised models: how they are written, and what their family lets them be."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, FormulaError
from alliance_stats.formula import is_factor
from alliance_stats.random_terms import NAME, PROTECTED

TRIALS = re.compile(rf"\s*(?P<outcome>.+?)\s*\|\s*trials\(\s*(?P<trials>{NAME.pattern}|\d+)\s*\)\s*")


@dataclass(frozen=True)
class LeftSide:
    """The formula without ``| trials(…)``, and the column or the number of trials."""

    formula: str
    trials: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of trials, where it is one."""
        return () if self.trials is None or self.trials.isdigit() else (self.trials.strip("`"),)


@dataclass(frozen=True, eq=False)
class Outcome:
    """y, the number of trials (ones where the family has none), and log exposure (zeros without one), each (rows,)."""

    y: np.ndarray
    trials: np.ndarray
    offset: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """What a mean is multiplied by to be on the scale of y; the exposure is in the linear predictor."""
        return self.trials


def read_left(text: str) -> LeftSide:
    """Split ``completed | trials(assigned) ~ …``.

    Raises FormulaError for anything else with a bar left of the tilde.

    >>> read_left("completed | trials(assigned) ~ arm + (1 | therapist)")
    LeftSide(formula='completed ~ arm + (1 | therapist)', trials='assigned')
    """
    if not isinstance(text, str):
        raise FormulaError("formula: give a text, e.g. 'completed | trials(assigned) ~ arm + (1 | therapist)'")
    masked = PROTECTED.sub(lambda found: "q" * len(found[0]), text)
    cut = masked.find("~")
    if cut < 0 or "|" not in masked[:cut]:
        return LeftSide(text, None)
    found = TRIALS.fullmatch(text[:cut])
    if not found or "|" in PROTECTED.sub("", found["outcome"]):
        raise FormulaError(
            f"formula {text!r}: write the left-hand side as 'completed | trials(assigned)', trials being a column or a number"
        )
    return LeftSide(f"{found['outcome']} {text[cut:]}", found["trials"])


def read_trials(left: LeftSide, frame: pd.DataFrame) -> np.ndarray:
    """Trials of every row; ones without ``trials(…)``. DataError for what is no number of trials."""
    if left.trials is None:
        return np.ones(len(frame))
    if not left.columns:
        return np.full(len(frame), float(left.trials))
    name = left.columns[0]
    values = _numbers(frame, name, "trials")
    _refuse(values != np.round(values), values, f"trials: column '{name}'", "fractions", "give whole numbers of trials")
    _refuse(
        values < 1, values, f"trials: column '{name}'", "values below 1", "leave out rows in which nothing was assigned"
    )
    return values


def read_exposure(frame: pd.DataFrame, name: str | None) -> np.ndarray:
    """Log exposure of every row; zeros without one."""
    if name is None:
        return np.zeros(len(frame))
    values = _numbers(frame, name, "exposure")
    _refuse(
        values <= 0,
        values,
        f"exposure: column '{name}'",
        "values of zero or below",
        "an exposure is a time or a number at risk",
    )
    return np.asarray(np.log(values))


def require_outcome(family: str, y: np.ndarray, left: LeftSide, trials: np.ndarray, name: str) -> None:
    """DataError, with what was found and what to do, for outcomes that the family cannot have made."""
    where = f"outcome '{name}'"
    if family == "beta":
        _require_shares(y, where)
    elif family in ("poisson", "negativebinomial"):
        _refuse(y < 0, y, where, "values below 0", "counts are 0 or more")
        _refuse(y != np.round(y), y, where, "fractions", "counts are whole numbers; give a time at risk as exposure=")
    elif left.trials is None:
        if family == "betabinomial":
            raise DataError("family 'betabinomial' needs a number of trials: write 'completed | trials(assigned) ~ …'")
        advice = "for successes of trials write 'completed | trials(assigned) ~ …', for proportions family='beta'"
        _refuse(~np.isin(y, (0, 1)), y, where, "values other than 0 and 1", advice)
    else:
        _refuse(y != np.round(y), y, where, "fractions", "successes are whole numbers, not shares of the trials")
        _refuse(y < 0, y, where, "values below 0", "successes are 0 or more")
        _refuse(y > trials, y, where, f"values above the trials ({left.trials})", "correct one of the two")
    if family == "betabinomial" and (trials == 1).all():
        raise DataError("family 'betabinomial': with one trial a row it is the binomial; use family='binomial'")
    _require_variety(family, y, trials, where)


def _require_shares(y: np.ndarray, where: str) -> None:
    _refuse((y < 0) | (y > 1), y, where, "values outside 0 to 1", "proportions are shares, not per cent")
    _refuse(
        (y == 0) | (y == 1), y, where, "values of exactly 0 or 1",
        "a beta distribution has none: give successes and trials, or use a model inflated at 0 and 1",
    )  # fmt: skip


def _require_variety(family: str, y: np.ndarray, trials: np.ndarray, where: str) -> None:
    if family in ("poisson", "negativebinomial"):
        constant = "0" if not y.any() else ""
    elif family == "beta":
        constant = f"{y[0]:g}" if np.ptp(y) == 0 else ""
    else:
        constant = "0" if not y.any() else "all of the trials" if (y == trials).all() else ""
        constant = "1" if constant and y.any() and (trials == 1).all() else constant
    if constant:
        raise DataError(f"{where} is {constant} in all {len(y)} rows; there is nothing to explain")


def _numbers(frame: pd.DataFrame, name: str, argument: str) -> np.ndarray:
    if is_factor(frame[name]):
        raise DataError(f"{argument}: column '{name}' holds {frame[name].dtype} values; numbers are needed")
    return frame[name].to_numpy(dtype=float)


def _refuse(bad: np.ndarray, values: np.ndarray, where: str, what: str, advice: str) -> None:
    if bad.any():
        n, first = int(bad.sum()), values[bad][0]
        raise DataError(f"{where} holds {what} in {n} {'row' if n == 1 else 'rows'} (e.g. {first:g}); {advice}")
