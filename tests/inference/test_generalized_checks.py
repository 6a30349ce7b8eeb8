"""Checks of dispersion and zeros: how often they reject what is true, and find what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from golden.pinned import data

from alliance_stats import AllianceError, GeneralizedMixedModel, MixedModel
from alliance_stats.inference.generalized_checks import dispersion_check, zero_check

TRIALS = 40


def shares(seed: int, precision: float | None) -> pd.DataFrame:
    """Twenty therapists of eight patients, ten sessions assigned; beta-binomial where there is a precision."""
    rng = np.random.default_rng([3, seed])
    frame = pd.DataFrame({"therapist": np.repeat(range(20), 8), "x": rng.normal(size=160)})
    p = 1 / (1 + np.exp(-(0.3 * frame["x"] + np.repeat(rng.normal(0, 0.6, 20), 8))))
    p = p if precision is None else rng.beta(p * precision, (1 - p) * precision)
    return frame.assign(done=rng.binomial(10, p))


def counts(seed: int, absent: float) -> pd.DataFrame:
    rng = np.random.default_rng([4, seed])
    frame = pd.DataFrame({"therapist": np.repeat(range(20), 8), "x": rng.normal(size=160)})
    mean = np.exp(1 + 0.3 * frame["x"] + np.repeat(rng.normal(0, 0.4, 20), 8))
    return frame.assign(done=rng.poisson(mean) * (rng.random(160) >= absent))


SHARES = GeneralizedMixedModel("done | trials(10) ~ x + (1 | therapist)")
COUNTS = GeneralizedMixedModel("done ~ x + (1 | therapist)", "poisson")


@pytest.mark.slow
def test_a_true_binomial_is_rejected_one_time_in_twenty() -> None:
    found = pd.concat([dispersion_check(SHARES.fit(shares(seed, None)), n=100) for seed in range(TRIALS)])
    assert (found["p_value"] < 0.05).sum() <= 7  # P(Binomial(40, .05) > 7) = .001
    ratios = found["ratio"]
    assert abs(ratios.mean() - 1) < 3 * ratios.std() / np.sqrt(TRIALS)  # what the fit takes is taken from both


@pytest.mark.slow
def test_a_true_poisson_is_rejected_one_time_in_twenty() -> None:
    fits = [COUNTS.fit(counts(seed, 0)) for seed in range(TRIALS)]
    dispersion = pd.concat([dispersion_check(fit, n=100) for fit in fits])
    zeros = pd.concat([zero_check(fit, n=100) for fit in fits])
    assert (dispersion["p_value"] < 0.05).sum() <= 7
    assert (zeros["p_value"] < 0.05).sum() <= 7
    assert abs(dispersion["ratio"].mean() - 1) < 3 * dispersion["ratio"].std() / np.sqrt(TRIALS)


def test_overdispersion_is_found_and_gone_with_the_right_family() -> None:
    """φ = 9 makes the variance 1 + 9/10 times the binomial's."""
    frame = shares(0, 9.0)
    off = dispersion_check(SHARES.fit(frame)).iloc[0]
    assert off["p_value"] == pytest.approx(2 / 1001)
    assert 1.4 < off["ratio"] < 2.4
    assert off["expected_low"] < 1 < off["expected_high"] < off["ratio"]
    right = GeneralizedMixedModel("done | trials(10) ~ x + (1 | therapist)", "betabinomial").fit(frame)
    assert dispersion_check(right)["p_value"].iloc[0] > 0.05


def test_zeros_of_patients_who_never_began_are_found() -> None:
    found = zero_check(COUNTS.fit(counts(0, 0.3)), n=500).iloc[0]
    assert found["zeros"] > found["expected_high"]
    assert found["p_value"] == pytest.approx(2 / 501)
    assert found["ratio"] == found["zeros"] / found["expected"]


@pytest.mark.parametrize("family", ["betabinomial", "beta", "negativebinomial", "poisson", "binomial"])
def test_variances_are_those_of_the_draws(family: str) -> None:
    from alliance_stats.models.generalized_families import FAMILIES

    rng, mean, trials = np.random.default_rng(2), np.array([0.1, 0.5, 0.8]), np.array([12.0, 5, 1])
    draws = FAMILIES[family].draw(rng, np.repeat(mean[None], 400_000, axis=0), trials, 4.0)
    variance = FAMILIES[family].variance(mean, trials, 4.0)
    error = ((draws - draws.mean(axis=0)) ** 2).std(axis=0) / np.sqrt(400_000)
    assert (np.abs(draws.var(axis=0) - variance) < 4 * error).all()


def test_seeds() -> None:
    fit = COUNTS.fit(counts(1, 0))
    pd.testing.assert_frame_equal(dispersion_check(fit, n=100, rng=4), dispersion_check(fit, n=100, rng=4))
    assert not zero_check(fit, n=100, rng=4).equals(zero_check(fit, n=100, rng=5))


def test_crossed_factors_slopes_and_exposures() -> None:
    """The measure at the modes is that of the fit, but for what separates the mode of β from its estimate."""
    fit = GeneralizedMixedModel(
        "exercises ~ x + session + (1 + x | patient) + (1 | room)", "poisson", exposure="days"
    ).fit(data("glmm_sessions"))
    row = dispersion_check(fit, n=100).iloc[0]
    own = fit.augment()
    assert row["statistic"] == pytest.approx((own["residual"] ** 2 / own["fitted"]).sum(), rel=0.02)
    assert row["p_value"] < 0.05  # the counts were drawn from a negative binomial
    right = GeneralizedMixedModel(
        "exercises ~ x + session + (1 | patient) + (1 | room)", "negativebinomial", exposure="days"
    ).fit(data("glmm_sessions"))
    assert dispersion_check(right, n=100)["p_value"].iloc[0] > 0.05


def test_refusals() -> None:
    sessions = data("glmm_sessions")
    binary = GeneralizedMixedModel("attended ~ x + (1 | patient)").fit(sessions)
    with pytest.raises(AllianceError, match="one trial a row cannot be overdispersed"):
        dispersion_check(binary)
    with pytest.raises(AllianceError, match="zeros follow from the mean"):
        zero_check(binary)
    beta = GeneralizedMixedModel("share ~ arm + (1 | therapist)", "beta").fit(data("glmm_adherence"))
    with pytest.raises(AllianceError, match="zeros follow from the mean"):
        zero_check(beta)
    linear = MixedModel("exercises ~ x + (1 | patient)").fit(sessions)
    for check in (dispersion_check, zero_check):
        with pytest.raises(AllianceError, match="MixedModel is no GeneralizedMixedModel"):
            check(linear)
        with pytest.raises(AllianceError, match="n is 10"):
            check(beta, n=10)
