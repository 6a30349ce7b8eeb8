"""Recomputations against scipy and statsmodels, which were written by others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from alliance_stats.claims.recompute import recompute

RNG = np.random.default_rng(3)


def with_correlation(r: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two columns whose sample correlation is exactly r."""
    x, noise = RNG.standard_normal((2, n))
    x = (x - x.mean()) / x.std()
    noise -= noise.mean() + x * (x @ noise) / (x @ x)
    return x, r * x + np.sqrt(1 - r**2) * noise / noise.std()


@pytest.mark.parametrize(("r", "n"), [(".29", "59"), ("-.27", "53"), (".217", "45"), (".9", "6")])
def test_correlations_are_scipys(r, n):
    x, y = with_correlation(float(r), int(n))
    expected = stats.pearsonr(x, y)
    found = recompute("correlation", {"r": r, "n": n})
    limits = expected.confidence_interval()
    np.testing.assert_allclose([found.low, found.high, found.more["p"]], [*limits, expected.pvalue], rtol=1e-9)


def test_a_share_of_variance_is_the_square_of_a_correlation():
    found, same = recompute("variance explained", {"percent": "4.7", "n": "45"}), np.sqrt(0.047)
    assert found.estimate == pytest.approx(same, rel=1e-12)
    assert (found.low < 0 < found.high) is True


def test_a_pooled_correlation_gives_back_limits_made_on_fishers_scale():
    r, se = 0.3, 0.08
    low, high = np.tanh(np.arctanh(r) + np.array([-1, 1]) * stats.norm.ppf(0.975) * se)
    found = recompute("pooled correlation", {"r": str(r), "low": f"{low:.12f}", "high": f"{high:.12f}"})
    np.testing.assert_allclose(
        [found.low, found.high, found.more["statistic"]], [low, high, np.arctanh(r) / se], rtol=1e-9
    )


def test_paired_and_two_interval_differences_are_scipys():
    x = RNG.normal(2, 3, 20)
    expected = stats.ttest_1samp(x, 0)
    found = recompute("paired", {"mean": f"{x.mean():.12f}", "sd": f"{x.std(ddof=1):.12f}", "n": "20"})
    np.testing.assert_allclose(
        [found.low, found.high, found.more["p"]], [*expected.confidence_interval(), expected.pvalue], rtol=1e-9
    )
    y = RNG.normal(1, 5, 9)
    limits = [stats.ttest_1samp(v, 0).confidence_interval() for v in (x, y)]
    seen = {"mean": x.mean(), "low": limits[0].low, "high": limits[0].high, "mean2": y.mean(), "low2": limits[1].low,
            "high2": limits[1].high}  # fmt: skip
    found = recompute("two intervals", {k: f"{v:.12f}" for k, v in seen.items()} | {"n": "20", "n2": "9"})
    welch = stats.ttest_ind(x, y, equal_var=False)
    np.testing.assert_allclose(
        [found.low, found.high, found.more["p"]], [*welch.confidence_interval(), welch.pvalue], rtol=1e-8
    )


def test_intervals_ratios_and_coefficients_on_the_normal_and_on_few_centres():
    found = recompute("interval", {"estimate": "0.41", "low": "0.10", "high": "0.72", "centres": "12"})
    se = 0.31 / stats.norm.ppf(0.975)
    assert found.more["p"] == pytest.approx(2 * stats.t.sf(0.41 / se, 10), rel=1e-9)
    assert found.more["p_normal"] == pytest.approx(2 * stats.norm.sf(0.41 / se), rel=1e-9)
    assert found.low == pytest.approx(0.41 - stats.t.ppf(0.975, 10) * se, rel=1e-9)
    plain = recompute("interval", {"estimate": "0.41", "low": "0.10", "high": "0.72"})
    np.testing.assert_allclose([plain.low, plain.high], [0.10, 0.72], rtol=1e-12)
    ratio = recompute("ratio", {"estimate": "1.26", "low": "1.05", "high": "1.512"})
    np.testing.assert_allclose([ratio.low, ratio.high, ratio.null], [1.05, 1.512, 1.0], rtol=1e-12)
    same = recompute("coefficient", {"estimate": "-1.27", "se": ".60"})
    assert same.more["p"] == pytest.approx(2 * stats.norm.sf(1.27 / 0.6), rel=1e-9)


def test_shares_are_wilsons_and_chi_squared_is_scipys():
    found = recompute("share", {"percent": "46", "n": "116"})
    low, high = proportion_confint(0.46 * 116, 116, method="wilson")
    np.testing.assert_allclose([found.low, found.high], [100 * low, 100 * high], rtol=1e-9)
    fit = recompute("chi-squared", {"statistic": "3.86", "df": "3", "n": "76"})
    assert fit.more["p"] == pytest.approx(stats.chi2.sf(3.86, 3), rel=1e-9)
    assert fit.more["rmsea"] == pytest.approx(np.sqrt(0.86 / (3 * 75)), rel=1e-12)
    assert recompute("chi-squared", {"statistic": "2", "df": "3", "n": "76"}).more["rmsea"] == 0


def test_d_is_the_slope_of_the_logit():
    """Alliance is normal with equal spread in both groups, d apart: logistic regression finds −d a standard deviation."""
    import statsmodels.api as sm

    quantiles = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    left, stayed = quantiles, quantiles + 0.55
    y = np.repeat([1.0, 0.0], 4000)
    slope = sm.Logit(y, sm.add_constant(np.concatenate([left, stayed]))).fit(disp=0).params[1]
    found = recompute("pooled d", {"d": ".55", "n": "1301"})
    assert found.more["slope"] == pytest.approx(slope, abs=2e-3)  # quantiles in place of densities
    assert found.estimate == pytest.approx(np.exp(slope), abs=2e-3)


def test_the_standard_error_of_a_pooled_d_reproduces_its_p():
    found = recompute("d with p", {"d": ".11", "p": ".02"})
    assert 2 * stats.norm.sf(0.11 / found.more["se"]) == pytest.approx(0.02, rel=1e-9)
    assert found.low > 0


def test_what_has_no_precision_has_no_interval():
    for kind, seen in (("hazard", {"b": "-.02"}), ("factors", {"factors": "1"}), ("statement", {"n": "59"})):
        found = recompute(kind, seen)
        assert np.isnan([found.low, found.high]).all()
    assert recompute("hazard", {"b": "-.10"}).estimate == pytest.approx(0.904837418, rel=1e-8)
