"""How far an indirect effect withstands a confounder: against the correlation of errors, and against shares of variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.figure_style import SMALLEST, text_size
from alliance_stats.render.numbers import fixed, number
from alliance_stats.render.style import (
    GREY,
    INK,
    LOOKS,
    canvas,
    checked,
    dress,
    give_height,
    house,
    legend_above,
    nothing,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 0.14  # least distance of the numbers on two contours, as a share of the diagonal


def sensitivity_curve(
    curve: pd.DataFrame, *, zero: float | None = None, ax: Axes | None = None, xlabel: str | None = None,
    ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """An effect against the correlation of the errors of mediator and outcome, with its band and the place of its zero.

    Parameters
    ----------
    curve : columns ``rho estimate conf_low conf_high`` of one effect, as ``sensitivity_curve(fit)`` returns them.
    zero : the correlation at which the effect vanishes, as ``sensitivity(fit)`` solves it; else read off the curve.
    ax : axes to draw on; without it a new figure of 85 mm.

    Raises DataError where columns are absent or several effects are in the frame.

    >>> curve = pd.DataFrame({"rho": [-0.5, 0, 0.5], "estimate": [0.1, -0.2, -0.5], "conf_low": [-0.1, -0.4, -0.8],
    ...                       "conf_high": [0.3, 0.0, -0.2]})
    >>> sensitivity_curve(curve).get_legend().get_texts()[1].get_text()
    'no effect at ρ = −0.33'
    """
    checked(curve, "sensitivity_curve", numeric=["rho", "estimate", "conf_low", "conf_high"])
    for name in ("term", "at"):
        if name in curve and curve[name].nunique() > 1:
            raise DataError(
                f"sensitivity_curve: column '{name}' holds {curve[name].unique()[:3].tolist()}; draw one effect"
            )
    line = curve.sort_values("rho")
    zero = _crossing(line["rho"].to_numpy(), line["estimate"].to_numpy()) if zero is None else zero
    look = LOOKS[0]
    with house():
        new = ax is None
        ax = canvas(height=68)[0] if ax is None else ax
        ax.axhline(0, color=INK, linewidth=0.7, zorder=1)
        ax.axvline(0, color=GREY, linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=1)
        ax.fill_between(line["rho"], line["conf_low"], line["conf_high"], color=look.colour, alpha=0.18, linewidth=0)
        (drawn,) = ax.plot(line["rho"], line["estimate"], color=look.colour, linewidth=1.6, zorder=3)
        handles, texts = [drawn], ["effect and interval"]
        if np.isfinite(zero):
            handles += ax.plot([zero], [0], LOOKS[1].marker, color=LOOKS[1].colour, markersize=5, zorder=5)
            texts.append(f"no effect at ρ = {fixed(zero)}")
        name = curve["term"].iloc[0] if "term" in curve else "effect"
        dress(ax, "correlation ρ of the errors of mediator and outcome" if xlabel is None else xlabel,
              f"{name} effect" * (name != "effect") or "effect" if ylabel is None else ylabel)  # fmt: skip
        ax.margins(x=0.01)
        ax.locator_params(axis="x", nbins=6)
        legend_above(ax, handles, texts)
        if new:
            give_height(ax)
    return ax


def sensitivity_contours(
    frame: pd.DataFrame, *, ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None
) -> Axes:
    """Lines of equal effect over the shares of variance that a confounder explains of mediator and outcome.

    ``frame`` has the columns ``r2_mediator r2_outcome estimate`` on a full grid, as ``sensitivity_contours(fit)`` returns them.
    The line of no effect is thick and dashed; the cross at the origin is the effect without a confounder.

    >>> grid = pd.MultiIndex.from_product([[0, 0.5, 0.9]] * 2, names=["r2_mediator", "r2_outcome"]).to_frame(index=False)
    >>> ax = sensitivity_contours(grid.assign(estimate=-0.2 + grid["r2_mediator"] * grid["r2_outcome"]))
    >>> ax.get_legend().get_texts()[0].get_text()
    'no effect'
    """
    checked(frame, "sensitivity_contours", numeric=["r2_mediator", "r2_outcome", "estimate"])
    table = frame.pivot(index="r2_outcome", columns="r2_mediator", values="estimate")
    if min(table.shape) < 2:
        raise DataError("sensitivity_contours: a grid of two values or more of either share is needed")
    x, y, z = table.columns.to_numpy(float), table.index.to_numpy(float), np.ma.masked_invalid(table.to_numpy(float))
    kind = {"residual": "residual variance", "total": "variance"}.get(_only(frame, "form"), "variance")
    with house():
        new = ax is None
        ax = canvas(height=84)[0] if ax is None else ax
        _lines(ax, x, y, z)
        handles, texts = _zero_line(ax, x, y, z)
        handles += ax.plot([x[0]], [y[0]], "x", color=INK, markersize=6, markeredgewidth=1.4, clip_on=False, zorder=6)
        texts.append(f"no confounder: {number(float(z[0, 0]), 2)}")
        if "same_sign" in frame:
            handles.append(nothing())
            way = "in the same direction" if bool(frame["same_sign"].iloc[0]) else "in opposite directions"
            texts.append(f"confounder moves both {way}")
        dress(ax, f"share of the mediator's {kind}" if xlabel is None else xlabel,
              f"share of the outcome's {kind}" if ylabel is None else ylabel)  # fmt: skip
        legend_above(ax, handles, texts)
        if new:
            give_height(ax, 50)
    return ax


def _crossing(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
    """Where the line first crosses zero, between the two points beside it; missing if it does not."""
    at = np.flatnonzero(np.sign(y[:-1]) * np.sign(y[1:]) <= 0)
    if not len(at) or y[at[0]] == y[at[0] + 1]:
        return float("nan")
    i = at[0]
    return float(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i]))


def _lines(ax: Axes, x: Any, y: Any, z: Any) -> None:
    """Lines of round effects, each with its number where it crosses the diagonal, far enough from its neighbours to be read."""
    at = _levels(z)
    if not at:
        return
    lines = ax.contour(x, y, z, levels=sorted(at), colors=LOOKS[0].colour, linewidths=1.0, linestyles="solid")
    places = [(float(x[0] + share * np.ptp(x)), float(y[0] + share * np.ptp(y))) for share in at.values()]
    for text in ax.clabel(
        lines, fmt=lambda value: number(value, 2), fontsize=max(text_size() - 1, SMALLEST), manual=places
    ):
        text.set_color(INK)


def _levels(z: Any) -> dict[float, float]:
    """Round effects, no larger than that without a confounder (the corner runs off to infinity), and where on the diagonal."""
    from matplotlib.ticker import MaxNLocator

    diagonal = np.array([z[i, round(i * (z.shape[1] - 1) / (z.shape[0] - 1))] for i in range(len(z))], dtype=float)
    shares = np.linspace(0, 1, len(diagonal))
    reach = 1.05 * abs(diagonal[0]) or 1.0
    found: dict[float, float] = {}
    for level in MaxNLocator(9).tick_values(-reach, reach):
        share = _crossing(shares, diagonal - level)
        if abs(level) > 1e-9 * reach and 0.1 < share < 0.95 and all(abs(share - s) > APART for s in found.values()):
            found[float(level)] = share
    return found


def _zero_line(ax: Axes, x: Any, y: Any, z: Any) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    if not z.min() < 0 < z.max():
        return [nothing()], ["nowhere without effect"]
    look = LOOKS[1]
    ax.contour(x, y, z, levels=[0.0], colors=look.colour, linewidths=2.0, linestyles="dashed")
    return [Line2D([], [], color=look.colour, linewidth=2.0, linestyle="dashed")], ["no effect"]


def _only(frame: pd.DataFrame, name: str) -> str:
    return str(frame[name].iloc[0]) if name in frame else ""
