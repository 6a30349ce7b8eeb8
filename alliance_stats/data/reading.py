"""From an exported file to a frame: `read_table` chooses the reader by suffix and gives columns the study's names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from alliance_stats.data.delimited import read_csv, read_tsv
from alliance_stats.data.excel import read_excel
from alliance_stats.data.imported import Imported, Options
from alliance_stats.data.labels import check_choice, labelled
from alliance_stats.data.missing_codes import attributes
from alliance_stats.data.names import plain_names, renamed
from alliance_stats.data.parquet import read_parquet
from alliance_stats.data.spss import read_spss
from alliance_stats.data.stata import read_stata
from alliance_stats.errors import DataError, closest

Reader = Callable[[Path, Options], Imported]

READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
    ".sav": read_spss,
    ".zsav": read_spss,
    ".dta": read_stata,
    ".xlsx": read_excel,
}
_LABELLED = {".sav", ".zsav", ".dta", ".parquet"}
_WITH_ENCODING = {".csv", ".tsv", ".sav", ".zsav", ".dta"}


def read_table(
    path: str | os.PathLike[str],
    *,
    rename: Mapping[str, str] | None = None,
    labels: str | Sequence[str] = "codes",
    sheet: str | None = None,
    header: int | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
) -> pd.DataFrame:
    """Read a table that another program exported; the file is only ever read.

    The same table gives the same frame from every format: columns in which every observed value is a number become
    numbers (int64 where all are whole and none is missing), the others stay text without stray spaces. Nothing
    is guessed: a wrong encoding, a decimal comma, a title above the header is an error that says what to pass or mend.

    Parameters
    ----------
    path : str or path
        The file; its suffix tells the format: .csv (commas, semicolons or tabs), .tsv, .parquet, .sav and .zsav
        (SPSS), .dta (Stata), .xlsx (Excel). All but the first two need ``pip install 'alliance_stats[io]'``.
    rename : mapping, optional
        The file's column names and the study's: ``{"ID": "patient"}``.
    labels : {"codes", "labels"} or sequence of str
        What becomes of columns with value labels (SPSS, Stata): items stay codes, for scoring ("codes"); all become
        their labels, but for those that hold values without a label, such as a scale with named ends ("labels");
        or these columns, under the study's names, become labels and the others stay codes: ``["arm", "sex"]``.
    sheet : str, optional
        The sheet of a workbook that has several.
    header : int, optional
        The row, as Excel numbers it, that holds the column names, where titles stand above it.
    encoding : str, optional
        The text's encoding where it is not UTF-8, such as "cp1252" or "utf-16" (csv, tsv), or not the one that the file
        itself names (SPSS, Stata).
    decimal : {".", ","}, optional
        The decimal mark of numbers in text. Without it, numbers with commas are refused; "." keeps such columns as text.

    Returns
    -------
    DataFrame
        One row for each row of the file, numbered from 0. Dates of SPSS, Stata, Excel and parquet are datetimes; text
        files hold no dates, only text. User-missing codes of SPSS and the .a to .z of Stata are missing values.
        ``frame.attrs`` says what the file says beside its cells:

        - ``"notes"``: a tuple of sentences (under the file's names) on what was read as missing ("", "NA", "N/A", ".", …,
          user-missing codes, with counts), kept as text though it looks like a number, renamed, or left out;
        - ``"value_labels"`` ``{column: {code: label}}`` and ``"variable_labels"`` ``{column: label}`` (SPSS, Stata, and
          parquet files that pandas made of such a frame);
        - ``"user_missing"`` ``{column: {code: count}}`` and ``"system_missing"`` ``{column: count}`` (SPSS, Stata);
          `missing_codes` lists the cells.

    Raises
    ------
    DataError
        If the file is absent, of an unknown suffix or of another format than its suffix says, empty, cut off,
        protected, ragged, in another encoding, with doubled column names, with another decimal mark, or without
        a column that `rename` or `labels` asks for; if the package that reads it is not installed; if an option does
        not belong to the format.

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
    options = _options(encoding, decimal, sheet, header)
    check_choice(labels)
    file = _existing(Path(path).expanduser())
    reader = _reader(file)
    try:
        _refuse_foreign_options(file.suffix.lower(), options)
        found = reader(file, options)
        return _finished(found, rename, labels, file.suffix.lower())
    except (DataError, OSError) as error:
        raise DataError(f"{file}: {error}") from None


def _options(encoding: str | None, decimal: str | None, sheet: str | None, header: int | None) -> Options:
    if decimal not in (None, ".", ","):
        raise DataError(f'decimal={decimal!r} is not a decimal mark; pass "." or ","')
    if header is not None and (isinstance(header, bool) or not isinstance(header, int) or header < 1):
        raise DataError(f"header={header!r} is not the number of a row; pass 1 for the first row of the sheet")
    return Options(encoding, decimal, sheet, header)


def _refuse_foreign_options(suffix: str, options: Options) -> None:
    """An option that would do nothing is a mistake about the file."""
    for name in ("sheet", "header"):
        if getattr(options, name) is not None and suffix != ".xlsx":
            raise DataError(f"{name}= is for .xlsx files; a {suffix} file has no sheets: leave it out")
    if options.encoding is not None and suffix not in _WITH_ENCODING:
        raise DataError(f"encoding= is not for {suffix} files, which are always UTF-8: leave it out")


def _finished(
    found: Imported, rename: Mapping[str, str] | None, labels: str | Sequence[str], suffix: str
) -> pd.DataFrame:
    """The frame under the study's names, with labels where they were asked for and everything said in `attrs`."""
    names, _ = plain_names(found.frame.columns)
    study = dict(zip(names, renamed(names, rename), strict=True))
    frame = found.frame.set_axis(list(study.values()), axis="columns")
    value_labels = {study[name]: dict(coded) for name, coded in found.value_labels.items()}
    frame, notes = labelled(frame, value_labels, labels)
    kept: dict[str, Any] = {"notes": (*found.notes, *notes)}
    if suffix in _LABELLED:
        kept["value_labels"] = value_labels
        kept["variable_labels"] = {study[name]: text for name, text in found.variable_labels.items()}
        kept |= attributes(
            {study[name]: rows for name, rows in found.missing_rows.items()},
            {study[name]: count for name, count in found.system_missing.items()},
        )
    frame.attrs.update(kept)
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
