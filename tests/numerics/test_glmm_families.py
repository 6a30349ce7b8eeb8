"""Likelihoods of generalised mixed models against scipy.stats, and their derivatives against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.glmm_designs import DISPERSED, LIKELIHOODS, PSI

from alliance_stats.numerics.glmm.binomial import BinomialCloglog, BinomialLogit, BinomialProbit
from alliance_stats.numerics.glmm.links import LINKS

ETA = np.linspace(-3, 1.7, 240)
STEP = 1e-5


def log_f(name: str, eta: np.ndarray, psi: float = PSI) -> float:
    likelihood = LIKELIHOODS[name]
    return float(likelihood.inner(eta, psi).log_f.sum()) + likelihood.constant


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_likelihood(name: str) -> None:
    from scipy import stats

    likelihood: Any = LIKELIHOODS[name]
    link = {"poisson": "log", "negative binomial": "log"}.get(name, next((k for k in LINKS if k in name), "logit"))
    mu, size = LINKS[link].mean(ETA), np.exp(PSI)
    if name == "poisson":
        expected = stats.poisson.logpmf(likelihood.y, mu)
    elif name == "negative binomial":
        expected = stats.nbinom.logpmf(likelihood.y, size, size / (size + mu))
    elif name.startswith("beta-"):
        expected = stats.betabinom.logpmf(likelihood.y, likelihood.m, mu * size, (1 - mu) * size)
    elif name.startswith("beta"):
        expected = stats.beta.logpdf(likelihood.y, mu * size, (1 - mu) * size)
    else:
        expected = stats.binom.logpmf(likelihood.y, likelihood.m, mu)
    assert log_f(name, ETA) == pytest.approx(expected.sum(), rel=1e-12)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_derivatives_in_eta(name: str) -> None:
    likelihood = LIKELIHOODS[name]
    up, down, at = (likelihood.inner(ETA + h, PSI) for h in (STEP, -STEP, 0.0))
    assert np.allclose(at.score, (up.log_f - down.log_f) / (2 * STEP), rtol=1e-6, atol=1e-6)
    assert np.allclose(at.curvature, -(up.score - down.score) / (2 * STEP), rtol=1e-6, atol=1e-6)
    weights = [likelihood.outer(ETA + h, PSI, each).weight for h, each in ((STEP, up), (-STEP, down))]
    slope = likelihood.outer(ETA, PSI, at).weight_slope
    assert np.allclose(slope, (weights[0] - weights[1]) / (2 * STEP), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", DISPERSED)
def test_derivatives_in_the_dispersion(name: str) -> None:
    likelihood = LIKELIHOODS[name]
    at = likelihood.inner(ETA, PSI)
    outer = likelihood.outer(ETA, PSI, at)
    up, down = likelihood.inner(ETA, PSI + STEP), likelihood.inner(ETA, PSI - STEP)
    assert np.allclose(outer.log_f_psi, (up.log_f - down.log_f) / (2 * STEP), rtol=1e-6, atol=1e-6)
    assert np.allclose(outer.log_f_psi, likelihood.log_f_psi(ETA, PSI), rtol=1e-12)
    assert np.allclose(outer.score_psi, (up.score - down.score) / (2 * STEP), rtol=1e-6, atol=1e-6)
    assert np.allclose(outer.weight_psi, (up.curvature - down.curvature) / (2 * STEP), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog"])
def test_expected_weights(name: str) -> None:
    """Of a binomial outcome: the curvature averaged over the outcomes."""
    kind: Any = {"logit": BinomialLogit, "probit": BinomialProbit, "cloglog": BinomialCloglog}[name]
    eta, m = np.array([-1.3, 0.2, 0.9]), np.ones(3)
    p = LINKS[name].mean(eta)
    parts = [kind(np.full(3, y), m).inner(eta, 0.0).curvature for y in (0.0, 1.0)]
    weight = kind(m, m).outer(eta, 0.0, kind(m, m).inner(eta, 0.0)).weight
    assert np.allclose(weight, (1 - p) * parts[0] + p * parts[1], rtol=1e-12)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_far_out_everything_is_finite(name: str) -> None:
    for eta in (-60.0, -25.0, 25.0, 60.0):
        with np.errstate(all="raise", under="ignore"):
            at = LIKELIHOODS[name].inner(np.full(240, eta), PSI)
        if name.startswith("beta"):
            continue  # beyond ±30 a mean of 0 or 1 has no beta distribution; the search is kept from there by its likelihood
        assert np.isfinite(at.log_f).all()
        assert np.isfinite(at.score).all()
        assert (at.curvature >= 0).all()


@pytest.mark.parametrize("link", LINKS)
def test_links(link: str) -> None:
    function = LINKS[link]
    at, up, down = (function.slopes(ETA + h) for h in (0.0, STEP, -STEP))
    assert np.allclose(function.inverse(at.mean), ETA, rtol=1e-9, atol=1e-9)
    for name, slope in (("mean", "first"), ("first", "second"), ("second", "third")):
        differenced = (getattr(up, name) - getattr(down, name)) / (2 * STEP)
        assert np.allclose(getattr(at, slope), differenced, rtol=1e-6, atol=1e-9)
