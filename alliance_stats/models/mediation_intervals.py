"""Standard errors, intervals and p-values of effects: resampling, Monte Carlo, delta method, distribution of the product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import ConvergenceError
from alliance_stats.models.mediation_equations import Equation
from alliance_stats.models.mediation_plan import Plan, Target
from alliance_stats.numerics import mediation_resample as resample
from alliance_stats.numerics.distributions import never_zero, t_p_value, t_quantile
from alliance_stats.numerics.mediation import System
from alliance_stats.numerics.mediation_effects import Key, paths, product_factors
from alliance_stats.numerics.mediation_fit import fit_resamples
from alliance_stats.numerics.mediation_linear import linear_resamples
from alliance_stats.numerics.mediation_product import product_interval, product_moments, product_p_value
from alliance_stats.result import tidy_frame

ROOM = 5e6  # resampling counts held at once
PRODUCTS = frozenset(["indirect", "tnie", "acme_treated", "pnie", "acme_control", "pie"])
NEVER = "draws: fewer than half of the {0} draws could be used ({1} failed); use more data, or a simpler model"


@dataclass(frozen=True, eq=False)
class Inference:
    """Numbers beside each target: standard error, statistic, p-value, limits, and how the interval was made."""

    std_error: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray
    limits: np.ndarray
    interval: list[str]
    draws: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Sampling:
    """How resamples are drawn: rows, or clusters and perhaps the rows within them."""

    n: int
    codes: np.ndarray | None
    within: bool

    def counts(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Resampling counts, shape (draws, rows)."""
        if self.codes is None:
            return resample.row_counts(self.n, draws, rng)
        return resample.cluster_counts(self.codes, draws, rng, within=self.within)


def effect_rows(plan: Plan, estimate: np.ndarray, found: Inference) -> pd.DataFrame:
    """Tidy rows of the effects."""
    return tidy_frame(
        term=[t.term for t in plan.targets], component="effect", at=[t.at for t in plan.targets], estimate=estimate,
        std_error=found.std_error, statistic=found.statistic, p_value=found.p_value, conf_low=found.limits[0],
        conf_high=found.limits[1], interval=found.interval,
    )  # fmt: skip


def delta(plan: Plan, phi: np.ndarray, covariance: np.ndarray, level: float) -> Inference:
    """First-order standard errors with normal limits; ratios on the logarithmic scale."""
    estimate = plan.values(phi[None])[0]
    J = plan.gradients(phi)
    std_error = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", J, covariance, J), 0))
    null = _nulls(plan)
    ratio = null == 1
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = np.where(ratio, np.log(estimate) * estimate, estimate) / std_error
        reach = t_quantile((1 + level) / 2, np.inf) * std_error
        low = np.where(ratio, estimate * np.exp(-reach / estimate), estimate - reach)
        high = np.where(ratio, estimate * np.exp(reach / estimate), estimate + reach)
    z = np.where(std_error > 0, z, np.nan)
    return Inference(std_error, z, _p_normal(z), np.array([low, high]), ["delta"] * len(estimate))


def with_products(plan: Plan, phi: np.ndarray, covariance: np.ndarray, level: float) -> Inference:
    """The distribution of the product for effects that are one coefficient times another; the delta method for the rest."""
    found = delta(plan, phi, covariance, level)
    estimate = plan.values(phi[None])[0]
    std_error, statistic, p_value = found.std_error.copy(), found.statistic.copy(), found.p_value.copy()
    limits, interval = found.limits.copy(), list(found.interval)
    for i, target in enumerate(plan.targets):
        factors = _factors(plan, target, phi, covariance, estimate[i])
        if factors is not None:
            mean, V = factors
            std_error[i], statistic[i] = product_moments(mean, V)[1], np.nan
            p_value[i], limits[:, i] = never_zero(product_p_value(mean, V)), product_interval(mean, V, level)
            interval[i] = "product"
    note = "intervals of effects that are no product of two coefficients are by the delta method"
    return Inference(std_error, statistic, p_value, limits, interval, None, (note,) if "delta" in interval else ())


def monte_carlo(
    plan: Plan, phi: np.ndarray, covariance: np.ndarray, level: float, draws: int, rng: np.random.Generator
) -> Inference:
    """Effects of parameters drawn from their joint normal sampling distribution."""
    values = plan.values(resample.normal_draws(phi, covariance, draws, rng))
    kept = values[_usable(values)]
    _require_half(len(kept), draws)
    return _from_draws(plan, kept, resample.percentile_limits(kept, level), "monte-carlo", draws)


def bootstrap(
    plan: Plan, equations: Sequence[Equation], sampling: Sampling, phi: np.ndarray, level: float, draws: int,
    rng: np.random.Generator, *, bca: bool, likelihood: bool,
) -> Inference:  # fmt: skip
    """All equations fitted to the same resamples, whose rows also make the averages."""

    def values(weights: np.ndarray) -> np.ndarray:
        return _on_complete(plan, _parameters(equations, weights, likelihood=likelihood), weights)

    size = max(1, int(ROOM / sampling.n))
    pieces = [min(size, draws - first) for first in range(0, draws, size)]
    made = np.concatenate([values(sampling.counts(piece, rng)) for piece in pieces])
    kept = made[_usable(made)]
    _require_half(len(kept), draws)
    if not bca:
        return _from_draws(plan, kept, resample.percentile_limits(kept, level), "percentile", draws)
    jackknife = _jackknife(values, sampling, size)
    limits = resample.bca_limits(kept, plan.values(phi[None])[0], jackknife, level)
    return _from_draws(plan, kept, limits, "bca", draws)


def _jackknife(values: Callable[[np.ndarray], np.ndarray], sampling: Sampling, size: int) -> np.ndarray:
    codes = np.arange(sampling.n) if sampling.codes is None else sampling.codes
    groups = np.arange(codes.max() + 1)
    made = [
        values((codes != groups[first : first + size, None]).astype(float)) for first in range(0, len(groups), size)
    ]
    found = np.concatenate(made)
    ok = _usable(found)
    if not ok.all():
        raise ConvergenceError(
            f"interval='bca': without some {'rows' if sampling.codes is None else 'clusters'} ({int((~ok).sum())}) the "
            "equations have no estimate; use interval='percentile'"
        )
    return found


def _parameters(equations: Sequence[Equation], weights: np.ndarray, *, likelihood: bool) -> np.ndarray:
    """Parameters of all equations, shape (resamples, parameters); the linear ones share their cross-products."""
    normal = [equation for equation in equations if equation.family.name == "gaussian"]
    designs, responses = [equation.X for equation in normal], [equation.y for equation in normal]
    linear = iter(linear_resamples(designs, responses, weights, likelihood=likelihood) if normal else ())
    return np.column_stack(
        [
            next(linear) if e.family.name == "gaussian" else fit_resamples(e.X, e.y, e.family, weights, e.fit)
            for e in equations
        ]
    )


def _on_complete(plan: Plan, phi: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Effects of the resamples that every equation could be fitted to, missing for the others."""
    ok = np.isfinite(phi).all(axis=1)
    made = np.full((len(phi), len(plan.targets)), np.nan)
    if ok.any():
        made[ok] = plan.values(phi[ok], weights[ok])
    return made


def _usable(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(values).all(axis=1))


def _require_half(kept: int, draws: int) -> None:
    if kept < draws / 2 or kept < 2:
        raise ConvergenceError(NEVER.format(draws, draws - kept))


def _from_draws(plan: Plan, kept: np.ndarray, limits: np.ndarray, interval: str, draws: int) -> Inference:
    names = [f"{target.term} [{target.at}]" if target.at else target.term for target in plan.targets]
    lost = draws - len(kept)
    what = "resamples" if interval != "monte-carlo" else "draws"
    notes = (f"{lost} of {draws} {what} gave no estimate and were left out",) if lost else ()
    missing = np.full(len(names), np.nan)
    return Inference(
        kept.std(axis=0, ddof=1), missing, resample.draws_p_values(kept, _nulls(plan)), limits,
        [interval] * len(names), pd.DataFrame(kept, columns=names), notes,
    )  # fmt: skip


def _nulls(plan: Plan) -> np.ndarray:
    return np.array([target.null for target in plan.targets])


def _p_normal(z: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(z), np.nan, t_p_value(np.nan_to_num(z), np.full(len(z), np.inf)))


def _factors(
    plan: Plan, target: Target, phi: np.ndarray, covariance: np.ndarray, estimate: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Means and covariance of the two factors of a target that is a product, else None."""
    if len(target.parts) != 1 or target.null:
        return None
    _, s, key = target.parts[0]
    chain = _chain(plan.systems[s], key)
    point = None if chain is None else product_factors(plan.systems[s], phi[None], chain)
    if chain is None or point is None:
        return None
    mean = np.array([float(part[0]) for part in point])
    if abs(mean.prod() - estimate) > 1e-9 * abs(estimate):
        return None
    J = _factor_gradients(plan.systems[s], phi, chain)
    V = J @ covariance @ J.T
    return (mean, V) if (np.diag(V) > 0).all() else None


def _chain(system: System, key: Key) -> tuple[int, ...] | None:
    if isinstance(key, tuple):
        return key if len(key) == 1 else None
    chains = paths(system)
    return chains[0] if key in PRODUCTS and len(chains) == 1 and len(chains[0]) == 1 else None


def _factor_gradients(system: System, phi: np.ndarray, chain: tuple[int, ...]) -> np.ndarray:
    step = 1e-30
    moved = product_factors(system, phi + 1j * step * np.eye(len(phi)), chain)
    assert moved is not None
    return np.array([part.imag / step for part in moved])
