"""Profile likelihood of paths and of indirect effects: all values that a likelihood ratio test does not reject.

The limits of g are its least and largest value where the deviance, minimised over everything else, is within the χ²(1)
quantile of the minimum. They keep the skewness of a product and of variances near zero, which delta limits do not, and need no
draws. The coefficients that are not paths are minimised over in closed form: given the variances the deviance is quadratic in
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.models.multilevel_fit import Solved, parameters
from alliance_stats.models.multilevel_intervals import Inference, delta, limits_of
from alliance_stats.models.multilevel_paths import Quantity
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.numerics.mixed.satterthwaite import variance_information
from alliance_stats.numerics.multilevel_mediation import covariance_parameters
from alliance_stats.progress import bar

STEP = 1e-4  # of a standard error, for differences of the deviance
CLOSE = 1e-3  # of the χ² quantile, to which the deviance at a limit must come
UNSEEN = 1e-3  # in natural units of θ: the step taken for a standard error where a variance is zero
STEPS = 200


@dataclass(frozen=True, eq=False)
class Region:
    """The deviance in standardised coordinates z: x = centre + root z, x = (path coefficients, θ, log σ).

    ``which`` are the coefficients of paths. In z the deviance is nearly lowest + z'z.
    """

    solved: Solved
    which: np.ndarray
    centre: np.ndarray
    root: np.ndarray
    lowest: float

    def rise(self, z: np.ndarray) -> float:
        """Deviance above its minimum."""
        return self._deviance(self.centre + self.root @ z)[0] - self.lowest

    def slope(self, z: np.ndarray) -> np.ndarray:
        """Derivatives of the deviance in z: exact in the coefficients, by differences in θ and log σ."""
        x, p = self.centre + self.root @ z, len(self.which)
        found = np.r_[self._deviance(x)[1], np.empty(len(x) - p)]
        for i in range(p, len(x)):
            h = np.zeros(len(x))
            h[i] = STEP * np.linalg.norm(self.root[i])
            found[i] = (self._deviance(x + h)[0] - self._deviance(x - h)[0]) / (2 * h[i])
        return np.asarray(self.root.T @ found)

    def parameters(self, z: np.ndarray) -> np.ndarray:
        """Those of ``multilevel_fit.parameters``; coefficients that are not paths are not needed and zero."""
        beta, theta, sigma = self._parts(self.centre + self.root @ z)
        full = np.zeros(len(self.solved.at.beta))
        full[self.which] = beta
        levels = self.solved.stack.levels
        return np.asarray(np.r_[full, covariance_parameters(np.r_[theta, sigma], levels, 2, self.solved.least)])

    def _deviance(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Its value, and its derivatives in the coefficients."""
        beta, theta, sigma = self._parts(x)
        tree = self.solved.trees[self.solved.least]
        at = tree.evaluate(theta, reml=False, sigma2=sigma**2, gradient=False)
        away = beta - at.beta[self.which]
        slope = np.linalg.solve(at.inverse[np.ix_(self.which, self.which)] * sigma**2, away)
        return float(at.value + away @ slope), 2 * slope

    def _parts(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        p = len(self.which)
        return x[:p], x[p:-1], float(np.exp(x[-1]))


def profile(wanted: Sequence[Quantity], solved: Solved, V: np.ndarray, level: float, *, progress: bool) -> Inference:
    """Rows with profile limits and likelihood ratio tests; standard errors are those of the delta method.

    Standard deviations over groups have neither; a limit that was not reached is missing and counted in a note.
    """
    first = delta(wanted, parameters(solved), V, level, second=False)
    region, most = _region(solved), float(t_quantile((1 + level) / 2, np.inf)) ** 2
    limits, z = np.full((2, len(wanted)), np.nan), np.full(len(wanted), np.nan)
    asked = [k for k, quantity in enumerate(wanted) if not quantity.term.startswith("sd(")]
    for k in bar(asked, "profile", "effect", shown=progress):
        g = _scaled(wanted[k], region, float(first.rows["std_error"].iloc[k]))
        limits[:, k] = [_extreme(region, g, sign, most) for sign in (-1.0, 1.0)]
        z[k] = _root_deviance(region, g)
    rows = limits_of(first.rows, limits, z, np.where(np.isnan(z), np.nan, t_p_value(np.nan_to_num(z), np.inf)))
    lost = int(np.isnan(limits[:, asked]).sum())
    return Inference(rows, None, (f"{lost} profile limits were not reached and are missing",) if lost else ())


@dataclass(frozen=True, eq=False)
class Scaled:
    """A quantity in units of its standard error, as a function of z."""

    value: Callable[[np.ndarray], float]
    slope: Callable[[np.ndarray], np.ndarray]
    size: float
    start: np.ndarray


def _scaled(quantity: Quantity, region: Region, se: float) -> Scaled:
    size = se if se > 0 else 1.0

    def value(z: np.ndarray) -> float:
        return float(quantity.value(region.parameters(z))) / size

    def slope(z: np.ndarray) -> np.ndarray:
        return np.array([value(z + h) - value(z - h) for h in STEP * np.eye(len(z))]) / (2 * STEP)

    first = slope(np.zeros(len(region.centre)))
    length = float(np.linalg.norm(first))
    return Scaled(value, slope, size, first / length if length > 0 else np.eye(len(first))[0])


def _region(solved: Solved) -> Region:
    which = np.array(sorted({*solved.stack.paths.values(), *solved.stack.by.values()}))
    tree, sigma = solved.trees[solved.least], float(np.sqrt(solved.at.sigma2))
    A = variance_information(tree, solved.theta, reml=False).covariance
    known = solved.at.inverse[np.ix_(which, which)] * solved.at.sigma2
    A = A / np.outer(*(np.r_[np.ones(len(A) - 1), sigma],) * 2)
    spare = np.where(np.diag(A)[:-1] < (UNSEEN * tree.scale) ** 2, (UNSEEN * tree.scale) ** 2, 0.0)
    A[range(len(spare)), range(len(spare))] += spare
    steps = np.diag(np.sqrt(np.diag(A)[:-1])) * STEP * 10
    D = np.array([_beta(solved, s)[which] - _beta(solved, -s)[which] for s in steps]).T / (2 * np.diag(steps))
    D = np.column_stack([D, np.zeros(len(which))])
    V = np.block([[known + D @ A @ D.T, D @ A], [A @ D.T, A]])
    value, vector = np.linalg.eigh(V)
    root = vector * np.sqrt(np.maximum(value, 1e-10 * value.max()))
    return Region(solved, which, np.r_[solved.at.beta[which], solved.theta, np.log(sigma)], root, solved.at.value)


def _beta(solved: Solved, step: np.ndarray) -> np.ndarray:
    return solved.trees[solved.least].evaluate(solved.theta + step, reml=False, gradient=False).beta


def _extreme(region: Region, g: Scaled, sign: float, most: float) -> float:
    """The largest (``sign`` 1) or least value of g where the deviance has risen by ``most``; missing if none was found."""
    inside = {"type": "ineq", "fun": lambda z: most - region.rise(z), "jac": lambda z: -region.slope(z)}
    for share in (0.9, 0.5, 0.1):
        start = sign * share * np.sqrt(most) * g.start
        found = _minimum(lambda z: -sign * g.value(z), lambda z: -sign * g.slope(z), start, inside)
        if found is not None and abs(region.rise(found) - most) < CLOSE * most:
            return g.value(found) * g.size
    return float("nan")


def _root_deviance(region: Region, g: Scaled) -> float:
    """Signed root of the likelihood ratio statistic of g = 0; missing if no point with g = 0 was found."""
    estimate = g.value(np.zeros(len(region.centre)))
    zero = {"type": "eq", "fun": g.value, "jac": g.slope}
    found = _minimum(region.rise, region.slope, -estimate * g.start, zero)
    if found is None or abs(g.value(found)) > CLOSE:
        return float("nan")
    return float(np.sign(estimate) * np.sqrt(max(region.rise(found), 0.0)))


def _minimum(
    objective: Callable[[np.ndarray], float], slope: Callable[[np.ndarray], np.ndarray], start: np.ndarray,
    constraint: dict[str, object],
) -> np.ndarray | None:  # fmt: skip
    from scipy.optimize import minimize

    try:
        found = minimize(
            objective, start, jac=slope, method="SLSQP", constraints=[constraint],
            options={"maxiter": STEPS, "ftol": 1e-9},
        )  # fmt: skip
    except np.linalg.LinAlgError:
        return None
    return np.asarray(found.x) if found.success else None
