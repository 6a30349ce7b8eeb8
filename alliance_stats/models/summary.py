"""Inference from the numbers that papers print: n, mean and SD or confidence limits of each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.models.audit import audit
from alliance_stats.models.audit.printed import cell_labels, printed_column
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.result import Result, glance_frame, tidy_frame

ErrorTerm = Literal["pooled", "separate"]
IntervalDf = Literal["pooled", "group", "normal"]


@dataclass(frozen=True)
class CellDesign:
    """The cells of a table, in its order: one column of the design for each."""

    variables: tuple[str, ...]
    cells: tuple[tuple[Any, ...], ...]
    terms: tuple[str, ...]
    levels: Mapping[str, tuple[Any, ...]]

    def matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """One row for each row of the frame with 1 at its cell, shape (rows, cells).

        Raises DataError for a missing column and for a cell that the table does not have.
        """
        require_columns(frame.columns, self.variables, "cells")
        where = {cell: i for i, cell in enumerate(self.cells)}
        rows = list(frame[list(self.variables)].itertuples(index=False, name=None))
        unknown = [
            label for label, row in zip(cell_labels(frame, self.variables), rows, strict=True) if row not in where
        ]
        if unknown:
            known = "; ".join(self.terms)
            raise DataError(f"cells {'; '.join(dict.fromkeys(unknown))} are not in the table; known cells: {known}")
        return np.eye(len(self.cells))[[where[row] for row in rows]]


@dataclass(frozen=True, eq=False)
class SummaryState:
    """What is needed to predict from cell means, test with them and simulate them.

    ``sizes`` and ``variances`` hold, for each cell, n and the squared standard error of its mean. ``sigma`` is the
    pooled SD and ``df_residual`` its degrees of freedom; both are missing where each cell has a variance of its own.
    """

    design: CellDesign
    coefficients: np.ndarray
    sizes: np.ndarray
    variances: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    sigma: float
    df_residual: float
    fitted: np.ndarray
    steps: tuple[()] = ()
    residual: None = None
    fitted_population: None = None


@dataclass(frozen=True)
class SummaryStatistics:
    """Cell means with standard errors from printed n, mean, and SD or confidence limits.

    Parameters
    ----------
    factors : the column, or columns, of the table that name its cells, e.g. ``("treatment", "alliance")``.
    n, mean : the columns with sizes and means.
    sd : the column with standard deviations; or
    low, high : the columns with the confidence limits of the means.
    error : ``"pooled"``, one error variance for all cells, on N − cells degrees of freedom; ``"separate"``, each cell
        its own, with the degrees of freedom of Welch and Satterthwaite.
    interval_df : how the printed limits were made: ``"pooled"``, t with N − cells degrees of freedom (intervals from a
        model of all cells); ``"group"``, t with n − 1; ``"normal"``.
    level : confidence level of the intervals, printed and computed.

    Under ``"separate"`` a joint test is the approximate F of Welch and James in Johansen's form, doi
    10.1093/biomet/67.1.85, of which Welch's (1951) one-way test and t-test are special cases.

    >>> printed = pd.DataFrame({"group": ["AL", "AE"], "n": [30, 29], "mean": [18.3, 31.4], "sd": [8.0, 8.5]})
    >>> SummaryStatistics(sd="sd").fit(printed).apa("group=AE")
    'b = 31.40, SE = 1.53, 95 % CI [28.33, 34.47], t(57) = 20.50, p < .001'
    """

    factors: tuple[str, ...] | str = "group"
    n: str = "n"
    mean: str = "mean"
    sd: str | None = None
    low: str | None = None
    high: str | None = None
    error: ErrorTerm = "pooled"
    interval_df: IntervalDf = "pooled"
    level: float = 0.95

    def __post_init__(self) -> None:
        for name, values in (("error", get_args(ErrorTerm)), ("interval_df", get_args(IntervalDf))):
            if getattr(self, name) not in values:
                raise AllianceError(f"{name} is {getattr(self, name)!r}; use one of {', '.join(values)}")
        if (self.low is None) != (self.high is None):
            raise AllianceError("low and high belong together; give the columns of both limits, or neither")
        if not self._factors:
            raise AllianceError("factors is empty; name the column, or columns, that tell the cells apart")
        if not 0 < self.level < 1:
            raise AllianceError(f"level is {self.level}; use a number between 0 and 1, e.g. 0.95")

    def fit(self, table: pd.DataFrame) -> Result:
        """Cell means with standard errors, from a table with one row a cell.

        Numbers may be numeric or text as printed. Raises DataError for missing columns or values, fewer than two
        patients in a cell, SDs that are not above zero, limits out of order, cells that appear twice, and where
        neither or both of SD and limits are given. A mean outside its own limits is said in ``notes``.
        """
        frame = self._checked(table)
        n = frame[self.n].to_numpy(dtype=float)
        sds = self._sds(frame, n)
        design = _cell_design(frame, self._factors)
        state = self._state(design, frame[self.mean].to_numpy(dtype=float), n, sds)
        covariance = pd.DataFrame(np.diag(state.variances), index=design.terms, columns=design.terms)
        draft = Result(self, frame, state, tidy_frame(term=[]), pd.DataFrame(), covariance, None, self._notes(frame))
        return Result(self, frame, state, _estimates(draft), self._glance(state), covariance, None, draft.notes)

    def audit(
        self, table: pd.DataFrame, tests: Any = None, totals: Any = None, decimals: Mapping[str, int] | None = None,
        items: int | str | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Whether the printed numbers fit together: one row a check, findings first.

        Here SD and limits may both be declared, and are held against each other. ``items`` is the number of
        whole-number items that a mean averages. See ``alliance_stats.models.audit`` for ``tests``, ``totals`` and the
        verdicts.
        """
        return audit(
            table, tests=tests, totals=totals, decimals=decimals, items=items, level=self.level, factors=self._factors,
            n=self.n, mean=self.mean, sd=self.sd, low=self.low, high=self.high,
        )  # fmt: skip

    @property
    def _factors(self) -> tuple[str, ...]:
        return (self.factors,) if isinstance(self.factors, str) else tuple(self.factors)

    def _checked(self, table: pd.DataFrame) -> pd.DataFrame:
        """The columns of the model, as numbers, after every reason to refuse them."""
        self._require_one_source()
        numeric = [name for name in (self.n, self.mean, self.sd, self.low, self.high) if name is not None]
        require_columns(table.columns, [*self._factors, *numeric], "SummaryStatistics")
        if table.empty:
            raise DataError("SummaryStatistics: the table has no rows; give one row a cell")
        frame = table[[*self._factors]].assign(
            **{name: [np.nan if p is None else p.value for p in printed_column(table, name)] for name in numeric}
        )
        absent = [f"'{name}'" for name in frame.columns if frame[name].isna().any()]
        if absent:
            raise DataError(
                f"SummaryStatistics: {', '.join(absent)} has missing values; fill them or leave out the cell"
            )
        repeated = frame.duplicated([*self._factors])
        if repeated.any():
            labels = cell_labels(frame[repeated], self._factors)
            raise DataError(f"SummaryStatistics: {'; '.join(labels)} appears more than once; keep one row a cell")
        _require_usable(frame, cell_labels(frame, self._factors), self)
        return frame.astype({self.n: int})

    def _require_one_source(self) -> None:
        if (self.sd is None) == (self.low is None):
            found = "neither is given" if self.sd is None else "both are given"
            raise DataError(
                f"SummaryStatistics: {found}; give sd= alone, or low= and high= alone, to say what errors come from"
            )
        if self.low is not None and self.error == "separate" and self.interval_df == "pooled":
            raise AllianceError(
                "error='separate' contradicts interval_df='pooled': limits from one common error term do not tell the "
                "SDs of the cells; use interval_df='group' or 'normal' if each interval was made from its own cell"
            )

    def _sds(self, frame: pd.DataFrame, n: np.ndarray) -> np.ndarray:
        if self.sd is not None:
            return frame[self.sd].to_numpy(dtype=float)
        half = (frame[self.high] - frame[self.low]).to_numpy(dtype=float) / 2
        df = {"pooled": n.sum() - len(n), "group": n - 1, "normal": np.inf}[self.interval_df]
        return np.asarray(half / t_quantile((1 + self.level) / 2, df) * np.sqrt(n))

    def _state(self, design: CellDesign, means: np.ndarray, n: np.ndarray, sds: np.ndarray) -> SummaryState:
        k = len(n)
        sigma = df = np.nan
        variances = sds**2 / n
        if self.error == "pooled":
            df = float(n.sum() - k)
            sigma = float(np.sqrt(((n - 1) * sds**2).sum() / df))
            variances = sigma**2 / n
        return SummaryState(design, means, n, variances, np.arange(k), np.zeros((0, k)), sigma, df, means)

    def _glance(self, state: SummaryState) -> pd.DataFrame:
        counts = {"n_obs": int(state.sizes.sum()), "n_cells": len(state.sizes)}
        df_method = "residual" if self.error == "pooled" else "satterthwaite"
        pooled = {"df_residual": state.df_residual, "sigma": state.sigma} if self.error == "pooled" else {}
        return glance_frame(counts, method="summary statistics", df_method=df_method, converged=True, **pooled)

    def _notes(self, frame: pd.DataFrame) -> tuple[str, ...]:
        if self.low is None:
            return ()
        outside = ~frame[self.mean].between(frame[self.low], frame[self.high])
        labels = cell_labels(frame[outside], self._factors)
        return tuple(f"{label}: the mean lies outside its own interval; audit() says more" for label in labels)

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        X = result.state.design.matrix(frame)
        fitted, std_error = X @ result.state.coefficients, np.sqrt(X @ result.state.variances)
        df = self._df(result, X)
        return pd.DataFrame({"fitted": fitted, "std_error": std_error, "df": df}, index=frame.index)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        """New cell means, shape (n, cells): normal with the standard errors of the fit, whose SDs stay as they are."""
        state: SummaryState = result.state
        noise = rng.standard_normal((n, len(state.sizes)))
        return np.asarray(state.coefficients + np.sqrt(state.variances) * noise)

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        """N − cells, or Satterthwaite's (Σ w²v)² / Σ (w²v)²/(n − 1) with v the squared standard errors."""
        state: SummaryState = result.state
        if self.error == "pooled":
            return np.full(len(weights), state.df_residual)
        parts = np.asarray(weights, dtype=float) ** 2 * state.variances
        with np.errstate(invalid="ignore"):
            return np.asarray(parts.sum(axis=1) ** 2 / (parts**2 / (state.sizes - 1)).sum(axis=1))

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        """Johansen 1980: W/c is F(q, q(q + 2)/(3A)), c = q + 2A − 6A/(q + 2), A = Σ h²/(n − 1).

        h is the diagonal of V R′(R V R′)⁻¹ R, for weights R and the diagonal covariance V of the means.
        """
        state: SummaryState = result.state
        if self.error == "pooled":
            return float(state.df_residual), 1.0
        R, v = np.asarray(weights, dtype=float), state.variances
        h = v * np.einsum("ij,ik,kj->j", R, np.linalg.pinv((R * v) @ R.T, hermitian=True), R)
        q, A = np.linalg.matrix_rank(R), (h**2 / (state.sizes - 1)).sum()
        return float(q * (q + 2) / (3 * A)), float(q / (q + 2 * A - 6 * A / (q + 2)))


def _cell_design(frame: pd.DataFrame, factors: tuple[str, ...]) -> CellDesign:
    cells = tuple(frame[list(factors)].itertuples(index=False, name=None))
    levels = {name: tuple(dict.fromkeys(frame[name])) for name in factors}
    return CellDesign(factors, cells, tuple(cell_labels(frame, factors)), levels)


def _require_usable(frame: pd.DataFrame, labels: list[str], model: SummaryStatistics) -> None:
    n = frame[model.n].to_numpy(dtype=float)
    _refuse(labels, (n < 2) | (n != np.round(n)), model.n, "is not a whole number of at least 2")
    if model.sd is not None:
        _refuse(labels, frame[model.sd].to_numpy(dtype=float) <= 0, model.sd, "is not above zero")
    if model.low is not None and model.high is not None:
        order = frame[model.low].to_numpy(dtype=float) >= frame[model.high].to_numpy(dtype=float)
        _refuse(labels, order, model.low, f"is not below '{model.high}'; a minus sign may be lost, see audit()")


def _refuse(labels: list[str], bad: np.ndarray, column: str, problem: str) -> None:
    if bad.any():
        where = "; ".join(label for label, wrong in zip(labels, bad, strict=True) if wrong)
        raise DataError(f"SummaryStatistics: column '{column}' in {where} {problem}")


def _estimates(draft: Result) -> pd.DataFrame:
    means, std_error = draft.state.coefficients, np.sqrt(draft.state.variances)
    df = draft.model._df(draft, np.eye(len(means)))
    half = t_quantile((1 + draft.model.level) / 2, df) * std_error
    t = means / std_error
    return tidy_frame(
        term=draft.covariance.index, component="fixed", estimate=means, std_error=std_error, statistic=t, df=df,
        p_value=t_p_value(t, df), conf_low=means - half, conf_high=means + half, interval="t",
    )  # fmt: skip
