"""Random effects in lme4's notation: the bars are split off here, formulaic does the fixed part.

``(1 + x | g)`` correlated effects, ``(x || g)`` uncorrelated ones, ``(0 + x | g)`` without intercept, ``a/b`` nesting,
``a:b`` the combination of two factors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, FormulaError

NAME = re.compile(r"`[^`]+`|(?:[^\W\d]|\.)[\w.]*")
GROUP = re.compile(rf"\s*(?:{NAME.pattern})(?:\s*[:/]\s*(?:{NAME.pattern}))*\s*")
PROTECTED = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"")
SIGNED = {"0": "0", "1": "1", "-0": "1", "-1": "0"}


@dataclass(frozen=True)
class RandomTerm:
    """Effects that vary over the groups of one factor: the right-hand side that makes their columns, and the factor's parts.

    ``apart`` marks an effect that a double bar keeps uncorrelated with the others.
    """

    effects: str
    parts: tuple[str, ...]
    apart: bool = field(default=False, repr=False)

    @property
    def group(self) -> str:
        """Name of the grouping factor, e.g. ``therapist:patient``."""
        return ":".join(self.parts)

    def __str__(self) -> str:
        return f"({self.effects} | {self.group})"


def split_bars(text: str) -> tuple[str, tuple[RandomTerm, ...]]:
    """The formula without its bars, and its random terms.

    Raises FormulaError where a bar is not inside parentheses, or what follows it is not a grouping factor.

    >>> split_bars("pain ~ week + (1 + week | patient) + (1 | clinic/therapist)")
    ('pain ~ week', (RandomTerm(effects='1 + week', parts=('patient',)), RandomTerm(effects='1', parts=('clinic',)), \
RandomTerm(effects='1', parts=('clinic', 'therapist'))))
    """
    masked = _masked(text)
    cut = masked.index("~") if "~" in masked else len(text)
    left, tilde, right = text[:cut], text[cut : cut + 1], text[cut + 1 :]
    fixed: list[str] = []
    found: list[RandomTerm] = []
    for part in _summands(right):
        inner = part.strip()
        if "|" in _masked(inner):
            found.extend(_terms(inner, text))
        else:
            fixed.append(part)
    kept = "".join(fixed).strip().lstrip("+").strip() or "1"
    return f"{left.strip()} ~ {kept}" if tilde else text, tuple(found)


def group_codes(frame: pd.DataFrame, parts: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Group of each row as an integer from 0, and the groups' names in that order; combined factors joined by a colon.

    A row without a label in one of the parts has −1. Raises DataError for groups that are measurements, not labels.

    >>> group_codes(pd.DataFrame({"clinic": ["b", "a", None], "therapist": [1, 1, 2]}), ("clinic", "therapist"))[1]
    ('a:1', 'b:1')
    """
    codes, names = _labels(frame[parts[0]], parts[0])
    for part in parts[1:]:
        inner, inner_names = _labels(frame[part], part)
        both = np.where((codes < 0) | (inner < 0), -1, codes * len(inner_names) + inner)
        seen = np.unique(both[both >= 0])
        codes = np.where(both < 0, -1, np.searchsorted(seen, both))
        names = [f"{names[i // len(inner_names)]}:{inner_names[i % len(inner_names)]}" for i in seen]
    return codes, tuple(names)


def _labels(column: pd.Series[Any], name: str) -> tuple[np.ndarray, list[str]]:
    if pd.api.types.is_float_dtype(column):
        known = column.dropna().to_numpy(dtype=float)
        if not (np.isfinite(known) & (known == np.round(known))).all():
            raise DataError(f"grouping factor '{name}' holds fractions; groups are labels: give whole numbers or text")
        column = column.astype("Int64")  # 1.0 and 1 are the same patient
    codes, labels = pd.factorize(column, sort=True)
    return np.asarray(codes), [str(label) for label in labels]


def _summands(right: str) -> Iterator[str]:
    """Pieces between the plus and minus signs outside parentheses; each keeps its sign."""
    masked, depth, start = _masked(right), 0, 0
    for i, character in enumerate(masked):
        depth += (character == "(") - (character == ")")
        if character in "+-" and depth == 0:
            yield right[start:i]
            start = i
    yield right[start:]


def _masked(text: str) -> str:
    """Names in backticks and texts in quotes as letters, at the same length."""
    return PROTECTED.sub(lambda found: "q" * len(found[0]), text)


def _terms(part: str, text: str) -> Iterator[RandomTerm]:
    inner = part.lstrip("+").strip()
    if part.startswith("-") or not (inner.startswith("(") and inner.endswith(")")):
        raise FormulaError(
            f"formula {text!r}: write random effects in parentheses, (1 + x | group); found {part.strip()!r}"
        )
    inner = inner[1:-1]
    bar = _masked(inner).index("|")
    apart = inner[bar : bar + 2] == "||"
    effects, factor = inner[:bar].strip(), inner[bar + (2 if apart else 1) :]
    if not effects or not GROUP.fullmatch(factor):
        raise FormulaError(
            f"formula {text!r}: cannot read {part.strip()!r}; write (1 + x | group), a group being one column, a:b or a/b"
        )
    for parts in _groups(factor):
        yield from (RandomTerm(e, parts, apart) for e in (_apart(effects, part, text) if apart else [effects]))


def _groups(factor: str) -> Iterator[tuple[str, ...]]:
    """``a/b`` is a and a:b."""
    names: tuple[str, ...] = ()
    for found in re.finditer(rf"({NAME.pattern})\s*([:/]|$)", factor.strip()):
        names += (found[1].strip("`"),)
        if found[2] != ":":
            yield names


def _apart(effects: str, part: str, text: str) -> list[str]:
    """``1 + x`` as ``1`` and ``0 + x``, each with a variance of its own."""
    pieces = [re.sub(r"^([+-]?)\s*", r"\1", piece.strip()).lstrip("+") for piece in _summands(effects)]
    named = [piece for piece in pieces if piece and piece not in SIGNED]
    if any(piece.startswith("-") or re.search(r"[*^/]|%in%", _outside(piece)) for piece in named):
        raise FormulaError(
            f"formula {text!r}: '||' wants effects joined by plus signs, (1 + x + z + x:z || group); found {part.strip()!r}"
        )
    without = any(SIGNED.get(piece) == "0" for piece in pieces)
    return [*([] if without else ["1"]), *(f"0 + {piece}" for piece in named)]


def _outside(piece: str) -> str:
    """An effect without what stands inside its parentheses."""
    masked, depth, kept = _masked(piece), 0, ""
    for character in masked:
        depth += character == "("
        kept += character if depth == 0 else ""
        depth -= character == ")"
    return kept
