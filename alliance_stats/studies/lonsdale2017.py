"""Lonsdale et al. 2017 (CONNECT): centres were randomised; what do twelve say of the effect on adherence, and through what?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError, require_columns
from alliance_stats.inference.groups import caseload, icc
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.models.multilevel_options import Means
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.render import figures
from alliance_stats.render.numbers import fixed, p_value
from alliance_stats.result import Result, tidy_frame
from alliance_stats.study.declare import Analysis, Derived, Estimand, Figure, Study
from alliance_stats.study.printed_numbers import PrintedNumbers
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_table, load_targets
from alliance_stats.synthetic.lonsdale import ARMS, simulate_lonsdale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EFFECT = "arm[T.training]"
PROBABILITY, HALF = 0.975, 0.005  # of the limits; half of the last printed digit
READINGS = (
    "interval by z, tested by z",
    "interval by z, tested on centres − 2 df",
    "interval on centres − 2 df, tested on them",
)
VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("therapist", "Physiotherapist who treated the patient", identifier=True, optional=True),
    Variable("centre", "Centre that was randomised", identifier=True, missing=False),
    Variable(
        "arm", "Whether the physiotherapists of the centre had the communication training", levels=ARMS, missing=False
    ),
    Variable(
        "autonomy_support",
        "How far the physiotherapist supports autonomy, rated once by the patient; higher is more",
        unit="points",
        optional=True,
    ),
    Variable("week", "Weeks after the first treatment", key=True, range=(0, 200), unit="weeks"),
    Variable("adherence", "Patient's rating of adherence to home exercise; higher is more", unit="points"),
)
ESTIMANDS = {
    "training": Estimand(
        population="Adults with chronic low back pain in publicly funded physiotherapy",
        contrast="Centres whose physiotherapists had the communication training against the others, as randomised",
        outcome="Patient's rating of adherence to home exercise",
        time="1, 4, 12 and 24 weeks after the first treatment, averaged",
        intercurrent="Ending treatment is ignored; missing ratings are left out, which is sound where their loss depends on "
        "arm and ratings given",
        summary="Difference in means",
        causal="Centres were randomised, so that the training has the effect, on average over 12 centres. What was changed is "
        "communication; whether it worked through the alliance is another question",
    ),
    "support": Estimand(
        population="Adults with chronic low back pain in publicly funded physiotherapy, and their physiotherapists",
        contrast="Centres whose physiotherapists had the training against the others: through the level of autonomy support "
        "that a physiotherapist gives, and not through it",
        outcome="Mean of a patient's ratings of adherence to home exercise",
        time="Autonomy support rated once, early; adherence over 24 weeks",
        intercurrent="Ending treatment is ignored; a patient's mean is that of the ratings given",
        summary="Difference in means, between physiotherapists",
        causal="The training is randomised, autonomy support is not: the effect through it is causal only if nothing "
        "unmeasured, on the level of physiotherapists or centres, moves both it and adherence",
    ),
}


@dataclass(frozen=True)
class CentreMeans:
    """One row a centre: the mean of its patients' mean ratings, each patient counting once."""

    def learn(self, frame: pd.DataFrame) -> Self:
        """The step itself: it has no constants."""
        return self

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Columns centre, arm, adherence, patients. Raises DataError for a centre in two arms."""
        require_columns(frame.columns, ["centre", "arm", "patient", "adherence"], "CentreMeans")
        both = frame.groupby("centre", observed=True)["arm"].nunique() > 1
        if both.any():
            raise DataError(
                f"CentreMeans: centre {both.index[both][0]} is in two arms; centres are randomised as a whole"
            )
        rated = frame.dropna(subset=["adherence"])
        each = rated.groupby(["centre", "arm", "patient"], observed=True)["adherence"].mean().reset_index()
        by = each.groupby(["centre", "arm"], observed=True)["adherence"]
        return by.agg(adherence="mean", patients="size").reset_index()


@dataclass(frozen=True)
class PatientMeans:
    """One row a patient: the rating of the physiotherapist, and the mean of the ratings of adherence."""

    def learn(self, frame: pd.DataFrame) -> Self:
        """The step itself: it has no constants."""
        return self

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Columns patient, therapist, centre, arm, autonomy_support, adherence.

        Raises DataError for a patient with two values of one of them but adherence.
        """
        once = ["therapist", "centre", "arm", "autonomy_support"]
        require_columns(frame.columns, ["patient", *once, "adherence"], "PatientMeans")
        groups = frame.groupby("patient", sort=False, observed=True)
        for name in once:
            several = groups[name].nunique() > 1
            if several.any():
                raise DataError(
                    f"PatientMeans: patient {several.index[several][0]} has two values of '{name}'; give one"
                )
        return groups.agg(**{name: (name, "first") for name in once}, adherence=("adherence", "mean")).reset_index()


def _readings(table: pd.DataFrame) -> pd.DataFrame:
    """The printed estimate with the standard error that its interval allows, by how interval and test are made."""
    row = _numbers(table)
    b, half, df = row["difference"], (row["high"] - row["low"]) / 2, row["centres"] - 2
    made, tested = np.array([np.inf, np.inf, df]), np.array([np.inf, df, df])
    error = half / t_quantile(PROBABILITY, made)
    reach = t_quantile(PROBABILITY, tested) * error
    return tidy_frame(
        term=READINGS, component="effect", estimate=np.full(3, b), std_error=error, statistic=b / error, df=tested,
        p_value=t_p_value(b / error, tested), conf_low=b - reach, conf_high=b + reach, interval="t",
    )  # fmt: skip


def _numbers(table: pd.DataFrame) -> dict[str, float]:
    """The printed numbers by name, with the sizes of the trial."""
    sizes = {name: float(table[name].iloc[0]) for name in ("patients", "therapists", "centres")}
    return {str(name): float(value) for name, value in zip(table["number"], table["printed"], strict=True)} | sizes


def _rounded(result: Result) -> pd.DataFrame:
    """Smallest and largest p of each reading that the rounding of the printed numbers leaves."""
    table = result.frame
    moves = [{"difference": b, "low": -half, "high": half} for b in (-HALF, HALF) for half in (-HALF, HALF)]
    p = [
        _readings(table.assign(printed=table["printed"] + table["number"].map(m).fillna(0.0)))["p_value"] for m in moves
    ]
    every = pd.concat(p, axis=1)
    return pd.DataFrame({"term": READINGS, "lowest_p": every.min(axis=1), "highest_p": every.max(axis=1)})


def _precision(result: Result) -> pd.DataFrame:
    """The standard error behind the interval, beside that of patients who know nothing of each other."""
    row = _numbers(result.frame)
    sd = row["difference"] / row["d"]
    independent = 2 * sd / np.sqrt(row["patients"])
    se = float(result.estimates["std_error"].iloc[0])
    per_centre = row["patients"] / row["centres"]
    values = {
        "SD that the printed d implies": sd,
        "standard error behind the interval (z)": se,
        "standard error of one rating each of 255 independent patients": independent,
        "the same, with 2 % of the variance between centres": independent * np.sqrt(1 + (per_centre - 1) * 0.02),
    }
    return pd.DataFrame({"term": list(values), "estimate": list(values.values())})


def _audit() -> pd.DataFrame:
    return pd.DataFrame(list(_checks()))


def _checks() -> Iterator[dict[str, str]]:
    result = _printed().model.fit(TABLE)
    ranges = _rounded(result).set_index("term")
    for name in READINGS:
        low, high = np.asarray(ranges.loc[name, ["lowest_p", "highest_p"]], dtype=float).tolist()
        fits = low <= 0.015 and high >= 0.005
        yield {
            "check": "p of interval", "item": name, "printed": ".01", "recomputed": f"{p_value(low)} to {p_value(high)}",
            "verdict": "consistent" if fits else "inconsistent",
            "detail": "" if fits else "if the interval was made with z, the printed p is not one of 12 centres",
        }  # fmt: skip
    sd = _precision(result)["estimate"]
    yield {
        "check": "standard error", "item": "one rating of each patient", "printed": fixed(sd[1], 3),
        "recomputed": fixed(sd[2], 3),
        "verdict": "no power",
        "detail": "smaller than that of one rating each of 255 independent patients with the implied SD: four ratings a "
        "patient, or covariates, can make it so; clustering makes it larger",
    }  # fmt: skip


def _printed() -> Analysis:
    model = PrintedNumbers(
        "standard error and p behind the printed interval", _readings, lambda table: int(table["patients"].iloc[0]),
        ("how the interval was made is not in the abstract: p on 10 df is .027 if with z, .015 if with t on 10 df",),
    )  # fmt: skip
    derived: dict[str, Derived] = {"rounding": _rounded, "precision": _precision}
    return Analysis("printed", model, "training", "primary", derived, table="adherence")


def _mixed() -> Analysis:
    fixed_part = "adherence ~ arm + week"
    model = MixedModel(f"{fixed_part} + (1 | patient) + (1 | therapist) + (1 | centre)", df_method="kenward-roger")
    return Analysis(
        "centres", model, "training", "primary", {"icc": icc, "caseload": partial(caseload, group="centre")},
        groups={"therapist": 3}, otherwise="fitted without therapists; what lies between them goes to patients and centres",
        instead=MixedModel(f"{fixed_part} + (1 | patient) + (1 | centre)", df_method="kenward-roger"), remarks=_remarks,
    )  # fmt: skip


def _remarks(result: Result) -> tuple[str, ...]:
    row = result.estimates[result.estimates["term"] == EFFECT].iloc[0]
    n = int(result.frame["centre"].nunique())
    return (
        f"{n} centres were randomised: a test that looks at them alone has {n - 2} degrees of freedom, this one "
        f"{row['df']:.1f}. They are more where the variance between centres is estimated as small, which {n} centres hardly "
        "tell",
    )


def _naive() -> Analysis:
    """What is wrong with ratings as if they were patients who were randomised one by one."""
    return Analysis("naive", LinearModel("adherence ~ arm + week"), "training", "secondary",
                    remarks=lambda result: ("ratings of one patient, therapist and centre are taken for independent: the "
                                            "standard error is too small, this line shows by how much",))  # fmt: skip


def _mediated(means: Means) -> Analysis:
    """2-1-1: the arm is the physiotherapist's, autonomy support and adherence are the patient's."""
    model = MultilevelMediation(
        "arm",
        "autonomy_support",
        "adherence",
        group="therapist",
        above="centre",
        design="2-1-1",
        means=means,
        interval="delta" if means == "latent" else "monte-carlo",
    )
    return Analysis(
        "mediated" if means == "latent" else "mediated_manifest", model, "support", "secondary",
        needs=("autonomy_support",), groups={"therapist": 12}, otherwise="what runs through it cannot be told",
        prepare=(PatientMeans(),), remarks=_no_printed_effect if means == "latent" else _few_ratings,
    )  # fmt: skip


def _no_printed_effect(result: Result) -> tuple[str, ...]:
    return ("the paper's abstract prints no mediated effect: there is nothing to compare this with",)


def _few_ratings(result: Result) -> tuple[str, ...]:
    patients = result.frame.groupby("therapist", observed=True).size().median()
    return (
        f"the mean of few ratings (median {patients:.0f} patients a therapist) is not the therapist's own level: b_between is "
        "drawn towards b_within, and the indirect effect with it; latent means reckon with that, at the price of a wider "
        "interval",
    )


def _draw(run: Run, ax: Axes | None, points: bool) -> Axes:
    own = [
        frame[frame["term"] == EFFECT].assign(term=LABELS[name])
        for name in ("centres", "robust", "means", "naive")
        if name in run.results
        for frame in (run.results[name].estimates,)
    ]
    printed = run.results["printed"].estimates
    rows = pd.concat([printed.assign(term=[f"Printed, {term}" for term in printed["term"]]), *own], ignore_index=True)
    return figures.forest(rows.assign(component="effect"), xlabel="Adherence, training − control (points)", ax=ax)


LABELS = {
    "printed": "What follows from the printed interval",
    "rounding": "p that the rounding of the printed numbers leaves",
    "precision": "how precise the printed interval is",
    "centres": "Mixed model, patients in therapists in centres",
    "robust": "Ratings, standard errors by centre (CR2)",
    "means": "Means of centres",
    "naive": "Ratings as if independent (wrong)",
    "training": "training of communication",
    "support": "training through autonomy support",
    "mediated": "Training, autonomy support, adherence (2-1-1, latent means)",
    "mediated_manifest": "Training, autonomy support, adherence (2-1-1, observed means)",
    "icc": "shares of the variance by level (ICC); correlation is that of two rows of one group",
    "caseload": "number of centres, and of ratings of each",
}
TABLE = load_table("lonsdale2017_adherence")

STUDY = Study(
    key="lonsdale2017",
    title="Communication training of physiotherapists and adherence: what twelve randomised centres say",
    citation="Lonsdale C, Hall AM, Murray A, et al. Arch Phys Med Rehabil 2017;98:1732–1743, S0003-9993(17)30183-1",
    doi="",
    question="Does training physiotherapists to communicate in support of autonomy raise adherence to home exercise, and how "
    "sure can twelve randomised centres make of it?",
    design="Centres were randomised (12 in the protocol), with 53 physiotherapists and 255 patients with chronic low back "
    "pain; adherence rated at weeks 1, 4, 12 and 24. One row of the data is a patient and week",
    variables=VARIABLES,
    analyses=(
        _printed(),
        _mixed(),
        Analysis("robust", LinearModel("adherence ~ arm + week", vcov="CR2", cluster="centre"), "training", "secondary"),
        Analysis("means", LinearModel("adherence ~ arm"), "training", "secondary", prepare=(CentreMeans(),)),
        _mediated("latent"),
        _mediated("manifest"),
        _naive(),
    ),
    estimands=ESTIMANDS,
    simulate=simulate_lonsdale,
    targets=load_targets("lonsdale2017"),
    tables={"adherence": TABLE},
    outcomes=("autonomy_support", "adherence"),
    figures=(
        Figure("training", "Effect of the training on adherence with 95 % intervals: the printed one read in three ways, and "
               "the design on individual (simulated or own) data.", "Forest plot of one difference from seven analyses", _draw,
               size=(174, 92)),
    ),
    audits={"The printed P = .01 beside the printed interval": _audit},
    side_by_side=(EFFECT,),
    guideline="consort",
    labels=LABELS,
    cautions=(
        "Centres were randomised, so that the number of centres, not of patients, decides how sure the result is. Twelve "
        "centres in two arms leave 10 degrees of freedom, where the printed estimate has p = .027 and not .01; this holds "
        "only if the printed interval was made with z. Had it been made with t on 10 degrees of freedom, p would be .015, "
        "which the printed .01 just reaches within rounding.",
        "The number of centres is that of the protocol. How many took part is not in the abstract.",
        "In the individual (simulated) data the effect is the same at all weeks, and 2, 3 and 45 % of the variance of one "
        "rating lie between centres, therapists and patients; these are assumed.",
        "Communication was manipulated, not the alliance.",
        "The abstract prints no effect through autonomy support or alliance. The analyses of it are of the design, on "
        "simulated data whose truth is assumed, or on data of one's own; they compare physiotherapists, and the few centres "
        "make their intervals too narrow if anything.",
    ),
)  # fmt: skip
