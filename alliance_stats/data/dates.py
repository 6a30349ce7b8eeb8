"""SPSS and Stata keep dates as numbers counted from an origin of their own; here they become datetimes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, np.dtype[np.float64]]

_SPSS_ORIGIN = np.datetime64("1582-10-14", "us")
_STATA_ORIGIN = np.datetime64("1960-01-01", "us")
_SPSS_DATES = {"DATE", "ADATE", "EDATE", "JDATE", "SDATE", "QYR", "MOYR", "WKYR", "DATETIME", "YMDHMS"}
_SPSS_TIMES = {"TIME", "DTIME", "MTIME"}
_SECOND, _DAY = 1_000_000, 86_400_000_000
# Months in a Stata unit: %tm, %tq and %th count from January 1960.
_STATA_MONTHS = {"m": 1, "q": 3, "h": 6}


def spss_dates(values: Array, format: str) -> pd.Series | None:
    """Datetimes or durations of an SPSS column (seconds since 14 October 1582), or None for another format."""
    kind = re.sub(r"[\d.]+$", "", format.upper())
    if not _in_reach(values, _SECOND):
        return None
    if kind in _SPSS_DATES:
        return pd.Series(_SPSS_ORIGIN + _steps(values, _SECOND))
    if kind in _SPSS_TIMES:
        return pd.Series(_steps(values, _SECOND))
    return None


def stata_dates(values: Array, format: str) -> pd.Series | None:
    """Datetimes of a Stata column, the first day for weeks to half-years; None for another format.

    A column of years (%ty) holds the years themselves and stays a number. The leap seconds that %tC counts (27 of them up
    to 2017) are not taken off.
    """
    match = re.match(r"%-?(?:t([dcCwmqh])|d)", format)
    if not match:
        return None
    unit = match[1] or "d"
    if not _in_reach(values, 1000 if unit in "cC" else 200 * _DAY):  # a half-year has fewer than 200 days
        return None
    if unit in _STATA_MONTHS:
        months = np.datetime64("1960-01", "M") + _whole(values * _STATA_MONTHS[unit]).astype("timedelta64[M]")
        return pd.Series(months.astype("datetime64[us]"))
    if unit == "w":  # Stata's weeks begin with each year; the last of a year has 8 or 9 days
        years = np.datetime64("1960", "Y") + _whole(np.floor_divide(values, 52)).astype("timedelta64[Y]")
        return pd.Series(years.astype("datetime64[us]") + _steps(np.mod(values, 52), 7 * _DAY))
    return pd.Series(_STATA_ORIGIN + _steps(values, _DAY if unit == "d" else 1000))


def _in_reach(values: Array, microseconds: int) -> bool:
    """Whether a count of microseconds can hold every value; numbers that are no dates stay numbers."""
    return bool((np.abs(values[~np.isnan(values)]) < 2.0**62 / microseconds).all())


def _steps(values: Array, microseconds: int) -> np.ndarray[Any, Any]:
    return _whole(np.round(values * microseconds)).astype("timedelta64[us]")


def _whole(values: Array) -> np.ndarray[Any, Any]:
    """Whole numbers, with the least int64, which numpy reads as not-a-time, where none is known."""
    known = np.isfinite(values)
    whole = np.full(values.shape, np.iinfo(np.int64).min)
    whole[known] = values[known].astype(np.int64)
    return whole
