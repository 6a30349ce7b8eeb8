"""The figures: frames in, matplotlib axes out, each with the public frame of what it draws."""

from __future__ import annotations

from alliance_stats.render.caterpillar import caterpillar, caterpillar_rows, caterpillars
from alliance_stats.render.curves import at_maximum, interaction, johnson_neyman, significant_regions
from alliance_stats.render.flow import participant_flow
from alliance_stats.render.flow_layout import flow_boxes
from alliance_stats.render.forest import forest, forest_rows
from alliance_stats.render.hazard import completion, reference_hazard, session_hazard, session_hazards
from alliance_stats.render.mediation import effect_forest, sensitivity_contours, sensitivity_curve
from alliance_stats.render.path_diagram import path_diagram, path_rows
from alliance_stats.render.points import group_means, raw_points, residuals, running_median, swarm
from alliance_stats.render.residuals import normal_quantiles, quantiles, residuals_fitted
from alliance_stats.render.save import as_svg, save_figure
from alliance_stats.render.slopes import within_between
from alliance_stats.render.style import canvas
from alliance_stats.render.survival import at_risk, cumulative_incidence, step_values, survival
from alliance_stats.render.trajectories import patient_lines, trajectories

__all__ = [
    "as_svg", "at_maximum", "at_risk", "canvas", "caterpillar", "caterpillar_rows", "caterpillars", "completion",
    "cumulative_incidence", "effect_forest", "flow_boxes", "forest", "forest_rows", "group_means", "interaction",
    "johnson_neyman", "normal_quantiles", "participant_flow", "path_diagram", "path_rows", "patient_lines",
    "quantiles", "raw_points", "reference_hazard", "residuals", "residuals_fitted", "running_median", "save_figure",
    "sensitivity_contours", "sensitivity_curve", "session_hazard", "session_hazards", "significant_regions",
    "step_values", "survival", "swarm", "trajectories", "within_between",
]  # fmt: skip
