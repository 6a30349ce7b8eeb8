"""Observed against predicted: bins of the prediction, and how often every count occurred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.style import GREY, LOOKS, canvas, checked, dress, give_height, house, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TICKS = (0, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000)


def calibration(
    bins: pd.DataFrame,
    *,
    share: bool = True,
    ax: Axes | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
) -> Axes:
    """Observed outcome against the predicted one, bin by bin, and the line on which they agree.

    Parameters
    ----------
    bins : a frame of ``calibration``: columns ``predicted observed conf_low conf_high n_rows``.
    share : whether the outcome is a share, so that both axes are in per cent.
    ax : axes to draw on; without it a new figure of one column.

    Raises DataError where columns are absent.

    >>> bins = pd.DataFrame({"predicted": [0.3, 0.7], "observed": [0.28, 0.74], "conf_low": [0.2, 0.65],
    ...                      "conf_high": [0.4, 0.82], "n_rows": [50, 50]})
    >>> [text.get_text().replace(chr(10), " ") for text in calibration(bins).get_legend().get_texts()]
    ['observed in 2 bins of 50 rows, with interval', 'observed = predicted']
    """
    names = ["predicted", "observed", "conf_low", "conf_high"]
    checked(bins, "calibration", numeric=[*names, "n_rows"])
    values = bins[names].to_numpy(float)
    if share and (np.nanmin(values) < 0 or np.nanmax(values) > 1):
        raise DataError("calibration: the values must lie from 0 to 1; of counts and ratings use share=False")
    pad = 0.06 * float(np.ptp(values)) or 0.1
    limits = float(values.min()) - pad, float(values.max()) + pad
    with house():
        new = ax is None
        ax = canvas(height=76)[0] if ax is None else ax
        (line,) = ax.plot(limits, limits, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        ax.vlines(
            bins["predicted"], bins["conf_low"], bins["conf_high"], color=LOOKS[0].colour, linewidth=1.1, zorder=2
        )
        (dots,) = ax.plot(bins["predicted"], bins["observed"], LOOKS[0].marker, color=LOOKS[0].colour, zorder=3)
        ax.set(xlim=limits, ylim=limits)
        _axes(ax, share=share)
        dress(ax, "predicted" if xlabel is None else xlabel, "observed" if ylabel is None else ylabel)
        legend_above(ax, [dots, line], [f"observed in {_bins(bins)}, with interval", "observed = predicted"])
        if new:
            give_height(ax, 50)
    return ax


def rootogram(
    counts: pd.DataFrame, *, ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None
) -> Axes:
    """How often every count occurred, as bars, and how often it does under the model, as points with their range.

    Parameters
    ----------
    counts : a frame of ``rootogram``: columns ``count observed expected expected_low expected_high``.
    ax : axes to draw on; without it a new figure of one column.

    The axis is that of the square root, on which rare counts are seen beside frequent ones and differences have about the same
    error everywhere. Raises DataError where columns are absent.
    Source: Kleiber & Zeileis 2016, doi 10.1080/00031305.2016.1173590.

    >>> counts = pd.DataFrame({"count": [0, 1, 2], "observed": [40, 22, 9], "expected": [30.1, 28, 10],
    ...                        "expected_low": [21, 19, 4], "expected_high": [39, 37, 17]})
    >>> [text.get_text().replace(chr(10), " ") for text in rootogram(counts).get_legend().get_texts()]
    ['observed', 'expected under the model, and 95 % of simulated data sets']
    """
    columns = ["count", "observed", "expected", "expected_low", "expected_high"]
    checked(counts, "rootogram", numeric=columns)
    with house():
        new = ax is None
        ax = canvas(height=72)[0] if ax is None else ax
        ax.set_yscale("function", functions=(_root, np.square))
        bars: Any = ax.bar(
            counts["count"], counts["observed"], width=0.8, color=LOOKS[0].colour, alpha=0.3, linewidth=0, zorder=1
        )
        ax.vlines(
            counts["count"],
            counts["expected_low"],
            counts["expected_high"],
            color=LOOKS[1].colour,
            linewidth=1.1,
            zorder=2,
        )
        (dots,) = ax.plot(
            counts["count"],
            counts["expected"],
            LOOKS[1].marker,
            color=LOOKS[1].colour,
            markersize=3,
            clip_on=False,
            zorder=3,
        )
        _root_axis(ax, float(counts[["observed", "expected_high"]].to_numpy().max()))
        ax.set_xlim(counts["count"].min() - 0.7, counts["count"].max() + 0.7)
        dress(ax, "count" if xlabel is None else xlabel, "rows (square-root scale)" if ylabel is None else ylabel)
        legend_above(ax, [bars, dots], ["observed", "expected under the model, and 95 % of simulated data sets"])
        if new:
            give_height(ax)
    return ax


def _root(values: Any) -> np.ndarray:
    return np.asarray(np.sqrt(np.maximum(values, 0.0)))


def _root_axis(ax: Axes, highest: float) -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    ticks = [tick for tick in TICKS if tick <= max(highest, 1.0)]
    ax.set_ylim(0, 1.04 * max(highest, 1.0))
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))


def _bins(bins: pd.DataFrame) -> str:
    low, high = int(bins["n_rows"].min()), int(bins["n_rows"].max())
    return f"{len(bins)} bins of {low if low == high else f'{low} to {high}'} rows"


def _axes(ax: Axes, *, share: bool) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=5))
        if share:
            axis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
