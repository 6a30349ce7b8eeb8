"""Keller et al. 2010: early alliance with doing exposures and with completing treatment of post-traumatic stress disorder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.errors import AllianceError, DataError, require_columns
from alliance_stats.inference.predict import predict
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.generalized_predict import Groups
from alliance_stats.models.linear import LinearModel
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.render import figures
from alliance_stats.render.numbers import p_value
from alliance_stats.result import Result, estimate_row, tidy_frame
from alliance_stats.study.declare import Analysis, Derived, Estimand, Figure, Study
from alliance_stats.study.printed_numbers import PrintedNumbers
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_table, load_targets
from alliance_stats.study.therapists import therapist_remarks
from alliance_stats.synthetic.keller import TREATMENTS, simulate_keller

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HALF = 0.005
MOST = 100_000  # patients up to which a number is looked for
VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("therapist", "Therapist who treated the patient", identifier=True, optional=True),
    Variable("treatment", "Treatment of the patient", levels=TREATMENTS, missing=False),
    Variable("alliance", "Early alliance rated by the patient (Working Alliance Inventory)", unit="points"),
    Variable("assigned", "Exposures assigned; missing without exposure", integer=True, range=(0, 1000)),
    Variable("done", "Exposures done of those assigned", integer=True, range=(0, 1000)),
    Variable(
        "completed", "Completed the treatment", integer=True, range=(0, 1), labels={0: "dropped out", 1: "completed"}
    ),
)
POPULATION = (
    "Adults with chronic post-traumatic stress disorder in prolonged exposure or with sertraline, over ten weeks"
)
CAUSAL = "Alliance was not randomised, and who does exposures early may rate it higher: an association"
ESTIMANDS = {
    "adherence": Estimand(
        population=f"{POPULATION}: those in exposure",
        contrast="One SD (correlation) or one point (odds) more of early alliance",
        outcome="Share of the assigned exposures that were done",
        time="Alliance early, exposures over the treatment",
        intercurrent="Exposures assigned to those who left later are counted as assigned",
        summary="Correlation; odds ratio of doing an exposure",
        causal=CAUSAL,
    ),
    "completion": Estimand(
        population=POPULATION,
        contrast="One SD (correlation) or one point (odds) more of early alliance",
        outcome="Completing the treatment",
        time="Alliance early, completion at ten weeks",
        intercurrent="Leaving is the outcome; leaving before the alliance was rated is not in the question",
        summary="Point-biserial correlation; odds ratio of completing",
        causal=CAUSAL,
    ),
}


@dataclass(frozen=True)
class ExposureShare:
    """The patients in exposure with the share of their assigned exposures that they did."""

    def learn(self, frame: pd.DataFrame) -> Self:
        """The step itself: it has no constants."""
        return self

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows with exposures assigned, and ``share``. Raises DataError for more done than assigned, and without such rows."""
        require_columns(frame.columns, ["treatment", "assigned", "done"], "ExposureShare")
        rows = frame[(frame["treatment"] == TREATMENTS[0]) & (frame["assigned"] > 0)]
        if rows.empty:
            raise DataError("ExposureShare: no patient in exposure has exposures assigned; fill 'assigned' and 'done'")
        if (rows["done"] > rows["assigned"]).any():
            raise DataError(
                f"ExposureShare: {int((rows['done'] > rows['assigned']).sum())} patients did more than assigned"
            )
        return rows.assign(share=rows["done"] / rows["assigned"])


def fisher_interval(r: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Confidence limits of a correlation of n patients by Fisher's z, standard error 1/√(n − 3).

    >>> print(np.round(fisher_interval(0.32, 38), 2))
    [0.   0.58]
    """
    z, half = np.arctanh(r), float(t_quantile((1 + level) / 2, np.inf)) / np.sqrt(n - 3)
    return float(np.tanh(z - half)), float(np.tanh(z + half))


def p_of_r(r: float, n: float) -> float:
    """Two-sided p of a correlation, by t = r√(n − 2)/√(1 − r²) on n − 2 degrees of freedom.

    >>> round(p_of_r(0.19, 107), 3)
    0.05
    """
    return float(t_p_value(r * np.sqrt((n - 2) / (1 - r**2)), n - 2))


def fewest_patients(r: float, p: float = 0.05) -> int:
    """The smallest n at which a correlation has a p below the given one.

    >>> fewest_patients(0.32), fewest_patients(0.19)
    (39, 107)
    """
    low, high = 4, MOST
    if p_of_r(r, high) >= p:
        raise AllianceError(f"r = {r} has p ≥ {p} with {MOST} patients, too")
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if p_of_r(r, middle) < p else (middle + 1, high)
    return low


def _needed(table: pd.DataFrame) -> pd.DataFrame:
    terms = [f"patients at which r = {r:.2f} has p < .05".replace("0.", ".") for r in table["r"]]
    return tidy_frame(term=terms, component="effect", estimate=[float(fewest_patients(float(r))) for r in table["r"]])


def _rounding(result: Result) -> pd.DataFrame:
    """The same with what the rounding of r leaves, and for p < .01 and p < .001."""
    rows = []
    for term, r in zip(result.estimates["term"], result.frame["r"].astype(float), strict=True):
        rows.append(
            {"term": term, "n_at_least": fewest_patients(r + HALF), "n_needed": fewest_patients(r),
             "n_at_most": fewest_patients(r - HALF), "n_for_p_below_.01": fewest_patients(r, 0.01),
             "n_for_p_below_.001": fewest_patients(r, 0.001)}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _if_n(result: Result) -> pd.DataFrame:
    """Intervals by Fisher's z that the printed correlations would have with so many patients."""
    rows = []
    for outcome, r in zip(result.frame["outcome"], result.frame["r"].astype(float), strict=True):
        for n in (40, 60, 80, 107, 150, 200, 300):
            low, high = (round(limit, 3) for limit in fisher_interval(r, n))
            rows.append(
                {
                    "term": f"{outcome}, n = {n}",
                    "estimate": r,
                    "conf_low": low,
                    "conf_high": high,
                    "p_value": p_of_r(r, n),
                }
            )
    return pd.DataFrame(rows)


def _correlation(result: Result) -> pd.DataFrame:
    """The correlation behind a regression on one predictor, with Fisher's interval."""
    row, n = estimate_row(result.estimates, "alliance"), len(result.frame)
    r = float(row.statistic / np.sqrt(row.statistic**2 + n - 2))
    low, high = fisher_interval(r, n, result.model.level)
    return tidy_frame(
        term=["alliance"], component="effect", estimate=[r], std_error=(1 - r * r) / np.sqrt(n - 1), df=n - 2,
        statistic=row.statistic, p_value=row.p_value, conf_low=low, conf_high=high, interval="normal",
    )  # fmt: skip


def _odds(result: Result) -> pd.DataFrame:
    """Odds ratios by ten points."""
    row = estimate_row(result.estimates, "alliance")
    low, b, high = (float(np.exp(10 * v)) for v in (row.conf_low, row.estimate, row.conf_high))
    return tidy_frame(term=["odds ratio by 10 points"], component="effect", estimate=[b], conf_low=low, conf_high=high,
                      interval="normal")  # fmt: skip


def _audit() -> pd.DataFrame:
    """What both correlations being p < .05 needs, and whether one number of patients can serve both."""
    needed = fewest_patients(float(TABLE["r"].min()) + HALF)
    other = float(TABLE["r"].max())
    rows = [
        {
            "check": "p of a correlation", "item": str(outcome), "printed": f"r = {r:.2f}, p < .05".replace("0.", "."),
            "recomputed": f"n of {fewest_patients(r + HALF)} to {fewest_patients(r - HALF)} or more", "verdict": "no power",
            "detail": "the number of patients is not in the abstract: neither interval nor p can be recomputed",
        }
        for outcome, r in zip(TABLE["outcome"], TABLE["r"].astype(float), strict=True)
    ]  # fmt: skip
    rows.append(
        {
            "check": "one n for both", "item": "exposures done and completion", "printed": "p < .05 for both",
            "recomputed": f"r = .32 has p {p_value(p_of_r(other, needed))} with {needed} patients", "verdict": "no power",
            "detail": "with the patients that r = .19 needs, r = .32 would have a p below .01: the printed p < .05 is then a "
            "threshold only, or it rests on fewer patients, such as those in exposure alone",
        }
    )  # fmt: skip
    return pd.DataFrame(rows)


def _printed() -> Analysis:
    model = PrintedNumbers(
        "smallest number of patients at which a printed correlation has p < .05", _needed, len,
        ("the number of patients is not in the abstract, so that no interval of either correlation can be recovered",),
    )  # fmt: skip
    return Analysis(
        "printed", model, "adherence", "secondary", {"rounding": _rounding, "if_n": _if_n}, table="correlations"
    )


def _models() -> tuple[Analysis, ...]:
    r: dict[str, Derived] = {"correlation": _correlation}
    odds: dict[str, Derived] = {"odds_ratio": _odds}
    done, left = "done | trials(assigned) ~ alliance + (1 | therapist)", "completed ~ alliance + (1 | therapist)"
    share = (ExposureShare(),)
    return (
        Analysis("adherence_r", LinearModel("share ~ alliance"), "adherence", "primary", r, prepare=share),
        Analysis("completion_r", LinearModel("completed ~ alliance"), "completion", "primary", r),
        Analysis("adherence", GeneralizedMixedModel(done, family="betabinomial"), "adherence", "secondary", odds, prepare=share,
                 groups={"therapist": 3}, otherwise="exposures of one therapist's patients cannot be told apart",
                 remarks=therapist_remarks),
        Analysis("completion", GeneralizedMixedModel(left, quadrature=15), "completion", "secondary", odds,
                 groups={"therapist": 3}, otherwise="fitted without therapists, as one period at risk",
                 instead=DiscreteTimeModel("completed ~ alliance", link="logit"), remarks=therapist_remarks),
    )  # fmt: skip


def _draw_if_n(run: Run, ax: Axes | None, points: bool) -> Axes:
    n = np.arange(12, 301, 4)
    parts = []
    for outcome, r in zip(TABLE["outcome"], TABLE["r"].astype(float), strict=True):
        limits = np.array([fisher_interval(r, float(k)) for k in n])
        parts.append(pd.DataFrame({"n": n, "outcome": f"{outcome}, r = {r:.2f}".replace("0.", "."), "fitted": r,
                                   "conf_low": limits[:, 0], "conf_high": limits[:, 1]}))  # fmt: skip
    ax = figures.interaction(pd.concat(parts, ignore_index=True), x="n", by="outcome", ax=ax, xlabel="If so many patients",
                             ylabel="Correlation")  # fmt: skip
    ax.axhline(0, color="#333333", linewidth=0.7, zorder=1)
    return ax


def _draw_completion(run: Run, ax: Axes | None, points: bool) -> Axes:
    """The chance of completing over alliance, averaged over therapists where the data name them."""
    result = run.results["completion"]
    rows = result.frame
    x = np.linspace(rows["alliance"].min(), rows["alliance"].max(), 61)
    given: Groups = "population" if "n_therapist" in result.statistics else "conditional"
    curve = predict(result, pd.DataFrame({"alliance": x}), groups=given)[["fitted", "conf_low", "conf_high"]].assign(
        alliance=x
    )
    return figures.completion(curve, rows if points else None, x="alliance", y="completed", ax=ax,
                              xlabel="Early alliance (points)", ylabel="Completes treatment")  # fmt: skip


LABELS = {
    "printed": "What the printed correlations need",
    "rounding": "what the rounding of r leaves; further p",
    "if_n": "intervals by Fisher's z, if there were so many patients",
    "adherence_r": "Share of exposures done by alliance, correlation",
    "completion_r": "Completing by alliance, correlation",
    "adherence": "Exposures done of those assigned by alliance, beta-binomial",
    "completion": "Completing by alliance, binomial",
    "correlation": "correlation with Fisher's interval",
    "odds_ratio": "odds ratio",
}
TABLE = load_table("keller2010_correlations")

STUDY = Study(
    key="keller2010",
    title="Early alliance, exposures done and completing treatment of post-traumatic stress disorder",
    citation="Keller SM, Zoellner LA, Feeny NC. J Consult Clin Psychol 2010;78:974–979 (PMC3244206)",
    doi="10.1037/a0020758",
    question="Do patients with a better early alliance do more of their exposures, and complete treatment more often?",
    design="Prolonged exposure or sertraline over ten weeks. The abstract prints two correlations and no number of patients; "
    "the design for individual patients has one row a patient",
    variables=VARIABLES,
    analyses=(*_models(), _printed()),
    estimands=ESTIMANDS,
    simulate=simulate_keller,
    targets=load_targets("keller2010"),
    tables={"correlations": TABLE},
    arm="treatment",
    start="Patients",
    outcomes=("alliance", "assigned", "done", "completed"),
    figures=(
        Figure("if_n", "The two printed correlations with the 95 % intervals (Fisher's z) that they would have, by the number "
               "of patients, which is not in the abstract.", "Two correlations with bands that narrow", _draw_if_n,
               size=(120, 85)),
        Figure("completion", "Predicted probability of completing by early alliance, averaged over therapists, with 95 % band.",
               "A rising curve with its band", _draw_completion, size=(120, 85)),
    ),
    audits={"The printed correlations and p < .05": _audit},
    labels=LABELS,
    cautions=(
        "The abstract prints no number of patients. Both correlations have p < .05 only if there were at least 39 patients "
        "with r = .32 (37 to 40 by its rounding) and 107 with r = .19 (102 to 113); nothing else of their precision can be "
        "recovered.",
        "The correlation with exposures is that of patients in exposure, the correlation with completing that of all "
        "patients: they need not have one n.",
        "A correlation with completing, which is yes or no, depends on the share that completes; odds by point do not.",
        "Exposures of one patient are alike. The binomial would take them for independent; the beta-binomial does not.",
        "Numbers of patients, therapists and exposures, and the shares done and completing, are assumed in the simulated data.",
    ),
)  # fmt: skip
