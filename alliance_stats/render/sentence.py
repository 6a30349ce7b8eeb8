"""One estimate in words, in the style of the American Psychological Association (7th edition)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alliance_stats.render.labels import readable
from alliance_stats.render.numbers import fixed, number, p_value, whole
from alliance_stats.render.scales import OUTCOME, Scale
from alliance_stats.render.table import decimals_for

COEFFICIENTS = ("fixed", "hazard", "zero", "one")
INTERVALS = {
    "percentile": "percentile bootstrap ", "bca": "BCa bootstrap ", "monte-carlo": "Monte Carlo ", "delta": "delta-method ",
    "product": "distribution-of-the-product ", "profile": "profile-likelihood ", "wild bootstrap": "wild bootstrap ",
}  # fmt: skip
PRIME = re.compile(r"^c_prime")
CELL = re.compile(r"^([^\[\]=]+)=([^\[\]=]+)$")  # of a table of printed means
DIFFERENCE = re.compile(r"^indirect\(([^()]*)\)-indirect\(([^()]*)\)$")
EFFECT = re.compile(r"^(?P<kind>indirect|direct|total)(?:_(?P<level>within|between))?(?:\((?P<path>[^()]*)\))?$")


@dataclass(frozen=True)
class Wording:
    """What a sentence says beside the numbers; see ``Result.apa``."""

    level: float = 0.95
    label: str = ""
    outcome: str = ""
    units: str = ""
    ratio: bool = False
    scale: Scale = OUTCOME
    effect: str = ""  # before the value of an effect that is no difference, e.g. "an odds ratio of "
    mean: bool = False  # coefficients are means


def phrase(row: Any, wording: Wording) -> str:
    """Estimate, standard error, interval, statistic, degrees of freedom and p of one row, separated by commas.

    >>> from types import SimpleNamespace as Row
    >>> row = Row(component="fixed", estimate=-0.42, std_error=0.096, conf_low=-0.61, conf_high=-0.23, statistic=-4.36, df=84.2,
    ...           p_value=3e-5)
    >>> phrase(row, Wording(units="points"))
    'b = −0.42 points, SE = 0.096, 95 % CI [−0.61, −0.23], t(84.2) = −4.36, p < .001'
    """
    parts = [f"b = {places(row.estimate)}{_unit(wording)}"]
    if np.isfinite(row.std_error):
        parts.append(f"SE = {places(row.std_error)}")
    if np.isfinite(row.conf_low):
        parts.append(f"{100 * wording.level:g} % CI {_limits(row.conf_low, row.conf_high)}")
    return ", ".join([*parts, *_ratio(row, wording), *_test(row)])


def sentence(row: Any, wording: Wording) -> str:
    """The same row as a sentence that names the predictor, the outcome and how the interval was made.

    A coefficient whose interval excludes zero "predicted" the outcome, any other "did not clearly predict" it.

    >>> from types import SimpleNamespace as Row
    >>> row = Row(term="alliance", component="fixed", estimate=-0.48, std_error=0.39, conf_low=-1.25, conf_high=0.29,
    ...           statistic=-1.21, df=float("nan"), p_value=0.225, interval="normal", at="")
    >>> sentence(row, Wording(outcome="leaving"))
    'Alliance did not clearly predict leaving, b = −0.48, 95% CI [−1.25, 0.29], z = −1.21, p = .225'
    """
    digits = decimals_for(_error(row)) if np.isfinite(_error(row)) else None
    numbers = ", ".join([*_interval(row, wording, digits), *_ratio(row, wording, digits), *_test(row)])
    label = wording.label or term_label(row)
    label = label[:1].upper() + label[1:]
    where = f" ({at_text(row.at)})" if row.at and not wording.label else ""
    value = f"{_written(row.estimate, digits)}{_unit(wording)}"
    if row.component == "effect" or row.term == "Intercept":
        on = f" {'for' if row.term == 'Intercept' else 'on'} {wording.outcome}" if wording.outcome else ""
        kind = wording.effect if EFFECT.match(row.term) else ""
        return f"The {label[:1].lower() + label[1:]}{on}{where} was {kind}{value}, {numbers}".rstrip(", ")
    symbol = f"{'M' if wording.mean else _symbol(row)} = {value}"
    if row.component not in COEFFICIENTS or not wording.outcome or wording.mean:
        of = f", {wording.outcome}" if wording.mean and wording.outcome else ""
        return f"{label}{where}{of}: {symbol}, {numbers}".rstrip(", ")
    verb = "predicted" if row.conf_low > 0 or row.conf_high < 0 else "did not clearly predict"
    return f"{label}{where} {verb} {wording.outcome}, {symbol}, {numbers}".rstrip(", ")


def at_text(at: str) -> str:
    """A moderator value or contrast for people.

    >>> at_text("(w = 0.33) - (w = -0.86)")
    'w = 0.33 less w = −0.86'
    """
    text = re.sub(r"^\((.*)\) - \((.*)\)$", r"\1 less \2", at)
    return readable(re.sub(r"(?<![\w.])-(?=\d)", "−", text))


def for_ratio(wording: Wording, *, wanted: bool) -> Wording:
    """With the ratio where it is wanted and the scale has one."""
    return replace(wording, ratio=wanted and bool(wording.scale.ratio))


def places(value: float) -> str:
    """Two decimals, more for a small number, so that an estimate never prints as 0.00."""
    if not np.isfinite(value) or 0 < abs(value) < 1e-5:
        return number(value)
    return fixed(value, 2 if abs(value) >= 0.1 or value == 0 else 1 - int(np.floor(np.log10(abs(value)))))


def _interval(row: Any, wording: Wording, digits: int | None) -> list[str]:
    if not np.isfinite(row.conf_low):
        return []
    limits = _limits(row.conf_low, row.conf_high, digits)
    return [f"{100 * wording.level:g}% {INTERVALS.get(row.interval, '')}CI {limits}"]


def _ratio(row: Any, wording: Wording, digits: int | None = None) -> list[str]:
    if not wording.ratio or row.component not in COEFFICIENTS:
        return []
    with np.errstate(over="ignore"):
        value, low, high = (float(np.exp(v)) for v in (row.estimate, row.conf_low, row.conf_high))
    if digits is not None:
        digits = decimals_for(value * _error(row)) if np.isfinite(value) else None
    limits = f" {_limits(low, high, digits)}" if np.isfinite(row.conf_low) else ""
    return [f"{wording.scale.ratio} = {_written(value, digits)}{limits}"]


def _error(row: Any) -> float:
    """The standard error, or a quarter of the interval, which has about as many digits."""
    return float(row.std_error) if np.isfinite(row.std_error) else float(row.conf_high - row.conf_low) / 4


def _written(value: float, digits: int | None) -> str:
    return places(value) if digits is None or not np.isfinite(value) else fixed(value, digits)


def _test(row: Any) -> list[str]:
    found = []
    if np.isfinite(row.statistic):
        name = f"t({whole(row.df)})" if np.isfinite(row.df) else "z"
        found.append(f"{name} = {fixed(row.statistic)}")
    if np.isfinite(row.p_value):
        p = p_value(row.p_value)
        found.append(f"p {p}" if p[0] in "<>" else f"p = {p}")
    return found


def _limits(low: float, high: float, digits: int | None = None) -> str:
    return f"[{_written(low, digits)}, {_written(high, digits)}]"


def _unit(wording: Wording) -> str:
    return f" {wording.units}" if wording.units else ""


def _symbol(row: Any) -> str:
    return "b" if row.component in (*COEFFICIENTS, "path") else "estimate"


def term_label(row: Any) -> str:
    """The term for people; ``indirect(alliance>trust)`` as “indirect effect through alliance and then trust”."""
    pair = DIFFERENCE.match(row.term)
    if pair:
        first, second = (readable(path.replace(">", " and then ")) for path in pair.groups())
        return f"indirect effect through {first} less that through {second}"
    if row.component == "path":
        return f"path {PRIME.sub('c′', str(row.term)).replace('_', ' ')}"
    found = EFFECT.match(row.term) if row.component == "effect" else None
    if found is None:
        return readable(CELL.sub(r"\1: \2", str(row.term)))
    level = f"{found['level']}-patient " if found["level"] else ""
    through = f" through {readable(found['path'].replace('>', ' and then '))}" if found["path"] else ""
    return f"{level}{found['kind']} effect{through}"
