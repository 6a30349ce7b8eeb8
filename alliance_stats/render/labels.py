"""Names of coefficients, and of the ways to an interval, as a reader writes them."""

from __future__ import annotations

import re

INTERVALS = {
    "t": "t distribution", "normal": "normal approximation", "percentile": "percentile bootstrap", "bca": "BCa bootstrap",
    "monte-carlo": "Monte Carlo", "delta": "delta method", "product": "distribution of the product",
    "profile": "profile likelihood",
}  # fmt: skip
LEVEL = re.compile(r"^C?\(?(?P<name>[^\[\],()]+)[^\[\]]*\[(?:T\.|S\.)?(?P<level>[^\]]+)\]$")
WORD = re.compile(r"\w+(?:[\s:;,.×-]|$)")


def readable(term: str) -> str:
    """A coefficient's name for people.

    >>> readable("arm[T.MCE]"), readable("alliance:arm[T.MCE]"), readable("pain_before")
    ('arm: MCE', 'alliance × arm: MCE', 'pain before')
    >>> readable("enhanced − limited")
    'enhanced − limited'
    """
    return " × ".join(_part(part) for part in _split(term))


def capital(text: str) -> str:
    """A text as the start of a line; one that starts with code, such as a call, is left as it is.

    >>> capital("arm: exercise"), capital("sd(Intercept)")
    ('Arm: exercise', 'sd(Intercept)')
    """
    return text[:1].upper() + text[1:] if WORD.match(text) else text


def interval_method(kind: str) -> str:
    """How an interval was made, from the column ``interval``.

    >>> interval_method("monte-carlo")
    'Monte Carlo'
    """
    return INTERVALS.get(kind, kind)


def _part(part: str) -> str:
    found = LEVEL.match(part)
    text = f"{found['name']}: {found['level']}" if found else part
    return text.strip("`").replace("_", " ")


def _split(term: str) -> list[str]:
    """Parts of an interaction; a colon inside brackets, a space after it, or no colon at all splits nothing."""
    return re.split(r":(?![^\[]*\])(?! )", term)
