"""The declared replication: Study, Analysis, Estimand, Target, Run."""

from alliance_stats.study.declare import Analysis, Estimand, Figure, Option, Study, Target
from alliance_stats.study.run import Run

__all__ = ["Analysis", "Estimand", "Figure", "Option", "Run", "Study", "Target"]
