"""Mediation: how much of an effect runs through the alliance, through which mediator, and for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.design.steps import Step
from alliance_stats.errors import DataError
from alliance_stats.formula import Design
from alliance_stats.models import mediation_intervals as intervals
from alliance_stats.models import mediation_notes as remarks
from alliance_stats.models.frames import analysis_frame, prepared
from alliance_stats.models.linear import DF_METHODS, cluster_codes
from alliance_stats.models.mediation_covariance import Vcov, joint_covariance
from alliance_stats.models.mediation_equations import Chain, Equation, build_equations, read_chain
from alliance_stats.models.mediation_options import (
    Average,
    Interval,
    Scale,
    held_values,
    pairs_of,
    require_moderators,
    require_options,
    require_ratio,
    require_survival,
)
from alliance_stats.models.mediation_outcome import outcome_draws, outcome_mean
from alliance_stats.models.mediation_paths import coefficient_rows, path_rows, total_rows
from alliance_stats.models.mediation_plan import Maker, Plan, make_plan
from alliance_stats.models.mediation_survival import SurvivalState, fit_survival, predicted
from alliance_stats.models.mediation_worlds import Contrast, exposure_contrasts, moderator_values
from alliance_stats.models.survival_response import survival_frame
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.result import Result, glance_frame

FEWEST_CLUSTERS = 10  # jackknife values that the acceleration of BCa can rest on


@dataclass(frozen=True, eq=False)
class MediationState:
    """What is needed to predict the outcome and to vary the assumptions.

    ``equations`` hold design, response, fit and residuals of every regression, mediators in causal order and the outcome last;
    ``phi`` all parameters in that order and ``covariance`` their joint covariance; ``plan`` turns parameters into effects.
    ``design``, ``coefficients``, ``fitted`` and ``residual`` are those of the outcome.
    """

    design: Design
    steps: tuple[Step, ...]
    coefficients: np.ndarray
    kept: np.ndarray
    null: np.ndarray
    sigma: float
    df_residual: float
    fitted: np.ndarray
    residual: np.ndarray
    equations: tuple[Equation, ...]
    contrasts: tuple[Contrast, ...]
    phi: np.ndarray
    covariance: np.ndarray
    plan: Plan
    fitted_population: None = None


@dataclass(frozen=True, repr=False)
class Mediation:
    """Causal mediation with exact natural effects, for one row a patient.

    Parameters
    ----------
    mediators : one formula a mediator, e.g. ``["alliance ~ arm + severity"]``; serial where it contains an earlier mediator.
    outcome : the formula of the outcome, with mediators, exposure, covariates, and interactions of any of them with the
        exposure or with moderators, e.g. ``"pain ~ arm * alliance + severity"``. A time to an event, right-censored, one row
        a patient: ``"Surv(time, dropped) ~ arm + alliance"`` with ``horizon``, fitted by Cox regression.
    exposure : the column whose effect is split.
    contrast : (control, treated). By default the two values; every level against the first; or one unit above the mean.
    family : of responses that are not normal, ``{"responder": "binomial"}``; ``"binomial"`` (logit), ``"probit"``,
        ``"poisson"``, ``"ordered logit"``, ``"ordered probit"`` (effects on the mean level).
    vcov : ``"classical"``, ``"ml"`` (residual sums over n, normal tests, as lavaan), ``"HC0"``, ``"HC3"``, and with ``cluster``
        ``"CR1"`` or ``"CR2"``. By default classical, with ``cluster`` CR2 (CR1 where a response is not normal).
    cluster : the column of the clusters, e.g. ``"therapist"``: whole clusters are resampled.
    within : resample the rows within every cluster drawn, too.
    interval : of the effects: bootstrap ``"percentile"`` or ``"bca"``; ``"monte-carlo"`` (parameters drawn from their sampling
        distribution); ``"delta"``; ``"product"`` (distribution of the product of two normal estimates).
    draws : number of resamples or draws.
    level : confidence level.
    at : moderator values of conditional effects, ``{"severity": [0, 1]}``, ``"sd"`` or ``"percentiles"``.
    held : value of each mediator in the controlled direct effect, ``{"alliance": 4.5}``; by default its mean (0 if binary).
    scale : ``"response"`` (means or probabilities) or ``"odds-ratio"`` (ratios under a rare outcome).
    average : effects averaged over the ``"rows"``, or computed at the ``"means"`` of the covariates.
    randomised : whether the exposure was randomised; it changes the assumptions in ``notes``, not the numbers.
    prepare : steps applied to the data first.
    horizon : of a time to an event, the time by which the probability of the event is compared. Mediators are normal then,
        intervals percentile or Monte Carlo; b and c_prime are log hazard ratios.

    The sampling variation of the covariates is in bootstrap intervals only. A proportion mediated has heavy tails: its
    standard error from draws can be huge, its interval is what counts. Counts as mediators are summed to max + 10√max + 20.

    Sources: Imai, Keele & Tingley 2010, doi 10.1037/a0020761; VanderWeele 2014, doi 10.1097/EDE.0000000000000121 (four parts);
    Valeri & VanderWeele 2013, doi 10.1037/a0031034 (odds ratios); Tofighi & MacKinnon 2011, doi 10.3758/s13428-011-0076-x.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"arm": np.arange(200) % 2})
    >>> data["alliance"] = 0.5 * data["arm"] + rng.normal(size=200)
    >>> data["pain"] = -0.6 * data["alliance"] + rng.normal(size=200)
    >>> fit = Mediation(["alliance ~ arm"], "pain ~ arm + alliance", "arm", interval="delta").fit(data)
    >>> fit.tidy().query("term == 'indirect'")[["estimate", "std_error"]].round(2).to_dict("list")
    {'estimate': [-0.28], 'std_error': [0.08]}
    """

    mediators: tuple[str, ...]
    outcome: str
    exposure: str
    contrast: tuple[Any, Any] | None = None
    family: Any = ()
    vcov: Vcov | None = None
    cluster: str | None = None
    within: bool = False
    interval: Interval = "percentile"
    draws: int = 5000
    level: float = 0.95
    at: Any = ()
    held: Any = ()
    scale: Scale = "response"
    average: Average = "rows"
    randomised: bool | None = None
    prepare: tuple[Step, ...] = ()
    horizon: float | None = None

    def __post_init__(self) -> None:
        # Lists and dictionaries are kept as tuples, so that a declaration is a value that can be compared and hashed.
        mediators = (self.mediators,) if isinstance(self.mediators, str) else tuple(self.mediators)
        object.__setattr__(self, "mediators", mediators)
        for name in ("family", "at", "held"):
            object.__setattr__(self, name, pairs_of(getattr(self, name), name))
        if self.contrast is not None:
            object.__setattr__(self, "contrast", tuple(self.contrast))
        require_options(self)
        require_survival(self, self.chain(), natural=type(self) is Mediation)

    def __repr__(self) -> str:
        horizon = [] if self.horizon is None else [f"by the time {self.horizon:g}"]
        options = [f"family of {name}: {family}" for name, family in self.family]
        return "\n".join(
            [f"Mediation of the effect of {self.exposure}", *(f"  {f}" for f in self._formulas()), *options, *horizon]
        )

    @property
    def formula(self) -> str:
        """All equations in one line."""
        return "; ".join(self._formulas())

    def _formulas(self) -> tuple[str, ...]:
        return (*self.mediators, self.outcome)

    def chain(self) -> Chain:
        """The formulas checked and in causal order."""
        return read_chain(self.mediators, self.outcome, self.exposure, dict(self.family))

    def fit(self, data: pd.DataFrame, rng: Seed = 1) -> Result:
        """Fit every equation to the rows complete in all of them, and derive the effects.

        ``rng`` is the seed of resamples and draws. Rows left out and resamples without an estimate are counted in ``notes``.
        Raises DataError, FormulaError or AllianceError where data and declaration do not fit, ConvergenceError where an
        equation has no estimate (separation).
        """
        chain = self.chain()
        steps, frame = prepared(self.prepare, data)
        labels = (self.cluster,) if self.cluster else ()
        if chain.surv is None:
            frame, notes = analysis_frame(frame, chain.columns, labels, self.formula)
        else:
            frame, notes = survival_frame(frame, chain.surv, chain.columns, labels, self.formula)
        codes = self._codes(frame)
        require_moderators(self, chain)
        factors = frozenset(name for formula in chain.formulas for name in formula.factors)
        contrasts = exposure_contrasts(frame, self.exposure, self.contrast, factors)
        if chain.surv is not None:
            return fit_survival(self, chain, frame, contrasts, codes, steps, notes, rng)
        at = {name: moderator_values(frame, name, asked) for name, asked in self.at}
        equations = build_equations(chain, frame, likelihood=self.vcov == "ml")
        maker = Maker(
            equations, frame, self.exposure, held_values(equations, dict(self.held)), self.scale == "odds-ratio",
            self.average == "means" or self.scale == "odds-ratio",
        )  # fmt: skip
        require_ratio(self, equations[-1])
        return self._result(maker, contrasts, at, codes, steps, notes, rng)

    def _result(
        self, maker: Maker, contrasts: tuple[Contrast, ...], at: Mapping[str, Sequence[Any]], codes: np.ndarray | None,
        steps: tuple[Step, ...], notes: tuple[str, ...], rng: Seed,
    ) -> Result:  # fmt: skip
        equations, vcov = maker.equations, self._vcov(maker.equations)
        phi = np.concatenate([equation.fit.parameters for equation in equations])
        covariance = joint_covariance(equations, vcov, codes)
        plan = make_plan(maker, contrasts, at, phi)
        found = self._inference(plan, equations, phi, covariance, codes, rng)
        effects = intervals.effect_rows(plan, plan.values(phi[None])[0], found)
        fixed = coefficient_rows(equations, covariance, vcov, codes, self.level)
        total = total_rows(equations, self.exposure, vcov, codes, self.level)
        estimates = pd.concat([effects, path_rows(equations, self.exposure, fixed, total), fixed], ignore_index=True)
        notes += (
            *remarks.estimand_notes(maker, contrasts),
            *remarks.assumption_notes(self.exposure, maker.mediators, equations[-1].response, self.randomised),
            *remarks.data_notes(maker, contrasts, codes), *found.notes,
            *(remarks.share_note(plan.targets, found.limits) if not maker.ratio else ()),
        )  # fmt: skip
        state = _state(equations, steps, contrasts, phi, covariance, plan)
        where = np.concatenate([np.arange(len(phi))[equation.block.coefficients] for equation in equations])
        V = pd.DataFrame(covariance[np.ix_(where, where)], index=list(fixed["term"]), columns=list(fixed["term"]))
        statistics = self._glance(maker, vcov)
        return Result(self, maker.frame, state, estimates, statistics, V, found.draws, notes)

    def _inference(
        self, plan: Plan, equations: tuple[Equation, ...], phi: np.ndarray, covariance: np.ndarray, codes: np.ndarray | None,
        rng: Seed,
    ) -> intervals.Inference:  # fmt: skip
        if self.interval == "delta":
            return intervals.delta(plan, phi, covariance, self.level)
        if self.interval == "product":
            return intervals.with_products(plan, phi, covariance, self.level)
        generator = stream(rng, "mediation", self.interval)
        if self.interval == "monte-carlo":
            return intervals.monte_carlo(plan, phi, covariance, self.level, self.draws, generator)
        sampling = intervals.Sampling(len(equations[0].y), codes, self.within)
        return intervals.bootstrap(
            plan, equations, sampling, phi, self.level, self.draws, generator, bca=self.interval == "bca",
            likelihood=self.vcov == "ml",
        )  # fmt: skip

    def _vcov(self, equations: Sequence[Equation]) -> str:
        if self.vcov is not None:
            return self.vcov
        if self.cluster is None:
            return "classical"
        return "CR2" if all(equation.family.name == "gaussian" for equation in equations) else "CR1"

    def _codes(self, frame: pd.DataFrame) -> np.ndarray | None:
        if self.cluster is None:
            return None
        codes = cluster_codes(frame, self.cluster)
        if self.interval == "bca" and codes.max() + 1 < FEWEST_CLUSTERS:
            raise DataError(
                f"cluster='{self.cluster}' has {codes.max() + 1} clusters; interval='bca' needs {FEWEST_CLUSTERS} or more: "
                "use interval='delta' with vcov='CR2'"
            )
        return codes

    def _glance(self, maker: Maker, vcov: str) -> pd.DataFrame:
        log_likelihood = sum(equation.fit.log_likelihood for equation in maker.equations)
        k = sum(len(equation.fit.parameters) for equation in maker.equations)
        n, normal = len(maker.frame), all(equation.family.name == "gaussian" for equation in maker.equations)
        counts = {"n_obs": n} | ({f"n_{self.cluster}": maker.frame[self.cluster].nunique()} if self.cluster else {})
        return glance_frame(
            counts, log_likelihood=log_likelihood, deviance=-2 * log_likelihood, aic=2 * k - 2 * log_likelihood,
            bic=np.log(n) * k - 2 * log_likelihood, method="OLS" if normal else "ML",
            df_method=DF_METHODS.get(vcov, "residual") if normal and vcov != "ml" else "normal", converged=True,
        )  # fmt: skip

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        """Mean outcome of rows with their own exposure and mediators; of a time to an event, its probability by the horizon."""
        if isinstance(result.state, SurvivalState):
            return predicted(result.state, frame)
        state: MediationState = result.state
        fitted, std_error = outcome_mean(state.equations[-1], state.phi, state.covariance, frame)
        df = np.full(len(frame), float(state.df_residual))
        return pd.DataFrame({"fitted": fitted, "std_error": std_error, "df": df}, index=frame.index)

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        """Outcomes of the rows with their own exposure and mediators; of a time to an event, whether it came by the horizon."""
        if isinstance(result.state, SurvivalState):
            return np.asarray(rng.random((n, len(result.frame))) < result.state.fitted, dtype=float)
        return outcome_draws(result.state.equations[-1], result.state.phi, rng, n)

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        return np.full(len(weights), float(result.state.df_residual))

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        return float(result.state.df_residual), 1.0


def _state(
    equations: tuple[Equation, ...], steps: tuple[Step, ...], contrasts: tuple[Contrast, ...], phi: np.ndarray,
    covariance: np.ndarray, plan: Plan,
) -> MediationState:  # fmt: skip
    outcome = equations[-1]
    n, p = outcome.X.shape
    free = float(n - p) if outcome.family.name == "gaussian" else float("inf")
    return MediationState(
        outcome.design, steps, outcome.coefficients, np.arange(p), np.zeros((0, p)), outcome.sigma, free,
        outcome.fit.fitted, outcome.y - outcome.fit.fitted, equations, contrasts, phi, covariance, plan,
    )  # fmt: skip
