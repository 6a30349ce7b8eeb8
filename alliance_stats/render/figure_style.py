"""The styles of figures: text, widths and lines for a journal, a manuscript or a screen, as values."""

from __future__ import annotations

from contextlib import ContextDecorator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from alliance_stats.errors import DataError

SHIPPED = ("DejaVu Sans", "DejaVu Serif", "STIXGeneral")  # part of matplotlib, so the same on every computer
SMALLEST = 6.0  # points; journals set no smaller text
TEXT, COLUMN = 8.0, 85.0  # points and mm that the other measures of the figures are made for


@dataclass(frozen=True)
class FigureStyle(ContextDecorator):
    """How large text, lines and figures are; ``with style:`` for a block, ``@style`` for a function, ``style.use()`` for good.

    Parameters
    ----------
    name : what it is called.
    text : size of all text, points; 6 or more.
    single, double : mm of a figure of one column and of two.
    weight : factor on the widths of lines and the sizes of marks.
    font : one of the fonts that come with matplotlib: DejaVu Sans, DejaVu Serif or STIXGeneral.
    letter : size of panel letters, points.
    letter_bold : whether they are bold.
    letter_at : where over the panel they stand, ``"left"`` or ``"centre"``.

    Raises DataError for a text below 6 points, a size that is not positive, or another font or place.

    >>> with FigureStyle("own", text=7, single=80) as style:
    ...     text_size(), one_column()
    (7, 80)
    >>> text_size()
    8.0
    """

    name: str
    text: float = TEXT
    single: float = COLUMN
    double: float = 174.0
    weight: float = 1.0
    font: str = "DejaVu Sans"
    letter: float = 10.0
    letter_bold: bool = True
    letter_at: str = "left"

    def __post_init__(self) -> None:
        sizes = {n: getattr(self, n) for n in ("text", "letter", "single", "double", "weight")}
        low = {n: v for n, v in sizes.items() if not v >= (SMALLEST if n in ("text", "letter") else 1e-9)}
        if low:
            raise DataError(
                f"figure style {self.name!r}: {low}; text and letter are 6 points or more, the rest positive"
            )
        if self.font not in SHIPPED:
            raise DataError(f"figure style {self.name!r}: font is {self.font!r}; use one of {', '.join(SHIPPED)}")
        if self.letter_at not in ("left", "centre"):
            raise DataError(f"figure style {self.name!r}: letter_at is {self.letter_at!r}; use 'left' or 'centre'")

    def __enter__(self) -> Self:
        _IN_USE.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _IN_USE.pop()

    def use(self) -> Self:
        """From now on the style of every figure outside of ``with`` blocks."""
        _IN_USE[0] = self
        return self

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The matplotlib settings of the style; line widths are those before ``weight``."""
        sizes = dict.fromkeys(["font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"])
        family = "serif" if self.font in ("DejaVu Serif", "STIXGeneral") else "sans-serif"
        return dict.fromkeys(sizes, self.text) | {"font.family": family, f"font.{family}": [self.font, "DejaVu Sans"]}


STYLES = {
    "ptj": FigureStyle("ptj"),
    "apa": FigureStyle("apa", text=9.0, letter=10.0, letter_bold=False),
    "slides": FigureStyle("slides", text=12.0, single=112.0, double=230.0, weight=1.5, letter=16.0, letter_at="centre"),
}
_IN_USE = [STYLES["ptj"]]


def figure_style(name: str, **changes: Any) -> FigureStyle:
    """A style of figures: ``"ptj"`` (8 pt; 85, 174 mm), ``"apa"`` (9 pt; 85, 174 mm) or ``"slides"`` (12 pt; 112, 230 mm).

    Parameters
    ----------
    name : ``"ptj"``, for physiotherapy journals, as figures are without a style; ``"apa"``, within the 8 to 14 points of
        sans-serif text that the seventh edition of the APA manual asks for; ``"slides"``, half and all of a slide of 254 mm,
        with thicker lines.
    changes : fields of FigureStyle that differ, e.g. ``text=7``.

    Use it for a block (``with al.figure_style("apa"): …``) or for the whole program (``al.figure_style("apa").use()``).
    Raises DataError for an unknown style or field, and as FigureStyle does.

    >>> figure_style("slides").double
    230.0
    >>> with figure_style("apa"):
    ...     text_size()
    9.0
    """
    if name not in STYLES:
        raise DataError(f"figure_style: no style {name!r}; there are {', '.join(STYLES)}")
    unknown = set(changes) - set(FigureStyle.__dataclass_fields__)
    if unknown:
        raise DataError(
            f"figure_style: no field {min(unknown)!r}; fields: {', '.join(FigureStyle.__dataclass_fields__)}"
        )
    return replace(STYLES[name], **changes)


def style_in_use() -> FigureStyle:
    """That of the innermost ``with`` block, else that of the last ``use()``, else ``"ptj"``."""
    return _IN_USE[-1]


def text_size() -> float:
    """Points of all text."""
    return style_in_use().text


def one_column() -> float:
    """mm of a figure of one column."""
    return style_in_use().single


def two_columns() -> float:
    """mm of a figure of two columns."""
    return style_in_use().double


def points(at_eight: float) -> float:
    """A length that goes with the text: so many points where the text has 8."""
    return at_eight * text_size() / TEXT
