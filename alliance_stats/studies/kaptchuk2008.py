"""Kaptchuk et al. 2008: waiting list, sham with a limited and with an augmented relationship, from the printed numbers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.inference.contrasts import contrast
from alliance_stats.models.audit import audit_tests
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.summary import SummaryStatistics
from alliance_stats.render import figures
from alliance_stats.study.declare import Analysis, Derived, Estimand, Figure, Study
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_table, load_targets
from alliance_stats.synthetic.from_summaries import simulate_kaptchuk

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARMS = ("waiting list", "limited", "augmented")
EFFECTS = {
    "augmented − limited": {"augmented": 1.0, "limited": -1.0},
    "limited − waiting list": {"limited": 1.0, "waiting list": -1.0},
    "linear trend": {"augmented": 0.5, "waiting list": -0.5},
}
EACH = {arm: {arm: 1.0} for arm in ARMS}
PATIENTS, ASSUMED = 262, 87
OUTCOMES = {
    "global_improvement": ("Global improvement", ("4.3", "1.4"), ("5.0", "1.3"), "< .001"),
    "relief": ("Adequate relief", (".44", ""), (".62", ""), "< .001"),
    "severity_fall": ("Fall in symptom severity", ("42", "67"), ("82", "89"), ".007"),
    "quality_rise": ("Rise in quality of life", ("4.1", "9.4"), ("9.3", "14.0"), ".01"),
}

VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("arm", "Waiting list, or sham treatment with a limited or an augmented relationship", levels=ARMS, missing=False),
    Variable("global_improvement", "Global improvement at three weeks; higher is better", range=(1, 7), unit="points"),
    Variable("relief", "Adequate relief of symptoms at three weeks (1 = yes)", range=(0, 1), integer=True),
    Variable("severity_fall", "Fall in symptom severity up to three weeks", unit="points"),
    Variable("quality_rise", "Rise in quality of life up to three weeks", unit="points"),
)  # fmt: skip
ESTIMANDS = {
    "relationship": Estimand(
        population="Adults with irritable bowel syndrome and a symptom severity of 150 or more",
        contrast="Augmented against limited relationship, both with sham acupuncture; limited relationship with sham "
        "acupuncture against waiting list; the linear trend over the three",
        outcome="Global improvement, adequate relief, fall in symptom severity, rise in quality of life; higher is better",
        time="Three weeks after randomisation",
        intercurrent="How patients without a value were handled is not in the abstract",
        summary="Difference in means or shares; the trend is the mean step from arm to arm",
        causal="Arms were randomised. Augmented against limited is causal for the relationship as it was acted; limited "
        "against waiting list holds the sham treatment too",
    )
}


def _derived(more: dict[str, Derived] | None = None) -> dict[str, Derived]:
    return {"effects": partial(contrast, by="arm", weights=EFFECTS, adjust="none")} | (more or {})


def _printed(name: str) -> Analysis:
    model = SummaryStatistics("arm", n="n_assumed", sd="sd", error="separate")
    return Analysis(f"printed_{name}", model, "relationship", derived=_derived(), table=name)


def _on_data(name: str) -> Analysis:
    each: Derived = partial(contrast, by="arm", weights=EACH, adjust="none")
    return Analysis(
        name, LinearModel(f"{name} ~ arm", vcov="HC3"), "relationship", "secondary", _derived({"arms": each})
    )


def _tables() -> dict[str, pd.DataFrame]:
    printed = load_table("kaptchuk2008_outcomes")
    share = printed["mean"].where(printed["outcome"] == "relief")
    filled = printed.assign(sd=printed["sd"].fillna((share * (1 - share)) ** 0.5))
    return {name: filled[filled["outcome"] == name].drop(columns="outcome").reset_index(drop=True) for name in OUTCOMES}


def printed_p() -> pd.DataFrame:
    """Whether the printed P of augmented against limited follow from the printed means, SDs and shares.

    The sizes of the arms are not printed. ``consistent`` is a P that follows with 87 patients an arm (262 shared equally);
    ``no power`` one that follows with another size, and is not reproducible from what is printed; ``inconsistent`` one that
    no equal sizes of two arms within 262 patients give, which are the most favourable ones. Columns of ``audit()``.
    """
    return pd.DataFrame([_p_row(name) for name in OUTCOMES])


def _p_row(name: str) -> dict[str, str]:
    label, limited, augmented, p = OUTCOMES[name]
    sizes = range(10, PATIENTS // 2 + 1)
    tests = [_declared(str(n), n, limited, augmented, p) for n in sizes]
    found = audit_tests(tests).set_index("item")
    fitting = [n for n in sizes if found.loc[str(n), "verdict"] == "consistent"]
    assumed = found.loc[str(ASSUMED)]
    verdict = "consistent" if ASSUMED in fitting else ("no power" if fitting else "inconsistent")
    return {
        "check": "p of a difference", "item": f"{label}, augmented − limited", "printed": str(assumed["printed"]),
        "recomputed": f"{assumed['recomputed']} with {ASSUMED} an arm", "verdict": verdict, "detail": _p_detail(fitting),
    }  # fmt: skip


def _p_detail(fitting: list[int]) -> str:
    if ASSUMED in fitting:
        return f"the sizes of the arms are not printed; it follows with {fitting[0]} to {fitting[-1]} an arm"
    if fitting:
        return (
            "not reproducible from what is printed: the sizes of the arms are not; it would follow with "
            f"{fitting[0]} to {fitting[-1]} an arm"
        )
    return f"not reproducible from what is printed: no sizes within {PATIENTS} patients give it by a plain comparison"


def _declared(item: str, n: int, limited: tuple[str, str], augmented: tuple[str, str], p: str) -> dict[str, object]:
    """A declared difference; the SD of a share follows from the share."""
    sds = [sd or f"{np.sqrt(float(mean) * (1 - float(mean))):.4f}" for mean, sd in (augmented, limited)]
    return {
        "item": item, "kind": "difference", "n": n, "mean": augmented[0], "sd": sds[0], "n2": n, "mean2": limited[0],
        "sd2": sds[1], "p": p,
    }  # fmt: skip


def _draw(run: Run, ax: Axes | None, points: bool) -> Axes:
    """Differences in SDs of the limited arm, so that four outcomes share an axis."""
    rows = []
    for name, (label, *_) in OUTCOMES.items():
        unit = float(TABLES[name].loc[TABLES[name]["arm"] == "limited", "sd"].iloc[0])
        effects = run.derived[f"printed_{name}/effects"]
        chosen = effects[effects["term"] != "linear trend"]
        numbers = {column: chosen[column] / unit for column in ("estimate", "conf_low", "conf_high")}
        rows.append(chosen.assign(term=[f"{label}, {term}" for term in chosen["term"]], component="effect", **numbers))
    return figures.forest(pd.concat(rows), xlabel="Difference (SDs of the limited arm); higher is better", ax=ax)


TABLES = _tables()
LABELS = {
    **{name: f"{label}, individual patients" for name, (label, *_) in OUTCOMES.items()},
    **{f"printed_{name}": f"{label}, printed" for name, (label, *_) in OUTCOMES.items()},
    "effects": "contrasts of the arms",
    "relationship": "arms against each other",
    "arms": "mean (or share) by arm",
}

STUDY = Study(
    key="kaptchuk2008",
    title="Waiting list, limited and augmented relationship in irritable bowel syndrome",
    citation="Kaptchuk TJ, Kelley JM, Conboy LA, et al. BMJ 2008, PMC2364862",
    doi="10.1136/bmj.39524.439618.25",
    question="Does a warm, attentive and confident relationship add to a sham treatment?",
    design="Randomised, three arms, 262 patients: waiting list; sham acupuncture with a limited relationship; sham acupuncture "
    "with an augmented relationship. Outcomes at three weeks. Only means, SDs and percentages are public here; the "
    "sizes of the arms are not printed, and 88, 87 and 87 are assumed",
    guideline="consort",
    variables=VARIABLES,
    analyses=(*(_printed(name) for name in OUTCOMES), *(_on_data(name) for name in OUTCOMES)),
    estimands=ESTIMANDS,
    simulate=simulate_kaptchuk,
    targets=load_targets("kaptchuk2008"),
    tables=TABLES,
    outcomes=tuple(OUTCOMES),
    figures=(
        Figure("effects", "Differences between arms from the printed means and SDs, in SDs of the limited arm, with 95 % "
               "intervals; the sizes of the arms are assumed.", "Forest plot of eight standardised differences", _draw,
               size=(174, 100)),
    ),
    audits={"Printed P of augmented against limited relationship": printed_p},
    labels=LABELS,
    cautions=(
        "The sizes of the arms are assumed: 262 patients shared equally. A later paper on the same trial prints 96, 97 and 96, "
        "but counts patients with milder symptoms too.",
        "The printed P do not all follow from the printed numbers: the audit says which, and what sizes they would need.",
        "Both arms with a relationship had sham treatment. Nothing here compares a relationship with a real treatment.",
        "The individual data are drawn from the printed means and SDs; outcomes of a patient are independent of each other.",
    ),
)  # fmt: skip
