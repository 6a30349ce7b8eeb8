"""The wild cluster bootstrap against every draw fitted anew, its level with ten clusters, and what it refuses."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats import AllianceError, LinearModel, MixedModel
from alliance_stats.inference.wild_bootstrap import wild_bootstrap
from alliance_stats.models.fractional import FractionalModel


def small(groups: int = 7, seed: int = 3) -> pd.DataFrame:
    """Unequal clusters."""
    rng = np.random.default_rng(seed)
    therapist = np.repeat(np.arange(groups), rng.integers(3, 9, groups))
    n = len(therapist)
    frame = pd.DataFrame({"therapist": therapist, "x": rng.normal(size=n), "z": rng.normal(size=groups)[therapist]})
    frame["pain"] = 5 + 0.4 * frame["x"] + rng.normal(size=groups)[therapist] + rng.normal(size=n)
    frame["assigned"] = rng.integers(4, 12, n)
    share = 1 / (1 + np.exp(-0.4 * frame["x"] - 0.6 * rng.normal(size=groups)[therapist]))
    frame["completed"] = rng.binomial(frame["assigned"], share)
    return frame


def t_of(X: np.ndarray, y: np.ndarray, codes: np.ndarray, j: int, null: float) -> float:
    """A fit with CR1 (whose factor cancels)."""
    M = np.linalg.inv(X.T @ X)
    beta = M @ X.T @ y
    e = y - X @ beta
    meat = np.sum([np.outer(s, s) for s in (X[codes == g].T @ e[codes == g] for g in np.unique(codes))], axis=0)
    return float((beta[j] - null) / np.sqrt((M @ meat @ M)[j, j]))


@pytest.mark.parametrize(("term", "null"), [("x", 0.0), ("z", 0.0), ("x", 0.3), ("Intercept", 5.0)])
def test_linear_against_every_draw_fitted_anew(term: str, null: float) -> None:
    frame = small()
    fit = LinearModel("pain ~ x + z", "CR2", "therapist").fit(frame)
    X, y, codes = fit.state.design.matrix(frame), frame["pain"].to_numpy(), frame["therapist"].to_numpy()
    j = list(fit.covariance.index).index(term)
    rest = np.delete(np.arange(3), j)
    b = np.linalg.lstsq(X[:, rest], y - null * X[:, j])[0]
    mean = X[:, rest] @ b + null * X[:, j]
    u, actual = y - mean, t_of(X, y, codes, j, null)
    draws = [t_of(X, mean + u * np.array(v)[codes], codes, j, null) for v in product((1.0, -1.0), repeat=7)]
    expected = np.mean(np.abs(draws) >= abs(actual) * (1 - 1e-9))
    row = wild_bootstrap(fit, term, null=null, weights="rademacher", interval=False).iloc[0]
    assert row["p_value"] == expected
    assert np.isclose(row["statistic"], actual, rtol=1e-9)
    assert 2 / 128 <= row["p_value"] <= 1


def test_scores_against_every_draw_written_out() -> None:
    """Whitened regression at the restricted estimate, residuals multiplied by cluster, one scoring step from there."""
    frame = small()
    fit = FractionalModel("completed | trials(assigned) ~ x + z", vcov="CR2", cluster="therapist").fit(frame)
    restricted = FractionalModel("completed | trials(assigned) ~ z", vcov="CR2", cluster="therapist").fit(frame)
    codes, w = frame["therapist"].to_numpy(), frame["assigned"].to_numpy(float)
    X = fit.state.design.matrix(frame)
    mu = restricted.state.at.mean
    root = np.sqrt(mu * (1 - mu) * w)
    white, u = X * root[:, None], (frame["completed"] / w - mu).to_numpy() * w / root
    actual = t_of(white, u, codes, 1, 0.0)
    draws = [t_of(white, u * np.array(v)[codes], codes, 1, 0.0) for v in product((1.0, -1.0), repeat=7)]
    row = wild_bootstrap(fit, "x", weights="rademacher", interval=False).iloc[0]
    assert np.isclose(row["statistic"], actual, rtol=1e-7)
    assert row["p_value"] == np.mean(np.abs(draws) >= abs(actual) * (1 - 1e-9))


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_the_interval_inverts_the_test(weights: str) -> None:
    frame = small(12)
    for fit in (
        LinearModel("pain ~ x + z", "CR2", "therapist").fit(frame),
        FractionalModel("completed | trials(assigned) ~ x", vcov="CR2", cluster="therapist").fit(frame),
    ):
        options = {"weights": weights, "draws": 999}
        row = wild_bootstrap(fit, "x", **options).iloc[0]  # type: ignore[arg-type]
        assert row["conf_low"] < row["estimate"] < row["conf_high"]
        width = row["conf_high"] - row["conf_low"]
        for end, out in ((row["conf_low"], -1), (row["conf_high"], 1)):
            inside, outside = (
                wild_bootstrap(fit, "x", null=end + k * out * width * 1e-3, interval=False, **options)["p_value"].iloc[
                    0
                ]  # type: ignore[arg-type]
                for k in (-1, 1)
            )
            assert inside > 0.05 >= outside
        assert (row["p_value"] <= 0.05) == (not row["conf_low"] < 0 < row["conf_high"])


def test_exact_draws_have_no_seed() -> None:
    fit = LinearModel("pain ~ x", "CR1", "therapist").fit(small(10))
    one, other = (wild_bootstrap(fit, "x", rng=seed) for seed in (1, 2))
    pd.testing.assert_frame_equal(one, other)
    assert one.attrs["draws"] == "all 1024 sign changes of 10 clusters"
    sampled, again = (wild_bootstrap(fit, "x", draws=499, rng=4, interval=False) for _ in range(2))
    pd.testing.assert_frame_equal(sampled, again)
    assert sampled.attrs["draws"] == "499 rademacher draws of 10 clusters"
    assert wild_bootstrap(fit, "x", interval=False)["interval"].iloc[0] == ""


def test_below_ten_clusters_six_points() -> None:
    fit = LinearModel("pain ~ x", "CR2", "therapist").fit(small(5))
    row = wild_bootstrap(fit, "x", draws=999, interval=False)
    assert row.attrs["draws"] == "999 webb draws of 5 clusters"
    exact = wild_bootstrap(fit, "x", weights="rademacher", interval=False)["p_value"].iloc[0]
    assert exact >= 2 / 32  # the smallest p-value there is


def test_type_one_error_with_ten_clusters() -> None:
    """A covariate of the therapist without effect, unequal caseloads: CR1 with normal quantiles rejects far too often."""
    rng = np.random.default_rng(7)
    sizes = np.array([4, 4, 6, 6, 8, 8, 10, 12, 14, 18])
    therapist = np.repeat(np.arange(10), sizes)
    rejected = {"linear": 0, "fractional": 0, "normal": 0}
    for _ in range(300):
        x, effect = rng.normal(size=10)[therapist], rng.normal(0, 0.7, 10)[therapist]
        frame = pd.DataFrame({"therapist": therapist, "x": x, "assigned": 8})
        frame["pain"] = effect + rng.normal(size=len(x))
        frame["completed"] = rng.binomial(8, 1 / (1 + np.exp(-effect)))
        linear = LinearModel("pain ~ x", "CR1", "therapist").fit(frame)
        share = FractionalModel("completed | trials(assigned) ~ x", vcov="CR1", cluster="therapist").fit(frame)
        rejected["linear"] += wild_bootstrap(linear, "x", interval=False)["p_value"].iloc[0] <= 0.05
        rejected["fractional"] += wild_bootstrap(share, "x", interval=False)["p_value"].iloc[0] <= 0.05
        rejected["normal"] += abs(linear.tidy()["statistic"].iloc[1]) > 1.96
    error = np.sqrt(0.05 * 0.95 / 300)
    assert abs(rejected["linear"] / 300 - 0.05) < 3 * error
    assert abs(rejected["fractional"] / 300 - 0.05) < 3 * error
    assert rejected["normal"] / 300 > 0.05 + 5 * error


def test_one_therapist_alone() -> None:
    """The dummy of one therapist: CR1 takes his patients' mean as certain, the wild bootstrap does not."""
    frame = small(10).assign(own=lambda d: (d["therapist"] == 0).astype(float))
    fit = LinearModel("pain ~ own", "CR1", "therapist").fit(frame)
    assert fit.tidy()["p_value"].iloc[1] < 0.01
    row = wild_bootstrap(fit, "own").iloc[0]
    assert row["p_value"] > 0.2
    assert row["conf_high"] - row["conf_low"] > 5 * (fit.tidy()["conf_high"] - fit.tidy()["conf_low"]).iloc[1]


def test_factors_and_missing_rows() -> None:
    frame = data("adherence_trial").assign(arm=lambda d: np.where(d["arm"] == 1, "enhanced", "usual"))
    frame.loc[::9, "share"] = np.nan
    fit = FractionalModel("share ~ arm + alliance", vcov="CR2", cluster="therapist").fit(frame)
    row = wild_bootstrap(fit, "arm[T.usual]", draws=499).iloc[0]
    robust = fit.tidy().set_index("term").loc["arm[T.usual]"]
    assert abs(row["conf_low"] - robust["conf_low"]) < robust["std_error"]
    assert abs(row["conf_high"] - robust["conf_high"]) < robust["std_error"]


def test_refusals() -> None:
    frame = small()
    fit = LinearModel("pain ~ x", "CR2", "therapist").fit(frame)
    with pytest.raises(AllianceError, match="no coefficient 'z'; coefficients: Intercept, x"):
        wild_bootstrap(fit, "z")
    with pytest.raises(AllianceError, match="draws is 10"):
        wild_bootstrap(fit, "x", draws=10)
    with pytest.raises(AllianceError, match="weights is 'normal'"):
        wild_bootstrap(fit, "x", weights="normal")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="level is 95"):
        wild_bootstrap(fit, "x", level=95)
    with pytest.raises(AllianceError, match="needs clusters"):
        wild_bootstrap(LinearModel("pain ~ x").fit(frame), "x")
    with pytest.raises(AllianceError, match="not for MixedModel"):
        wild_bootstrap(MixedModel("pain ~ x + (1 | therapist)").fit(frame), "x")
