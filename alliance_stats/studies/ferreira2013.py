"""Ferreira et al. 2013: does alliance at the second session predict outcome, and moderate the treatment?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from alliance_stats.data.variables import Variable
from alliance_stats.inference.ceiling import below_maximum
from alliance_stats.inference.confounding import sensitivity
from alliance_stats.inference.contrasts import contrast, marginal_means, wald_test
from alliance_stats.inference.effect_sizes import standardised_effects
from alliance_stats.inference.importance import relative_importance
from alliance_stats.inference.slopes import curve, johnson_neyman, simple_slopes
from alliance_stats.models.linear import LinearModel
from alliance_stats.render import figures
from alliance_stats.studies.ferreira_levels import course, level_estimands, level_labels, levels
from alliance_stats.study.declare import Analysis, Derived, Estimand, Figure, Study
from alliance_stats.study.run import Run
from alliance_stats.study.targets import load_targets
from alliance_stats.synthetic.ferreira import simulate_ferreira

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARMS = ("GE", "MCE", "SMT")
OUTCOMES = {
    "psfs": ("Function (PSFS, sum of three activities)", (3, 30)),
    "gpe": ("Global perceived effect", (-5, 5)),
    "pain": ("Pain intensity", (0, 10)),
    "rmdq": ("Disability (Roland–Morris)", (0, 24)),
}
WITH_BASELINE = ("psfs", "pain", "rmdq")
PRIMARY = ("psfs", "gpe")
EARLY = "the effect of alliance is not separable from early improvement"


def _scale(name: str, wave: str, when: str, *, optional: bool = False) -> Variable:
    meaning, limits = OUTCOMES[name]
    return Variable(f"{name}_{wave}", f"{meaning}, {when}", range=limits, unit="points", optional=optional)


VARIABLES = (
    Variable("patient", "Pseudonym of the patient", key=True),
    Variable("therapist", "Physiotherapist who treated the patient", identifier=True, optional=True),
    Variable("arm", "Randomised treatment: general exercise, motor control exercise, spinal manipulative therapy",
             levels=ARMS, missing=False),
    *(Variable(f"wai_{i}", f"Working Alliance Inventory, item {i}, second session", range=(1, 5), integer=True, optional=True)
      for i in range(1, 13)),
    Variable("alliance", "Working alliance rated by the patient at the second session, total", range=(12, 60), unit="points"),
    *(_scale(name, "baseline", "before treatment") for name in WITH_BASELINE),
    *(_scale(name, "session2", "at the session of the alliance rating", optional=True) for name in OUTCOMES),
    *(_scale(name, "8w", "8 weeks") for name in OUTCOMES),
)  # fmt: skip

POPULATION = "Adults with non-specific low back pain of three months or more who had a second treatment session"
DROPOUT = (
    "Stopping treatment is ignored (the outcome is used whatever happened); "
    "patients without the 8-week outcome are left out and counted"
)
ESTIMANDS = {
    "association": Estimand(
        population=POPULATION,
        contrast="One point more on the alliance scale at session 2, at the same arm and the same value before treatment",
        outcome="Function, global perceived effect, pain, disability",
        time="8 weeks after randomisation",
        intercurrent=DROPOUT,
        summary="Difference in mean outcome per point of alliance",
        causal="Alliance was not randomised: an association. It is causal only if nothing else that drives the outcome, early "
        "improvement above all, also drives the rating",
    ),
    "at_rating": Estimand(
        population=POPULATION,
        contrast="One point more on the alliance scale at session 2, also at the same outcome value at the time of the rating",
        outcome="Function, pain, disability",
        time="8 weeks after randomisation",
        intercurrent=DROPOUT,
        summary="Difference in mean outcome per point of alliance",
        causal="As for the association, with early improvement up to the rating held constant",
    ),
    "moderation": Estimand(
        population=POPULATION,
        contrast="Difference between arms in the outcome per point of alliance",
        outcome="Function, global perceived effect, pain, disability",
        time="8 weeks after randomisation",
        intercurrent=DROPOUT,
        summary="Difference between slopes",
        causal="Treatment was randomised, alliance was not, and it was rated after treatment began: alliance may itself be an "
        "effect of the arm",
    ),
    "arms": Estimand(
        population="Adults with non-specific low back pain of three months or more",
        contrast="Motor control exercise and spinal manipulative therapy against general exercise",
        outcome="Function, global perceived effect",
        time="8 weeks after randomisation",
        intercurrent=DROPOUT,
        summary="Difference in means, adjusted for the value before treatment",
        causal="Randomised; the patients with an alliance rating are a subset chosen after randomisation",
    ),
    **level_estimands(POPULATION),
}

SLOPES = {
    "MCE − GE": {"alliance:arm[T.MCE]": 1.0},
    "SMT − GE": {"alliance:arm[T.SMT]": 1.0},
    "SMT − MCE": {"alliance:arm[T.SMT]": 1.0, "alliance:arm[T.MCE]": -1.0},
}


def _formula(name: str, predictors: str) -> str:
    return f"{name}_8w ~ {predictors}" + (f" + {name}_baseline" if name in WITH_BASELINE else "")


def _main(name: str) -> Analysis:
    baseline = [f"{name}_baseline"] if name in WITH_BASELINE else []
    derived: Mapping[str, Derived] = {
        "importance": partial(relative_importance, groups={"alliance": ["alliance"], "arm": ["arm"]}, always=baseline,
                              rng=2013, progress=False),
        "unmeasured": partial(sensitivity, term="alliance", benchmarks=baseline),
        "standardised": standardised_effects,
    }  # fmt: skip
    role: Any = "primary" if name in PRIMARY else "secondary"
    return Analysis(name, LinearModel(_formula(name, "alliance + arm")), "association", role, derived)


def _at_rating(name: str) -> Analysis:
    model = LinearModel(_formula(name, f"alliance + arm + {name}_session2"))
    return Analysis(f"{name}_at_rating", model, "at_rating", "secondary", needs=(f"{name}_session2",), otherwise=EARLY)


def _by_arm(name: str) -> Analysis:
    derived: dict[str, Derived] = {
        "interaction": partial(wald_test, terms=["alliance:arm"]),
        "slopes": partial(simple_slopes, focal="alliance", at={"arm": ARMS}),
        "differences": partial(contrast, weights=SLOPES, adjust="holm"),
        "ceiling": partial(below_maximum, column="alliance"),
    }
    if name == "gpe":
        derived["where_smt_differs_from_mce"] = partial(
            johnson_neyman, focal="arm", moderator="alliance", difference=("MCE", "SMT")
        )
    return Analysis(f"{name}_by_arm", LinearModel(_formula(name, "alliance * arm")), "moderation", "secondary", derived)


def _arms(name: str) -> Analysis:
    derived = {
        "effects": partial(contrast, by="arm", weights="reference", adjust="none"),
        "means": partial(marginal_means, by="arm"),
    }
    return Analysis(f"{name}_arms", LinearModel(_formula(name, "arm")), "arms", "secondary", derived)


def _draw_interaction(run: Run, ax: Axes | None, points: bool) -> Axes:
    result = run.results["gpe_by_arm"]
    return figures.interaction(
        curve(result, "alliance", "arm"), result.frame if points else None,
        x="alliance", by="arm", y="gpe_8w", ceiling=run.maximum("alliance"),
        xlabel="Alliance at session 2 (points)", ylabel="Global perceived effect, 8 weeks (points)", ax=ax,
    )  # fmt: skip


def _draw_forest(run: Run, ax: Axes | None, points: bool) -> Axes:
    rows = run.across("alliance")
    kept = rows[rows["analysis"].isin([*OUTCOMES, *(f"{name}_at_rating" for name in OUTCOMES)])]
    shown = kept.assign(term=kept["analysis"].map(_label), component="effect")
    return figures.forest(shown, xlabel="Outcome at 8 weeks per point of alliance (points)", ax=ax)


def _label(analysis: str) -> str:
    meaning = OUTCOMES[analysis.removesuffix("_at_rating")][0]
    return meaning + (", also adjusted for its value at the rating" if analysis.endswith("_at_rating") else "")


def _draw_flow(run: Run, ax: Axes | None, points: bool) -> Axes:
    return figures.participant_flow(run.flow(), ax=ax)


_drawings: dict[str, Callable[[Run, Any, bool], Any]] = {
    "forest": _draw_forest, "interaction": _draw_interaction, "flow": _draw_flow,
}  # fmt: skip

LABELS = (
    level_labels({name: meaning for name, (meaning, _) in OUTCOMES.items()})
    | {name: f"{meaning}, 8 weeks" for name, (meaning, _) in OUTCOMES.items()}
    | {f"{name}_at_rating": f"{OUTCOMES[name][0]}, also adjusted for its value at the rating" for name in OUTCOMES}
    | {f"{name}_by_arm": f"{meaning}: alliance by arm" for name, (meaning, _) in OUTCOMES.items()}
    | {f"{name}_arms": f"{OUTCOMES[name][0]}: arms" for name in PRIMARY}
    | {
        "importance": "relative importance of alliance and arm (LMG shares of variance)",
        "unmeasured": "how strong an unmeasured confounder would have to be",
        "standardised": "standardised coefficients",
        "interaction": "joint test of the interaction",
        "slopes": "slope of alliance in each arm",
        "ceiling": "the same without the ratings at the maximum",
        "differences": "differences between the slopes, p adjusted by Holm",
        "where_smt_differs_from_mce": "alliance at which SMT and MCE differ (Johnson–Neyman)",
        "effects": "differences from general exercise",
        "means": "adjusted means",
    }
)

STUDY = Study(
    key="ferreira2013",
    title="Alliance as predictor and moderator of outcome in chronic low back pain",
    citation="Ferreira PH, Ferreira ML, Maher CG, et al. Phys Ther 2013;93:470–478",
    doi="10.2522/ptj.20120137",
    question="Does the working alliance at the second session predict function, global perceived effect, pain and disability "
    "at 8 weeks; does it do so differently by treatment; and does it predict better than the treatment does?",
    design="Observational study of 182 patients nested in a randomised trial of general exercise (GE), motor control exercise "
    "(MCE) and spinal manipulative therapy (SMT)",
    variables=VARIABLES,
    analyses=(
        *(_main(name) for name in OUTCOMES),
        *(_at_rating(name) for name in OUTCOMES),
        *(_by_arm(name) for name in OUTCOMES),
        *(_arms(name) for name in PRIMARY),
        *(course(name) for name in WITH_BASELINE),
        *(levels(name, name in WITH_BASELINE) for name in OUTCOMES),
    ),
    estimands=ESTIMANDS,
    simulate=simulate_ferreira,
    targets=load_targets("ferreira2013"),
    start="Analysed subset of the trial",
    waves={
        "Alliance rated at session 2": ("alliance",),
        "8 weeks": ("alliance", "psfs_8w"),
    },
    outcomes=("alliance", *(f"{n}_baseline" for n in WITH_BASELINE), *(f"{n}_8w" for n in OUTCOMES)),
    figures=(
        Figure("forest", "Outcome at 8 weeks per point of alliance, with 95 % intervals.",
               "Forest plot of the alliance coefficients by outcome", _drawings["forest"], size=(174, 80)),
        Figure("interaction", "Global perceived effect by alliance and arm, over each arm's observed range; the dotted line "
               "marks the end of the scale.", "Lines of global perceived effect against alliance for three arms",
               _drawings["interaction"], size=(174, 80)),
        Figure("flow", "Participants.", "Flow diagram of the participants by arm", _drawings["flow"]),
    ),
    labels=LABELS,
    cautions=(
        "Alliance was not randomised. What predicts outcome need not cause it.",
        "An alliance rated at session 2 that merely reflects early improvement predicts outcome as well; only adjustment "
        "for the outcome at the rating separates the two.",
        "Alliance ratings pile up at the end of the scale. Where the arms differ in that share, alliance × arm is rejected too "
        "often even without a true interaction.",
        "In the comparison of alliance with treatment (relative importance) treatment was randomised and alliance was not.",
        "Change up to session 2 by alliance at session 2 cannot be an effect of alliance: where it is not zero, early "
        "improvement and alliance went together.",
        "The coefficients of the paper are not public; only directions and the pattern of interactions can be compared.",
    ),
)  # fmt: skip
