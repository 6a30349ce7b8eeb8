"""What a file is by its first bytes, so that a wrong suffix ends in a sentence and not in a parser."""

from __future__ import annotations

import re
from pathlib import Path

from alliance_stats.errors import DataError

# The bytes that open each format, and what a person would call it.
_KINDS = {
    b"$FL2": "an SPSS file (.sav)",
    b"$FL3": "a compressed SPSS file (.zsav)",
    b"PAR1": "a parquet file",
    b"<stata_dta>": "a Stata file (.dta)",
    b"PK\x03\x04": "a zip archive, as .xlsx files are",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls) or a password-protected one",
    b"MZ": "a Windows program",
    b"%PDF": "a PDF document",
    b"{": "JSON text",
    b"<": "an XML or HTML page",
}
_OPENINGS = {
    ".sav": (b"$FL2", b"$FL3"),
    ".zsav": (b"$FL3", b"$FL2"),
    ".parquet": (b"PAR1",),
    ".xlsx": (b"PK\x03\x04",),
}
_OLD_STATA = {104, 105, 108, *range(110, 116)}
_NEW_STATA = {117, 118, 119}


def require_format(path: Path) -> None:
    """DataError where the file is empty, or where its first bytes are not those that its suffix promises."""
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise DataError("no rows: the file is empty (0 bytes); export it again")
    if suffix == ".dta":
        _require_stata(path, start)
    elif not start.startswith(_OPENINGS[suffix]):
        if suffix == ".xlsx" and start.startswith(b"\xd0\xcf\x11\xe0"):
            raise _old_container(path)
        raise DataError(
            f"not a {suffix} file, whatever its suffix: {_found(start)}; name the suffix that it really has"
        )


def _found(start: bytes) -> str:
    for opening, kind in _KINDS.items():
        if start.startswith(opening):
            return f"its first bytes are those of {kind}"
    return f"its first bytes are {start[:8].hex(' ')}, of no format known here"


def _old_container(path: Path) -> DataError:
    """Excel puts both its old workbooks and its encrypted new ones into the same container."""
    if "EncryptedPackage".encode("utf-16-le") in path.read_bytes():
        return DataError("the workbook is protected by a password; take the password off in Excel and save it again")
    return DataError("an old Excel workbook (.xls) with the suffix .xlsx; open it in Excel and save it as .xlsx")


def _require_stata(path: Path, start: bytes) -> None:
    release = re.match(rb"<stata_dta><header><release>(\d+)<", start)
    # Older files open with the version itself, then the byte order, 1 or 2, then a 1.
    old = not release and len(start) > 3 and start[1] in (1, 2) and start[2] == 1
    if not release and not old:
        raise DataError(f"not a .dta file, whatever its suffix: {_found(start)}; name the suffix that it really has")
    version = int(release[1]) if release else start[0]
    if version not in (_NEW_STATA if release else _OLD_STATA):
        raise DataError(
            f"a Stata file of version {version}, which is not known here (known are 104, 105, 108, 110 to 115 and "
            "117 to 119); in Stata, write it with saveold, version(14), or as csv"
        )
    # A file cut off behind its rows would lose its value labels without a word.
    if release and not _end(path).rstrip().endswith(b"</stata_dta>"):
        raise DataError("the file ends before its last mark, </stata_dta>: it is cut off; copy or export it again")


def _end(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(64, path.stat().st_size), 2)
        return file.read()
