"""Whether the effects of an ordinal model are the same at all thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.distributions import chi2_p_value
from alliance_stats.numerics.ordinal import cumulative, fit_cumulative, logs
from alliance_stats.numerics.ordinal_random import fit_random
from alliance_stats.result import Result

if TYPE_CHECKING:
    from alliance_stats.models.ordinal import OrdinalState

SETTLED = 1e-9  # gain in −2 log likelihood below which the limit is reached


def proportional_odds(result: Result) -> pd.DataFrame:
    """Likelihood ratio tests of each term of the formula against effects of its own at every threshold.

    Columns ``term df_num statistic p_value note``; with a random intercept both models have it. The tests are those of
    ``nominal_test`` in R's ordinal. Where a category is empty at a level an effect at a threshold is infinite; the statistic
    is then that of the limit, and ``note`` says so. A term is not tested, with the reason in ``note``, where thresholds would
    cross, and at such limits with a random intercept. With many patients a small deviation is "significant": look at the sizes
    as well.

    Raises AllianceError for a result that is not an OrdinalModel's, and for two categories, which have one threshold.

    >>> from alliance_stats.models.ordinal import OrdinalModel
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"alliance": rng.normal(size=200)})
    >>> data["siras"] = np.digitize(data["alliance"] + rng.logistic(size=200), [-1, 1])
    >>> proportional_odds(OrdinalModel("siras ~ alliance").fit(data))[["term", "df_num"]].to_dict("list")
    {'term': ['alliance'], 'df_num': [1.0]}
    """
    if not hasattr(result.state, "rating"):
        raise AllianceError(f"proportional_odds is for OrdinalModel, not for {type(result.model).__name__}")
    state: OrdinalState = result.state
    if len(state.thresholds) < 2:
        raise AllianceError("proportional_odds: two categories have one threshold; there is nothing to compare")
    kept = list(state.kept)
    rows = []
    for name, columns in state.design.slices.items():
        own = [kept.index(j) for j in range(columns.start, columns.stop) if j in kept]
        if own:
            rows.append(_tested(result, name, own))
    return pd.DataFrame(rows, columns=["term", "df_num", "statistic", "p_value", "note"])


def _tested(result: Result, name: str, own: list[int]) -> dict[str, float | str]:
    state: OrdinalState = result.state
    df = float(len(own) * (len(state.thresholds) - 1))
    try:
        deviance, note = _deviance(result, own)
    except np.linalg.LinAlgError as problem:
        return {"term": name, "df_num": df, "statistic": np.nan, "p_value": np.nan, "note": f"not estimable: {problem}"}
    change = max(state.deviance - deviance, 0.0)  # rounding
    return {"term": name, "df_num": df, "statistic": change, "p_value": float(chi2_p_value(change, df)), "note": note}


def _deviance(result: Result, own: list[int]) -> tuple[float, str]:
    """−2 log likelihood with effects of the columns ``own`` at every threshold, begun at those of the fit, and a note."""
    state: OrdinalState = result.state
    X = state.design.matrix(result.frame)[:, state.kept]
    rest = [j for j in range(X.shape[1]) if j not in own]
    K = len(state.rating.names)
    model = cumulative(state.rating.codes, K, X[:, rest], state.link, X[:, own])
    start = np.concatenate([state.thresholds, np.repeat(-state.coefficients[own], K - 1), state.coefficients[rest]])
    plain = fit_cumulative(model, start)
    at = logs(state.link, *model.ends(plain.phi))
    scale = np.sqrt(np.maximum(np.diag(plain.information), 1e-300))
    flat = np.linalg.eigvalsh(plain.information / np.outer(scale, scale))[0] < 1e-9 or not plain.converged
    if plain.decrement > SETTLED or at is None or (flat and state.parts):
        raise np.linalg.LinAlgError("an effect at a threshold has no finite estimate")
    if not state.parts:
        return -2 * plain.log_likelihood, "an effect at a threshold is infinite: statistic of the limit" if flat else ""
    found = fit_random(model, state.codes, result.model.quadrature, plain)
    if not found.converged:
        raise np.linalg.LinAlgError("no optimum found")
    return found.deviance, ""
