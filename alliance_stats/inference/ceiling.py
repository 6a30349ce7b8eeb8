"""What a scale's ceiling does to a coefficient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, require_columns
from alliance_stats.result import Result


def below_maximum(result: Result, column: str, *, maximum: float | None = None) -> pd.DataFrame:
    """The coefficients of a rating with a ceiling, from all rows and from those below the maximum.

    Ratings at the end of a scale are censored: the true value lies there or beyond, and slopes that use them are biased, by
    arm where the arms differ in the share at the maximum. Leaving these rows out keeps linear slopes unbiased and costs
    precision; a dummy variable for the maximum mends nothing (Rigobon & Stoker 2007, Int Econ Rev 48:1441–1467).

    ``maximum`` is the end of the scale, by default the largest value seen. Returns tidy rows of the terms with the rating,
    ``at`` saying which rows and how many. Raises AllianceError where nobody or nearly everybody is at the maximum.

    >>> from alliance_stats import LinearModel
    >>> data = pd.DataFrame({"pain": [6.0, 5, 4, 4, 3, 4], "alliance": [40.0, 44, 48, 52, 60, 60]})
    >>> below_maximum(LinearModel("pain ~ alliance").fit(data), "alliance")[["at", "estimate"]].round(3)
                       at  estimate
    0       all 6 ratings    -0.109
    1  4 ratings below 60    -0.175
    """
    require_columns(result.frame.columns, [column], "below_maximum")
    values = result.frame[column]
    end = float(values.max()) if maximum is None else maximum
    below = result.frame[values < end]
    if len(below) == len(values):
        raise AllianceError(
            f"below_maximum: no value of '{column}' is at {end:g}; give maximum=, or there is no ceiling"
        )
    inner = replace(result.model, prepare=()).fit(below)
    whole = _of_rating(result, column, f"all {len(values)} ratings")
    return pd.concat([whole, _of_rating(inner, column, f"{len(below)} ratings below {end:g}")], ignore_index=True)


def _of_rating(result: Result, column: str, at: str) -> pd.DataFrame:
    rows = result.estimates
    parts = rows["term"].map(lambda term: any(column in part for part in term.split(":")))
    return rows[np.asarray(parts)].assign(at=at)
