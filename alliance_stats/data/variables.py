"""The declaration of a variable, from which the schema and the codebook both come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from alliance_stats.errors import DataError

Kind = Literal["identifier", "level", "number", "date"]


@dataclass(frozen=True)
class Variable:
    """One column of a study's data: what it means and which values it may hold.

    A variable with `levels` is categorical text; one with `identifier`, and a key without `levels`, `range` and
    `integer`, is an identifier (text or number, kept as it comes); everything else is a number.

    Parameters
    ----------
    name : str
        The column's name.
    meaning : str
        What was measured, in words; printed in the codebook.
    key : bool
        Whether the column, with the other keys, identifies a row. A key is never missing.
    range : (float, float), optional
        The smallest and the largest possible value, both allowed, in `unit`; infinity leaves an end open.
    levels : tuple of str, optional
        The allowed categories, in the order in which they are to be shown.
    unit : str
        Unit of measurement, such as "points" or "weeks".
    optional : bool
        Whether the whole column may be absent.
    integer : bool
        Whether only whole numbers are allowed.
    missing : bool
        Whether single values may be missing.
    identifier : bool
        Whether it names something, such as a therapist, without identifying the row.
    labels : mapping, optional
        What codes mean, for the codebook: ``{1: "never", 7: "always"}``; not every value needs a label.
    missing_codes : mapping, optional
        Codes that stand for no value and why there is none: ``{-9: "refused"}``. `check` makes them missing and counts them.
    date : bool
        Whether it holds dates: datetimes, or text such as 2024-03-31.
    not_before : str
        Another column, number or date as this one, that no value of the same row may lie before: the first treatment, say,
        for the date of an alliance rating.

    Raises
    ------
    DataError
        If the declaration contradicts itself.

    Examples
    --------
    >>> Variable("pain", "average pain of the last week", range=(0, 10), unit="points").kind
    'number'
    >>> Variable("arm", "randomised treatment", levels=("exercise", "advice")).kind
    'level'
    >>> Variable("patient", "pseudonym", key=True).required
    True
    """

    name: str
    meaning: str
    key: bool = False
    range: tuple[float, float] | None = None
    levels: tuple[str, ...] | None = None
    unit: str = ""
    optional: bool = False
    integer: bool = False
    missing: bool = True
    identifier: bool = False
    labels: Mapping[int | float | str, str] = field(default_factory=dict, hash=False)
    missing_codes: Mapping[int | float | str, str] = field(default_factory=dict, hash=False)
    date: bool = False
    not_before: str = ""

    def __post_init__(self) -> None:
        fault = (
            _range_fault(self)
            or _levels_fault(self)
            or _identifier_fault(self)
            or _codes_fault(self)
            or _date_fault(self)
        )
        if fault:
            raise DataError(f"variable {self.name!r}: {fault}")

    @property
    def kind(self) -> Kind:
        """How the column is read: "identifier", "level", "number" or "date"."""
        if self.date:
            return "date"
        if self.levels is not None:
            return "level"
        if self.identifier or (self.key and self.range is None and not self.integer):
            return "identifier"
        return "number"

    @property
    def required(self) -> bool:
        """Whether every row must hold a value."""
        return self.key or not self.missing


def _range_fault(variable: Variable) -> str:
    if variable.range is None:
        return ""
    low, high = variable.range
    if not low <= high:
        return f"range={variable.range} has no value in it; give (smallest, largest)"
    return ""


def _levels_fault(variable: Variable) -> str:
    levels = variable.levels
    if levels is None:
        return ""
    if not isinstance(levels, tuple) or not levels or not all(isinstance(level, str) for level in levels):
        return f'levels={levels!r} is not a tuple of texts; give levels=("first", "second")'
    if variable.range is not None or variable.integer:
        return "levels= makes it categorical, so range= and integer= cannot be given too"
    if any(level != level.strip() or not level for level in levels):
        return f"levels={levels!r} hold an empty text or stray spaces, which no checked value can equal"
    repeated = [level for level, count in Counter(levels).items() if count > 1]
    return f"levels= names {', '.join(map(repr, repeated))} more than once" if repeated else ""


def _identifier_fault(variable: Variable) -> str:
    if variable.identifier and (variable.levels is not None or variable.range is not None or variable.integer):
        return "identifier= keeps values as they come, so levels=, range= and integer= cannot be given too"
    return ""


def _date_fault(variable: Variable) -> str:
    if variable.date and (variable.levels is not None or variable.range is not None or variable.integer):
        return "date= reads days and times, so levels=, range= and integer= cannot be given too"
    if variable.not_before and variable.kind not in ("number", "date"):
        return f"not_before={variable.not_before!r} compares numbers or dates; this one is read as {variable.kind}"
    if variable.not_before == variable.name:
        return "not_before= names the variable itself; name the column that comes first"
    return ""


def _codes_fault(variable: Variable) -> str:
    for name in ("labels", "missing_codes"):
        codes = getattr(variable, name)
        if not isinstance(codes, Mapping) or not all(isinstance(text, str) for text in codes.values()):
            return f'{name}={codes!r} is not a mapping from codes to texts; give {name}={{1: "never"}}'
        if variable.kind == "number" and any(isinstance(code, (str, bool)) for code in codes):
            return f"{name}= names text among its codes, but the variable holds numbers"
    if variable.levels is not None and variable.labels:
        return "levels= are texts that say what they mean, so labels= cannot be given too"
    wrong = [code for code in variable.missing_codes if variable.levels is not None and code in variable.levels]
    if wrong:
        return f"{', '.join(map(repr, wrong))} cannot be both a level and a missing code"
    repeated = [text for text, count in Counter(variable.labels.values()).items() if count > 1]
    return f"labels= use {', '.join(map(repr, repeated))} for more than one code" if repeated else ""


def bounds_in_words(low: float, high: float) -> str:
    """ "0 to 10", "0 or more" or "at most 10"."""
    if high == float("inf"):
        return f"{low:.15g} or more" if low > float("-inf") else "any number"
    return f"{low:.15g} to {high:.15g}" if low > float("-inf") else f"at most {high:.15g}"


def check_declarations(variables: Sequence[Variable]) -> None:
    """Refuse a list in which a name is declared twice, or `not_before` names no variable of the same kind (DataError)."""
    names = Counter(variable.name for variable in variables)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        raise DataError(f"variables declared more than once: {', '.join(map(repr, repeated))}")
    kinds = {variable.name: variable.kind for variable in variables}
    for variable in variables:
        if variable.not_before and kinds.get(variable.not_before) != variable.kind:
            found = kinds.get(variable.not_before, "not declared")
            raise DataError(
                f"variable {variable.name!r}: not_before={variable.not_before!r} is {found}; declare it as {variable.kind} too"
            )
