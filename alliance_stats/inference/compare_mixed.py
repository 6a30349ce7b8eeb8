"""Likelihood ratio tests of nested mixed models, and what makes two models nested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.nested_covariances import Embedding, embedding, random_blocks, within
from alliance_stats.models.mixed import MixedModel, MixedState
from alliance_stats.numerics.distributions import chi2_p_value, never_zero
from alliance_stats.result import Result

PROVIDED = ", provided that no variance of the smaller model is zero"


@dataclass(frozen=True, eq=False)
class Likelihood:
    """One model as a likelihood ratio test sees it."""

    result: Result
    criterion: float
    reml: bool
    fixed: int
    random: int

    @property
    def parameters(self) -> int:
        """Coefficients, free elements of Λ and residual variances."""
        return self.fixed + self.random + 1

    def row(self) -> dict[str, object]:
        """What ``compare`` shows of the model itself."""
        n, k = len(self.result.state.fitted), self.parameters
        return {
            "model": self.result.model.formula, "method": "REML" if self.reml else "ML", "n_obs": n, "n_parameters": k,
            "deviance": self.criterion, "aic": self.criterion + 2 * k, "bic": self.criterion + np.log(n) * k,
        }  # fmt: skip


def compare_mixed(results: Sequence[Result], *, refit: bool) -> pd.DataFrame:
    """Each model against the one before it, by ML or, with ``refit=False``, by the REML criteria that were fitted."""
    places = [_require_nested(small, large) for small, large in pairwise(results)]
    methods = {result.model.method for result in results if isinstance(result.model, MixedModel)}
    if not refit and len(methods) > 1:
        raise AllianceError("compare: some models are fitted by REML, others by ML; use refit=True")
    reml = not refit and methods == {"REML"}
    found = [_likelihood(_by_ml(result) if refit else result, reml=reml) for result in results]
    none: dict[str, object] = dict.fromkeys(("df_num", "df", "statistic", "p_value"), np.nan)
    none |= {"mixture": False, "p_chi2": np.nan, "reference": ""}
    tests = [_test(a, b, place) for (a, b), place in zip(pairwise(found), places, strict=True)]
    return pd.DataFrame([each.row() | test for each, test in zip(found, [none, *tests], strict=True)])


def mixture_p_value(statistic: float, df: int) -> float:
    """Upper tail of ½χ²(df − 1) + ½χ²(df); χ²(0) is a point mass at zero.

    >>> round(mixture_p_value(2.706, 1), 3), round(mixture_p_value(5.138, 2), 3)
    (0.05, 0.05)
    """
    lower = float(chi2_p_value(statistic, df - 1)) if df > 1 else float(statistic <= 0)
    return float(never_zero((lower + float(chi2_p_value(statistic, df))) / 2))


def _test(small: Likelihood, large: Likelihood, place: Embedding) -> dict[str, object]:
    if small.reml and small.fixed != large.fixed:
        raise AllianceError(
            "compare: REML criteria of models with different fixed terms cannot be compared; use refit=True"
        )
    return likelihood_ratio(small.criterion - large.criterion, large.parameters - small.parameters, place)


def likelihood_ratio(change: float, a: int, place: Embedding) -> dict[str, object]:
    """The test of a difference of −2 log L with a parameters more, by the law that holds where the smaller model lies."""
    change, boundary = max(change, 0.0), place.added == 1
    naive = float(chi2_p_value(change, a))
    p = mixture_p_value(change, a) if boundary else naive
    return {
        "df_num": float(a), "df": np.nan, "statistic": change, "p_value": p, "mixture": boundary, "p_chi2": naive,
        "reference": _reference(a, place),
    }  # fmt: skip


def _reference(a: int, place: Embedding) -> str:
    """The distribution under the smaller model, in words."""
    if place.added == 1:
        return f"½χ²({a - 1}) + ½χ²({a})" + ("" if place.by_columns else PROVIDED)
    if place.added:
        return f"χ²({a}), too large: {place.added} variances are zero in the smaller model"
    return f"χ²({a})" + ("" if place.by_columns else PROVIDED)


def _by_ml(result: Result) -> Result:
    if not isinstance(result.model, MixedModel) or result.model.method == "ML":
        return result
    return replace(result.model, method="ML", df_method="normal", prepare=()).fit(result.frame)


def _likelihood(result: Result, *, reml: bool) -> Likelihood:
    fixed = len(result.state.coefficients)
    if isinstance(result.model, MixedModel):
        state: MixedState = result.state
        free = len(state.theta) + (state.strata.extra if state.strata is not None else 0)
        return Likelihood(result, float(result.statistics["criterion"].iloc[0]), reml, fixed, free)
    criterion = _reml_of_linear(result) if reml else float(result.statistics["deviance"].iloc[0])
    return Likelihood(result, criterion, reml, fixed, 0)


def _reml_of_linear(result: Result) -> float:
    """The REML criterion of a mixed model without random effects."""
    X, nu = fixed_columns(result), result.state.df_residual
    log_det = np.linalg.slogdet(X.T @ X)[1]
    return float(log_det + nu * (1 + np.log(2 * np.pi * result.state.sigma**2)))


def require_same_rows(small: Result, large: Result) -> None:
    """AllianceError where two results rest on different rows or outcomes."""
    if not small.frame.index.equals(large.frame.index):
        raise AllianceError(
            f"compare: the models use different rows ({len(small.frame)} and {len(large.frame)}); "
            "fit both to the rows complete in all their columns"
        )
    for r in (small, large):
        if r.state.residual is None:
            raise AllianceError(f"compare: {type(r.model).__name__} of this outcome has no likelihood ratio test here")
    a, b = (r.state.fitted + r.state.residual for r in (small, large))
    if not np.allclose(a, b, rtol=1e-12, atol=1e-12):
        raise AllianceError("compare: the models have different outcomes")


def require_nested_terms(small: Result, large: Result) -> None:
    """AllianceError where fixed terms of the smaller model are no combination of those of the larger."""
    if not within(fixed_columns(small), fixed_columns(large)):
        raise AllianceError(f"compare: {small.model.formula!r} is not nested in {large.model.formula!r}")


def fixed_columns(result: Result) -> np.ndarray:
    """Columns of the fixed effects that were kept."""
    return np.asarray(result.state.design.matrix(result.frame)[:, result.state.kept])


def _require_nested(small: Result, large: Result) -> Embedding:
    for result in (small, large):
        if not isinstance(result.model, MixedModel) and getattr(result.model, "vcov", None) != "classical":
            raise AllianceError(
                f"compare: {type(result.model).__name__} {result.model.formula!r} has no likelihood to compare with a mixed "
                "model's; use MixedModel, or LinearModel with vcov='classical'"
            )
    if not isinstance(large.model, MixedModel):
        raise AllianceError(
            "compare: give the smaller model first; a LinearModel is nested in mixed models, not the reverse"
        )
    require_same_rows(small, large)
    _require_same_weights(small, large)
    require_nested_terms(small, large)
    found = embedding(random_blocks(small), random_blocks(large))
    if found is None:
        raise AllianceError(
            f"compare: the random effects of {small.model.formula!r} are not all in {large.model.formula!r}, nor is their "
            "covariance a special case"
        )
    if _likelihood(small, reml=False).parameters >= _likelihood(large, reml=False).parameters:
        raise AllianceError("compare: give the smaller model first; the second must have more parameters")
    return found


def _require_same_weights(small: Result, large: Result) -> None:
    a, b = (_prior_weights(result) for result in (small, large))
    if not np.array_equal(a, b):
        raise AllianceError("compare: the models have different weights")
    apart, own = (getattr(result.model, "residual_by", None) for result in (small, large))
    if apart not in (None, own):
        raise AllianceError(f"compare: the smaller model has residual_by={apart!r}, the larger {own!r}")


def _prior_weights(result: Result) -> np.ndarray:
    name = getattr(result.model, "weights", None)
    return np.ones(len(result.frame)) if name is None else result.frame[name].to_numpy(dtype=float)
