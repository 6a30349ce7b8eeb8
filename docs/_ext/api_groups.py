"""Which page of the API reference each public name stands on, by purpose. A new name without a place falls into OTHER."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """One page: its file name, its heading, a sentence, and the names in the order in which they are shown."""

    key: str
    title: str
    about: str
    names: tuple[str, ...]


GROUPS = (
    Group(
        "files",
        "Files, columns and description",
        "From the export of another program to a frame that is known: what it holds, what is missing, who left.",
        ("read_table", "Variable", "write_codebook", "draft_dictionary", "read_dictionary",
         "write_dictionary", "missing_codes", "describe", "flow_frame", "missing_patterns",
         "missing_by_item", "missing_by_design", "attrition_counts", "attrition_table"),
    ),
    Group(
        "questionnaires",
        "Questionnaires: scores, reliability, change",
        "Scoring keys with their sources, and what can be said of the scores.",
        ("instruments", "instrument", "score", "keyed_items", "alpha", "omega", "item_statistics", "rater_agreement",
         "item_answers", "multilevel_reliability", "reliable_change", "clinical_cutoff", "change_summary", "responders",
         "floor_ceiling"),
    ),
    Group(
        "steps",
        "Steps: frames to frames",
        "Frozen declarations. `step(frame)` returns a new frame; `prepare=(step, …)` of a model learns its constants in the "
        "fit and applies them to new rows.",
        ("Centre", "Lag", "Lead", "Change", "Detrend", "Long", "PerPatient", "dropout_frame"),
    ),
    Group(
        "models",
        "Models",
        "Frozen declarations with `.fit(data)`, which returns a [`Result`](results.md). Each has a "
        "[page with its mathematics](../models/index.md).",
        ("LinearModel", "MixedModel", "GeneralizedMixedModel", "BetaModel", "FractionalModel", "GEE", "OrdinalModel",
         "CoxModel", "DiscreteTimeModel", "CompetingRisksModel", "Mediation", "MultilevelMediation", "SummaryStatistics",
         "process_model", "adherence", "interventional_effects", "InterventionalEffects"),
    ),
    Group(
        "results",
        "Results: means, contrasts, predictions",
        "What a fit returns, and functions of it that work for many models.",
        ("Result", "compare", "anova", "wald_test", "marginal_means", "contrast", "non_inferiority", "predict", "simulate",
         "simple_slopes", "slope_curve", "johnson_neyman", "curve", "standardised_effects", "cohens_d",
         "relative_importance", "below_maximum", "wild_bootstrap"),
    ),
    Group(
        "levels",
        "Patients and therapists: functions of mixed models",
        "Variance components, the effects of single therapists, within and between, and checks of the fit.",
        ("icc", "random_effects", "caseload", "dependability", "contextual_effect", "within_between", "profile",
         "bootstrap", "refit", "leave_one_out", "residuals", "standardised_random_effects"),
    ),
    Group(
        "adherence",
        "Shares, counts and ratings: functions of their models",
        "Effects in the outcome's own unit, and whether the distribution fits.",
        ("average_marginal_effects", "average_outcomes", "outcome_curve", "effect_curve", "group_outcomes", "calibration",
         "rootogram", "dispersion_check", "zero_check", "category_probabilities",
         "proportional_odds", "group_effects"),
    ),
    Group(
        "dropout",
        "Time to dropout",
        "Curves, tests, and functions of the hazard models.",
        ("kaplan_meier", "aalen_johansen", "landmark_curves", "restricted_mean", "median_times", "log_rank", "gray_test",
         "hazard_ratios", "baseline_hazard", "event_probabilities", "completion_probability", "completion_difference",
         "frailties", "concordance",
         "proportional_hazards", "schoenfeld_residuals", "martingale_residuals"),
    ),
    Group(
        "mediation",
        "Mediation and hidden confounders",
        "Conditional indirect effects, each patient's own paths, and how strong an unmeasured cause would have to be.",
        ("conditional_indirect", "patient_paths", "sensitivity", "sensitivity_curve", "sensitivity_contours", "agrema"),
    ),
    Group(
        "studies",
        "Studies, claims and simulated trials",
        "Published designs that are declared once and rerun on anyone's data.",
        ("studies", "load_synthetic", "Study", "Analysis", "Estimand", "Target", "Option", "Run", "new_project",
         "read_study", "declaration", "register", "registered", "deviations", "claims",
         "claims_evidence", "report_claims", "simulate_trial", "TrialDesign", "simulate_items"),
    ),
    Group(
        "output",
        "Tables, sentences and saved figures",
        "What goes into a paper. The drawings themselves are on the page [Figures](figures).",
        ("rounded", "table", "baseline_table", "correlation_table", "comparison_table", "replication_table", "Table",
         "save_table", "write_document", "ForMaketables", "save_figure", "figure_style", "FigureStyle",
         "panels", "alt_text", "figure_data", "checklist", "methods_text"),
    ),
    Group(
        "figures",
        "Figures",
        "`al.figures.NAME(frame, ax=)`: frames in, matplotlib axes out.",
        ("figures",),
    ),
    Group(
        "errors",
        "Errors",
        "Every error that the package raises on purpose. The message names the column or argument, what was found and "
        "what to do.",
        ("AllianceError", "DataError", "FormulaError", "ConvergenceError", "TargetError"),
    ),
)  # fmt: skip
OTHER = Group("other", "Other", "Names that have no place of their own yet.", ())


def grouped(public: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Group key → its names among those that are public, in the order of the page; what no group names is in ``other``.

    >>> grouped(["contrast", "anova", "a_new_name"])
    {'results': ('anova', 'contrast'), 'other': ('a_new_name',)}
    """
    present = set(public)
    pages = {group.key: tuple(name for name in group.names if name in present) for group in GROUPS}
    left = present - {name for names in pages.values() for name in names}
    return {key: names for key, names in (pages | {OTHER.key: tuple(sorted(left))}).items() if names}
