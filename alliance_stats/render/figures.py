"""The figures: frames in, matplotlib axes out, each with the public frame of what it draws."""

from __future__ import annotations

from alliance_stats.render import alt_checks, alt_course, alt_curves, alt_estimates, alt_probability
from alliance_stats.render.caterpillar import caterpillar as _caterpillar
from alliance_stats.render.caterpillar import caterpillars as _caterpillars
from alliance_stats.render.caterpillar_rows import caterpillar_rows
from alliance_stats.render.ceiling import at_maximum
from alliance_stats.render.curves import interaction as _interaction
from alliance_stats.render.curves import johnson_neyman as _johnson_neyman
from alliance_stats.render.curves import significant_regions
from alliance_stats.render.described import alt_text, described, figure_data
from alliance_stats.render.figure_style import figure_style
from alliance_stats.render.flow import participant_flow as _participant_flow
from alliance_stats.render.flow_layout import flow_boxes
from alliance_stats.render.forest import forest as _forest
from alliance_stats.render.forest import forest_rows
from alliance_stats.render.hazard import completion as _completion
from alliance_stats.render.hazard import reference_hazard as _reference_hazard
from alliance_stats.render.hazard import session_hazard as _session_hazard
from alliance_stats.render.hazard import session_hazards
from alliance_stats.render.mediation import effect_forest as _effect_forest
from alliance_stats.render.observed_predicted import calibration as _calibration
from alliance_stats.render.observed_predicted import rootogram as _rootogram
from alliance_stats.render.panels import panels
from alliance_stats.render.path_diagram import path_diagram as _path_diagram
from alliance_stats.render.path_texts import path_rows
from alliance_stats.render.patient_paths import patient_path_lines, tell_patient_paths
from alliance_stats.render.patient_paths import patient_paths as _patient_paths
from alliance_stats.render.points import group_means as _group_means
from alliance_stats.render.points import raw_points, running_median, swarm
from alliance_stats.render.points import residuals as _residuals
from alliance_stats.render.probability import effect_curve as _effect_curve
from alliance_stats.render.probability import group_outcomes as _group_outcomes
from alliance_stats.render.probability import outcome_curve as _outcome_curve
from alliance_stats.render.residuals import normal_quantiles
from alliance_stats.render.residuals import quantiles as _quantiles
from alliance_stats.render.residuals import residuals_fitted as _residuals_fitted
from alliance_stats.render.save import as_svg, save_figure
from alliance_stats.render.sensitivity import sensitivity_contours as _sensitivity_contours
from alliance_stats.render.sensitivity import sensitivity_curve as _sensitivity_curve
from alliance_stats.render.slopes import within_between as _within_between
from alliance_stats.render.style import canvas
from alliance_stats.render.survival import at_risk, step_values
from alliance_stats.render.survival import cumulative_incidence as _cumulative_incidence
from alliance_stats.render.survival import survival as _survival
from alliance_stats.render.trajectories import patient_lines
from alliance_stats.render.trajectories import trajectories as _trajectories

__all__ = [
    "alt_text", "as_svg", "at_maximum", "at_risk", "calibration", "canvas", "caterpillar", "caterpillar_rows",
    "caterpillars", "completion", "cumulative_incidence", "effect_curve", "effect_forest", "figure_data",
    "figure_style", "flow_boxes", "forest", "forest_rows", "group_means", "group_outcomes", "interaction",
    "johnson_neyman", "normal_quantiles", "outcome_curve", "panels", "participant_flow", "path_diagram",
    "path_rows", "patient_lines", "patient_path_lines", "patient_paths", "quantiles", "raw_points",
    "reference_hazard", "residuals", "residuals_fitted", "rootogram", "running_median", "save_figure",
    "sensitivity_contours", "sensitivity_curve", "session_hazard", "session_hazards", "significant_regions",
    "step_values", "survival", "swarm", "trajectories", "within_between",
]  # fmt: skip

# Each figure function with what its figure says in words and as a frame.
calibration = described(alt_probability.tell_calibration)(_calibration)
caterpillar = described(alt_estimates.tell_caterpillar)(_caterpillar)
caterpillars = described(alt_estimates.tell_caterpillars)(_caterpillars)
completion = described(alt_curves.tell_completion)(_completion)
cumulative_incidence = described(alt_course.tell_incidence)(_cumulative_incidence)
effect_curve = described(alt_probability.tell_effect_curve)(_effect_curve)
effect_forest = described(alt_estimates.tell_effects)(_effect_forest)
forest = described(alt_estimates.tell_forest)(_forest)
group_means = described(alt_estimates.tell_means)(_group_means)
group_outcomes = described(alt_probability.tell_group_outcomes)(_group_outcomes)
interaction = described(alt_curves.tell_interaction)(_interaction)
johnson_neyman = described(alt_curves.tell_johnson_neyman)(_johnson_neyman)
outcome_curve = described(alt_probability.tell_outcome_curve)(_outcome_curve)
participant_flow = described(alt_course.tell_flow)(_participant_flow)
path_diagram = described(alt_estimates.tell_paths)(_path_diagram)
patient_paths = described(tell_patient_paths)(_patient_paths)
quantiles = described(alt_checks.tell_quantiles)(_quantiles)
reference_hazard = described(alt_course.tell_reference)(_reference_hazard)
residuals = described(alt_checks.tell_residuals)(_residuals)
residuals_fitted = described(alt_checks.tell_residuals_fitted)(_residuals_fitted)
rootogram = described(alt_probability.tell_rootogram)(_rootogram)
sensitivity_contours = described(alt_curves.tell_contours)(_sensitivity_contours)
sensitivity_curve = described(alt_curves.tell_sensitivity_curve)(_sensitivity_curve)
session_hazard = described(alt_course.tell_hazard)(_session_hazard)
survival = described(alt_course.tell_survival)(_survival)
trajectories = described(alt_curves.tell_trajectories)(_trajectories)
within_between = described(alt_curves.tell_slopes)(_within_between)
