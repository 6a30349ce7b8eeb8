"""Does the model fit? Residuals in standard deviations, against fitted values, and against the normal distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.render.numbers import percent
from alliance_stats.render.points import running_median
from alliance_stats.render.style import (
    GREY,
    INK,
    LOOKS,
    MANY,
    Look,
    canvas,
    checked,
    dress,
    give_height,
    house,
    left_out,
    legend_above,
    levels,
    looks,
    name_of,
    nothing,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

BEYOND = 1.96  # 5 % of a normal distribution lie further out
RESIDUAL = {"studentised": "residual ÷ its SD", "standardised": "residual ÷ σ"}
ENVELOPE = ["theoretical", "observed", "conf_low", "conf_high"]


def residuals_fitted(
    frame: pd.DataFrame, *, column: str = "studentised", by: str | None = None, ax: Axes | None = None,
    xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Residual in standard deviations against fitted value, with a running median and lines at ±1.96.

    Parameters
    ----------
    frame : columns ``fitted`` and ``column``, as ``residuals(fit)`` returns them, and ``by``.
    column : ``"studentised"`` (residual ÷ its own SD), of which ±1.96 leave 5 % outside, or ``"standardised"`` (residual ÷ σ),
        which varies less, as random effects take up a part of every residual.
    by : factor told apart by colour and marker, e.g. that of ``residual_by``.
    ax : axes to draw on; without it a new figure of 85 mm.

    A median that bends away from 0 says that a straight line misses something; a fan, or one group wider than another,
    that the residual variances differ. Raises DataError where a column is absent or holds no number.

    >>> frame = pd.DataFrame({"fitted": [1.0, 2, 3], "studentised": [0.2, -2.4, 0.1]})
    >>> residuals_fitted(frame).get_legend().get_texts()[2].get_text()
    '±1.96: 1 of 3 beyond (5 % expected)'
    """
    drawn, groups = _drawn(frame, column, by)
    median = running_median(drawn, y=column)
    with house():
        new = ax is None
        ax = canvas(height=72)[0] if ax is None else ax
        handles = [
            _points(ax, drawn if by is None else drawn[drawn[by] == group], "fitted", column, look, len(drawn))
            for group, look in groups.items()
        ]
        ax.axhline(0, color=INK, linewidth=0.7, zorder=1)
        (line,) = ax.plot(median["fitted"], median["median"], color=INK, linewidth=1.6, zorder=3)
        limits = [
            ax.axhline(end, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1) for end in (-BEYOND, BEYOND)
        ]
        n, far = len(drawn), int(drawn[column].abs().gt(BEYOND).sum())
        labels = ["residual"] if by is None else [name_of(group) for group in groups]
        sizes = [n] if by is None else [int((drawn[by] == group).sum()) for group in groups]
        expected = " (5 % expected)" if column == "studentised" else ""
        lost = left_out(frame, ["fitted", column, *([by] if by else [])])
        dress(
            ax,
            "fitted value" if xlabel is None else xlabel,
            RESIDUAL.get(column, name_of(column)) if ylabel is None else ylabel,
        )
        legend_above(
            ax, [*handles, line, limits[0], *([nothing()] if lost else [])],
            [*(f"{label} (n = {size})" for label, size in zip(labels, sizes, strict=True)), "running median",
             f"±{BEYOND}: {far} of {n} beyond{expected}", *([lost] if lost else [])],
        )  # fmt: skip
        if new:
            give_height(ax)
    return ax


def quantiles(
    frame: pd.DataFrame, *, ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None
) -> Axes:
    """Normal quantile–quantile plot with a pointwise envelope, of residuals or of random effects.

    ``frame`` is what ``normal_quantiles`` returns. The envelope holds for each point by itself, so that of many points
    some lie outside in a normal sample, and neighbours do so together: a systematic bend counts, a single point does not.
    Raises DataError where a column is absent or empty.

    >>> ax = quantiles(normal_quantiles([0.3, -1.2, 0.8, 9.0]))
    >>> ax.get_legend().get_texts()[1].get_text()
    'pointwise 95 % envelope (1 of 4 outside)'
    """
    checked(frame, "quantiles", needed=["level"], numeric=ENVELOPE)
    drawn = frame.dropna(subset=ENVELOPE)
    if drawn.empty:
        raise DataError("quantiles: every row is incomplete, so there is nothing to draw")
    inside = drawn["observed"].between(drawn["conf_low"], drawn["conf_high"])
    with house():
        new = ax is None
        ax = canvas(height=72)[0] if ax is None else ax
        band = ax.fill_between(
            drawn["theoretical"], drawn["conf_low"], drawn["conf_high"], color=GREY, alpha=0.25, linewidth=0, zorder=1
        )
        (line,) = ax.plot(drawn["theoretical"], drawn["normal"], color=INK, linewidth=0.9, zorder=2)
        points = _points(ax, drawn, "theoretical", "observed", LOOKS[0], len(drawn))
        dress(
            ax, "normal quantile" if xlabel is None else xlabel,
            "observed value ÷ its SD" if ylabel is None else ylabel,
        )  # fmt: skip
        lost = left_out(frame, ENVELOPE)
        envelope = (
            f"pointwise {percent(drawn['level'].iloc[0])} envelope ({int((~inside).sum())} of {len(drawn)} outside)"
        )
        legend_above(
            ax, [points, band, line, *([nothing()] if lost else [])],
            [f"observed (n = {len(drawn)})", envelope, "normal distribution", *([lost] if lost else [])],
        )  # fmt: skip
        if new:
            give_height(ax)
    return ax


def normal_quantiles(
    values: Sequence[float] | np.ndarray[Any, Any] | pd.Series[Any], *, sd: float = 1.0, level: float = 0.95
) -> pd.DataFrame:
    """Sorted values beside the quantiles of a normal distribution with mean 0, with a pointwise envelope.

    Parameters
    ----------
    values : n numbers, missing ones allowed: the column ``studentised`` of ``residuals(fit)``, or ``standardised`` of
        ``standardised_random_effects(fit)``.
    sd : standard deviation that the values should have.
    level : of the envelope, e.g. 0.95.

    Returns one row a value, from the lowest, with the index of a Series: ``theoretical`` = z(p_i) at R's plotting positions
    p_i = (i − a)/(n + 1 − 2a), a = 3/8 up to ten values and 1/2 beyond; ``observed``; ``normal`` = sd·z(p_i);
    ``conf_low conf_high``, the quantiles of the i-th smallest of n normal values, sd·z(q) with q of Beta(i, n + 1 − i)
    (David & Nagaraja 2003, doi 10.1002/0471722162, section 2.1); ``level``. Missing values come last, without a place.
    The envelope takes mean and SD as known and values as independent; residuals of a fit lie a little within it.
    Raises DataError for fewer than three values, infinite ones, an sd that is not positive or a level outside 0–1.

    >>> normal_quantiles([1.0, -2.0, 0.5])[["theoretical", "observed", "conf_high"]].round(2).to_numpy().tolist()
    [[-0.87, -2.0, 0.55], [0.0, 0.5, 1.31], [0.87, 1.0, 2.39]]
    """
    series = pd.Series(values, dtype=float)
    known = series.dropna().sort_values(kind="stable")
    n = len(known)
    if n < 3 or not np.isfinite(known).all():
        what = f"{n} values" if n < 3 else "infinite values"
        raise DataError(f"normal_quantiles: {what}; three or more finite ones are needed (a variance of zero has none)")
    if not sd > 0 or not 0 < level < 1:
        raise DataError(f"normal_quantiles: sd is {sd} and level {level}; sd must be positive, level between 0 and 1")
    rank, shift = np.arange(1, n + 1), 3 / 8 if n <= 10 else 1 / 2
    z = t_quantile((rank - shift) / (n + 1 - 2 * shift), np.inf)
    low, high = (sd * _order_statistic(rank, n, p) for p in ((1 - level) / 2, (1 + level) / 2))
    found = pd.DataFrame(
        {"theoretical": z, "observed": known, "normal": sd * z, "conf_low": low, "conf_high": high}, index=known.index
    )
    missing = pd.DataFrame(np.nan, index=series.index[series.isna()], columns=found.columns)
    return (pd.concat([found, missing]) if len(missing) else found).assign(level=level)


def _order_statistic(rank: np.ndarray[Any, Any], n: int, probability: float) -> np.ndarray[Any, Any]:
    """Quantile of the rank-th smallest of n standard normal values; the upper half mirrors the lower, keeping its digits."""
    from scipy.special import betaincinv, ndtri

    lower = rank <= (n + 1) / 2
    low = ndtri(betaincinv(rank, n + 1 - rank, probability))
    high = -ndtri(betaincinv(n + 1 - rank, rank, 1 - probability))
    return np.asarray(np.where(lower, low, high))


def _drawn(frame: pd.DataFrame, column: str, by: str | None) -> tuple[pd.DataFrame, dict[Any, Look]]:
    checked(frame, "residuals_fitted", needed=[by] if by else [], numeric=["fitted", column])
    drawn = frame.dropna(subset=["fitted", column, *([by] if by else [])])
    if drawn.empty:
        raise DataError("residuals_fitted: every row is incomplete, so there is nothing to draw")
    return drawn, looks(levels(drawn[by]), "residuals_fitted") if by else {None: Look(GREY, "o", "-")}


def _points(ax: Axes, rows: pd.DataFrame, x: str, y: str, look: Look, n: int) -> Artist:
    return ax.scatter(
        rows[x], rows[y], s=9 if n <= 300 else 5, marker=look.marker, facecolors="none", edgecolors=look.colour,
        linewidths=0.6, alpha=0.7, zorder=2.5, rasterized=n > MANY,
    )  # fmt: skip
