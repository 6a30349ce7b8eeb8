"""Crits-Christoph et al. 2011: how dependable is an alliance rating, and what does the outcome owe to it?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.design.reshape import PerPatient
from alliance_stats.design.steps import Centre
from alliance_stats.inference.groups import caseload, icc
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.render import figures
from alliance_stats.render.style import GREY
from alliance_stats.study.declare import Analysis, Derived, Estimand, Figure, Study
from alliance_stats.study.dependability import (
    one_rating,
    over_sessions,
    patients_needed,
    sessions_needed,
    therapist_means,
)
from alliance_stats.study.explained import explained
from alliance_stats.study.printed_dependability import (
    PrintedDependability,
    implied_therapist_shares,
    printed_audit,
    printed_needed,
    printed_range,
    printed_shares,
)
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_table, load_targets
from alliance_stats.study.therapists import between_minus_within, therapist_remarks
from alliance_stats.synthetic.critschristoph import simulate_critschristoph

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("therapist", "Therapist who treated the patient", identifier=True, optional=True),
    Variable("session", "Number of the session, the first being 1", key=True, integer=True, range=(1, 200)),
    Variable("alliance", "Alliance rated by the patient after the session", unit="points"),
    Variable("depression_before", "Depression before treatment, the same in all rows of a patient", unit="points"),
    Variable(
        "depression_after", "Depression at the end of treatment, the same in all rows of a patient", unit="points"
    ),
)

POPULATION = "Adults with major depressive disorder in individual psychotherapy"
ENDED = (
    "Ending early is ignored: ratings up to the last session held are used; a missing rating is left out and counted"
)
ESTIMANDS = {
    "dependability": Estimand(
        population=POPULATION,
        contrast="None: differences between patients of one therapist, and between therapists",
        outcome="Alliance rated by the patient",
        time="Any session of the therapy, the sessions being exchangeable",
        intercurrent=ENDED,
        summary="Share of the variance of a mean of k ratings that is between patients (generalisability coefficient)",
        causal="None: it describes a measurement",
    ),
    "association": Estimand(
        population=POPULATION,
        contrast="One point more of alliance, at the same depression before treatment",
        outcome="Depression at the end of treatment",
        time="End of treatment; alliance at session 3, or the mean of sessions 3 to 9",
        intercurrent="Ending early is ignored (the outcome is used whatever happened); patients without it are left out and "
        "counted",
        summary="Difference in means by point, and share of the outcome's variance",
        causal="Alliance was not randomised, and improvement before session 3 or up to session 9 may have raised it: an "
        "association",
    ),
    "levels": Estimand(
        population=POPULATION,
        contrast="One point more of alliance than the therapist's other patients; one point more in the therapist's mean",
        outcome="Depression at the end of treatment",
        time="End of treatment; alliance as the mean of sessions 3 to 9",
        intercurrent="As for the association",
        summary="Difference in means by point, at the same depression before treatment",
        causal="Patients were not allotted to therapists at random: therapists with easier patients may have the better "
        "alliance",
    ),
}

RATINGS = PerPatient(
    {"alliance_session3": ("alliance", 3, 3), "alliance_mean": ("alliance", 3, 9)},
    keep=("therapist", "depression_before", "depression_after"),
    optional=("therapist",),
)
THERAPIST = {"therapist": 3}
UNSEEN = "the variance between therapists is part of that between patients"


def _therapists(make: Derived) -> Derived:
    """A frame of the therapists' level; empty of a model without it."""
    return lambda result: make(result) if "n_therapist" in result.statistics else pd.DataFrame({"term": []})


def _of_ratings() -> dict[str, Derived]:
    return {
        "one_session": one_rating,
        "sessions": over_sessions,
        "needed": sessions_needed,
        "icc": icc,
        "therapist_means": _therapists(therapist_means),
        "patients_needed": _therapists(patients_needed),
        "caseload": _therapists(partial(caseload, group="therapist")),
    }


def _ratings(name: str, fixed: str, derived: dict[str, Derived]) -> Analysis:
    model = MixedModel(f"alliance ~ {fixed} + (1 | patient) + (1 | therapist)")
    return Analysis(
        name, model, "dependability", "primary" if name == "ratings" else "secondary", derived, groups=THERAPIST,
        otherwise=UNSEEN, instead=MixedModel(f"alliance ~ {fixed} + (1 | patient)"), remarks=therapist_remarks,
    )  # fmt: skip


def _outcome(name: str, rating: str) -> Analysis:
    model = LinearModel(f"depression_after ~ depression_before + {rating}")
    return Analysis(
        name, model, "association", derived={"explained": partial(explained, term=rating)}, prepare=(RATINGS,)
    )


def _levels() -> Analysis:
    model = MixedModel(
        "depression_after ~ depression_before + alliance_mean_within + alliance_mean_between + (1 | therapist)",
        df_method="kenward-roger", prepare=(Centre("alliance_mean", by="therapist"),),
    )  # fmt: skip
    derived: dict[str, Derived] = {
        "contextual": partial(between_minus_within, name="alliance_mean"),
        "icc": icc,
        "caseload": partial(caseload, group="therapist"),
    }
    return Analysis(
        "therapists", model, "levels", "secondary", derived, prepare=(RATINGS,), groups=THERAPIST,
        otherwise="what lies between therapists cannot be looked at",
        remarks=partial(therapist_remarks, split="alliance_mean"),
    )  # fmt: skip


def _printed() -> Analysis:
    derived: dict[str, Derived] = {
        "needed": printed_needed,
        "range": printed_range,
        "shares": printed_shares,
        "therapist_shares": partial(implied_therapist_shares, patients=60),
    }
    return Analysis("printed", PrintedDependability(), "dependability", "secondary", derived, table="dependability")


def _draw_sessions(run: Run, ax: Axes | None, points: bool) -> Axes:
    own = run.derived["ratings/sessions"].assign(source="these data")
    printed = run.derived["printed/range"].rename(columns={"lowest": "conf_low", "highest": "conf_high"})
    curves = pd.concat([own, printed.assign(source="from the printed .77")], ignore_index=True)
    sessions = curves["term"].str.split().str[0].astype(int)
    ax = figures.interaction(
        curves.assign(sessions=sessions, fitted=curves["estimate"]), x="sessions", by="source", ax=ax,
        xlabel="Sessions averaged", ylabel="Dependability of the mean",
    )  # fmt: skip
    for level in (0.80, 0.90):
        ax.axhline(level, color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    ax.set_xticks(sorted(set(sessions)))
    return ax


def _draw_explained(run: Run, ax: Axes | None, points: bool) -> Axes:
    names = {"session3": "Session 3", "sessions3to9": "Mean of sessions 3 to 9"}
    rows = pd.concat([run.derived[f"{name}/explained"].head(1).assign(term=label) for name, label in names.items()])
    numbers = ["estimate", "std_error", "conf_low", "conf_high"]
    rows[numbers] = 100 * rows[numbers]
    return figures.forest(rows, xlabel="Outcome variance explained by alliance (%)", ax=ax)


LABELS = {
    "ratings": "Alliance over sessions",
    "ratings_trend": "Alliance over sessions, its course taken out",
    "session3": "Depression after treatment by alliance at session 3",
    "sessions3to9": "Depression after treatment by the mean alliance of sessions 3 to 9",
    "therapists": "Depression after treatment by alliance within and between therapists",
    "printed": "What follows from the printed dependability of one session",
    "one_session": "shares of one rating",
    "sessions": "dependability of a patient's mean by number of sessions",
    "needed": "sessions needed, as the next whole number too",
    "icc": "shares of the variance by level (ICC); correlation is that of two rows of one group",
    "therapist_means": "dependability of a therapist's mean by number of patients",
    "patients_needed": "patients a therapist needed for a dependable therapist mean",
    "caseload": "number of therapists, and of ratings and patients of each",
    "explained": "share of the outcome's variance beyond depression before treatment",
    "contextual": "difference of the two coefficients",
    "range": "lowest and highest value that the rounding of the printed number leaves",
    "shares": "share of the outcome's variance if more sessions meant less error and nothing else",
    "therapist_shares": "therapists' share of the variance between patients at which the printed 60 patients are enough",
    "levels": "within and between therapists",
    "depression_before": "Depression before treatment",
    "depression_after": "Depression after treatment",
    "session_to_session": "Change from session to session",
    "late_sessions": "Change from session to session, sessions 10 to 16",
    "cited_meta_analysis_2000": "Meta-analysis cited for comparison (2000)",
    "cited_meta_analysis_2002": "Meta-analysis cited for comparison (2002)",
}
TABLE = load_table("critschristoph2011_dependability")

STUDY = Study(
    key="critschristoph2011",
    title="The dependability of alliance ratings and the alliance–outcome association",
    citation="Crits-Christoph P, Connolly Gibbons MB, Hamilton J, et al. J Consult Clin Psychol 2011;79:267–278",
    doi="10.1037/a0023668",
    question="How many sessions must be averaged to tell patients apart by their alliance, how many patients to tell "
    "therapists apart, and does a more dependable alliance explain more of the outcome?",
    design="Psychotherapy of major depressive disorder, 45 patients of 9 therapists, alliance rated after every session. One "
    "row of the data is a patient and session",
    variables=VARIABLES,
    analyses=(
        _ratings("ratings", "1", _of_ratings()),
        _outcome("session3", "alliance_session3"),
        _outcome("sessions3to9", "alliance_mean"),
        _ratings("ratings_trend", "session", {"sessions": over_sessions}),
        _levels(),
        _printed(),
    ),
    estimands=ESTIMANDS,
    simulate=simulate_critschristoph,
    targets=load_targets("critschristoph2011"),
    tables={"dependability": TABLE},
    arm=(),
    outcomes=("alliance", "depression_before", "depression_after"),
    figures=(
        Figure("sessions", "Dependability of a patient's mean alliance by the number of sessions averaged, with 95 % interval; "
               "from the printed .77 by Spearman–Brown, with what its rounding leaves open. Dotted lines: .80 and .90.",
               "Curves of dependability against the number of sessions", _draw_sessions, size=(120, 85)),
        Figure("explained", "Percentage of the variance of depression after treatment that alliance explains beyond depression "
               "before, with 95 % intervals.", "Forest plot of two shares of variance", _draw_explained, size=(174, 50)),
    ),
    audits={"Dependability of one session, and what is printed beside it": partial(printed_audit, TABLE, {0.80: 2, 0.90: 4})},
    labels=LABELS,
    cautions=(
        "From the printed .77 three sessions already have a dependability of .91 (.907 to .912 within its rounding), so that "
        "the printed “four or more for .90” does not follow from that number. The discussion of the paper gives four as what "
        "all three of its samples reach; four are needed where one session has .69 to .75.",
        "Less error of measurement would raise the share of explained variance from 4.7 % to 5.9 % with seven sessions, and "
        "to 6.1 % without any error. The printed 14.7 % is more than dependability alone can do. In later sessions "
        "alliance may follow improvement; and with 45 patients the 95 % interval of 4.7 % runs from 0 to 23 %.",
        "Dependability treats the sessions as exchangeable. Where alliance rises over the therapy the rise counts as error; "
        "where it drifts slowly, neighbouring sessions share the drift and their mean is less dependable for the whole therapy "
        "than it seems.",
        "Alliance was not randomised. What predicts outcome need not cause it.",
        "How the outcome was adjusted for its value before treatment is not in the public text; here it is a covariate.",
    ),
)  # fmt: skip
