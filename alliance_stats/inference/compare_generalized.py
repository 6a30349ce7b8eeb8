"""Likelihood ratio tests of nested generalised mixed models and discrete-time hazard models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.compare_mixed import (
    likelihood_ratio,
    require_nested_terms,
    require_same_rows,
)
from alliance_stats.inference.nested_covariances import Embedding, embedding, random_blocks
from alliance_stats.models.generalized import GeneralizedState
from alliance_stats.models.generalized_families import FAMILIES
from alliance_stats.result import Result

NONE: dict[str, object] = {
    "df_num": np.nan, "df": np.nan, "statistic": np.nan, "p_value": np.nan, "mixture": False, "p_chi2": np.nan,
    "reference": "",
}  # fmt: skip


def compare_generalized(results: Sequence[Result]) -> pd.DataFrame:
    """Each model against the one before it, in the columns of ``compare`` for mixed models."""
    places = [_require_nested(small, large) for small, large in pairwise(results)]
    tests = [
        likelihood_ratio(_deviance(small) - _deviance(large), _parameters(large) - _parameters(small), place)
        for (small, large), place in zip(pairwise(results), places, strict=True)
    ]
    return pd.DataFrame([_row(each) | test for each, test in zip(results, [NONE, *tests], strict=True)])


def _row(result: Result) -> dict[str, object]:
    facts = result.statistics.iloc[0]
    return {
        "model": result.model.formula, "method": facts["method"], "n_obs": len(result.frame),
        "n_parameters": _parameters(result), "deviance": _deviance(result), "aic": float(facts["aic"]),
        "bic": float(facts["bic"]),
    }  # fmt: skip


def _deviance(result: Result) -> float:
    return float(result.statistics["deviance"].iloc[0])


def _parameters(result: Result) -> int:
    state: GeneralizedState = result.state
    return len(state.coefficients) + len(state.theta) + bool(FAMILIES[result.model.family].dispersion)


def _require_nested(small: Result, large: Result) -> Embedding:
    for result in (small, large):
        name = type(result.model).__name__
        if not isinstance(result.state, GeneralizedState):
            raise AllianceError(
                f"compare: {name} has another likelihood than a generalised model; compare models of one kind"
            )
        if getattr(result.model, "cluster", None) is not None:
            raise AllianceError(
                "compare: a likelihood ratio test takes rows as independent; with cluster= use wald_test or anova"
            )
    _require_same_kind(small, large)
    require_same_rows(small, large)
    if not np.array_equal(small.state.outcome.trials, large.state.outcome.trials):
        raise AllianceError("compare: the models have different trials")
    if not np.allclose(small.state.outcome.offset, large.state.outcome.offset):
        raise AllianceError("compare: the models have different exposures")
    require_nested_terms(small, large)
    found = embedding(random_blocks(small), random_blocks(large))
    if found is None:
        raise AllianceError(
            f"compare: the random effects of {small.model.formula!r} are not all in {large.model.formula!r}, nor is their "
            "covariance a special case"
        )
    if _parameters(small) >= _parameters(large):
        raise AllianceError("compare: give the smaller model first; the second must have more parameters")
    return found


def _require_same_kind(small: Result, large: Result) -> None:
    """One family, link and way to integrate; without random effects there is nothing to integrate."""
    kinds = [(each.model.family, each.state.link) for each in (small, large)]
    if kinds[0] != kinds[1]:
        first, second = (f"{family} with {link}" for family, link in kinds)
        raise AllianceError(
            f"compare: one model is {first}, the other {second}; a likelihood ratio test is for one family and link. For "
            "different ones compare aic in glance()"
        )
    nodes = [each.model.quadrature for each in (small, large) if each.state.groupings]
    if len(set(nodes)) > 1:
        raise AllianceError(
            f"compare: the models have quadrature={nodes[0]} and {nodes[1]}; their likelihoods are approximated differently. "
            "Fit both with the same"
        )
