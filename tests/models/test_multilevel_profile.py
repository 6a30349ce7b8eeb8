"""Profile limits of multilevel mediation: the deviance at the ends, likelihood ratio tests, skewness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from alliance_stats.errors import AllianceError
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.models.multilevel_paths import quantities
from alliance_stats.models.multilevel_profile import profile
from alliance_stats.result import Result

MOST = 3.841458820694124
LEVELS = (0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)


def sessions(patients: int = 30, seed: int = 1, a: float = 0.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    p = np.repeat(np.arange(patients), rng.integers(4, 8, size=patients))
    n = len(p)
    own = 0.3 * rng.normal(size=(patients, 2))[p]
    x = rng.normal(size=n)
    m = rng.normal(size=patients)[p] + (a + own[:, 0]) * x + rng.normal(size=n)
    y = rng.normal(size=patients)[p] + (0.4 + own[:, 1]) * m + 0.2 * x + rng.normal(size=n)
    return pd.DataFrame({"patient": p, "practice": x, "alliance": m, "relief": y, "arm": p % 2})


def fitted(data: pd.DataFrame, **options: Any) -> Result:
    given = {"random": (), "interval": "profile"} | options
    return MultilevelMediation("practice", "alliance", "relief", **given).fit(data, progress=False)


def upper(data: pd.DataFrame, **options: Any) -> Result:
    given = {"design": "2-1-1", "interval": "profile", "method": "ML"} | options
    return MultilevelMediation("arm", "alliance", "relief", **given).fit(data, progress=False)


def row(result: Result, term: str) -> Any:
    return result.tidy().set_index("term").loc[term]


def with_path_held(data: pd.DataFrame, value: float) -> float:
    """Deviance of the 2-1-1 model with a path of the exposure held: its part moves to the mediator."""
    moved = data.assign(alliance=data["alliance"] - value * data["arm"])
    null = MixedModel("alliance ~ 1 + (1 | patient)", method="ML", df_method="normal").fit(moved)
    return float(null.glance()["deviance"].iloc[0])


def test_limits_of_a_path_are_where_the_deviance_of_the_fit_without_it_has_risen() -> None:
    """a in 2-1-1 is a coefficient of the mediator's equation alone, which MixedModel fits with an offset in its place."""
    data = sessions()
    found = row(upper(data), "a")
    best = with_path_held(data, found.estimate)
    for end in (found.conf_low, found.conf_high):
        assert with_path_held(data, end) - best == pytest.approx(MOST, abs=0.02)
    assert found.p_value == pytest.approx(chi2.sf(with_path_held(data, 0.0) - best, 1), abs=1e-4)


def test_limits_of_the_product_have_the_deviance_of_the_best_pair_of_paths() -> None:
    """In 2-1-1 the rise for ab = c is the least sum of the rises of a and of b = c/a, on a fine grid of a."""
    result = upper(sessions(), interval="delta")
    solved, V = result.state.solved, result.state.covariance
    wanted = {q.term: q for q in quantities(result.model, solved.stack, (("", 0.0),))}
    end = profile([wanted["indirect"]], solved, V, 0.95, progress=False).rows.iloc[0]
    curves = {}
    for term in ("a", "b_between"):
        rows = [profile([wanted[term]], solved, V, level, progress=False).rows.iloc[0] for level in LEVELS]
        rise = chi2.ppf(LEVELS, 1)
        place = np.r_[[r.conf_low for r in rows[::-1]], rows[0].estimate, [r.conf_high for r in rows]]
        curves[term] = (place, np.r_[-np.sqrt(rise[::-1]), 0.0, np.sqrt(rise)])
    grid = np.linspace(*curves["a"][0][[0, -1]], 4001)
    grid = grid[np.abs(grid) > 0.02]
    for value in (end.conf_low, end.conf_high):
        other = value / grid
        inside = (other > curves["b_between"][0][0]) & (other < curves["b_between"][0][-1])
        total = np.interp(grid, *curves["a"]) ** 2 + np.interp(other, *curves["b_between"]) ** 2
        assert total[inside].min() == pytest.approx(MOST, abs=0.1)


def test_limits_are_skewed_as_a_product_is_and_wider_than_nothing() -> None:
    data = sessions(patients=40, a=0.25)
    made, plain = fitted(data), fitted(data, interval="delta", method="ML")
    effect = row(made, "indirect_between")
    assert effect.interval == "profile"
    assert made.model.reml is False
    assert row(plain, "indirect_between").estimate == pytest.approx(effect.estimate, rel=1e-6)
    for term in ("a_within", "b_within", "total_within"):
        one, other = row(made, term), row(plain, term)
        assert one.conf_high - one.conf_low == pytest.approx(other.conf_high - other.conf_low, rel=0.1)
    indirect = row(made, "indirect_within")
    assert indirect.conf_high - indirect.estimate > indirect.estimate - indirect.conf_low


def test_test_of_a_product_is_that_of_its_weaker_path() -> None:
    """ab = 0 is the union of a = 0 and b = 0: the likelihood ratio is the lesser of both."""
    made = fitted(sessions())
    p = [row(made, term).p_value for term in ("a_between", "b_between")]
    assert row(made, "indirect_between").p_value == pytest.approx(max(p), rel=1e-3)


def test_random_slopes_have_limits_of_their_covariance_and_none_of_their_spread() -> None:
    result = fitted(sessions(), random=("a", "b"), interval="delta", method="ML")
    solved = result.state.solved
    wanted = [q for q in quantities(result.model, solved.stack, (("", 0.0),)) if q.component == "random"]
    made = profile(wanted, solved, result.state.covariance, 0.95, progress=False)
    cov, spread = made.rows.iloc[0], made.rows.iloc[1]
    assert cov.conf_low < cov.estimate < cov.conf_high
    assert np.isnan(spread.conf_low)
    assert spread.interval == ""
    assert made.notes == ()


def test_profiles_are_of_the_likelihood() -> None:
    with pytest.raises(AllianceError, match="method='ML'"):
        MultilevelMediation("practice", "alliance", "relief", interval="profile", method="REML")
