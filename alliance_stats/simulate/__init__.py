"""Seeded synthetic trials whose truth is known."""

from alliance_stats.simulate.ferreira import simulate_ferreira
from alliance_stats.simulate.fuentes import simulate_fuentes
from alliance_stats.simulate.trial import Trial

__all__ = ["Trial", "simulate_ferreira", "simulate_fuentes"]
