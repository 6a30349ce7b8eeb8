"""Small unbalanced designs and outcomes of every family, for the tests of generalised mixed models."""

from __future__ import annotations

import numpy as np

from alliance_stats.numerics.glmm.binomial import BinomialCloglog, BinomialLogit, BinomialProbit
from alliance_stats.numerics.glmm.counts import NegativeBinomialLog, PoissonLog
from alliance_stats.numerics.glmm.likelihood import Likelihood
from alliance_stats.numerics.glmm.links import LINKS
from alliance_stats.numerics.glmm.mode import Problem
from alliance_stats.numerics.glmm.precision import Beta, BetaBinomial
from alliance_stats.numerics.glmm.structure import structure
from alliance_stats.numerics.mixed.parts import Level, template

N = 240
RNG = np.random.default_rng(3)
PATIENT = RNG.permutation(np.repeat(np.arange(60), RNG.multinomial(N - 60, np.ones(60) / 60) + 1))
THERAPIST = PATIENT // 13
ROOM = RNG.integers(0, 7, N)
X = np.column_stack([np.ones(N), RNG.normal(size=N)])
TIME = RNG.normal(size=N)
TRIALS = RNG.integers(1, 9, N).astype(float)
ONE = np.ones((N, 1))


def level(codes: np.ndarray, Z: np.ndarray, blocks: list[int]) -> Level:
    return Level(codes, Z, *template(blocks))


LEVELS = {
    "one": [level(PATIENT, ONE, [1])],
    "one slope": [level(PATIENT, TIME[:, None], [1])],
    "nested": [
        level(PATIENT, np.column_stack([ONE, TIME]), [2]),
        level(THERAPIST, np.column_stack([ONE, X[:, 1]]), [1, 1]),
    ],
    "three levels": [
        level(PATIENT, ONE, [1]),
        level(THERAPIST, ONE, [1]),
        level(THERAPIST // 2, np.column_stack([ONE, TIME]), [2]),
    ],
    "crossed": [
        level(PATIENT, np.column_stack([ONE, TIME]), [2]),
        level(ROOM, np.column_stack([ONE, X[:, 1]]), [2]),
        level(PATIENT * 7 % 5, ONE, [1]),
    ],
}
_successes = RNG.binomial(TRIALS.astype(int), 0.4).astype(float)
_counts = RNG.negative_binomial(2, 0.4, N).astype(float)
_shares = RNG.beta(2, 3, N)
LIKELIHOODS: dict[str, Likelihood] = {
    "logit": BinomialLogit(_successes, TRIALS),
    "probit": BinomialProbit(_successes, TRIALS),
    "cloglog": BinomialCloglog(_successes, TRIALS),
    "poisson": PoissonLog(_counts),
    "negative binomial": NegativeBinomialLog(_counts),
    "beta-binomial": BetaBinomial(_successes, TRIALS, LINKS["logit"]),
    "beta-binomial cloglog": BetaBinomial(_successes, TRIALS, LINKS["cloglog"]),
    "beta": Beta(_shares, TRIALS, LINKS["logit"]),
    "beta probit": Beta(_shares, TRIALS, LINKS["probit"]),
}
DISPERSED = [name for name, likelihood in LIKELIHOODS.items() if likelihood.dispersed]
BETA = np.array([-0.3, 0.2])
THETA = np.array([0.7, 0.2, 0.5, 0.4, 0.3, 0.6, 0.5])
PSI = 0.7


def problem(levels: list[Level], likelihood: Likelihood) -> Problem:
    groups = structure(levels)
    offset = 0.1 * TIME
    return Problem(X[groups.order], offset[groups.order], likelihood.rows(groups.order), groups)


def theta_of(levels: list[Level]) -> np.ndarray:
    return THETA[: sum(len(each.rows) for each in levels)]
