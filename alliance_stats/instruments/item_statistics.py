"""The items of a scale, one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.instruments.answers import numbers
from alliance_stats.instruments.checks import Scales, scales
from alliance_stats.numerics.reliability import alpha_without, item_rest_of


def item_statistics(frame: pd.DataFrame, items: Scales) -> pd.DataFrame:
    """Every item of a scale: ``scale item n missing mean sd item_rest alpha_without``.

    ``mean`` and ``sd`` are of the answered rows (n); ``item_rest``, the correlation with the sum of the other items, and
    ``alpha_without``, alpha when the item is left out, of the rows without a missing answer. Raises as ``alpha`` does.

    >>> rng = np.random.default_rng(1)
    >>> bond = rng.normal(size=100)
    >>> frame = pd.DataFrame({f"wai_{i}": bond + rng.normal(size=100) for i in (3, 5, 7, 9)})
    >>> item_statistics(frame, "wai_{}")["item_rest"].round(2).tolist()
    [0.59, 0.53, 0.69, 0.53]
    """
    parts = []
    for scale, columns, x, _ in scales(frame, items, "item_statistics", 2):
        S, all_rows = np.cov(x, rowvar=False), numbers(frame, columns, "item_statistics")
        answered = (~np.isnan(all_rows)).sum(axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "scale": scale,
                    "item": columns,
                    "n": answered,
                    "missing": len(all_rows) - answered,
                    "mean": np.nanmean(all_rows, axis=0),
                    "sd": np.nanstd(all_rows, axis=0, ddof=1),
                    "item_rest": item_rest_of(S),
                    "alpha_without": alpha_without(S),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
