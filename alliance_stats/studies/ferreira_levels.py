"""Ferreira et al. 2013, the levels: outcomes over the waves within patients, alliance within and between therapists."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from alliance_stats.design.reshape import Long, Wave
from alliance_stats.design.steps import Centre
from alliance_stats.inference.contrasts import contrast, wald_test
from alliance_stats.inference.groups import caseload, icc
from alliance_stats.models.mixed import MixedModel
from alliance_stats.result import Result
from alliance_stats.study.declare import Analysis, Derived, Estimand
from alliance_stats.study.therapists import between_minus_within, therapist_remarks

WAVES = {"baseline": "baseline", "session 2": "session2", "8 weeks": "8w"}
ENDED: dict[Wave, float] = {"baseline": 0.0, "session 2": 0.0, "8 weeks": 1.0}
THERAPIST = {"therapist": 3}
UNSEEN = "what lies between therapists cannot be looked at"
CHANGES = {
    "8 weeks − baseline": {"8 weeks": 1.0},
    "session 2 − baseline": {"session 2": 1.0},
    "8 weeks − session 2": {"8 weeks": 1.0, "session 2": -1.0},
}


def level_estimands(population: str) -> dict[str, Estimand]:
    """The two estimands of this module for the population of the study."""
    return {
        "course": Estimand(
            population=population,
            contrast="One point more on the alliance scale at session 2, at the same arm",
            outcome="Change in function, pain and disability between two waves",
            time="Before treatment, session 2 where it was measured, 8 weeks",
            intercurrent="Stopping treatment is ignored; patients without the 8-week outcome stay in with their earlier waves, "
            "which is sound where their loss depends on what was measured before (missing at random)",
            summary="Difference in mean change per point of alliance",
            causal="Alliance was not randomised. Change up to session 2 came before the rating and cannot be its effect; only "
            "change after it could be",
        ),
        "levels": Estimand(
            population=population,
            contrast="One point more than the therapist's other patients (within); one point more in the mean of the "
            "therapist's patients (between); at the same arm and value before treatment",
            outcome="Function, global perceived effect, pain, disability",
            time="8 weeks after randomisation",
            intercurrent="Stopping treatment is ignored; patients without the 8-week outcome or a therapist's name are left "
            "out and counted",
            summary="Difference in mean outcome per point, within and between therapists",
            causal="Neither alliance nor therapist was randomised. What therapists share, such as skill, is held constant "
            "within, and is part of the coefficient between",
        ),
    }


def course(name: str) -> Analysis:
    """The outcome at all waves, its change by alliance and arm.

    A therapist can have changed the outcome at 8 weeks only, so that the random effect of the therapist acts there alone.
    """
    long = Long(
        {wave: f"{name}_{suffix}" for wave, suffix in WAVES.items()}, into=name, optional=("session 2",),
        scores={"ended": ENDED},
    )  # fmt: skip
    fixed = f"{name} ~ wave * (alliance + arm) + (1 | patient)"
    derived: dict[str, Derived] = {
        "interaction": partial(wald_test, terms=["wave:alliance"]),
        "changes": alliance_by_change,
    }
    return Analysis(
        f"{name}_course", MixedModel(f"{fixed} + (0 + ended | therapist)", residual_by="wave"), "course", "secondary", derived,
        prepare=(long,), groups=THERAPIST, otherwise=f"fitted without therapists: {UNSEEN}",
        instead=MixedModel(fixed, residual_by="wave"), remarks=partial(therapist_remarks, arms=("arm",)),
    )  # fmt: skip


def levels(name: str, baseline: bool) -> Analysis:
    """The outcome at 8 weeks by alliance within and between therapists."""
    terms = "alliance_within + alliance_between + arm" + f" + {name}_baseline" * baseline
    model = MixedModel(
        f"{name}_8w ~ {terms} + (1 | therapist)", df_method="kenward-roger",
        prepare=(Centre("alliance", by="therapist"),),
    )  # fmt: skip
    derived: Mapping[str, Derived] = {
        "contextual": partial(between_minus_within, name="alliance"),
        "icc": icc,
        "caseload": partial(caseload, group="therapist"),
    }
    return Analysis(
        f"{name}_therapists", model, "levels", "secondary", derived, groups=THERAPIST, otherwise=UNSEEN,
        remarks=partial(therapist_remarks, arms=("arm",), split="alliance"),
    )  # fmt: skip


def alliance_by_change(result: Result) -> pd.DataFrame:
    """Change between two waves by one point of alliance, for the waves that there are."""
    terms = {wave: f"wave[T.{wave}]:alliance" for wave in WAVES}
    known = set(result.covariance.columns)
    weights: dict[str, dict[Any, float]] = {
        change: {terms[wave]: sign for wave, sign in signs.items()}
        for change, signs in CHANGES.items()
        if all(terms[wave] in known for wave in signs)
    }
    return contrast(result, weights=weights, adjust="none")


def level_labels(meanings: Mapping[str, str]) -> dict[str, str]:
    """The names in print, from the names of the outcomes."""
    return {
        **{f"{name}_course": f"{meaning}: course over the waves" for name, meaning in meanings.items()},
        **{
            f"{name}_therapists": f"{meaning}: alliance within and between therapists"
            for name, meaning in meanings.items()
        },
        "changes": "change between two waves by one point of alliance",
        "contextual": "difference of the two coefficients of alliance",
        "icc": "shares of the variance by level (ICC)",
        "caseload": "number of therapists, and of patients of each",
        "course": "course over the waves",
        "levels": "within and between therapists",
    }
