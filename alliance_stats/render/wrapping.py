"""Text measured and broken into lines, in the font of the figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from alliance_stats.render.figure_style import style_in_use

BRACKETS = 20  # characters in brackets that are not broken


def text_width(text: str, size: float | None = None) -> float:
    """Width of one line in points, in the font of the style; ``size`` in points, without it that of the style."""
    style = style_in_use()
    return _width(text, style.text if size is None else size, style.font)


@cache
def _width(text: str, size: float, font: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return float(
        text_to_path.get_text_width_height_descent(text, FontProperties(family=font, size=size), ismath=False)[0]
    )


def wrap(text: str, points: float, size: float | None = None) -> str:
    """Lines no wider than so many points, broken at blanks, then after ``_ : / -``, then anywhere.

    >>> wrap("bond between patient and therapist", 80)
    'bond between\\npatient and\\ntherapist'
    """
    return "\n".join(_wrapped(line, points, size) for line in text.split("\n"))


def _wrapped(line: str, points: float, size: float | None) -> str:
    done: list[str] = []
    now = ""
    for piece in _pieces(line, points, size):
        if now and text_width((now + piece).rstrip(), size) > points:
            done, now = [*done, now.rstrip()], ""
        now += piece
    return "\n".join([*done, now.rstrip()])


def _pieces(line: str, points: float, size: float | None) -> Iterator[str]:
    """Words with the blank after them; a word too wide for a line in parts, one too wide even so in slices."""
    for word in _words(line, points, size):
        for part in [word] if text_width(word.rstrip(), size) <= points else re.split(r"(?<=[_:/-])(?=\S)", word):
            rest = part
            while len(rest.rstrip()) > 1 and text_width(rest.rstrip(), size) > points:
                fits = max([k for k in range(1, len(rest)) if text_width(rest[:k], size) <= points], default=1)
                yield rest[:fits]
                rest = rest[fits:]
            yield rest


def _words(line: str, points: float, size: float | None) -> Iterator[str]:
    """Words with the blank after them; a percentage and what stands in brackets count as one word where they fit on a line."""
    for word in re.findall(rf"\([^()]{{1,{BRACKETS}}}\)\S*\s*|\S+(?: %)?\s*", line):
        yield from [word] if text_width(word.rstrip(), size) <= points else re.findall(r"\S+\s*", word)
