"""Seeded synthetic trials whose truth is known."""

from alliance_stats.synthetic.ferreira import simulate_ferreira
from alliance_stats.synthetic.fuentes import simulate_fuentes
from alliance_stats.synthetic.trial import Trial

__all__ = ["Trial", "simulate_ferreira", "simulate_fuentes"]
