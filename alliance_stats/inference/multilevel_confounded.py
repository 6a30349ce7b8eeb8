"""Sensitivity of a multilevel mediation to an unmeasured cause of mediator and outcome, on one level at a time.

A cause on a level makes the errors of both equations correlate there: ρ = corr(e_M, e_Y) of the rows' residuals within groups,
or ρ = corr(d_M, d_Y) of the groups' intercepts between them. Normal errors have E(e_Y | e_M) = δ e_M, δ = ρ σ*_Y/σ_M, σ*_Y
being the standard deviation of the outcome's error before the mediator is known; the fitted one is σ_Y² = σ*_Y²(1 − ρ²).

Within. With e_M = M − d_M − a_j X the outcome's equation Y = d_Y + b_j M + c′_j X + e_Y becomes

    Y = (d_Y − δ d_M) + (b_j + δ) M + (c′_j − δ a_j) X + e,    δ = ρ / √(1 − ρ²) · σ_Y / σ_M,

so that the fitted slopes are b_j + δ and c′_j − δ a_j for every group. δ being a constant, σ_ab stays, and

    indirect(ρ) = a (b − δ) + σ_ab = indirect − a δ,    c′(ρ) = c′ + a δ,    total as fitted;

the indirect effect is zero at δ = indirect / a. With random a and the same c′ for all, c′_j − δ a_j has no room in the fitted
model: then near, not exact.

Between observed means. M̄_j given X has the error d_M + ē_M of variance τ_M² + σ_M²/n_j, of which d_M alone correlates with
d_Y. The fitted path is b_between + δ with δ = λ ρ / √(1 − λρ²) · τ_Y / τ_M, λ being the mean of τ_M² / (τ_M² + σ_M²/n_j) with
groups weighted as in the outcome's equation, by 1 / (τ_Y² + σ_Y²/n_j); exact for groups of one size. Between latent means λ is
1, as in 2-2-1, where the mediator's error is the group's own.

Nothing is confounded on the other level: a confounder within groups would also move b_between of observed means by δ(1 − λ).
Source of the single-level form: Imai, Keele & Yamamoto 2010, doi 10.1214/10-STS321, theorem 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alliance_stats.models.multilevel_mediation import MultilevelMediation, MultilevelState
from alliance_stats.models.multilevel_notes import moderator_values
from alliance_stats.models.multilevel_paths import Places, Value
from alliance_stats.models.multilevel_rows import read_parts
from alliance_stats.numerics.multilevel_mediation import delta_variances
from alliance_stats.result import Result

Level = Literal["within", "between"]
NONE = 1e-8  # ratio of the errors' SDs, or its inverse, below which one of them is zero


@dataclass(frozen=True, eq=False)
class Confounded:
    """An effect that loses δ a (indirect) or gains it (direct), as functions of rows of parameters; ``share`` is λ."""

    term: str
    at: str
    level: Level
    sign: float
    effect: Value
    a: Value
    ratio: Value
    share: Value
    phi: np.ndarray
    covariance: np.ndarray

    def values(self, rho: float, phi: np.ndarray) -> np.ndarray:
        """The effect at a correlation."""
        share = self.share(phi)
        delta = share * rho / np.sqrt(1 - share * rho**2) * self.ratio(phi)
        return np.asarray(self.effect(phi) + self.sign * self.a(phi) * delta)

    def estimate(self, rho: float) -> tuple[float, float]:
        """The effect at a correlation and its delta-method standard error."""
        found = delta_variances(lambda p: self.values(rho, p)[..., None], self.phi, self.covariance, second=False)
        return float(self.values(rho, self.phi)), float(np.sqrt(found[0]))

    def zero(self) -> float:
        """The correlation at which the effect is zero; missing where none makes it so."""
        a, ratio, share = (float(value(self.phi)) for value in (self.a, self.ratio, self.share))
        if a == 0 or ratio == 0:
            return float("nan")
        r = -self.sign * float(self.effect(self.phi)) / a / ratio
        rho = float(np.sign(r)) * np.sqrt(r**2 / (share**2 + share * r**2))
        return float(rho) if abs(rho) < 1 else float("nan")


def confounded_effects(result: Result) -> Iterator[Confounded]:
    """Indirect and direct effects of the design, on their levels."""
    model, state = result.model, result.state
    places = Places(state.solved.stack)
    held = moderator_values(model, result.frame, read_parts(model, result.frame)[0])
    if model.design != "1-1-1":
        split = "b_between" in places.stack.paths
        for at, w in held:
            a, b, c = (places.moderated(p, w) for p in ("a", "b_between" if split else "b", "c_prime"))
            if model.means == "latent":
                b, c = _latent(model, places, a, b, c)
            yield from _pair(result, places, "between", "", at, (a, b, c), None)
        return
    suffix = "_within" if model.center else ""
    cov = places.covariance("a", "b") if {"a", "b"} <= set(model.random) else None
    for at, w in held:
        paths = (places.moderated(f"{p}{suffix}", w) for p in ("a", "b", "c_prime"))
        yield from _pair(result, places, "within", suffix, at, tuple(paths), cov)
    if model.center:
        paths = (places.fixed(f"{p}_between") for p in ("a", "b", "c_prime"))
        yield from _pair(result, places, "between", "_between", "", tuple(paths), None)


def _pair(
    result: Result, places: Places, level: Level, suffix: str, at: str, paths: tuple[Value, ...], cov: Value | None
) -> Iterator[Confounded]:
    a, b, c = paths
    state: MultilevelState = result.state
    ratio, share = _errors(result.model, places, level)

    def indirect(p: np.ndarray) -> np.ndarray:
        return np.asarray(a(p) * b(p) + (0.0 if cov is None else cov(p)))

    for term, sign, effect in ((f"indirect{suffix}", -1.0, indirect), (f"c_prime{suffix}", 1.0, c)):
        yield Confounded(term, at, level, sign, effect, a, ratio, share, state.parameters, state.covariance)


def _latent(model: MultilevelMediation, places: Places, a: Value, b: Value, c: Value) -> tuple[Value, Value]:
    """Paths between latent means, as in ``multilevel_paths``."""
    m, y = _intercepts(model)
    across, own = places.covariance(m, y), places.covariance(m, m)
    return (lambda p: b(p) + across(p) / own(p)), (lambda p: c(p) - a(p) * across(p) / own(p))


def _intercepts(model: MultilevelMediation) -> tuple[str, str]:
    return f"Intercept_{model.mediator}", f"Intercept_{model.outcome}"


def _errors(model: MultilevelMediation, places: Places, level: Level) -> tuple[Value, Value]:
    """σ_Y/σ_M of the level as fitted, and λ."""
    if level == "within":
        return (lambda p: np.sqrt(p[..., -1] / p[..., -2])), _one
    m, y = _intercepts(model)
    if model.design == "2-2-1":
        own = places.covariance(y, y)
        return (lambda p: np.sqrt(own(p) / p[..., -2])), _one
    own, other = places.covariance(m, m), places.covariance(y, y)
    if model.means == "latent":
        across = places.covariance(m, y)
        return (lambda p: np.sqrt((other(p) - across(p) ** 2 / own(p)) / own(p))), _one
    rows = places.stack.levels[0].codes[places.stack.equation == 1]
    n = np.bincount(rows)

    def share(p: np.ndarray) -> np.ndarray:
        tau, sigma = own(p)[..., None], p[..., -2, None]
        weight = 1 / (other(p)[..., None] + p[..., -1, None] / n)
        return np.asarray((weight * tau).sum(axis=-1) / (weight * (tau + sigma / n)).sum(axis=-1))

    return (lambda p: np.sqrt(other(p) / own(p))), share


def _one(p: np.ndarray) -> np.ndarray:
    return np.ones(p.shape[:-1])


def undefined(result: Result, effect: Confounded) -> str:
    """Why a correlation between groups has no meaning; empty where it has."""
    model: MultilevelMediation = result.model
    if effect.level == "within":
        return ""
    if model.above:
        return f"not defined: with above='{model.above}' the intercepts of both groupings could correlate"
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(effect.ratio(effect.phi))
    if not NONE < ratio < 1 / NONE:
        return f"not defined: intercepts of '{model.mediator}' or '{model.outcome}' do not vary and cannot correlate"
    return ""
