"""Agreement of raters, or of two sittings: the intraclass correlations of Shrout and Fleiss."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.instruments.answers import Items, item_columns, numbers
from alliance_stats.instruments.checks import require_level
from alliance_stats.numerics.distributions import f_p_value
from alliance_stats.numerics.reliability import intraclass

MEANINGS = {
    "ICC1": "one rating, raters differ between patients",
    "ICC2": "one rating, raters a sample; absolute agreement",
    "ICC3": "one rating, these raters; consistency",
    "ICC1k": "mean of the raters, raters differ between patients",
    "ICC2k": "mean of the raters, raters a sample; absolute agreement",
    "ICC3k": "mean of the raters, these raters; consistency",
}
Z = 1.959963984540054


def rater_agreement(frame: pd.DataFrame, ratings: Items, *, level: float = 0.95) -> pd.DataFrame:
    """Intraclass correlations between the columns of a frame: raters of the same patients, or test and retest.

    Parameters
    ----------
    frame : one row a patient (what is rated).
    ratings : the columns, one a rater or sitting, at least two: a list, or a pattern such as ``"siras_rater{}"``.
    level : confidence level.

    Returns
    -------
    Six rows, ``coefficient`` ICC1, ICC2, ICC3 (one rating) and ICC1k, ICC2k, ICC3k (mean of the k raters), with ``meaning
    estimate statistic df1 df2 p_value conf_low conf_high interval sem mdc95 n raters left_out``. The F test is of no
    agreement; ``sem`` is the standard error of measurement in the unit of the rating (√ of the error variance that the
    coefficient counts; ICC2 counts the differences between raters too) and ``mdc95`` = 1.96·√2·sem the smallest change beyond
    it. Rows with a missing rating are left out and counted. This is another quantity than ``icc``, which takes a mixed model
    apart; with one random intercept and as many ratings for each patient that one estimates ICC1.

    Raises DataError for fewer than 2 raters or 3 complete patients, and where all ratings are equal.

    Source: Shrout & Fleiss 1979, doi 10.1037/0033-2909.86.2.420.

    >>> frame = pd.DataFrame({"first": [9, 6, 8, 7, 10, 6], "second": [2, 1, 4, 1, 5, 2], "third": [5, 3, 6, 2, 6, 4]})
    >>> rater_agreement(frame, ["first", "second", "third"])["estimate"].round(2).tolist()
    [-0.02, 0.22, 0.79, -0.06, 0.46, 0.92]
    """
    require_level(level)
    columns = item_columns(frame, ratings, "rater_agreement")
    if len(columns) < 2:
        raise DataError(f"rater_agreement: ratings= names {len(columns)} column; two or more raters are needed")
    x = numbers(frame, columns, "rater_agreement")
    complete = x[~np.isnan(x).any(axis=1)]
    if len(complete) < 3:
        raise DataError(f"rater_agreement: {len(complete)} rows have all {len(columns)} ratings; at least 3 are needed")
    if not np.isfinite(complete).all():
        raise DataError("rater_agreement: a rating is infinite; mend it or make it missing")
    if np.ptp(complete) == 0:
        raise DataError(
            f"rater_agreement: every rating is {complete[0, 0]:g}; there is nothing to tell patients apart by"
        )
    found = intraclass(complete, level)
    table = pd.DataFrame(
        [
            (name, MEANINGS[name], a.icc, a.F, a.df1, a.df2, float(f_p_value(a.F, a.df1, a.df2)), a.low, a.high, "F", a.sem)
            for name, a in found.items()
        ],
        columns=["coefficient", "meaning", "estimate", "statistic", "df1", "df2", "p_value", "conf_low", "conf_high",
                 "interval", "sem"],
    )  # fmt: skip
    left_out = len(x) - len(complete)
    table = table.assign(mdc95=Z * 2**0.5 * table["sem"], n=len(complete), raters=len(columns), left_out=left_out)
    lost = f"{left_out} row{'s' * (left_out > 1)} with a missing rating left out"
    table.attrs["notes"] = (lost,) if left_out else ()
    return table
