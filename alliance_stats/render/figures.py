"""The figures: frames in, matplotlib axes out, each with the public frame of what it draws."""

from __future__ import annotations

from alliance_stats.render.caterpillar import caterpillar, caterpillar_rows, caterpillars
from alliance_stats.render.curves import at_maximum, interaction, johnson_neyman, significant_regions
from alliance_stats.render.flow import participant_flow
from alliance_stats.render.flow_layout import flow_boxes
from alliance_stats.render.forest import forest, forest_rows
from alliance_stats.render.points import group_means, raw_points, residuals, running_median, swarm
from alliance_stats.render.residuals import normal_quantiles, quantiles, residuals_fitted
from alliance_stats.render.save import as_svg, save_figure
from alliance_stats.render.slopes import within_between
from alliance_stats.render.style import canvas
from alliance_stats.render.trajectories import patient_lines, trajectories

__all__ = [
    "as_svg", "at_maximum", "canvas", "caterpillar", "caterpillar_rows", "caterpillars", "flow_boxes", "forest",
    "forest_rows", "group_means", "interaction", "johnson_neyman", "normal_quantiles", "participant_flow",
    "patient_lines", "quantiles", "raw_points", "residuals", "residuals_fitted", "running_median", "save_figure",
    "significant_regions", "swarm", "trajectories", "within_between",
]  # fmt: skip
