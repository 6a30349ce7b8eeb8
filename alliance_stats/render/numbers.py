"""How a number is written: enough digits to use, never more than it carries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd


def number(value: Any, digits: int = 3) -> str:
    """Three significant digits, whole numbers above 100 without decimals, missing as an empty string.

    >>> [number(v) for v in (0.01234, 2.5, 123.456, 1160, float("nan"), True)]
    ['0.0123', '2.50', '123', '1160', '', 'yes']
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return f"{value:d}"
    if value is None or not np.isfinite(value):
        return "" if value is None or np.isnan(value) else ("∞" if value > 0 else "−∞")
    return _minus(_digits(float(value), digits))


def whole(value: Any) -> str:
    """Counts and degrees of freedom: whole where they are whole, else one decimal.

    >>> whole(113.0), whole(13.124)
    ('113', '13.1')
    """
    if isinstance(value, str) or not np.isfinite(value):
        return number(value)
    return f"{value:.0f}" if np.isclose(value, round(value), atol=1e-6) else f"{value:.1f}"


def p_value(value: float) -> str:
    """APA style: no leading zero, three decimals, never 0.

    >>> p_value(0.0421), p_value(1e-300), p_value(1.0)
    ('.042', '< .001', '> .999')
    """
    if not np.isfinite(value):
        return ""
    if value < 0.001:
        return "< .001"
    return "> .999" if value > 0.999 else f"{value:.3f}".lstrip("0")


def fixed(value: float, decimals: int = 2) -> str:
    """A fixed number of decimals with a true minus sign, for sentences.

    >>> fixed(-0.256)
    '−0.26'
    """
    return "" if not np.isfinite(value) else _minus(f"{value:.{decimals}f}")


def with_interval(estimate: float, low: float, high: float) -> str:
    """An estimate with its interval, all in two significant digits of the half-width, so that no digit is pretended.

    >>> with_interval(-0.4213, -0.7, -0.1), with_interval(12.5, 9.5, 15.5), with_interval(0.2, float("nan"), float("nan"))
    ('−0.42 [−0.70, −0.10]', '12.5 [9.5, 15.5]', '0.200')
    """
    if np.isnan(estimate):
        return "not estimated"
    if np.isnan(low) or np.isnan(high):
        return number(estimate)
    half = (high - low) / 2
    places = 1 - int(np.floor(np.log10(half))) if 0 < half < np.inf else -99
    if not 0 <= places <= 6 or abs(estimate) > 1e9:
        return f"{number(estimate)} [{number(low)}, {number(high)}]"
    # One more digit where an end that is not 0 would print as 0.
    places += any(value != 0 and round(value, places) == 0 for value in (estimate, low, high))
    return f"{fixed(estimate, places)} [{fixed(low, places)}, {fixed(high, places)}]"


def with_intervals(rows: pd.DataFrame) -> list[str]:
    """``with_interval`` of every row of ``estimate conf_low conf_high``."""
    values = rows[["estimate", "conf_low", "conf_high"]].astype(float)
    return [with_interval(*row) for row in values.itertuples(index=False)]


def percent(share: float) -> str:
    """A share as a percentage.

    >>> percent(0.254)
    '25 %'
    """
    return "" if not np.isfinite(share) else f"{100 * share:.0f} %"


def _digits(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))  # 0.9996 is 1.00, not 1.000
    if size < -5 or size > 9:
        return f"{value:.{digits - 1}e}"
    if value == round(value) and abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{value:.{max(digits - 1 - size, 0)}f}"


def _minus(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") and float(text) != 0 else text.lstrip("-")
