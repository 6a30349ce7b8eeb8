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
from alliance_stats.render.style import house

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# No dates and no versions, so that the same figure has the same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def save_figure(drawn: Axes | Figure, path: str | Path, *, width: float | None = None) -> Path:
    """Write a figure as .svg, .pdf (both with real text) or .png (300 dpi).

    Parameters
    ----------
    drawn : the axes that a figure function returned, or a figure.
    path : where to; the suffix chooses the format.
    width : mm, with the height in proportion; without it, the size that the figure has.

    Returns the path. A figure without a layout whose text would be cut off is given matplotlib's constrained one.
    Raises DataError for another suffix or a width that is not positive.

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
    with house(), _sized(figure, width):
        _lay_out(figure)
        figure.savefig(path, format=kind, metadata=METADATA[kind])
    return path


def as_svg(drawn: Axes | Figure, *, prefix: str = "figure", title: str = "", description: str = "") -> str:
    """The figure as an ``<svg>`` element to embed in a page.

    Parameters
    ----------
    drawn : the axes that a figure function returned, or a figure.
    prefix : start of every id; different for each figure of a page, so that none takes another's marks.
    title, description : alternative text for those who do not see the figure; without a title, the axis labels.

    The element has no XML declaration. Raises DataError where prefix cannot be an id.

    >>> from alliance_stats.render.style import canvas
    >>> as_svg(canvas()[0], prefix="f1", title="Pain < 3")[:51]
    '<svg id="f1" role="img" aria-labelledby="f1-title" '
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", prefix, flags=re.ASCII):
        raise DataError(f"as_svg: prefix is {prefix!r}; use a letter, then letters, digits, '-' or '_'")
    figure, text = _figure(drawn), StringIO()
    with house():
        _lay_out(figure)
        figure.savefig(text, format="svg", metadata=METADATA["svg"])
    svg = text.getvalue()
    svg = _with_prefix(svg[svg.index("<svg") :].strip(), prefix)
    alt = {"title": title or _axis_labels(figure)} | ({"desc": description} if description else {})
    elements = "\n".join(f'<{tag} id="{prefix}-{tag}">{escape(words)}</{tag}>' for tag, words in alt.items())
    named_by = " ".join(f"{prefix}-{tag}" for tag in alt)
    head, _, body = svg.removeprefix("<svg").partition(">")
    return f'<svg id="{prefix}" role="img" aria-labelledby="{named_by}"{head}>\n{elements}{body}'


def _with_prefix(svg: str, prefix: str) -> str:
    """Own ids in tags (never in text), and the general style rule bound to this element."""

    def own(tag: re.Match[str]) -> str:
        text = re.sub(r'(\s(?:id="|xlink:href="#|href="#))', rf"\g<1>{prefix}-", tag[0])
        return text.replace("url(#", f"url(#{prefix}-")

    svg = re.sub(r"<[a-zA-Z][^>]*>", own, svg)
    return svg.replace('<style type="text/css">*{', f'<style type="text/css">#{prefix} *{{', 1)


def _axis_labels(figure: Figure) -> str:
    labels = [(axes.get_ylabel(), axes.get_xlabel()) for axes in figure.axes]
    return "; ".join(" against ".join(part for part in pair if part) for pair in labels if any(pair)) or "Figure"


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
    engine, box = figure.get_layout_engine(), figure.get_tightbbox()
    across, tall = figure.get_size_inches()
    if engine is None and (box.x0 < 0 or box.y0 < 0 or box.x1 > across or box.y1 > tall):
        figure.set_layout_engine("constrained")
    for axes in figure.axes if figure.get_layout_engine() is not None else ():
        spec = axes.get_subplotspec()
        if spec is not None:
            axes.set_subplotspec(spec)


@contextmanager
def _sized(figure: Figure, width: float | None) -> Iterator[None]:
    across, tall = map(float, figure.get_size_inches())
    try:
        if width is not None:
            figure.set_size_inches(width / 25.4, tall * width / 25.4 / across, forward=False)
        yield
    finally:
        figure.set_size_inches(across, tall, forward=False)
