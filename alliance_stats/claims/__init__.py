"""Eleven claims about the therapeutic relationship, the printed evidence for and against each, and a verdict by one rule."""

from alliance_stats.claims.frames import claims, claims_evidence

__all__ = ["claims", "claims_evidence"]
