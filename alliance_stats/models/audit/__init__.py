"""Do the printed numbers of a paper fit together? Every check says what it found, also where it has no power."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from alliance_stats.errors import DataError, require_columns
from alliance_stats.models.audit.cells import Cell, read_cells
from alliance_stats.models.audit.estimates import difference, estimate, ratio
from alliance_stats.models.audit.intervals import half_widths, interval_centres, means_inside
from alliance_stats.models.audit.printed import Finding
from alliance_stats.models.audit.spread import sd_against_interval, whole_number_totals
from alliance_stats.models.audit.tests import (
    COLUMNS,
    P_VALUES,
    PrintedTest,
    p_of_mean,
    p_of_statistic,
    read_tests,
    rmsea,
)
from alliance_stats.models.audit.totals import declared_totals

PRINTED_IN_TESTS = (*COLUMNS, "p")
ORDER = {"inconsistent": 0, "no power": 1, "consistent": 2}
CELL_CHECKS: tuple[Callable[[Sequence[Cell], float], Iterator[Finding]], ...] = (
    interval_centres, means_inside, half_widths, sd_against_interval, whole_number_totals,
)  # fmt: skip
TEST_CHECKS: Mapping[str, Callable[[PrintedTest, float], Iterator[Finding]]] = {
    **{kind: lambda test, level: p_of_statistic(test) for kind in P_VALUES},
    "paired mean": lambda test, level: p_of_mean(test),
    "rmsea": lambda test, level: rmsea(test),
    "estimate": estimate,
    "ratio": ratio,
    "difference": difference,
}


def audit_cells(
    table: pd.DataFrame, *, factors: str | tuple[str, ...] = "group", n: str = "n", mean: str = "mean",
    sd: str | None = None, low: str | None = None, high: str | None = None, level: float = 0.95,
    items: int | str | None = None, decimals: Mapping[str, int] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Check a table of cell means against itself.

    Parameters
    ----------
    table : one row a cell, as printed. A numeric column is taken to be printed with the decimals of its most precise
        number; text cells such as ``"2.0"`` speak for themselves.
    factors, n, mean, sd, low, high : the columns of the table; None for what is not printed.
    level : confidence level of the printed intervals.
    items : where the outcome is a mean of whole-number items, how many (or the column that holds it; 1 for a
        whole-number score): checks that the mean can occur at all. Left out for a continuous outcome.
    decimals : decimals of columns, e.g. ``{"mean": 1}``.

    Returns
    -------
    One row a check, in the columns ``check item printed recomputed verdict detail``, findings first. A verdict is
    "inconsistent" only where no values that round to the printed ones could fit; "no power" says that the check
    cannot fail, or that a number is missing.

    Raises DataError for a missing column or a cell that is no number. Source of the item check: Brown & Heathers 2017,
    doi 10.1177/1948550616673876.

    >>> printed = pd.DataFrame({"group": ["SL"], "n": [29], "mean": [0.3], "low": [0.2], "high": [0.8]})
    >>> print(audit_cells(printed, low="low", high="high").loc[0, "detail"])
    the centre is 0.20 above the mean; with low = −0.2 it is at the mean
    """
    columns = {"n": n, "mean": mean, "sd": sd, "low": low, "high": high}
    _require_known(decimals or {}, [str(name) for name in table.columns])
    cells = read_cells(table, (factors,) if isinstance(factors, str) else factors, columns, items, decimals)
    return _frame([row for check in CELL_CHECKS for row in check(cells, level)])


def audit_tests(tests: Any, *, level: float = 0.95, decimals: Mapping[str, int] | None = None) -> pd.DataFrame:
    """Check printed test results against the numbers they were made from.

    ``tests`` is a frame or a list of mappings with ``item``, ``kind`` and what that kind needs:

    - ``t z F chi2 r``: ``statistic``, ``df`` (and ``df2``; ``n`` will do for r), ``p``;
    - ``paired mean``: ``mean``, ``sd``, ``n``, ``p``;
    - ``rmsea``: ``statistic`` (χ²), ``df``, ``n``, ``printed``;
    - ``estimate``, ``ratio``: ``printed``, ``low``, ``high``, and if printed ``p`` with ``df``;
    - ``difference``: ``n mean sd n2 mean2 sd2``, and if printed ``printed``, ``low``, ``high``, ``p``.

    ``p`` is a number or a text such as ``".57"``, ``"< .001"``, ``"ns"`` (p > .05) or ``"*"`` (p < .05); ``p_relation``
    and ``sided`` are optional. Every number stands for itself: give text (``"4.00"``) where the last decimals are
    zero, since a float would be taken as rounded more coarsely. Returns the frame of ``audit_cells``; raises DataError
    for unknown kinds and columns. Compare Nuijten et al. 2016, doi 10.3758/s13428-015-0664-2.

    >>> fit = {"item": "path model", "kind": "chi2", "statistic": 3.86, "df": 3, "p": ".57"}
    >>> print(audit_tests([fit]).loc[0, "detail"])
    the statistic gives p .276 to .278; df = 5 would give the printed p
    """
    _require_known(decimals or {}, PRINTED_IN_TESTS)
    declared = read_tests(tests, decimals)
    unknown = sorted({test.kind for test in declared} - set(TEST_CHECKS))
    if unknown:
        raise DataError(f"tests: kind {', '.join(map(repr, unknown))} is unknown; use one of {', '.join(TEST_CHECKS)}")
    return _frame([row for test in declared for row in TEST_CHECKS[test.kind](test, level)])


def audit_totals(totals: Any) -> pd.DataFrame:
    """Check printed sums and differences.

    ``totals`` is a frame or a list of mappings with ``item``, ``parts`` (``"54 + 73"``, ``"5.13 - 4.89"`` or a tuple
    of numbers) and ``printed``. Whole numbers are counts, hence exact; numbers with decimals, or with
    ``kind="rounded"`` (percentages), stand for all that round to them. Returns the frame of ``audit_cells``; raises
    DataError for parts that cannot be read.

    >>> audit_totals([{"item": "patients", "parts": "54 + 73", "printed": 117}])["recomputed"].to_list()
    ['54 + 73 = 127']
    """
    return _frame(list(declared_totals(totals)))


def audit(
    table: pd.DataFrame, *, tests: Any = None, totals: Any = None, decimals: Mapping[str, int] | None = None,
    level: float = 0.95, **columns: Any,
) -> pd.DataFrame:  # fmt: skip
    """All checks of a paper in one frame: ``audit_cells``, ``audit_tests`` and ``audit_totals``, findings first.

    >>> printed = pd.DataFrame({"group": ["AL", "SL"], "n": [30, 29], "mean": [5.0, 4.0], "sd": [2.0, 2.1]})
    >>> audit(printed, sd="sd", totals=[{"item": "patients", "parts": "30 + 29", "printed": 59}])["verdict"].to_list()
    ['consistent']
    """
    decimals = decimals or {}
    _require_known(decimals, [*map(str, table.columns), *(PRINTED_IN_TESTS if tests is not None else ())])
    in_table, in_tests = ({k: d for k, d in decimals.items() if k in names} for names in (table, PRINTED_IN_TESTS))
    frames = [audit_cells(table, level=level, decimals=in_table, **columns)]
    if tests is not None:
        frames.append(audit_tests(tests, level=level, decimals=in_tests))
    if totals is not None:
        frames.append(audit_totals(totals))
    return _frame([Finding(*row) for frame in frames for row in frame.itertuples(index=False, name=None)])


def _require_known(decimals: Mapping[str, int], names: Sequence[str]) -> None:
    require_columns(names, decimals, "decimals")


def _frame(rows: list[Finding]) -> pd.DataFrame:
    ordered = sorted(rows, key=lambda row: ORDER[row.verdict])
    return pd.DataFrame(ordered, columns=list(Finding._fields)).astype("str")
