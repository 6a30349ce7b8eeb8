"""Means, standard deviations and correlations in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.render.labels import capital, readable
from alliance_stats.render.numbers import fixed
from alliance_stats.tables.correlation_numbers import correlations, spreads
from alliance_stats.tables.save import finished
from alliance_stats.tables.styles import Style, StyleName, style_named, unmarked
from alliance_stats.tables.value import Format, Table

Missing = Literal["pairwise", "listwise"]


def correlation_table(
    frame: pd.DataFrame, variables: Sequence[str], by: str | None = None, *, within: str | None = None,
    missing: Missing = "pairwise", intervals: bool = False, level: float = 0.95, labels: Mapping[str, str] | None = None,
    to: Format | None = None, style: StyleName = "apa", title: str = "", number: int | None = 1,
) -> Any:  # fmt: skip
    """Means, SDs and Pearson correlations, in one block or by group.

    Parameters
    ----------
    frame : one row a patient; with ``within``, one row a session.
    variables : two columns of numbers or more, in the order of print.
    by : a column whose groups make blocks of their own.
    within : the column of the patient, where patients have several rows. Then the correlations below the diagonal are those
        within patients, and those above it between the patients' means. Rows of one patient are not independent: a single
        correlation of all rows would mix the two, which may differ in sign.
    missing : ``"pairwise"`` (rows complete in the two variables) or ``"listwise"`` (in all).
    intervals : intervals at ``level`` below the correlations, by Fisher's z.
    labels : names of variables for people.
    to, style, title, number : as for ``table``.

    Raises DataError where columns are absent, not numeric or fewer than two, and, without ``within``, where the frame has a
    column ``patient`` that repeats. Sources: ``correlations``.

    >>> frame = pd.DataFrame({"bond": [1.0, 2, 3, 4], "pain": [8.0, 6, 7, 3]})
    >>> correlation_table(frame, ["bond", "pain"]).body.to_numpy().tolist()
    [['1. Bond', '4', '2.50', '1.29', '—', ''], ['2. Pain', '4', '6.00', '2.16', '−.84', '—']]
    """
    house, labels = style_named(style), dict(labels or {})
    known, lost = _checked(frame, variables, by, within, missing)
    blocks = (
        [("", known)] if by is None else [(str(g), rows) for g, rows in known.groupby(by, observed=True, sort=True)]
    )
    rows: list[list[str]] = []
    sizes: list[int] = []
    for _, here in blocks:
        found = correlations(here, variables, within, level)
        sizes += found["n"].tolist()
        rows += _rows(spreads(here, variables, within), found, labels, house, intervals, within is not None)
    names = ["M", "SD within", "SD between"] if within else ["M", "SD"]
    heads = [
        "Variable",
        house.symbol("n"),
        *(_head(name, house) for name in names),
        *map(str, range(1, len(variables) + 1)),
    ]
    columns = ["", "n", *names, *(f"r{i}" for i in range(1, len(variables) + 1))]
    groups = tuple(unmarked(f"{capital(readable(by))}: {g}") for g, _ in blocks for _ in variables) if by else ()
    cells = pd.DataFrame(rows, columns=pd.Index(columns), dtype=object)
    notes = _notes(house, within, missing, sizes, lost, by, intervals, level)
    name = unmarked(title) or "Means, standard deviations and correlations"
    return finished(Table(cells, tuple(heads), groups=groups, notes=notes, title=name, number=number, style=style), to)


def _checked(
    frame: pd.DataFrame, variables: Sequence[str], by: str | None, within: str | None, missing: str
) -> tuple[pd.DataFrame, int]:
    """The rows to use, and how many were left out of all correlations."""
    if isinstance(variables, str) or len(set(variables)) != len(variables) or len(variables) < 2:
        raise DataError(f"correlation_table: variables is {variables!r}; give two different columns or more")
    if missing not in ("pairwise", "listwise"):
        raise DataError(f"correlation_table: missing is {missing!r}; use 'pairwise' or 'listwise'")
    others = [name for name in (by, within) if name]
    require_columns(frame.columns, [*variables, *others], "correlation_table")
    for name in variables:
        column = frame[name]
        if not pd.api.types.is_numeric_dtype(column) or np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).any():
            raise DataError(f"correlation_table: column {name!r} does not hold finite numbers only")
    if within is None and "patient" in frame and frame["patient"].duplicated().any():
        raise DataError(
            "correlation_table: patients have several rows, which are not independent; say within='patient', or give one row "
            "a patient"
        )
    known = frame.dropna(subset=[*others, *(variables if missing == "listwise" else ())])
    return known, len(frame) - len(known)


def _head(name: str, style: Style) -> str:
    if name == "M":
        return capital(style.summary("M"))
    symbol, _, level = name.partition(" ")
    return style.symbol(symbol) + (f"\n{level}" if level else "")


def _rows(
    spread: pd.DataFrame, found: pd.DataFrame, labels: Mapping[str, str], style: Style, intervals: bool, nested: bool
) -> list[list[str]]:
    names = spread["variable"].tolist()
    cells = {(row.kind, row.first, row.second): _cell(row, style, intervals) for row in found.itertuples(index=False)}
    below, above = ("within", "between") if nested else ("total", "")
    rows = []
    for i, row in enumerate(spread.to_dict("records")):
        name = str(row["variable"])
        label = unmarked(labels.get(name) or readable(name))
        sds = [row["sd_within"], row["sd_between"]] if nested else [row["sd"]]
        line = [f"{i + 1}. {capital(label)}", f"{row['n']:d}", *(fixed(v) for v in (row["mean"], *sds))]
        line += [cells[below, names[j], names[i]] for j in range(i)] + ["—"]
        rows.append(line + [cells.get((above, names[i], names[j]), "") for j in range(i + 1, len(names))])
    return rows


def _cell(row: Any, style: Style, intervals: bool) -> str:
    text = style.bounded(row.r) or "n/a"
    if not intervals or not np.isfinite(row.conf_low):
        return text
    return f"{text}\n{style.interval(style.bounded(row.conf_low), style.bounded(row.conf_high))}"


def _notes(
    style: Style,
    within: str | None,
    missing: str,
    sizes: Sequence[int],
    lost: int,
    by: str | None,
    intervals: bool,
    level: float,
) -> tuple[str, ...]:
    short = ({"M": "mean"} if "M" in style.italics else {}) | {"SD": "standard deviation"}
    least, most = min(sizes), max(sizes)
    count = f"{least}" if least == most else f"{least} to {most}"
    unit = "sessions" if within else "patients"
    found = [style.abbreviations(short), f"Pearson correlations, {missing} complete: {count} {unit} each."]
    if within:
        found.append(
            f"Below the diagonal: within the {readable(within)}, of deviations from the own mean. Above: between, of the "
            "means, weighted by their number of sessions."
        )
    if intervals:
        found.append(f"Intervals: {100 * level:g}%, by Fisher's transformation.")
    if lost:
        why = " or ".join(
            [*(["missing values"] if missing == "listwise" else []), *([f"no {readable(by)}"] if by else [])]
        )
        found.append(f"{lost} {'rows' if lost > 1 else 'row'} left out{f' for {why}' if why else ''}.")
    return tuple(text for text in found if text)
