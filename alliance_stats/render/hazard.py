"""Leaving by session, and the chance of completing over the alliance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.ceiling import at_maximum
from alliance_stats.render.curves import interaction
from alliance_stats.render.numbers import percent
from alliance_stats.render.style import (
    GREY,
    INK,
    canvas,
    checked,
    dress,
    give_height,
    house,
    legend_above,
    levels,
    looks,
    name_of,
    nothing,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Z95 = 1.959963984540054
DODGE = 0.16  # of a session, between groups


def session_hazards(km: pd.DataFrame) -> pd.DataFrame:
    """Share of those still there who left at each time, with Wilson's 95 % interval.

    ``km`` is a frame of ``kaplan_meier``. Columns ``group time n_risk n_event hazard conf_low conf_high``. The interval keeps
    its coverage where nobody left. At the planned last session nobody can leave early: its 0 is no estimate, leave that row
    out. Source: Wilson 1927, doi 10.1080/01621459.1927.10502953.

    >>> km = pd.DataFrame({"group": "all", "time": [1.0, 2], "n_risk": [40, 38], "n_event": [2, 0]})
    >>> session_hazards(km)[["hazard", "conf_low", "conf_high"]].round(3).values.tolist()
    [[0.05, 0.014, 0.165], [0.0, 0.0, 0.092]]
    """
    checked(km, "session_hazards", needed=["group"], numeric=["time", "n_risk", "n_event"])
    n, k = km["n_risk"].to_numpy(dtype=float), km["n_event"].to_numpy(dtype=float)
    if (n <= 0).any():
        raise DataError("session_hazards: rows without anybody at risk; give the frame of kaplan_meier as it is")
    share, z2 = k / n, Z95**2
    centre, reach = (share + z2 / (2 * n)) / (1 + z2 / n), Z95 * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = centre - reach / (1 + z2 / n), centre + reach / (1 + z2 / n)
    kept = km[["group", "time", "n_risk", "n_event"]].reset_index(drop=True)
    return kept.assign(hazard=share, conf_low=np.where(k == 0, 0.0, low), conf_high=np.where(k == n, 1.0, high))


def session_hazard(
    hazards: pd.DataFrame, *, ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None
) -> Axes:
    """The hazard of leaving at each session: points with intervals, groups beside each other.

    ``hazards`` has the columns ``group time hazard conf_low conf_high``: what ``session_hazards`` returns, or a model's
    predictions. Without ``ax`` a new figure of 85 mm. Raises DataError where columns are absent.

    >>> rows = pd.DataFrame({"group": "all", "time": [1, 2], "hazard": [0.1, 0.0], "conf_low": [0.0, 0.0], "conf_high": 0.2})
    >>> session_hazard(rows).get_ylabel()
    'hazard of leaving'
    """
    checked(hazards, "session_hazard", needed=["group"], numeric=["time", "hazard", "conf_low", "conf_high"])
    groups = looks(levels(hazards["group"]), "session_hazard")
    with house():
        new = ax is None
        ax = canvas(height=66)[0] if ax is None else ax
        handles = []
        for k, (group, look) in enumerate(groups.items()):
            rows = hazards[hazards["group"] == group]
            x = rows["time"].to_numpy(dtype=float) + DODGE * (k - (len(groups) - 1) / 2)
            ax.vlines(x, rows["conf_low"], rows["conf_high"], color=look.colour, linewidth=1.1, zorder=2)
            handles += ax.plot(x, rows["hazard"], look.marker, color=look.colour, clip_on=False, zorder=3)
        _axes(ax, hazards)
        dress(ax, "session" if xlabel is None else xlabel, "hazard of leaving" if ylabel is None else ylabel)
        if len(groups) > 1:
            legend_above(ax, handles, [name_of(group) for group in groups])
        if new:
            give_height(ax)
    return ax


def reference_hazard(ax: Axes, value: float, label: str) -> Axes:
    """A dotted line at one hazard on the axes of ``session_hazard``, explained over them.

    >>> rows = pd.DataFrame({"group": "all", "time": [1, 2], "hazard": [0.1, 0.0], "conf_low": [0.0, 0.0], "conf_high": 0.2})
    >>> reference_hazard(session_hazard(rows), 0.028, "printed, .028").get_legend().get_texts()[0].get_text()
    'printed, .028'
    """
    old = ax.get_legend()
    handles = [] if old is None else list(old.legend_handles)
    labels = [] if old is None else [text.get_text().replace("\n", " ") for text in old.get_texts()]
    with house():
        line = ax.axhline(value, color=GREY, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1)
        legend_above(ax, [*[h for h in handles if h is not None], line], [*labels, label])
    return ax


def completion(
    curves: pd.DataFrame, raw: pd.DataFrame | None = None, *, x: str = "alliance", y: str = "completed",
    by: str | None = None, ceiling: float | None = None, ax: Axes | None = None, xlabel: str | None = None,
    ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """Predicted probability of completing over the alliance, with the scale's maximum and the patients.

    Parameters
    ----------
    curves : columns ``x``, ``fitted conf_low conf_high`` (probabilities) and, with it, ``by``: a frame of
        ``completion_probability`` at one session with ``estimate`` renamed to ``fitted``.
    raw : one row a patient with x and ``y``, 1 for who completed and 0 for who dropped out: ticks at the top and the bottom.
    ceiling : highest possible value of x. It is marked, and with raw the legend gives the share of patients there: differences
        above it cannot be seen.
    ax : axes to draw on; without it a new figure of 85 mm.

    Raises DataError where columns are absent, a probability lies outside 0 to 1, or ``y`` holds other values than 0 and 1.

    >>> curves = pd.DataFrame({"alliance": [3, 7], "fitted": [0.6, 0.9], "conf_low": [0.4, 0.8], "conf_high": [0.8, 0.95]})
    >>> ax = completion(curves, pd.DataFrame({"alliance": [7, 4, 6, 5], "completed": [1, 0, 1, 1]}), ceiling=7)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['predicted', 'completed (3)', 'dropped out (1)', '25 % at the scale maximum']
    """
    checked(curves, "completion", numeric=[x, "fitted", "conf_low", "conf_high"])
    _one_session(curves, by)
    values = curves[["fitted", "conf_low", "conf_high"]]
    if ((values < 0) | (values > 1)).any(axis=None):
        raise DataError("completion: fitted, conf_low and conf_high must be probabilities from 0 to 1")
    drawn = None if raw is None else _patients(raw, x, y)
    shown = curves if by is not None else curves.assign(**{"curve ": "predicted"})
    with house():
        new = ax is None
        ax = canvas(height=72)[0] if ax is None else ax
        interaction(shown, x=x, by=by or "curve ", ceiling=ceiling, ax=ax, xlabel=xlabel, ylabel=ylabel or name_of(y))
        old = ax.get_legend()
        entries = (
            [] if old is None else list(zip(old.legend_handles, (t.get_text() for t in old.get_texts()), strict=True))
        )
        if drawn is not None:
            entries += _marks(ax, drawn, x, y)
            if ceiling is not None:
                share = at_maximum(drawn.assign(all="all"), x=x, by="all", ceiling=ceiling)["share"].iloc[0]
                entries.append((nothing(), f"{percent(float(share))} at the scale maximum"))
        _percentages(ax)
        legend_above(
            ax, [h for h, _ in entries if h is not None], [t.replace("\n", " ") for h, t in entries if h is not None]
        )
        if new:
            give_height(ax)
    return ax


def _one_session(curves: pd.DataFrame, by: str | None) -> None:
    if "session" in curves and by != "session" and curves["session"].nunique() > 1:
        raise DataError(
            f"completion: curves hold {curves['session'].nunique()} sessions; give the rows of one, or by='session'"
        )


def _patients(raw: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    checked(raw, "completion", numeric=[x, y])
    drawn = raw.dropna(subset=[x, y])
    if not drawn[y].isin([0, 1]).all():
        raise DataError(f"completion: column {y!r} of raw holds {drawn[y].iloc[0]!r}; 1 (completed) or 0 are needed")
    return drawn


def _marks(ax: Axes, drawn: pd.DataFrame, x: str, y: str) -> list[tuple[Artist | None, str]]:
    """Ticks of single patients just inside the frame; a legend entry a kind."""
    out: list[tuple[Artist | None, str]] = []
    for value, height, marker, words in ((1, 1.025, 2, "completed"), (0, -0.025, 3, "dropped out")):
        rows = drawn[drawn[y] == value]
        line = ax.plot(rows[x], np.full(len(rows), height), linestyle="none", marker=marker, color=INK, markersize=4,
                       markeredgewidth=0.6, alpha=0.7)[0]  # fmt: skip
        out.append((line, f"{words} ({len(rows)})"))
    return out


def _percentages(ax: Axes) -> None:
    from matplotlib.ticker import FixedLocator, PercentFormatter

    ax.set_ylim(-0.06, 1.06)
    ax.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def _axes(ax: Axes, hazards: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    top = float(np.nanmax(hazards["conf_high"]))
    ax.set_ylim(0, 1.05 * top if top > 0 else 1.0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if top > 0.03 else 1, symbol=" %"))
    ax.margins(x=0.04)
