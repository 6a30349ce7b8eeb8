"""Texts, tables and figures of a paper in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from alliance_stats.errors import AllianceError
from alliance_stats.tables.value import Table
from alliance_stats.tables.write_docx import add_table, new_document, saved, too_wide
from alliance_stats.tables.write_html import as_html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADING = "# "
STYLE = (
    "body{font:1rem/1.5 serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "main>div{overflow-x:auto}svg{max-width:100%;height:auto}figure{margin:1.5rem 0}"
)
WIDEST = 174.0  # mm, the page between its margins


def write_document(path: str | Path, *parts: str | Table | Axes | Figure) -> Path:
    """Write texts, tables and figures into one .docx or .html file, in the order given.

    Parameters
    ----------
    path : where to; the suffix chooses the format.
    parts : a text is a paragraph, or a heading where it begins with ``# ``; a `Table` (from ``table``, ``baseline_table``, …)
        is printed with its title and notes; an Axes or Figure is placed at its own size, with its alternative text.

    Returns the path. The same parts give the same bytes. Texts are taken as they are: nothing in them is markup.

    Raises AllianceError for another suffix, another kind of part, or where .docx needs a package that is not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_document(f"{folder}/results.html", "# Results", "Alliance predicted pain.").name
    'results.html'
    """
    path = Path(path)
    for number, part in enumerate(parts, start=1):
        if not isinstance(part, str | Table) and not _drawn(part):
            kind = type(part).__name__
            raise AllianceError(
                f"write_document: part {number} is a {kind}; give texts, tables (table(…, to=None)) and figures"
            )
    writers = {".docx": _docx, ".html": _html}
    if path.suffix.lower() not in writers:
        raise AllianceError(f"write_document: {path.name!r} ends in {path.suffix!r}; use .docx or .html")
    path.write_bytes(writers[path.suffix.lower()](parts))
    return path


def _drawn(part: Any) -> bool:
    return hasattr(part, "get_figure") or hasattr(part, "savefig")


def _figure(part: Any) -> Any:
    return part.get_figure(root=True) if hasattr(part, "get_figure") else part


def _docx(parts: Sequence[Any]) -> bytes:
    document = new_document(wide=any(isinstance(part, Table) and too_wide(part) for part in parts))
    for part in parts:
        if isinstance(part, Table):
            add_table(document, part)
        elif isinstance(part, str):
            level = 1 if part.startswith(HEADING) else None
            document.add_heading(part.removeprefix(HEADING), level) if level else document.add_paragraph(part)
        else:
            _add_picture(document, part)
    return saved(document)


def _add_picture(document: Any, part: Any) -> None:
    from docx.shared import Mm

    from alliance_stats.render.save import save_figure

    width = min(_figure(part).get_size_inches()[0] * 25.4, WIDEST)
    with TemporaryDirectory() as folder:
        picture = document.add_picture(str(save_figure(part, Path(folder) / "figure.png")), width=Mm(width))
    properties = picture._inline.docPr
    properties.set("descr", _alternative(part))
    properties.set("name", f"Figure {properties.id}")


def _html(parts: Sequence[Any]) -> bytes:
    from html import escape

    from alliance_stats.render.save import as_svg

    made = []
    for number, part in enumerate(parts, start=1):
        if isinstance(part, Table):
            made.append(as_html(part))
        elif isinstance(part, str):
            tag = "h1" if part.startswith(HEADING) else "p"
            made.append(f"<{tag}>{escape(part.removeprefix(HEADING))}</{tag}>")
        else:
            made.append(f"<figure>{as_svg(part, prefix=f'figure-{number}')}</figure>")
    title = next((part.removeprefix(HEADING) for part in parts if isinstance(part, str)), "Results")
    page = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
        *made,
        "</main></body></html>",
    ]
    return "\n".join(page).encode()


def _alternative(part: Any) -> str:
    from alliance_stats.render.described import alt_text, is_described

    return alt_text(part) if is_described(part) else "Figure"
