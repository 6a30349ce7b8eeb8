"""Fitted lines along a moderator or predictor: interactions and Johnson–Neyman regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.ceiling import at_maximum, check_ceiling, mark_ceiling, share_labels
from alliance_stats.render.numbers import number, percent
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
    from matplotlib.axes import Axes


def interaction(
    curves: pd.DataFrame, raw: pd.DataFrame | None = None, *, x: str, by: str, y: str | None = None,
    ceiling: float | None = None, ax: Axes | None = None, xlabel: str | None = None, ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """A fitted line with its band for each group, over the raw points.

    Parameters
    ----------
    curves : columns ``x``, ``by``, ``fitted conf_low conf_high``; lines are drawn where they have rows, so
        give each group its observed range only.
    raw : data with the columns x, by and the numeric response ``y``.
    ceiling : highest possible value of x. It is marked, and with raw the legend says how many of each group
        are there: groups that differ in this share can feign an interaction.
    ax : axes to draw on; without it a new figure of 85 mm.

    Raises DataError where columns are absent, raw has groups without a line, or x exceeds the ceiling.

    >>> curves = pd.DataFrame({"alliance": [3, 7, 3, 7], "arm": ["a", "a", "b", "b"], "fitted": [6, 5, 6, 3],
    ...                        "conf_low": [5, 4, 5, 2], "conf_high": [7, 6, 7, 4]})
    >>> ax = interaction(curves, x="alliance", by="arm", ceiling=7, ylabel="Pain (0–10)")
    >>> [text.get_text() for text in ax.get_legend().get_texts()], ax.texts[0].get_text()
    (['a', 'b'], 'scale maximum (7)')
    """
    checked(curves, "interaction", needed=[by], numeric=[x, "fitted", "conf_low", "conf_high"])
    groups = looks(levels(curves[by]), "interaction")
    drawn = _raw(raw, groups, x, by, y)
    labels = {group: name_of(group) for group in groups}
    if ceiling is not None:
        check_ceiling(curves, raw, x, ceiling)
        if raw is not None:
            labels |= share_labels(at_maximum(raw, x=x, by=by, ceiling=ceiling), by)
    with house():
        new = ax is None
        ax = canvas(height=72)[0] if ax is None else ax
        handles = [
            _line(ax, curves[curves[by] == group].sort_values(x), x, look, marked=raw is not None)
            for group, look in groups.items()
        ]
        if drawn is not None:
            _clouds(ax, drawn, x, by, str(y), groups)
        if ceiling is not None:
            mark_ceiling(ax, ceiling)
        dress(ax, name_of(x) if xlabel is None else xlabel, name_of(y or "fitted") if ylabel is None else ylabel)
        lost = "" if raw is None else left_out(raw, [x, by, str(y)])
        legend_above(ax, handles + [nothing()] * bool(lost), [*labels.values(), *([lost] if lost else [])])
        if new:
            give_height(ax)
    return ax


def johnson_neyman(
    curve: pd.DataFrame, regions: pd.DataFrame | None = None, *, x: str, ax: Axes | None = None,
    observed: Sequence[float] | pd.Series[Any] | None = None, reference: float = 0.0, xlabel: str | None = None,
    ylabel: str | None = None,
) -> Axes:  # fmt: skip
    """The conditional effect along the moderator, with the region where its interval excludes the reference.

    Parameters
    ----------
    curve : columns ``x`` (moderator, over its observed range only), ``estimate conf_low conf_high`` and the
        boolean ``significant``.
    regions : columns ``low high`` and, where known, ``share`` (0–1, of the patients); without it, from curve.
    observed : values of the moderator in the data: drawn as a rug, and their share in the regions is told.
    ax : axes to draw on; without it a new figure of 85 mm.

    Source: Johnson, P. O., & Neyman, J. (1936). Statistical Research Memoirs, 1, 57–93.
    Raises DataError where columns are absent or significant is not boolean.

    >>> curve = pd.DataFrame({"alliance": [3.0, 5.0, 7.0], "estimate": [0.1, -0.6, -1.3],
    ...     "conf_low": [-0.7, -1.1, -2.1], "conf_high": [0.9, -0.1, -0.5], "significant": [False, True, True]})
    >>> ax = johnson_neyman(curve, x="alliance", observed=[3, 5, 6, 7])
    >>> ax.get_legend().get_texts()[1].get_text().replace(chr(10), " ")
    'interval excludes 0: 5.00 to 7.00 (75 % of 4 values)'
    """
    values = None if observed is None else pd.Series(observed, dtype=float).dropna().to_numpy()
    found = _regions(curve, regions, x, values)
    line = curve.sort_values(x)
    with house():
        new = ax is None
        ax = canvas()[0] if ax is None else ax
        for low, high in zip(found["low"], found["high"], strict=True):
            ax.axvspan(low, high, color=LOOKS[1].colour, alpha=0.12, linewidth=0, zorder=0)
            ax.plot([low, high], [0, 0], transform=ax.get_xaxis_transform(), color=LOOKS[1].colour, linewidth=4,
                    solid_capstyle="butt", clip_on=False, zorder=5)  # fmt: skip
        ax.axhline(reference, color=INK, linewidth=0.7, zorder=1)
        handle = _line(ax, line.rename(columns={"estimate": "fitted"}), x, LOOKS[0], marked=False)
        if values is not None:
            ax.plot(values, np.full(len(values), 0.03), "|", transform=ax.get_xaxis_transform(),
                    color=GREY, markersize=4, markeredgewidth=0.6)  # fmt: skip
        ax.margins(x=0.02)
        dress(ax, name_of(x) if xlabel is None else xlabel, name_of("estimate") if ylabel is None else ylabel)
        _label_regions(ax, handle, found, reference, values)
        if new:
            give_height(ax)
    return ax


def significant_regions(curve: pd.DataFrame, x: str) -> pd.DataFrame:
    """Runs of significant values of the moderator, as ``low high``: from the first to the last value of each run.

    >>> curve = pd.DataFrame({"z": [1, 2, 3, 4, 5], "significant": [True, True, False, False, True]})
    >>> significant_regions(curve, "z").to_numpy().tolist()
    [[1.0, 2.0], [5.0, 5.0]]
    """
    checked(curve, "johnson_neyman", needed=["significant"], numeric=[x])
    if not pd.api.types.is_bool_dtype(curve["significant"]):
        raise DataError(
            f"johnson_neyman: column 'significant' holds {curve['significant'].iloc[0]!r}; True or False needed"
        )
    ordered = curve.sort_values(x)
    run = (ordered["significant"] != ordered["significant"].shift()).cumsum()
    inside = ordered[ordered["significant"].astype(bool)]
    ends = inside.groupby(run)[x].agg(["min", "max"])
    return pd.DataFrame({"low": ends["min"].to_numpy(float), "high": ends["max"].to_numpy(float)})


def _raw(raw: pd.DataFrame | None, groups: dict[Any, Look], x: str, by: str, y: str | None) -> pd.DataFrame | None:
    if raw is None:
        return None
    if y is None:
        raise DataError("interaction: raw= needs y=, the name of its column to draw")
    checked(raw, "interaction", needed=[by], numeric=[x, y])
    strange = [group for group in levels(raw[by]) if group not in groups]
    if strange:
        raise DataError(f"interaction: column {by!r} of raw has {strange[0]!r}; the curves have {list(groups)}")
    return raw.dropna(subset=[x, by, y])


def _line(ax: Axes, rows: pd.DataFrame, x: str, look: Look, *, marked: bool) -> Any:
    from matplotlib.lines import Line2D

    ax.fill_between(rows[x], rows["conf_low"], rows["conf_high"], color=look.colour, alpha=0.15, linewidth=0, zorder=2)
    ax.plot(rows[x], rows["fitted"], color=look.colour, linestyle=look.dashes, linewidth=1.5, zorder=3)
    marker = look.marker if marked else ""
    return Line2D([], [], color=look.colour, linestyle=look.dashes, linewidth=1.5, marker=marker, fillstyle="none")


def _clouds(ax: Axes, drawn: pd.DataFrame, x: str, by: str, y: str, groups: dict[Any, Look]) -> None:
    for group, look in groups.items():
        rows = drawn[drawn[by] == group]
        ax.scatter(
            rows[x], rows[y], s=9, marker=look.marker, facecolors="none", edgecolors=look.colour, linewidths=0.6,
            alpha=0.5, zorder=1, rasterized=len(drawn) > MANY,
        )  # fmt: skip


def _regions(
    curve: pd.DataFrame, regions: pd.DataFrame | None, x: str, values: np.ndarray[Any, Any] | None
) -> pd.DataFrame:
    checked(curve, "johnson_neyman", numeric=["estimate", "conf_low", "conf_high"])
    found = significant_regions(curve, x)
    if regions is not None:
        if len(regions):
            checked(regions, "johnson_neyman", numeric=["low", "high"])
        found = regions
    if values is None or "share" in found:
        return found
    inside = [float(np.mean((values >= a) & (values <= b))) for a, b in zip(found["low"], found["high"], strict=True)]
    return found.assign(share=inside)


def _label_regions(ax: Axes, handle: Any, found: pd.DataFrame, reference: float, values: Any) -> None:
    from matplotlib.patches import Patch

    count = "" if values is None else f" of {len(values)} values"
    spans = [
        f"{number(row['low'])} to {number(row['high'])}"
        + (f" ({percent(row['share'])}{count})" if "share" in row else "")
        for row in found.to_dict("records")
    ]
    patch = Patch(facecolor=LOOKS[1].colour, alpha=0.3) if spans else nothing()
    text = f"interval excludes {number(reference)}: " + " and ".join(spans)
    none = f"interval includes {number(reference)} everywhere in the observed range"
    legend_above(ax, [handle, patch], ["estimate and interval", text if spans else none])
