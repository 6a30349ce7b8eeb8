"""What a path diagram says: its rows, the names in its boxes, and the effects below it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.labels import interval_method
from alliance_stats.render.numbers import with_intervals
from alliance_stats.render.style import name_of, text_width, wrap


def path_rows(estimates: pd.DataFrame) -> pd.DataFrame:
    """What ``path_diagram`` writes on the arrows: ``term equation estimate conf_low conf_high numbers``; c is left out."""
    rows = estimates[(estimates["component"] == "path") & (estimates["term"] != "c")].reset_index(drop=True)
    if rows.empty:
        raise DataError("path_diagram: no rows with component 'path'; give the tidy frame of a Mediation")
    several = rows["term"].str.contains("[", regex=False)
    if several.any():
        raise DataError(
            f"path_diagram: {rows.loc[several, 'term'].iloc[0]!r} is one of several levels; two exposure values are drawn"
        )
    return rows[["term", "equation", "estimate", "conf_low", "conf_high"]].assign(numbers=with_intervals(rows))


def kind_of(rows: pd.DataFrame) -> str:
    """``one``, ``parallel`` or ``serial``: how many mediators, and whether the first acts on the second."""
    terms = set(rows["term"])
    mediators = {term for term in terms if re.fullmatch(r"b\d*", term)}
    chain = any(re.fullmatch(r"d\d+", term) for term in terms)
    if len(mediators) == 1 and not chain and "b" in terms:
        return "one"
    if len(mediators | {f"b{t[2]}" for t in terms if re.fullmatch(r"d\d\d", t)}) > 2 or "b3" in terms or "a3" in terms:
        raise DataError("path_diagram: more than two mediators; draw effect_forest(…) instead")
    return "serial" if chain else "parallel"


def names_of(rows: pd.DataFrame, exposure: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Text of each box: mediators from the equations of the a and d paths, the outcome from that of b."""
    found = {"x": exposure}
    for row in rows.itertuples():
        term = str(row.term)
        if term[0] in "ad" and term != "c_prime":
            found["m" + (term[1] if len(term) > 1 else "1")] = str(row.equation)
        if term[0] in "bc":
            found["y"] = str(row.equation)
    return {box: labels.get(name, name_of(name)) for box, name in found.items()}


def effects_shown(estimates: pd.DataFrame, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and numbers of the indirect effects, one a path where there are several, and of the total effect."""
    shown = _effects(estimates)
    return [(_effect(t, labels), n) for t, n in zip(shown["term"], with_intervals(shown), strict=True)]


def _effects(estimates: pd.DataFrame) -> pd.DataFrame:
    at = estimates["at"].fillna("") if "at" in estimates else pd.Series("", index=estimates.index)
    terms = estimates["term"].astype(str)
    own = terms.str.startswith("indirect(") & ~terms.str.contains(")-", regex=False)
    return estimates[(estimates["component"] == "effect") & (at == "") & (terms.isin(["indirect", "total"]) | own)]


def effect_lines(estimates: pd.DataFrame, rows: pd.DataFrame, labels: Mapping[str, str], across: float) -> str:
    """Effects and how intervals were made, one line each."""
    lines = [_line(name, numbers, across) for name, numbers in effects_shown(estimates, labels)]
    if "interval" in estimates and estimates["interval"].astype(bool).any():
        kinds = {"arrows": _interval(estimates, "path"), "effects": _interval(_effects(estimates), "effect")}
        told = [f"{interval_method(kind)} ({what})" for what, kind in kinds.items() if kind]
        same = len(told) == 2 and kinds["arrows"] == kinds["effects"]
        lines.append("intervals: " + (interval_method(kinds["arrows"]) if same else ", ".join(told)))
    fixed = estimates[estimates["component"] == "fixed"]["term"].astype(str)
    mediators = {name for name in rows["equation"] if (fixed.str.startswith(f"{name}~")).any()}
    if any(":" in term.split("~", 1)[-1] for term in fixed) and mediators:
        lines.append("the equations hold products: arrows are at zero of the other variable")
    return "\n".join(wrap(line, across - 8) if " [" not in line else line for line in lines)


def _line(name: str, numbers: str, across: float) -> str:
    """A name and its numbers; these on a line of their own where both are too wide: an interval is not broken."""
    line = f"{name}: {numbers}"
    return line if text_width(line) <= across - 8 else f"{wrap(name + ':', across - 8)}\n    {numbers}"


def _interval(estimates: pd.DataFrame, component: str) -> str:
    """How the intervals of some rows were made, in words; empty where there is none, or more than one way."""
    found = estimates.loc[estimates["component"] == component, "interval"].unique()
    return str(found[0]) if len(found) == 1 else ""


def _effect(term: str, labels: Mapping[str, str]) -> str:
    if not term.startswith("indirect("):
        return f"{term} effect"
    inside = term.removeprefix("indirect(").removesuffix(")").split(">")
    return "through " + ", then ".join(labels.get(name, name_of(name)) for name in inside)
