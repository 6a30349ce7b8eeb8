"""Chen 2019: is the alliance in telehealth non-inferior? From the printed means of the two arms."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.inference.contrasts import contrast, non_inferiority
from alliance_stats.inference.effect_sizes import cohens_d
from alliance_stats.models.audit import audit
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.summary import SummaryStatistics
from alliance_stats.render import figures
from alliance_stats.render.style import GREY
from alliance_stats.result import Result
from alliance_stats.study.declare import Analysis, Derived, Estimand, Figure, Study
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_table, load_targets
from alliance_stats.synthetic.from_summaries import simulate_chen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.58
DIFFERENCE = {"first − second": {"printed first": 1.0, "printed second": -1.0}}
ON_DATA = {"telehealth − comparison": {"telehealth": 1.0, "comparison": -1.0}}
ARMS = {name: {name: 1.0} for name in ("telehealth", "comparison")}

VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("arm", "How treatment was delivered", levels=("comparison", "telehealth"), missing=False),
    Variable("alliance", "Helping Alliance Questionnaire II, mean of the items; higher is better", unit="points"),
)
ESTIMANDS = {
    "delivery": Estimand(
        population="The patients of the study with an alliance rating",
        contrast="The arm printed first against the arm printed second; one of them is telehealth",
        outcome="Mean of the HAQ-II items",
        time="At the rating; when it was made is not in the public table",
        intercurrent="Patients without a rating are not in the printed means",
        summary="Difference in means, and whether it stays within the printed margin on either side",
        causal="Only if the arms were randomised, which the public table does not say",
    )
}


def _margins(result: Result, weights: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Non-inferiority of either arm at the printed margin: the conclusion cannot depend on which is telehealth."""
    ((name, chosen),) = weights.items()
    turned = " − ".join(reversed(name.split(" − ")))
    both = {name: chosen, turned: {cell: -weight for cell, weight in chosen.items()}}
    return non_inferiority(contrast(result, "arm", both, adjust="none"), margin=MARGIN)


def _d(result: Result) -> pd.DataFrame:
    return cohens_d(result, contrast(result, "arm", DIFFERENCE, adjust="none"))


def _derived(weights: dict[str, dict[str, float]]) -> dict[str, Derived]:
    return {
        "difference": partial(contrast, by="arm", weights=weights, adjust="none"),
        "margin": partial(_margins, weights=weights),
    }


def _printed(name: str, model: SummaryStatistics, derived: dict[str, Derived] | None = None) -> Analysis:
    return Analysis(name, model, "delivery", derived=_derived(DIFFERENCE) | (derived or {}), table="alliance")


def _audit() -> pd.DataFrame:
    tests = [
        {
            "item": "first − second", "kind": "difference", "n": "54", "mean": "5.13", "sd": ".71", "n2": "73", "mean2": "4.89",
            "sd2": ".64", "printed": ".23", "low": "-.01", "high": ".48",
        },
        {"item": "first − second, printed", "kind": "estimate", "printed": ".23", "low": "-.01", "high": ".48"},
    ]  # fmt: skip
    totals = [
        {"item": "patients", "parts": "54 + 73", "printed": 117},
        {"item": "difference of the means", "parts": "5.13 - 4.89", "printed": "0.23"},
    ]
    return audit(TABLE, factors="arm", sd="sd", low="low", high="high", tests=tests, totals=totals)


def _draw(run: Run, ax: Axes | None, points: bool) -> Axes:
    rows = run.across("first − second")
    rows = rows[rows["analysis"].str.endswith("/difference")]
    shown = rows.assign(term=[LABELS[name.split("/")[0]] for name in rows["analysis"]], component="effect")
    ax = figures.forest(shown, xlabel="Alliance, arm printed first − arm printed second (points)", ax=ax)
    ax.set_xlim(-1.15 * MARGIN, 1.15 * MARGIN)
    for margin in (-MARGIN, MARGIN):
        ax.axvline(margin, color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    return ax


LABELS = {
    "printed": "Printed means, one pooled SD",
    "printed_apart": "Printed means, each arm with its own SD",
    "printed_intervals": "Printed means and intervals of the arms",
    "alliance": "Alliance (HAQ-II), individual patients",
    "delivery": "telehealth against the comparison arm",
    "difference": "difference in means",
    "margin": "non-inferiority at the printed margin, one-sided 2.5 %",
    "standardised": "standardised difference",
    "arms": "mean by arm",
}
TABLE = load_table("chen2019_alliance")

STUDY = Study(
    key="chen2019",
    title="Alliance in telehealth against a comparison arm: non-inferiority from printed means",
    citation="Chen 2019, PMC6689461",
    doi="",
    question="Is the alliance in treatment at a distance no worse than in the comparison arm, by the printed margin of .58 "
    "points of the HAQ-II?",
    design="Two arms, 54 and 73 patients with an alliance rating. Only the printed table of means, SDs and intervals is public "
    "here; it is analysed as it stands",
    variables=VARIABLES,
    analyses=(
        _printed("printed", SummaryStatistics("arm", sd="sd"), {"standardised": _d}),
        _printed("printed_apart", SummaryStatistics("arm", sd="sd", error="separate")),
        _printed(
            "printed_intervals",
            SummaryStatistics("arm", low="low", high="high", error="separate", interval_df="group"),
        ),
        Analysis(
            "alliance", LinearModel("alliance ~ arm", vcov="HC3"), "delivery", "secondary",
            _derived(ON_DATA) | {"arms": partial(contrast, by="arm", weights=ARMS, adjust="none")},
        ),
    ),
    estimands=ESTIMANDS,
    simulate=simulate_chen,
    targets=load_targets("chen2019"),
    tables={"alliance": TABLE},
    start="Patients",
    outcomes=("alliance",),
    figures=(
        Figure("difference", "Difference in alliance between the printed arms, by how the printed numbers are read, with 95 % "
               "intervals. Dotted lines: the printed margin of .58 on either side.",
               "Forest plot of one difference from three readings", _draw, size=(174, 62)),
    ),
    audits={"Alliance by arm, printed means, SDs and intervals": _audit},
    side_by_side=("first − second",),
    labels=LABELS,
    cautions=(
        "The public table does not say which of its two arms is telehealth. The printed interval stays within .58 on both "
        "sides, so that non-inferiority holds whichever it is.",
        "The printed arms make 127 patients, the text says 117; and the interval of the arm printed first is that of more "
        "patients than are printed beside it, see the audit.",
        "Where the margin of .58 comes from is not in the public table. A margin chosen after the data proves nothing.",
        "The individual data are drawn from the printed means and SDs, with telehealth taken for the arm printed first.",
    ),
)  # fmt: skip
