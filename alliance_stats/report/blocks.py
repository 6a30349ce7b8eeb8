"""The parts of a report as values: paragraphs, tables, figures, and the sections they stand in."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from alliance_stats.study.declare import Figure


@dataclass(frozen=True)
class Block:
    """A paragraph, a table of text cells, or a figure (declared, and drawn as svg); tables and figures have a caption.

    A table with ``folded`` is closed under its caption on a screen; in print, and in other formats, it is open.
    """

    text: str = ""
    table: pd.DataFrame | None = None
    svg: str = ""
    caption: str = ""
    figure: Figure | None = None
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """The heading as an id."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())
