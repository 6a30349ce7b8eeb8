"""The rows of a fitted model that belong in print: which, under which heading, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.render.labels import capital, readable
from alliance_stats.render.sentence import COEFFICIENTS, at_text, term_label
from alliance_stats.result import Result
from alliance_stats.tables.styles import Style, unmarked

SECTIONS = {
    "fixed": "Coefficients", "hazard": "Coefficients", "zero": "Zero part", "one": "One part", "association": "Association",
    "effect": "Effects", "path": "Paths", "threshold": "Thresholds", "precision": "Dispersion", "random": "Random part",
    "correlation": "Random part", "residual": "Random part",
}  # fmt: skip
ORDER = tuple(dict.fromkeys(SECTIONS.values()))
PARTS = ("Dispersion", "Random part")
SPREADS = ("random", "correlation", "residual")
# Effects of mediation that say the same in other words, and the parts that they are composed of.
DECOMPOSED = re.compile(r"^(acme|ade|pnde|tnde|pnie|tnie|cde|intref|intmed|pie|excess)(_|$)")
SPREAD = re.compile(r"^(sd|cor|var)\((.*)\)$")
NAMES = {"phi": "Precision φ", "theta": "Size θ", "alpha": "Working correlation α"}


@dataclass(frozen=True)
class Line:
    """One row of one model: its block, what identifies it across models, its label, and the row of ``tidy()``."""

    section: str
    key: tuple[str, ...]
    label: str
    row: Any


def lines(
    result: Result, style: Style, terms: Sequence[str] | None, labels: Mapping[str, str], random: bool
) -> list[Line]:
    """The lines of a result in the order of print."""
    kept = chosen(result.estimates, terms)
    if not random:
        kept = kept[[SECTIONS[c] not in PARTS for c in kept["component"]]]
    found = []
    for row in kept.itertuples(index=False):
        key = tuple(str(getattr(row, name)) for name in ("equation", "group", "term", "at"))
        section = SECTIONS[str(row.component)]
        found.append(Line(section, (section, *key), label_of(row, style, labels), row))
    return found


def chosen(estimates: pd.DataFrame, terms: Sequence[str] | None) -> pd.DataFrame:
    """The rows to print: the coefficients named in ``terms`` and the parts of the model that are no coefficients.

    Without ``terms``, all rows; but where there are effects of mediation, these and the paths without the coefficients of the
    equations, and without the effects that repeat or split others (``acme_control``, ``pnie``, …).
    """
    if terms is not None:
        part = np.array([SECTIONS[c] in PARTS for c in estimates["component"]], dtype=bool)
        return estimates[estimates["term"].isin(list(terms)) | part]
    if not (estimates["component"] == "effect").any():
        return estimates
    repeated = np.array([bool(DECOMPOSED.match(term)) for term in estimates["term"]], dtype=bool)
    equations = estimates["component"].isin(COEFFICIENTS)
    return estimates[~(equations | ((estimates["component"] == "effect") & repeated))]


def left_out(result: Result, terms: Sequence[str] | None) -> int:
    """How many rows of ``tidy()`` are not printed."""
    return len(result.estimates) - len(chosen(result.estimates, terms))


def require_terms(results: Sequence[Result], terms: Sequence[str] | None, labels: Mapping[str, str]) -> None:
    """AllianceError where a term is in none of the results."""
    known = list(dict.fromkeys(str(term) for result in results for term in result.estimates["term"]))
    for given, name in ((terms or (), "terms"), (labels, "labels")):
        absent = [term for term in given if term not in known]
        if absent:
            raise AllianceError(f"{name}: no model has a term {absent[0]!r}; terms: {', '.join(known)}")


def label_of(row: Any, style: Style, labels: Mapping[str, str]) -> str:
    """The row's name for people.

    >>> from types import SimpleNamespace as Row
    >>> from alliance_stats.tables.styles import STYLES
    >>> row = Row(component="random", term="sd(Intercept)", group="therapist", equation="", at="")
    >>> label_of(row, STYLES["jama"], {}), label_of(row, STYLES["jama"], {"sd(Intercept)": "Therapists"})
    ('SD of intercept (therapist)', 'Therapists (therapist)')
    """
    given = labels.get(str(row.term))
    text = unmarked(given) if given is not None else _default(row, style)
    equation = row.equation if row.component in ("path", *SPREADS) else ""
    beside = [readable(row.group), at_text(row.at), readable(equation)]
    more = ", ".join(part for part in beside if part)
    return f"{text} ({more})" if more else text


def merged(found: Sequence[Sequence[Line]], terms: Sequence[str] | None) -> list[Line]:
    """One line a row of the table, block by block, in the order of ``terms`` or else of the models."""
    first: dict[tuple[str, ...], Line] = {}
    for model in found:
        for line in model:
            first.setdefault(line.key, line)
    place = {term: i for i, term in enumerate(terms or ())}
    return sorted(first.values(), key=lambda line: (ORDER.index(line.section), place.get(line.row.term, len(place))))


def _default(row: Any, style: Style) -> str:
    spread = SPREAD.match(str(row.term))
    if spread is None:
        text = NAMES.get(str(row.term)) or term_label(row)
        return text if row.component == "threshold" else capital(text)
    if row.component == "residual":
        return f"Residual {style.symbol('SD')}"
    what = " and ".join(part.strip() for part in spread[2].split(","))
    name = {"sd": style.symbol("SD"), "cor": style.symbol("r"), "var": "Variance"}[spread[1]]
    return f"{name} of {readable(what[:1].lower() + what[1:] if what.startswith('Intercept') else what)}"


def is_bounded(row: Any) -> bool:
    """Whether the row is a correlation."""
    return str(row.component) == "correlation"


def finite(value: Any) -> bool:
    """Whether there is a number to print."""
    return value is not None and bool(np.isfinite(float(value)))
