"""Fractional regression: a mean between 0 and 1 by quasi-likelihood, with robust inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, ConvergenceError, DataError
from alliance_stats.formula import Design
from alliance_stats.models.generalized_families import FAMILIES
from alliance_stats.models.generalized_fit import require_apart
from alliance_stats.models.generalized_response import LeftSide, Outcome
from alliance_stats.models.linear import cluster_codes
from alliance_stats.models.marginal_predict import Scale, mean_frame, predicted
from alliance_stats.models.marginal_rows import (
    Rows,
    coefficient_rows,
    lone_rows,
    read_rows,
    require_fixed,
    require_options,
)
from alliance_stats.numerics.glm_sandwich import QuasiFit, cr2_weighted, hc1, quasi_fit
from alliance_stats.numerics.sandwich import BiasReduced, cr1
from alliance_stats.result import Result, glance_frame, tidy_frame

Vcov = Literal["HC1", "CR1", "CR2"]
DF_METHODS = {"HC1": "residual", "CR1": "clusters - 1", "CR2": "satterthwaite"}
LINKS = ("logit", "probit", "cloglog")
NOTHING = 1e-12  # robust variances of this size, beside the classical one, are rounding


@dataclass(frozen=True, eq=False)
class FractionalState:
    """What is needed to predict from a fractional model and to test with it; ``at`` is the whitened regression."""

    design: Design
    steps: tuple[Step, ...]
    left: LeftSide
    link: str
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    at: QuasiFit
    dispersion: float
    df_residual: float
    fitted: np.ndarray
    residual: np.ndarray
    fitted_population: None = None


@dataclass(frozen=True)
class FractionalModel:
    """Regression of a share, or of sessions completed of sessions assigned, that supposes its mean alone.

    Parameters
    ----------
    formula : ``"share ~ alliance + arm"``, a share being anything from 0 to 1 with both ends; or
        ``"completed | trials(assigned) ~ alliance + arm"``, rows weighted by the trials (quasi-binomial).
    link : ``"logit"``, ``"probit"`` or ``"cloglog"``.
    vcov : ``"HC1"``, or for patients clustered in ``cluster`` ``"CR1"`` or ``"CR2"`` (with Satterthwaite's degrees of freedom,
        for few clusters).
    cluster : the column with the clusters, e.g. ``"therapist"``.
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting.
    level : confidence level of the intervals.

    Nothing but the mean is supposed, so that there is no likelihood, no AIC, and nothing to simulate from.

    Sources: Papke & Wooldridge 1996, doi 10.1002/(SICI)1099-1255(199611)11:6<619::AID-JAE418>3.0.CO;2-1; CR2 for generalised
    linear models as in clubSandwich (Pustejovsky & Tipton 2018, doi 10.1080/07350015.2016.1247004).

    >>> data = pd.DataFrame({"share": [0.0, 0.4, 0.5, 0.9, 0.8, 1.0], "alliance": [40.0, 44, 47, 50, 55, 60]})
    >>> FractionalModel("share ~ alliance").fit(data).apa("alliance")
    'b = 0.32, SE = 0.12, 95 % CI [−0.021, 0.66], t(4) = 2.61, p = .060'
    """

    formula: str
    link: str = "logit"
    vcov: Vcov = "HC1"
    cluster: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise AllianceError(f"link is {self.link!r}; use one of {', '.join(LINKS)}")
        if self.vcov not in get_args(Vcov):
            raise AllianceError(f"vcov is {self.vcov!r}; use one of {', '.join(get_args(Vcov))}")
        if self.vcov != "HC1" and self.cluster is None:
            raise AllianceError(f"vcov={self.vcov!r} needs cluster=, the column that names the clusters")
        if self.cluster is not None and self.vcov == "HC1":
            raise AllianceError(f"cluster={self.cluster!r} is not used by vcov='HC1'; use 'CR2', or leave it out")
        require_options(self.prepare, self.level)

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by quasi-likelihood.

        Rows with a missing value in a column of the model are left out and counted in ``notes``. Raises DataError for shares
        outside 0 to 1 and for more sessions completed than assigned, ConvergenceError for a predictor that separates.
        """
        require_fixed(self.formula, "FractionalModel")
        rows = read_rows(self.formula, self.prepare, data, (self.cluster,) if self.cluster else ())
        at = bounded_fit(rows, self.link, self.formula)
        size, p = len(rows.y), len(rows.kept)
        dispersion = float(at.residuals @ at.residuals / (size - p))
        fitted, y = rows.weights * at.mean, rows.weights * rows.y
        state = FractionalState(
            rows.design, rows.steps, rows.left, self.link, at.coefficients, rows.kept, rows.null, rows.y, rows.weights, at,
            dispersion, float(size - p), fitted, y - fitted,
        )  # fmt: skip
        notes = rows.notes
        if self.cluster:
            notes += lone_rows(cluster_codes(rows.frame, self.cluster), self.cluster)
        V = self._covariance(rows.frame, state)
        covariance = pd.DataFrame(V, index=rows.terms, columns=rows.terms)
        draft = Result(self, rows.frame, state, tidy_frame(term=[]), pd.DataFrame(), covariance, None, notes)
        df = self._df(draft, np.eye(p))
        estimates = coefficient_rows(rows.terms, at.coefficients, V, df, self.level)
        notes += tuple(
            f"the standard error of '{term}' cannot be estimated: the rows that speak for it are fitted exactly"
            for term in estimates.loc[estimates["df"].isna(), "term"]
        )
        return Result(self, rows.frame, state, estimates, self._glance(draft), covariance, None, notes)

    def _covariance(self, frame: pd.DataFrame, state: FractionalState) -> np.ndarray:
        at = state.at
        if self.vcov == "HC1":
            return hc1(at.X, at.residuals, at.bread)
        codes = cluster_codes(frame, self.cluster)
        if self.vcov == "CR1":
            return cr1(at.X, at.residuals, at.bread, codes, small=False)
        return cr2_weighted(at, codes).covariance(at.residuals)

    def _glance(self, draft: Result) -> pd.DataFrame:
        state: FractionalState = draft.state
        counts = {"n_obs": len(state.y)}
        if self.cluster:
            counts[f"n_{self.cluster}"] = draft.frame[self.cluster].nunique()
        return glance_frame(
            counts, method="quasi-likelihood", df_method=DF_METHODS[self.vcov], df_residual=state.df_residual,
            converged=True, sigma=float(np.sqrt(state.dispersion)),
        )  # fmt: skip

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        return mean_frame(result, frame)

    def _predicted(self, result: Result, frame: pd.DataFrame, *, scale: Scale = "response") -> pd.DataFrame:
        """Intervals on the link's scale, carried over."""
        return predicted(result, frame, scale=scale)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        raise AllianceError(
            "simulate: FractionalModel supposes a mean and no distribution; simulate from BetaModel or GeneralizedMixedModel"
        )

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        """Missing where the covariance knows nothing of a combination, so that no test or interval is made of it."""
        state: FractionalState = result.state
        robust, classical = (
            np.einsum("ij,jk,ik->i", weights, V, weights)
            for V in (result.covariance.to_numpy(), state.at.bread * state.dispersion)
        )
        if self.vcov == "HC1":
            df = np.full(len(weights), state.df_residual)
        elif self.vcov == "CR1":
            df = np.full(len(weights), float(cluster_codes(result.frame, self.cluster).max()))
        else:
            df = self._bias_reduced(result).satterthwaite(weights)
        return np.where(robust < NOTHING * classical, np.nan, df)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        if self.vcov != "CR2":
            return float(self._df(result, weights)[0]), 1.0
        q, eta = len(weights), self._bias_reduced(result).hotelling(weights)
        return eta - q + 1, (eta - q + 1) / eta

    def _bias_reduced(self, result: Result) -> BiasReduced:
        return cr2_weighted(result.state.at, cluster_codes(result.frame, self.cluster))


def bounded_fit(rows: Rows, link: str, formula: str) -> QuasiFit:
    """The quasi-binomial fit; ConvergenceError where a predictor separates the outcomes or no optimum is found."""
    if np.isin(rows.y, (0.0, 1.0)).any():
        outcome = Outcome(rows.y * rows.weights, rows.weights, np.zeros(len(rows.y)))
        require_apart(rows.X, rows.terms, outcome, FAMILIES["binomial"], link)
    at = quasi_fit(rows.X, rows.y, rows.weights, link)
    if not at.converged:
        raise ConvergenceError(f"formula {formula!r}: no optimum found; try predictors on a similar scale")
    if np.abs(at.residuals).max() < 1e-12:
        raise DataError(f"formula {formula!r}: the outcome is fitted exactly; robust standard errors would be zero")
    return at
