"""What the declarations say of the data: a codebook to read, a Data Package to check against, and a hash."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from alliance_stats.data.code_meanings import categories, missing_counts, value_labels
from alliance_stats.data.parsing import without_point
from alliance_stats.data.variables import Variable, bounds_in_words, check_declarations
from alliance_stats.errors import DataError

_PROFILES = "https://datapackage.org/profiles/2.0"


def codebook(variables: Sequence[Variable], frame: pd.DataFrame | None = None) -> str:
    """A markdown table of the variables, with the number of missing values where a frame is given.

    The column "values" also says what codes mean (declared in `labels`, or read from an SPSS or Stata file), and the
    column "missing" how many values had which missing code.

    Parameters
    ----------
    variables : sequence of Variable
        The declarations, in the order of the table.
    frame : DataFrame, optional
        The data; adds the column "missing" (number of rows without a value).

    Returns
    -------
    str
        Markdown, one line for each variable, ending with a line break.

    Raises
    ------
    DataError
        If the frame lacks a declared column that is not optional.

    Examples
    --------
    >>> pain = Variable("pain", "average pain of the last week", range=(0, 10), unit="points")
    >>> print(codebook([pain], pd.DataFrame({"pain": [3.0, None]})), end="")
    | name | meaning | unit | values | key | missing |
    |---|---|---|---|---|---|
    | pain | average pain of the last week | points | 0 to 10 |  | 1 |
    """
    check_declarations(variables)
    header = ["name", "meaning", "unit", "values", "key"] + ["missing"] * (frame is not None)
    rows = [header, ["---"] * len(header)]
    for variable in variables:
        count = [] if frame is None else [_missing(frame, variable)]
        key = "key" if variable.key else ""
        rows.append([variable.name, _meaning(variable), variable.unit, _values(variable, frame), key, *count])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    header, rule, *body = rows
    cells = [[_cell(cell) for cell in row] for row in body]
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(rule)}|", *(f"| {' | '.join(row)} |" for row in cells)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def _meaning(variable: Variable) -> str:
    return f"{variable.meaning} (optional)" if variable.optional else variable.meaning


def _allowed(variable: Variable) -> str:
    if variable.levels is not None:
        return ", ".join(variable.levels)
    whole = "whole numbers" if variable.integer else ""
    if variable.range is None:
        return whole
    return f"{whole}{', ' * bool(whole)}{bounds_in_words(*variable.range)}"


def _values(variable: Variable, frame: pd.DataFrame | None) -> str:
    labels = value_labels(variable, frame)
    coded = ", ".join(f"{code} = {text}" for code, text in labels.items() if code not in variable.missing_codes)
    return "; ".join(filter(None, [_allowed(variable), coded]))


def _missing(frame: pd.DataFrame, variable: Variable) -> str:
    if variable.name in frame.columns:
        return _count(int(frame[variable.name].isna().sum()), missing_counts(variable, frame))
    if variable.optional:
        return "absent"
    raise DataError(f"codebook: the frame has no column {variable.name!r}; check the frame against its variables")


def _count(missing: int, by_code: Mapping[str, int]) -> str:
    coded = sum(by_code.values())
    if not coded:
        return str(missing)
    parts = [f"{name}: {count}" for name, count in by_code.items()] + [f"no code: {missing - coded}"] * (
        missing > coded
    )
    return f"{missing} ({', '.join(parts)})"


def datapackage(
    name: str,
    title: str,
    path: str,
    variables: Sequence[Variable],
    *,
    description: str = "",
    simulated: bool = True,
    hash: str | None = None,
) -> dict[str, Any]:
    """The descriptor of one CSV file as a Frictionless Data Package, version 2.

    Nothing in it depends on the day or the machine, so the same declarations give the same descriptor.

    Parameters
    ----------
    name : str
        Short name of the package and of its table: small letters, digits, ".", "_" and "-".
    title : str
        One line for people.
    path : str
        The CSV file, relative to the descriptor, as `csv_bytes` writes it.
    variables : sequence of Variable
        One for each column of the file, in the file's order (leave out optional ones that it lacks).
    description : str
        What the data are, in markdown.
    simulated : bool
        Whether the data were generated; kept as the property ``"simulated"``.
    hash : str, optional
        The file's SHA-256 in hexadecimal, as `data_hash` gives it.

    Returns
    -------
    dict
        Ready for ``json.dump``.

    Raises
    ------
    DataError
        If a variable is declared twice.

    Notes
    -----
    An identifier is described as a string, which holds for numbers too. Levels are `categories`; so are the codes of
    a whole-number variable with `labels` and a finite range. The labels of other numbers stand in the property
    "valueLabels", and missing codes, which the file shows as empty cells, in "missingCodes".
    Source: Data Package standard 2.0, https://datapackage.org/standard/data-package/.

    Examples
    --------
    >>> pain = Variable("pain", "average pain", range=(0, 10), unit="points")
    >>> package = datapackage("trial", "A trial", "trial.csv", [pain])
    >>> package["resources"][0]["schema"]["fields"][0]["constraints"]
    {'minimum': 0, 'maximum': 10}
    """
    check_declarations(variables)
    resource: dict[str, Any] = {
        "name": name,
        "type": "table",
        "path": path,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
    }
    if hash is not None:
        resource["hash"] = f"sha256:{hash}"
    resource["schema"] = _table_schema(variables)
    described = {"description": description} if description else {}
    return {
        "$schema": f"{_PROFILES}/datapackage.json",
        "name": name,
        "title": title,
        **described,
        "simulated": simulated,
        "resources": [resource],
    }


def _table_schema(variables: Sequence[Variable]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "$schema": f"{_PROFILES}/tableschema.json",
        "fields": [_field(variable) for variable in variables],
        "missingValues": [""],
    }
    keys = [variable.name for variable in variables if variable.key]
    if keys:
        schema["primaryKey"] = keys
    single = keys[0] if len(keys) == 1 else None
    for field in schema["fields"]:
        if field["name"] == single:
            field["constraints"]["unique"] = True
    return schema


def _field(variable: Variable) -> dict[str, Any]:
    numeric = "integer" if variable.integer else "number"
    field: dict[str, Any] = {
        "name": variable.name,
        "type": {"number": numeric, "date": "any"}.get(variable.kind, "string"),
        "description": variable.meaning,
    }
    if variable.unit:
        field["unit"] = variable.unit
    field |= categories(variable)
    field["constraints"] = _constraints(variable)
    return field


def _constraints(variable: Variable) -> dict[str, Any]:
    constraints: dict[str, Any] = {"required": True} if variable.required else {}
    if variable.levels is not None:
        constraints["enum"] = list(variable.levels)
    for name, bound in zip(("minimum", "maximum"), variable.range or (), strict=False):
        if math.isfinite(bound):  # JSON knows no infinity: an open end has no constraint
            constraints[name] = int(bound) if float(bound).is_integer() else float(bound)
    return constraints


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """The frame as the CSV file that the package publishes: UTF-8, commas, line feeds, no index.

    Columns keep their order. Missing values are empty; whole numbers have no decimal point even where a missing
    value makes the column a float, so the file reads back into the same bytes.

    Parameters
    ----------
    frame : DataFrame
        Any table; its index is not written.

    Returns
    -------
    bytes
        The file's content.

    Examples
    --------
    >>> csv_bytes(pd.DataFrame({"patient": ["A", "B"], "pain": [3.0, None]}))
    b'patient,pain\\nA,3\\nB,\\n'
    """
    written = pd.DataFrame({place: without_point(frame.iloc[:, place]) for place in range(frame.shape[1])})
    written.columns = frame.columns
    return written.to_csv(index=False, lineterminator="\n").encode("utf-8")


def data_hash(frame: pd.DataFrame) -> str:
    """SHA-256, in hexadecimal, of the bytes that `csv_bytes` writes: the hash of the published file.

    The order of rows and columns counts; the index and `attrs` do not, nor whether whole numbers are
    stored as int64 or float64.

    Parameters
    ----------
    frame : DataFrame
        Any table.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> data_hash(pd.DataFrame({"pain": [3, 4]})) == data_hash(pd.DataFrame({"pain": [3.0, 4.0]}))
    True
    """
    return hashlib.sha256(csv_bytes(frame)).hexdigest()
