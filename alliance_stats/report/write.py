"""A report as a file: the suffix chooses the format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alliance_stats.errors import AllianceError
from alliance_stats.report.formats import WRITERS
from alliance_stats.report.page import report_html
from alliance_stats.study.run import Run


def _write_html(run: Run, path: Path, *, patients: bool = False) -> None:
    path.write_text(report_html(run, patients=patients), encoding="utf-8")


FORMATS: dict[str, Callable[..., None]] = {".html": _write_html, **WRITERS}


def write_report(run: Run, path: Path, *, patients: bool = False) -> Path:
    """Write the report of a run as .html, .docx, .pdf or .md; same run, same bytes.

    ``patients`` shows single patients as points. Raises AllianceError for an unknown suffix, an absent folder, or a format
    whose packages (the extra ``report``) are not installed.
    """
    write = FORMATS.get(path.suffix.lower())
    if write is None:
        raise AllianceError(f"report: '{path.name}' ends in '{path.suffix}'; use one of {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise AllianceError(f"report: there is no folder '{path.parent}'; make it first")
    write(run, path, patients=patients)
    return path
