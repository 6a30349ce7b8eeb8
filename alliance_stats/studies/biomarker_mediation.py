"""A composed trial with known truth: does an enhanced alliance lower pain through a biomarker?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alliance_stats.data.variables import Variable
from alliance_stats.inference.mediation_sensitivity import mediation_sensitivity, sensitivity_curve
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.process_models import process_model
from alliance_stats.render import figures
from alliance_stats.result import Result
from alliance_stats.study.declare import Analysis, Estimand, Figure, Study
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_targets
from alliance_stats.synthetic.biomarker import ARMS, simulate_biomarker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE = ("pain_before", "biomarker_before")
COVARIATES = " + ".join(BEFORE)
NAMES = {"arm": "Enhanced alliance", "alliance": "Alliance", "biomarker": "Biomarker", "pain": "Pain after"}
VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("therapist", "Therapist who treated the patient; each treats patients of both arms", identifier=True,
             optional=True),
    Variable("arm", "Interaction with the therapist, as randomised", levels=ARMS, missing=False),
    Variable("pain_before", "Pain before the session", unit="points"),
    Variable("biomarker_before", "Biomarker before the session, logarithm", unit="log units"),
    Variable("alliance", "Alliance rated by the patient after the session", unit="points"),
    Variable("biomarker", "Biomarker after the session (salivary oxytocin, for example), logarithm", unit="log units"),
    Variable("pain", "Pain after the biomarker was sampled", unit="points"),
)  # fmt: skip
POPULATION = "Adults with chronic musculoskeletal pain"
INTERCURRENT = (
    "None is in the design; patients without a biomarker sample are left out, which is sound where samples are lost at \
random"
)
ESTIMANDS = {
    "mechanism": Estimand(
        population=POPULATION,
        contrast="Enhanced against limited interaction: through alliance, then biomarker; through one of them alone; through "
        "neither",
        outcome="Pain after the session",
        time="Alliance after the session, then the biomarker, then pain",
        intercurrent=INTERCURRENT,
        summary="Difference in means, divided into path-specific natural effects that add up to the total",
        causal="The arm is randomised, alliance and biomarker are not: the effects through them are causal only if nothing "
        "unmeasured moves two of alliance, biomarker and pain",
    ),
    "point_of_alliance": Estimand(
        population=POPULATION,
        contrast="One point more of alliance, in the same arm: through the biomarker, and not through it",
        outcome="Pain after the session",
        time="Alliance after the session, then the biomarker, then pain",
        intercurrent=INTERCURRENT,
        summary="Difference in means, divided into natural indirect and direct effects",
        causal="Neither alliance nor biomarker is randomised: causal only if arm, pain before and biomarker before hold every "
        "common cause of alliance, biomarker and pain",
    ),
}


def _serial(cluster: str | None) -> Mediation:
    model = process_model(6, x="arm", m=("alliance", "biomarker"), y="pain", covariates=BEFORE, cluster=cluster,
                          interval="monte-carlo", randomised=True)  # fmt: skip
    assert isinstance(model, Mediation)
    return model


def _biomarker(cluster: str | None) -> Mediation:
    return Mediation(
        (f"biomarker ~ alliance + arm + {COVARIATES}",), f"pain ~ alliance + biomarker + arm + {COVARIATES}", "alliance",
        cluster=cluster, interval="monte-carlo", randomised=False,
    )  # fmt: skip


def _without_alliance(cluster: str | None) -> Mediation:
    return Mediation(
        (f"biomarker ~ arm + {COVARIATES}",), f"pain ~ arm + biomarker + {COVARIATES}", "arm", cluster=cluster,
        interval="monte-carlo", randomised=True,
    )  # fmt: skip


def _left_out(result: Result) -> tuple[str, ...]:
    return (
        "alliance is left out here although it moves both the biomarker and pain, and the arm moves it: the biomarker is given "
        "a part of what runs through alliance alone. This analysis shows the size of that error; it has no truth to find",
    )


def _analyses() -> tuple[Analysis, ...]:
    few, without = {"therapist": 10}, "fitted as if patients were independent of their therapists"
    return (
        Analysis("serial", _serial("therapist"), "mechanism", "primary", groups=few, otherwise=without, instead=_serial(None)),
        Analysis("alliance_biomarker", _biomarker("therapist"), "point_of_alliance", "secondary", groups=few, otherwise=without,
                 instead=_biomarker(None)),
        Analysis("without_alliance", _without_alliance("therapist"), "mechanism", "secondary", groups=few, otherwise=without,
                 instead=_without_alliance(None), remarks=_left_out),
    )  # fmt: skip


def _draw_paths(run: Run, ax: Axes | None, points: bool) -> Axes:
    return figures.path_diagram(run.results["serial"].estimates, exposure="arm", labels=NAMES, ax=ax)


def _draw_effects(run: Run, ax: Axes | None, points: bool) -> Axes:
    return figures.effect_forest(
        run.results["serial"].estimates, ax=ax, xlabel="Effect on pain, enhanced − limited (points)"
    )


def _draw_sensitivity(run: Run, ax: Axes | None, points: bool) -> Axes:
    result = run.results["alliance_biomarker"]
    found = mediation_sensitivity(result, "indirect", "biomarker").set_index("measure")["value"]
    return figures.sensitivity_curve(
        sensitivity_curve(result, "indirect", mediator="biomarker"), zero=float(found["ρ of zero effect"]), ax=ax,
        ylabel="Effect of a point of alliance\nthrough the biomarker (points of pain)",
    )  # fmt: skip


STUDY = Study(
    key="biomarker_mediation",
    title="Alliance, biomarker and pain: the trial that would test a biological mechanism",
    citation="Composed design with known truth, not a paper. It is drawn for the claim that the alliance works through "
    "biology, which leans on the review of Rossettini G, Camerone EM, Carlino E, Benedetti F, Testa M, Arch Physiother "
    "2020;10:11, doi:10.1186/s40945-020-00082-y",
    doi="",
    question="Does an enhanced alliance lower pain, and how much of that runs through alliance, then a biomarker?",
    design="Patients are randomised one by one to an enhanced or a limited interaction; every therapist gives both. Alliance "
    "is rated after the session, a biomarker sampled after that, pain rated last. No paper with this design is known to the "
    "package: the numbers are assumed, and the page shows that the analysis finds them",
    variables=VARIABLES,
    analyses=_analyses(),
    estimands=ESTIMANDS,
    simulate=simulate_biomarker,
    targets=load_targets("biomarker_mediation"),
    outcomes=("pain_before", "biomarker_before", "alliance", "biomarker", "pain"),
    guideline="consort",
    figures=(
        Figure("paths", "Paths from the arm over alliance and biomarker to pain, each with its 95 % interval.",
               "Path diagram with two mediators in a row", _draw_paths, size=(140, 96)),
        Figure("effects", "What runs through alliance and biomarker, and what through neither, with 95 % intervals.",
               "Forest plot of six effects", _draw_effects, size=(150, 70)),
        Figure("sensitivity", "The effect of a point of alliance through the biomarker, were the errors of biomarker and pain "
               "correlated by an unmeasured cause of both; with 95 % band.",
               "A falling curve that crosses zero at a negative correlation", _draw_sensitivity, size=(120, 85)),
    ),
    labels={
        "serial": "Arm, alliance, biomarker, pain (serial mediation)",
        "alliance_biomarker": "Alliance, biomarker, pain",
        "without_alliance": "Arm, biomarker, pain, with alliance left out (wrong)",
        "mechanism": "Enhanced interaction",
        "point_of_alliance": "A point of alliance",
    },
    cautions=(
        "No number on this page was printed anywhere, and none was measured: they say nothing of whether the alliance works "
        "through biology. They say that the analysis would find it if it were so, with this many patients and these effects.",
        "Randomising the interaction does not randomise alliance or biomarker. What else the enhanced interaction does, such "
        "as raising expectations, can move both the biomarker and pain; the sensitivity tables say how strong that would "
        "have to be.",
        "A biomarker in saliva stands for what happens in the brain at best. Its error of measurement draws its path towards "
        "zero; the simulated biomarker has none.",
        "One point of alliance is a point of the data's own scale.",
    ),
)  # fmt: skip
