"""Which value each missing cell had: refused, not applicable, not reached. Kept beside the frame, in its `attrs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from alliance_stats.data.imported import Code, CodeRows
from alliance_stats.errors import DataError


def attributes(missing_rows: Mapping[str, CodeRows], system_missing: Mapping[str, int]) -> dict[str, Any]:
    """What `frame.attrs` keeps: counts by column and code, and the rows as text, which costs nothing to copy along."""
    return {
        "user_missing": {
            name: {code: len(where) for code, where in codes.items()} for name, codes in missing_rows.items()
        },
        "user_missing_rows": {
            name: {code: " ".join(map(str, where)) for code, where in codes.items()}
            for name, codes in missing_rows.items()
        },
        "system_missing": dict(system_missing),
    }


def missing_codes(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells of a frame that are missing because they held a user-missing code, and which code each held.

    Parameters
    ----------
    frame : DataFrame
        As `read_table` or `check` returned it, or some of its rows and columns, with the row labels it had then.

    Returns
    -------
    DataFrame
        One row for each such cell, in the order of columns, codes and rows: `row` (the row's label, so that
        ``frame.loc[row, column]`` is the cell), `column`, `code` (-9, or ".a" from Stata) and `label` (the code's value
        label, empty where it has none). Cells that were missing without a code (system-missing, empty) are not in
        it; ``frame.attrs["system_missing"]`` counts them.

    Raises
    ------
    DataError
        If one of these cells holds a value, because the rows were numbered anew or missing values were filled.

    Examples
    --------
    >>> from alliance_stats.data.variables import Variable
    >>> from alliance_stats.data.schema import check
    >>> pain = Variable("pain", "pain", range=(0, 10), missing_codes={-9: "refused", 99: "not asked"})
    >>> missing_codes(check(pd.DataFrame({"pain": [3, -9, 99]}), [pain]))
       row column  code      label
    0    1   pain    -9    refused
    1    2   pain    99  not asked
    """
    rows = list(_cells(frame))
    filled = next(((row, name) for row, name, _, _ in rows if not bool(pd.isna(frame[name]).at[row])), None)
    if filled:
        row, name = filled
        raise DataError(
            f"missing_codes: column {name!r}, row label {row} was missing when the frame was read and holds a value now; "
            "the rows were numbered anew or missing values filled: pass the frame as it was read"
        )
    return pd.DataFrame(rows, columns=["row", "column", "code", "label"]).infer_objects()


def _cells(frame: pd.DataFrame) -> Iterator[tuple[int, str, Code, str]]:
    kept: Mapping[str, Mapping[Code, str]] = frame.attrs.get("user_missing_rows", {})
    if kept and not frame.index.is_unique:
        raise DataError("missing_codes: row labels occur more than once; pass the frame as it was read")
    for name, codes in kept.items():
        if name not in frame.columns:
            continue
        labels = frame.attrs.get("value_labels", {}).get(name, {})
        for code, where in codes.items():
            for row in map(int, where.split()):
                if row in frame.index:
                    yield row, name, code, labels.get(code, "")
