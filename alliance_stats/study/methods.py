"""The statistical-methods paragraph of a paper, written from the declaration and the results."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from alliance_stats.render.labels import capital
from alliance_stats.result import Result
from alliance_stats.study.declare import Analysis, Role
from alliance_stats.study.formula_words import listed
from alliance_stats.study.method_words import Method, method_of, what_of

if TYPE_CHECKING:
    from alliance_stats.study.run import Run

LOST = re.compile(r"(\d+) of (\d+) rows left out for missing values")
NUMBERS = {"numpy": "NumPy", "scipy": "SciPy", "pandas": "pandas"}


def methods_text(result: Result) -> str:
    """How one result was made, as a paragraph in the past tense: model, estimation, tests, intervals, missing data, software.

    >>> import pandas as pd
    >>> from alliance_stats.models.linear import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 4, 2, None], "alliance": [40.0, 44, 47, 50, 55, 60]})
    >>> methods_text(LinearModel("pain ~ alliance").fit(data)).split(". ")[0]
    'Linear regression, fitted by ordinary least squares, was used for pain on alliance (pain ~ alliance)'
    """
    parts = [_used(method_of(result), [what_of(result)], result.model.level), *_lost_alone(result), software()]
    return " ".join(parts)


def run_methods(run: Run) -> list[str]:
    """The paragraphs of ``Run.methods_text``: estimands, primary and secondary analyses, then missing data and software."""
    parts = [" ".join(_estimands(run))]
    for role in ("primary", "secondary"):
        sentences = list(_analyses(run, role))
        if sentences:
            parts.append(f"{role.capitalize()} analyses. {' '.join(sentences)}")
    parts.append(" ".join([*missing_sentences(run), *_multiplicity(run), software()]))
    return parts


def software() -> str:
    """The software with its versions."""
    others = listed([f"{name} {version(key)}" for key, name in NUMBERS.items()])
    own = f"alliance_stats {version('alliance_stats')} in Python {platform.python_version()}"
    return f"Analyses were made with {own}, using {others}."


def _estimands(run: Run) -> Iterator[str]:
    used = {a.estimand: None for a in run.study.analyses if a.name in run.results}
    for name in used:
        e = run.study.estimands[name]
        of = f" of “{lower(run.label(name))}”" if len(used) > 1 else ""
        yield (
            f"The estimand{of} was the {lower(e.summary)}. The contrast was “{lower(e.contrast)}”, the outcome "
            f"“{lower(e.outcome)}”, the time “{lower(e.time)}”, the population “{lower(e.population)}”. On intercurrent "
            f"events: {lower(e.intercurrent)}."
        )


def _analyses(run: Run, role: Role) -> Iterator[str]:
    """One sentence a method, with everything it was used for, in the order of the declaration."""
    groups: dict[Method, list[Analysis]] = {}
    for analysis in run.study.analyses:
        if analysis.role == role and analysis.name in run.results:
            groups.setdefault(method_of(run.results[analysis.name]), []).append(analysis)
    for method, analyses in groups.items():
        results = [run.results[analysis.name] for analysis in analyses]
        named = [_named(run, a, r) for a, r in zip(analyses, results, strict=True)]
        yield _used(method, named, results[0].model.level)


def _named(run: Run, analysis: Analysis, result: Result) -> str:
    """What was modelled; printed tables, which have no rows, and models of several equations under their names."""
    what = what_of(result)
    if analysis.table is None and "; " not in what:
        return what
    return f"“{lower(run.label(analysis.name))}” ({what})"


def _used(method: Method, what: Sequence[str], level: float) -> str:
    fitted = f", {method.estimation}," if method.estimation else ""
    sentences = [f"{method.name}{fitted} {method.verb} used for {'; '.join(what)}."]
    errors = f"standard errors {method.errors}" if method.errors else ""
    tests = f"tests and {100 * level:g}% confidence intervals used {method.tests}" if method.tests else ""
    clauses = [clause for clause in (errors, tests) if clause]
    if clauses:
        text = "; ".join(clauses)
        sentences.append(f"{capital(text)}.")
    return " ".join([*sentences, *([f"{method.intervals}."] if method.intervals else [])])


def _lost_alone(result: Result) -> Iterator[str]:
    lost = _lost(result)
    if lost:
        yield f"Rows with missing values ({lost[0]} of {lost[1]}) were left out."
    elif result.state is not None:
        yield "No row had a missing value."


def _lost(result: Result) -> tuple[str, str] | None:
    found = next((LOST.search(note) for note in result.notes if LOST.search(note)), None)
    return (found[1], found[2]) if found else None


def missing_sentences(run: Run) -> Iterator[str]:
    """What was done about missing values, with the rows lost by analysis; nothing where no rows were analysed."""
    fitted = {a.name: run.results[a.name] for a in run.study.analyses if a.table is None and a.name in run.results}
    lost: dict[tuple[str, str], list[str]] = {}
    for name, result in fitted.items():
        if found := _lost(result):
            lost.setdefault(found, []).append(name)
    if not fitted:
        return
    if not lost:
        yield "No row had a missing value in a variable of its model."
        return
    counts = [f"{n} of {of} rows in {_which(run, names, len(fitted))}" for (n, of), names in lost.items()]
    yield (
        f"Rows with a missing value in a variable of a model were left out of that model ({'; '.join(counts)}); nothing was "
        "imputed."
    )


def _which(run: Run, names: Sequence[str], of: int) -> str:
    if len(names) == of:
        return "every analysis" if of > 1 else "the analysis"
    return listed([f"“{lower(run.label(name))}”" for name in names]) if len(names) <= 3 else f"{len(names)} analyses"


def _multiplicity(run: Run) -> Iterator[str]:
    """How p-values of families of contrasts were adjusted, read off the declared frames."""
    adjusted: dict[str, list[str]] = {}
    for analysis in run.study.analyses:
        for name, make in analysis.derived.items():
            how = _adjustment(make)
            if analysis.name in run.results and how != "none":
                adjusted.setdefault(how, []).append(lower(run.label(name)))
    for how, names in adjusted.items():
        families = listed(list(dict.fromkeys(f"“{name}”" for name in names)))
        yield f"Within families of contrasts ({families}) p-values were adjusted by {how.capitalize()}'s method."
    yield f"{'Other' if adjusted else 'The'} p-values were not adjusted for the number of tests."


def _adjustment(make: Any) -> str:
    if not isinstance(make, partial):
        return "none"
    default = "holm" if getattr(make.func, "__name__", "") == "contrast" else "none"
    return str(make.keywords.get("adjust", default))


def lower(text: str) -> str:
    """A text inside a sentence: its first letter small, but for acronyms and names with capitals inside.

    >>> lower("Mean change"), lower("PSFS at 8 weeks")
    ('mean change', 'PSFS at 8 weeks')
    """
    first = text.split(" ", 1)[0]
    return text if any(c.isupper() for c in first[1:]) else text[:1].lower() + text[1:]
