"""What is known of a questionnaire's structure, and how well each part is known."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd

from alliance_stats.errors import AllianceError, suggestion

Status = Literal["seen", "from memory", "not seen", "inferred", "derived"]
Scale = Literal["sum", "mean", "percent"]
Better = Literal["higher", "lower"]
Rule = Literal["prorate", "at most", "denominator", "zero", "complete"]
PART = 5  # of a scale's items, the fifths that must be answered for proration: four
NEEDED = 4
WIDTH = 112  # characters of a line of the repr


@dataclass(frozen=True)
class Answers:
    """Lowest and highest option of an item; ``unconfirmed`` names scales for which the sources contradict that range."""

    low: int
    high: int
    status: Status
    source: str
    unconfirmed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reversed:
    """Numbers of the reversed items, None where not known; ``choices`` are sets of them that a form may need."""

    items: tuple[int, ...] | None
    status: Status
    source: str
    choices: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Subscales:
    """Item numbers by subscale, None where not known; ``optional`` where the total is used without them."""

    items: Mapping[str, tuple[int, ...]] | None
    status: Status
    source: str
    optional: bool = False


@dataclass(frozen=True)
class Missing:
    """What happens to a scale with unanswered items.

    ``rule`` is ``"prorate"`` (the mean of the answered ones stands for the rest where at least 80 % are answered),
    ``"at most"`` (the same where at most ``allowed`` are unanswered), ``"denominator"`` (the same whatever their number),
    ``"zero"`` (an unanswered item counts 0) or ``"complete"`` (no score).
    """

    rule: Rule
    status: Status | Literal["passed"]
    source: str
    allowed: int = 0

    def smallest(self, items: int) -> int:
        """The smallest number of answered items, of so many, that gives a score.

        >>> [Missing("prorate", "not seen", "").smallest(k) for k in (3, 4, 10, 12)]
        [3, 4, 8, 10]
        """
        if self.rule == "prorate":
            return -(-NEEDED * items // PART)
        return {"complete": items, "at most": max(items - self.allowed, 1)}.get(self.rule, 1)

    def words(self) -> str:
        """The rule in a few words."""
        return {
            "prorate": "prorated where at least 80 % of a scale's items are answered",
            "at most": f"up to {self.allowed} unanswered take the mean of the rest, more leave no score",
            "denominator": "unanswered items leave the denominator",
            "zero": "an unanswered item counts 0",
            "complete": "no score with an unanswered item",
        }[self.rule]


@dataclass(frozen=True)
class Fact:
    """Something printed about an instrument. ``amounts`` are its numbers where the package uses them: in points or percent."""

    kind: str
    text: str
    status: Status
    source: str
    amounts: tuple[float, ...] = ()
    unit: Literal["points", "percent"] = "points"
    population: str = ""


@dataclass(frozen=True)
class Instrument:
    """The key of a questionnaire: structure and facts with their sources, never its wording.

    Attributes
    ----------
    key, name, measures : short name for code, full name, and what it measures.
    items : number of items (any number from 1 where ``any_number``).
    better : ``"higher"`` or ``"lower"``: which scores are good for the patient.
    scales : how scores are formed, the default first: ``"sum"``, ``"mean"`` or ``"percent"`` of the possible range.
    total : whether there is a score of all items. ``is_change``: whether a rating is itself a change.
    answers, reverse, subscales, missing : the parts that a score needs, each with its status and source.
    facts : reliability, minimal important change and cut-offs as printed.

    The status is ``"seen"`` (read in the source named), ``"from memory"``, ``"not seen"``, ``"inferred"`` or ``"derived"``.
    ``score`` uses what was seen, and asks for the rest.
    """

    key: str
    name: str
    measures: str
    better: Better
    items: int
    scales: tuple[Scale, ...]
    answers: Answers
    reverse: Reversed
    subscales: Subscales
    missing: Missing
    facts: tuple[Fact, ...] = ()
    total: bool = True
    any_number: bool = False
    is_change: bool = False

    def columns(self, items: str, scale: str = "total") -> list[str]:
        """Names of the columns of a scale, from the pattern of its items.

        Raises AllianceError for a scale that the instrument does not have, or whose items are not known.

        >>> from alliance_stats.instruments.registry import instrument
        >>> instrument("wai_sr").columns("wai_{}", "bond")
        ['wai_3', 'wai_5', 'wai_7', 'wai_9']
        """
        known = dict(self.subscales.items or {})
        numbers = range(1, self.items + 1) if scale == "total" else known.get(scale)
        if numbers is None:
            names = ["total", *known]
            raise AllianceError(
                f"{self.key} has no scale {scale!r}{suggestion(scale, names)}; known are {', '.join(names)}"
            )
        return [items.format(number) for number in numbers]

    def facts_of(self, kind: str) -> tuple[Fact, ...]:
        """The facts of one kind: ``"mic"``, ``"mdc"``, ``"cut-off"``, ``"reliability"`` …"""
        return tuple(fact for fact in self.facts if fact.kind == kind)

    def fact_table(self) -> pd.DataFrame:
        """Every fact as a row: ``kind text population status source``."""
        rows = [(f.kind, f.text, f.population, f.status, f.source) for f in self.facts]
        return pd.DataFrame(rows, columns=["kind", "text", "population", "status", "source"])

    def __repr__(self) -> str:
        lines = [textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in _lines(self)]
        return "\n".join([f"{self.name}: {self.measures}", *lines])


def read_instrument(table: Mapping[str, Any]) -> Instrument:
    """An instrument from the table of its TOML file."""
    answers, reverse, subscales = table["answers"], table["reverse"], table["subscales"]
    low, high = answers["range"]
    groups = subscales.get("items")
    plain = {name: table[name] for name in ("key", "name", "measures", "better", "items")}
    flags = {name: table[name] for name in ("total", "any_number", "is_change") if name in table}
    return Instrument(
        **plain,
        **flags,
        scales=tuple(table["scales"]),
        answers=Answers(low, high, answers["status"], answers["source"], answers.get("unconfirmed", {})),
        reverse=Reversed(
            tuple(reverse["items"]) if "items" in reverse else None,
            reverse["status"],
            reverse["source"],
            tuple(tuple(choice) for choice in reverse.get("choices", ())),
        ),
        subscales=Subscales(
            None if groups is None else MappingProxyType({name: tuple(n) for name, n in groups.items()}),
            subscales["status"],
            subscales["source"],
            subscales.get("optional", False),
        ),
        missing=Missing(**table["missing"]),
        facts=tuple(Fact(**fact | {"amounts": tuple(fact.get("amounts", ()))}) for fact in table.get("facts", ())),
    )


def number_list(numbers: Sequence[int]) -> str:
    """Item numbers in words: ``none`` or ``4, 10``."""
    return ", ".join(map(str, numbers)) if numbers else "none"


def group_list(groups: Mapping[str, Sequence[int]]) -> str:
    """Subscales in words: ``goal 4, 6; bond 3, 5``."""
    return "; ".join(f"{name} {number_list(numbers)}" for name, numbers in groups.items()) or "none"


def possible(scale: Scale, low: float, high: float, items: int) -> tuple[float, float]:
    """Smallest and largest score of a scale."""
    return {"sum": (low * items, high * items), "mean": (low, high), "percent": (0, 100)}[scale]


def _lines(of: Instrument) -> list[str]:
    low, high = of.answers.low, of.answers.high
    better = {"higher": "higher is better", "lower": "lower is better"}[of.better]
    scale = of.scales[0]
    bounds = "{:g} to {:g}".format(*possible(scale, low, high, of.items)) if of.total else "by subscale"
    many = f"{of.items} item{'s' * (of.items > 1)}" + (" as a rule" if of.any_number else "")
    items = number_list(of.reverse.items) if of.reverse.items is not None else "not known"
    groups = group_list(of.subscales.items) if of.subscales.items is not None else "not known"
    lines = [
        f"{many}, answered {low} to {high} ({_origin(of.answers)}); {better}; {scale} {bounds}",
        f"reversed: {items} ({_origin(of.reverse)})",
        f"subscales: {groups} ({_origin(of.subscales)})",
        f"missing answers: {of.missing.words()} ({_origin(of.missing)})",
    ]
    if of.answers.status == "seen":
        lines.append(f"seen in: {of.answers.source}")
    return lines + [f"{f.kind}: {f.text}{_population(f)} ({f.status}: {f.source})" for f in of.facts]


def _origin(part: Answers | Reversed | Subscales | Missing) -> str:
    """The status; the source too where it explains why a part is not confirmed."""
    return part.status if part.status == "seen" else f"{part.status}: {part.source}"


def _population(fact: Fact) -> str:
    return f"; {fact.population}" if fact.population else ""
