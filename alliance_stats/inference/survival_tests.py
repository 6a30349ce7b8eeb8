"""Tests that groups have the same survival (log-rank) or the same cumulative incidence (Gray), as functions of frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.inference.survival_rows import Rows, noted, read_rows
from alliance_stats.numerics.distributions import chi2_p_value
from alliance_stats.numerics.survival import group_tests


def log_rank(
    frame: pd.DataFrame, outcome: str, *, by: str, strata: str | None = None, rho: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Log-rank test that groups have the same hazard, and what was observed and expected in each.

    ``rho=0`` is the log-rank test, ``rho=1`` Peto and Peto's, which weighs early events more. With ``strata`` groups are
    compared within strata. Returns the test, ``statistic df p_value``, and ``group n n_event expected``. Source:
    Harrington & Fleming 1982, doi 10.1093/biomet/69.3.553.

    >>> visits = pd.DataFrame({"time": [2, 3, 4, 5, 6, 7], "dropped": [1, 1, 1, 1, 0, 0], "arm": list("aababb")})
    >>> log_rank(visits, "Surv(time, dropped)", by="arm")[0].round(2).values.tolist()
    [[2.56, 1.0, 0.11]]
    """
    rows = read_rows(frame, outcome, by, strata=strata)
    observed, expected = np.zeros(len(rows.labels)), np.zeros(len(rows.labels))
    covariance = np.zeros((len(rows.labels), len(rows.labels)))
    for mine in _strata(rows, strata):
        at_risk, events = _table(rows, mine, 1)
        found = group_tests.log_rank(at_risk, events[0], rho)
        observed, expected, covariance = observed + found[0], expected + found[1], covariance + found[2]
    groups = pd.DataFrame(
        {
            "group": pd.array(rows.labels, dtype="str"), "n": np.bincount(rows.groups, minlength=len(rows.labels)),
            "n_event": observed, "expected": expected,
        }
    )  # fmt: skip
    return _test(observed - expected, covariance, rows), noted(groups, rows.notes)


def gray_test(
    frame: pd.DataFrame, outcome: str, *, by: str, strata: str | None = None, rho: float = 0.0
) -> pd.DataFrame:
    """Gray's test that groups have the same cumulative incidence, for every cause: ``cause statistic df p_value``.

    ``outcome`` as for `aalen_johansen`, one row a patient. With ``strata`` groups are compared within strata; ``rho`` weighs
    early events more, as (1 − F)^rho. Source: Gray 1988, doi 10.1214/aos/1176350951; the numbers are those of cmprsk's cuminc.
    """
    rows = read_rows(frame, outcome, by, kinds=True, strata=strata)
    if rows.start is not None:
        raise DataError(f"gray_test: {outcome} has late entry; the test takes Surv(time, status), one row a patient")
    out = []
    for kind, name in enumerate(rows.names):
        score, covariance = np.zeros(len(rows.labels)), np.zeros((len(rows.labels), len(rows.labels)))
        for mine in _strata(rows, strata):
            at_risk, events = _table(rows, mine, len(rows.names))
            if not events[kind].any():
                continue
            others = events.sum(axis=0) - events[kind]
            found = group_tests.gray(at_risk, np.stack([events[kind], others]), rho)
            score, covariance = score + found[0], covariance + found[1]
        test = _test(score, covariance, rows)
        test.insert(0, "cause", pd.Series([str(name)], dtype="str"))
        out.append(test)
    return noted(pd.concat(out, ignore_index=True), rows.notes)


def _strata(rows: Rows, strata: str | None) -> Iterator[np.ndarray]:
    if len(rows.labels) < 2:
        raise DataError(f"a test needs two or more groups; there is only {rows.labels[0]!r}")
    codes = np.zeros(len(rows.stop), dtype=int) if strata is None else rows.frame[strata].factorize()[0]
    for code in range(codes.max() + 1):
        mine = np.asarray(codes == code)
        if (rows.kinds[mine] > 0).any():
            yield mine


def _table(rows: Rows, mine: np.ndarray, n_kinds: int) -> tuple[np.ndarray, np.ndarray]:
    start = None if rows.start is None else rows.start[mine]
    return group_tests.table(rows.stop[mine], rows.kinds[mine], rows.groups[mine], len(rows.labels), start, n_kinds)


def _test(difference: np.ndarray, covariance: np.ndarray, rows: Rows) -> pd.DataFrame:
    statistic, df = group_tests.quadratic(difference, covariance)
    if df == 0:
        raise DataError("the groups were never at risk together at an event; they cannot be compared")
    return noted(
        pd.DataFrame({"statistic": [statistic], "df": [df], "p_value": chi2_p_value([statistic], df)}), rows.notes
    )
