"""Names of coefficients as a reader writes them."""

from __future__ import annotations

import re

LEVEL = re.compile(r"^C?\(?(?P<name>[^\[\],()]+)[^\[\]]*\[(?:T\.|S\.)?(?P<level>[^\]]+)\]$")


def readable(term: str) -> str:
    """A coefficient's name for people.

    >>> readable("arm[T.MCE]"), readable("alliance:arm[T.MCE]"), readable("pain_before")
    ('arm: MCE', 'alliance × arm: MCE', 'pain before')
    >>> readable("enhanced − limited")
    'enhanced − limited'
    """
    return " × ".join(_part(part) for part in _split(term))


def _part(part: str) -> str:
    found = LEVEL.match(part)
    text = f"{found['name']}: {found['level']}" if found else part
    return text.strip("`").replace("_", " ")


def _split(term: str) -> list[str]:
    """Parts of an interaction; a colon inside brackets, a space after it, or no colon at all splits nothing."""
    return re.split(r":(?![^\[]*\])(?! )", term)
