"""Checks of printed test results: p against statistic, degrees of freedom or the numbers behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.models.audit.printed import Finding, Printed, Range, Verdict, reach, read_printed, span, verdict_of
from alliance_stats.numerics.distributions import chi2_p_value, f_p_value, t_p_value
from alliance_stats.render.numbers import p_value

COLUMNS = (
    "statistic", "df", "df2", "n", "mean", "sd", "n2", "mean2", "sd2", "printed", "low", "high",
)  # fmt: skip
WORDS = {"ns": (">", ".05"), "*": ("<", ".05"), "**": ("<", ".01"), "***": ("<", ".001")}
P_TEXT = re.compile(r"(?:p\s*)?([<>=≤≥]?)\s*([+-]?(?:\d+\.?\d*|\.\d+))", re.IGNORECASE)
LARGEST_DF_TRIED = 30


@dataclass(frozen=True)
class PrintedP:
    """A printed p-value and its relation: equal to, below or above."""

    relation: str
    number: Printed

    @property
    def range(self) -> Range:
        """The p-values that may be printed so."""
        if self.relation == "=":
            return Range(max(self.number.range.low, 0.0), min(self.number.range.high, 1.0))
        return Range(0.0, self.number.value) if self.relation == "<" else Range(self.number.value, 1.0)

    def __str__(self) -> str:
        text = f"{self.number.value:.{self.number.decimals}f}"
        return f"p {self.relation} {text.removeprefix('0') or text}"


@dataclass(frozen=True)
class PrintedTest:
    """One declared test: its kind, the printed numbers by column name (those that are there), and its p."""

    item: str
    kind: str
    numbers: Mapping[str, Printed]
    p: PrintedP | None
    sided: int = 2

    def __getitem__(self, name: str) -> Range:
        """Range of a printed number; counts and whole degrees of freedom are exact."""
        number = self.numbers[name]
        if name in ("n", "n2") or (name in ("df", "df2") and number.decimals == 0):
            return Range(number.value, number.value)
        return Range(max(number.range.low, 0.0), number.range.high) if name in ("sd", "sd2") else number.range

    def missing(self, *names: str) -> list[str]:
        """Those of the names that are not printed."""
        return [name for name in names if (self.p is None if name == "p" else name not in self.numbers)]


def read_tests(tests: Any, decimals: Mapping[str, int] | None = None) -> tuple[PrintedTest, ...]:
    """Declared tests from a frame or a list of mappings with ``item``, ``kind`` and the printed numbers."""
    frame = pd.DataFrame(tests)
    require_columns(frame.columns, ["item", "kind"], "tests")
    known = {*COLUMNS, "item", "kind", "p", "p_relation", "sided"}
    extra = [str(name) for name in frame.columns if name not in known]
    if extra:
        raise DataError(f"tests: columns {', '.join(extra)} are not used; known: {', '.join(sorted(known))}")
    return tuple(_read_test(row, decimals or {}) for row in frame.to_dict("records"))


def p_of_statistic(test: PrintedTest) -> Iterator[Finding]:
    """p recomputed from a statistic of kind t, z, F, chi2 or r and its degrees of freedom."""
    test = _with_df(test)
    needs = [name for name in ("statistic", "df", "df2") if name in ARGUMENTS[test.kind]]
    absent = test.missing(*needs, "p")
    if absent or test.p is None:
        yield not_printed(f"p of {test.kind}", test, absent)
        return
    arguments = [test["statistic"].size(), *(test[name] for name in needs[1:])]
    found = _p_range(test.kind, arguments, test.sided)
    detail = ""
    if not found.meets(test.p.range):
        wide = [arguments[0], *(_as_rounded(r) for r in arguments[1:])]
        if test.kind in ("t", "F", "r") and _p_range(test.kind, wide, test.sided).meets(test.p.range):
            yield p_finding(test, found, "consistent", "reached if the degrees of freedom were rounded")
            return
        detail = _hints(test, arguments, found)
    yield p_finding(test, found, verdict_of(not detail), detail)


def p_of_mean(test: PrintedTest) -> Iterator[Finding]:
    """p of a mean against zero (paired differences) from n, mean and SD."""
    absent = test.missing("mean", "sd", "n", "p")
    if absent or test.p is None:
        yield not_printed("p of a mean", test, absent)
        return
    t = reach(lambda m, s, n: m / (s / np.sqrt(n)), test["mean"], test["sd"], test["n"])
    df = test.numbers["n"].value - 1
    found = _p_range("t", [t.size(), Range(df, df)], test.sided)
    agrees = found.meets(test.p.range)
    detail = f"t({df:g}) = {span(t, 2)}" + ("" if agrees else decision(test.p, found))
    yield p_finding(test, found, verdict_of(agrees), detail)


def rmsea(test: PrintedTest) -> Iterator[Finding]:
    """RMSEA = √(max(0, χ² − df) / (df · (n − 1))); some programs divide by n."""
    absent = test.missing("statistic", "df", "n", "printed")
    if absent:
        yield not_printed("RMSEA", test, absent)
        return
    n, df = test.numbers["n"].value, test.numbers["df"].value
    found = reach(lambda x, m: np.sqrt(np.maximum(0, x - df) / (df * m)), test["statistic"], Range(n - 1, n))
    printed = test.numbers["printed"]
    agrees = found.meets(printed.range)
    least = int(np.ceil(test.numbers["statistic"].value))
    detail = f"an RMSEA of 0 needs χ² ≤ df, so df of {least} or more" if printed.value == 0 else ""
    text = span(found, max(3, printed.decimals))
    yield Finding("RMSEA", test.item, str(printed), text, verdict_of(agrees), "" if agrees else detail)


def not_printed(check: str, test: PrintedTest, absent: list[str]) -> Finding:
    """The row of a test that cannot be made."""
    detail = f"not reproducible from what is printed: {', '.join(absent)} missing"
    return Finding(check, test.item, "" if test.p is None else str(test.p), "", "no power", detail)


def p_finding(test: PrintedTest, found: Range, verdict: Verdict, detail: str, check: str = "") -> Finding:
    """The row of a p-value, with the recomputed one as text."""
    low, high = p_value(found.low), p_value(found.high)
    recomputed = low if low == high else f"{low} to {high}"
    name = check or ("p of a mean" if test.kind == "paired mean" else f"p of {test.kind}")
    return Finding(name, test.item, str(test.p), recomputed, verdict, detail)


def decision(p: PrintedP, found: Range) -> str:
    """Whether the recomputed p leads to another verdict at .05."""
    flips = (p.range.low >= 0.05 > found.high) or (p.range.high <= 0.05 < found.low)
    return "; the verdict at .05 changes" if flips else ""


ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "t": ("statistic", "df"), "z": ("statistic",), "chi2": ("statistic", "df"), "F": ("statistic", "df", "df2"),
    "r": ("statistic", "df"),
}  # fmt: skip
P_VALUES: Mapping[str, Callable[..., np.ndarray]] = {
    "t": t_p_value,
    "z": lambda z: t_p_value(z, np.inf),
    "chi2": chi2_p_value,
    "F": f_p_value,
    "r": lambda r, df: t_p_value(np.minimum(r, 1) * np.sqrt(df / np.maximum(1 - np.minimum(r, 1) ** 2, 1e-15)), df),
}


def _p_range(kind: str, arguments: list[Range], sided: int) -> Range:
    found = reach(P_VALUES[kind], *arguments)
    halves = 2.0 if sided == 1 and kind in ("t", "z", "r") else 1.0
    return Range(found.low / halves, found.high / halves)


def _hints(test: PrintedTest, arguments: list[Range], found: Range) -> str:
    assert test.p is not None
    low, high = p_value(found.low), p_value(found.high)
    parts = [f"the statistic gives p {low if low == high else f'{low} to {high}'}{decision(test.p, found)}"]
    if test.sided == 2 and test.kind in ("t", "z", "r") and _p_range(test.kind, arguments, 1).meets(test.p.range):
        parts.append("a one-sided test would give the printed p")
    if "df" in ARGUMENTS[test.kind] and test.p.relation == "=":
        tried = ((df, [arguments[0], Range(df, df), *arguments[2:]]) for df in range(1, LARGEST_DF_TRIED + 1))
        fitting = [df for df, a in tried if _p_range(test.kind, a, test.sided).meets(test.p.range)]
        if 0 < len(fitting) <= 3:
            parts.append(f"df = {' or '.join(map(str, fitting))} would give the printed p")
    return "; ".join(parts)


def _as_rounded(df: Range) -> Range:
    return Range(max(df.low - 0.5, 0.5), df.high + 0.5) if df.low == df.high else df


def _with_df(test: PrintedTest) -> PrintedTest:
    """A correlation has n − 2 degrees of freedom where they are not printed."""
    if test.kind != "r" or "df" in test.numbers or "n" not in test.numbers:
        return test
    df = Printed(test.numbers["n"].value - 2, 0)
    if df.value < 1:
        raise DataError(f"tests: {test.item}: a correlation needs at least 3 patients, n is {test.numbers['n']}")
    return PrintedTest(test.item, test.kind, {**test.numbers, "df": df}, test.p, test.sided)


def _read_test(row: Mapping[Any, Any], decimals: Mapping[str, int]) -> PrintedTest:
    item = str(row["item"])
    found = {name: read_printed(row.get(name), f"tests: {item}: {name}", decimals.get(name)) for name in COLUMNS}
    sided = row.get("sided", 2)
    sided = 2 if pd.isna(sided) else int(sided)
    if sided not in (1, 2):
        raise DataError(f"tests: {item}: sided is {sided}; use 1 or 2")
    numbers = {name: number for name, number in found.items() if number is not None}
    p = _read_p(row.get("p"), row.get("p_relation"), item, decimals.get("p"))
    test = PrintedTest(item, str(row["kind"]), numbers, p, sided)
    _require_possible(test)
    return test


def _require_possible(test: PrintedTest) -> None:
    least = {"df": 0.1, "df2": 0.1, "n": 2.0, "n2": 2.0, "sd": 0.0, "sd2": 0.0}
    if test.kind in ("chi2", "F", "rmsea"):
        least["statistic"] = 0.0
    for name, number in test.numbers.items():
        if name in least and number.value < least[name]:
            raise DataError(f"tests: {test.item}: {name} is {number}; it must be at least {least[name]:g}")


def _read_p(cell: Any, relation: Any, item: str, decimals: int | None) -> PrintedP | None:
    relation = "=" if relation is None or pd.isna(relation) else str(relation).strip()
    if isinstance(cell, str):
        word = cell.strip().lower().replace(".", "") if not any(c.isdigit() for c in cell) else ""
        given, cell = WORDS[word.strip("()")] if word.strip("()") in WORDS else _split_p(cell, item)
        relation = given or relation
    relation = {"≤": "<", "<=": "<", "≥": ">", ">=": ">"}.get(relation, relation)
    if relation not in ("=", "<", ">"):
        raise DataError(f"tests: {item}: p_relation is {relation!r}; use '=', '<' or '>'")
    number = read_printed(cell, f"tests: {item}: p", decimals)
    if number is not None and not 0 <= number.value <= 1:
        raise DataError(f"tests: {item}: p is {number}; it must lie between 0 and 1")
    return None if number is None else PrintedP(relation, number)


def _split_p(text: str, item: str) -> tuple[str, str]:
    match = P_TEXT.fullmatch(text.strip())
    if match is None:
        raise DataError(f"tests: {item}: p is {text!r}; write it as '.57', '< .001' or 'ns'")
    return match[1], match[2]
