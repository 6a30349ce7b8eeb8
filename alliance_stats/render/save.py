"""Figures as files and as text, the same bytes each time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alliance_stats.errors import DataError
from alliance_stats.render.described import alt_text, figure_data, is_described
from alliance_stats.render.style import house

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROUNDING = 1e-6  # inches
# No dates and no versions, so that the same figure has the same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def save_figure(
    drawn: Axes | Figure, path: str | Path, *, width: float | None = None, data: bool = False, alt: bool = False
) -> Path:
    """Write a figure as .svg, .pdf (both with real text, the pdf with its fonts) or .png (300 dpi), with its alternative text.

    Parameters
    ----------
    drawn : the axes that a figure function returned, or a figure.
    path : where to; the suffix chooses the format.
    width : mm, with the height in proportion; without it, the size that the figure has.
    data : also write the rows that are drawn, beside the figure as .csv. Mind that a figure with single patients writes theirs.
    alt : also write the alternative text, beside the figure as .txt.

    The alternative text (see ``alt_text``) is the ``<desc>`` of an svg, the subject of a pdf and the description of a png.
    There are no dates in the files: the same figure has the same bytes. A figure without a layout whose text would be cut off
    is given matplotlib's constrained one. Returns the path. Raises DataError for another suffix, a width that is not
    positive, and for data or alt of axes that no function of ``al.figures`` drew.

    >>> import tempfile
    >>> from alliance_stats.render.style import canvas
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(canvas()[0], f"{folder}/empty.pdf").name
    'empty.pdf'
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in METADATA:
        raise DataError(f"save_figure: {path.name!r} ends in {path.suffix!r}; use .svg, .pdf or .png")
    if width is not None and width <= 0:
        raise DataError(f"save_figure: width is {width} mm; it must be positive")
    figure = _figure(drawn)
    beside = _beside(figure, data=data, alt=alt)
    with house(), _sized(figure, width):
        _write(figure, path, kind)
    for suffix, text in beside.items():
        path.with_suffix(suffix).write_text(text, encoding="utf-8", newline="\n")
    return path


def _beside(figure: Figure, *, data: bool, alt: bool) -> dict[str, str]:
    """What is written beside the figure, by suffix; made first, so that nothing is written where there is none."""
    texts = {}
    if data:
        texts[".csv"] = figure_data(figure).to_csv(index=False, lineterminator="\n")
    if alt:
        texts[".txt"] = alt_text(figure) + "\n"
    return texts


def _write(figure: Figure, path: Path, kind: str) -> None:
    title, words = _axis_labels(figure), alt_text(figure) if is_described(figure) else ""
    if kind == "svg":
        path.write_text(_svg(figure, "figure", title, words, whole=True), encoding="utf-8", newline="\n")
        return
    told = {"Title": title, "Subject" if kind == "pdf" else "Description": words}
    _lay_out(figure)
    figure.savefig(path, format=kind, metadata=METADATA[kind] | {key: text for key, text in told.items() if text})


def as_svg(drawn: Axes | Figure, *, prefix: str = "figure", title: str = "", description: str = "") -> str:
    """The figure as an ``<svg>`` element to embed in a page.

    Parameters
    ----------
    drawn : the axes that a figure function returned, or a figure.
    prefix : start of every id; different for each figure of a page, so that none takes another's marks.
    title, description : alternative text for those who do not see the figure; without a title, the axis labels, and
        without either, as description that of ``alt_text``.

    The element has no XML declaration. Raises DataError where prefix cannot be an id.

    >>> from alliance_stats.render.style import canvas
    >>> as_svg(canvas()[0], prefix="f1", title="Pain < 3")[:51]
    '<svg id="f1" role="img" aria-labelledby="f1-title" '
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", prefix, flags=re.ASCII):
        raise DataError(f"as_svg: prefix is {prefix!r}; use a letter, then letters, digits, '-' or '_'")
    figure = _figure(drawn)
    if not title and not description and is_described(figure):
        description = alt_text(figure)
    with house():
        return _svg(figure, prefix, title or _axis_labels(figure), description)


def _svg(figure: Figure, prefix: str, title: str, description: str, *, whole: bool = False) -> str:
    """The ``<svg>`` element with title and description, and, for a ``whole`` file, what stands before it."""
    text = StringIO()
    _lay_out(figure)
    figure.savefig(text, format="svg", metadata=METADATA["svg"])
    start, _, svg = text.getvalue().partition("<svg")
    svg = _with_prefix(f"<svg{svg}".strip(), prefix)
    alt = {"title": title} | ({"desc": description} if description else {})
    elements = "\n".join(f'<{tag} id="{prefix}-{tag}">{escape(words)}</{tag}>' for tag, words in alt.items())
    named_by = " ".join(f"{prefix}-{tag}" for tag in alt)
    head, _, body = svg.removeprefix("<svg").partition(">")
    element = f'<svg id="{prefix}" role="img" aria-labelledby="{named_by}"{head}>\n{elements}{body}'
    return f"{start}{element}\n" if whole else element


def _with_prefix(svg: str, prefix: str) -> str:
    """Own ids in tags (never in text), and the general style rule bound to this element."""

    def own(tag: re.Match[str]) -> str:
        text = re.sub(r'(\s(?:id="|xlink:href="#|href="#))', rf"\g<1>{prefix}-", tag[0])
        return text.replace("url(#", f"url(#{prefix}-")

    svg = re.sub(r"<[a-zA-Z][^>]*>", own, svg)
    return svg.replace('<style type="text/css">*{', f'<style type="text/css">#{prefix} *{{', 1)


def _axis_labels(figure: Figure) -> str:
    labels = [(axes.get_ylabel(), axes.get_xlabel()) for axes in figure.axes]
    named = [" against ".join(" ".join(part.split()) for part in pair if part) for pair in labels if any(pair)]
    return "; ".join(dict.fromkeys(named)) or "Figure"


def _figure(drawn: Axes | Figure) -> Figure:
    from matplotlib.figure import Figure

    figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
    if figure is None:
        raise DataError("the axes belong to no figure any more; draw them again")
    return figure


def _lay_out(figure: Figure) -> None:
    """A layout where text would be cut off without one; axes that have one back to where they were before any.

    Each constrained layout starts from the last one and would differ from it by a hair.
    """
    box = figure.get_tightbbox()
    across, tall = figure.get_size_inches()
    if not _is_laid_out(figure) and max(-box.x0, -box.y0, box.x1 - across, box.y1 - tall) > ROUNDING:
        figure.set_layout_engine("constrained")
    for axes in figure.axes if _is_laid_out(figure) else ():
        spec = axes.get_subplotspec()
        if spec is not None:
            axes.set_subplotspec(spec)


def _is_laid_out(figure: Figure) -> bool:
    """Whether a layout places the axes; the placeholder that a layout leaves when it is taken away does not."""
    from matplotlib.layout_engine import PlaceHolderLayoutEngine

    engine = figure.get_layout_engine()
    return engine is not None and not isinstance(engine, PlaceHolderLayoutEngine)


@contextmanager
def _sized(figure: Figure, width: float | None) -> Iterator[None]:
    across, tall = map(float, figure.get_size_inches())
    try:
        if width is not None:
            figure.set_size_inches(width / 25.4, tall * width / 25.4 / across, forward=False)
        yield
    finally:
        figure.set_size_inches(across, tall, forward=False)
