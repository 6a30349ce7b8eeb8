"""Shares and counts instead of logits: the expected outcome along a predictor, effects on it, and therapists side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.caterpillar import caterpillar
from alliance_stats.render.ceiling import mark_ceiling
from alliance_stats.render.curves import interaction, johnson_neyman
from alliance_stats.render.numbers import number, percent
from alliance_stats.render.style import canvas, checked, give_height, house, legend_above, name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ONE = "curve "  # the column that names the only curve
LIMITS = ["estimate", "conf_low", "conf_high"]


def outcome_curve(
    curves: pd.DataFrame, raw: pd.DataFrame | None = None, *, x: str, by: str | None = None, y: str | None = None,
    ceiling: float | None = None, share: bool = True, ax: Axes | None = None, xlabel: str | None = None,
    ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Expected share, count or rating along a predictor with its band, over the patients, the scale's maximum marked.

    Parameters
    ----------
    curves : a frame of ``outcome_curve``: columns ``x``, ``fitted conf_low conf_high`` and, with it, ``by``.
    raw : data with x, by and the outcome ``y`` in the unit of the curves, e.g. the share of the sessions completed.
    ceiling : highest possible value of x; with raw the legend says how many are there, among whom nothing can be told apart.
    share : whether the outcome is a share, so that the axis goes from 0 to 100 %.
    ax : axes to draw on; without it a new figure of one column.

    Raises DataError where columns are absent, or ``share`` is asked for values outside 0 to 1.

    >>> curves = pd.DataFrame({"alliance": [3, 7], "fitted": [0.6, 0.9], "conf_low": [0.4, 0.8], "conf_high": [0.8, 0.95]})
    >>> ax = outcome_curve(curves, x="alliance", ceiling=7, ylabel="sessions completed")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['0 %', '25 %', '50 %', '75 %', '100 %']
    """
    checked(curves, "outcome_curve", numeric=[x, "fitted", "conf_low", "conf_high"])
    _require_shares(curves[["fitted", "conf_low", "conf_high"]], "outcome_curve", share=share)
    group = by or ONE
    shown = curves if by else curves.assign(**{ONE: "expected"})
    drawn = raw if raw is None or by else raw.assign(**{ONE: "expected"})
    with house():
        new = ax is None
        ax = canvas(height=72)[0] if ax is None else ax
        along = name_of(y or "expected outcome") if ylabel is None else ylabel
        interaction(shown, drawn, x=x, by=group, y=y, ceiling=ceiling, ax=ax, xlabel=xlabel, ylabel=along)
        if share:
            _percentages(ax)
        if new:
            give_height(ax)
    return ax


def effect_curve(
    curve: pd.DataFrame, *, x: str, observed: Sequence[float] | pd.Series[Any] | None = None, ceiling: float | None = None,
    share: bool = True, ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Average marginal effect along a predictor with its band, and where the band excludes zero.

    Parameters
    ----------
    curve : a frame of ``effect_curve``: columns ``x``, ``estimate conf_low conf_high significant``.
    observed : values of x in the data: a rug, and their share where the band excludes zero.
    ceiling : highest possible value of x, marked.
    share : whether the effect is on a share, so that the axis is in percentage points.
    ax : axes to draw on; without it a new figure of one column.

    Raises DataError where columns are absent.

    >>> curve = pd.DataFrame({"alliance": [3.0, 5.0, 7.0], "estimate": [0.01, 0.06, 0.04], "conf_low": [-0.02, 0.02, 0.01],
    ...                       "conf_high": [0.04, 0.1, 0.07], "significant": [False, True, True]})
    >>> effect_curve(curve, x="alliance", ceiling=7).get_ylabel().replace(chr(10), " ")
    'average effect (percentage points)'
    """
    default = "average effect (percentage points)" if share else "average effect"
    with house():
        new = ax is None
        checked(curve, "effect_curve", needed=["significant"], numeric=[x, *LIMITS])
        ax = canvas(height=72)[0] if ax is None else ax
        ylabel = default if ylabel is None else ylabel
        johnson_neyman(curve, x=x, observed=observed, ax=ax, xlabel=xlabel, ylabel=ylabel)
        if ceiling is not None:
            mark_ceiling(ax, ceiling)
        if share:
            ax.yaxis.set_major_formatter(lambda value, _: _points(value))
        if new:
            give_height(ax)
    return ax


def group_outcomes(
    groups: pd.DataFrame, *, group: str | None = None, most: int = 40, ax: Axes | None = None, width: float | None = None,
    xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Therapists from the lowest to the highest expected outcome of the same patients: ``caterpillar`` in the outcome's unit.

    Parameters
    ----------
    groups : a frame of ``group_outcomes``: columns ``group at term estimate conf_low conf_high reference unit``.
    group, most, ax, width, xlabel, ylabel : as for ``caterpillar``.

    The line stands at the outcome with a therapist whose random effect is zero. Raises DataError where columns are absent.

    >>> groups = pd.DataFrame({"group": "therapist", "at": list("ab"), "term": "Intercept", "estimate": [0.7, 0.4],
    ...     "conf_low": [0.62, 0.3], "conf_high": [0.8, 0.5], "reference": 0.55, "unit": "share"})
    >>> group_outcomes(groups).get_legend().get_texts()[0].get_text()
    'interval excludes 55 % (2 of 2)'
    """
    checked(groups, "group_outcomes", needed=["group", "at", "term", "unit"], numeric=[*LIMITS, "reference"])
    if groups["reference"].nunique() > 1:
        raise DataError("group_outcomes: column 'reference' has several values; draw one factor at a time")
    reference, share = float(groups["reference"].iloc[0]), groups["unit"].iloc[0] == "share"
    away = groups.assign(**{name: groups[name] - reference for name in LIMITS})
    factor = name_of(group or groups["group"].iloc[0])
    unit = "expected share" if share else "expected count"
    with house():
        new = ax is None
        label = (
            f"{unit}, the same patients with each {factor} (conditional mode, interval)" if xlabel is None else xlabel
        )
        ax = caterpillar(away, group=group, most=most, ax=ax, width=width, xlabel=label, ylabel=ylabel)
        _name_values(ax, reference, share=share)
        _name_reference(ax, _unit(reference, share=share))
        if new:
            give_height(ax, 20.0)
    return ax


def _name_values(ax: Axes, reference: float, *, share: bool) -> None:
    """Round values of the outcome on an axis of differences from the reference."""
    from matplotlib.ticker import MaxNLocator

    low, high = (limit + reference for limit in ax.get_xlim())
    ticks = np.asarray(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high), dtype=float)
    ticks = ticks[(ticks >= max(low, 0.0)) & (ticks <= (min(high, 1.0) if share else high))]
    ax.set_xticks(ticks - reference, [_unit(tick, share=share, tick=True) for tick in ticks])


def _name_reference(ax: Axes, value: str) -> None:
    legend = ax.get_legend()
    if legend is None:
        return
    handles = [handle for handle in legend.legend_handles if handle is not None]
    texts = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    named = [
        text.replace("cludes 0 ", f"cludes {value} ").replace("every difference is 0", f"all are {value}")
        for text in texts
    ]
    legend_above(ax, handles, named)


def _unit(value: float, *, share: bool, tick: bool = False) -> str:
    if share:
        return f"{100 * value:g} %" if tick else percent(value)
    return f"{value:g}" if tick else number(value)


def _points(value: float) -> str:
    return f"{round(100 * value, 2):g}".replace("-", "−")


def _percentages(ax: Axes) -> None:
    from matplotlib.ticker import FixedLocator, PercentFormatter

    ax.set_ylim(-0.04, 1.04)
    ax.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def _require_shares(values: pd.DataFrame, where: str, *, share: bool) -> None:
    if share and (np.nanmin(values.to_numpy()) < 0 or np.nanmax(values.to_numpy()) > 1):
        raise DataError(
            f"{where}: fitted, conf_low and conf_high must lie from 0 to 1; of counts and ratings use share=False"
        )
