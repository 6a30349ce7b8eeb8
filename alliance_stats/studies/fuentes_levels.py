"""Fuentes et al. 2014, the levels: two ratings within a patient, patients within therapists."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from alliance_stats.design.reshape import Long
from alliance_stats.inference.combine import Adjust
from alliance_stats.inference.contrasts import contrast
from alliance_stats.inference.groups import caseload, icc
from alliance_stats.models.mixed import MixedModel
from alliance_stats.result import Result
from alliance_stats.study.declare import Analysis, Derived, Estimand
from alliance_stats.study.therapists import therapist_remarks

Effects = Mapping[str, Mapping[Any, float]]
FACTORS = ("treatment", "alliance")
BETTER = {"pain": -1.0, "ppt": 1.0}  # a fall in pain and a rise in threshold are gains

ESTIMANDS = {
    "course": Estimand(
        population="Adults with chronic low back pain",
        contrast="Enhanced against limited interaction, active against sham current, and their interaction",
        outcome="Pain intensity (mm) and pressure pain threshold (kg), as change from before to after; higher is better",
        time="Directly before and directly after one session",
        intercurrent="None can occur within one session; a patient with one rating stays in with it (missing at random)",
        summary="Difference in mean change (time × group), not adjusted for the value before the session",
        causal="Randomised, so causal as the adjusted contrasts are; less precise where the two ratings correlate little, and "
        "it takes differences before the session, which are chance, for part of the effect",
    ),
    "therapists": Estimand(
        population="Adults with chronic low back pain, with therapists like these",
        contrast="Enhanced against limited interaction, active against sham current, and their interaction",
        outcome="Fall in pain intensity (mm) or rise in pressure pain threshold (kg) over the session; higher is better",
        time="Directly before and directly after one session",
        intercurrent="As for the factorial contrasts; patients without a therapist's name are left out and counted",
        summary="Difference in means, adjusted for the value before the session, therapists being a sample of therapists",
        causal="Both factors were randomised to patients. Where therapists worked in one condition only, condition and "
        "therapists are one",
    ),
}

LABELS = {
    "pain_course": "Pain before and after, repeated measures",
    "ppt_course": "Pressure pain threshold before and after, repeated measures",
    "pain_therapists": "Fall in pain, therapists as random effects",
    "ppt_therapists": "Rise in pressure pain threshold, therapists as random effects",
    "icc": "shares of the variance by level (ICC)",
    "caseload": "number of therapists, and of patients of each",
    "course": "time × group",
    "therapists": "therapists as a sample",
}
CAUTIONS = (
    "In the repeated measures the interaction of time and group is the contrast of the change scores, to the last digit where "
    "nobody misses a rating: it does not adjust for the value before the session. The adjusted analysis is the primary one.",
)


def course(name: str, effects: Effects, extra: Effects, groups: Effects) -> Analysis:
    """Both ratings of a patient in one model: the interactions of time are the contrasts of the changes."""
    long = Long({"before": f"{name}_before", "after": f"{name}_after"}, into=name, time="time")
    derived: dict[str, Derived] = {
        "effects": partial(_gains, name=name, weights=effects, adjust="holm"),
        "se_al": partial(_gains, name=name, weights=extra),
        "groups": partial(_gains, name=name, weights=groups),
    }
    model = MixedModel(f"{name} ~ time * treatment * alliance + (1 | patient)")
    return Analysis(f"{name}_course", model, "course", "secondary", derived, prepare=(long,))


def with_therapists(name: str, formula: str, derived: Mapping[str, Derived]) -> Analysis:
    """The adjusted analysis with a random effect of the therapist, for crossed and nested therapists."""
    frames: dict[str, Derived] = {**derived, "icc": icc, "caseload": partial(caseload, group="therapist")}
    return Analysis(
        f"{name}_therapists", MixedModel(f"{formula} + (1 | therapist)", df_method="kenward-roger"), "therapists", "secondary",
        frames, when={"therapists": ("crossed", "nested")}, groups={"therapist": 3},
        otherwise="the variance between therapists cannot be looked at", remarks=partial(therapist_remarks, arms=FACTORS),
    )  # fmt: skip


def _gains(result: Result, name: str, weights: Effects, adjust: Adjust = "none") -> pd.DataFrame:
    """Contrasts of the gains, after less before, signed so that a gain is good."""
    by_time: dict[str, dict[Any, float]] = {
        term: {
            (time, *cell): weight * sign * BETTER[name]
            for cell, weight in cells.items()
            for time, sign in (("after", 1.0), ("before", -1.0))
        }
        for term, cells in weights.items()
    }
    return contrast(result, ("time", *FACTORS), by_time, adjust=adjust)
