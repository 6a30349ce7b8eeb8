"""What a mediation of a time to an event says about itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.models import mediation_notes as remarks
from alliance_stats.models.mediation_notes import _text
from alliance_stats.models.mediation_plan import Maker
from alliance_stats.models.mediation_worlds import Contrast
from alliance_stats.models.survival_response import Surv, Times, counted_as_censored

if TYPE_CHECKING:
    from alliance_stats.models.mediation import Mediation

FEW_AT_RISK = 10
RARE = "VanderWeele 2011, doi 10.1097/EDE.0b013e31821db37e"


def survival_notes(
    model: Mediation, surv: Surv, maker: Maker, contrasts: Sequence[Contrast], times: Times, codes: np.ndarray | None
) -> Iterator[str]:
    """Estimand, scale, assumptions, and how far the follow-up reaches."""
    outcome, through, horizon = maker.equations[-1], ", ".join(maker.mediators), float(model.horizon or 0.0)
    compared = " and ".join(f"{_text(c.treated)} against {_text(c.control)}" for c in contrasts)
    over = "at the means of the covariates" if maker.average_row else f"averaged over the {len(maker.frame)} rows"
    yield (
        f"estimand: how much of the effect of {model.exposure} ({compared}) on the probability of the event of {surv.text} "
        f"by {surv.stop} = {horizon:g} runs through {through}, as a difference of probabilities, {over}; indirect is the total "
        "natural indirect and direct the pure natural direct effect"
    )
    yield "cde holds " + ", ".join(f"{m} = {value:.4g}" for m, value in zip(maker.mediators, maker.held, strict=True))
    yield (
        "paths b and c_prime are log hazard ratios; no ratio of hazards is decomposed, as hazard ratios change when a variable "
        "is left out (they do not collapse): a times b and c_prime add up to a total log hazard ratio only where the event is "
        f"rare ({RARE})"
    )
    if len(maker.mediators) > 1:
        yield "effects are those of all mediators together"
    yield from remarks.assumption_notes(model.exposure, maker.mediators, outcome.response, model.randomised)
    yield (
        f"assumed is that hazards are proportional in {', '.join(outcome.design.variables)} (test: proportional_hazards of the "
        f"CoxModel of the outcome) and that censoring is independent of the event given them"
    )
    yield f"'{surv.stop}' must run from when {through} was measured: who has the event earlier has no mediator to speak of"
    early = int(outcome.y.sum())
    before = times.stop < horizon
    lost, at_risk = int((before & (times.event == 0)).sum()), int((~before).sum())
    few = " (few: the end of the curve rests on them)" if at_risk < FEW_AT_RISK else ""
    yield f"by {horizon:g}: {early} of {int(times.event.sum())} events, {lost} rows censored, {at_risk} followed that far{few}"
    yield from counted_as_censored(maker.frame[surv.event], surv, times.event)
    yield from remarks.data_notes(maker, contrasts, codes)
