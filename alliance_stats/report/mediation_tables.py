"""The tables of a mediation analysis: effects first, then paths and sensitivity; what few readers need is folded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.mediation_sensitivity import mediation_sensitivity
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.render.labels import interval_method, readable
from alliance_stats.report.blocks import Block
from alliance_stats.result import Result

Label = Callable[[str], str]
FIRST = ("indirect", "direct", "total", "proportion_mediated")
EFFECTS: Mapping[str, str] = {
    "indirect": "Indirect effect (through the mediator)",
    "direct": "Direct effect (not through the mediator)",
    "total": "Total effect",
    "proportion_mediated": "Proportion mediated",
    "acme_control": "Indirect, outcome of controls (ACME control)",
    "acme_treated": "Indirect, outcome of treated (ACME treated)",
    "ade_control": "Direct, mediator of controls (ADE control)",
    "ade_treated": "Direct, mediator of treated (ADE treated)",
    "cde": "Controlled direct effect (mediator held fixed)",
    "pnde": "Pure natural direct effect",
    "tnde": "Total natural direct effect",
    "pnie": "Pure natural indirect effect",
    "tnie": "Total natural indirect effect",
    "intref": "Reference interaction (neither needs nor is mediation)",
    "intmed": "Mediated interaction",
    "pie": "Pure indirect effect (mediation alone)",
    "indirect_within": "Indirect effect, within clusters",
    "total_within": "Total effect, within clusters",
    "indirect_between": "Indirect effect, between clusters",
    "total_between": "Total effect, between clusters",
}
COLUMNS = ("at", "estimate", "std_error", "df", "p_value", "conf_low", "conf_high")
PATH = re.compile(r"(?P<kind>c_prime|[abcd])(?P<number>\d*)(?P<level>_within|_between|_contextual)?")


def mediation_blocks(result: Result, title: str) -> Iterator[Block]:
    """Tables of a Mediation or MultilevelMediation, in the order of reading; ``title`` starts the caption of the first."""
    rows = result.tidy()
    several = bool(rows["term"].str.startswith("indirect(").any())
    effects, paths = rows[rows["component"] == "effect"], rows[rows["component"] == "path"]
    chosen = primary(effects)
    intervals = ", ".join(map(interval_method, dict.fromkeys(effects.loc[chosen, "interval"])))
    names = pd.Series([effect_name(str(t), several=several) for t in effects["term"]], index=effects.index)
    yield Block(
        table=_numbers(effects[chosen], "effect", names[chosen]), caption=f"{title}. Effects (intervals: {intervals})"
    )
    told = [path_name(str(row.term), str(row.equation), result) for row in paths.itertuples()]
    yield Block(table=_numbers(paths, "path", pd.Series(told, index=paths.index)), caption="Paths")
    yield from _sensitivity(result)
    if (~chosen).any():
        yield Block(
            table=_numbers(effects[~chosen], "effect", names[~chosen]), folded=True,
            caption="Further natural effects, and differences between paths",
        )  # fmt: skip
    others = rows[~rows["component"].isin(["effect", "path"])]
    shown = others.drop(columns=["component", "interval", "at"]).assign(
        term=[coefficient_name(t) for t in others["term"]]
    )
    yield Block(table=shown, caption="Coefficients and variances of all equations", folded=True)


def is_mediation(result: Result) -> bool:
    """Whether a result has effects through a mediator."""
    return isinstance(result.model, Mediation | MultilevelMediation)


def primary(effects: pd.DataFrame) -> pd.Series[bool]:
    """The effects that answer the question: indirect (each path too), direct, total, and the proportion mediated."""
    terms = effects["term"].astype(str)
    paths = terms.str.startswith("indirect(") & ~terms.str.contains(")-", regex=False)
    levels = terms.str.fullmatch(r"(?:indirect|total)_(?:within|between)")
    other = terms.str.startswith(("indirect, ", "direct, "))  # interventional effects beside and through a confounder
    return terms.isin(FIRST) | paths | levels | other


def effect_name(term: str, *, several: bool = False) -> str:
    """An effect in words.

    >>> effect_name("indirect(alliance>biomarker)"), effect_name("pnde")
    ('Through alliance, then biomarker', 'Pure natural direct effect')
    """
    if ")-" in term:
        one, _, other = term.partition(")-")
        return f"{effect_name(f'{one})')} − {effect_name(other)[0].lower()}{effect_name(other)[1:]}"
    if term.startswith("indirect("):
        inside = term.removeprefix("indirect(").removesuffix(")").split(">")
        return f"Through {', then '.join(readable(name) for name in inside)}{'' if len(inside) > 1 else ' alone'}"
    if several and term in ("indirect", "direct"):
        return {"indirect": "Indirect effect (through all mediators)", "direct": "Direct effect (through none)"}[term]
    return EFFECTS.get(term, readable(term).capitalize())


def path_name(term: str, equation: str, result: Result) -> str:
    """A path as an arrow, with the name it has in formulas: "arm → alliance (a1)"."""
    found = PATH.fullmatch(term)
    if not found:
        return readable(term)
    model = result.model
    mediators = [model.mediator] if isinstance(model, MultilevelMediation) else _mediators(result)
    number = found["number"]
    cause = model.exposure
    if found["kind"] in ("b", "d"):
        cause = mediators[int(number[-1]) - 1] if number else mediators[0]
    level = (found["level"] or "").replace("_", ", ")
    short = "c′" if found["kind"] == "c_prime" else f"{found['kind']}{number}"
    whole = ", mediators left out" if found["kind"] == "c" else ""
    return f"{readable(cause)} → {readable(equation)}{level}{whole} ({short})"


def term_name(term: str, result: Result) -> str:
    """An effect, a path or a coefficient of a mediation in words."""
    row = result.estimates[result.estimates["term"] == term].iloc[0]
    if row["component"] == "effect":
        return effect_name(term, several=bool(result.estimates["term"].str.startswith("indirect(").any()))
    return path_name(term, str(row["equation"]), result) if row["component"] == "path" else coefficient_name(term)


def coefficient_name(term: str) -> str:
    """A coefficient under its equation: "pain: arm: enhanced"."""
    equation, tilde, inside = term.partition("~")
    return f"{readable(equation)}: {readable(inside)}" if tilde else readable(term)


def _mediators(result: Result) -> list[str]:
    return [equation.response for equation in result.state.equations[:-1]]


def _numbers(rows: pd.DataFrame, heading: str, names: pd.Series[str]) -> pd.DataFrame:
    shown = rows[[name for name in COLUMNS if name in rows]].copy()
    shown.insert(0, heading, names.to_numpy())
    return shown.reset_index(drop=True)


def _sensitivity(result: Result) -> Iterator[Block]:
    """One table a mediator whose error can be correlated with the outcome's; a sentence where none can."""
    if type(result.model) is not Mediation:
        return
    mediators = _mediators(result)
    for name in mediators:
        try:
            rows = mediation_sensitivity(result, mediator=name)
        except AllianceError as reason:
            yield Block(f"Sensitivity to an unmeasured cause of {readable(name)} and the outcome: {reason}.")
            continue
        shown = rows.assign(term=[effect_name(t, several=len(mediators) > 1) for t in rows["term"]]).rename(
            columns={"term": "effect"}
        )
        causes = f"{readable(name)} and the outcome"
        yield Block(table=shown, caption=f"Sensitivity: how strong an unmeasured cause of {causes} would have to be")
