"""Printed and recomputed numbers of a finding in words."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from alliance_stats.claims.declare import Evidence
from alliance_stats.claims.from_studies import printed_table
from alliance_stats.claims.recompute import Recomputed, is_number
from alliance_stats.render.numbers import fixed, number, p_value, whole

# What a printed number is called, in the order of reading; limits and degrees of freedom stand with their numbers.
NAMES: Mapping[str, str] = {
    "r": "r", "d": "d", "estimate": "estimate", "b": "b", "mean": "mean", "mean2": "mean", "percent": "%", "factors": "factors",
    "statistic": "χ²", "rmsea": "RMSEA", "cfi": "CFI", "se": "SE", "sd": "SD", "z": "z", "p": "p", "n": "n", "n2": "n",
    "studies": "studies", "therapists": "therapists", "centres": "centres", "share": "%",
}  # fmt: skip


def printed_words(evidence: Evidence) -> str:
    """The numbers as printed, or the sense of the words where there are none.

    >>> from alliance_stats.claims.declare import load_claim
    >>> {e.id: printed_words(e) for e in load_claim("C1").evidence}["bliss-severity"]
    'r = .29, printed “*”, n = 59'
    """
    if evidence.run is not None:
        return ("" if evidence.as_printed else "in part computed: ") + printed_table(evidence.run)
    if evidence.kind == "run":
        return "not printed: original data"
    seen, kind = evidence.seen, evidence.kind
    first = [_printed(name, seen, kind) for name in NAMES if name in seen and not name.endswith("2")]
    second = [_printed(name, seen, kind) for name in NAMES if name in seen and name.endswith("2")]
    said = "; ".join(", ".join(part) for part in (first, second) if part)
    return said or "words only"


def _printed(name: str, seen: Mapping[str, str], kind: str) -> str:
    text = _typographic(seen[name])
    if name in ("percent", "share"):
        return f"{text} %"
    if name == "factors":
        return f"{text} factor{'s' * (text != '1')}"
    if name in ("studies", "therapists", "centres"):
        return f"{text} {name}"
    if name == "p" and not any(c.isdigit() for c in text):
        return f"printed “{text}”"
    label = f"χ²({seen['df']})" if name == "statistic" and "df" in seen else NAMES[name]
    label = "OR" if name == "estimate" and kind == "ratio" else label
    limits = _limits(name, seen)
    equals = " = " if is_number(seen[name]) else " "
    return f"{label}{equals}{text}{limits}"


def _limits(name: str, seen: Mapping[str, str]) -> str:
    second = name.endswith("2")
    low, high = (f"{end}{'2' * second}" for end in ("low", "high"))
    if name not in ("r", "d", "estimate", "mean", "mean2") or low not in seen:
        return ""
    return f" ({_typographic(seen[low])} to {_typographic(seen[high])})"


def recomputed_words(evidence: Evidence, found: Recomputed) -> str:
    """What follows, with as many decimals as the printed estimate has (two at least for correlations and ratios)."""
    if evidence.kind == "chi-squared":
        fit = f", RMSEA = {_bare(fixed(found.more['rmsea'], 3))}" if "rmsea" in evidence.seen else ""
        return f"p {_p(found.more['p'])}{fit}"
    if evidence.kind in ("statement", "factors"):
        return ""
    places = _places(evidence)
    numbers = (found.estimate, found.low, found.high)
    estimate, low, high = (number(value) if places is None else fixed(value, places) for value in numbers)
    if found.symbol == "r":
        estimate, low, high = map(_bare, (estimate, low, high))
    said = f"{found.symbol} = {estimate}" if found.symbol != "%" else f"{estimate} %"
    if not isfinite(found.low):
        return f"{said}, no interval"
    return f"{said} ({low} to {high}){_test(evidence, found)}"


def _test(evidence: Evidence, found: Recomputed) -> str:
    if "p" not in found.more:
        return ""
    if not isfinite(found.more.get("statistic", float("nan"))):
        return f", p {_p(found.more['p'])}"
    with_df = "df" in found.more and isfinite(found.more["df"])
    statistic = f"t({whole(found.more['df'])})" if with_df else "z"
    normal = f" (normal quantile: p {_p(found.more['p_normal'])})" if "p_normal" in found.more else ""
    return f", {statistic} = {fixed(found.more['statistic'], 2)}, p {_p(found.more['p'])}{normal}"


def _places(evidence: Evidence) -> int | None:
    """Decimals of the estimate; None for numbers of original data, which get three significant digits."""
    if evidence.decimals is not None or evidence.kind == "run":
        return evidence.decimals
    if evidence.kind in ("variance explained", "pooled d", "hazard"):
        return 2
    names = ("r", "d", "estimate", "mean", "percent")
    text = next((evidence.seen[name] for name in names if name in evidence.seen), "0.00")
    least = 2 if evidence.kind in ("correlation", "pooled correlation", "ratio", "d with p") else 1
    return max(len(text.partition(".")[2]), least)


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith(("<", ">")) else f"= {text}"


def _bare(text: str) -> str:
    """Without the zero before the decimal point, as correlations are written."""
    return text.replace("0.", ".", 1) if text.lstrip("−").startswith("0.") else text


def _typographic(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") else text
