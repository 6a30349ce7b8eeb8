"""The names of a table's columns: stray spaces, doubles, and from the file's names to the study's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from alliance_stats.errors import DataError, suggestion


def plain_names(names: Iterable[object]) -> tuple[list[str], list[str]]:
    """Names without stray spaces and byte-order mark, and a sentence for each column whose name is another now.

    Raises DataError where two columns bear the same name.
    """
    given = [str(name) for name in names]
    stripped = [name.strip().removeprefix("\ufeff").strip() for name in given]
    plain = [name or f"unnamed_{position}" for position, name in enumerate(stripped, start=1)]
    notes = [
        f"Column {position} has no name in the file and is called 'unnamed_{position}'."
        for position, name in enumerate(stripped, start=1)
        if not name
    ]
    notes += [
        f"Column {new!r}: stray spaces or a byte-order mark taken off its name."
        for old, new in zip(given, stripped, strict=True)
        if new and new != old
    ]
    refuse_doubles(plain, "give each column of the file its own name")
    return plain, notes


def renamed(names: Sequence[str], rename: Mapping[str, str] | None) -> list[str]:
    """The study's names of the file's columns; a name that the file lacks is a DataError."""
    wanted = {old.strip(): new for old, new in (rename or {}).items()}
    absent = [old for old in wanted if old not in names]
    if absent:
        hints = ", ".join(f"{old!r}{suggestion(old, names)}" for old in absent)
        raise DataError(f"rename: the file has no column {hints}; its columns are {', '.join(map(repr, names))}")
    study = [wanted.get(name, name) for name in names]
    refuse_doubles(study, "choose other names in rename=")
    return study


def refuse_doubles(names: Sequence[str], advice: str) -> None:
    """Raise DataError where a name is borne by several columns, saying by which."""
    doubles = [name for name, count in Counter(names).items() if count > 1]
    if doubles:
        places = "; ".join(
            f"{double!r} (columns {', '.join(str(i) for i, name in enumerate(names, 1) if name == double)})"
            for double in doubles
        )
        raise DataError(f"duplicated column names: {places}; {advice}")
