"""The wild cluster bootstrap: tests of one coefficient with few therapists.

With β_j = r imposed the restricted residuals u of a cluster are multiplied by one random weight. For draws v the estimate
moves by Σ v_g a_g, a_g = e_j'M X_g'u_g, and its cluster-robust variance is Σ (v_g a_g − Σ_h v_h Q_gh)² with
Q_gh = e_j'M X_g'X_g M X_h'u_h, so that no model is fitted again (Cameron, Gelbach & Miller 2008,
doi 10.1162/rest.90.3.414; Roodman et al. 2019, doi 10.1177/1536867X19830877). For a FractionalModel X and u are the whitened
ones at the restricted estimate: the scores are perturbed, as in Kline & Santos (2012, doi 10.1515/2156-6674.1006), with the
variance of the next scoring step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError, ConvergenceError
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.linear import LinearModel, cluster_codes
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.glm_sandwich import quasi_fit, working
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result, tidy_frame

Weights = Literal["rademacher", "webb"]
WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))
FEW = 10  # clusters below which two-point weights leave too few different draws
TIE = 1e-9  # statistics as close as this, beside their size, are the same draw: v and −v
REACH = 30.0  # cluster-robust standard errors to either side within which an end of the interval is looked for
Restricted = Callable[[float], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class _Problem:
    """The restricted whitened regression for every null value, the coefficient's place, and the clusters."""

    restricted: Restricted
    place: int
    codes: np.ndarray
    estimate: float

    def statistics(self, null: float, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """t of the data and of the draws, weights (draws, clusters), with β_j = null imposed."""
        X, u, M = self.restricted(null)
        groups = int(self.codes.max()) + 1
        scores = np.zeros((groups, X.shape[1]))
        np.add.at(scores, self.codes, X * u[:, None])
        moved = scores @ M  # row g: M X_g'u_g
        own = np.zeros((groups, X.shape[1]))
        np.add.at(own, self.codes, X * (X @ M[self.place])[:, None])  # row g: X_g'X_g M e_j
        Q, a = own @ moved.T, moved[:, self.place]
        weights = np.concatenate([np.ones((1, groups)), weights])
        spread = np.sqrt((((weights * a) - weights @ Q.T) ** 2).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (weights @ a) / spread
        return float(t[0]), t[1:]


def wild_bootstrap(
    result: Result,
    term: str,
    *,
    null: float = 0.0,
    draws: int = 9999,
    weights: Weights | None = None,
    rng: Seed = 1,
    interval: bool = True,
    level: float | None = None,
) -> pd.DataFrame:
    """Test and interval of one coefficient of a LinearModel or FractionalModel with few clusters (fewer than some twenty).

    Parameters
    ----------
    result : a fit with ``cluster=``; whether CR1 or CR2 makes no difference here.
    term : name of the coefficient.
    null : value that is tested.
    draws : number of draws. Where two-point weights have no more different draws than this (2^G for G clusters) all are
        enumerated, and the p-value is exact and has no seed.
    weights : ``"rademacher"`` (±1) or ``"webb"`` (six points, Webb 2023, doi 10.1111/caje.12661); by default the first from ten
        clusters on: with G clusters it has 2^(G − 1) different statistics, with five no p-value below .0625.
    rng : seed.
    interval : whether the test is inverted for an interval: all values that are not rejected. An end that lies beyond 30
        standard errors is infinite.
    level : confidence level, that of the model by default.

    Returns
    -------
    One row in the columns of the glossary: ``estimate``, ``statistic`` the t with CR1 (for a FractionalModel the score's),
    ``p_value``, and an interval ``"wild bootstrap"``; ``std_error`` and ``df`` are missing, for the test has none.
    ``attrs["draws"]`` says how many draws and of what kind.

    The null is imposed on the draws. Clusters must be independent and not too unequal: where one arm has one or two therapists
    the test rejects far too seldom (MacKinnon & Webb 2017, doi 10.1002/jae.2508).

    Raises AllianceError for other models, no clusters and unknown terms.

    >>> from alliance_stats import LinearModel
    >>> rng = np.random.default_rng(3)
    >>> data = pd.DataFrame({"therapist": np.repeat(range(10), 8), "alliance": rng.normal(size=80)})
    >>> data["pain"] = 5 - data["alliance"] + np.repeat(rng.normal(size=10), 8) + rng.normal(size=80)
    >>> row = wild_bootstrap(LinearModel("pain ~ alliance", "CR2", "therapist").fit(data), "alliance")
    >>> row.attrs["draws"], bool(row["p_value"].iloc[0] < 0.01)
    ('all 1024 sign changes of 10 clusters', True)
    """
    level = result.model.level if level is None else level
    _require(result, term, draws, weights, level)
    problem = _problem(result, term)
    groups = int(problem.codes.max()) + 1
    kind = weights or ("rademacher" if groups >= FEW else "webb")
    drawn, exact = _drawn(groups, draws, kind, rng)
    statistic, _ = problem.statistics(null, drawn)
    p = _p_value(problem, null, drawn, exact=exact)
    low, high = _interval(result, problem, drawn, term, 1 - level, exact=exact) if interval else (np.nan, np.nan)
    row = tidy_frame(
        term=[term], component="fixed", group=result.model.cluster, at="" if null == 0 else f"null {null:g}",
        estimate=[problem.estimate], statistic=[statistic], p_value=[p], conf_low=[low], conf_high=[high],
        interval="wild bootstrap" if interval else "",
    )  # fmt: skip
    what = f"all {len(drawn)} sign changes" if exact else f"{draws} {kind} draws"
    row.attrs["draws"] = f"{what} of {groups} clusters"
    return row


def _require(result: Result, term: str, draws: int, weights: str | None, level: float) -> None:
    model = result.model
    if not isinstance(model, LinearModel | FractionalModel):
        raise AllianceError(
            f"wild_bootstrap is for LinearModel and FractionalModel, not for {type(model).__name__}; "
            "a mixed model has bootstrap()"
        )
    if model.cluster is None:
        raise AllianceError("wild_bootstrap needs clusters: fit with vcov='CR2' and cluster=")
    terms = list(result.covariance.index)
    if term not in terms:
        raise AllianceError(f"wild_bootstrap: no coefficient {term!r}; coefficients: {', '.join(terms)}")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 99:
        raise AllianceError(f"wild_bootstrap: draws is {draws!r}; use 99 or more, 9999 for a paper")
    if weights not in (None, *get_args(Weights)):
        raise AllianceError(f"wild_bootstrap: weights is {weights!r}; use 'rademacher' or 'webb'")
    if not 0 < level < 1:
        raise AllianceError(f"wild_bootstrap: level is {level}; use a number between 0 and 1")


def _problem(result: Result, term: str) -> _Problem:
    state, place = result.state, list(result.covariance.index).index(term)
    X = state.design.matrix(result.frame)[:, state.kept]
    codes = cluster_codes(result.frame, result.model.cluster)
    rest = np.delete(np.arange(X.shape[1]), place)
    make = _linear if isinstance(result.model, LinearModel) else _score
    return _Problem(make(result, X, place, rest), place, codes, float(state.coefficients[place]))


def _linear(result: Result, X: np.ndarray, place: int, rest: np.ndarray) -> Restricted:
    """u(r) = (y − r x_j) less its projection on the other columns: linear in r."""
    state = result.state
    y = state.fitted + state.residual
    both = np.column_stack([y, X[:, place]])
    if len(rest):
        both = both - X[:, rest] @ np.linalg.lstsq(X[:, rest], both)[0]
    return lambda null: (X, both[:, 0] - null * both[:, 1], state.bread)


def _score(result: Result, X: np.ndarray, place: int, rest: np.ndarray) -> Restricted:
    """The whitened regression at the estimate with β_j = r."""
    state = result.state

    def restricted(null: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        offset, beta = null * X[:, place], np.zeros(X.shape[1])
        beta[place] = null
        if len(rest):
            fit = quasi_fit(X[:, rest], state.y, state.weights, state.link, offset=offset)
            if not fit.converged:
                raise ConvergenceError(f"wild_bootstrap: no restricted estimate at {null:g}; use interval=False")
            beta[rest] = fit.coefficients
        at = working(X, state.y, state.weights, state.link, "binomial", beta)
        return at.X, at.residuals, at.bread

    return restricted


def _drawn(groups: int, draws: int, kind: str, rng: Seed) -> tuple[np.ndarray, bool]:
    """Weights (draws, groups), and whether they are all there are."""
    if kind == "rademacher" and groups < 60 and 2**groups <= draws:
        return np.array(list(product((1.0, -1.0), repeat=groups))), True
    random = stream(rng, "wild_bootstrap")
    points = np.array([1.0]) if kind == "rademacher" else WEBB
    chosen = np.concatenate([points, -points])
    return chosen[random.integers(len(chosen), size=(draws, groups))], False


def _p_value(problem: _Problem, null: float, drawn: np.ndarray, *, exact: bool) -> float:
    """The share of draws as far out as the data; all sign changes hold the data themselves, random draws do not."""
    statistic, draws = problem.statistics(null, drawn)
    far = int((np.abs(draws) >= abs(statistic) * (1 - TIE)).sum())
    return far / len(draws) if exact else (1 + far) / (1 + len(draws))


def _interval(
    result: Result, problem: _Problem, drawn: np.ndarray, term: str, miss: float, *, exact: bool
) -> tuple[float, float]:
    at = list(result.covariance.index).index(term)
    error = float(np.sqrt(result.covariance.to_numpy()[at, at]))
    start = float(t_quantile(1 - miss / 2, max(2.0, float(drawn.shape[1] - 1)))) * error
    low, high = (_end(problem, drawn, side * start, REACH * error, miss, exact=exact) for side in (-1.0, 1.0))
    return low, high


def _end(problem: _Problem, drawn: np.ndarray, step: float, reach: float, miss: float, *, exact: bool) -> float:
    """Where p falls to the error allowed, going out from the estimate: bracketed by doubling, then halved."""
    inside, outside = 0.0, step
    while _p_value(problem, problem.estimate + outside, drawn, exact=exact) > miss:
        inside, outside = outside, outside * 1.5
        if abs(outside) > reach:
            return float(np.sign(step) * np.inf)
    while abs(outside - inside) > 1e-6 * abs(step):
        middle = (inside + outside) / 2
        if _p_value(problem, problem.estimate + middle, drawn, exact=exact) > miss:
            inside = middle
        else:
            outside = middle
    return problem.estimate + inside
