"""Seeded synthetic trials whose truth is known."""

from alliance_stats.synthetic.composed import simulate_trial
from alliance_stats.synthetic.critschristoph import simulate_critschristoph
from alliance_stats.synthetic.design import TrialDesign
from alliance_stats.synthetic.ferreira import simulate_ferreira
from alliance_stats.synthetic.from_summaries import simulate_chen, simulate_kaptchuk
from alliance_stats.synthetic.fuentes import simulate_fuentes
from alliance_stats.synthetic.huppert import simulate_huppert
from alliance_stats.synthetic.items import simulate_items
from alliance_stats.synthetic.keller import simulate_keller
from alliance_stats.synthetic.lonsdale import simulate_lonsdale
from alliance_stats.synthetic.sharf import simulate_sharf
from alliance_stats.synthetic.trial import Trial

__all__ = [
    "Trial",
    "TrialDesign",
    "simulate_chen",
    "simulate_critschristoph",
    "simulate_ferreira",
    "simulate_fuentes",
    "simulate_huppert",
    "simulate_items",
    "simulate_kaptchuk",
    "simulate_keller",
    "simulate_lonsdale",
    "simulate_sharf",
    "simulate_trial",
]
