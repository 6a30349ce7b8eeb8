"""The declaration of a claim and of each piece of evidence: what was printed, where, and what it can carry."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from alliance_stats.errors import AllianceError, TargetError

Bears = Literal["directly", "indirectly"]
Favours = Literal["+", "-", "none"]
Says = Literal["for", "against", "neutral"]
Design = Literal[
    "association", "pooled association", "randomised", "pooled randomised", "comparison of groups", "prevalence",
    "factor structure", "review without pooling", "change in one group", "path model", "concept",
]  # fmt: skip
Status = Literal["SEEN", "DERIVED"]
IDS = tuple(f"C{i}" for i in range(1, 12))


@dataclass(frozen=True)
class Evidence:
    """One printed finding.

    ``parts`` are the parts of the claim it speaks of; ``bears`` says whether exposure, outcome and patients are those of the
    claim. ``favours`` is the side of no effect on which the claim puts the estimate. ``kind`` chooses the recomputation of
    ``seen``, the numbers as printed; ``derived`` are numbers that follow from them, with the digits they are quoted with.
    A finding without an interval has its reading in words, ``says``. ``run`` names (study, analysis, term) where the numbers
    are those of a study's printed table; ``as_printed=False`` says that a part of that table was computed from the print.
    """

    id: str
    study: str
    finding: str
    parts: tuple[str, ...]
    design: Design
    kind: str
    source: str
    population: str = "musculoskeletal"
    bears: Bears = "directly"
    favours: Favours = "+"
    says: Says = "neutral"
    seen: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)
    run: tuple[str, str, str] | None = None
    as_printed: bool = True
    decimals: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Pointer:
    """How the package tests a claim: what is done, and the public name of what does it."""

    what: str
    function: str


@dataclass(frozen=True)
class Check:
    """A row of a study's run that speaks of the claim: on simulated data it checks the code, on original data it is evidence.

    ``counts=False`` marks a row that checks code alone; ``note`` is said of the row where original data make it evidence.
    """

    study: str
    analysis: str
    term: str
    part: str
    design: Design
    favours: Favours = "+"
    counts: bool = True
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim: its words, estimand, the studies it leans on, its parts, and the designs that can carry it."""

    id: str
    text: str
    estimand: str
    leans_on: str
    parts: tuple[str, ...]
    carried_by: tuple[Design, ...]
    tests: tuple[Pointer, ...]
    evidence: tuple[Evidence, ...]
    checks: tuple[Check, ...] = ()


@cache
def load_claim(name: str) -> Claim:
    """A claim with its evidence from ``claims/evidence/<name>.toml``.

    Raises AllianceError for a claim that does not exist and TargetError for a fault in its file.

    >>> load_claim("C6").parts
    ('pain', 'pressure pain threshold')
    """
    if name not in IDS:
        raise AllianceError(f"no claim {name!r}; claims: {', '.join(IDS)}")
    with files("alliance_stats.claims").joinpath(f"evidence/{name}.toml").open("rb") as file:
        return read_claim(tomllib.load(file), name)


def load_claims() -> tuple[Claim, ...]:
    """All claims, in order."""
    return tuple(load_claim(name) for name in IDS)


def read_claim(given: Mapping[str, Any], name: str) -> Claim:
    """A claim from the content of its file; TargetError for what is missing, unknown or without a source."""
    rows = dict(given)
    try:
        claim = Claim(
            name, rows.pop("claim"), rows.pop("estimand"), rows.pop("leans_on"), tuple(rows.pop("parts")),
            tuple(rows.pop("carried_by")), tuple(Pointer(**row) for row in rows.pop("tests")),
            tuple(_evidence(row, name) for row in rows.pop("evidence")),
            tuple(Check(**row) for row in rows.pop("checks", ())),
        )  # fmt: skip
    except (KeyError, TypeError) as problem:
        raise TargetError(f"claims/evidence/{name}.toml: {problem}") from None
    if rows:
        raise TargetError(f"claims/evidence/{name}.toml: {', '.join(rows)} is not used")
    _require_sound(claim)
    return claim


def _evidence(row: Mapping[str, Any], name: str) -> Evidence:
    fields = dict(row)
    fields["parts"] = tuple(fields["parts"])
    if "run" in fields:
        fields["run"] = tuple(fields["run"])
    for group in ("seen", "derived"):
        wrong = [key for key, value in fields.get(group, {}).items() if not isinstance(value, str) or not value.strip()]
        if wrong:
            raise TargetError(
                f"claims/evidence/{name}.toml: {row['id']}: write {', '.join(wrong)} as printed, in quotes"
            )
    return Evidence(**fields)


def _require_sound(claim: Claim) -> None:
    where = f"claims/evidence/{claim.id}.toml"
    ids = [e.id for e in claim.evidence]
    repeated = {i for i in ids if ids.count(i) > 1}
    if repeated:
        raise TargetError(f"{where}: evidence {', '.join(sorted(repeated))} appears more than once")
    for design in claim.carried_by:
        _require(design, get_args(Design), f"{where}: carried_by")
    for e in claim.evidence:
        at = f"{where}: {e.id}"
        for value, known in ((e.design, Design), (e.bears, Bears), (e.favours, Favours), (e.says, Says)):
            _require(value, get_args(known), at)
        for part in e.parts:
            _require(part, claim.parts, f"{at}: part")
        if not e.source.strip() or not e.parts:
            raise TargetError(f"{at}: evidence needs the source where it was seen, and a part of the claim")
    for check in claim.checks:
        _require(check.part, claim.parts, f"{where}: checks: part")
        _require(check.favours, get_args(Favours), f"{where}: checks: favours")


def _require(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise TargetError(f"{where}: {value!r} is unknown; use one of {', '.join(map(repr, known))}")
