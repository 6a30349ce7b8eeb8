"""What figures of residuals say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from alliance_stats.render.alt_words import counted, layers, listed, span, xlabel, ylabel
from alliance_stats.render.described import Described, Given
from alliance_stats.render.points import running_median
from alliance_stats.render.residuals import BEYOND, ENVELOPE
from alliance_stats.render.style import levels, name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def tell_residuals(ax: Axes, given: Given) -> Described:
    """The range of the residuals, and how far the running median bends."""
    drawn = given["augmented"].dropna(subset=["fitted", "residual"])
    median = running_median(given["augmented"])
    return Described(_against(ax, drawn, "residual", median), layers(row=drawn[["fitted", "residual"]], median=median))


def tell_residuals_fitted(ax: Axes, given: Given) -> Described:
    """As ``tell_residuals``, and how many lie beyond ±1.96."""
    column, by = given["column"], given["by"]
    drawn = given["frame"].dropna(subset=["fitted", column, *([by] if by else [])])
    far = f" {int(drawn[column].abs().gt(BEYOND).sum())} of {len(drawn)} lie beyond ±{BEYOND}."
    groups = f" Groups of {name_of(by)}: {listed([name_of(g) for g in levels(drawn[by])])}." if by else ""
    median = running_median(drawn, y=column)
    kept = drawn[[*([by] if by else []), "fitted", column]]
    return Described(_against(ax, drawn, column, median) + far + groups, layers(row=kept, median=median))


def _against(ax: Axes, drawn: pd.DataFrame, column: str, median: pd.DataFrame) -> str:
    start = f"{ylabel(ax)} ({span(drawn[column])}) against {xlabel(ax)} ({span(drawn['fitted'])})"
    between = span(median["median"]).replace(" to ", " and ")
    return f"{start}, {counted(len(drawn), 'point')}. The running median lies between {between}."


def tell_quantiles(ax: Axes, given: Given) -> Described:
    """How many values lie outside of the envelope."""
    drawn = given["frame"].dropna(subset=ENVELOPE)
    out = int((~drawn["observed"].between(drawn["conf_low"], drawn["conf_high"])).sum())
    start = f"Normal quantile plot of {counted(len(drawn), 'value')}, {span(drawn['observed'])}, {ylabel(ax)}."
    level = f"{100 * float(drawn['level'].iloc[0]):g} %"
    return Described(f"{start} {out} lie outside of the pointwise {level} envelope.", drawn.reset_index(drop=True))
