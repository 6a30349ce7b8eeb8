"""What a reader is asked and what it answers: the options of `read_table`, and a table with all that the file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pandas as pd

from alliance_stats.errors import DataError

Code = int | float | str
CodeRows = dict[Code, tuple[int, ...]]


@dataclass(frozen=True)
class Options:
    """How to read one file; None where the format's own rule holds."""

    encoding: str | None = None
    decimal: str | None = None
    sheet: str | None = None
    header: int | None = None


@dataclass(frozen=True)
class Imported:
    """One file's table under the file's names.

    ``missing_rows`` holds, by column and user-missing code, the rows that carried it (from 0); ``system_missing`` how many
    cells of a column were missing without a code.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    value_labels: Mapping[str, Mapping[Code, str]] = field(default_factory=dict)
    variable_labels: Mapping[str, str] = field(default_factory=dict)
    missing_rows: Mapping[str, CodeRows] = field(default_factory=dict)
    system_missing: Mapping[str, int] = field(default_factory=dict)


def optional_module(name: str, suffix: str) -> Any:
    """A package of the extra `io`, or a DataError that says how to get it."""
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise DataError(
            f"{suffix} files need the package {package}, which is not installed; run pip install 'alliance_stats[io]'"
        ) from None


def plain_code(value: Any) -> Code:
    """A code as a user would write it: 9 and not 9.0, text without padding."""
    if isinstance(value, str):
        return value.strip()
    number = float(value)
    return int(number) if number.is_integer() else number


def times(count: int) -> str:
    """ "1 time" or "3 times"."""
    return f"{count} time{'s' * (count != 1)}"
