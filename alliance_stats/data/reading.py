"""From an exported file to a frame: `read_table` chooses the reader by suffix and gives columns the study's names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from alliance_stats.data.delimited import read_csv, read_tsv
from alliance_stats.data.names import plain_names, renamed
from alliance_stats.errors import DataError, closest

# A reader takes (path, encoding, decimal) and returns the table under the file's names, and notes.
Reader = Callable[[Path, str | None, str | None], tuple[pd.DataFrame, list[str]]]

READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
}


def read_table(
    path: str | os.PathLike[str],
    *,
    rename: Mapping[str, str] | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
) -> pd.DataFrame:
    """Read a table that another program exported; the file is only ever read.

    Columns in which every observed value is a number become numbers, the others stay text. Nothing is
    guessed: a wrong encoding, a decimal comma, a ragged line is an error that says what to pass or to mend.

    Parameters
    ----------
    path : str or path
        The file; its suffix tells the format (.csv with commas, semicolons or tabs; .tsv with tabs).
    rename : mapping, optional
        The file's column names and the study's: ``{"ID": "patient"}``.
    encoding : str, optional
        The text's encoding where it is not UTF-8, such as "cp1252" or "utf-16".
    decimal : {".", ","}, optional
        The decimal mark. Without it, numbers with commas are refused; "." keeps such columns as text.

    Returns
    -------
    DataFrame
        One row for each row of the file, numbered from 0. ``frame.attrs["notes"]`` is a tuple of sentences
        (under the file's names) on what was read as missing ("", "NA", "N/A", ".", …, with counts), kept as
        text though it looks like a number, left without a name, or left out as an empty last row.

    Raises
    ------
    DataError
        If the file is absent, of an unknown suffix, empty, binary, ragged, in another encoding, with doubled
        column names, with another decimal mark, or without a column that `rename` asks for.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "trial.csv"
    ...     _ = file.write_text("ID;pain\\nA;3,5\\nB;NA\\n", encoding="utf-8")
    ...     frame = read_table(file, rename={"ID": "patient"}, decimal=",")
    >>> frame
      patient  pain
    0       A   3.5
    1       B   NaN
    >>> frame.attrs["notes"]
    ("Column 'pain': read as missing: 'NA' (1 time).",)
    """
    if decimal not in (None, ".", ","):
        raise DataError(f'decimal={decimal!r} is not a decimal mark; pass "." or ","')
    file = _existing(Path(path).expanduser())
    reader = _reader(file)
    try:
        frame, notes = reader(file, encoding, decimal)
        names, _ = plain_names(frame.columns)
        frame.columns = renamed(names, rename)
    except (DataError, OSError) as error:
        raise DataError(f"{file}: {error}") from None
    frame.attrs["notes"] = tuple(notes)
    return frame


def _reader(file: Path) -> Reader:
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise DataError(
            f"{file}: unknown suffix {file.suffix!r}; known are {', '.join(sorted(READERS))}: "
            "export the table in one of these"
        )
    return reader


def _existing(file: Path) -> Path:
    if file.is_dir():
        raise DataError(f"{file}: a folder, not a file; give the path of one table")
    if not file.exists():
        folder = file.parent
        if not folder.is_dir():
            raise DataError(f"{file}: no such file, and no folder {str(folder)!r}; check the path")
        match = closest(file.name, (entry.name for entry in folder.iterdir()))
        hint = f"did you mean {match!r}?" if match else "check the path"
        raise DataError(f"{file}: no such file; {hint}")
    return file
