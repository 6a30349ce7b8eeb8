"""Indirect effects: coverage and type I error of percentile, BCa, Monte Carlo, delta and product intervals.

    python validation/recovery_mediation.py --trials 4000

recovery_mediation.csv   a row a setting (n, a, b, interaction, reliability of the mediator) and interval

Half of the patients have x = 1, half x = −1; M = a x + e, Y = b M + h x M + e with normal errors of variance 1, and both
regressions contain x. The effect is that of one unit of x among the exposed, a (b + h), of the true mediator; the mediator
that is analysed carries an error of measurement where its reliability is below 1 (share of the variance given x). The paths
.14 and .39 are a small and a medium effect. Trials are arrays: the estimates of all resamples come from weighted
cross-products, and the limits from the functions that `Mediation` uses. Twenty trials share one set of 1,000 resampling counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from alliance_stats.numerics.mediation_product import product_cdf
from alliance_stats.numerics.mediation_resample import bca_limits, percentile_limits, row_counts

HERE = Path(__file__).parent
DRAWS, BATCH = 1000, 20
Z = 1.959963984540054
EFFECTS = (0.0, 0.14, 0.39)


@dataclass(frozen=True)
class Setting:
    """One cell: sample size, the two paths, the interaction of exposure and mediator, and the mediator's reliability."""

    n: int
    a: float
    b: float
    interaction: float = 0.0
    reliability: float = 1.0

    @property
    def truth(self) -> float:
        """The indirect effect of one unit among the exposed, of the true mediator."""
        return self.a * (self.b + self.interaction)


GRID = (
    *(Setting(n, a, b, 0.0, r) for r, n, a, b in product((1.0, 0.7), (50, 100, 200), EFFECTS, EFFECTS)),
    *(Setting(n, a, 0.14, 0.25) for n, a in product((50, 100, 200), (0.0, 0.39))),
)


def trial(s: Setting, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exposure, measured mediator and outcome of one trial."""
    x = np.where(np.arange(s.n) % 2, 1.0, -1.0)
    true = s.a * x + rng.standard_normal(s.n)
    y = (s.b + s.interaction * x) * true + rng.standard_normal(s.n)
    noise = np.sqrt((1 - s.reliability) / s.reliability)
    return x, true + noise * rng.standard_normal(s.n), y


def products(s: Setting, x: np.ndarray, m: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Every product of the columns of both regressions, shape (rows, k, k): 1, x, m, (x m,) y."""
    columns = np.column_stack([np.ones_like(x), x, m, *([x * m] if s.interaction else []), y])
    return np.asarray(columns[:, :, None] * columns[:, None, :])


def paths(S: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """a, the slope of the mediator among the exposed, and their sampling variances, from cross-products (…, k, k)."""
    p = S.shape[-1] - 1
    first, second = S[..., :2, :2], S[..., :p, :p]
    own = np.linalg.solve(first, S[..., :2, 2, None])[..., 0]
    outcome = np.linalg.solve(second, S[..., :p, p, None])[..., 0]
    weights = np.zeros(p)
    weights[2:] = 1.0
    left = S[..., 2, 2] - np.einsum("...i,...i->...", own, S[..., :2, 2])
    rest = S[..., p, p] - np.einsum("...i,...i->...", outcome, S[..., :p, p])
    unit = np.broadcast_to(np.array([0.0, 1.0])[:, None], (*S.shape[:-2], 2, 1))
    slope = np.broadcast_to(weights[:, None], (*S.shape[:-2], p, 1))
    v_a = left / (n - 2) * np.linalg.solve(first, unit)[..., 1, 0]
    v_b = rest / (n - p) * np.einsum("...i,i->...", np.linalg.solve(second, slope)[..., 0], weights)
    return own[..., 1], outcome @ weights, v_a, v_b


def batch(s: Setting, rng: np.random.Generator) -> Iterator[dict[str, tuple[float, float, float, float]]]:
    """Estimate, interval's coverage, misses on either side, and rejection of twenty trials by each interval."""
    made = [products(s, *trial(s, rng)) for _ in range(BATCH)]
    k = made[0].shape[-1]
    counts = row_counts(s.n, DRAWS, rng)
    for P in made:
        flat = P.reshape(s.n, -1)
        S = flat.sum(axis=0).reshape(k, k)
        a, b, v_a, v_b = (float(v) for v in paths(S, s.n))
        A, B, _, _ = paths((counts @ flat).reshape(DRAWS, k, k), s.n)
        drawn = (A * B)[:, None]
        out_a, out_b, _, _ = paths(S - P, s.n - 1)
        z = rng.standard_normal((2, DRAWS))
        simulated = (a + np.sqrt(v_a) * z[0]) * (b + np.sqrt(v_b) * z[1])
        half = Z * np.sqrt(a**2 * v_b + b**2 * v_a)
        limits = {
            "percentile": percentile_limits(drawn, 0.95)[:, 0],
            "bca": bca_limits(drawn, np.array([a * b]), (out_a * out_b)[:, None], 0.95)[:, 0],
            "monte-carlo": percentile_limits(simulated[:, None], 0.95)[:, 0],
            "delta": np.array([a * b - half, a * b + half]),
        }
        found = {name: judged(a * b, float(low > s.truth), float(high < s.truth), not low <= 0 <= high)
                 for name, (low, high) in limits.items()}  # fmt: skip
        # The limits are quantiles of the product's distribution, so the truth is inside where its probability is.
        V = np.diag([v_a, v_b])
        at, zero = (product_cdf(q, np.array([a, b]), V) for q in (s.truth, 0.0))
        found["product"] = judged(a * b, float(at < 0.025), float(at > 0.975), not 0.025 <= zero <= 0.975)
        yield found


def judged(estimate: float, below: float, above: float, rejected: bool) -> tuple[float, float, float, float]:
    """Estimate, truth below the interval, truth above it, zero outside it."""
    return estimate, below, above, float(rejected)


def cell(s: Setting, trials: int, seed: int) -> pd.DataFrame:
    """Rows of one setting, an interval each."""
    key = [seed, s.n, *(round(1000 * v) for v in (s.a, s.b, s.interaction, s.reliability))]
    rng = np.random.default_rng(key)
    runs = [found for _ in range(-(-trials // BATCH)) for found in batch(s, rng)]
    rows = []
    for name in runs[0]:
        estimate, below, above, rejected = np.array([run[name] for run in runs]).T
        rows.append(
            asdict(s) | {
                "interval": name, "truth": s.truth, "mean_estimate": estimate.mean(),
                "coverage": 1 - (below + above).mean(), "truth_below": below.mean(), "truth_above": above.mean(),
                "rejection_rate": rejected.mean(), "trials": len(runs), "seed": seed,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def recovery(trials: int, seed: int, grid: Sequence[Setting] = GRID) -> pd.DataFrame:
    """The table for some settings."""
    return pd.concat([cell(s, trials, seed) for s in grid], ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=2024)
    options = parser.parse_args()
    table = recovery(options.trials, options.seed)
    table.to_csv(HERE / "recovery_mediation.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
