"""Families: which links they have, the likelihood of their outcomes, and how outcomes are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alliance_stats.errors import AllianceError
from alliance_stats.models.generalized_response import Outcome
from alliance_stats.numerics.glmm.binomial import BinomialCloglog, BinomialLogit, BinomialProbit
from alliance_stats.numerics.glmm.counts import NegativeBinomialLog, PoissonLog
from alliance_stats.numerics.glmm.likelihood import Likelihood
from alliance_stats.numerics.glmm.links import LINKS, LinkFunction
from alliance_stats.numerics.glmm.precision import Beta, BetaBinomial

SHARES = ("logit", "probit", "cloglog")
START = 5.0  # precision or size at which the search begins
Binomial: dict[str, Callable[[np.ndarray, np.ndarray], Likelihood]] = {
    "logit": BinomialLogit,
    "probit": BinomialProbit,
    "cloglog": BinomialCloglog,
}


@dataclass(frozen=True)
class Family:
    """Name, links (the first is the default), and the name of its dispersion parameter, empty without one."""

    name: str
    links: tuple[str, ...]
    dispersion: str = ""

    @property
    def counts(self) -> bool:
        """Whether outcomes are counts without an upper limit."""
        return self.links == ("log",)

    def likelihood(self, outcome: Outcome, link: str) -> Likelihood:
        """The likelihood of an outcome."""
        y, m = outcome.y, outcome.trials
        if self.name == "binomial":
            return Binomial[link](y, m)
        if self.name == "betabinomial":
            return BetaBinomial(y, m, LINKS[link])
        if self.name == "beta":
            return Beta(y, m, LINKS[link])
        return PoissonLog(y) if self.name == "poisson" else NegativeBinomialLog(y)

    def plain(self, outcome: Outcome, link: str) -> Likelihood:
        """That of the family without dispersion which the search begins with; shares count as ``START`` trials."""
        if self.counts:
            return PoissonLog(outcome.y)
        if self.name == "beta":
            return Binomial[link](outcome.y * START, outcome.trials * START)
        return Binomial[link](outcome.y, outcome.trials)

    def first_eta(self, outcome: Outcome, link: str) -> np.ndarray:
        """The linear predictor of outcomes moved away from where it is infinite."""
        function: LinkFunction = LINKS[link]
        if self.counts:
            return function.inverse(outcome.y + 0.1)
        return function.inverse((outcome.y + 0.5) / (outcome.trials + 1) if self.name != "beta" else outcome.y)

    def draw(self, rng: np.random.Generator, mean: np.ndarray, trials: np.ndarray, dispersion: float) -> np.ndarray:
        """Outcomes with the given means (shares, or expected counts), shape as ``mean``."""
        if self.name == "poisson":
            return np.asarray(rng.poisson(mean), dtype=float)
        if self.name == "negativebinomial":
            mean = mean * rng.gamma(dispersion, 1 / dispersion, mean.shape)
            return np.asarray(rng.poisson(mean), dtype=float)
        if self.name != "binomial":
            mean = rng.beta(mean * dispersion, (1 - mean) * dispersion)
        if self.name == "beta":
            return np.asarray(np.clip(mean, 1e-12, 1 - 1e-12))
        return np.asarray(rng.binomial(trials.astype(int), mean), dtype=float)

    def variance(self, mean: np.ndarray, trials: np.ndarray, dispersion: float) -> np.ndarray:
        """Variance of outcomes with the given means (shares, or expected counts)."""
        if self.name == "poisson":
            return mean
        if self.name == "negativebinomial":
            return mean + mean**2 / dispersion
        share = mean * (1 - mean)
        if self.name == "beta":
            return np.asarray(share / (1 + dispersion))
        return np.asarray(share * trials * (1.0 if self.name == "binomial" else 1 + (trials - 1) / (1 + dispersion)))

    def own_variance(self, link: str, mean_count: float, dispersion: float) -> float:
        """Variance of an outcome on the scale of the linear predictor (Nakagawa, Johnson & Schielzeth 2017,
        doi 10.1098/rsif.2017.0213); missing where it is not agreed on."""
        if self.name == "binomial":
            return {"logit": np.pi**2 / 3, "probit": 1.0, "cloglog": np.pi**2 / 6}[link]
        if self.name == "poisson":
            return float(np.log1p(1 / mean_count))
        return float(np.log1p(1 / mean_count + 1 / dispersion)) if self.counts else np.nan


FAMILIES = {
    family.name: family
    for family in (
        Family("binomial", SHARES),
        Family("betabinomial", SHARES, "phi"),
        Family("poisson", ("log",)),
        Family("negativebinomial", ("log",), "theta"),
        Family("beta", SHARES, "phi"),
    )
}


def read_family(name: str, link: str | None) -> tuple[Family, str]:
    """The family, and its link or default; AllianceError for others.

    >>> read_family("poisson", None)[1]
    'log'
    """
    if name not in FAMILIES:
        raise AllianceError(f"family is {name!r}; use one of {', '.join(FAMILIES)} (for gaussian: MixedModel)")
    family = FAMILIES[name]
    if link is not None and link not in family.links:
        raise AllianceError(f"link is {link!r}; family {name!r} has {', '.join(family.links)}")
    return family, link or family.links[0]
