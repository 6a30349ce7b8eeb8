"""Linear regression with classical, heteroscedasticity-robust and cluster-robust inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.formula import Design, build_design, read_formula
from alliance_stats.models.frames import analysis_frame, prepared
from alliance_stats.numerics import sandwich
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.least_squares import LeastSquares, least_squares
from alliance_stats.result import Result, glance_frame, tidy_frame

Vcov = Literal["classical", "HC3", "CR1", "CR1S", "CR2"]
DF_METHODS = {
    "classical": "residual",
    "HC3": "residual",
    "CR1": "clusters - 1",
    "CR1S": "clusters - 1",
    "CR2": "satterthwaite",
}


EXACT = 1e-13  # residuals of this relative size are rounding
NOTHING = 1e-12  # robust variances of this size, beside the classical one, are rounding


@dataclass(frozen=True, eq=False)
class LinearState:
    """What is needed to predict from a linear model, test with it and simulate from it."""

    design: Design
    steps: tuple[Step, ...]
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    bread: np.ndarray
    sigma: float
    df_residual: float
    fitted: np.ndarray
    residual: np.ndarray
    fitted_population: None = None


@dataclass(frozen=True)
class LinearModel:
    """Linear regression of an outcome on a formula.

    Parameters
    ----------
    formula : e.g. ``"pain ~ alliance * arm + pain_baseline"``.
    vcov : how standard errors are made. ``"classical"``; ``"HC3"`` for unequal variances; ``"CR1"``, ``"CR1S"`` (Stata's)
        and ``"CR2"`` for patients clustered in ``cluster`` (CR2 with Satterthwaite's degrees of freedom is the one
        for few clusters).
    cluster : the column with the clusters, e.g. ``"therapist"``.
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting.
    level : confidence level of the intervals.

    Sources: MacKinnon & White 1985 (HC3), Pustejovsky & Tipton 2018, doi 10.1080/07350015.2016.1247004 (CR2).

    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 4, 2, 1], "alliance": [40.0, 44, 47, 50, 55, 60]})
    >>> LinearModel("pain ~ alliance").fit(data).apa("alliance")
    'b = −0.25, SE = 0.019, 95 % CI [−0.30, −0.20], t(4) = −13.47, p < .001'
    """

    formula: str
    vcov: Vcov = "classical"
    cluster: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.vcov not in get_args(Vcov):
            raise AllianceError(f"vcov is {self.vcov!r}; use one of {', '.join(get_args(Vcov))}")
        if self.vcov.startswith("CR") and self.cluster is None:
            raise AllianceError(f"vcov={self.vcov!r} needs cluster=, the column that names the clusters")
        if self.cluster is not None and not self.vcov.startswith("CR"):
            raise AllianceError(
                f"cluster={self.cluster!r} is not used by vcov={self.vcov!r}; use 'CR2', or leave it out"
            )
        if not isinstance(self.prepare, tuple | list):
            raise AllianceError(f"prepare is a {type(self.prepare).__name__}; give a tuple of steps, e.g. (Centre(…),)")
        if not 0 < self.level < 1:
            raise AllianceError(f"level is {self.level}; use a number between 0 and 1, e.g. 0.95")

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by least squares.

        Rows with a missing value in a column of the model are left out and counted in ``notes``; so are coefficients
        that the data cannot tell apart. Raises DataError or FormulaError where the data do not fit the formula.
        """
        formula = read_formula(self.formula)
        steps, frame = prepared(self.prepare, data)
        frame, notes = analysis_frame(frame, formula.columns, (self.cluster,) if self.cluster else (), self.formula)
        design, X, y = build_design(formula, frame)
        notes += tuple(
            f"'{name}' has one level only and no effect" for name, of in design.levels.items() if len(of) == 1
        )
        fit = least_squares(X, y)
        if not len(fit.kept):
            raise DataError(f"formula {self.formula!r}: no term that could be estimated")
        if len(y) <= len(fit.kept):
            raise DataError(f"formula {self.formula!r}: {len(y)} complete rows cannot estimate {len(fit.kept)} terms")
        notes += tuple(f"'{design.terms[j]}' depends on other terms and was left out" for j in _dropped(fit, X))
        if np.linalg.norm(fit.residuals) < EXACT * np.linalg.norm(y):
            notes += ("the outcome is fitted exactly; standard errors, intervals and p-values mean nothing",)
        return self._result(frame, steps, design, fit, y, notes)

    def _result(
        self, frame: pd.DataFrame, steps: tuple[Step, ...], design: Design, fit: LeastSquares, y: np.ndarray,
        notes: tuple[str, ...],
    ) -> Result:  # fmt: skip
        df = len(y) - len(fit.kept)
        sigma = float(np.sqrt(fit.residuals @ fit.residuals / df))
        state = LinearState(
            design, steps, fit.coefficients, fit.kept, fit.null, fit.bread, sigma, df, fit.fitted, fit.residuals
        )
        terms = [design.terms[j] for j in fit.kept]
        covariance = pd.DataFrame(self._covariance(frame, state), index=terms, columns=terms)
        draft = Result(self, frame, state, tidy_frame(term=[]), pd.DataFrame(), covariance, None, notes)
        estimates = _estimates(draft)
        notes += tuple(
            f"the standard error of '{term}' cannot be estimated: the rows that speak for it are fitted exactly"
            for term in estimates.loc[estimates["df"].isna(), "term"]
        )
        return Result(self, frame, state, estimates, _glance(draft, y), covariance, None, notes)

    def _covariance(self, frame: pd.DataFrame, state: LinearState) -> np.ndarray:
        X, e, bread = state.design.matrix(frame)[:, state.kept], state.residual, state.bread
        if self.vcov == "classical":
            return bread * state.sigma**2
        if self.vcov == "HC3":
            return sandwich.hc3(X, e, bread)
        codes = cluster_codes(frame, self.cluster)
        if self.vcov == "CR2":
            return sandwich.cr2(X, bread, codes).covariance(e)
        return sandwich.cr1(X, e, bread, codes, small=self.vcov == "CR1S")

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        state: LinearState = result.state
        rows = state.design.matrix(frame)
        X, V = rows[:, state.kept], result.covariance.to_numpy()
        estimable = np.abs(rows @ state.null.T).max(axis=1, initial=0.0) < 1e-6 * (1 + np.abs(rows).max())
        fitted = np.where(estimable, X @ state.coefficients, np.nan)
        variance = np.maximum(np.einsum("ij,jk,ik->i", X, V, X), 0)  # a singular V rounds to below zero
        std_error = np.where(estimable, np.sqrt(variance), np.nan)
        df = self._df(result, X)
        return pd.DataFrame({"fitted": fitted, "std_error": std_error, "df": df}, index=frame.index)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        state: LinearState = result.state
        return state.fitted + state.sigma * rng.standard_normal((n, len(state.fitted)))

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        """Missing where the covariance knows nothing of a combination, so that no test or interval is made of it."""
        state: LinearState = result.state
        if self.vcov == "classical":
            return np.full(len(weights), float(state.df_residual))
        robust, classical = (
            np.einsum("ij,jk,ik->i", weights, V, weights)
            for V in (result.covariance.to_numpy(), state.bread * state.sigma**2)
        )
        unknown = robust < NOTHING * classical
        if self.vcov == "HC3":
            unknown |= self._rests_on_exact_rows(result, weights)
        return np.where(unknown, np.nan, self._robust_df(result, weights))

    def _rests_on_exact_rows(self, result: Result, weights: np.ndarray) -> np.ndarray:
        """Whether rows of leverage 1, whose residual is zero whatever their error, speak for a combination."""
        state: LinearState = result.state
        X = state.design.matrix(result.frame)[:, state.kept]
        exact = X[sandwich.exact_rows(X, state.bread)]
        share = (weights @ state.bread @ exact.T) ** 2
        return np.asarray(
            (share > NOTHING * np.einsum("ij,jk,ik->i", weights, state.bread, weights)[:, None]).any(axis=1)
        )

    def _robust_df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        if self.vcov == "HC3":
            return np.full(len(weights), float(result.state.df_residual))
        codes = cluster_codes(result.frame, self.cluster)
        if self.vcov != "CR2":
            return np.full(len(weights), float(codes.max()))
        return self._bias_reduced(result, codes).satterthwaite(weights)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        q = len(weights)
        if self.vcov != "CR2":
            df = self._df(result, weights)
            return float(df[0]) if np.isfinite(df).all() else np.nan, 1.0
        eta = self._bias_reduced(result, cluster_codes(result.frame, self.cluster)).hotelling(weights)
        return eta - q + 1, (eta - q + 1) / eta

    def _bias_reduced(self, result: Result, codes: np.ndarray) -> sandwich.BiasReduced:
        state: LinearState = result.state
        return sandwich.cr2(state.design.matrix(result.frame)[:, state.kept], state.bread, codes)


def cluster_codes(frame: pd.DataFrame, cluster: str | None) -> np.ndarray:
    """Clusters as integers 0 … G − 1; at least two are needed."""
    codes = np.asarray(frame[cluster].factorize()[0])
    if codes.max() < 1:
        raise DataError(f"cluster='{cluster}': all rows are in one cluster; robust inference needs two or more")
    return codes


def _dropped(fit: LeastSquares, X: np.ndarray) -> Any:
    return np.setdiff1d(np.arange(X.shape[1]), fit.kept)


def _estimates(draft: Result) -> pd.DataFrame:
    beta = draft.state.coefficients
    df = draft.model._df(draft, np.eye(len(beta)))
    se = np.where(np.isnan(df), np.nan, np.sqrt(np.diag(draft.covariance)))
    half = t_quantile((1 + draft.model.level) / 2, df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(np.isnan(df), np.nan, beta / se)
    return tidy_frame(
        term=draft.covariance.index, component="fixed", estimate=beta, std_error=se, statistic=t, df=df,
        p_value=t_p_value(t, df), conf_low=beta - half, conf_high=beta + half, interval="t",
    )  # fmt: skip


def _glance(draft: Result, y: np.ndarray) -> pd.DataFrame:
    state, model, n = draft.state, draft.model, len(y)
    rss = float(state.residual @ state.residual)
    log_likelihood = -n / 2 * (np.log(2 * np.pi * rss / n) + 1) if rss > 0 else np.inf
    k = len(state.coefficients) + 1
    centred = "Intercept" in draft.covariance.index
    total = float(np.sum((y - y.mean()) ** 2) if centred else y @ y)
    r2 = 1 - rss / total if total > 0 else np.nan
    counts = {"n_obs": n} | ({f"n_{model.cluster}": draft.frame[model.cluster].nunique()} if model.cluster else {})
    return glance_frame(
        counts, log_likelihood=log_likelihood, deviance=-2 * log_likelihood, aic=2 * k - 2 * log_likelihood,
        bic=np.log(n) * k - 2 * log_likelihood, method="OLS", df_method=DF_METHODS[model.vcov],
        df_residual=state.df_residual, converged=True, sigma=state.sigma, r2_marginal=r2,
        r2_adjusted=1 - (1 - r2) * (n - centred) / state.df_residual,
    )  # fmt: skip
