"""Fuentes et al. 2014: enhanced or limited alliance, active or sham interferential current, one session."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.design.steps import Change
from alliance_stats.inference.contrasts import anova, contrast, marginal_means, non_inferiority
from alliance_stats.inference.effect_sizes import cohens_d
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.summary import SummaryStatistics
from alliance_stats.render import figures
from alliance_stats.result import Result
from alliance_stats.studies import fuentes_levels
from alliance_stats.study.declare import Analysis, Derived, Estimand, Figure, Option, Study
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_table, load_targets
from alliance_stats.synthetic.fuentes import simulate_fuentes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELLS = ("treatment", "alliance")
AL, AE, SL, SE = ("active", "limited"), ("active", "enhanced"), ("sham", "limited"), ("sham", "enhanced")
EFFECTS = {
    "enhanced − limited": {AE: 0.5, SE: 0.5, AL: -0.5, SL: -0.5},
    "active − sham": {AE: 0.5, AL: 0.5, SE: -0.5, SL: -0.5},
    "interaction": {AE: 1.0, AL: -1.0, SE: -1.0, SL: 1.0},
}
SHAM_ENHANCED = {"SE − AL": {SE: 1.0, AL: -1.0}}
GROUPS = {"AL": {AL: 1.0}, "SL": {SL: 1.0}, "AE": {AE: 1.0}, "SE": {SE: 1.0}}

VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("therapist", "Physiotherapist who gave the session", identifier=True, optional=True),
    Variable(
        "group",
        "Condition: active or sham current, limited or enhanced interaction",
        levels=("AL", "SL", "AE", "SE"),
        optional=True,
    ),
    Variable("treatment", "Interferential current", levels=("sham", "active"), missing=False),
    Variable("alliance", "Interaction with the therapist", levels=("limited", "enhanced"), missing=False),
    Variable("pain_before", "Pain intensity before the session (PI-NRS)", range=(0, 100), unit="mm"),
    Variable("pain_after", "Pain intensity after the session (PI-NRS)", range=(0, 100), unit="mm"),
    Variable("ppt_before", "Pressure pain threshold before the session", range=(0, 30), unit="kg"),
    Variable("ppt_after", "Pressure pain threshold after the session", range=(0, 30), unit="kg"),
)

ESTIMANDS = {
    "factorial": Estimand(
        population="Adults with chronic low back pain",
        contrast="Enhanced against limited interaction, active against sham current, and their interaction",
        outcome="Fall in pain intensity (mm) or rise in pressure pain threshold (kg) over the session; higher is better",
        time="Directly before and directly after one session",
        intercurrent="None can occur within one session; patients without a second rating are left out and counted",
        summary="Difference in means, adjusted for the value before the session",
        causal="Both factors were randomised: the contrasts are causal for these therapists and this enacted interaction",
    ),
    "groups": Estimand(
        population="Adults with chronic low back pain",
        contrast="Change from before to after within each of the four groups",
        outcome="Fall in pain intensity (mm) or rise in pressure pain threshold (kg)",
        time="Directly before and directly after one session",
        intercurrent="As for the factorial contrasts",
        summary="Mean change",
        causal="None: a change within a group is not a comparison; it is analysed only to reproduce the printed numbers",
    ),
    "sham_enhanced": Estimand(
        population="Adults with chronic low back pain",
        contrast="Sham current with an enhanced interaction against active current with a limited one",
        outcome="Fall in pain intensity (mm) or rise in pressure pain threshold (kg)",
        time="Directly before and directly after one session",
        intercurrent="As for the factorial contrasts",
        summary="Difference in means, and the smallest margin at which it is non-inferior",
        causal="Randomised between the two groups; the comparison was not the trial's declared primary one",
    ),
    **fuentes_levels.ESTIMANDS,
}

THERAPISTS = Option(
    "therapists",
    "how therapists relate to the conditions, which decides what can be generalised",
    {
        "crossed": "Every therapist worked in all conditions: conditions are compared within therapists, and differences "
        "between therapists do not bias the contrasts. With few therapists the result still holds for therapists like these.",
        "nested": "Each therapist worked under one condition: the condition cannot be told apart from the therapists in it. "
        "With 1, 2 or 5 therapists a condition and a therapist ICC of .05, ignoring them raises the type I error from "
        "5 % to about 33, 20 and 12 %. The contrasts hold for these therapists only.",
        "single": "One therapist gave all sessions: nothing can be said about other therapists.",
    },
)


def _se_al(result: Result) -> pd.DataFrame:
    return contrast(result, CELLS, SHAM_ENHANCED, adjust="none")


def _se_al_margin(result: Result) -> pd.DataFrame:
    return non_inferiority(_se_al(result))


def _effect_sizes(result: Result) -> pd.DataFrame:
    return cohens_d(result, contrast(result, CELLS, EFFECTS, adjust="holm"))


COMPARISONS: dict[str, Derived] = {
    "effects": partial(contrast, by=CELLS, weights=EFFECTS, adjust="holm"),
    "anova": partial(anova, factors=CELLS),
    "se_al": _se_al,
    "se_al_margin": _se_al_margin,
}
ON_DATA: dict[str, Derived] = {**COMPARISONS, "cells": partial(marginal_means, by=CELLS)}
CHANGES: dict[str, Derived] = {**COMPARISONS, "groups": partial(contrast, by=CELLS, weights=GROUPS, adjust="none")}
PRINTED: dict[str, Derived] = {**COMPARISONS, "effect_sizes": _effect_sizes}
ONLY_SE_AL: dict[str, Derived] = {"se_al": _se_al, "se_al_margin": _se_al_margin}


def _tables() -> dict[str, pd.DataFrame]:
    """Printed tables, and two that follow from them: the centres of the intervals, and SDs from printed effect sizes."""
    pain, congress = load_table("fuentes2014_pain"), load_table("fuentes2014_congress")
    return {
        "pain": pain,
        "pain_centres": pain.assign(mean=(pain["low"] + pain["high"]) / 2),
        "ppt": load_table("fuentes2014_ppt"),
        "congress": congress.assign(sd=congress["mean"] / congress["effect_size"]),
    }


def _data_analyses() -> tuple[Analysis, ...]:
    pain, ppt = "pain_reduction ~ treatment * alliance + pain_before", "ppt_gain ~ treatment * alliance + ppt_before"
    nested, crossed = {"therapists": ("nested",)}, {"therapists": ("crossed",)}
    unseen = "the therapists' part in the result cannot be looked at"
    clustered = LinearModel(pain, vcov="CR2", cluster="therapist")
    return (
        Analysis("pain", LinearModel(pain), "factorial", derived=ON_DATA),
        Analysis("ppt", LinearModel(ppt), "factorial", derived=ON_DATA),
        Analysis("pain_change", LinearModel("pain_reduction ~ treatment * alliance"), "groups", "secondary", CHANGES),
        Analysis("ppt_change", LinearModel("ppt_gain ~ treatment * alliance"), "groups", "secondary", CHANGES),
        Analysis("pain_within_therapists", LinearModel(f"{pain} + C(therapist)"), "factorial", "secondary",
                 ONLY_SE_AL | {"effects": COMPARISONS["effects"]}, when=crossed, needs=("therapist",), otherwise=unseen),
        Analysis("pain_by_therapist", clustered, "factorial", "secondary", ONLY_SE_AL, when=nested,
                 needs=("therapist",), otherwise=unseen),
        *(fuentes_levels.course(name, EFFECTS, SHAM_ENHANCED, GROUPS) for name in ("pain", "ppt")),
        *(fuentes_levels.with_therapists(name, formula, ONLY_SE_AL | {"effects": COMPARISONS["effects"]})
          for name, formula in (("pain", pain), ("ppt", ppt))),
    )  # fmt: skip


def _printed_analyses() -> tuple[Analysis, ...]:
    pooled = SummaryStatistics(CELLS, low="low", high="high")
    apart = SummaryStatistics(CELLS, low="low", high="high", error="separate", interval_df="group")
    congress = SummaryStatistics(CELLS, sd="sd", error="separate")
    return (
        Analysis("printed_pain", pooled, "factorial", "secondary", PRINTED, table="pain"),
        Analysis("printed_pain_centres", pooled, "sham_enhanced", "secondary", ONLY_SE_AL, table="pain_centres"),
        Analysis("printed_congress", congress, "sham_enhanced", "secondary", ONLY_SE_AL, table="congress"),
        Analysis("printed_ppt", apart, "sham_enhanced", "secondary", ONLY_SE_AL, table="ppt"),
    )


def _audit(table: str, totals: list[dict[str, object]] | None = None) -> pd.DataFrame:
    return SummaryStatistics(CELLS, low="low", high="high").audit(TABLES[table], totals=totals)


def _draw_groups(run: Run, ax: Axes | None, points: bool) -> Axes:
    return figures.group_means(
        run.derived["pain/cells"], run.results["pain"].frame if points else None,
        x="treatment", by="alliance", y="pain_reduction", ylabel="Fall in pain (mm)", ax=ax,
    )  # fmt: skip


def _draw_sources(run: Run, ax: Axes | None, points: bool) -> Axes:
    rows = run.across("SE − AL")
    pain = rows[~rows["analysis"].str.contains("ppt")].dropna(subset="conf_low")
    shown = pain.assign(term=pain["analysis"].map(SOURCES), component="effect").dropna(subset="term")
    return figures.forest(shown, xlabel="Sham enhanced − active limited, fall in pain (mm)", ax=ax)


def _draw_flow(run: Run, ax: Axes | None, points: bool) -> Axes:
    return figures.participant_flow(run.flow(), ax=ax)


SOURCES = {
    "printed_pain/se_al": "Printed means and intervals",
    "printed_pain_centres/se_al": "Centres of the printed intervals",
    "printed_congress/se_al": "Congress figures",
    "pain/se_al": "These data, adjusted",
    "pain_change/se_al": "These data, change scores",
    "pain_course/se_al": "These data, repeated measures",
    "pain_therapists/se_al": "These data, adjusted, therapists random",
}
LABELS = {
    "pain": "Fall in pain, adjusted for pain before",
    "ppt": "Rise in pressure pain threshold, adjusted for the threshold before",
    "pain_change": "Fall in pain, change scores",
    "ppt_change": "Rise in pressure pain threshold, change scores",
    "pain_within_therapists": "Fall in pain, compared within therapists",
    "pain_by_therapist": "Fall in pain, cluster-robust by therapist",
    "printed_pain": "Printed pain means and intervals",
    "printed_pain_centres": "Centres of the printed pain intervals",
    "printed_congress": "Congress figures for pain",
    "printed_ppt": "Printed pressure pain threshold means and intervals",
    "effects": "factorial contrasts, p adjusted by Holm",
    "anova": "type III tests",
    "se_al": "sham enhanced minus active limited",
    "se_al_margin": "the same as non-inferiority, one-sided 2.5 %",
    "cells": "adjusted means of the groups",
    "groups": "mean change by group",
    "effect_sizes": "standardised contrasts",
    **fuentes_levels.LABELS,
    "pain_reduction": "Fall in pain intensity (PI-NRS)",
    "ppt_gain": "Rise in pressure pain threshold",
    "sham_enhanced": "sham enhanced against active limited",
}
TABLES = _tables()

STUDY = Study(
    key="fuentes2014",
    title="Enhanced or limited alliance with active or sham interferential current",
    citation="Fuentes J, Armijo-Olivo S, Funabashi M, et al. Phys Ther 2014;94:477–489",
    doi="10.2522/ptj.20130118",
    question="Does an enhanced interaction with the therapist reduce pain, alone and beside an active treatment; "
    "and does sham treatment with an enhanced alliance do as well as active treatment with a limited one?",
    design="Randomised 2 × 2 experiment, one session: current (active or sham) × interaction (enhanced or limited); 117 "
    "patients. Groups: AL active limited, SL sham limited, AE active enhanced, SE sham enhanced",
    guideline="consort",
    variables=VARIABLES,
    prepare=(
        Change("pain_before", baseline="pain_after", name="pain_reduction"),
        Change("ppt_after", baseline="ppt_before", name="ppt_gain"),
    ),
    analyses=(*_data_analyses(), *_printed_analyses()),
    estimands=ESTIMANDS,
    simulate=partial(simulate_fuentes, exact=True),
    targets=load_targets("fuentes2014"),
    tables=TABLES,
    options=(THERAPISTS,),
    waves={
        "Pain rated before": ("pain_before",),
        "Pain rated after": ("pain_before", "pain_after"),
    },
    arm=CELLS,
    outcomes=("pain_before", "pain_after", "pain_reduction", "ppt_before", "ppt_after", "ppt_gain"),
    figures=(
        Figure("groups", "Fall in pain by current and interaction: means with 95 % intervals, adjusted for pain before the "
               "session, over the patients.", "Group means with raw data", _draw_groups),
        Figure("sources", "Sham current with an enhanced alliance against active current with a limited one, from "
               "every source.",
               "Forest plot of the difference SE minus AL", _draw_sources, size=(174, 80)),
        Figure("flow", "Participants.", "Flow diagram of the participants by group", _draw_flow),
    ),
    audits={
        "Pain, printed means and intervals (mm)": partial(
            _audit, "pain", [{"item": "patients", "parts": [30, 29, 29, 29], "printed": 117}]
        ),
        "Pressure pain threshold, printed means and intervals (kg)": partial(_audit, "ppt"),
    },
    side_by_side=("SE − AL",),
    labels=LABELS,
    cautions=(
        "Three sources of the same trial print different group means (limited sham 10.3, 10.0 and 10.14 mm); each "
        "target names its own. The thesis prints the paper's means for the sham enhanced and the active limited group.",
        "Pain reduction is pain before − pain after, so that a positive number is an improvement. Adjusted for pain before the "
        "session its contrasts are those of an analysis of covariance of pain after, with the sign turned.",
        "The standard deviations of the congress figures are implied (mean ÷ effect size); which SD was used is not stated.",
        *fuentes_levels.CAUTIONS,
        "Only the immediate effect of one session was tested.",
    ),
)  # fmt: skip
