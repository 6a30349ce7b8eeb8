"""What a report of a mediation analysis should say, item by item of AGReMA, filled in where the result knows it.

The items are those of Lee et al. 2021, A Guideline for Reporting Mediation Analyses, JAMA 326:1045, doi
10.1001/jama.2021.14075, in words of our own: the statement and its explanation are what authors should read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.models.mediation import Mediation, MediationState
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.render.forest import forest_rows
from alliance_stats.render.numbers import fixed
from alliance_stats.result import Result

AUTHORS = "for the authors"
# Section, number and paraphrase; what fills the item is in FILLED.
ITEMS: Sequence[tuple[str, int, str]] = (
    ("title and abstract", 1, "the title says that mediation is analysed"),
    (
        "title and abstract",
        2,
        "the abstract gives aims, design, methods, results and conclusions of the mediation analysis",
    ),
    ("introduction", 3, "why the exposure should move the mediator, and the mediator the outcome"),
    ("introduction", 4, "which mechanism is asked about, and whether an effect is tested or estimated"),
    ("methods", 5, "protocol or registration of the mediation analysis, and departures from it"),
    ("methods", 6, "design of the study that the data come from, with its reference"),
    ("methods", 7, "who took part, where and when, and by which criteria"),
    ("methods", 8, "whether the sample size was planned for the mediation analysis"),
    ("methods", 9, "which effects are of interest (indirect, direct, total; their contrast and scale)"),
    ("methods", 10, "a diagram of the assumed causes: exposure, mediator, outcome, confounders"),
    ("methods", 11, "what must hold for the effects to be causal"),
    (
        "methods",
        12,
        "how and when exposure, mediator, outcome and confounders were measured, how well, and who was blind",
    ),
    ("methods", 13, "on which level each was measured (patient, therapist, clinic), where levels differ"),
    ("methods", 14, "models, covariates, interactions, intervals, missing data, software"),
    ("methods", 15, "analyses of how much the assumptions matter"),
    ("methods", 16, "approval by an ethics committee"),
    ("results", 17, "who was analysed, their baseline, and who was lost or incomplete"),
    ("results", 18, "estimates with intervals of exposure on mediator, mediator on outcome, and of the effects"),
    ("results", 19, "results of the sensitivity analyses"),
    ("discussion", 20, "limitations: confounding, order in time, measurement, missing data"),
    ("discussion", 21, "what the results mean, and how far they carry"),
    ("discussion", 22, "what follows for practice and research"),
    ("other", 23, "funding and the part of the funder"),
    ("other", 24, "interests of the authors"),
    ("other", 25, "where data and code can be had"),
)


def agrema(result: Result) -> pd.DataFrame:
    """The reporting items for mediation analyses, with what a fitted Mediation or MultilevelMediation knows of each.

    Columns ``section item asks known source``: ``asks`` is a paraphrase; ``known`` what the result can say, or
    ``"for the authors"``; ``source`` is ``"result"``, ``"in part"`` (the authors must add to it) or ``"authors"``.
    Raises AllianceError for other results.

    Source: Lee et al. 2021, doi 10.1001/jama.2021.14075 (25 items).

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"arm": np.arange(80) % 2, "alliance": rng.normal(size=80), "pain": rng.normal(size=80)})
    >>> fit = Mediation(["alliance ~ arm"], "pain ~ arm + alliance", "arm", interval="delta").fit(data)
    >>> table = agrema(fit)
    >>> len(table), table["source"].value_counts().sort_index().to_dict()
    (25, {'authors': 14, 'in part': 8, 'result': 3})
    """
    if not isinstance(result.model, Mediation | MultilevelMediation):
        raise AllianceError(
            f"agrema needs a fitted Mediation or MultilevelMediation, not {type(result.model).__name__}"
        )
    filled = FILLED if isinstance(result.model, Mediation) else FILLED | MULTILEVEL
    rows = []
    for section, item, asks in ITEMS:
        source, fill = filled.get(item, ("authors", lambda _: AUTHORS))
        rows.append((section, item, asks, fill(result), source))
    return pd.DataFrame(rows, columns=["section", "item", "asks", "known", "source"])


def _effects(result: Result) -> str:
    return _note(result, ("estimand:", "interventional effects"))


def _diagram(result: Result) -> str:
    state: MediationState = result.state
    arrows = [f"{', '.join(e.design.variables)} → {e.response}" for e in state.equations]
    return (
        "; ".join(arrows) + "; unmeasured causes are for the authors to draw (figures.path_diagram draws the estimates)"
    )


def _assumptions(result: Result) -> str:
    return " ".join(f"{note}." for note in result.notes if "assumed is" in note or "must be measured after" in note)


def _measurement(result: Result) -> str:
    state: MediationState = result.state
    families = ", ".join(f"{e.response} {e.family.name}" for e in state.equations)
    return f"modelled as: {families}; instruments, times and blinding are for the authors"


def _levels(result: Result) -> str:
    cluster = result.model.cluster
    if cluster is None:
        return "one row a patient; no clusters in the model"
    return f"one row a patient in {result.frame[cluster].nunique()} clusters ({cluster})"


def _methods(result: Result) -> str:
    model = result.model
    kinds = {e.family.name for e in result.state.equations}
    drawn = f" of {model.draws} draws" if model.interval in ("percentile", "bca", "monte-carlo") else ""
    clusters = f"; whole clusters of {model.cluster} together" if model.cluster else ""
    products = sorted({term for e in result.state.equations for term in e.terms if ":" in term})
    crossed = f"products: {', '.join(products)}" if products else "no interaction of exposure and mediator"
    return (
        f"{model.formula} ({', '.join(sorted(kinds))}); {crossed}; {100 * model.level:g} % {model.interval} "
        f"intervals{drawn}{clusters}; complete rows; alliance_stats; why these covariates is for the authors"
    )


def _sensitivity_done(result: Result) -> str:
    if result.model.horizon is not None:
        return "none by the package for times to an event; for the authors"
    return "sensitivity(result): correlation of the errors of mediator and outcome, E-values; " + (
        "others are for the authors" if type(result.model) is Mediation else "for natural effects only"
    )


def _participants(result: Result) -> str:
    lost = [note for note in result.notes if "left out" in note and "rows" in note]
    return (
        f"{len(result.frame)} rows analysed; {lost[0] if lost else 'none left out'}; their baseline is for the authors"
    )


def _estimates(result: Result) -> str:
    rows = result.tidy()
    shown = rows[
        (rows["component"] == "path")
        | ((rows["component"] == "effect") & rows["term"].isin(["indirect", "direct", "total"]))
    ]
    return _numbers(shown[~shown["at"].str.contains(") - (", regex=False)])


def _numbers(shown: pd.DataFrame) -> str:
    """Terms with their estimates and intervals."""
    numbers = forest_rows(shown.assign(component="effect"), exclude=())["numbers"]
    names = [f"{term} ({at})" if at else term for term, at in zip(shown["term"], shown["at"], strict=True)]
    return "; ".join(f"{name} {number}" for name, number in zip(names, numbers, strict=True))


def _sensitivity_results(result: Result) -> str:
    state: MediationState = result.state
    names = [equation.response for equation in state.equations[:-1]]
    return "; ".join(_sensitivity_of(result, name, several=len(names) > 1) for name in names)


def _sensitivity_of(result: Result, mediator: str, *, several: bool) -> str:
    """The measures of the indirect effect, or why there are none, for the error of one mediator."""
    from alliance_stats.inference.mediation_sensitivity import mediation_sensitivity

    told = f" (error of {mediator})" if several else ""
    try:
        rows = mediation_sensitivity(result, "indirect", mediator)
    except AllianceError as error:
        return f"none from the result{told}: {error}"
    shown = rows[rows["value"].notna() & (rows["at"] == "")]
    measures = ", ".join(f"{m} {fixed(v)}" for m, v in zip(shown["measure"], shown["value"], strict=True))
    return f"indirect effect{told}: {measures}"


def _limits(result: Result) -> str:
    about = ("contains zero", "few", "outside the data", "occurs in", "gave no estimate", "boundary")
    found = [note for note in result.notes if any(text in note for text in about)]
    return (
        "; ".join(found) + "; " if found else ""
    ) + "reliability of the mediator and unmeasured causes are for the authors"


def _note(result: Result, starts: tuple[str, ...]) -> str:
    return next((note.removeprefix("estimand: ") for note in result.notes if note.startswith(starts)), AUTHORS)


FILLED: dict[int, tuple[str, Callable[[Result], str]]] = {
    9: ("result", _effects), 10: ("in part", _diagram), 11: ("in part", _assumptions), 12: ("in part", _measurement),
    13: ("in part", _levels), 14: ("in part", _methods), 15: ("in part", _sensitivity_done), 17: ("in part", _participants),
    18: ("result", _estimates), 19: ("result", _sensitivity_results), 20: ("in part", _limits),
}  # fmt: skip


def _diagram_levels(result: Result) -> str:
    model = result.model
    return (
        f"{model.exposure} → {model.mediator}; {model.exposure}, {model.mediator} → {model.outcome}"
        + (f"; {', '.join(model.covariates)} → both" if model.covariates else "")
        + f"; random intercepts of {model.group}; unmeasured causes are for the authors to draw"
    )


def _measurement_levels(result: Result) -> str:
    model = result.model
    binary = dict(model.family)
    families = ", ".join(f"{name} {binary.get(name, 'gaussian')}" for name in (model.mediator, model.outcome))
    return f"modelled as: {families}; instruments, times and blinding are for the authors"


def _levels_of(result: Result) -> str:
    model = result.model
    levels = zip(
        ("exposure", "mediator", "outcome"),
        (model.exposure, model.mediator, model.outcome),
        model.design.split("-"),
        strict=True,
    )
    each = ", ".join(f"{role} {name} on level {level}" for role, name, level in levels)
    groups = [name for name in (model.group, model.above) if name]
    sizes = " in ".join(f"{result.frame[name].nunique()} groups of {name}" for name in groups)
    means = f"; levels of {model.group} as {model.means} means" if model.design == "2-1-1" else ""
    return (
        f"{each} (2 is {model.group}); {len(result.frame)} rows in {sizes}{means}; why these levels is for the authors"
    )


def _methods_levels(result: Result) -> str:
    model = result.model
    drawn = f" of {model.draws} draws" if model.interval in ("monte-carlo", "bootstrap") else ""
    moderated = f"; moderated by {model.moderator}" if model.moderator else ""
    return (
        f"{model.formula}; {'REML' if model.reml else 'ML'}{moderated}; {100 * model.level:g} % {model.interval} "
        f"intervals{drawn}; complete rows; alliance_stats; why these covariates is for the authors"
    )


def _sensitivity_levels_done(result: Result) -> str:
    return "sensitivity(result): correlation of the errors of mediator and outcome, level by level; others are for the authors"


def _sensitivity_levels(result: Result) -> str:
    from alliance_stats.inference.multilevel_sensitivity import multilevel_sensitivity

    try:
        rows = multilevel_sensitivity(result)
    except AllianceError as error:
        return f"none from the result: {error}"
    zeros = rows[(rows["measure"] == "ρ of zero effect") & rows["value"].notna() & (rows["at"] == "")]
    if zeros.empty:
        return "none from the result: ρ of zero effect is not defined here; for the authors"
    return "; ".join(
        f"{term} is zero at ρ = {fixed(value)} {level} groups"
        for term, value, level in zip(zeros["term"], zeros["value"], zeros["level"], strict=True)
    )


def _estimates_levels(result: Result) -> str:
    rows = result.tidy()
    return _numbers(rows[rows["component"].isin(["path", "effect"]) & rows["conf_low"].notna()])


MULTILEVEL: dict[int, tuple[str, Callable[[Result], str]]] = {
    10: ("in part", _diagram_levels), 12: ("in part", _measurement_levels), 13: ("in part", _levels_of),
    14: ("in part", _methods_levels), 15: ("in part", _sensitivity_levels_done), 18: ("result", _estimates_levels),
    19: ("in part", _sensitivity_levels),
}  # fmt: skip
