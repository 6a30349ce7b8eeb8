"""Mediation of a time to an event: bias of natural effects, and coverage of percentile and Monte Carlo intervals.

    python validation/recovery_mediation_survival.py --trials 300

recovery_mediation_survival.csv   a row a setting, effect and interval

Half of the patients have x = 1. M = a x + e with a normal error of variance 1; the event comes at a constant rate of
r exp(c x + b M + d x M), censoring at a constant rate of a third of r, and the follow-up ends at time 1.5. Compared is the
probability of the event by time 1. The truth is integrated over M by Gauss–Legendre quadrature on ±10, not by the code under
test. Intervals are those of `Mediation`, with 250 resamples (percentile) and 1,000 draws (Monte Carlo).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from alliance_stats import Mediation

HERE = Path(__file__).parent
HORIZON, END = 1.0, 1.5
DRAWS = {"percentile": 250, "monte-carlo": 1000}
EFFECTS = ("indirect", "direct", "total")


@dataclass(frozen=True)
class Setting:
    """One cell: patients, the three paths, the product of exposure and mediator, and the rate of the event."""

    name: str
    n: int
    a: float
    b: float
    c: float
    d: float
    rate: float


GRID = (
    Setting("common event", 200, 0.5, 0.5, 0.3, 0.0, 0.7),
    Setting("no path b", 200, 0.5, 0.0, 0.3, 0.0, 0.7),
    Setting("interaction", 200, 0.5, 0.3, 0.2, 0.4, 0.7),
    Setting("rare event", 400, 0.5, 0.5, 0.3, 0.0, 0.06),
    Setting("few patients", 80, 0.5, 0.5, 0.3, 0.0, 0.7),
)


def probability(s: Setting, x: int, world: int) -> float:
    """P(event by the horizon) under x with the mediator of the other world."""
    z, w = np.polynomial.legendre.leggauss(400)
    z = 10 * z
    density = 10 * w * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    rate = s.rate * np.exp(s.c * x + (s.b + s.d * x) * (s.a * world + z))
    return float(density @ -np.expm1(-rate * HORIZON))


def truth(s: Setting) -> dict[str, float]:
    """The natural effects."""
    R = {(x, m): probability(s, x, m) for x in (0, 1) for m in (0, 1)}
    return {"indirect": R[1, 1] - R[1, 0], "direct": R[1, 0] - R[0, 0], "total": R[1, 1] - R[0, 0]}


def trial(s: Setting, rng: np.random.Generator) -> pd.DataFrame:
    """One trial."""
    x = np.arange(s.n) % 2
    m = s.a * x + rng.standard_normal(s.n)
    event = rng.exponential(size=s.n) / (s.rate * np.exp(s.c * x + (s.b + s.d * x) * m))
    left = np.minimum(3 * rng.exponential(size=s.n) / s.rate, END)
    return pd.DataFrame({"x": x, "m": m, "time": np.minimum(event, left), "event": (event <= left).astype(int)})


def fitted(s: Setting, data: pd.DataFrame, interval: str, seed: int, draws: int) -> pd.DataFrame:
    """The rows of the three effects."""
    outcome = "Surv(time, event) ~ x * m" if s.d else "Surv(time, event) ~ x + m"
    model = Mediation(["m ~ x"], outcome, "x", horizon=HORIZON, interval=interval, draws=draws)
    rows = model.fit(data, rng=seed).tidy()
    return rows[rows["component"] == "effect"].set_index("term").loc[list(EFFECTS)]


def cell(s: Setting, interval: str, trials: int) -> pd.DataFrame:
    """Bias, coverage and rejection of one setting by one interval; both intervals see the same trials."""
    rng = np.random.default_rng([GRID.index(s), 2026])
    true = truth(s)
    found = [fitted(s, trial(s, rng), interval, seed, DRAWS[interval]) for seed in range(trials)]
    estimate, low, high = (np.array([rows[name] for rows in found]) for name in ("estimate", "conf_low", "conf_high"))
    aim, sd = np.array(list(true.values())), estimate.std(axis=0, ddof=1)
    columns = {
        "truth": aim, "bias": estimate.mean(axis=0) - aim, "bias_error": sd / np.sqrt(trials), "sd": sd,
        "coverage": ((low <= aim) & (aim <= high)).mean(axis=0), "rejected": ((low > 0) | (high < 0)).mean(axis=0),
    }  # fmt: skip
    given = asdict(s) | {"effect": list(true), "interval": interval, "trials": trials}
    return pd.DataFrame(given | columns)


def recovery(trials: int, grid: Sequence[Setting] = GRID) -> pd.DataFrame:
    """The table for some settings."""
    return pd.concat([cell(s, interval, trials) for s in grid for interval in DRAWS], ignore_index=True)


def main() -> None:
    """Run the grid and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    trials = parser.parse_args().trials
    recovery(trials).round(4).to_csv(HERE / "recovery_mediation_survival.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
