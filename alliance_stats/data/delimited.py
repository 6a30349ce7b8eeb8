"""Reading delimited text (csv, tsv): encoding, delimiter and shape are checked before any value is believed."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pandas as pd

from alliance_stats.data.cells import typed_columns
from alliance_stats.data.imported import Imported, Options
from alliance_stats.data.names import plain_names
from alliance_stats.errors import DataError

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SNIFFED_RECORDS = 100


def read_csv(path: Path, options: Options) -> Imported:
    """Table and notes from a file whose fields are separated by commas, semicolons or tabs."""
    return _read(path, options, delimiters=",;\t")


def read_tsv(path: Path, options: Options) -> Imported:
    """Table and notes from a file whose fields are separated by tabs."""
    return _read(path, options, delimiters="\t")


def _read(path: Path, options: Options, delimiters: str) -> Imported:
    text = _decode(path.read_bytes(), options.encoding)
    if not text.strip():
        raise DataError("no rows: the file is empty")
    header, *rows = _records(text, _delimiter(text, delimiters))
    names, notes = plain_names(header)
    rows, trailing = _without_empty_tail(rows)
    if not rows:
        raise DataError(f"no rows: the file holds only a header, {', '.join(map(repr, names))}")
    cells = pd.DataFrame(rows, columns=names, dtype="str")
    frame, changes = typed_columns(cells, options.decimal)
    return Imported(frame, (*notes, *trailing, *changes))


def _decode(content: bytes, encoding: str | None) -> str:
    if encoding is None and (b"\0" in content or content.startswith(_UTF16_MARKS)):
        raise _binary(content)
    try:
        text = content.decode(encoding or "utf-8").removeprefix("\ufeff")
    except LookupError:
        raise DataError(f'encoding={encoding!r} is unknown; use "utf-8", "cp1252" or "utf-16"') from None
    except UnicodeDecodeError as error:
        raise _wrong_encoding(content, encoding, error) from None
    if "\0" in text:
        raise _binary(content)
    return text


def _binary(content: bytes) -> DataError:
    if content.startswith(_UTF16_MARKS):
        return DataError('the file begins with a UTF-16 byte-order mark; pass encoding="utf-16"')
    encoding = _unmarked_utf16(content)
    if encoding:
        return DataError(f'UTF-16 text without a byte-order mark; pass encoding="{encoding}"')
    return DataError(
        f"binary content (a NUL byte at position {content.index(0)}): not a text table, whatever its suffix; "
        "export it as csv from the program that wrote it, or name the suffix that it really has"
    )


def _unmarked_utf16(content: bytes) -> str:
    """Latin letters in UTF-16 have a NUL for every second byte: behind the letter, or before it."""
    start = content[:200]
    pairs = len(start) // 2
    if pairs < 4 or len(content) % 2:
        return ""
    behind, before = start[1::2].count(0), start[0::2].count(0)
    if behind >= 0.8 * pairs and not before:
        return "utf-16-le"
    return "utf-16-be" if before >= 0.8 * pairs and not behind else ""


def _wrong_encoding(content: bytes, encoding: str | None, error: UnicodeDecodeError) -> DataError:
    line = content.count(b"\n", 0, error.start) + 1
    where = f"byte position {error.start} (byte 0x{content[error.start]:02x}, line {line})"
    advice = 'pass encoding="cp1252" if Excel or SPSS on Windows wrote it' if encoding is None else "pass another"
    return DataError(f"not {(encoding or 'utf-8').upper()} text: {where} cannot be read; {advice}")


def _delimiter(text: str, delimiters: str) -> str:
    """The separator that splits the first records evenly, and the header into the most names."""

    def evenness(delimiter: str) -> tuple[bool, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        counts: list[int] = []
        # A quote that never closes ends the count here; reading the records in earnest says in which line.
        with suppress(csv.Error):
            for record in islice(filter(None, reader), _SNIFFED_RECORDS):
                counts.append(len(record))
        names = counts[0] if counts else 0
        return names > 1 and len(set(counts)) == 1, names

    return max(delimiters, key=evenness)


def _records(text: str, delimiter: str) -> list[list[str]]:
    """Every record but blank lines; each must have as many fields as the header."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        numbered = [(reader.line_num, record) for record in reader if record]
    except csv.Error as error:
        raise DataError(f"line {reader.line_num} cannot be split into fields: {error}; mend its quotes") from None
    width = len(numbered[0][1])
    ragged = [(line, len(record)) for line, record in numbered if len(record) != width]
    if ragged:
        shown = ", ".join(f"line {line} has {fields}" for line, fields in ragged[:10])
        raise DataError(
            f"the header has {width} fields separated by {delimiter!r}, but {shown}"
            f"{f' and {len(ragged) - 10} more lines differ' if len(ragged) > 10 else ''}; "
            "name every column in the header, and put quotes around values that hold the separator"
        )
    return [record for _, record in numbered]


def _without_empty_tail(rows: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """Rows of nothing but separators, which spreadsheets write under a table, go; those between rows stay."""
    last = len(rows)
    while last and not any(field.strip() for field in rows[last - 1]):
        last -= 1
    dropped = len(rows) - last
    if not dropped:
        return rows, []
    return rows[:last], [f"Left out {dropped} wholly empty row{'s' * (dropped > 1)} at the end of the file."]
