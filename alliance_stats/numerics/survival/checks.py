"""Proportional hazards and concordance of a fitted Cox model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.survival.cox import Partial, information
from alliance_stats.numerics.survival.dominance import below
from alliance_stats.numerics.survival.risk import RiskSets


def schoenfeld(risk: RiskSets, X: np.ndarray, at: Partial) -> np.ndarray:
    """x of each event minus the mean of its risk set, shape (events, p); tied events share the mean of their means."""
    return np.asarray(X[risk.events] - (risk.tied(at.means) / risk.ties[:, None])[risk.at])


def score_tests(
    risk: RiskSets, X: np.ndarray, at: Partial, g: np.ndarray, terms: Sequence[Sequence[int]]
) -> list[tuple[float, int]]:
    """Score tests that the terms' products with g(t), one value an event, have no effect: (χ², df) of each term, then of all.

    Therneau & Grambsch 2000, doi 10.1007/978-1-4757-3294-8, section 6.2, with the information of the risk sets themselves
    rather than its average over time.
    """
    g = g - g.mean()
    p, score = X.shape[1], g @ schoenfeld(risk, X, at)
    blocks = [information(risk, X, at, g**power) for power in (0, 1, 2)]
    joint = np.block([[blocks[0], blocks[1]], [blocks[1], blocks[2]]])
    out = []
    for columns in [*terms, range(p)]:
        j = list(columns)
        rows = [*range(p), *(p + i for i in j)]
        u = np.concatenate([np.zeros(p), score[j]])
        out.append((float(u @ np.linalg.solve(joint[np.ix_(rows, rows)], u)), len(j)))
    return out


@dataclass(frozen=True)
class Concordance:
    """Pairs of a row with an event and a row still at risk after it; ``influence`` is one value a row."""

    concordant: float
    discordant: float
    tied: float
    influence: np.ndarray

    @property
    def estimate(self) -> float:
        """Share of pairs in which the event has the higher predicted hazard, ties counted half."""
        return (self.concordant + self.tied / 2) / (self.concordant + self.discordant + self.tied)


def concordance(risk: RiskSets, eta: np.ndarray) -> Concordance:
    """Harrell's C for intervals and strata, with the influence of each row (infinitesimal jackknife).

    A pair is an event and a row at risk at its time that has no event then. Counted by position and rank, without a loop over
    the events.
    """
    level = np.unique(np.round(eta / max(float(np.abs(eta).max(initial=0.0)), 1e-300), 12), return_inverse=True)[1]
    n, own = len(eta), level[risk.events]
    event = np.zeros(n, dtype=bool)
    event[risk.events] = True
    position = np.zeros(n, dtype=int)
    position[risk.events] = risk.at
    last = np.where(event, position, risk.hi)  # a row with an event is compared before its own time only
    first = np.minimum(risk.lo, last)
    # as the row still at risk: events in its range of positions, by their level
    bounds = np.searchsorted(risk.at, np.stack([first, last]))
    under, upto = (below(own, bounds[1], level + k) - below(own, bounds[0], level + k) for k in (0, 1))
    met = np.stack([(bounds[1] - bounds[0]) - upto, under, upto - under])  # concordant, discordant, tied
    # as the event: the rows that have entered, without those that have left by then
    entered, left = np.argsort(first, kind="stable"), np.argsort(last, kind="stable")
    counts = [
        below(level[entered], np.searchsorted(first[entered], risk.at, side="right"), own + k)
        - below(level[left], np.searchsorted(last[left], risk.at, side="right"), own + k)
        for k in (0, 1)
    ]
    inside = np.searchsorted(first[entered], risk.at, side="right") - np.searchsorted(last[left], risk.at, side="right")
    made = np.zeros((3, n))
    made[:, risk.events] = np.stack([counts[0], inside - counts[1], counts[1] - counts[0]])
    concordant, discordant, tied = met.sum(axis=1).astype(float)
    pairs = concordant + discordant + tied
    found = Concordance(concordant, discordant, tied, np.zeros(n))
    if pairs == 0:
        return found
    both = met + made
    influence = (both[0] + both[2] / 2 - found.estimate * both.sum(axis=0)) / pairs
    return Concordance(concordant, discordant, tied, influence)
