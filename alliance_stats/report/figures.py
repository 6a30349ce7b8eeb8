"""The figures of a run: drawn once for the page, or written as files for a paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alliance_stats.render.save import save_figure
from alliance_stats.study.declare import Figure
from alliance_stats.study.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("svg", "pdf")


@contextmanager
def drawn(run: Run, figure: Figure, *, patients: bool) -> Iterator[Axes]:
    """The figure on its own axes, closed afterwards.

    Single patients are shown as points only for simulated data, or when asked for.
    """
    from matplotlib.pyplot import close

    from alliance_stats.render.style import canvas

    shown = patients or run.evidence == "simulated"
    ax = figure.draw(run, canvas(*figure.size)[0] if figure.size else None, shown)
    try:
        yield ax
    finally:
        close(ax.get_figure(root=True))


def write_figures(run: Run, folder: Path, *, patients: bool = False) -> list[Path]:
    """Every figure of the study as svg and pdf with real text, named ``<study>-<figure>``; the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in run.study.figures:
        with drawn(run, figure, patients=patients) as ax:
            paths = [folder / f"{run.study.key}-{figure.name}.{suffix}" for suffix in FORMATS]
            written += [save_figure(ax, path) for path in paths]
    return written
