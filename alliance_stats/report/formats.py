"""Reports as docx (Word, LibreOffice), pdf and md (GitHub's Markdown), by pandoc and typst; same run, same bytes."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alliance_stats.errors import AllianceError
from alliance_stats.render.save import save_figure
from alliance_stats.report.document import Node, document
from alliance_stats.report.figures import drawn
from alliance_stats.report.sections import LEVELS, sections
from alliance_stats.study.run import Run

LANDSCAPE = (
    '<w:pgSz w:w="16838" w:h="11906" w:orient="landscape"/><w:pgMar w:top="1134" w:right="1134" w:bottom="1134" \
w:left="1134" w:header="709" w:footer="709" w:gutter="0"/>'
)
SMALL = '<w:sz w:val="15"/><w:szCs w:val="15"/>'  # half points
ACROSS = 165  # characters of that size in a line
EPOCH = "315532800"  # 1 January 1980, the first day a zip file can hold


def write_docx(run: Run, path: Path, *, patients: bool = False) -> None:
    """Write the report for Word, in landscape; figures as png at 300 dpi."""
    with TemporaryDirectory() as folder, _epoch():
        (Path(folder) / "reference.docx").write_bytes(_reference())
        tree = _tree(run, Path(folder), ".png", patients, across=ACROSS)
        _convert(tree, "docx", ["--reference-doc=reference.docx"], folder, path.resolve())


def write_pdf(run: Run, path: Path, *, patients: bool = False) -> None:
    """Write the report as pdf, in landscape, with figures as vectors and real text."""
    typst = _package("typst")
    with TemporaryDirectory() as folder:
        body = _convert(_tree(run, Path(folder), ".pdf", patients), "typst", [], folder)
        body = body.replace("align(center)[#table(", "align(left)[#table(")
        source = Path(folder) / "report.typ"
        source.write_text(f"{_preamble(run)}\n{body}", encoding="utf-8")
        fonts = typst.Fonts(include_system_fonts=False, font_paths=[_fonts()])
        path.write_bytes(typst.compile(str(source), root=folder, font_paths=fonts, timestamp=int(EPOCH)))


def write_md(run: Run, path: Path, *, patients: bool = False) -> None:
    """Write the report as Markdown, its figures as svg in a folder ``<name>_files`` beside it."""
    folder = path.parent / f"{path.stem}_files"
    folder.mkdir(exist_ok=True)
    tree = _tree(run, folder, ".svg", patients, place=f"{folder.name}/", level=2)
    title = {"t": "Header", "c": [1, ["", [], []], tree["meta"]["title"]["c"]]}
    text = _convert(tree | {"blocks": [title, *tree["blocks"]]}, "gfm-raw_html", ["--wrap=none"], str(path.parent))
    path.write_text(text, encoding="utf-8")


WRITERS: dict[str, Callable[..., None]] = {".docx": write_docx, ".pdf": write_pdf, ".md": write_md}


def _tree(run: Run, folder: Path, suffix: str, patients: bool, place: str = "", **options: Any) -> Node:
    """The document, its figures written into the folder and named from ``place``; no path of this machine gets into it."""
    images = {}
    for figure in run.study.figures:
        with drawn(run, figure, patients=patients) as ax:
            file = save_figure(ax, folder / f"{run.study.key}-{figure.name}{suffix}")
        images[figure.name] = place + file.name
    warning = f"Evidence: {run.evidence}. {LEVELS['simulated']}" if run.evidence == "simulated" else ""
    subtitle = run.study.reference
    found = sections(run, patients=patients)
    return document(run.study.title, subtitle, warning, found, images, **options)


def _convert(tree: Node, to: str, options: list[str], folder: str, path: Path | None = None) -> str:
    given = {"outputfile": str(path)} if path else {}
    convert = _package("pypandoc").convert_text
    return str(convert(json.dumps(tree), to, format="json", extra_args=options, cworkdir=folder, **given))


def _package(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise AllianceError(
            f"report: this format needs the package '{name}'; pip install 'alliance-stats[report]', or write .html"
        ) from None


@cache
def _reference() -> bytes:
    """pandoc's own model for docx in landscape, with small tables."""
    import subprocess

    pandoc = _package("pypandoc").get_pandoc_path()
    made = subprocess.run([pandoc, "--print-default-data-file", "reference.docx"], capture_output=True, check=True)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made.stdout)) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for item in given.infolist():
            text = given.read(item)
            if item.filename == "word/document.xml":
                text = _landscape(text.decode()).encode()
            if item.filename == "word/styles.xml":
                text = _small_tables(text.decode()).encode()
            new.writestr(item, text)
    return out.getvalue()


def _landscape(xml: str) -> str:
    bare = re.sub(r"<w:pgSz[^>]*/>|<w:pgMar[^>]*/>", "", xml)
    if "<w:sectPr/>" in bare:
        return bare.replace("<w:sectPr/>", f"<w:sectPr>{LANDSCAPE}</w:sectPr>")
    return re.sub(r"</w:sectPr>", f"{LANDSCAPE}</w:sectPr>", bare, count=1)


def _small_tables(xml: str) -> str:
    """The paragraphs of cells have the style “Compact”."""

    def smaller(style: re.Match[str]) -> str:
        text = style[0]
        if "<w:rPr>" in text:
            return text.replace("<w:rPr>", f"<w:rPr>{SMALL}", 1)
        return text.replace("</w:style>", f"<w:rPr>{SMALL}</w:rPr></w:style>")

    return re.sub(r'<w:style [^>]*w:styleId="Compact"[^>]*>.*?</w:style>', smaller, xml, flags=re.DOTALL)


@contextmanager
def _epoch() -> Iterator[None]:
    """pandoc dates a docx by this variable."""
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    try:
        yield
    finally:
        if before is None:
            del os.environ["SOURCE_DATE_EPOCH"]
        else:
            os.environ["SOURCE_DATE_EPOCH"] = before


def _preamble(run: Run) -> str:
    text = (files("alliance_stats.report") / "templates" / "report.typ").read_text(encoding="utf-8")
    return text.replace("TITLE", json.dumps(run.study.title, ensure_ascii=False))


def _fonts() -> str:
    from matplotlib import get_data_path

    return str(Path(get_data_path()) / "fonts" / "ttf")
