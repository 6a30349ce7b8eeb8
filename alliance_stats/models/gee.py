"""Population-averaged models by generalised estimating equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, ConvergenceError, DataError
from alliance_stats.formula import Design, is_factor
from alliance_stats.models.fractional import bounded_fit
from alliance_stats.models.generalized_response import LeftSide
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
from alliance_stats.numerics.gee import GeeFit, cluster_rows, gee_fit
from alliance_stats.result import Result, glance_frame, tidy_frame

Correlation = Literal["exchangeable", "independence", "ar1"]
Vcov = Literal["robust", "bias_reduced"]
FAMILY_LINKS = {
    "binomial": ("logit", "probit", "cloglog"),
    "gaussian": ("identity",),
    "poisson": ("log",),
}
FEW = 40  # clusters below which the robust covariance is too small to be left unsaid


@dataclass(frozen=True, eq=False)
class GeeState:
    """What is needed to predict from estimating equations and to test with them."""

    design: Design
    steps: tuple[Step, ...]
    left: LeftSide
    link: str
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    alpha: float
    scale: float
    clusters: int
    fitted: np.ndarray
    residual: np.ndarray
    fitted_population: None = None


@dataclass(frozen=True)
class GEE:
    """Generalised estimating equations: effects on the population's mean, patients correlated within clusters.

    Parameters
    ----------
    formula : as for ``FractionalModel``; ``"completed | trials(assigned) ~ …"`` weights rows by the trials.
    family : ``"binomial"`` (0 and 1, shares, successes of trials), ``"gaussian"`` or ``"poisson"``.
    cluster : the column with the clusters, e.g. ``"therapist"``; or the patient, for repeated ratings.
    correlation : within clusters: ``"exchangeable"``, ``"independence"`` or ``"ar1"`` (which needs ``time``).
    link : ``"logit"`` (default), ``"probit"`` or ``"cloglog"`` for binomial outcomes.
    vcov : ``"robust"``, with normal quantiles as in geepack; ``"bias_reduced"`` (Mancl & DeRouen 2001) with t quantiles at
        clusters − terms degrees of freedom, for fewer than some forty clusters.
    time : column of the time, on which ``"ar1"`` counts the distance between rows.
    prepare, level : as for the other models.

    The correlation is a working one: where it is wrong the estimates still hold, and standard errors, too.

    Sources: Liang & Zeger 1986, doi 10.1093/biomet/73.1.13; Mancl & DeRouen 2001, doi 10.1111/j.0006-341X.2001.00126.x.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(40), 6), "alliance": rng.normal(size=240)})
    >>> share = 1 / (1 + np.exp(-data["alliance"] - np.repeat(rng.normal(size=40), 6)))
    >>> fit = GEE("attended ~ alliance", "binomial", cluster="therapist").fit(data.assign(attended=rng.binomial(1, share)))
    >>> fit.tidy()[["term", "component"]].to_dict("list")
    {'term': ['Intercept', 'alliance', 'alpha'], 'component': ['fixed', 'fixed', 'correlation']}
    """

    formula: str
    family: str = "binomial"
    cluster: str = ""
    correlation: Correlation = "exchangeable"
    link: str | None = None
    vcov: Vcov = "robust"
    time: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.family not in FAMILY_LINKS:
            raise AllianceError(f"family is {self.family!r}; use one of {', '.join(FAMILY_LINKS)}")
        if self.link is not None and self.link not in FAMILY_LINKS[self.family]:
            raise AllianceError(
                f"link is {self.link!r}; family {self.family!r} has {', '.join(FAMILY_LINKS[self.family])}"
            )
        if self.correlation not in get_args(Correlation):
            raise AllianceError(f"correlation is {self.correlation!r}; use one of {', '.join(get_args(Correlation))}")
        if self.vcov not in get_args(Vcov):
            raise AllianceError(f"vcov is {self.vcov!r}; use one of {', '.join(get_args(Vcov))}")
        if not self.cluster:
            raise AllianceError("GEE needs cluster=, the column that names the clusters")
        if (self.time is None) == (self.correlation == "ar1"):
            found = "needs time=, the column of the time" if self.time is None else f"does not use time={self.time!r}"
            raise AllianceError(f"correlation={self.correlation!r} {found}")
        require_options(self.prepare, self.level)

    def fit(self, data: pd.DataFrame) -> Result:
        """Solve the estimating equations.

        Rows with a missing value in a column of the model are left out and counted in ``notes``. Raises DataError for outcomes
        that the family cannot have and for clusters too few, ConvergenceError where no solution is found.
        """
        require_fixed(self.formula, "GEE")
        labels = [name for name in (self.cluster, self.time) if name]
        rows = read_rows(self.formula, self.prepare, data, labels, self.family)
        codes = cluster_codes(rows.frame, self.cluster)
        link = self.link or FAMILY_LINKS[self.family][0]
        fit = self._solve(rows, codes, link)
        fitted = rows.weights * fit.at.mean
        state = GeeState(
            rows.design, rows.steps, rows.left, link, fit.at.coefficients, rows.kept, rows.null, fit.alpha, fit.scale,
            int(codes.max()) + 1, fitted, rows.weights * rows.y - fitted,
        )  # fmt: skip
        V = fit.robust if self.vcov == "robust" else fit.bias_reduced
        covariance = pd.DataFrame(V, index=rows.terms, columns=rows.terms)
        notes = (*rows.notes, *lone_rows(codes, self.cluster), *self._notes(state))
        draft = Result(self, rows.frame, state, tidy_frame(term=[]), pd.DataFrame(), covariance, None, notes)
        parts = [coefficient_rows(rows.terms, fit.at.coefficients, V, self._df(draft, np.eye(len(V))), self.level)]
        if self.correlation != "independence":
            parts.append(tidy_frame(term=["alpha"], component="correlation", group=self.cluster, estimate=[fit.alpha]))
        estimates = pd.concat(parts, ignore_index=True)
        return Result(self, rows.frame, state, estimates, self._glance(state), covariance, None, notes)

    def _solve(self, rows: Rows, codes: np.ndarray, link: str) -> GeeFit:
        time = self._times(rows.frame, codes)
        groups, p = int(codes.max()) + 1, len(rows.kept)
        if groups <= p:
            raise DataError(f"cluster='{self.cluster}': {groups} clusters cannot support {p} terms; leave terms out")
        if self.family == "binomial":
            bounded_fit(rows, link, self.formula)
        try:
            fit = gee_fit(
                rows.X, rows.y, rows.weights, link, self.family, self.correlation, cluster_rows(codes, time), time
            )
        except np.linalg.LinAlgError as problem:
            raise ConvergenceError(f"formula {self.formula!r}: no solution found ({problem})") from problem
        largest = int(np.bincount(codes).max())
        if not fit.converged or (self.correlation == "exchangeable" and fit.alpha * (largest - 1) <= -1):
            raise ConvergenceError(
                f"formula {self.formula!r}: no solution with a valid working correlation (alpha {fit.alpha:.2f}); "
                "use correlation='independence'"
            )
        return fit

    def _times(self, frame: pd.DataFrame, codes: np.ndarray) -> np.ndarray | None:
        if self.time is None:
            return None
        if is_factor(frame[self.time]):
            raise DataError(f"time: column '{self.time}' holds {frame[self.time].dtype} values; numbers are needed")
        repeated = frame.assign(**{self.cluster: codes}).duplicated([self.cluster, self.time])
        if repeated.any():
            raise DataError(
                f"time: column '{self.time}' holds the same time twice in a cluster in {int(repeated.sum())} rows; "
                "'ar1' needs one row a time, so name the patient as cluster"
            )
        return frame[self.time].to_numpy(dtype=float)

    def _notes(self, state: GeeState) -> tuple[str, ...]:
        if self.vcov == "robust" and state.clusters < FEW:
            return (
                f"{state.clusters} clusters: robust standard errors are too small with few clusters; "
                "see vcov='bias_reduced'",
            )
        return ()

    def _glance(self, state: GeeState) -> pd.DataFrame:
        df_method = "normal" if self.vcov == "robust" else "clusters - terms"
        return glance_frame(
            {"n_obs": len(state.fitted), f"n_{self.cluster}": state.clusters}, method=f"GEE ({self.correlation})",
            df_method=df_method, converged=True, sigma=float(np.sqrt(state.scale)),
        )  # fmt: skip

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        return mean_frame(result, frame)

    def _predicted(self, result: Result, frame: pd.DataFrame, *, scale: Scale = "response") -> pd.DataFrame:
        """Intervals on the link's scale, carried over."""
        return predicted(result, frame, scale=scale)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        raise AllianceError(
            "simulate: GEE supposes means and a working correlation, no distribution; simulate from GeneralizedMixedModel"
        )

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        free = result.state.clusters - len(result.state.kept)
        return np.full(len(weights), np.inf if self.vcov == "robust" else float(free))

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return float(self._df(result, weights)[0]), 1.0
