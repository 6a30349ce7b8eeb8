"""Reading parquet files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alliance_stats.data.cell_objects import plain_columns
from alliance_stats.data.imported import Code, Imported, Options, optional_module, plain_code
from alliance_stats.data.names import plain_names
from alliance_stats.data.signatures import require_format
from alliance_stats.errors import DataError

_PANDAS_INDEX = "__index_level_0__"  # how pandas writes an index without a name


def read_parquet(path: Path, options: Options) -> Imported:
    """Table and notes of a parquet file; labels that pandas kept from another format come back."""
    require_format(path)
    parquet, arrow = optional_module("pyarrow.parquet", ".parquet"), optional_module("pyarrow", ".parquet")
    try:
        with path.open("rb") as file:
            table = parquet.read_table(file)
    except (arrow.ArrowException, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"the parquet file cannot be read ({first}); it is cut off or damaged, write it again"
        ) from None
    kept = _pandas_attributes(table.schema.metadata or {})  # renaming columns loses it
    names, notes = plain_names(table.column_names)
    table = table.rename_columns(names)
    if _PANDAS_INDEX in names:
        table = table.drop_columns([_PANDAS_INDEX])
        notes.append("Left out the row numbers that pandas wrote.")
    if not table.num_rows:
        raise DataError(f"no rows: the file holds only column names, {', '.join(map(repr, names))}")
    # Whole numbers with gaps would pass through a double, which rounds those beyond 2^53.
    frame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    plain, changes = plain_columns(frame, options.decimal)
    return Imported(
        plain,
        (*notes, *changes),
        value_labels={
            name: _coded(labels)
            for name, labels in kept.get("value_labels", {}).items()
            if name in plain and isinstance(labels, dict)
        },
        variable_labels={name: str(text) for name, text in kept.get("variable_labels", {}).items() if name in plain},
    )


def _pandas_attributes(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """`frame.attrs` as `DataFrame.to_parquet` wrote it, or nothing where it is not of the kind written here."""
    try:
        kept = json.loads(metadata.get(b"PANDAS_ATTRS", b"{}"))
    except ValueError:
        return {}
    return {name: value for name, value in kept.items() if isinstance(value, dict)} if isinstance(kept, dict) else {}


def _coded(labels: Mapping[str, str]) -> dict[Code, str]:
    """Codes that are numbers again, which JSON had turned into text."""
    return {_code(key): str(text) for key, text in labels.items()}


def _code(key: str) -> Code:
    try:
        return plain_code(float(key))
    except ValueError:
        return key
