"""The scale of a model's coefficients in words, and the ratio that their exponential is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from alliance_stats.render.labels import readable

LEFT = re.compile(r"^\s*Surv\((?P<parts>.*)\)\s*$")


@dataclass(frozen=True)
class Scale:
    """What one unit of a coefficient is, e.g. ``log odds``; name and abbreviation of exp(b), empty where it has none."""

    unit: str = "units of the outcome"
    ratio: str = ""
    short: str = ""


OUTCOME = Scale()
HAZARD = Scale("log hazard", "hazard ratio", "HR")
SUBHAZARD = Scale("log subdistribution hazard", "subdistribution hazard ratio", "sHR")
ODDS = Scale("log odds", "odds ratio", "OR")
RATE = Scale("log rate", "rate ratio", "RR")
MEAN = Scale("log mean", "ratio of means", "RM")


def scale_of(model: Any, state: Any) -> Scale:
    """The scale of the coefficients of a fitted model.

    Logits are log odds, whether of a yes, of a share or of a rating above a threshold. A log link gives log rates for counts
    and log means otherwise. Cox models and complementary log–log models of discrete time give log hazards. Other links have no
    ratio: neither have effects of mediation, which carry a scale of their own.

    >>> from types import SimpleNamespace as Any
    >>> scale_of(Any(link="logit"), Any()).ratio, scale_of(Any(), Any()).unit
    ('odds ratio', 'units of the outcome')
    """
    kind = type(model).__name__
    if kind == "CoxModel":
        return HAZARD
    if kind == "CompetingRisksModel":
        return SUBHAZARD if model.method == "fine-gray" else HAZARD
    link = getattr(state, "link", None) or getattr(model, "link", None)
    if kind == "DiscreteTimeModel" and link == "cloglog":
        return HAZARD
    if link == "log":
        return RATE if getattr(model, "family", "") in ("poisson", "negativebinomial") else MEAN
    if link in (None, "identity"):
        return OUTCOME
    return ODDS if link == "logit" else Scale({"cloglog": "complementary log–log"}.get(link, str(link)) + " units")


def outcome_of(model: Any) -> str:
    """What a model predicts, for people; empty where the declaration does not say.

    >>> from types import SimpleNamespace as Any
    >>> [outcome_of(Any(formula=f"{left} ~ x")) for left in ("pain_8w", "Surv(week, left)", "done | trials(assigned)")]
    ['pain 8w', 'left', 'done']
    """
    text = str(getattr(model, "outcome", "") or getattr(model, "formula", ""))
    if not text or type(model).__name__ == "SummaryStatistics":
        return ""
    left = text.split("~", 1)[0].strip()
    survival = LEFT.match(left)
    if survival:
        left = survival["parts"].split(",")[-1].strip()
    return readable(left.split("|")[0].strip())
