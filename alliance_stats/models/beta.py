"""Beta regression of proportions, with chances of exactly 0 and 1 where there are such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.formula import Design, read_formula, response
from alliance_stats.models.beta_parts import Fitted, Part, fit_parts, part_formula
from alliance_stats.models.beta_predict import combined, drawn, mean_frame, predicted
from alliance_stats.models.frames import analysis_frame, prepared
from alliance_stats.models.linear import cluster_codes
from alliance_stats.models.marginal_rows import (
    coefficient_rows,
    lone_rows,
    require_fixed,
    require_options,
    require_shares,
)
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.result import Result, glance_frame, tidy_frame

Vcov = Literal["classical", "CR1"]
LINKS = ("logit", "probit", "cloglog")


@dataclass(frozen=True, eq=False)
class BetaState:
    """What is needed to predict from a beta model and to simulate from it; ``joint`` covers the coefficients of all parts."""

    design: Design
    steps: tuple[Step, ...]
    link: str
    parts: tuple[Part, ...]
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    joint: np.ndarray
    df: float
    log_likelihoods: Mapping[str, float]
    fitted: np.ndarray
    residual: np.ndarray
    fitted_population: None = None


@dataclass(frozen=True)
class BetaModel:
    """Beta regression of a proportion.

    Parameters
    ----------
    formula : e.g. ``"share ~ alliance + arm"``, the mean of the proportions strictly between 0 and 1.
    precision : right-hand side for the logarithm of the precision φ, e.g. ``"~ arm"``; one φ for all without it. The variance
        is μ(1 − μ)/(1 + φ).
    zero, one : right-hand sides for the chance of exactly 0, and of exactly 1 given not 0, each a logistic regression. Needed
        where the data have such values; ``"~ 1"`` for one chance for all.
    link : of the mean, ``"logit"``, ``"probit"`` or ``"cloglog"``.
    vcov : ``"classical"``, from the expected information as in betareg; ``"CR1"``, cluster-robust, t with clusters − 1 df.
    cluster : the column with the clusters, for ``"CR1"``.
    prepare : steps applied to the data before fitting and, with the constants learned, before predicting.
    level : confidence level of the intervals.

    Coefficients of the parts have ``component`` fixed, precision, zero and one; terms of the last three carry the name of the
    part, as ``zero(alliance)``. ``fitted`` is the mean of all parts together, (1 − P0){P1 + (1 − P1)μ}.

    Sources: Ferrari & Cribari-Neto 2004, doi 10.1080/0266476042000214501; Ospina & Ferrari 2012,
    doi 10.1016/j.csda.2011.10.005 (inflation at 0 and 1).

    >>> data = pd.DataFrame({"share": [0.2, 0.35, 0.3, 0.6, 0.55, 0.8], "alliance": [40.0, 44, 47, 50, 55, 60]})
    >>> BetaModel("share ~ alliance").fit(data).tidy()[["term", "component"]].to_dict("list")
    {'term': ['Intercept', 'alliance', 'phi'], 'component': ['fixed', 'fixed', 'precision']}
    """

    formula: str
    precision: str | None = None
    zero: str | None = None
    one: str | None = None
    link: str = "logit"
    vcov: Vcov = "classical"
    cluster: str | None = None
    prepare: tuple[Step, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise AllianceError(f"link is {self.link!r}; use one of {', '.join(LINKS)}")
        if self.vcov not in get_args(Vcov):
            raise AllianceError(f"vcov is {self.vcov!r}; use one of {', '.join(get_args(Vcov))}")
        if (self.vcov == "CR1") != (self.cluster is not None):
            found = f"cluster={self.cluster!r} is not used by vcov='classical'" if self.cluster else "vcov='CR1' alone"
            raise AllianceError(f"{found}; give vcov='CR1' and cluster= together, or neither")
        require_options(self.prepare, self.level)

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit by maximum likelihood.

        Rows with a missing value in a column of any part are left out and counted in ``notes``. Raises DataError for values
        outside 0 to 1, for zeros or ones without their part, and for a part without such values; ConvergenceError where a
        predictor separates zeros or ones from the rest.
        """
        require_fixed(self.formula, "BetaModel")
        main = read_formula(self.formula)
        given = {"precision": self.precision or "~ 1", "zero": self.zero, "one": self.one}
        formulas = {"fixed": main} | {
            name: part_formula(main.response, text, name) for name, text in given.items() if text is not None
        }
        columns = tuple(dict.fromkeys(name for formula in formulas.values() for name in formula.columns))
        steps, frame = prepared(self.prepare, data)
        frame, notes = analysis_frame(frame, columns, (self.cluster,) if self.cluster else (), self.formula)
        y = response(main, frame)
        self._require(y, main.response.strip("`"))
        found = fit_parts(formulas, frame, y, self.link)
        notes += found.notes
        if self.cluster:
            notes += lone_rows(cluster_codes(frame, self.cluster), self.cluster)
        return self._result(frame, self._state(frame, steps, y, found), notes)

    def _require(self, y: np.ndarray, name: str) -> None:
        require_shares(y, name)
        for part, end in (("zero", 0), ("one", 1)):
            n, asked = int((y == end).sum()), getattr(self, part) is not None
            if n and not asked:
                raise DataError(
                    f"outcome '{name}' is exactly {end} in {n} {'row' if n == 1 else 'rows'}, which a beta distribution never "
                    f"is; give {part}='~ 1' or predictors, or use FractionalModel"
                )
            if asked and not n:
                raise DataError(f"{part}= is given, but outcome '{name}' is {end} in no row; leave it out")

    def _state(self, frame: pd.DataFrame, steps: tuple[Step, ...], y: np.ndarray, found: Fitted) -> BetaState:
        joint, df = found.inverse, np.inf
        if self.cluster:
            codes = cluster_codes(frame, self.cluster)
            groups = int(codes.max()) + 1
            scores = np.zeros((groups, found.scores.shape[1]))
            np.add.at(scores, codes, found.scores)
            joint = found.inverse @ (scores.T @ scores) @ found.inverse * (groups / (groups - 1))
            df = float(groups - 1)
        mean = found.parts[0]
        fitted = combined(self.link, {part.name: part.linear(frame)[1] for part in found.parts}).mean
        return BetaState(
            mean.design, steps, self.link, found.parts, mean.coefficients, mean.kept, mean.null, (joint + joint.T) / 2, df,
            found.log_likelihoods, fitted, y - fitted,
        )  # fmt: skip

    def _result(self, frame: pd.DataFrame, state: BetaState, notes: tuple[str, ...]) -> Result:
        mean = state.parts[0]
        covariance = pd.DataFrame(state.joint[mean.places, mean.places], index=mean.terms, columns=mean.terms)
        rows = [
            self._phi(part, state)
            if part.name == "precision" and self.precision is None
            else coefficient_rows(
                part.terms, part.coefficients, state.joint[part.places, part.places], state.df, self.level, part.name
            )
            for part in state.parts
        ]
        estimates = pd.concat(rows, ignore_index=True)
        return Result(self, frame, state, estimates, self._glance(frame, state), covariance, None, notes)

    def _phi(self, part: Part, state: BetaState) -> pd.DataFrame:
        """One precision for all, on its own scale; the interval made on that of its logarithm."""
        phi, error = float(np.exp(part.coefficients[0])), float(np.sqrt(state.joint[part.places, part.places][0, 0]))
        reach = float(np.exp(t_quantile((1 + self.level) / 2, state.df) * error))
        return tidy_frame(
            term=["phi"], component="precision", estimate=[phi], std_error=[phi * error], conf_low=[phi / reach],
            conf_high=[phi * reach], interval="normal" if np.isinf(state.df) else "t",
        )  # fmt: skip

    def _glance(self, frame: pd.DataFrame, state: BetaState) -> pd.DataFrame:
        value, n, k = sum(state.log_likelihoods.values()), len(frame), len(state.joint)
        counts = {"n_obs": n} | ({f"n_{self.cluster}": frame[self.cluster].nunique()} if self.cluster else {})
        return glance_frame(
            counts, log_likelihood=value, deviance=-2 * value, aic=2 * k - 2 * value, bic=np.log(n) * k - 2 * value,
            method="ML", df_method="clusters - 1" if self.cluster else "normal", converged=True,
        )  # fmt: skip

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        return mean_frame(result, frame)

    def _predicted(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        """Intervals on the logit scale of the mean of all parts, carried over."""
        return predicted(result, frame)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        return drawn(result, rng, n)

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), result.state.df)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return float(result.state.df), 1.0
