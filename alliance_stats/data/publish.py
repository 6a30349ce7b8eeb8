"""A user's own data with their codebook and data package, in one folder that anyone can check and read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from alliance_stats.data.code_meanings import value_labels
from alliance_stats.data.codebook import codebook, csv_bytes, data_hash, datapackage
from alliance_stats.data.schema import check
from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError


def write_codebook(
    frame: pd.DataFrame,
    variables: Sequence[Variable],
    folder: str | os.PathLike[str],
    *,
    name: str,
    title: str,
    description: str = "",
    simulated: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Check a frame and write it to a folder as csv, with a codebook to read and a Data Package to check it against.

    Value labels and missing codes that an SPSS or Stata file brought along are written into both.

    Parameters
    ----------
    frame : DataFrame
        The data, as `read_table` returns them or made by hand.
    variables : sequence of Variable
        One for each column; a column that is not declared is refused, so that nothing is published by accident.
    folder : str or path
        Where to write; made if absent.
    name : str
        Short name of the data: small letters, digits, ".", "_" and "-". The table is written to ``name.csv``.
    title : str
        One line for people.
    description : str
        What the data are, in markdown.
    simulated : bool
        Whether a program generated the data.
    overwrite : bool
        Whether files of an earlier writing may be replaced.

    Returns
    -------
    list of Path
        The table, ``CODEBOOK.md`` and ``datapackage.json``. Same data, same bytes.

    Raises
    ------
    DataError
        Everything that is wrong with the data, as `check` lists it; a column that is not declared; a name of other
        characters; files that exist already.

    Notes
    -----
    The data themselves are written. Pseudonyms, dates and rare values may still tell who a patient is: leave them out first.
    Source: Data Package standard 2.0, https://datapackage.org/standard/data-package/.

    Examples
    --------
    >>> import tempfile
    >>> variables = [Variable("patient", "pseudonym", key=True), Variable("pain", "pain", range=(0, 10))]
    >>> frame = pd.DataFrame({"patient": ["A", "B"], "pain": [3, 4]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_codebook(frame, variables, folder, name="trial", title="A trial")
    >>> [file.name for file in files]
    ['trial.csv', 'CODEBOOK.md', 'datapackage.json']
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise DataError(f'write_codebook: name={name!r}; use small letters, digits, ".", "_" and "-" only')
    files = [Path(folder).expanduser() / file for file in (f"{name}.csv", "CODEBOOK.md", "datapackage.json")]
    _refuse_existing(files, overwrite)
    checked = check(frame, variables)
    documented = _documented(checked, variables)
    data = checked[[variable.name for variable in documented]]
    package = datapackage(
        name, title, files[0].name, documented, description=description, simulated=simulated, hash=data_hash(data)
    )
    heading = f"# {title}\n\n{description}\n\n" if description else f"# {title}\n\n"
    contents = [
        csv_bytes(data),
        (heading + codebook(documented, data)).encode(),
        (json.dumps(package, indent=2, ensure_ascii=False) + "\n").encode(),
    ]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return files


def _refuse_existing(files: Sequence[Path], overwrite: bool) -> None:
    there = [file.name for file in files if file.exists()]
    if there and not overwrite:
        raise DataError(
            f"write_codebook: {files[0].parent} holds {', '.join(there)} already; give another folder, or overwrite=True"
        )


def _documented(frame: pd.DataFrame, variables: Sequence[Variable]) -> list[Variable]:
    """The variables that the frame has, in its order, with what the file said of their codes."""
    by_name = {variable.name: variable for variable in variables}
    unknown = [str(column) for column in frame.columns if column not in by_name]
    if unknown:
        raise DataError(
            f"write_codebook: columns {', '.join(map(repr, unknown))} are not declared; declare each, or leave it "
            "out of the frame"
        )
    return [_with_codes(by_name[column], frame) for column in frame.columns]


def _with_codes(variable: Variable, frame: pd.DataFrame) -> Variable:
    """Labels, and missing codes that occur, of a number that a file brought along."""
    if variable.kind != "number":
        return variable
    known = frame.attrs.get("value_labels", {}).get(variable.name, {})
    occurring = frame.attrs.get("user_missing", {}).get(variable.name, {})
    # The letters of Stata cannot stand among the codes of a number; the codebook counts them all the same.
    numbers = {code: known.get(code, "") for code in occurring if not isinstance(code, str)}
    return replace(variable, labels=value_labels(variable, frame), missing_codes={**numbers, **variable.missing_codes})
