"""Who the patients are, by arm: the first table of a trial's report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.render.labels import capital, readable
from alliance_stats.render.numbers import fixed
from alliance_stats.tables.baseline_numbers import differences, is_categorical, summaries
from alliance_stats.tables.save import finished
from alliance_stats.tables.styles import MEANINGS, Style, StyleName, style_named, unmarked
from alliance_stats.tables.value import INDENT, Format, Table

ALL = "All"
NO_P = (
    "No p-values: under randomisation every difference at baseline is due to chance, and elsewhere a p-value mixes the size of "
    "a difference with the number of patients."
)


def baseline_table(
    frame: pd.DataFrame, variables: Sequence[str], by: str | None = None, *, median: Collection[str] = (),
    categorical: Collection[str] = (), total: bool = True, intervals: bool = False, level: float = 0.95,
    labels: Mapping[str, str] | None = None, decimals: int = 1, patient: str | None = "patient", to: Format | None = None,
    style: StyleName = "apa", title: str = "", number: int | None = 1,
) -> Any:  # fmt: skip
    """Characteristics of patients by arm, with standardised differences.

    Parameters
    ----------
    frame : one row a patient.
    variables : columns in the order of print; numbers have mean (SD), text, categories and true/false n (%) of every level.
    by : the column of the groups; without it all patients together.
    median : columns of numbers with median [first quartile, third quartile] instead, such as skewed ones.
    categorical : columns of numbers that are codes.
    total : a column of all patients, too.
    intervals : intervals of the standardised differences at ``level``.
    labels : names of variables for people.
    decimals : of means, SDs, medians and quartiles.
    patient : the column that must not repeat, where the frame has it.
    to, style, title, number : as for ``table``.

    Percentages are of the patients whose value is known; a row says how many are missing. Patients without a group are left out
    and counted in a note. The standardised difference is that of means in the average SD, or of shares; medians have it, too,
    from the means. With three groups or more it is the largest of two groups, without a sign.

    There are no p-values: under randomisation they answer no question (Senn 1994, doi 10.1002/sim.4780131703).

    Raises DataError where columns are absent, a patient has two rows, or a column holds dates or infinite numbers. Source of
    the differences: Austin 2009, doi 10.1002/sim.3697.

    >>> frame = pd.DataFrame({"arm": ["GE", "GE", "MCE", "MCE"], "age": [30.0, 40, 50, 60], "sex": ["f", "m", "f", None]})
    >>> baseline_table(frame, ["age", "sex"], by="arm", total=False).body.iloc[[0, 2, 4], 1:].to_numpy().tolist()
    [['35.0 (7.1)', '55.0 (7.1)', '−2.83'], ['1 (50)', '1 (100)', '−1.41'], ['0', '1', '']]
    """
    house, labels = style_named(style), dict(labels or {})
    known, lost = _checked(frame, variables, by, [*median, *categorical], patient)
    groups = _groups(known, by)
    arms = groups[1:]
    numbers = summaries(known, variables, groups, categorical)
    compared = differences(known, variables, arms, categorical, level) if len(arms) > 1 else None
    shown = groups if total or not arms else arms
    rows: list[list[str]] = []
    for name in variables:
        several = is_categorical(known[name], name in categorical)
        one = numbers[numbers["variable"] == name]
        what = _what(name in median, several, house)
        rows += _rows(
            one,
            compared,
            [g for g, _ in shown],
            labels.get(name) or capital(readable(name)),
            what,
            decimals,
            house,
            intervals,
        )
    heads = ["", *(f"{unmarked(g)}\n({house.symbol('n')} = {int(here.sum())})" for g, here in shown)]
    if compared is not None:
        heads.append("Standardised\ndifference")
    columns = ["", *(g for g, _ in shown), *(["difference"] if compared is not None else [])]
    notes = _notes(house, numbers, lost, compared, len(arms), median, intervals, level)
    cells = pd.DataFrame(rows, columns=pd.Index(columns), dtype=object)
    name = unmarked(title) or f"Characteristics of the patients{f' by {readable(by)}' if by else ''}"
    return finished(Table(cells, tuple(heads), notes=notes, title=name, number=number, style=style), to)


def _checked(
    frame: pd.DataFrame, variables: Sequence[str], by: str | None, named: Sequence[str], patient: str | None
) -> tuple[pd.DataFrame, int]:
    """The rows with a group, and how many have none."""
    if isinstance(variables, str) or not len(variables):
        raise DataError(f'baseline_table: variables is {variables!r}; give a list of columns, such as ["age", "sex"]')
    require_columns(frame.columns, [*variables, *([by] if by else [])], "baseline_table")
    require_columns(variables, named, "baseline_table: median= and categorical=")
    if by in variables:
        raise DataError(f"baseline_table: {by!r} is both the group and a variable; leave it out of variables")
    if patient in frame and frame[patient].duplicated().any():
        n = int(frame[patient].duplicated().sum())
        raise DataError(
            f"baseline_table: {n} rows repeat a {patient}; give one row a patient, such as the first session's"
        )
    if by is None:
        return frame, 0
    known = frame[frame[by].notna()]
    if known.empty:
        raise DataError(f"baseline_table: no row has a value of {by!r}")
    return known, len(frame) - len(known)


def _groups(frame: pd.DataFrame, by: str | None) -> list[tuple[str, np.ndarray]]:
    found = [(ALL, np.ones(len(frame), dtype=bool))]
    if by is None:
        return found
    coded = frame[by].astype("category")
    arms = [(str(level), (coded == level).to_numpy(dtype=bool)) for level in coded.cat.categories]
    return found + [(name, here) for name, here in arms if here.any()]


def _what(median: bool, several: bool, style: Style) -> str:
    if several:
        return f"{style.symbol('n')} (%)"
    return f"{style.summary('Mdn')} [IQR]" if median else f"{style.summary('M')} ({style.symbol('SD')})"


def _rows(
    numbers: pd.DataFrame, compared: pd.DataFrame | None, groups: Sequence[str], label: str, what: str, decimals: int,
    style: Style, intervals: bool,
) -> list[list[str]]:  # fmt: skip
    """The rows of one variable: its numbers, or a heading and its levels; then the missing, where there are any."""
    name, extra = str(numbers["variable"].iloc[0]), [""] * (compared is not None)
    by_group = {level: rows.set_index("group") for level, rows in numbers.groupby("level", sort=False)}
    levels = list(by_group)
    found = []
    if levels != [""]:
        found.append([f"{unmarked(label)}, {what}", *[""] * len(groups), *extra])
    for level in levels:
        text = f"{INDENT}{unmarked(str(level))}" if level else f"{unmarked(label)}, {what}"
        cells = [_cell(by_group[level].loc[group], what, decimals) for group in groups]
        found.append(
            [text, *cells, *(_difference(compared, name, str(level), style, intervals) if compared is not None else [])]
        )
    missing = by_group[levels[0]].loc[list(groups), "missing"]
    if missing.any():
        found.append([f"{INDENT}Missing, {style.symbol('n')}", *(f"{n:d}" for n in missing), *extra])
    return found


def _cell(row: Any, what: str, decimals: int) -> str:
    if what.endswith("(%)"):
        return f"{row['count']:.0f} ({100 * row['share']:.0f})" if row["n"] else "0"
    if not row["n"]:
        return "—"
    if what.endswith("[IQR]"):
        low, high = fixed(row["q1"], decimals), fixed(row["q3"], decimals)
        return f"{fixed(row['median'], decimals)} [{low}, {high}]"
    spread = fixed(row["sd"], decimals) or "—"
    return f"{fixed(row['mean'], decimals)} ({spread})"


def _difference(compared: pd.DataFrame, name: str, level: str, style: Style, intervals: bool) -> list[str]:
    """The difference of two groups, or the largest without its sign."""
    rows = compared[(compared["variable"] == name) & (compared["level"] == level)]
    if len(rows) > 1:
        known = rows["difference"].abs()
        return [fixed(float(known.max())) if known.notna().any() else "—"]
    row = rows.iloc[0]
    text = fixed(float(row["difference"])) or "—"
    if not intervals or not np.isfinite(row["conf_low"]):
        return [text]
    return [f"{text}\n{style.interval(fixed(float(row['conf_low'])), fixed(float(row['conf_high'])))}"]


def _notes(
    style: Style, numbers: pd.DataFrame, lost: int, compared: pd.DataFrame | None, arms: int, median: Collection[str],
    intervals: bool, level: float,
) -> tuple[str, ...]:  # fmt: skip
    spoken = {
        symbol: word for symbol, word in MEANINGS.items() if symbol in style.italics and (symbol != "Mdn" or median)
    }
    short = spoken | ({"SD": "standard deviation"} if (numbers["level"] == "").any() else {})
    short |= {"IQR": "first and third quartile"} if median else {}
    short |= {"CI": "confidence interval"} if intervals and arms == 2 else {}
    found = [style.abbreviations(short)]
    if (numbers["level"] != "").any():
        found.append("Percentages are of the patients whose value is known.")
    if compared is not None:
        pair = f"{unmarked(compared['first'].iloc[0])} less {unmarked(compared['second'].iloc[0])}"
        which = pair if arms == 2 else "the largest of two groups, without its sign"
        ends = f" with {100 * level:g}% CI" if intervals and arms == 2 else ""
        found.append(f"Standardised difference: of means in average SDs, or of shares; {which}{ends}.")
        found.append(NO_P)
    if lost:
        found.append(f"{lost} {'patients' if lost > 1 else 'patient'} without a group left out.")
    return tuple(text for text in found if text)
