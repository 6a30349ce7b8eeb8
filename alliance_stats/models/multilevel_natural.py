"""Multilevel mediation with a binary mediator or outcome: natural effects averaged over random intercepts.

Each equation has a random intercept of the group, d_M and d_Y, independent of one another; a binary response is a logit. The
effects compare two exposures of every row, x₀ and x₁: the two values of an exposure that has two, else the row's own and one
unit more.

    indirect = E Y(x₁, M(x₁)) − E Y(x₁, M(x₀)),   direct = E Y(x₁, M(x₀)) − E Y(x₀, M(x₀)),   total = their sum,

the mean over the rows with their covariates, and over d_M, d_Y ~ N(0, τ²): a new patient's probability, not that of a patient
with d = 0. A normal mediator is integrated out with the intercepts as one normal variable. With ``center`` and

- 1-1-1: one session's exposure moves, the means of exposure and mediator over the patient's sessions stay as they were, and the
  deviation of the mediator has the variance σ²(1 − 1/n_j): effects within patients, named ``…_within``;
- 2-1-1: the group's exposure moves, and with it the mean of the mediator, of variance τ_M² + σ²/n_j.

A binary mediator enters the outcome's equation in one piece: its path is taken to be the same within groups and between them,
and E Y(x, M(x′)) = Σ_m P(M(x′) = m) E Y(x, m). Intervals draw all coefficients and the standard deviations of the intercepts
from their joint normal sampling distribution, of which the two equations' parts are independent.

Sources: Imai, Keele & Tingley 2010, doi 10.1037/a0020761 (natural effects by averaging); Bind et al. 2016, doi
10.1093/biostatistics/kxv029 (with random effects).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from alliance_stats.models import multilevel_options as options
from alliance_stats.models.multilevel_equations import Fitted

if TYPE_CHECKING:
    from alliance_stats.models.multilevel_mediation import MultilevelMediation

NODES = 15  # of Gauss–Hermite: probabilities to 1e-5 up to standard deviations of 3 on the logit scale
AT_ONCE = 4_000_000  # evaluations of a probability in one piece of work


@dataclass(frozen=True, eq=False)
class Worlds:
    """Distinct rows with their weights, at both exposures: columns of the mediator's equation and of the outcome's.

    ``own`` and ``mean`` are the places of the mediator's deviation (or of the undivided mediator) and of its mean among the
    outcome's coefficients; ``mean`` is missing where the mean stays as it was. ``inner`` (rows,) is the part of the mediator's
    columns that makes deviations; ``size`` the rows of the group.
    """

    weight: np.ndarray
    size: np.ndarray
    mediator: tuple[np.ndarray, np.ndarray]
    inner: tuple[np.ndarray, np.ndarray]
    outcome: tuple[np.ndarray, np.ndarray]
    own: int
    mean: int | None
    divided: bool


def is_divided(model: MultilevelMediation) -> bool:
    """Whether the mediator's mean and deviations are predictors of their own."""
    return model.center and model.mediator not in dict(model.family)


def build_worlds(model: MultilevelMediation, working: pd.DataFrame, m: Fitted, y: Fitted) -> Worlds:
    """The distinct rows of the data at both exposures."""
    x = working[model.exposure]
    values = np.unique(x)
    low, high = (x * 0 + values[0], x * 0 + values[1]) if len(values) == 2 else (x, x + 1)
    size = working.groupby(model.group, observed=True)[model.exposure].transform("size").to_numpy(dtype=float)
    own, mean = list(y.terms).index(mediator_terms(model)[0]), None
    if is_divided(model) and model.design == "2-1-1":
        mean = list(y.terms).index(mediator_terms(model)[1])
    made = [_at(model, working, m, y, value) for value in (low, high)]
    stacked = np.column_stack([size, *(part for world in made for part in world)])
    rows, counts = np.unique(stacked, axis=0, return_counts=True)
    sizes = [1, *(part.shape[1] for world in made for part in world)]
    parts = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    pairs = [(parts[1 + k], parts[4 + k]) for k in range(3)]
    return Worlds(counts / len(stacked), parts[0][:, 0], pairs[0], pairs[1], pairs[2], own, mean, is_divided(model))


def mediator_terms(model: MultilevelMediation) -> list[str]:
    """Names of the mediator's columns in the outcome's equation."""
    return [f"{model.mediator}_within", f"{model.mediator}_between"] if is_divided(model) else [model.mediator]


def _at(
    model: MultilevelMediation, working: pd.DataFrame, m: Fitted, y: Fitted, x: pd.Series[Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of the mediator's equation, their deviations from the group's, and columns of the outcome's, at an exposure.

    In 1-1-1 the group's means stay those observed, in 2-1-1 the exposure moves all rows of the group alike. The mediator's own
    columns are zero among the outcome's unless its mean stays as it was.
    """
    frame = working.assign(**{model.exposure: x, f"{model.exposure}_within": x - working[f"{model.exposure}_between"]})
    held = dict.fromkeys(mediator_terms(model), 0.0)
    if model.design == "1-1-1" and is_divided(model):
        del held[f"{model.mediator}_between"]
    own = m.design.matrix(frame)
    around = pd.DataFrame(m.design.matrix(working if model.design == "1-1-1" else frame))
    codes = options.codes_of(working, model.group)[0]
    return own, own - around.groupby(codes).transform("mean").to_numpy(), y.design.matrix(frame.assign(**held))


def natural_effects(worlds: Worlds, m: Fitted, y: Fitted, phi: np.ndarray) -> np.ndarray:
    """Indirect, direct and total effect for rows of parameters, shape (draws, 3)."""
    at_once = max(1, AT_ONCE // (NODES * len(worlds.weight)))
    return np.concatenate(
        [_effects_of(worlds, m, y, part) for part in np.split(phi, range(at_once, len(phi), at_once))]
    )


def _effects_of(worlds: Worlds, m: Fitted, y: Fitted, phi: np.ndarray) -> np.ndarray:
    make = _through_binary if m.binary else _through_normal
    own, other = phi[:, : len(m.parameters)], phi[:, len(m.parameters) :]
    both, cross, neither = (make(worlds, m, y, own, other, x, z) @ worlds.weight for x, z in ((1, 1), (1, 0), (0, 0)))
    return np.stack([both - cross, cross - neither, both - neither], axis=-1)


def _through_normal(
    worlds: Worlds, m: Fitted, y: Fitted, own: np.ndarray, other: np.ndarray, x: int, z: int
) -> np.ndarray:
    """E Y(x, M(z)) of each row, (draws, rows): the mediator and both intercepts are one normal variable."""
    p, q = len(m.terms), len(y.terms)
    tau2, sigma2, n = own[:, p, None] ** 2, own[:, p + 1, None] ** 2, worlds.size
    alpha, beta = own[:, :p], other[:, :q]
    b, eta, variance = beta[:, worlds.own, None], beta @ worlds.outcome[x].T, other[:, q, None] ** 2
    if not worlds.divided:
        return _mean(y, eta + b * (alpha @ worlds.mediator[z].T), variance + b**2 * (tau2 + sigma2))
    inner = alpha @ worlds.inner[z].T
    if worlds.mean is None:
        return _mean(y, eta + b * inner, variance + b**2 * sigma2 * (1 - 1 / n))
    above = beta[:, worlds.mean, None]
    eta = eta + above * (alpha @ worlds.mediator[z].T - inner) + b * inner
    return _mean(y, eta, variance + above**2 * (tau2 + sigma2 / n) + b**2 * sigma2 * (1 - 1 / n))


def _through_binary(
    worlds: Worlds, m: Fitted, y: Fitted, own: np.ndarray, other: np.ndarray, x: int, z: int
) -> np.ndarray:
    """E Y(x, M(z)) of each row, (draws, rows): both values of the mediator, weighted by their probability."""
    p, q = len(m.terms), len(y.terms)
    one = _mean(m, own[:, :p] @ worlds.mediator[z].T, own[:, p, None] ** 2)
    eta, b, variance = other[:, :q] @ worlds.outcome[x].T, other[:, worlds.own, None], other[:, q, None] ** 2
    return np.asarray(one * _mean(y, eta + b, variance) + (1 - one) * _mean(y, eta, variance))


def _mean(equation: Fitted, eta: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Mean of the response at η + e, e normal with the variance."""
    if not equation.binary:
        return eta
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    spread, total = np.sqrt(variance), np.zeros(np.broadcast_shapes(eta.shape, variance.shape))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        total += weight * special.expit(eta + spread * node)
    return total
