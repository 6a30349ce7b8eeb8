"""Lines and marks as heavy as the style wants them, after a figure is drawn in the weights made for print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.render.figure_style import style_in_use

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def marks_of(ax: Axes | None) -> set[int]:
    """What is on the axes already: the identities of its artists; nothing for axes that are not made yet."""
    return set() if ax is None else {id(artist) for artist in ax.get_children()}


def thicken(ax: Axes, before: set[int]) -> None:
    """Lines wider and marks larger by the weight of the style, on all that was not there before."""
    weight = style_in_use().weight
    if weight == 1:
        return
    for artist in ax.get_children():
        if id(artist) not in before and artist is not ax.patch:
            _thicken(artist, weight)
    legend = ax.get_legend()
    for handle in [] if legend is None or id(legend) in before else legend.legend_handles:
        if handle is not None:
            _thicken(handle, weight)


def _thicken(artist: Artist, weight: float) -> None:
    """Spines are left out: their width is set with the ticks, and would grow each time that something is added to the axes."""
    from matplotlib.collections import Collection, PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.spines import Spine
    from matplotlib.text import Annotation

    if isinstance(artist, Line2D):
        artist.set_linewidth(artist.get_linewidth() * weight)
        artist.set_markersize(artist.get_markersize() * weight)
        artist.set_markeredgewidth(artist.get_markeredgewidth() * weight)
    elif isinstance(artist, Collection):
        artist.set_linewidth((np.atleast_1d(artist.get_linewidth()) * weight).tolist())
        if isinstance(artist, PathCollection):
            artist.set_sizes(artist.get_sizes() * weight**2)
    elif isinstance(artist, Patch) and not isinstance(artist, Spine):
        artist.set_linewidth(artist.get_linewidth() * weight)
    elif isinstance(artist, Annotation) and artist.arrow_patch is not None:
        artist.arrow_patch.set_linewidth(artist.arrow_patch.get_linewidth() * weight)
