"""The errors of the package: one small tree, so that a caller can catch what it can mend.

Every message names the column or argument, says what was found there, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class AllianceError(Exception):
    """Base of every error that alliance_stats raises on purpose."""


class DataError(AllianceError):
    """The data do not hold what the analysis needs (columns, types, ranges, keys)."""


class FormulaError(AllianceError):
    """A formula cannot be read, or asks for something outside the closed list of functions."""


class ConvergenceError(AllianceError):
    """An estimate could not be found, so no number is given."""


class TargetError(AllianceError):
    """A printed number is missing, malformed or names a result that the study does not have."""


def require_columns(have: Iterable[Any], wanted: Iterable[str], where: str) -> None:
    """DataError naming columns that are absent, with the nearest of those that exist, or there more than once.

    >>> require_columns(["pain", "arm"], ["pian"], "Centre")
    Traceback (most recent call last):
    alliance_stats.errors.DataError: Centre: no column 'pian' (did you mean 'pain'?); columns: pain, arm
    """
    have, wanted = list(have), list(wanted)
    names = [str(name) for name in have]
    absent = [name for name in wanted if name not in have]
    if absent:
        hints = [f"'{name}'" + suggestion(name, names) for name in absent]
        raise DataError(f"{where}: no column {', '.join(hints)}; columns: {', '.join(names)}")
    for name in wanted:
        if have.count(name) > 1:
            raise DataError(f"{where}: {have.count(name)} columns are called '{name}'; rename or remove all but one")


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name most like the one asked for, whatever its capitals; None if none is alike."""
    by_small: dict[str, str] = {}
    for candidate in names:
        by_small.setdefault(candidate.casefold(), candidate)
    found = get_close_matches(name.casefold(), list(by_small), n=1, cutoff=0.6)
    return by_small[found[0]] if found else None


def suggestion(name: str, names: Iterable[str]) -> str:
    """ " (did you mean 'x'?)" where a name is alike, else nothing."""
    match = closest(name, names)
    return f" (did you mean {match!r}?)" if match else ""
