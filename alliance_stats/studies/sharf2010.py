"""Sharf et al. 2010: from a pooled difference in alliance between completers and dropouts to odds of dropping out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError, require_columns
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.linear import LinearModel
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.render import figures
from alliance_stats.result import Result, tidy_frame
from alliance_stats.study.declare import Analysis, Estimand, Figure, Study
from alliance_stats.study.printed_numbers import PrintedNumbers
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_table, load_targets
from alliance_stats.synthetic.sharf import simulate_sharf

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGISTIC = float(np.pi / np.sqrt(3))  # SD of the standard logistic distribution
SLOPE, DICHOTOMY = "log odds of dropping out, by SD", "log odds ratio, alliance split in two"
VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("sample", "Study that the patient was in", identifier=True, missing=False),
    Variable("alliance", "Alliance, on the questionnaire of the study; higher is better", unit="points"),
    Variable("dropped", "Dropped out of psychotherapy", integer=True, range=(0, 1), missing=False,
             labels={0: "completed", 1: "dropped out"}),
)  # fmt: skip
POPULATION = "Adults in individual psychotherapy in studies that compared the alliance of dropouts and completers"
ENDED = "Dropping out is the outcome; what counts as dropping out is each study's own"
ESTIMANDS = {
    "odds": Estimand(
        population=POPULATION,
        contrast="One SD more of alliance within completers and dropouts of the study, in the same study",
        outcome="Dropping out before the agreed end",
        time="Alliance when the study rated it, dropout afterwards",
        intercurrent=ENDED,
        summary="Odds ratio by SD; for normal ratings of one SD exp(−d)",
        causal="Alliance was not randomised, and who improves early may rate it higher: an association",
    ),
    "difference": Estimand(
        population=POPULATION,
        contrast="Dropouts against completers of the same study",
        outcome="Alliance in SDs within the two groups",
        time="When the study rated it",
        intercurrent=ENDED,
        summary="Standardised difference d",
        causal="None: it looks back from dropping out to the alliance before it",
    ),
}


@dataclass(frozen=True)
class WithinGroups:
    """Alliance as the distance from the study's mean in SDs within its completers and dropouts: ``alliance_sd``.

    The SD is pooled over the two groups of each study, as in d, so that questionnaires can be put together. Raises DataError
    for a study with fewer than two patients of either group.
    """

    def learn(self, frame: pd.DataFrame) -> Self:
        """The step itself: it has no constants."""
        return self

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rated patients with the new column."""
        require_columns(frame.columns, ["sample", "alliance", "dropped"], "WithinGroups")
        rated = frame.dropna(subset=["alliance"])
        groups = rated.groupby(["sample", "dropped"], observed=True)["alliance"]
        counts = groups.size().unstack(fill_value=0)
        few = counts.index[(counts.reindex(columns=[0, 1], fill_value=0) < 2).any(axis=1)]
        if len(few):
            raise DataError(
                f"WithinGroups: study {few[0]} has fewer than two rated dropouts or completers; leave it out"
            )
        squares = ((rated["alliance"] - groups.transform("mean")) ** 2).groupby(rated["sample"]).sum()
        sd = (squares / (counts.sum(axis=1) - 2)) ** 0.5
        if (sd == 0).any():
            raise DataError(f"WithinGroups: alliance does not vary in study {sd.index[sd == 0][0]}; leave it out")
        mean = rated.groupby("sample")["alliance"].transform("mean")
        return rated.assign(alliance_sd=(rated["alliance"] - mean) / rated["sample"].map(sd))


def slope_from_d(d: float) -> float:
    """Change of the log odds of dropping out by one SD of alliance, from d = completers less dropouts.

    For normal ratings with one SD in both groups the log of the ratio of their densities is linear in the rating with slope
    −d by SD (linear discriminant analysis; Efron 1975, doi 10.1080/01621459.1975.10480319).

    >>> round(float(np.exp(slope_from_d(0.55))), 2)
    0.58
    """
    return -d


def dichotomy_from_d(d: float) -> float:
    """Log odds ratio of dropping out with alliance above against below a cut: −d·π/√3.

    This is for a rating of logistic distribution that was split in two (Hasselblad & Hedges 1995, doi
    10.1037/0033-2909.117.1.167; Chinn 2000): two groups of patients instead of one SD.

    >>> round(float(np.exp(dichotomy_from_d(0.55))), 2)
    0.37
    """
    return -d * LOGISTIC


def _conversions(table: pd.DataFrame) -> pd.DataFrame:
    d = float(table["d"].iloc[0])
    values = {SLOPE: slope_from_d(d), DICHOTOMY: dichotomy_from_d(d)}
    return tidy_frame(term=list(values), component="effect", estimate=list(values.values()))


def _questions(result: Result) -> pd.DataFrame:
    """Both conversions as odds ratios, each with the question that it answers and what rounding leaves."""
    d, half = float(result.frame["d"].iloc[0]), 0.005
    rows = [
        ("odds ratio by SD", slope_from_d, "how much less likely is dropping out with one SD more of alliance?"),
        ("odds ratio, alliance split in two", dichotomy_from_d,
         "how much less likely above a cut-point than below it? Another question: no effect by SD"),
    ]  # fmt: skip
    return pd.DataFrame(
        [
            {"term": term, "estimate": np.exp(make(d)), "lowest": np.exp(make(d + half)), "highest": np.exp(make(d - half)),
             "answers": asks}
            for term, make, asks in rows
        ]
    )  # fmt: skip


def _odds_ratios(result: Result) -> pd.DataFrame:
    rows = result.estimates[result.estimates["term"] == "alliance_sd"]
    numbers = {name: np.exp(rows[name].to_numpy()) for name in ("estimate", "conf_low", "conf_high")}
    return tidy_frame(term=["odds ratio by SD"], component="effect", interval="normal", **numbers)


def _printed() -> Analysis:
    model = PrintedNumbers(
        "log odds from the printed d", _conversions, lambda table: int(table["n"].iloc[0]),
        ("the abstract prints no interval of d and no spread between the studies: neither conversion has an interval",),
    )  # fmt: skip
    return Analysis("printed", model, "odds", "primary", {"questions": _questions}, table="pooled")


def _curve(run: Run) -> pd.DataFrame:
    """Probability of completing over alliance in the average study, from the individual data."""
    result = run.results["slope"]
    x = np.linspace(-2.5, 2.5, 61)
    found = result.model._predict(result, pd.DataFrame({"alliance_sd": x}))
    half = float(t_quantile(0.975, np.inf)) * found["std_error"]
    ends = {"fitted": 0.0, "conf_low": half, "conf_high": -half}
    return pd.DataFrame({"alliance": x, **{name: 1 / (1 + np.exp(found["fitted"] + m)) for name, m in ends.items()}})


def _draw_curve(run: Run, ax: Axes | None, points: bool) -> Axes:
    own = _curve(run).assign(source="individual data")
    at_mean = float(np.interp(0.0, own["alliance"], np.log(own["fitted"] / (1 - own["fitted"]))))
    d = float(TABLE["d"].iloc[0])
    lines = [own]
    for source, slope in (
        ("slope of d = .55 by SD", -slope_from_d(d)),
        ("π/√3 taken for a slope (too steep)", -dichotomy_from_d(d)),
    ):
        fitted = 1 / (1 + np.exp(-(at_mean + slope * own["alliance"])))
        lines.append(own.assign(source=source, fitted=fitted, conf_low=fitted, conf_high=fitted))
    return figures.completion(
        pd.concat(lines, ignore_index=True), x="alliance", by="source", ax=ax,
        xlabel="Alliance, SDs within groups from the study’s mean", ylabel="Completes treatment",
    )  # fmt: skip


LABELS = {
    "printed": "What follows from the printed d",
    "questions": "two conversions, and the question that each answers",
    "slope": "Dropping out by alliance, individual patients",
    "difference": "Difference in alliance between dropouts and completers, individual patients",
    "odds_ratio": "odds ratio",
    "odds": "odds of dropping out",
}
TABLE = load_table("sharf2010_pooled")

STUDY = Study(
    key="sharf2010",
    title="Alliance and dropout from psychotherapy: odds from a pooled difference",
    citation="Sharf J, Primavera LH, Diener MJ. Psychotherapy 2010;47(4)",
    doi="10.1037/a0021175",
    question="How much lower are the odds of dropping out with one SD more of alliance, if completers and dropouts are .55 SD "
    "apart?",
    design="Meta-analysis of 11 studies with 1,301 patients. Only its abstract is public here: d is converted as it stands. "
    "The design for individual patients is a design of this page, with one row a patient",
    variables=VARIABLES,
    analyses=(
        _printed(),
        Analysis("slope", GeneralizedMixedModel("dropped ~ alliance_sd + (1 | sample)", quadrature=15), "odds", "secondary",
                 {"odds_ratio": _odds_ratios}, prepare=(WithinGroups(),), groups={"sample": 3}),
        Analysis("difference", LinearModel("alliance_sd ~ dropped + sample"), "difference", "secondary",
                 prepare=(WithinGroups(),), groups={"sample": 2}),
    ),
    estimands=ESTIMANDS,
    simulate=simulate_sharf,
    targets=load_targets("sharf2010"),
    tables={"pooled": TABLE},
    arm=(),
    outcomes=("dropped",),
    figures=(
        Figure("completion", "Predicted probability of completing by alliance in an average study: individual (simulated or "
               "own) data with 95 % band, the slope of −.55 by SD, and what the factor π/√3 would make of it if it were taken "
               "for a slope.",
               "Three rising curves", _draw_curve, size=(120, 90)),
    ),
    labels=LABELS,
    cautions=(
        "Nothing here reruns the eleven studies: their numbers are not in the abstract. One printed number is converted, and "
        "the conversion is checked on data drawn by a program.",
        "The slope of −d by SD holds for normal ratings with one SD in both groups. The SD is that within completers and "
        "dropouts; the SD of all patients together is larger by √(1 + p(1 − p)d²), 3 % with a third dropping out.",
        "The factor π/√3 makes of d the log odds ratio of dropping out above against below a cut-point of the alliance (OR "
        ".37). It is no effect by SD, and must not be put beside slopes.",
        "The abstract prints no interval of d. It names moderators (education, length of treatment, setting), so that studies "
        "differ; the individual data are drawn with one d in all of them.",
        "Alliance was not randomised. Patients who are getting better may rate it higher and stay.",
    ),
)  # fmt: skip
