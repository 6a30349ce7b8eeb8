"""The words of a failed check: one line for each violation, with rows, values and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.data.parsing import key_table
from alliance_stats.data.variables import Variable, bounds_in_words
from alliance_stats.errors import closest

SHOWN = 10
ABSENT = "column_in_dataframe"  # pandera's name for a required column that is not there
DOUBLED = "duplicated keys"
EARLY = "too early"


@dataclass(frozen=True)
class Violation:
    """One rule broken in one column (or in the keys together), and the rows, counted from 1."""

    column: str
    rule: str
    rows: tuple[int, ...] = ()


def message(found: Sequence[Violation], frame: pd.DataFrame, variables: Sequence[Variable]) -> str:
    """All violations as the text of one error."""
    count = "1 rule is" if len(found) == 1 else f"{len(found)} rules are"
    lines = [f"{count} broken (row 1 is the first row under the header):"]
    lines += [f"- {_line(violation, frame, variables)}" for violation in found]
    if any(violation.rule == ABSENT for violation in found):
        lines.append(f"The table's columns are {', '.join(repr(str(name)) for name in frame.columns)}.")
    return "\n".join(lines)


def _line(violation: Violation, frame: pd.DataFrame, variables: Sequence[Variable]) -> str:
    if violation.rule == ABSENT:
        return _absent_column(violation.column, frame, variables)
    if violation.rule == DOUBLED:
        return _doubled_keys(violation, frame, variables)
    variable = next(variable for variable in variables if variable.name == violation.column)
    what, advice = _words(violation.rule, variable)
    values = "" if violation.rule == "missing" else f": {_values(frame[variable.name], violation.rows)}"
    return f"column {variable.name!r}: {what}, {_rows(violation.rows)}{values}{advice}"


def _words(rule: str, variable: Variable) -> tuple[str, str]:
    """What was found, and what follows the values."""
    if rule == "range" and variable.range is not None:
        bounds = bounds_in_words(*variable.range)
        return f"not in the range {bounds}{' ' * bool(variable.unit)}{variable.unit}", ""
    if rule == "level":
        return "unknown level", f"; allowed are {', '.join(map(repr, variable.levels or ()))}"
    if rule == EARLY:
        return (
            f"before {variable.not_before!r} of the same row",
            f"; correct {variable.name!r} or {variable.not_before!r}",
        )
    return {
        "date": ("no date", "; write dates as 2024-03-31"),
        "missing": ("value missing where every row needs one", ""),
        "decimal comma": ("decimal comma in a number", '; read the file with decimal=","'),
        "text": ("text where a number is expected", ""),
        "infinite": ("infinite value", ""),
        "integer": ("not a whole number", ""),
    }[rule]


def _absent_column(name: str, frame: pd.DataFrame, variables: Sequence[Variable]) -> str:
    declared = {variable.name for variable in variables}
    match = closest(name, [str(column) for column in frame.columns if column not in declared])
    old = match or "its name in the file"
    question = f"did you mean {match!r}? " if match else ""
    return f'column {name!r}: absent; {question}read the file with rename={{"{old}": "{name}"}}'


def _doubled_keys(violation: Violation, frame: pd.DataFrame, variables: Sequence[Variable]) -> str:
    keys = key_table(frame, variables).iloc[[row - 1 for row in violation.rows]]
    rows_of: dict[tuple[object, ...], list[int]] = {}
    for row, key in zip(violation.rows, keys.itertuples(index=False, name=None), strict=True):
        rows_of.setdefault(key, []).append(row)
    shown = [f"{_key(key)} in {_rows(rows)}" for key, rows in list(rows_of.items())[:SHOWN]]
    more = [f"{len(rows_of) - SHOWN} more"] if len(rows_of) > SHOWN else []
    names = ", ".join(repr(str(name)) for name in keys.columns)
    return f"key {names}: occurs more than once: {'; '.join(shown + more)}"


def _key(values: Sequence[object]) -> str:
    shown = ", ".join(_value(value) for value in values)
    return shown if len(values) == 1 else f"({shown})"


def _rows(rows: Sequence[int]) -> str:
    shown = ", ".join(str(row) for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row{'s' * (len(rows) > 1)} {shown}{more}"


def _values(column: pd.Series, rows: Sequence[int]) -> str:
    """The different values in the rows shown, in the order in which they come."""
    values = column.iloc[[row - 1 for row in rows[:SHOWN]]]
    return ", ".join(dict.fromkeys(_value(value) for value in values))


def _value(value: object) -> str:
    """Text in quotes, numbers without the trimmings of their type."""
    if isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, (int, float, np.integer, np.floating)):
        number = float(value)
        return str(int(value)) if number.is_integer() else str(number)
    return repr(str(value))
