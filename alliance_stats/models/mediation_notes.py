"""What a mediation result says about itself: the estimand in a sentence, its assumptions, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alliance_stats.formula import is_factor
from alliance_stats.models.mediation_equations import Equation
from alliance_stats.models.mediation_plan import Maker, Target
from alliance_stats.models.mediation_worlds import Contrast

RARE = 0.10
FEW_CLUSTERS = 20


def estimand_notes(maker: Maker, contrasts: Sequence[Contrast]) -> tuple[str, ...]:
    """What is estimated, on which scale, averaged over whom."""
    outcome = maker.equations[-1]
    compared = " and ".join(f"{_text(c.treated)} against {_text(c.control)}" for c in contrasts)
    over = "at the means of the covariates" if maker.average_row else f"averaged over the {len(maker.frame)} rows"
    held = ", ".join(f"{name} = {value:.4g}" for name, value in zip(maker.mediators, maker.held, strict=True))
    return (
        f"estimand: how much of the effect of {maker.exposure} ({compared}) on {outcome.response} runs through "
        f"{', '.join(maker.mediators)}, as {_scale(outcome, ratio=maker.ratio)}, {over}; indirect is the total natural "
        "indirect and direct the pure natural direct effect",
        f"cde holds {held}",
        *_path_notes(maker),
    )


def assumption_notes(exposure: str, mediators: Sequence[str], outcome: str, randomised: bool | None) -> tuple[str, ...]:
    """What randomisation covers and what it does not."""
    through = ", ".join(mediators)
    beyond = (
        f"assumed is no unmeasured cause of both {through} and {outcome}, and none that {exposure} itself changes (early "
        "improvement, say); the data cannot show it"
    )
    timing = f"{through} must be measured after {exposure} and before {outcome}: the order of time is not tested"
    if randomised:
        return (f"randomised: {exposure} has no confounders; {through} was not: {beyond}", timing)
    asked = "randomised=False" if randomised is False else "nothing was said about randomisation"
    return (
        f"{asked}: the covariates must hold every common cause of {exposure}, {through} and {outcome}; besides, {beyond}",
        timing,
    )


def data_notes(maker: Maker, contrasts: Sequence[Contrast], codes: np.ndarray | None) -> tuple[str, ...]:
    """Exposure values outside the data, common outcomes under odds ratios, few clusters, no direct path."""
    notes: list[str] = []
    column, outcome = maker.frame[maker.exposure], maker.equations[-1]
    if not is_factor(column):
        outside = [v for c in contrasts for v in (c.control, c.treated) if not column.min() <= v <= column.max()]
        notes += [f"{maker.exposure} = {_text(value)} lies outside the data" for value in outside]
    share = float(outcome.y.mean())
    if maker.ratio and outcome.family.name == "binomial" and share > RARE:
        notes.append(
            f"{outcome.response} occurs in {100 * share:.0f} % of rows: odds-ratio effects assume a rare outcome (under "
            "10 %); scale='response' does not"
        )
    if codes is not None and codes.max() + 1 < FEW_CLUSTERS:
        notes.append(f"{codes.max() + 1} clusters are few: intervals may be too narrow")
    if maker.exposure not in outcome.design.variables:
        notes.append(f"{maker.exposure} is not in the outcome equation: its direct effect is zero by declaration")
    return tuple(notes)


def share_note(targets: Sequence[Target], limits: np.ndarray) -> tuple[str, ...]:
    """The proportion mediated means little where the total effect may be zero."""
    for target, low, high in zip(targets, *limits, strict=True):
        if (target.term, target.at) == ("total", "") and low <= 0 <= high:
            return ("the interval of the total effect contains zero: proportion_mediated means little",)
    return ()


def _path_notes(maker: Maker) -> tuple[str, ...]:
    outcome = maker.equations[-1]
    notes = []
    if any(equation.family.name != "gaussian" for equation in maker.equations) and len(maker.mediators) > 1:
        notes.append("effects are those of all mediators together unless a path is named")
    if outcome.family.link != "identity":
        notes.append(f"paths and coefficients of {outcome.response} are on the {outcome.family.link} scale")
    if outcome.family.name == "binomial":
        notes.append("c and c_prime are not comparable: leaving the mediator out changes the scale")
    return tuple(notes)


def _scale(outcome: Equation, *, ratio: bool) -> str:
    if ratio:
        return "a ratio of rates" if outcome.family.name == "poisson" else "an odds ratio for a rare outcome"
    if outcome.family.name == "binomial":
        return "a difference of probabilities"
    return "a difference of mean levels" if outcome.family.name == "ordinal" else "a difference of means"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float | np.number) and not isinstance(value, bool) else str(value)
