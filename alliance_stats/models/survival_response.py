"""Left-hand sides of survival models: ``Surv(time, event) ~`` and ``Surv(start, stop, event) ~``.

The event is a column of 0 and 1 (or false and true), or a comparison with one value: ``status == 1``, ``status == 'better'``.
Of competing risks it is the column of the statuses itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, FormulaError
from alliance_stats.formula import Formula, is_factor, read_formula
from alliance_stats.formula_syntax import LONGEST
from alliance_stats.models.frames import analysis_frame
from alliance_stats.numerics.survival.risk import settled

NOTHING_YET = ("censored", "continuing")  # statuses without an event, besides 0
EXAMPLE = "e.g. 'Surv(start, stop, dropped)' or 'Surv(time, status == 1)'"
SPECIALS = re.compile(r"\b(strata|cluster|frailty(?:\.\w+)?|tt)\s*\(")
PART = re.compile(r"(?:`[^`]*`|'[^']*'|\"[^\"]*\"|[^,`'\"])+")
COMPARED = re.compile(r"(?P<name>`[^`]+`|[^=`'\"!<>]+?)\s*==\s*(?P<value>'[^']*'|\"[^\"]*\"|[-+\w.]+)")


@dataclass(frozen=True)
class Surv:
    """Columns of a survival outcome; ``value`` is what the event column is compared with, None for a column of 0 and 1."""

    text: str
    start: str | None
    stop: str
    event: str
    value: str | float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read."""
        return (*((self.start,) if self.start else ()), self.stop, self.event)


@dataclass(frozen=True, eq=False)
class Times:
    """Rows of a survival outcome as arrays."""

    start: np.ndarray | None
    stop: np.ndarray
    event: np.ndarray


def read_surv(text: str) -> Surv:
    """Check ``Surv(…)`` and name its columns.

    Raises FormulaError for anything else.

    >>> read_surv("Surv(start, stop, status == 'better')").value
    'better'
    """
    found = re.fullmatch(r"\s*Surv\s*\((?P<inside>.*)\)\s*", text if isinstance(text, str) else "", re.DOTALL)
    if not found:
        raise FormulaError(f"{text!r} is no survival outcome; write {EXAMPLE}")
    parts = [part.strip() for part in PART.findall(found["inside"])]
    if len(parts) not in (2, 3):
        raise FormulaError(f"{text!r}: Surv has {len(parts)} arguments; write {EXAMPLE}")
    compared = COMPARED.fullmatch(parts[-1])
    event = _column(compared["name"].strip() if compared else parts[-1], text)
    times = [_column(part, text) for part in parts[:-1]]
    if len({*times, event}) < len(parts):
        raise FormulaError(f"{text!r}: a column is named twice; times and event are columns of their own")
    value = _value(compared["value"]) if compared else None
    return Surv(" ".join(text.split()), times[0] if len(times) == 2 else None, times[-1], event, value)


def read_survival_formula(text: str) -> tuple[Surv, Formula]:
    """Both sides of ``Surv(…) ~ predictors``; the formula of the predictors names the event column as its outcome.

    Raises FormulaError for a formula that cannot be read, and for R's ``strata()``, ``cluster()`` and ``frailty()``, which are
    arguments of the model here.
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise FormulaError(f"formula: give a text of at most {LONGEST} characters, {EXAMPLE[:-1]} ~ alliance'")
    left, tilde, right = text.partition("~")
    if not tilde:
        raise FormulaError(f"formula {text!r}: write it as 'Surv(time, event) ~ predictors', with one '~'")
    special = SPECIALS.search(right)
    if special:
        name = special[1].partition(".")[0]
        shown = {"frailty": "frailty=('gamma', 'column')"}.get(name, f"{name}='column'")
        hint = "time-varying effects are not fitted" if name == "tt" else f"give the model {shown} instead"
        raise FormulaError(f"formula {text!r}: '{special[1]}()' is not a function of formulas here; {hint}")
    surv = read_surv(left)
    event = surv.event if re.fullmatch(r"[A-Za-z_]\w*", surv.event) else f"`{surv.event}`"
    formula = read_formula(f"{event} ~ {right}")
    for name in surv.columns:
        if name in formula.variables:
            raise FormulaError(f"formula {text!r}: '{name}' is part of the outcome and a predictor, too")
    return surv, replace(formula, text=text)


def survival_frame(
    data: pd.DataFrame, surv: Surv, columns: Iterable[str], labels: Iterable[str], text: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Complete rows of an outcome, predictors and labels, with notes on what was left out and how dropout is defined."""
    frame, notes = analysis_frame(data, [*surv.columns, *columns], list(labels), text)
    definition = data.attrs.get("definition")
    return frame, (*((str(definition),) if definition else ()), *notes)


def survival_times(frame: pd.DataFrame, surv: Surv, *, kinds: bool = False, settle: bool = True) -> Times:
    """Times and events of complete rows; with ``kinds`` the event column stays as it is, for `event_kinds`.

    Times that differ by rounding alone become one; ``settle=False`` leaves that to who counts them.

    Raises DataError, with a count and an example, for times that are no numbers, negative times, intervals without length or
    that run backwards, and events that are not 0 and 1.
    """
    for name in surv.columns[:-1]:
        if is_factor(frame[name]):
            raise DataError(f"{surv.text}: column '{name}' holds {frame[name].dtype} values; times must be numbers")
    start, stop = (None if name is None else frame[name].to_numpy(dtype=float) for name in (surv.start, surv.stop))
    assert stop is not None
    _refuse(frame, stop < 0, f"{surv.text}: '{surv.stop}' is negative", "count time from the start of therapy")
    if start is not None:
        _refuse(
            frame,
            stop < start,
            f"{surv.text}: '{surv.stop}' comes before '{surv.start}'",
            "correct or exchange the two",
        )
    if settle:
        start, stop = settled(start, stop)
    assert stop is not None
    if start is not None:
        _refuse(
            frame, stop == start, f"{surv.text}: '{surv.start}' and '{surv.stop}' are equal, an interval without length",
            "an interval is (start, stop]: leave such rows out or correct them",
        )  # fmt: skip
    return Times(start, stop, np.zeros(len(stop), dtype=int) if kinds else _events(frame[surv.event], surv))


def event_kinds(column: pd.Series[Any], cause: Any, text: str) -> tuple[np.ndarray, tuple[Any, ...]]:
    """0 censored, 1 … for the kinds of event, and the kinds; with ``cause`` that kind is 1 and every other 2.

    Censored are 0, false, ``"censored"`` and ``"continuing"``. Raises DataError for a cause without events.
    """
    whole = pd.api.types.is_float_dtype(column) and (column == column.round()).all()  # 1.0 beside a missing value is 1
    values = (column.astype(int) if whole else column).astype(object)
    none = values.isin([0, *NOTHING_YET]).to_numpy()
    found = tuple(sorted(pd.unique(values[~none]), key=lambda v: (isinstance(v, str), v)))
    if not found:
        raise DataError(f"{text}: no events; every '{column.name}' is censored")
    if cause is None:
        codes = {kind: i + 1 for i, kind in enumerate(found)}
        return values.map(codes).where(~none, 0).to_numpy(dtype=int), found
    if cause not in found:
        raise DataError(
            f"{text}: cause {cause!r} has no events; kinds of event in '{column.name}': {', '.join(map(repr, found))}"
        )
    return np.where(none, 0, np.where(values == cause, 1, 2)), (cause, *(kind for kind in found if kind != cause))


def counted_as_censored(column: pd.Series[Any], surv: Surv, event: np.ndarray) -> tuple[str, ...]:
    """A note where the outcome compares a status with one value, and other kinds of event count as censored."""
    if surv.value is None:
        return ()
    others = column[event == 0].astype(object)
    others = others[~others.isin([0, *NOTHING_YET])].value_counts().sort_index()
    if others.empty:
        return ()
    found = ", ".join(f"{kind} {n}" for kind, n in others.items())
    return (
        f"rows with another '{surv.event}' count as censored: {found}; where these are events of their own, probabilities need "
        "competing risks",
    )


def require_separate(frame: pd.DataFrame, patient: str, times: Times, text: str) -> tuple[str, ...]:
    """DataError where intervals of a patient overlap or go on after an event; a note on gaps between them."""
    start = np.zeros(len(frame)) if times.start is None else times.start
    codes = frame[patient].factorize()[0]
    order = np.lexsort((start, codes))
    same = codes[order][1:] == codes[order][:-1]
    before, after = order[:-1], order[1:]
    overlap = same & (start[after] < times.stop[before])
    gone = same & (times.event[before] > 0)
    for bad, problem, advice in (
        (gone, "an event is followed by more time", "end a patient's intervals at the first event"),
        (overlap, "intervals of one patient overlap", "a patient is at risk once at a time; correct start and stop"),
    ):
        if bad.any():
            at = frame[patient].iloc[before[bad][0]]
            raise DataError(f"{text}: {problem} ({int(bad.sum())} times, first in {patient} {at}); {advice}")
    gaps = int((same & (start[after] > times.stop[before])).sum())
    return (f"{gaps} gaps between intervals of a patient; nobody is at risk in a gap",) if gaps else ()


def _events(column: pd.Series[Any], surv: Surv) -> np.ndarray:
    if surv.value is not None:
        event = _same(column, surv.value)
    else:
        values = np.full(len(column), np.nan) if _is_text(column) else column.to_numpy(dtype=float)
        if not ((values == 0) | (values == 1)).all():
            found = ", ".join(map(str, column.unique()[:5]))
            raise DataError(
                f"{surv.text}: the event '{surv.event}' holds {found}; it must be 1 (event) and 0 (censored), or compared with "
                f"a value: {surv.event} == …"
            )
        event = values == 1
    if not event.any():
        raise DataError(f"{surv.text}: no events in {len(event)} complete rows; there is nothing to estimate")
    return event.astype(int)


def _is_text(column: pd.Series[Any]) -> bool:
    return is_factor(column) and not pd.api.types.is_bool_dtype(column)


def _same(column: pd.Series[Any], value: str | float) -> np.ndarray:
    if isinstance(value, float) and not is_factor(column):
        return np.asarray(column.to_numpy(dtype=float) == value)
    shown = f"{value:g}" if isinstance(value, float) else value
    return np.asarray(column.astype(str) == shown)


def _refuse(frame: pd.DataFrame, bad: np.ndarray, problem: str, advice: str) -> None:
    if bad.any():
        row = frame.index[bad][0]
        raise DataError(f"{problem} in {int(bad.sum())} rows (first: row {row}); {advice}")


def _column(part: str, text: str) -> str:
    name = part[1:-1] if re.fullmatch(r"`[^`]+`", part) else part
    if name == part and not re.fullmatch(r"[^\W\d][\w.]*", part):
        raise FormulaError(f"{text!r}: {part!r} is no column; unusual names stand in `backticks`; write {EXAMPLE}")
    return name


def _value(text: str) -> str | float:
    if text[0] in "'\"":
        return text[1:-1]
    try:
        return float(text)
    except ValueError:
        raise FormulaError(f"{text!r} is compared with the event without quotes; write '{text}'") from None
