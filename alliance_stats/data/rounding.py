"""How many decimals printed numbers carry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def decimals_of(column: pd.Series[Any]) -> int:
    """Decimals of a column of printed numbers: those of the number with the most.

    >>> decimals_of(pd.Series([18.3, 10.0, 31.25]))
    2
    """
    return max((_decimals(value) for value in column.dropna()), default=0)


def _decimals(value: Any) -> int:
    text = np.format_float_positional(float(value), trim="-")
    return len(text.partition(".")[2])
