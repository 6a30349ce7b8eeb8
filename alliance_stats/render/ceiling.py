"""The highest possible value of a scale: its line in a figure, and how many patients are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.figure_style import text_size
from alliance_stats.render.numbers import number, percent
from alliance_stats.render.style import GREY, checked, levels, name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def at_maximum(raw: pd.DataFrame, *, x: str, by: str, ceiling: float) -> pd.DataFrame:
    """How many of each group are at the scale's maximum: columns by, ``n n_maximum share``.

    >>> raw = pd.DataFrame({"alliance": [7, 7, 5, 7, 3, None], "arm": list("aaabbb")})
    >>> at_maximum(raw, x="alliance", by="arm", ceiling=7)["n_maximum"].tolist()
    [2, 1]
    """
    checked(raw, "at_maximum", needed=[by], numeric=[x])
    observed = raw[[x, by]].dropna()
    top = observed.assign(top=np.isclose(observed[x], ceiling, rtol=1e-9, atol=1e-9))
    rows = [(g, int((top[by] == g).sum()), int(top.loc[top[by] == g, "top"].sum())) for g in levels(observed[by])]
    return pd.DataFrame([(g, n, k, k / n) for g, n, k in rows], columns=[by, "n", "n_maximum", "share"])


def check_ceiling(curves: pd.DataFrame, raw: pd.DataFrame | None, x: str, ceiling: float) -> None:
    """DataError where a value of x exceeds the ceiling."""
    highest = max(float(frame[x].max()) for frame in (curves, raw) if frame is not None)
    if highest > ceiling + 1e-9:
        raise DataError(
            f"interaction: ceiling={ceiling:g}, but column {x!r} goes up to {highest:g}; they need one unit"
        )


def share_labels(shares: pd.DataFrame, by: str) -> dict[Any, str]:
    """Names of groups with their share at the maximum, from ``at_maximum``."""
    return {
        group: f"{name_of(group)} ({percent(share)} at maximum)"
        for group, share in zip(shares[by], shares["share"], strict=True)
    }


def mark_ceiling(ax: Axes, ceiling: float) -> None:
    """A line at the maximum; its label stands to the right of it, where no data can be."""
    left, right = ax.get_xlim()
    ax.axvline(ceiling, color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    ax.set_xlim(left, max(right, ceiling + 0.1 * (ceiling - left)))
    ax.annotate(
        f"scale maximum ({number(ceiling) if ceiling != round(ceiling) else f'{ceiling:.0f}'})", (ceiling, 0.5),
        xycoords=ax.get_xaxis_transform(), xytext=(4, 0), textcoords="offset points", rotation=90, va="center",
        ha="left", fontsize=text_size(), color=GREY,
        bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 1}, zorder=4,
    )  # fmt: skip
