"""Multilevel mediation: sessions within patients (within therapists), and on which level the indirect effect lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.formula import Design, build_design, read_formula
from alliance_stats.models import multilevel_intervals as intervals
from alliance_stats.models import multilevel_notes as remarks
from alliance_stats.models import multilevel_options as options
from alliance_stats.models.frames import analysis_frame, prepared
from alliance_stats.models.mediation_options import pairs_of
from alliance_stats.models.multilevel_binary import fit_binary
from alliance_stats.models.multilevel_fit import Solved, factors, joint_covariance, parameters, solve
from alliance_stats.models.multilevel_paths import Quantity, quantities
from alliance_stats.models.multilevel_predict import known_rows, outcome_effects
from alliance_stats.models.multilevel_profile import profile
from alliance_stats.models.multilevel_report import fixed_rows, glance_row, random_rows
from alliance_stats.models.multilevel_rows import build_stack, read_parts
from alliance_stats.numerics.multilevel_mediation import Posterior, group_posterior
from alliance_stats.numerics.random import Seed
from alliance_stats.result import Result


@dataclass(frozen=True, eq=False)
class MultilevelState:
    """The stacked model at its optimum, all its parameters with their covariance, and the fit of the outcome's rows.

    ``parameters`` are fixed coefficients, lower triangles of the covariances of the groupings, and residual variances;
    ``posterior`` the groups' effects with β and their joint covariance; ``design`` the outcome's columns.
    """

    solved: Solved
    parameters: np.ndarray
    covariance: np.ndarray
    posterior: Posterior
    fitted: np.ndarray
    fitted_population: np.ndarray
    residual: np.ndarray
    steps: tuple[Step, ...]
    design: Design


@dataclass(frozen=True)
class MultilevelMediation:
    """How much of an effect runs through a mediator when sessions lie within patients, or patients within therapists.

    Parameters
    ----------
    exposure, mediator, outcome : columns; the exposure may hold two labels.
    group : the column of the clusters: ``"patient"`` for sessions, ``"therapist"`` for patients.
    above : the column of larger clusters, e.g. ``"therapist"``; both equations get a random intercept of it.
    design : levels of exposure, mediator and outcome. ``"1-1-1"``: all vary within clusters; ``"2-1-1"``: the exposure is the
        cluster's; ``"2-2-1"``: the mediator is the cluster's, too. In the last two only differences between clusters mediate.
    means : what a cluster's level of the mediator is (2-1-1): the ``"manifest"`` mean of its rows, right where these are all
        there is; or the ``"latent"`` mean of which the rows are a sample.
    center : divide exposure and mediator into their cluster means and the deviations from them. ``False`` leaves them in one
        piece (as published by Bauer, Preacher & Gil): its paths mix what happens within clusters and between them.
    covariates : further columns, in both equations.
    moderator : a column that moderates the paths of ``moderates``: within clusters in 1-1-1, between them else. Effects are
        given at its values (mean ± SD), and ``index(moderator)``: how much the indirect effect changes with one unit of it,
        or between its two values; where both a and b change, between the lowest and the highest value held.
    interval : ``"monte-carlo"`` (all parameters drawn, the variances too), ``"bootstrap"`` (whole clusters, of ``above`` where
        given), ``"profile"`` (of the ML deviance, with likelihood ratio tests) or ``"delta"``.
    random : paths that vary over clusters in 1-1-1, correlated; not used in the other designs.
    method : ``"REML"`` or ``"ML"``; by default REML, with latent means and profiles ML.
    draws : Monte Carlo draws or resamples.
    within : the bootstrap draws clusters within every larger cluster drawn, too.
    moderates : paths that the moderator changes, some of ``"a"``, ``"b"``, ``"c_prime"``.
    small : for few clusters, delta and Monte Carlo from a t distribution of as many degrees of freedom as there are clusters
        (of ``above`` where given), less the three coefficients of a regression between them.
    dynamic : insist on the outcome at an earlier session (``pain_lag1``) as a covariate; its bias is then printed in a note.
    family : of binary variables, ``{"responder": "binomial"}``: natural effects on the scale of the outcome, averaged over
        random intercepts (see ``multilevel_binary``). Random intercepts only.
    level : confidence level.
    prepare : steps applied to the data first.

    Both equations are one model with selectors and a residual variance each, Y being that of the patient's own mediator:
    M = d_M + a_j X + e_M, Y = d_Y + b_j M + c′_j X + e_Y. Within, E(a_j b_j) = ab + σ_ab; its sampling variance holds that of
    σ_ab. Standard errors of paths and effects come from the curvature in all parameters jointly, since the mediator is a
    response and a predictor; those of component ``fixed`` take the variances as known, as nlme does. With ``center`` the level
    d_M is uncorrelated with the other random effects: its correlation with d_Y and b_between would be one thing twice. By
    ``"delta"`` the standard errors in 1-1-1 have the second-order term of a product, the others are of first order, as
    lavaan's.

    Sources: Bauer, Preacher & Gil 2006, doi 10.1037/1082-989X.11.2.142; Preacher, Zyphur & Zhang 2010, doi 10.1037/a0020141;
    Lüdtke et al. 2008, doi 10.1037/a0012869 (manifest and latent means).

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(60), 8), "practice": rng.normal(size=480)})
    >>> own = 0.5 + 0.4 * np.repeat(rng.normal(size=(60, 2)) @ [[1.0, 0.6], [0.0, 0.8]], 8, axis=0)
    >>> data["alliance"] = own[:, 0] * data["practice"] + rng.normal(size=480)
    >>> data["relief"] = own[:, 1] * data["alliance"] + rng.normal(size=480)
    >>> model = MultilevelMediation("practice", "alliance", "relief", random=("a", "b"), interval="delta")
    >>> rows = model.fit(data).tidy().set_index("term")
    >>> rows.loc[["cov_ab", "indirect_within"], "estimate"].round(2).tolist()
    [0.1, 0.27]
    """

    exposure: str
    mediator: str
    outcome: str
    group: str = "patient"
    above: str | None = None
    design: options.Kind = "1-1-1"
    means: options.Means = "manifest"
    center: bool = True
    covariates: tuple[str, ...] = ()
    moderator: str | None = None
    interval: options.Interval = "monte-carlo"
    random: tuple[str, ...] = options.PATHS
    method: options.Method | None = None
    draws: int = 5000
    within: bool = False
    level: float = 0.95
    prepare: tuple[Step, ...] = ()
    moderates: tuple[str, ...] = options.PATHS
    small: bool = False
    dynamic: bool = False
    family: Any = ()

    def __post_init__(self) -> None:
        # Lists are kept as tuples, so that a declaration is a value that can be compared and hashed.
        for name in ("covariates", "random", "moderates"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        object.__setattr__(self, "family", pairs_of(self.family, "family"))
        options.require_options(self)

    @property
    def formula(self) -> str:
        """Both equations and the clusters in one line."""
        more = "".join(f" + {name}" for name in (*self.covariates, *([self.moderator] if self.moderator else [])))
        within = f"{self.group} in {self.above}" if self.above else self.group
        return (
            f"{self.mediator} ~ {self.exposure}{more}; {self.outcome} ~ {self.mediator} + {self.exposure}{more} "
            f"({self.design} within {within})"
        )

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood is maximised."""
        likelihood = self.means == "latent" or self.interval == "profile" or bool(self.family)
        return (self.method or ("ML" if likelihood else "REML")) == "REML"

    def fit(self, data: pd.DataFrame, rng: Seed = 1, progress: bool = True) -> Result:
        """Fit both equations to the rows that are complete in all columns, and derive the effects.

        ``rng`` is the seed of draws and resamples; ``progress`` shows a bar while resamples are fitted. Rows left out,
        variances at zero and resamples without an estimate are counted in ``notes``. Raises DataError or AllianceError where
        data and declaration do not fit, ConvergenceError where no optimum was found.
        """
        steps, frame = prepared(self.prepare, data)
        columns = [self.exposure, self.mediator, self.outcome, *self.covariates]
        columns += [self.moderator] if self.moderator else []
        labels = [self.group, *([self.above] if self.above else [])]
        frame, notes = analysis_frame(frame, columns, labels, self.formula)
        if self.family:
            return fit_binary(self, frame, steps, notes, rng)
        parts, more = read_parts(self, frame)
        stack = build_stack(self, parts, frame)
        held = remarks.moderator_values(self, frame, parts)
        solved = solve(stack, (self.mediator, self.outcome), reml=self.reml)
        wanted = quantities(self, stack, held)
        return self._result(frame, steps, solved, wanted, (*notes, *more), rng, progress)

    def _result(
        self, frame: pd.DataFrame, steps: tuple[Step, ...], solved: Solved, wanted: tuple[Quantity, ...],
        notes: tuple[str, ...], rng: Seed, progress: bool,
    ) -> Result:  # fmt: skip
        phi, (V, flat) = parameters(solved), joint_covariance(solved)
        made = self._inference(wanted, solved, phi, V, rng, progress)
        fixed, covariance = fixed_rows(self, solved)
        estimates = pd.concat([made.rows, fixed, random_rows(self, solved)], ignore_index=True)
        notes += (*remarks.about(self, solved, flat), *made.notes)
        state = _state(solved, phi, V, steps, self.outcome_design(frame))
        statistics = glance_row(self, solved, len(frame), singular=any(remarks.at_zero(solved)))
        return Result(self, frame, state, estimates, statistics, covariance, made.draws, notes)

    def outcome_design(self, frame: pd.DataFrame) -> Design:
        """The columns of the outcome's equation as they are named in the data."""
        names = [self.mediator, self.exposure, *self.covariates, *([self.moderator] if self.moderator else [])]
        right = " + ".join(f"`{name}`" for name in names)
        return build_design(read_formula(f"`{self.outcome}` ~ {right}"), frame)[0]

    def _inference(
        self, wanted: tuple[Quantity, ...], solved: Solved, phi: np.ndarray, V: np.ndarray, rng: Seed, progress: bool
    ) -> intervals.Inference:
        df = options.few_df(len(solved.stack.groupings[-1].labels)) if self.small else np.inf
        if self.interval == "delta":
            return intervals.delta(wanted, phi, V, self.level, second=self.design == "1-1-1", df=df)
        if self.interval == "monte-carlo":
            return intervals.monte_carlo(wanted, phi, V, self.level, self.draws, rng, df)
        if self.interval == "profile":
            return profile(wanted, solved, V, self.level, progress=progress)
        return intervals.bootstrap(wanted, solved, self.level, self.draws, rng, within=self.within, progress=progress)

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        """Outcome of rows with their own exposure and mediator in groups of the fit; missing for other groups."""
        options.require_normal(self, "predict")
        state: MultilevelState = result.state
        parts, X = known_rows(self, result.frame, state.design, frame)
        Z = outcome_effects(self, parts, state.solved.stack.groupings[0].effects)
        fitted, std_error = _conditional(state, parts.codes, Z, X)
        unknown = (parts.codes < 0) | np.isnan(X).any(axis=1)
        made = {
            "fitted": np.where(unknown, np.nan, fitted),
            "std_error": np.where(unknown, np.nan, std_error),
            "df": np.inf,
        }
        return pd.DataFrame(made, index=frame.index)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        """Outcomes of the rows with their own exposure and mediator; the effects of clusters are drawn anew."""
        options.require_normal(self, "simulate")
        solved: Solved = result.state.solved
        rows = solved.stack.equation == 1
        y = np.repeat(result.state.fitted_population[None], n, axis=0)
        for level, L in zip(solved.stack.levels, factors(solved), strict=True):
            b = rng.standard_normal((n, int(level.codes.max()) + 1, level.q)) @ L.T
            y += np.einsum("nij,ij->ni", b[:, level.codes[rows]], level.Z[rows])
        return np.asarray(y + solved.sigma[1] * rng.standard_normal(y.shape))

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), np.inf)

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return np.inf, 1.0


def _state(solved: Solved, phi: np.ndarray, V: np.ndarray, steps: tuple[Step, ...], design: Design) -> MultilevelState:
    stack = solved.stack
    made = group_posterior(stack.levels, factors(solved), stack.X, stack.y, solved.sigma[stack.equation] ** -2.0)
    draft = MultilevelState(solved, phi, V, made, np.empty(0), np.empty(0), np.empty(0), steps, design)
    rows, first = stack.equation == 1, stack.levels[0]
    X = stack.X[np.ix_(rows, ~_of_mediator(solved))]
    population = X @ solved.at.beta[~_of_mediator(solved)]
    fitted, _ = _conditional(draft, first.codes[rows], first.Z[rows], X)
    return replace(draft, fitted=fitted, fitted_population=population, residual=stack.y[rows] - fitted)


def _conditional(
    state: MultilevelState, codes: np.ndarray, Z: np.ndarray, X: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of rows given the effects of their groups, and standard errors that hold what is not known of β."""
    solved, n = state.solved, len(X)
    above = [np.tile(L[-1], (n, 1)) for L in factors(solved)[1:]]  # the outcome's intercept is the last effect there
    W = np.concatenate([Z, *above, np.zeros((n, int(_of_mediator(solved).sum()))), X], axis=1)
    variance = np.einsum("ij,ijk,ik->i", W, state.posterior.covariance[codes], W)
    with np.errstate(invalid="ignore"):
        return np.einsum("ij,ij->i", W, state.posterior.means[codes]), np.sqrt(variance)


def _of_mediator(solved: Solved) -> np.ndarray:
    """Which fixed coefficients belong to the mediator's equation."""
    stack = solved.stack
    return np.asarray(~stack.X[stack.equation == 1].any(axis=0))
