"""The foot of a table of models: sizes, likelihood and shares of variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.render.labels import readable
from alliance_stats.render.numbers import fixed, number, whole
from alliance_stats.result import GLANCE, Result
from alliance_stats.tables.styles import Style

FIT = ("n_obs", "log_likelihood", "criterion", "aic", "icc", "r2_marginal", "r2_conditional", "r2_adjusted")
BOUNDED = ("icc", "r2_marginal", "r2_conditional", "r2_adjusted")
SMALL = (0.0005, 0.005)  # where two decimals would be zeros, and three are not
LABELS = {
    "log_likelihood": "Log-likelihood", "criterion": "REML criterion", "deviance": "−2 log-likelihood",
    "aic": "AIC", "bic": "BIC", "icc": "ICC", "r2_marginal": "Marginal {R}²", "r2_conditional": "Conditional {R}²",
    "r2_adjusted": "Adjusted {R}²",
    "sigma": "Residual {SD}", "df_residual": "Residual {df}",
}  # fmt: skip


def fit_names(results: Sequence[Result], fit: Sequence[str]) -> list[str]:
    """The columns of ``glance()`` to print, those that some result has."""
    unknown = [name for name in fit if name not in ("n_obs", *GLANCE)]
    if unknown:
        raise AllianceError(f"fit: {unknown[0]!r} is no column of glance(); use some of n_obs, {', '.join(GLANCE)}")
    counts = dict.fromkeys(str(n) for r in results for n in r.statistics if str(n).startswith("n_") and n != "n_obs")
    wanted = [part for name in fit for part in ([name, *counts] if name == "n_obs" else [name])]
    return [name for name in wanted if any(_value(result, name) is not None for result in results)]


def fit_cells(results: Sequence[Result], names: Sequence[str], style: Style, width: int) -> list[list[str]]:
    """One row a statistic, each value in the first of a model's ``width`` columns."""
    rows = []
    for name in names:
        cells = [_label(name, results, style)]
        for result in results:
            cells += [_text(name, _value(result, name), style), *[""] * (width - 1)]
        rows.append(cells)
    return rows


def _value(result: Result, name: str) -> Any:
    """The statistic, None where the model has none; a criterion only where it is not the deviance by another name."""
    if name not in result.statistics:
        return None
    value = result.statistics[name].iloc[0]
    if name == "criterion" and str(result.statistics.get("method", pd.Series([""])).iloc[0]) != "REML":
        return None
    return None if isinstance(value, float | np.floating) and np.isnan(value) else value


def _label(name: str, results: Sequence[Result], style: Style) -> str:
    if name.startswith("n_"):
        return style.symbol("n") + ("" if name == "n_obs" else f" ({readable(name[2:])})")
    text = LABELS.get(name, readable(name).capitalize())
    if name == "r2_marginal" and not any("r2_conditional" in result.statistics for result in results):
        text = "{R}²"
    return text.format(R=style.symbol("R"), SD=style.symbol("SD"), df=style.symbol("df"))


def _text(name: str, value: Any, style: Style) -> str:
    if value is None or isinstance(value, str | bool | np.bool_):
        return "" if value is None else number(value)
    if name.startswith("n_") or name == "df_residual":
        return whole(value)
    if name in BOUNDED:
        return style.bounded(float(value), 3 if SMALL[0] <= abs(value) < SMALL[1] else 2)
    return fixed(float(value), 2)
