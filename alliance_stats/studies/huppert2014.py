"""Huppert et al. 2014: does a patient's alliance at session 3, or the therapist's, go with staying in treatment?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.design.dropout import dropout_frame
from alliance_stats.design.reshape import PerPatient
from alliance_stats.design.steps import Centre
from alliance_stats.errors import DataError, require_columns
from alliance_stats.inference.survival_curves import aalen_johansen, kaplan_meier
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.render import figures
from alliance_stats.render.numbers import fixed
from alliance_stats.result import Result, tidy_frame
from alliance_stats.study.declare import Analysis, Derived, Estimand, Figure, Study
from alliance_stats.study.printed_numbers import PrintedNumbers
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_table, load_targets
from alliance_stats.study.therapists import therapist_remarks
from alliance_stats.synthetic.huppert import simulate_huppert

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RATED, PLANNED = 3, 11
SCALES = {"total": "total", "task": "task", "bond": "bond", "goal": "goal"}
LEVELS = {"within": "patient", "between": "therapist"}
HALF, PATIENTS = 0.005, 133  # half of the last printed digit; patients of the paper
VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("therapist", "Therapist who treated the patient", identifier=True, missing=False),
    Variable("session", "Number of a session attended, the first being 1", key=True, integer=True, range=(1, 200)),
    *(Variable(f"wai_{name}", f"Alliance at session {RATED} rated by the patient (WAI-P): {meaning}; the same in all rows of a "
               "patient", unit="points") for name, meaning in SCALES.items()),
)  # fmt: skip
ESTIMAND = Estimand(
    population=f"Adults with panic disorder in cognitive-behavioural therapy who came to session {RATED} and rated the "
    "alliance there",
    contrast="One point more of alliance than the therapist's other patients; one point more in the therapist's mean",
    outcome="Leaving treatment after a session, before the planned last one",
    time=f"From session {RATED}, the session of the rating; patients who had left before it are not in the question",
    intercurrent="Completing the planned sessions ends the risk of dropping out by design; reasons for leaving are not told "
    "apart",
    summary="Hazard ratio a session (complementary log–log link), at the same therapist within and for an average one between",
    causal="Alliance was not randomised, and improvement before session 3 may have raised it: an association",
)


@dataclass(frozen=True)
class AtRisk:
    """Patients at risk of dropping out, one row a session after which they could leave, with the alliance split in two.

    From session ``rated`` on, where the rating was made: earlier sessions had to be attended to be rated. Without the last
    planned session, after which nobody can leave early: with it a constant hazard would be too low. Alliance is split into the
    mean of the therapist's patients, each counting once, less the mean of all therapists, and the distance from it.
    """

    scales: tuple[str, ...]
    planned: int = PLANNED
    rated: int = RATED

    def learn(self, frame: pd.DataFrame) -> Self:
        """The step itself: it has no constants."""
        return self

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The person-periods; ``attrs["definition"]`` says how they were made."""
        require_columns(frame.columns, ["patient", "therapist", "session", *self.scales], "AtRisk")
        periods = dropout_frame(frame, planned=self.planned, completion="censored", planned_session="left out")
        inside = periods["session"] >= self.rated
        if not inside.any():
            raise DataError(f"AtRisk: nobody is there at session {self.rated}; correct 'session'")
        made = periods[inside].reset_index(drop=True)
        once = PerPatient({}, keep=("therapist", *self.scales))(frame[frame["patient"].isin(made["patient"])])
        for scale in self.scales:
            once = Centre(scale, by="therapist", grand_mean=True)(once)
            for part in ("within", "between"):
                made[f"{scale}_{part}"] = made["patient"].map(once.set_index("patient")[f"{scale}_{part}"])
        early = periods["patient"].nunique() - made["patient"].nunique()
        risk = (
            f"at risk after sessions {self.rated} to {self.planned - 1}; {early} patients had left before session "
            f"{self.rated} and are not in the analysis"
        )
        made.attrs["definition"] = f"{periods.attrs['definition']}; {risk}"
        return made


def _ratios(result: Result) -> pd.DataFrame:
    """exp(b) of a complementary log–log model: hazard ratios, and the hazard a session at the mean for the intercept."""
    rows = result.estimates[result.estimates["component"] == "hazard"]
    low, high = np.exp(rows["conf_low"]), np.exp(rows["conf_high"])
    return tidy_frame(
        term=rows["term"], component="effect", estimate=np.exp(rows["estimate"]), conf_low=low, conf_high=high,
        interval="normal",
    )  # fmt: skip


def _dropout(name: str) -> Analysis:
    scale = f"wai_{name}"
    fixed_part = "1" if name == "null" else f"{scale}_within + {scale}_between"
    model = DiscreteTimeModel(f"dropped ~ {fixed_part} + (1 | therapist)", quadrature=15, patient="patient")
    derived: dict[str, Derived] = {"ratios": _ratios}
    scales = ("wai_total",) if name == "null" else (scale,)
    return Analysis(
        name, model, "dropout", "primary" if name == "total" else "secondary", derived, prepare=(AtRisk(scales),),
        groups={"therapist": 3}, remarks=therapist_remarks,
    )  # fmt: skip


def _odds() -> Analysis:
    """The logit beside the complementary log–log: with hazards this small they agree."""
    formula = "dropped ~ wai_total_within + wai_total_between + (1 | therapist)"
    model = DiscreteTimeModel(formula, link="logit", quadrature=15, patient="patient")
    return Analysis(
        "total_logit", model, "dropout", "secondary", prepare=(AtRisk(("wai_total",)),), groups={"therapist": 3}
    )


def _hazards(table: pd.DataFrame) -> pd.DataFrame:
    """exp of the printed coefficients."""
    terms = [f"{model}, {level}" for model, level in zip(table["model"], table["level"], strict=True)]
    return tidy_frame(term=terms, component="effect", estimate=np.exp(table["b"].to_numpy(float)))


def _rounding(result: Result) -> pd.DataFrame:
    """exp(b) with what the rounding of b leaves open."""
    b = result.frame["b"].to_numpy(float)
    rows = result.estimates[["term", "estimate"]]
    return rows.assign(lowest=np.exp(b - HALF), highest=np.exp(b + HALF), printed=result.frame["exp_b"].to_numpy())


def _risk(result: Result) -> pd.DataFrame:
    """The printed intercept as a hazard a session: exp(b) as a rate, and the probability by each link."""
    row = result.frame[result.frame["model"] == "no predictors"].iloc[0]
    b = float(row["b"])
    one_by_link = {"rate a session, exp(b)": np.exp(b), "probability, complementary log–log": -np.expm1(-np.exp(b)),
                   "probability, logit": 1 / (1 + np.exp(-b))}  # fmt: skip
    sessions = PLANNED - RATED
    after = {f"left after {sessions} such sessions": -np.expm1(-sessions * np.exp(b))}
    values = {**one_by_link, **after}
    return tidy_frame(term=list(values), component="effect", estimate=list(values.values()))


def _audit() -> pd.DataFrame:
    """Whether each printed exp(b) can come from the printed b."""
    return pd.DataFrame(list(_checks(TABLE)))


def _checks(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    rows = table.dropna(subset=["exp_b"])
    names = rows["model"] + ", " + rows["level"]
    for name, (b, ratio) in zip(names, rows[["b", "exp_b"]].to_numpy(float).tolist(), strict=True):
        low, high = np.exp(b - HALF), np.exp(b + HALF)
        fits = low <= ratio + HALF and high >= ratio - HALF
        yield {
            "check": "exp(b)", "item": name, "printed": f"{fixed(b)} ({fixed(ratio)})",
            "recomputed": f"{low:.3f} to {high:.3f}", "verdict": "consistent" if fits else "inconsistent",
            "detail": "" if fits else "no b that rounds to the printed one gives it",
        }  # fmt: skip


def _printed() -> Analysis:
    model = PrintedNumbers(
        "exp(b) of the printed coefficients", _hazards, lambda table: PATIENTS,
        ("no standard errors are printed, and a star gives no interval: none are shown",),
    )  # fmt: skip
    return Analysis("printed", model, "dropout", "secondary", {"rounding": _rounding, "risk": _risk}, table="hazards")


def _ends(run: Run) -> pd.DataFrame:
    """One row a patient at risk, with time, status and the group of the therapist's mean alliance."""
    frame = dropout_frame(run.data, planned=PLANNED, completion="competing", form="patients")
    frame = frame[frame["time"] >= RATED]
    split = AtRisk(("wai_total",))(run.data).drop_duplicates("patient").set_index("patient")["wai_total_within"]
    above = frame["patient"].map(split) >= 0
    names = ["below the therapist’s mean", "at or above it"]
    group = pd.Categorical(np.where(above, names[1], names[0]), categories=names, ordered=True)
    done = frame["status"] == "completed"  # who completes was at risk up to the session before the last
    return frame.assign(group=group, time=np.where(done, PLANNED - 1, frame["time"]), start=RATED - 1)


def _draw_curves(run: Run, ax: Axes | None, points: bool) -> Axes:
    km = kaplan_meier(_ends(run), "Surv(start, time, dropped)", by="group")
    return figures.survival(km, ax=ax, start=RATED - 1, xlabel="Session", ylabel="Still in treatment after the session")


def _draw_incidence(run: Run, ax: Axes | None, points: bool) -> Axes:
    curves = aalen_johansen(dropout_frame(run.data, planned=PLANNED, completion="competing", form="patients"),
                            "Surv(time, status)")  # fmt: skip
    return figures.cumulative_incidence(curves, ax=ax, xlabel="Session", ylabel="Patients")


def _draw_hazard(run: Run, ax: Axes | None, points: bool) -> Axes:
    km = kaplan_meier(_ends(run), "Surv(start, time, dropped)")
    ax = figures.session_hazard(
        figures.session_hazards(km),
        ax=ax,
        xlabel="Session after which patients left",
        ylabel="Left, of those still there",
    )
    return figures.reference_hazard(ax, float(np.exp(-3.57)), "printed intercept, .028")


def _completion(run: Run) -> pd.DataFrame:
    """Probability of staying to the planned end over the patient's alliance, in an average therapist."""
    result = run.results["total"]
    rows = result.frame
    x = np.linspace(rows["wai_total_within"].min(), rows["wai_total_within"].max(), 61)
    found = result.model._predict(result, pd.DataFrame({"wai_total_within": x, "wai_total_between": 0.0}))
    half = float(t_quantile(0.975, np.inf)) * found["std_error"].to_numpy()
    eta, sessions = found["fitted"].to_numpy(), PLANNED - RATED
    stays = [np.exp(-sessions * np.exp(eta + move)) for move in (0.0, half, -half)]
    return pd.DataFrame({"alliance": x, "fitted": stays[0], "conf_low": stays[1], "conf_high": stays[2]})


def _draw_completion(run: Run, ax: Axes | None, points: bool) -> Axes:
    rows = AtRisk(("wai_total",))(run.data)
    ends = rows.groupby("patient", sort=False).agg(alliance=("wai_total_within", "first"), left=("dropped", "max"))
    raw = ends.assign(completed=1 - ends["left"]) if points else None
    return figures.completion(
        _completion(run), raw, x="alliance", y="completed", ax=ax, xlabel="Alliance at session 3 (WAI-P total), points from "
        "the mean of the therapist’s patients", ylabel="Completes treatment",
    )  # fmt: skip


LABELS = {
    "total": "Hazard of dropout by alliance, total",
    "task": "Hazard of dropout by alliance, task",
    "bond": "Hazard of dropout by alliance, bond",
    "goal": "Hazard of dropout by alliance, goal",
    "null": "Hazard of dropout without predictors",
    "total_logit": "Odds of dropout by alliance, total (logit link)",
    "printed": "exp of the printed coefficients",
    "ratios": "exp(b): hazard ratios by point, and the hazard a session at the mean alliance",
    "rounding": "lowest and highest exp(b) that the rounding of b leaves",
    "risk": "the printed intercept of the null model as a risk a session",
    "dropout": "leaving treatment",
    **{f"wai_{name}": f"Alliance, {meaning}" for name, meaning in SCALES.items()},
}
TABLE = load_table("huppert2014_hazards")

STUDY = Study(
    key="huppert2014",
    title="Alliance at session 3 and dropout from therapy of panic disorder",
    citation="Huppert et al. 2014, Behav Res Ther 52:26–34 (PMC4098660)",
    doi="10.1016/j.brat.2013.11.001",
    question="Do patients with a better alliance at session 3 than others of the same therapist stay longer, and do patients "
    "of therapists with a better mean alliance?",
    design="Cognitive-behavioural therapy of panic disorder, 133 patients with a rating at session 3, therapists with several "
    "patients each. One row of the data is a patient and a session attended",
    variables=VARIABLES,
    analyses=(*(_dropout(name) for name in SCALES), _dropout("null"), _odds(), _printed()),
    estimands={"dropout": ESTIMAND},
    simulate=simulate_huppert,
    targets=load_targets("huppert2014"),
    tables={"hazards": TABLE},
    arm=(),
    outcomes=tuple(f"wai_{name}" for name in SCALES),
    figures=(
        Figure("curves", "Share of patients still in treatment by session, from session 3, by the patient's alliance there "
               "(WAI-P total) below or not below the mean of the therapist's patients, with 95 % bands; below the axis, the "
               "number of patients at risk.", "Two survival curves with numbers at risk", _draw_curves, size=(120, 95)),
        Figure("incidence", "Cumulative share of patients who dropped out and who completed the planned sessions, with 95 % "
               "bands: completing is a competing event.", "Two cumulative incidence curves with numbers at risk",
               _draw_incidence, size=(120, 95)),
        Figure("hazard", "Share of those still there who left after each session, with 95 % (Wilson) intervals; dotted: the "
               "printed hazard of .028 a session.", "Points with intervals, one a session", _draw_hazard, size=(120, 75)),
        Figure("completion", "Predicted probability of completing treatment by alliance, at the mean of an average therapist, "
               "with 95 % band.", "A rising or falling curve with its band", _draw_completion, size=(120, 80)),
    ),
    audits={"exp(b) beside b": _audit},
    labels=LABELS,
    cautions=(
        "The public table prints b and exp(b) and no standard errors. Stars alone give no interval, so that patient and "
        "therapist level, and the subscales, cannot be compared from what is printed.",
        "The paper calls the model a Cox model. A Cox model has no intercept; the table has one of −3.57, which is a hazard in "
        "discrete time of exp(−3.57) = .028 a session. With the complementary log–log link used here exp(b) is a hazard "
        "ratio, with the logit an odds ratio; with hazards this small both are nearly the same.",
        "How alliance was centred is not in the public table. Here the patient level is the distance from the mean of the "
        "therapist's patients and the therapist level that mean; with ratings centred on the mean of all patients the "
        "coefficient at the therapist level would be the difference of the two.",
        "A rating at session 3 says nothing of patients who had left before. Time is counted from session 3: from session 1 it "
        "would hold sessions in which a rated patient could not have left.",
        "The number of therapists and of planned sessions, and the SDs of the ratings, are assumed in the simulated data (20, "
        "11, 4 points within and 1.2 between therapists on a subscale). The four printed slopes of each level fit together "
        "where subscales correlate .50 within and .93 between therapists, goal within therapists, which is not printed, being "
        "0.",
        "Therapists with a better mean alliance may have had other patients.",
    ),
)  # fmt: skip
