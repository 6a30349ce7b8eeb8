"""Nested models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.combine import joint_test
from alliance_stats.inference.compare_generalized import compare_generalized
from alliance_stats.inference.compare_mixed import (
    compare_mixed,
    fixed_columns,
    require_nested_terms,
    require_same_rows,
)
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.models.mixed import MixedModel
from alliance_stats.numerics.distributions import chi2_p_value, f_p_value
from alliance_stats.result import Result

Test = Literal["F", "LRT"]


def compare(
    smaller: Result, larger: Result, *more: Result, test: Test | None = None, refit: bool = True
) -> pd.DataFrame:
    """Test each model against the one before it: nested models of the same rows and outcome.

    Linear models: ``"F"`` (the default) uses the error variance of the largest model, as R's anova does; where the larger
    model has a robust covariance it is the Wald test of the added terms with that covariance and its degrees of freedom.
    ``"LRT"`` is the likelihood ratio test (classical covariance only). Columns: ``model n_obs df_residual deviance aic bic
    df_num df statistic p_value``.

    Mixed models, the first of which may be a LinearModel: likelihood ratio tests. REML fits are fitted again by ML, as lme4's
    anova does; with ``refit=False`` their REML criteria are compared, for which the fixed terms must be the same. Columns:
    ``model method n_obs n_parameters deviance aic bic df_num df statistic p_value mixture p_chi2 reference``. A variance of
    zero lies on the boundary: where one random effect is added, with a parameters in all, ``mixture`` is true and ``p_value``
    that of ½χ²(a − 1) + ½χ²(a) (Stram & Lee 1994, doi 10.2307/2533455). Where several are added no simple law is known:
    ``mixture`` is false and the p-value of χ²(a) too large, which errs on the side of the smaller model. ``p_chi2`` is always
    that of χ²(a), ``reference`` names the law of ``p_value``.

    Random parts may be nested without having terms in common: ``(1 | Worker/Machine)``, compound symmetry, is nested in
    ``(Machine | Worker)``. With positive variances it lies inside that family, not on its boundary, so that χ²(a) holds; not if
    one of them is zero.

    Generalised mixed models and discrete-time hazard models: the same tests and columns, of −2 log L by Laplace's approximation
    or by one number of quadrature nodes. A discrete-time model may be compared with itself without random effects.

    Raises AllianceError where rows, outcomes, weights, trials, exposures or the nesting differ, and for different families,
    links and quadratures.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"y": [1.0, 2, 4, 3, 6], "x": [1.0, 2, 3, 4, 5], "z": [0.0, 1, 0, 1, 1]})
    >>> small, large = LinearModel("y ~ x").fit(data), LinearModel("y ~ x + z").fit(data)
    >>> compare(small, large)[["df_num", "df", "statistic"]].round(3).iloc[1].to_dict()
    {'df_num': 1.0, 'df': 2.0, 'statistic': 0.842}
    """
    if test not in (None, *get_args(Test)):
        raise AllianceError(f"test is {test!r}; use 'F' or 'LRT'")
    results = [smaller, larger, *more]
    if any(isinstance(result.state, GeneralizedState) for result in results):
        _require_ratio(test)
        return compare_generalized(results)
    if any(isinstance(result.model, MixedModel) for result in results):
        _require_ratio(test)
        return compare_mixed(results, refit=refit)
    return _compare_linear(results, test or "F")


def _require_ratio(test: Test | None) -> None:
    if test == "F":
        raise AllianceError("compare: mixed models have likelihood ratio tests only; for F use anova() or wald_test()")


def _compare_linear(results: Sequence[Result], test: Test) -> pd.DataFrame:
    for a, b in pairwise(results):
        _require_nested(a, b)
    tests = [_test(a, b, results[-1], test) for a, b in pairwise(results)]
    columns = ["n_obs", "df_residual", "deviance", "aic", "bic"]
    facts = pd.concat([r.statistics[columns] for r in results], ignore_index=True)
    facts.insert(0, "model", [r.model.formula for r in results])
    none = {"df_num": np.nan, "df": np.nan, "statistic": np.nan, "p_value": np.nan}
    return pd.concat([facts, pd.DataFrame([none, *tests])], axis=1)


def _test(small: Result, large: Result, largest: Result, test: Test) -> dict[str, float]:
    q = float(small.state.df_residual - large.state.df_residual)
    robust = large.model.vcov != "classical"
    if test == "LRT":
        if robust:
            raise AllianceError(
                "a likelihood ratio test rests on the classical model; use test='F' with robust covariances"
            )
        change = float((small.statistics["deviance"] - large.statistics["deviance"]).iloc[0])
        return {"df_num": q, "df": np.nan, "statistic": change, "p_value": float(chi2_p_value(change, q))}
    if robust:
        found = joint_test(large, _restrictions(small, large), "added terms")
        return {name: float(found[name]) for name in ("df_num", "df", "statistic", "p_value")}
    rss = [float(r.state.residual @ r.state.residual) for r in (small, large)]
    df = float(largest.state.df_residual)
    F = (rss[0] - rss[1]) / q / largest.state.sigma**2
    return {"df_num": q, "df": df, "statistic": F, "p_value": float(f_p_value(F, q, df))}


def _require_nested(small: Result, large: Result) -> None:
    for result in (small, large):
        if not hasattr(result.model, "vcov"):
            raise AllianceError(f"compare: {type(result.model).__name__} is not a linear model")
    require_same_rows(small, large)
    if small.state.df_residual <= large.state.df_residual:
        raise AllianceError("compare: give the smaller model first; the second must have more terms")
    require_nested_terms(small, large)


def _restrictions(small: Result, large: Result) -> np.ndarray:
    """Rows w over all columns of the larger design with w'β = 0 exactly where the smaller model holds.

    The smaller model says β = C γ with Z = X C; its restrictions are the orthogonal complement of the columns of C.
    """
    C = np.linalg.lstsq(fixed_columns(large), fixed_columns(small), rcond=None)[0]
    U, _, _ = np.linalg.svd(C, full_matrices=True)
    rows = np.zeros((len(C) - C.shape[1], len(large.state.design.terms)))
    rows[:, large.state.kept] = U[:, C.shape[1] :].T
    return rows
