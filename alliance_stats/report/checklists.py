"""Reporting guidelines as checklists, filled in where a run knows the answer."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.inference.mediation_reporting import AUTHORS, agrema
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.report import known
from alliance_stats.study.declare import Analysis
from alliance_stats.study.run import Run

COLUMNS = ("section", "item", "asks", "known", "source")
Known = Callable[[Run], str]


@dataclass(frozen=True)
class Guideline:
    """A reporting guideline: where it is published, under which licence, and its items as (section, number, paraphrase)."""

    name: str
    reference: str
    doi: str
    licence: str
    items: tuple[tuple[str, str, str], ...] = ()


AGREMA = Guideline(
    "AGReMA",
    "Lee H, Cashin AG, Lamb SE, et al. A guideline for reporting mediation analyses of randomized trials and observational "
    "studies: the AGReMA statement. JAMA 2021;326:1045–1056",
    "10.1001/jama.2021.14075",
    "not openly licensed; the items are paraphrased here, the statement and its explanation are what authors should read",
)
# What the run knows of an item, and whether the authors must add to it.
STROBE: Mapping[str, tuple[str, Known]] = {
    "1a": ("in part", known.title), "3": ("result", known.question), "4": ("result", known.design),
    "6a": ("in part", known.population), "7": ("in part", known.variables), "8": ("in part", known.measurement),
    "11": ("in part", known.quantitative), "12a": ("result", known.methods), "12b": ("in part", known.interactions),
    "12c": ("result", known.missing), "12e": ("in part", known.sensitivity), "13a": ("in part", known.numbers),
    "14a": ("in part", known.characteristics), "14b": ("result", known.missing_values),
    "15": ("in part", known.characteristics), "16a": ("in part", known.estimates),
    "17": ("in part", known.secondary), "19": ("in part", known.cautions),
}  # fmt: skip
CONSORT: Mapping[str, tuple[str, Known]] = {
    "1a": ("in part", known.title), "4": ("in part", known.sharing), "7": ("in part", known.question),
    "9": ("in part", known.design), "12a": ("in part", known.population), "13": ("in part", known.contrasts),
    "14": ("in part", known.outcomes), "21a": ("result", known.methods), "21b": ("in part", known.analysed),
    "21c": ("result", known.missing), "21d": ("in part", known.secondary), "22a": ("in part", known.numbers),
    "22b": ("in part", known.missing_values), "25": ("in part", known.characteristics), "26": ("in part", known.estimates),
    "28": ("in part", known.secondary), "30": ("in part", known.cautions),
}  # fmt: skip
FILLED = {"strobe": STROBE, "consort": CONSORT}


def checklist(run: Run, guideline: str | None = None, analysis: str | None = None) -> pd.DataFrame:
    """The items of a reporting guideline, with what a run knows of each.

    Parameters
    ----------
    run : a run of a study.
    guideline : ``"strobe"`` (observational), ``"consort"`` (randomised; CONSORT 2025) or ``"agrema"`` (mediation); by default
        the one that the study names.
    analysis : with ``"agrema"``, the mediation analysis; by default the first.

    Returns
    -------
    DataFrame ``section item asks known source``: ``asks`` is a paraphrase; ``known`` what the run can say, or ``"for the
    authors"``; ``source`` is ``"result"``, ``"in part"`` (the authors must add to it) or ``"authors"``.

    Raises AllianceError for another guideline, and for ``"agrema"`` without a mediation analysis. Sources: see
    ``guideline_of``.

    >>> from alliance_stats.studies import REGISTRY
    >>> table = checklist(REGISTRY["chen2019"].run(), "strobe")
    >>> len(table), table["source"].value_counts().sort_index().to_dict()
    (34, {'authors': 17, 'in part': 12, 'result': 5})
    """
    name = guideline or run.study.guideline
    if name == "agrema":
        return agrema(run.results[_mediation(run, analysis)]).astype({"item": str})
    if analysis is not None:
        raise AllianceError(f"checklist: analysis='{analysis}' is for guideline='agrema' alone")
    rows = []
    for section, item, asks in guideline_of(name).items:
        source, fill = FILLED[name].get(item, ("authors", lambda _: ""))
        said = fill(run)
        rows.append((section, item, asks, said or AUTHORS, source if said else "authors"))
    return pd.DataFrame(rows, columns=list(COLUMNS))


@cache
def guideline_of(name: str) -> Guideline:
    """A guideline with its reference, DOI and licence; AllianceError for an unknown one.

    >>> guideline_of("consort").doi
    '10.1136/bmj-2024-081123'
    """
    if name == "agrema":
        return AGREMA
    if name not in FILLED:
        raise AllianceError(f"no checklist '{name}'; use one of strobe, consort, agrema")
    given = tomllib.loads((files("alliance_stats.report") / "guidelines" / f"{name}.toml").read_text(encoding="utf-8"))
    return Guideline(
        given["name"], given["reference"], given["doi"], given["licence"], tuple(map(tuple, given["items"]))
    )


def mediations(run: Run) -> list[Analysis]:
    """The analyses of mediation that were run."""
    kinds = (Mediation, MultilevelMediation)
    return [a for a in run.study.analyses if a.name in run.results and isinstance(run.results[a.name].model, kinds)]


def _mediation(run: Run, analysis: str | None) -> str:
    names = [a.name for a in mediations(run)]
    if not names:
        raise AllianceError(f"checklist: '{run.study.key}' has no mediation analysis; use 'strobe' or 'consort'")
    if analysis is not None and analysis not in names:
        raise AllianceError(f"checklist: '{analysis}' is no mediation analysis; use one of {', '.join(names)}")
    return analysis or names[0]
