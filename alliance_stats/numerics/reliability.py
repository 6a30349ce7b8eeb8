"""Reliability from covariances and mean squares: alpha, omega, intraclass correlations, and their standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

STEPS = 1000
SMALL = 1e-3  # share of an item's variance below which its own part counts as none (a Heywood case)
STILL = 1e-11  # largest step at which the search has arrived


def cronbach_alpha(S: np.ndarray) -> float:
    """α = k/(k − 1) · (1 − tr S / 1'S1) of a covariance or correlation matrix (Cronbach 1951, doi 10.1007/BF02310555).

    >>> print(round(cronbach_alpha(np.array([[1.0, 0.5], [0.5, 1.0]])), 3))
    0.667
    """
    k = len(S)
    return float(k / (k - 1) * (1 - np.trace(S) / S.sum()))


def alpha_std_error(S: np.ndarray, n: int) -> float:
    """Asymptotic standard error of α (van Zyl, Neudecker & Nel 2000, doi 10.1007/BF02296146; Duhachek & Iacobucci 2004, doi
    10.1037/0021-9010.89.5.792)."""
    k, total, trace, squares = len(S), S.sum(), np.trace(S), S @ S
    Q = 2 * k**2 / ((k - 1) ** 2 * total**3) * (total * (np.trace(squares) + trace**2) - 2 * trace * squares.sum())
    return float(np.sqrt(max(Q, 0.0) / n))


def feldt_interval(alpha: float, n: int, k: int, level: float) -> tuple[float, float]:
    """1 − (1 − α)F, with n − 1 and (n − 1)(k − 1) degrees of freedom (Feldt 1965, doi 10.1007/BF02289499).

    >>> print(np.round(feldt_interval(0.8, 100, 12, 0.95), 3))
    [0.737 0.853]
    """
    tail, df1, df2 = (1 - level) / 2, n - 1, (n - 1) * (k - 1)
    high, low = (special.fdtri(df1, df2, p) for p in (tail, 1 - tail))
    return float(1 - (1 - alpha) * low), float(1 - (1 - alpha) * high)


def item_rest(x: np.ndarray) -> np.ndarray:
    """Correlation of every column of x, shape (n, k), with the sum of the others; NaN where one of the two is constant."""
    S = np.atleast_2d(np.cov(x, rowvar=False))
    return item_rest_of(S)


def item_rest_of(S: np.ndarray) -> np.ndarray:
    """The same from the covariance matrix."""
    own, with_all = np.diag(S), S.sum(axis=1)
    rest = S.sum() - 2 * with_all + own
    tiny = 1e-12 * max(float(S.sum()), float(own.max()), 1e-300)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (with_all - own) / np.sqrt(own * rest)
    return np.where((own > tiny) & (rest > tiny), r, np.nan)


def alpha_without(S: np.ndarray) -> np.ndarray:
    """α of the items without each of them in turn; NaN where fewer than two are left."""
    k = len(S)
    if k < 3:
        return np.full(k, np.nan)
    kept = [np.delete(np.arange(k), j) for j in range(k)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([cronbach_alpha(S[np.ix_(rows, rows)]) for rows in kept])


@dataclass(frozen=True, eq=False)
class OneFactor:
    """Loadings and unique variances of one common factor, in the units of the items.

    ``covariance`` is that of (loadings, uniquenesses) times n, None for minres; ``proper`` says whether a solution was found
    in which every item has a part of its own.
    """

    loadings: np.ndarray
    unique: np.ndarray
    covariance: np.ndarray | None
    proper: bool


def one_factor(S: np.ndarray) -> OneFactor:
    """Maximum likelihood by Fisher scoring, on the scale of the correlations (Jöreskog 1967, doi 10.1007/BF02289658).

    At least three items, with positive variances. The loadings sum to a positive number.
    """
    k, sd = len(S), np.sqrt(np.diag(S))
    R = S / np.outer(sd, sd)
    point = _start(R)
    for _ in range(STEPS):
        score, information = _score(R, point)
        try:
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            break
        step *= _length(R, point, step)
        point = point + step
        if np.abs(step).max() < STILL:
            break
    score, information = _score(R, point)
    proper = bool(point[k:].min() > SMALL and np.abs(score).max() < 1e-7 and np.linalg.cond(information) < 1e12)
    unit = np.r_[sd, sd**2]
    covariance = np.linalg.inv(information) * np.outer(unit, unit) if proper else None
    return OneFactor(point[:k] * sd, point[k:] * sd**2, covariance, proper)


def omega(fit: OneFactor) -> float:
    """ω = (Σλ)² / ((Σλ)² + Σψ): the factor's share of the variance of the sum that the model implies (McDonald 1999)."""
    common = fit.loadings.sum() ** 2
    return float(common / (common + fit.unique.sum()))


def omega_of_observed(fit: OneFactor, S: np.ndarray) -> float:
    """(Σλ)² / 1'S1: its share of the observed variance of the sum."""
    return float(fit.loadings.sum() ** 2 / S.sum())


def omega_std_error(fit: OneFactor, n: int) -> float:
    """Standard error of ω by the delta method, from the expected information."""
    assert fit.covariance is not None
    total, unique, k = fit.loadings.sum(), fit.unique.sum(), len(fit.loadings)
    below = (total**2 + unique) ** 2
    slope = np.r_[np.full(k, 2 * total * unique / below), np.full(k, -(total**2) / below)]
    return float(np.sqrt(slope @ fit.covariance @ slope / n))


def minres_omega(R: np.ndarray) -> tuple[float, np.ndarray]:
    """ω_t = 1 − Σ(1 − h²) / 1'R1 and the loadings of the minres factor of a correlation matrix (Revelle & Zinbarg 2009, doi
    10.1007/s11336-008-9102-z); NaN for a Heywood case."""
    from scipy.optimize import least_squares

    rows, columns = np.triu_indices(len(R), 1)
    k, pairs = len(R), np.arange(len(rows))

    def misfit(x: np.ndarray) -> np.ndarray:
        return np.asarray(x[rows] * x[columns] - R[rows, columns])

    def slope(x: np.ndarray) -> np.ndarray:
        J = np.zeros((len(rows), k))
        J[pairs, rows], J[pairs, columns] = x[columns], x[rows]
        return J

    found = least_squares(misfit, _start(R)[:k], slope, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    loadings = found.x * (1 if found.x.sum() >= 0 else -1)
    unique = 1 - loadings**2
    value = 1 - unique.sum() / R.sum() if unique.min() > SMALL else np.nan
    return float(value), loadings


def _start(R: np.ndarray) -> np.ndarray:
    """Loadings on the first principal axis, drawn in, and what they leave."""
    values, vectors = np.linalg.eigh(R)
    axis = vectors[:, -1] * (1 if vectors[:, -1].sum() >= 0 else -1)
    loadings = np.clip(0.9 * axis * np.sqrt(values[-1]), -0.95, 0.95)
    return np.asarray(np.r_[loadings, 1 - loadings**2])


def _score(R: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the log likelihood of one row, and its expected information."""
    k = len(R)
    loadings, unique = point[:k], point[k:]
    Sigma = np.outer(loadings, loadings) + np.diag(unique)
    W = np.linalg.inv(Sigma)
    v, gap = W @ loadings, W @ (R - Sigma) @ W
    information = np.empty((2 * k, 2 * k))
    information[:k, :k] = np.outer(v, v) + W * (loadings @ v)
    information[:k, k:] = W * v
    information[k:, :k] = information[:k, k:].T
    information[k:, k:] = W**2 / 2
    return np.r_[gap @ loadings, np.diag(gap) / 2], information


def _length(R: np.ndarray, point: np.ndarray, step: np.ndarray) -> float:
    """Part of the step that keeps the uniquenesses positive and does not worsen the fit."""
    k, before = len(R), _misfit(R, point)
    downwards = step[k:] < 0
    room = float(np.min(-0.9 * point[k:][downwards] / step[k:][downwards], initial=1.0))
    length = min(1.0, room)
    while length > 1e-10 and _misfit(R, point + length * step) > before + 1e-12 * abs(before):
        length /= 2
    return length


def _misfit(R: np.ndarray, point: np.ndarray) -> float:
    k = len(R)
    Sigma = np.outer(point[:k], point[:k]) + np.diag(point[k:])
    return float(np.linalg.slogdet(Sigma)[1] + np.trace(np.linalg.solve(Sigma, R)))


@dataclass(frozen=True, eq=False)
class Agreement:
    """One intraclass correlation: value, F test, interval, and the standard error of measurement."""

    icc: float
    F: float
    df1: float
    df2: float
    low: float
    high: float
    sem: float


def intraclass(x: np.ndarray, level: float) -> dict[str, Agreement]:
    """The six intraclass correlations of ratings, shape (n targets, k raters), complete; Shrout & Fleiss 1979, doi
    10.1037/0033-2909.86.2.420, with their F intervals.

    >>> ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
    >>> print({name: round(part.icc, 2) for name, part in intraclass(ratings, 0.95).items()})
    {'ICC1': 0.17, 'ICC2': 0.29, 'ICC3': 0.71, 'ICC1k': 0.44, 'ICC2k': 0.62, 'ICC3k': 0.91}
    """
    n, k = x.shape
    rows, columns, mean = x.mean(axis=1), x.mean(axis=0), x.mean()
    B = k * ((rows - mean) ** 2).sum() / (n - 1)
    J = n * ((columns - mean) ** 2).sum() / (k - 1)
    within = ((x - rows[:, None]) ** 2).sum() / (n * (k - 1))
    E = ((x - rows[:, None] - columns + mean) ** 2).sum() / ((n - 1) * (k - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        F1, F3 = np.divide(B, within), np.divide(B, E)
        d1, d2 = n * (k - 1), (n - 1) * (k - 1)
        low2, high2, icc2 = _random_raters(B, J, E, n, k, level)
        sems = {"ICC1": within, "ICC2": E + max(J - E, 0.0) / n, "ICC3": E}
        found = {
            "ICC1": (_single(F1, k), F1, d1, *(_single(f, k) for f in _f_limits(F1, n - 1, d1, level))),
            "ICC2": (icc2, F3, d2, low2, high2),
            "ICC3": (_single(F3, k), F3, d2, *(_single(f, k) for f in _f_limits(F3, n - 1, d2, level))),
        }
        single = {
            name: Agreement(v, f, n - 1, d, lo, hi, sems[name] ** 0.5) for name, (v, f, d, lo, hi) in found.items()
        }
        return single | {f"{name}k": _averaged(part, k) for name, part in single.items()}


def _random_raters(B: float, J: float, E: float, n: int, k: int, level: float) -> tuple[float, float, float]:
    """Limits and value of ICC(2,1); the df of the error are Satterthwaite's."""
    icc = (B - E) / (B + (k - 1) * E + k * (J - E) / n)
    Fj = J / E
    own = n * (1 + (k - 1) * icc) - k * icc
    df = (k - 1) * (n - 1) * (k * icc * Fj + own) ** 2 / ((n - 1) * k**2 * icc**2 * Fj**2 + own**2)
    tail = (1 + level) / 2
    up, down = special.fdtri(n - 1, df, tail), special.fdtri(df, n - 1, tail)
    rest = k * J + (k * n - k - n) * E
    return float(n * (B - up * E) / (up * rest + n * B)), float(n * (down * B - E) / (rest + n * down * B)), float(icc)


def _f_limits(F: float, df1: float, df2: float, level: float) -> tuple[float, float]:
    tail = (1 + level) / 2
    return F / special.fdtri(df1, df2, tail), F * special.fdtri(df2, df1, tail)


def _single(F: float, k: int) -> float:
    """(F − 1)/(F + k − 1), 1 where F is infinite."""
    return float(1 - k / (F + k - 1))


def _averaged(one: Agreement, k: int) -> Agreement:
    """The mean of k raters (Spearman–Brown)."""
    icc, low, high = (_stepped_up(r, k) for r in (one.icc, one.low, one.high))
    return Agreement(icc, one.F, one.df1, one.df2, low, high, one.sem / k**0.5)


def _stepped_up(r: float, k: int) -> float:
    """k·r / (1 + (k − 1)·r), which has no lower bound: minus infinity at r = −1/(k − 1), the least that k raters allow."""
    below = 1 + (k - 1) * r
    return -np.inf if below <= 0 else float(k * r / below)
