"""Correlations: of rows, within patients, and between patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pandas as pd

COLUMNS = ("kind", "first", "second", "r", "n", "patients", "conf_low", "conf_high")


def correlations(
    frame: pd.DataFrame, variables: Sequence[str], within: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Pearson correlations of every two columns, of the rows complete in both.

    Columns ``kind first second r n patients conf_low conf_high``. Without ``within`` the kind is ``total``, n the number of
    rows. With the column of the patient there are two kinds: ``within``, of deviations from the patient's means (the repeated
    measures correlation, with rows − patients − 1 degrees of freedom; Bland & Altman 1995, doi 10.1136/bmj.310.6977.446), and
    ``between``, of the patients' means weighted by their rows (doi 10.1136/bmj.310.6980.633). Intervals by Fisher's z.

    >>> frame = pd.DataFrame({"id": [1, 1, 2, 2], "x": [1.0, 2, 5, 6], "y": [2.0, 1, 6, 5]})
    >>> correlations(frame, ["x", "y"], within="id")[["kind", "r", "n", "patients"]].to_numpy().tolist()
    [['within', -1.0, 4, 2], ['between', 1.0, 4, 2]]
    """
    rows = []
    for first, second in combinations(variables, 2):
        names = [first, second, *([within] if within else [])]
        known = frame[names].dropna()
        x, y = (known[name].to_numpy(dtype=float) for name in (first, second))
        if within is None:
            rows.append(("total", first, second, *_row(_r(x, y), len(x), len(x), len(x) - 3, level)))
            continue
        codes = known.groupby(within, observed=True).ngroup().to_numpy()
        k = int(codes.max()) + 1 if len(codes) else 0
        (dx, mx, sizes), (dy, my, _) = _split(x, codes, k), _split(y, codes, k)
        rows.append(("within", first, second, *_row(_about_zero(dx, dy), len(x), k, len(x) - k - 2, level)))
        rows.append(("between", first, second, *_row(_r(mx, my, sizes), len(x), k, k - 3, level)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def spreads(frame: pd.DataFrame, variables: Sequence[str], within: str | None = None) -> pd.DataFrame:
    """Size, mean and SD of each column; with ``within``, the SD within patients and that of their means.

    Columns ``variable n mean sd sd_within sd_between``. The SD within has rows − patients degrees of freedom.

    >>> frame = pd.DataFrame({"id": [1, 1, 2, 2], "x": [1.0, 3, 5, 7]})
    >>> spreads(frame, ["x"], within="id")[["sd", "sd_within", "sd_between"]].round(2).to_numpy().tolist()
    [[2.58, 1.41, 2.83]]
    """
    rows = []
    for name in variables:
        known = frame[[name, *([within] if within else [])]].dropna()
        x = known[name].to_numpy(dtype=float)
        inside = between = math.nan
        if within is not None and len(x):
            codes = known.groupby(within, observed=True).ngroup().to_numpy()
            k = int(codes.max()) + 1
            deviations, means, _ = _split(x, codes, k)
            inside = math.sqrt(float(deviations @ deviations) / (len(x) - k)) if len(x) > k else math.nan
            between = float(means.std(ddof=1)) if k > 1 else math.nan
        rows.append((name, len(x), _mean(x), float(x.std(ddof=1)) if len(x) > 1 else math.nan, inside, between))
    return pd.DataFrame(rows, columns=["variable", "n", "mean", "sd", "sd_within", "sd_between"])


def _mean(x: np.ndarray) -> float:
    return float(x.mean()) if len(x) else math.nan


def _split(x: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deviations from the means of the groups, the means, and the sizes."""
    sizes = np.bincount(codes, minlength=k).astype(float)
    means = np.bincount(codes, weights=x, minlength=k) / sizes
    return _clean(x - means[codes], x), means, sizes


def _clean(deviations: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Without the rounding errors that deviations of equal values have, of which a correlation would be made."""
    return np.where(np.abs(deviations) <= 1e-12 * np.abs(x).max(initial=0), 0.0, deviations)


def _r(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
    if len(x) < 2:
        return math.nan
    w = np.ones(len(x)) if weights is None else weights
    dx, dy = (np.sqrt(w) * _clean(z - np.average(z, weights=w), z) for z in (x, y))
    return _about_zero(dx, dy)


def _about_zero(dx: np.ndarray, dy: np.ndarray) -> float:
    """Correlation of deviations; missing where one of them does not vary."""
    lengths = float(np.linalg.norm(dx)), float(np.linalg.norm(dy))
    return float(np.clip((dx / lengths[0]) @ (dy / lengths[1]), -1, 1)) if min(lengths) > 0 else math.nan


def _row(r: float, n: int, patients: int, inverse: int, level: float) -> tuple[float, ...]:
    """r with its interval; ``inverse`` is 1 over the variance of Fisher's z."""
    if not np.isfinite(r) or inverse < 1 or abs(r) == 1:
        return r, n, patients, math.nan, math.nan
    half = NormalDist().inv_cdf((1 + level) / 2) / math.sqrt(inverse)
    return r, n, patients, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)
