"""Interventional effects: mediation where the exposure itself changes a common cause of mediator and outcome.

Early relief of pain raises the alliance and lowers later pain, and the treatment causes it. Natural effects are then not
identified however much is measured; what is, are the effects of giving everyone a mediator drawn at random from those of
one arm (VanderWeele, Vansteelandt & Robins 2014, doi 10.1097/EDE.0000000000000034).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import AllianceError
from alliance_stats.models import mediation_intervals as intervals
from alliance_stats.models import mediation_notes as remarks
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.mediation import _state as outcome_state
from alliance_stats.models.mediation_covariance import joint_covariance
from alliance_stats.models.mediation_equations import Equation
from alliance_stats.models.mediation_paths import coefficient_rows, path_rows, total_rows
from alliance_stats.models.mediation_plan import Maker, Plan, Target
from alliance_stats.models.mediation_worlds import Contrast
from alliance_stats.numerics.mediation import System, averaged, mediator_means, predictor
from alliance_stats.numerics.mediation_effects import ROOM
from alliance_stats.numerics.random import Seed
from alliance_stats.result import Result

TINY = 1e-30  # complex step
# Exposure as it acts on the outcome itself, on the confounder before the outcome, on the mediator itself, and on the
# confounder before the mediator, in the two worlds that are compared.
Worlds = tuple[int, int, int, int]
EFFECTS: Mapping[str, tuple[Worlds, Worlds]] = {
    "indirect": ((1, 1, 1, 1), (1, 1, 0, 0)),
    "direct": ((1, 1, 0, 0), (0, 0, 0, 0)),
    "total": ((1, 1, 1, 1), (0, 0, 0, 0)),
    "indirect_control": ((0, 0, 1, 1), (0, 0, 0, 0)),
    "direct_treated": ((1, 1, 1, 1), (0, 0, 1, 1)),
    "indirect, beside the confounder": ((1, 1, 1, 0), (1, 1, 0, 0)),
    "indirect, through the confounder": ((1, 1, 1, 1), (1, 1, 1, 0)),
    "direct, beside the confounder": ((1, 0, 0, 0), (0, 0, 0, 0)),
    "direct, through the confounder": ((1, 1, 0, 0), (1, 0, 0, 0)),
}  # fmt: skip
INTERVALS = ("percentile", "bca", "delta", "monte-carlo")


@dataclass(frozen=True, eq=False)
class InterventionalPlan(Plan):
    """Effects of one system by the means of the interventions, in place of nested counterfactuals."""

    def values(self, phi: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Every effect of every draw, shape (draws, effects)."""
        pieces = []
        rows = max(len(matrix) for world in self.systems[0].worlds for part in world for _, matrix in part)
        size = max(1, int(ROOM / rows))
        for i in range(0, len(phi), size):
            part = None if weights is None else weights[i : i + size]
            pieces.append(np.column_stack([self._contrast(t, phi[i : i + size], part) for t in self.targets]))
        return np.concatenate(pieces)

    def gradients(self, phi: np.ndarray) -> np.ndarray:
        """Derivatives of every effect, shape (effects, parameters)."""
        return np.asarray(self.values(phi + 1j * TINY * np.eye(len(phi))).imag.T / TINY)

    def _contrast(self, target: Target, phi: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        system = self.systems[target.parts[0][1]]
        short = averaged(system, weights)
        first, second = (intervened(short or system, phi, worlds) for worlds in EFFECTS[target.term])
        difference = first - second
        if weights is None or difference.shape[1] == 1:
            return np.broadcast_to(difference.mean(axis=1), len(phi))
        return np.asarray((difference * weights).sum(axis=1) / weights.sum(axis=1))


def intervened(system: System, phi: np.ndarray, worlds: Worlds) -> np.ndarray:
    """Mean outcome of each draw and row; the mediator is the last but one equation, confounders come before it.

    The mediator is drawn given the covariates only, hence independently of the confounders in the outcome's equation: means
    of products are products of means.
    """
    own, before, drawn, inside = worlds
    last = len(system.blocks) - 1
    confounders = mediator_means(system, phi, before)[: last - 1]
    behind = mediator_means(system, phi, inside)[: last - 1]
    mediator = predictor(system.worlds[drawn][last - 1], phi[:, system.blocks[last - 1].coefficients], behind)
    means = [*confounders, mediator]
    return predictor(system.worlds[own][last], phi[:, system.blocks[last].coefficients], means)[..., 0]


@dataclass(frozen=True, repr=False)
class InterventionalEffects(Mediation):
    """Declaration of interventional effects: a Mediation whose first equations are confounders and whose last is the mediator.

    The options are those of Mediation; ``interval`` is percentile, bca, delta or monte-carlo.
    """

    def fit(self, data: pd.DataFrame, rng: Seed = 1) -> Result:
        """Fit the equations to the rows complete in all of them, and derive the interventional effects."""
        _require_options(self)
        return super().fit(data, rng)

    def _result(
        self, maker: Maker, contrasts: tuple[Contrast, ...], at: Mapping[str, Sequence[Any]], codes: np.ndarray | None,
        steps: tuple[Step, ...], notes: tuple[str, ...], rng: Seed,
    ) -> Result:  # fmt: skip
        equations, vcov = maker.equations, self._vcov(maker.equations)
        phi = np.concatenate([equation.fit.parameters for equation in equations])
        covariance = joint_covariance(equations, vcov, codes)
        systems = tuple(maker.system(contrast, {}) for contrast in contrasts)
        _require_linear(equations, systems[0])
        plan = InterventionalPlan(systems, _targets(contrasts), maker.average_row)
        with np.errstate(
            over="ignore"
        ):  # the delta method works out limits of ratios, which these effects are not, as well
            found = self._inference(plan, equations, phi, covariance, codes, rng)
        fixed = coefficient_rows(equations, covariance, vcov, codes, self.level)
        total = total_rows(equations, self.exposure, vcov, codes, self.level)
        effects = intervals.effect_rows(plan, plan.values(phi[None])[0], found)
        rows = [effects, path_rows(equations, self.exposure, fixed, total), fixed]
        where = np.concatenate([np.arange(len(phi))[equation.block.coefficients] for equation in equations])
        V = pd.DataFrame(covariance[np.ix_(where, where)], index=list(fixed["term"]), columns=list(fixed["term"]))
        notes = (*notes, *_notes(self, equations), *remarks.data_notes(maker, contrasts, codes), *found.notes)
        state = outcome_state(equations, steps, contrasts, phi, covariance, plan)
        estimates = pd.concat(rows, ignore_index=True)
        return Result(self, maker.frame, state, estimates, self._glance(maker, vcov), V, found.draws, notes)

    def __repr__(self) -> str:
        return Mediation.__repr__(self).replace("Mediation of", "Interventional effects of", 1)


def interventional_effects(
    data: pd.DataFrame, *, exposure: str, confounder: str | tuple[str, ...] | list[str], mediator: str, outcome: str,
    rng: Seed = 1, **options: Any,
) -> Result:  # fmt: skip
    """Effects through a mediator that has a common cause with the outcome, itself changed by the exposure.

    Parameters
    ----------
    data : one row a patient.
    exposure : the column whose effect is split.
    confounder : formula of the common cause, or several in causal order, e.g. ``"relief ~ arm + severity"``.
    mediator : formula with exposure and confounder, ``"alliance ~ arm + relief + severity"``.
    outcome : formula with exposure, confounder and mediator, and products of any two but of confounders,
        ``"pain ~ arm * alliance + relief + severity"``.
    rng : seed of resamples and draws.
    options : of Mediation: ``contrast``, ``cluster`` (whole clusters are resampled), ``within``, ``draws``, ``interval``
        (percentile, bca, delta, monte-carlo), ``level``, ``vcov``, ``randomised``, ``prepare``.

    Returns a Result; the effects are

    - ``indirect``: everyone exposed, the mediator drawn from that of the exposed rather than of the unexposed;
    - ``direct``: exposed rather than not, the mediator drawn from that of the unexposed; ``total`` is their sum;
    - ``…, through the confounder`` and ``…, beside the confounder``: their parts, by the product of coefficients.

    In linear equations without products indirect = (β_A + β_L γ_A) θ_M and direct = θ_A + θ_L γ_A, with L ~ γ, M ~ β, Y ~ θ.
    Raises AllianceError for a mediator or outcome that is not linear.

    Source: VanderWeele, Vansteelandt & Robins 2014, doi 10.1097/EDE.0000000000000034.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"arm": np.arange(300) % 2})
    >>> data["relief"] = 0.8 * data["arm"] + rng.normal(size=300)
    >>> data["alliance"] = 0.3 * data["arm"] + 0.5 * data["relief"] + rng.normal(size=300)
    >>> data["pain"] = -0.5 * data["alliance"] - 0.4 * data["relief"] + rng.normal(size=300)
    >>> found = interventional_effects(data, exposure="arm", confounder="relief ~ arm", mediator="alliance ~ arm + relief",
    ...                                outcome="pain ~ arm + relief + alliance", interval="delta")
    >>> found.tidy().query("term in ('indirect', 'direct', 'total')")["estimate"].round(2).tolist()
    [-0.45, -0.26, -0.71]
    """
    before = (confounder,) if isinstance(confounder, str) else tuple(confounder)
    return InterventionalEffects((*before, mediator), outcome, exposure, **options).fit(data, rng)


def _require_options(model: InterventionalEffects) -> None:
    if model.interval not in INTERVALS:
        raise AllianceError(
            f"interval is {model.interval!r}; for interventional effects use one of {', '.join(INTERVALS)}"
        )
    if model.at or model.scale != "response" or model.held:
        raise AllianceError("at, held and scale are not for interventional effects; leave them out")
    if len(model.mediators) < 2:
        raise AllianceError("confounder is empty; without one that the exposure changes use Mediation")


def _require_linear(equations: Sequence[Equation], system: System) -> None:
    """AllianceError where means do not carry over: curved equations, products of confounders, one left out of the mediator."""
    *confounders, mediator, outcome = equations
    for equation in (mediator, outcome):
        if equation.family.name != "gaussian":
            raise AllianceError(
                f"'{equation.response}' is {equation.family.name}; mediator and outcome must be normal here"
            )
    if any(e.family.link != "identity" and e.block.parents for e in confounders):
        raise AllianceError("a confounder that is not normal cannot depend on another one here")
    lacking = [f"'{e.response}'" for k, e in enumerate(confounders) if k not in mediator.block.parents]
    if lacking:
        raise AllianceError(f"the equation of the mediator '{mediator.response}' lacks {', '.join(lacking)}; add it")
    last = len(confounders)
    for parts in (parts for world in system.worlds for parts in world):
        if any(len(which) > 1 and last not in which for which, _ in parts):
            raise AllianceError("a product of two confounders is in an equation: its mean is not the product of means")


def _targets(contrasts: Sequence[Contrast]) -> tuple[Target, ...]:
    return tuple(Target(term, c.label, ((1.0, s, term),)) for s, c in enumerate(contrasts) for term in EFFECTS)


def _notes(model: InterventionalEffects, equations: Sequence[Equation]) -> tuple[str, ...]:
    names = [equation.response for equation in equations]
    before, mediator, outcome = ", ".join(names[:-2]), names[-2], names[-1]
    first = (
        f"{model.exposure} is randomised and has no confounders"
        if model.randomised
        else f"the covariates must hold every common cause of {model.exposure} and {before}, {mediator} or {outcome}"
    )
    return (
        f"interventional effects of {model.exposure} on {outcome} through the distribution of {mediator}, with {before}, which "
        f"{model.exposure} changes, as a common cause of both; they do not describe the mechanism in any one patient",
        f"{first}; assumed is no unmeasured cause of both {mediator} and {outcome} beside {before} and the covariates",
        f"the order of time, {model.exposure}, {before}, {mediator}, {outcome}, is not tested",
    )
