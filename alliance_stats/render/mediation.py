"""Mediation drawn: the effects explained, an effect against the correlation of errors, and against shares of variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from alliance_stats.errors import DataError
from alliance_stats.render.forest import forest
from alliance_stats.render.numbers import fixed, number
from alliance_stats.render.style import (
    GREY,
    INK,
    LOOKS,
    SIZE,
    canvas,
    checked,
    dress,
    give_height,
    house,
    legend_above,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["effects", "worlds", "parts"]
MEANING: Mapping[str, str] = {
    "indirect": "indirect: through the mediator",
    "direct": "direct: not through the mediator",
    "total": "total",
    "acme_control": "indirect, had all been controls (ACME control)",
    "acme_treated": "indirect, had all been treated (ACME treated)",
    "ade_control": "direct, mediator as in controls (ADE control)",
    "ade_treated": "direct, mediator as in treated (ADE treated)",
    "cde": "direct, mediator held fixed (CDE)",
    "intref": "interaction alone (INTref)",
    "intmed": "interaction and mediation (INTmed)",
    "pie": "mediation alone (PIE)",
    "excess_cde": "direct, mediator held fixed (excess of CDE)",
    "proportion_mediated": "proportion mediated",
}
CHOSEN: Mapping[Kind, tuple[str, ...]] = {
    "effects": ("indirect", "direct", "total"),
    "worlds": ("acme_control", "acme_treated", "ade_control", "ade_treated", "total"),
    "parts": ("cde", "intref", "intmed", "pie", "total"),
}


APART = 0.14  # least distance of the numbers on two contours, as a share of the diagonal


def effect_forest(
    estimates: pd.DataFrame, *, kind: Kind = "effects", ax: Axes | None = None, labels: Mapping[str, str] | None = None,
    reference: float = 0.0, xlabel: str | None = None, width: float = 85.0,
) -> Axes:  # fmt: skip
    """Effects of a mediation with their intervals, each named in words.

    Parameters
    ----------
    estimates : tidy rows of a Mediation or of interventional effects.
    kind : ``"effects"``: indirect (each path where there are several, each moderator value), direct, total; ``"worlds"``: both
        indirect and both direct effects; ``"parts"``: the four parts of VanderWeele 2014.
    labels : other names, by term.
    reference : 0, or 1 for ratios.

    Raises DataError where the frame holds none of them.

    >>> rows = pd.DataFrame({"term": ["indirect", "direct", "total"], "component": "effect", "estimate": [-0.2, -0.1, -0.3],
    ...                      "conf_low": [-0.4, -0.3, -0.6], "conf_high": [-0.1, 0.1, 0.0]})
    >>> ax = effect_forest(rows, xlabel="Pain (points)")
    >>> [label.get_text().split(":")[0] for label in ax.get_yticklabels()]
    ['indirect', 'direct', 'total']
    """
    checked(estimates, "effect_forest", needed=["term", "component"], numeric=["estimate", "conf_low", "conf_high"])
    if kind not in CHOSEN:
        raise DataError(f"effect_forest: kind is {kind!r}; use one of {', '.join(CHOSEN)}")
    terms = estimates["term"].astype(str)
    wanted = terms.isin(CHOSEN[kind])
    if kind == "effects":
        wanted |= terms.str.startswith(("indirect(", "indirect, ", "direct, ")) & ~terms.str.contains(
            r"\)-", regex=True
        )
    rows = estimates[wanted & (estimates["component"] == "effect")]
    if "at" in rows:
        rows = rows[~rows["at"].str.contains(") - (", regex=False)]
    order = {term: k for k, term in enumerate(CHOSEN[kind])}
    rows = (
        rows.sort_values("term", key=lambda t: t.map(order).fillna(len(order)), kind="stable")
        if kind != "effects"
        else rows
    )
    if rows.empty:
        raise DataError(f"effect_forest: no rows of kind={kind!r}; terms: {', '.join(terms.unique())}")
    several = {"indirect": "indirect: through the mediators together", "direct": "direct: through none of them"}
    by_path = rows["term"].str.startswith("indirect(").any()
    named = {
        **MEANING,
        **(several if by_path else {}),
        **{term: _path_label(term) for term in terms if term.startswith("indirect(")},
        **(labels or {}),
    }
    ax = forest(rows, ax=ax, labels=named, reference=reference, xlabel=xlabel or "effect", width=width)
    ax.locator_params(axis="x", nbins=5)
    return ax


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
            handles.append(_blank())
            way = "in the same direction" if bool(frame["same_sign"].iloc[0]) else "in opposite directions"
            texts.append(f"confounder moves both {way}")
        dress(ax, f"share of the mediator's {kind}" if xlabel is None else xlabel,
              f"share of the outcome's {kind}" if ylabel is None else ylabel)  # fmt: skip
        legend_above(ax, handles, texts)
        if new:
            give_height(ax, 50)
    return ax


def _path_label(term: str) -> str:
    inside = term.removeprefix("indirect(").removesuffix(")").replace("_", " ")
    return f"indirect: through {inside.replace('>', ', then ')}"


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
    for text in ax.clabel(lines, fmt=lambda value: number(value, 2), fontsize=SIZE - 1, manual=places):
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
        return [_blank()], ["nowhere without effect"]
    look = LOOKS[1]
    ax.contour(x, y, z, levels=[0.0], colors=look.colour, linewidths=2.0, linestyles="dashed")
    return [Line2D([], [], color=look.colour, linewidth=2.0, linestyle="dashed")], ["no effect"]


def _only(frame: pd.DataFrame, name: str) -> str:
    return str(frame[name].iloc[0]) if name in frame else ""


def _blank() -> Any:
    from alliance_stats.render.style import nothing

    return nothing()
