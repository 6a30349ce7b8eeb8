"""alliance_stats: does the working alliance predict pain, disability, adherence and dropout?"""

from alliance_stats.claims import claims, claims_evidence
from alliance_stats.data.attrition import attrition_counts, attrition_table
from alliance_stats.data.describe import describe
from alliance_stats.data.flow import flow_frame
from alliance_stats.data.missing_alliance import missing_by_design
from alliance_stats.data.missing_codes import missing_codes
from alliance_stats.data.missingness import missing_by_item, missing_patterns
from alliance_stats.data.publish import write_codebook
from alliance_stats.data.reading import read_table
from alliance_stats.data.variables import Variable
from alliance_stats.design.dropout import dropout_frame
from alliance_stats.design.reshape import Long, PerPatient
from alliance_stats.design.steps import Centre, Change, Detrend, Lag, Lead
from alliance_stats.errors import AllianceError, ConvergenceError, DataError, FormulaError, TargetError
from alliance_stats.inference.adherence import adherence
from alliance_stats.inference.bootstrap import bootstrap
from alliance_stats.inference.ceiling import below_maximum
from alliance_stats.inference.compare import compare
from alliance_stats.inference.completion import completion_probability
from alliance_stats.inference.conditional_indirect import conditional_indirect
from alliance_stats.inference.confounding import sensitivity
from alliance_stats.inference.contrasts import anova, contrast, marginal_means, non_inferiority, wald_test
from alliance_stats.inference.displays import contextual_effect, residuals, standardised_random_effects, within_between
from alliance_stats.inference.effect_sizes import cohens_d, standardised_effects
from alliance_stats.inference.generalized_checks import dispersion_check, zero_check
from alliance_stats.inference.groups import caseload, dependability, icc, random_effects
from alliance_stats.inference.importance import relative_importance
from alliance_stats.inference.interventional import InterventionalEffects, interventional_effects
from alliance_stats.inference.marginal_effects import average_marginal_effects, average_outcomes
from alliance_stats.inference.mediation_reporting import agrema
from alliance_stats.inference.mediation_sensitivity import sensitivity_contours, sensitivity_curve
from alliance_stats.inference.multilevel_paths import patient_paths
from alliance_stats.inference.predict import predict, simulate
from alliance_stats.inference.profile import profile
from alliance_stats.inference.refit import leave_one_out, refit
from alliance_stats.inference.reliability import item_answers, multilevel_reliability
from alliance_stats.inference.slopes import curve, johnson_neyman, simple_slopes, slope_curve
from alliance_stats.inference.survival_curves import (
    aalen_johansen,
    kaplan_meier,
    landmark_curves,
    median_times,
    restricted_mean,
)
from alliance_stats.inference.survival_tests import gray_test, log_rank
from alliance_stats.inference.wild_bootstrap import wild_bootstrap
from alliance_stats.instruments.agreement import rater_agreement
from alliance_stats.instruments.change import change_summary, clinical_cutoff, reliable_change
from alliance_stats.instruments.item_statistics import item_statistics
from alliance_stats.instruments.registry import INSTRUMENTS as instruments  # noqa: N811  a mapping, named as users name it
from alliance_stats.instruments.registry import instrument
from alliance_stats.instruments.reliability import alpha, omega
from alliance_stats.instruments.responders import responders
from alliance_stats.instruments.scoring import keyed_items, score
from alliance_stats.instruments.shares import floor_ceiling
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.competing import CompetingRisksModel
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.cox_checks import (
    concordance,
    martingale_residuals,
    proportional_hazards,
    schoenfeld_residuals,
)
from alliance_stats.models.cox_curves import baseline_hazard, event_probabilities, frailties, hazard_ratios
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.models.ordinal import OrdinalModel
from alliance_stats.models.ordinal_checks import proportional_odds
from alliance_stats.models.ordinal_predict import category_probabilities, group_effects
from alliance_stats.models.process_models import process_model
from alliance_stats.models.summary import SummaryStatistics
from alliance_stats.render import figures
from alliance_stats.render.save import save_figure
from alliance_stats.render.table import rounded
from alliance_stats.report.claims import report_claims
from alliance_stats.result import Result
from alliance_stats.studies import REGISTRY as studies  # noqa: N811  a mapping, named as users name it
from alliance_stats.studies import load_synthetic
from alliance_stats.study.declare import Analysis, Estimand, Option, Study, Target
from alliance_stats.study.run import Run
from alliance_stats.synthetic.composed import simulate_trial
from alliance_stats.synthetic.design import TrialDesign
from alliance_stats.synthetic.items import simulate_items

__version__ = "0.1.0"

__all__ = [
    "GEE",
    "AllianceError",
    "Analysis",
    "BetaModel",
    "Centre",
    "Change",
    "CompetingRisksModel",
    "ConvergenceError",
    "CoxModel",
    "DataError",
    "Detrend",
    "DiscreteTimeModel",
    "Estimand",
    "FormulaError",
    "FractionalModel",
    "GeneralizedMixedModel",
    "InterventionalEffects",
    "Lag",
    "Lead",
    "LinearModel",
    "Long",
    "Mediation",
    "MixedModel",
    "MultilevelMediation",
    "Option",
    "OrdinalModel",
    "PerPatient",
    "Result",
    "Run",
    "Study",
    "SummaryStatistics",
    "Target",
    "TargetError",
    "TrialDesign",
    "Variable",
    "aalen_johansen",
    "adherence",
    "agrema",
    "alpha",
    "anova",
    "attrition_counts",
    "attrition_table",
    "average_marginal_effects",
    "average_outcomes",
    "baseline_hazard",
    "below_maximum",
    "bootstrap",
    "caseload",
    "category_probabilities",
    "change_summary",
    "claims",
    "claims_evidence",
    "clinical_cutoff",
    "cohens_d",
    "compare",
    "completion_probability",
    "concordance",
    "conditional_indirect",
    "contextual_effect",
    "contrast",
    "curve",
    "dependability",
    "describe",
    "dispersion_check",
    "dropout_frame",
    "event_probabilities",
    "figures",
    "floor_ceiling",
    "flow_frame",
    "frailties",
    "gray_test",
    "group_effects",
    "hazard_ratios",
    "icc",
    "instrument",
    "instruments",
    "interventional_effects",
    "item_answers",
    "item_statistics",
    "johnson_neyman",
    "kaplan_meier",
    "keyed_items",
    "landmark_curves",
    "leave_one_out",
    "load_synthetic",
    "log_rank",
    "marginal_means",
    "martingale_residuals",
    "median_times",
    "missing_by_design",
    "missing_by_item",
    "missing_codes",
    "missing_patterns",
    "multilevel_reliability",
    "non_inferiority",
    "omega",
    "patient_paths",
    "predict",
    "process_model",
    "profile",
    "proportional_hazards",
    "proportional_odds",
    "random_effects",
    "rater_agreement",
    "read_table",
    "refit",
    "relative_importance",
    "reliable_change",
    "report_claims",
    "residuals",
    "responders",
    "restricted_mean",
    "rounded",
    "save_figure",
    "schoenfeld_residuals",
    "score",
    "sensitivity",
    "sensitivity_contours",
    "sensitivity_curve",
    "simple_slopes",
    "simulate",
    "simulate_items",
    "simulate_trial",
    "slope_curve",
    "standardised_effects",
    "standardised_random_effects",
    "studies",
    "wald_test",
    "wild_bootstrap",
    "within_between",
    "write_codebook",
    "zero_check",
]  # fmt: skip
