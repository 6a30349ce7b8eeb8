"""alliance_stats: does the working alliance predict pain, disability, adherence and dropout?"""

from alliance_stats.design.steps import Centre, Change, Detrend, Lag, Lead
from alliance_stats.errors import AllianceError, ConvergenceError, DataError, FormulaError, TargetError
from alliance_stats.inference.compare import compare
from alliance_stats.inference.contrasts import anova, contrast, marginal_means, non_inferiority
from alliance_stats.inference.predict import predict, simulate
from alliance_stats.inference.slopes import curve, johnson_neyman, simple_slopes, slope_curve
from alliance_stats.models.linear import LinearModel
from alliance_stats.result import Result

__version__ = "0.1.0"

__all__ = [
    "AllianceError", "Centre", "Change", "ConvergenceError", "DataError", "Detrend", "FormulaError", "Lag", "Lead",
    "LinearModel", "Result", "TargetError", "anova", "compare", "contrast", "curve", "johnson_neyman",
    "marginal_means", "non_inferiority", "predict", "simple_slopes", "simulate", "slope_curve",
]  # fmt: skip
