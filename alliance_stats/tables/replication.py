"""A published study beside its rerun, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.render.labels import capital, readable
from alliance_stats.render.numbers import fixed, number, whole
from alliance_stats.tables.save import finished
from alliance_stats.tables.styles import Style, StyleName, style_named, unmarked
from alliance_stats.tables.value import Format, Table

MEANINGS = {
    "to the digit": "the rerun rounds to the printed value", "within rounding": "reachable from inputs rounded as printed",
    "inside published interval": "inside the interval that was printed", "same direction": "of the same sign or significance",
    "differs": "none of these", "not recoverable": "cannot be computed from these data",
}  # fmt: skip
QUANTITIES = {"p_value": "p-value", "std_error": "standard error"}
SIMULATED = "Simulated data check the code, never the paper: they say nothing about patients."


class Rerun(Protocol):
    """What this table needs of a ``Run``."""

    study: Any

    def comparison(self) -> pd.DataFrame:
        """One row a printed number."""

    def label(self, name: str) -> str:
        """The name in print."""


def replication_table(
    run: Rerun, *, sources: bool = False, to: Format | None = None, style: StyleName = "apa", title: str = "",
    number: int | None = 1,
) -> Any:  # fmt: skip
    """Every number that a paper prints, beside that of the rerun, with the verdict.

    Parameters
    ----------
    run : a study that was run, ``al.studies["fuentes2014"].run()``.
    sources : a column that says where each number is printed.
    to, style, title, number : as for ``table``.

    The numbers and verdicts are those of ``run.comparison()``; where data were simulated, a column has the truth behind them.
    Raises AllianceError where the study has no printed numbers.

    >>> from alliance_stats import studies
    >>> made = replication_table(studies["fuentes2014"].run())
    >>> made.body[["", "printed", "rerun"]].iloc[1].tolist()
    ['AL', '18.3 [14.3, 20.3]', '18.3']
    """
    house, found = style_named(style), run.comparison()
    if found.empty:
        raise AllianceError(f"replication_table: study '{run.study.key}' declares no printed numbers")
    groups = [_group(run, str(name)) for name in found["analysis"]]
    place = {name: i for i, name in enumerate(dict.fromkeys(groups))}
    found = found.assign(group=groups).sort_values("group", key=lambda names: names.map(place), kind="stable")
    simulated = bool(found["truth"].notna().any())
    rows = [_row(row, house, simulated, sources) for row in found.itertuples(index=False)]
    names = ["", "quantity", "printed", "rerun", *["truth"] * simulated, "verdict", *["source"] * sources]
    heads = ("Term", *(name.capitalize() for name in names[1:]))
    cells = pd.DataFrame(rows, columns=pd.Index(names), dtype=object)
    name = unmarked(title) or f"Published and rerun: {unmarked(run.study.title)}"
    made = Table(
        cells,
        heads,
        groups=tuple(found["group"]),
        notes=_notes(found, simulated),
        title=name,
        number=number,
        style=style,
    )
    return finished(made, to)


def printed_text(row: Any, style: Style) -> str:
    """What a paper prints, of a row of ``Run.comparison()``: a number with its interval, or what is said instead."""
    if row.kind in ("significant", "not significant"):
        return str(row.kind)
    if pd.isna(row.printed):
        return "not public" if row.kind == "not recoverable" else "not printed"
    if row.kind == "direction":
        return "positive" if row.printed > 0 else "negative"
    decimals = int(row.decimals)
    if row.column == "p_value":
        return f"{style.symbol('p')} = {style.bounded(row.printed, decimals)}"
    text = fixed(row.printed, decimals)
    if pd.isna(row.printed_low):
        return text
    return f"{text} {style.interval(fixed(row.printed_low, decimals), fixed(row.printed_high, decimals))}"


def rerun_text(row: Any, style: Style) -> str:
    """What the rerun gives, in the decimals of the print."""
    if row.column == "p_value" and not pd.isna(row.rerun):
        return style.p_clause(float(row.rerun))
    return _number(row, row.rerun)


def truth_text(row: Any) -> str:
    """The truth behind simulated data: of the effect, where a p-value is compared."""
    return number(row.truth) if row.column == "p_value" else _number(row, row.truth)


def _group(run: Rerun, name: str) -> str:
    if name == "data":
        return "Participants"
    return unmarked(": ".join(run.label(part) for part in name.split("/")))


def _row(row: Any, style: Style, simulated: bool, sources: bool) -> list[str]:
    return [
        unmarked(capital(readable(str(row.term)) or "model")), QUANTITIES.get(row.column, readable(str(row.column))),
        printed_text(row, style), rerun_text(row, style), *([truth_text(row)] if simulated else []), str(row.verdict),
        *([unmarked(str(row.source))] if sources else []),
    ]  # fmt: skip


def _number(row: Any, value: Any) -> str:
    if pd.isna(value):
        return ""
    if row.column == "n" or (row.kind == "size" and float(value).is_integer()):
        return whole(value)
    return fixed(value, int(row.decimals)) if row.kind == "value" else number(value)


def _notes(found: pd.DataFrame, simulated: bool) -> tuple[str, ...]:
    verdicts = Counter(map(str, found["verdict"]))
    counts = "; ".join(f"{verdict}: {n}" for verdict, n in verdicts.items())
    meanings = "; ".join(f"{name}: {MEANINGS[name]}" for name in verdicts if name in MEANINGS)
    evidence = "; ".join(dict.fromkeys(str(level) for level in found["evidence"]))
    notes = [
        f"Evidence: {evidence}.",
        SIMULATED if simulated else "",
        f"Verdicts: {counts}.",
        f"{meanings.capitalize()}." if meanings else "",
    ]
    return tuple(unmarked(text) for text in [*notes, *_remarks(found)] if text)


def _remarks(found: pd.DataFrame) -> Iterator[str]:
    """The remarks of the targets, each once in a block, with the terms that it is on."""
    for group, rows in found[found["note"] != ""].groupby("group", sort=False):
        having: dict[str, list[str]] = {}
        for row in rows.itertuples(index=False):
            having.setdefault(str(row.note), []).append(readable(str(row.term)))
        texts = "; ".join(f"{', '.join(dict.fromkeys(terms))}: {note}" for note, terms in having.items())
        yield f"{group} – {texts}."
