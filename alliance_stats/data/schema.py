"""Checking a frame against its declared variables: every violation at once, in one error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from alliance_stats.data.declared_missing import without_missing_codes
from alliance_stats.data.messages import ABSENT, DOUBLED, EARLY, Violation, message
from alliance_stats.data.names import refuse_doubles
from alliance_stats.data.parsing import key_table, rules, typed
from alliance_stats.data.variables import Variable, check_declarations
from alliance_stats.errors import DataError

if TYPE_CHECKING:
    from pandera.errors import SchemaErrors


def check(frame: pd.DataFrame, variables: Sequence[Variable]) -> pd.DataFrame:
    """A frame's copy in the declared types, or one error that lists everything that is wrong with it.

    Parameters
    ----------
    frame : DataFrame
        As `read_table` returns it, or made by hand.
    variables : sequence of Variable
        The declarations; columns that are not declared are kept as they are.

    Returns
    -------
    DataFrame
        The same rows and columns. Levels are categorical (unordered, categories in the declared order);
        numbers float64, or int64 where `integer` is declared and none is missing; identifiers as they came, text
        without stray spaces. Declared missing codes are missing values; they are counted in
        ``attrs["notes"]`` and listed by `missing_codes`.

    Raises
    ------
    DataError
        One line for each column and broken rule, with the first ten rows and their values. Rows are counted
        from 1 for the first row of the frame, which is the first under the file's header.

    Examples
    --------
    >>> variables = [Variable("patient", "pseudonym", key=True), Variable("pain", "pain", range=(0, 10))]
    >>> check(pd.DataFrame({"patient": ["A", "B "], "pain": ["3", "4.5"]}), variables)
      patient  pain
    0       A   3.0
    1       B   4.5
    >>> check(pd.DataFrame({"patient": ["A", "A"], "pain": [3, 12]}), variables)
    Traceback (most recent call last):
    alliance_stats.errors.DataError: 2 rules are broken (row 1 is the first row under the header):
    - column 'pain': not in the range 0 to 10, row 2: 12
    - key 'patient': occurs more than once: 'A' in rows 1, 2
    """
    check_declarations(variables)
    refuse_doubles([str(name) for name in frame.columns], "rename them before checking")
    frame = without_missing_codes(frame, variables)
    found = violations(frame, variables)
    if found:
        raise DataError(message(found, frame, variables))
    checked = frame.copy()
    for variable in variables:
        if variable.name in frame.columns:
            checked[variable.name] = typed(frame[variable.name], variable)
    return checked


def violations(frame: pd.DataFrame, variables: Sequence[Variable]) -> list[Violation]:
    """Every broken rule, in the order of the declarations; doubled keys come last."""
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    declared = [variable.name for variable in variables if variable.name in frame.columns]
    numbered = frame[declared].set_axis(pd.RangeIndex(1, len(frame) + 1), axis="index")
    # A user's PANDERA_VALIDATION_ENABLED=False is meant for other programs; here it would let errors pass.
    with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
        try:
            _schema(variables).validate(numbered, lazy=True)
        except SchemaErrors as errors:
            found = _violations_of(errors)
        else:
            found = []
    return sorted([*found, *_too_early(frame, variables)], key=_order(variables))


def _too_early(frame: pd.DataFrame, variables: Sequence[Variable]) -> list[Violation]:
    """Values that lie before those of the column which comes first; missing ones break no such rule."""
    by_name, found = {variable.name: variable for variable in variables}, []
    for variable in variables:
        if variable.not_before and {variable.name, variable.not_before} <= set(frame.columns):
            own, first = (typed(frame[v.name], v) for v in (variable, by_name[variable.not_before]))
            rows = tuple(int(row) + 1 for row in (own.to_numpy() < first.to_numpy()).nonzero()[0])
            found += [Violation(variable.name, EARLY, rows)] if rows else []
    return found


def _schema(variables: Sequence[Variable]) -> Any:
    from pandera.pandas import Check, Column, DataFrameSchema

    columns = {
        variable.name: Column(
            checks=[Check(rule, name=name, ignore_na=False) for name, rule in rules(variable).items()],
            nullable=True,
            required=not variable.optional,
        )
        for variable in variables
    }
    unique = Check(lambda table: _unique(table, variables), name=DOUBLED, ignore_na=False)
    return DataFrameSchema(columns, checks=unique)


def _unique(frame: pd.DataFrame, variables: Sequence[Variable]) -> pd.Series:
    """False in rows whose complete key occurs more than once; an incomplete key breaks a rule of its own."""
    keys = key_table(frame, variables)
    if keys.empty:
        return pd.Series(True, index=frame.index)
    return ~keys.duplicated(keep=False) | keys.isna().any(axis="columns")


def _violations_of(errors: SchemaErrors) -> list[Violation]:
    cases = errors.failure_cases
    absent = cases[cases["check"] == ABSENT]
    broken = cases[cases["check"] != ABSENT]
    if broken["index"].isna().any():  # a rule that failed to run, which is no finding about the data
        raise errors
    found = [Violation(str(name), ABSENT) for name in absent["failure_case"]]
    in_frame = broken["check"] == DOUBLED
    if in_frame.any():
        found.append(Violation("", DOUBLED, _rows(broken[in_frame])))
    for (column, rule), group in broken[~in_frame].groupby(["column", "check"], sort=False):
        found.append(Violation(str(column), str(rule), _rows(group)))
    return found


def _rows(cases: pd.DataFrame) -> tuple[int, ...]:
    return tuple(sorted({int(row) for row in cases["index"]}))


def _order(variables: Sequence[Variable]) -> Any:
    places = {
        (variable.name, rule): (place, step)
        for place, variable in enumerate(variables)
        for step, rule in enumerate([ABSENT, *rules(variable), EARLY])
    }
    last = (len(variables), 0)
    return lambda violation: places.get((violation.column, violation.rule), last)
