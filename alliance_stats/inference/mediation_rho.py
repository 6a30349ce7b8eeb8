"""How strong an unmeasured cause of mediator and outcome would have to be to change an indirect effect.

ρ is the correlation of the errors of mediator and outcome that such a cause leaves behind (Imai, Keele & Yamamoto 2010,
doi 10.1214/10-STS321). With normal errors and E(e_Y | e_M) = ρ (σ_Y / σ_M) e_M the fitted outcome regression is the causal one
plus δ e_M, δ = ρ / √(1 − ρ²) · s / σ_M, s being the residual SD of the outcome *given* the mediator (1 for a probit). Hence

    index(x, m) = fitted predictor(x, M(m)) + δ (μ_M(x) − μ_M(m)),

which for linear equations is their ACME(ρ) = (a s₁ / s₂) {ρ̃ − ρ √((1 − ρ̃²) / (1 − ρ²))}, also with interactions, and for a
probit has the variance of the fitted regression, (1 − ρ²)(1 + b² σ_M²) on the causal scale. No integral is simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from alliance_stats.models.mediation import MediationState
from alliance_stats.models.mediation_equations import Equation
from alliance_stats.numerics.least_squares import least_squares
from alliance_stats.numerics.mediation import System, averaged, cdf, mediator_means, predictor, slope

WORLDS = {
    "indirect": ((1, 1), (1, 0)), "tnie": ((1, 1), (1, 0)), "acme_treated": ((1, 1), (1, 0)),
    "acme_control": ((0, 1), (0, 0)), "pnie": ((0, 1), (0, 0)), "direct": ((1, 0), (0, 0)), "pnde": ((1, 0), (0, 0)),
    "ade_control": ((1, 0), (0, 0)), "tnde": ((1, 1), (0, 1)), "ade_treated": ((1, 1), (0, 1)),
}  # fmt: skip
EDGE = 1 - 1e-9  # the largest correlation that is looked at
TINY = 1e-30  # complex step
LOST = 1e-8  # relative size of a part of the mediator's design that the outcome's cannot make


@dataclass(frozen=True, eq=False)
class Assumed:
    """One effect as a function of ρ: the equations, which mediator's error is correlated, and the joint estimates."""

    system: System
    k: int
    worlds: tuple[tuple[int, int], tuple[int, int]]
    phi: np.ndarray
    covariance: np.ndarray
    scale: float
    term: str
    at: str

    def values(self, rho: float, phi: np.ndarray) -> np.ndarray:
        """The effect of each draw of the parameters, shape (draws,)."""
        first, second = self.worlds
        return np.asarray(_mean_outcome(self, phi, *first, rho) - _mean_outcome(self, phi, *second, rho))

    def estimate(self, rho: float) -> tuple[float, float]:
        """The effect and its delta-method standard error."""
        moved = self.values(rho, self.phi + 1j * TINY * np.eye(len(self.phi))).imag / TINY
        variance = max(float(moved @ self.covariance @ moved), 0.0)
        return float(self.values(rho, self.phi[None])[0]), float(np.sqrt(variance))

    def zero(self) -> float:
        """The ρ at which the effect vanishes: in closed form where it is linear in δ, else a root; missing if there is none."""
        if self.system.blocks[-1].family.link == "identity":
            at_zero, shift = (float(self.values(rho, self.phi[None])[0]) for rho in (0.0, np.sqrt(0.5)))
            # δ is s / σ_M at ρ = √½, and the effect a straight line in δ.
            steps = at_zero / (at_zero - shift) if shift != at_zero else np.nan
            return float(steps / np.sqrt(1 + steps**2))
        return root_between(lambda rho: float(self.values(rho, self.phi[None])[0]), -EDGE, EDGE)


def assumed_effects(state: MediationState, term: str, k: int) -> Iterator[Assumed]:
    """The effect of every comparison and moderator value that the result reports; k is the confounded mediator."""
    for target in state.plan.targets:
        if target.term != term or len(target.parts) != 1:
            continue
        whole = state.plan.systems[target.parts[0][1]]
        system = averaged(whole, None, always=state.plan.average_row)
        yield Assumed(
            whole if system is None else system, k, WORLDS[term], state.phi, state.covariance, _scale(state, k), term, target.at
        )  # fmt: skip


def _scale(state: MediationState, k: int) -> float:
    """Turns the ratio of the residual SDs into that of the residuals themselves, so that ρ̃ is their correlation."""
    outcome, own = state.equations[-1], state.equations[k]
    if outcome.block.variance is None:
        return 1.0
    rms = [float(np.sqrt(np.mean((e.y - e.fit.fitted) ** 2))) for e in (outcome, own)]
    return (rms[0] / outcome.sigma) / (rms[1] / own.sigma)


def explained(state: MediationState, k: int) -> tuple[float, float]:
    """R² of the equations of the mediator and of the outcome; of a probit that of the latent outcome."""
    return _r2(state.equations[k]), _r2(state.equations[-1])


def _r2(equation: Equation) -> float:
    if equation.family.link == "probit":
        spread = float(np.var(equation.fit.eta, ddof=1))
        return spread / (1 + spread)
    total = float(np.sum((equation.y - equation.y.mean()) ** 2))
    return 1 - float(np.sum((equation.y - equation.fit.fitted) ** 2)) / total


def why_not(state: MediationState, k: int) -> str:
    """Why the correlation of the errors is not defined, or cannot be told apart from the model; empty where it can."""
    own, outcome, system = state.equations[k], state.equations[-1], state.plan.systems[0]
    if own.family.name != "gaussian":
        return f"the correlation of errors is for a normal mediator; '{own.response}' is {own.family.name}"
    probit = outcome.family.name == "binomial" and outcome.family.link == "probit"
    if outcome.family.name != "gaussian" and not probit:
        return (
            f"the correlation of errors is for a normal or probit outcome; '{outcome.response}' is {outcome.family.name} "
            f"with link {outcome.family.link} (family='probit' would allow it)"
        )
    if system.kind not in ("means", "normal") or system.ratio or (probit and len(state.equations) > 2):
        return (
            "the correlation of errors has no closed form with products of mediators, nor with several before a probit"
        )
    lacking = _lacking(own, outcome)
    if lacking:
        return (
            f"the outcome equation lacks {', '.join(lacking)} of the equation of '{own.response}'; add it, as a correlation of "
            "the errors brings these terms into the outcome"
        )
    return ""


def _lacking(own: Equation, outcome: Equation) -> list[str]:
    left = [least_squares(outcome.X, column).residuals for column in own.X.T]
    sizes = np.abs(own.X).max(axis=0)
    return [
        "an intercept" if term == "Intercept" else f"'{term}'"
        for term, rest, size in zip(own.terms, left, sizes, strict=True)
        if np.abs(rest).max() > LOST * size
    ]


def root_between(curve: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    if curve(low) * curve(high) > 0:
        return float("nan")
    return float(brentq(curve, low, high, xtol=1e-14, rtol=1e-14))


def _mean_outcome(assumed: Assumed, phi: np.ndarray, x: int, m: int, rho: float) -> np.ndarray:
    """E[Y(x, M(m))] at a correlation, shape (draws,)."""
    system, k = assumed.system, assumed.k
    means = mediator_means(system, phi, m)
    own = predictor(system.worlds[x][k], phi[:, system.blocks[k].coefficients], means)
    index = predictor(system.worlds[x][-1], phi[:, system.blocks[-1].coefficients], means)
    outcome, sigma = system.blocks[-1], _sd(system, phi, k)
    spread = np.ones((1, 1, 1)) if outcome.variance is None else _sd(system, phi, -1) * assumed.scale
    index = index + rho / np.sqrt(1 - rho**2) * spread / sigma * (own - means[k])
    if outcome.family.link == "probit":
        index = cdf("probit", index / np.sqrt(1 + (slope(system, phi, x, len(system.blocks) - 1, k) * sigma) ** 2))
    return np.broadcast_to(index[..., 0].mean(axis=1), len(phi))


def _sd(system: System, phi: np.ndarray, k: int) -> np.ndarray:
    column = system.blocks[k].variance
    assert column is not None
    return np.asarray(np.exp(phi[:, column] / 2)[:, None, None])
