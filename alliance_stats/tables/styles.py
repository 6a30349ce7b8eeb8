"""How journals want numbers, symbols and titles: APA 7, JAMA, and the Physical Therapy Journal.

Sources: Publication Manual of the American Psychological Association, 7th ed., on decimal fractions, symbols and tables; AMA
Manual of Style, 11th ed., on tables, leading zeros and P values, which JAMA follows. The Physical Therapy Journal follows AMA;
its footnotes have "CI = confidence interval". Check a journal's current instructions before submission: they change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from alliance_stats.errors import AllianceError
from alliance_stats.render.numbers import fixed, p_value

StyleName = Literal["apa", "jama", "ptj"]
OPEN, CLOSE = "\ue000", "\ue001"  # private-use marks around what is printed in italics
MEANINGS = {"M": "mean", "Mdn": "median"}
LETTERS = frozenset({"b", "p", "SE", "M", "SD", "Mdn", "n", "N", "df", "t", "z", "F", "d", "r", "R", "k"})


@dataclass(frozen=True)
class Style:
    """One journal's habits."""

    name: str
    italics: frozenset[str]
    p: str
    bare_below_one: bool  # no zero before the point of r, R² and other numbers that cannot exceed 1
    brackets: tuple[str, str]
    between: str  # of the limits of an interval
    title_apart: bool  # the number in bold on a line of its own, the title in italics below
    note: str
    is_: str  # between an abbreviation and its meaning
    coarse_p: bool  # two decimals from .01 on

    def symbol(self, text: str) -> str:
        """A symbol, marked as italic where the style wants it: ``p``, ``SD``, ``n``."""
        shown = self.p if text == "p" else text
        return italic(shown) if text in self.italics else shown

    def summary(self, symbol: str) -> str:
        """``M`` or ``Mdn``, in words where the style has no such symbol."""
        return self.symbol(symbol) if symbol in self.italics else MEANINGS[symbol]

    def p_text(self, value: float) -> str:
        """A p-value without its symbol.

        >>> STYLES["apa"].p_text(0.0421), STYLES["jama"].p_text(0.0421), STYLES["jama"].p_text(0.0491)
        ('.042', '.04', '.049')
        """
        if not self.coarse_p or not np.isfinite(value):
            return p_value(value)
        if value < 0.001:
            return "<.001"
        if value > 0.99:
            return ">.99"
        decimals = 3 if value < 0.01 or f"{value:.2f}" == "0.05" else 2
        return f"{value:.{decimals}f}".lstrip("0")

    def p_clause(self, value: float) -> str:
        """A p-value with its symbol: ``p = .042``, ``p < .001``."""
        text = self.p_text(value)
        return f"{self.symbol('p')} {text}" if text[:1] in "<>" else f"{self.symbol('p')} = {text}"

    def bounded(self, value: float, decimals: int = 2) -> str:
        """A number that cannot exceed 1, such as a correlation.

        >>> STYLES["apa"].bounded(-0.421), STYLES["jama"].bounded(-0.421)
        ('−.42', '−0.42')
        """
        text = fixed(value, decimals)
        return text.replace("0.", ".", 1) if self.bare_below_one and text.lstrip("−").startswith("0.") else text

    def interval(self, low: str, high: str, *, alone: bool = False) -> str:
        """An interval from its limits as text; ``alone`` in a column of its own.

        >>> STYLES["apa"].interval("−0.61", "−0.23"), STYLES["jama"].interval("−0.61", "−0.23")
        ('[−0.61, −0.23]', '(−0.61 to −0.23)')
        """
        text = f"{low}{self.between}{high}"
        return text if alone and self.brackets[0] == "(" else self.brackets[0] + text + self.brackets[1]

    def abbreviations(self, meanings: dict[str, str]) -> str:
        """One sentence that explains abbreviations."""
        text = "; ".join(f"{self.symbol(short)}{self.is_}{long}" for short, long in meanings.items())
        return (f"Abbreviations: {text}." if self.is_ == ", " else f"{text}.") if text else ""


STYLES: dict[str, Style] = {
    "apa": Style("apa", LETTERS, "p", True, ("[", "]"), ", ", True, "Note.", " = ", False),
    "jama": Style("jama", frozenset({"p"}), "P", False, ("(", ")"), " to ", False, "", ", ", True),
    "ptj": Style("ptj", frozenset({"p"}), "P", False, ("(", ")"), " to ", False, "", " = ", True),
}


def style_named(name: str) -> Style:
    """The style of that name; AllianceError, listing the names, where there is none."""
    if name not in STYLES:
        raise AllianceError(f"style is {name!r}; use one of {', '.join(STYLES)}")
    return STYLES[name]


def italic(text: str) -> str:
    """Text marked to be printed in italics."""
    return f"{OPEN}{text}{CLOSE}"


def unmarked(text: str) -> str:
    """Text from outside, which may hold no marks.

    >>> unmarked(italic("p") + " value")
    'p value'
    """
    return text.replace(OPEN, "").replace(CLOSE, "")


def runs(text: str) -> list[tuple[str, bool]]:
    """Text in pieces, each with whether it is italic.

    >>> runs(italic("SD") + " of age")
    [('SD', True), (' of age', False)]
    """
    found: list[tuple[str, bool]] = []
    for i, part in enumerate(text.split(OPEN)):
        slanted, closed, rest = part.partition(CLOSE) if i else ("", "", part)
        if i and not closed:
            slanted, rest = "", part
        found += [(slanted, True)] * bool(slanted) + [(rest, False)] * bool(rest)
    return found
