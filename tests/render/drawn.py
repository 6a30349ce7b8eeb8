"""One call of every figure function of al.figures, on made-up frames in the columns that analyses return."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.render import figures

ARMS = ("usual care", "exercise")


def figure_names() -> list[str]:
    """Every function of al.figures that returns axes; ``canvas``, which draws nothing, aside."""
    returns = {name: str(inspect.signature(getattr(figures, name)).return_annotation) for name in figures.__all__}
    return sorted(name for name, kind in returns.items() if kind in ("Axes", "tuple[Axes, ...]") and name != "canvas")


def with_limits(frame: pd.DataFrame, column: str = "estimate", half: float = 0.5, **more: Any) -> pd.DataFrame:
    return frame.assign(conf_low=frame[column] - half, conf_high=frame[column] + half, **more)


@cache
def patients(n: int = 160) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"patient": np.arange(n), "arm": np.array(ARMS)[np.arange(n) % 2]})
    frame["alliance"] = np.clip(np.round(rng.normal(5.6, 1.1, n), 1), 1, 7)
    frame["pain_week_8"] = np.clip(np.round(8.5 - 0.6 * frame["alliance"] + rng.normal(0, 1.5, n)), 0, 10)
    frame["completed"] = (rng.random(n) < 1 / (1 + np.exp(3 - 0.8 * frame["alliance"]))).astype(int)
    return frame


@cache
def courses(n: int = 90, weeks: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(12)
    patient, week = np.repeat(np.arange(n), weeks), np.tile(np.arange(float(weeks)), n)
    pain = 6 + rng.normal(0, 1.2, n)[patient] - 0.3 * week - 0.2 * week * (patient % 2) + rng.normal(0, 0.8, n * weeks)
    names = {"patient": [f"P{k:02d}" for k in patient], "arm": np.array(ARMS)[patient % 2]}
    return pd.DataFrame({**names, "week": week, "pain": np.clip(pain.round(1), 0, 10)})


@cache
def lines(
    x: str = "alliance", low: float = 2, high: float = 7, slopes: tuple[float, float] = (-0.3, -0.8)
) -> pd.DataFrame:
    at = np.linspace(low, high, 25)
    parts = [pd.DataFrame({x: at, "arm": arm, "fitted": 8 + b * at}) for arm, b in zip(ARMS, slopes, strict=True)]
    return with_limits(pd.concat(parts, ignore_index=True), "fitted")


@cache
def shares() -> pd.DataFrame:
    at = np.linspace(2, 7, 25)
    logit = {arm: 0.8 * at - k for arm, k in zip(ARMS, (3.2, 2.2), strict=True)}
    parts = [
        pd.DataFrame({"alliance": at, "arm": arm, **{
            name: 1 / (1 + np.exp(-value - add)) for name, add in (("fitted", 0), ("conf_low", -0.5), ("conf_high", 0.5))
        }})
        for arm, value in logit.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@cache
def estimates() -> pd.DataFrame:
    terms = ["Intercept", "alliance_within", "alliance_between", "arm[T.exercise]", "week:arm[T.exercise]"]
    frame = pd.DataFrame({"term": terms, "component": "fixed", "estimate": [6.1, -0.21, -0.82, -1.14, -0.324]})
    return with_limits(frame, half=0.3)


@cache
def random_effects(n: int = 18) -> pd.DataFrame:
    rng = np.random.default_rng(13)
    rows = pd.MultiIndex.from_product(
        [["Intercept", "week"], [f"therapist_{k + 1}" for k in range(n)]], names=["term", "at"]
    )
    frame = rows.to_frame(index=False).assign(group="therapist", estimate=rng.normal(0, 0.8, 2 * n), std_error=0.4)
    return with_limits(frame, half=0.784, interval="normal")


@cache
def mediation() -> pd.DataFrame:
    frame = pd.DataFrame({
        "term": ["a", "b", "c_prime", "indirect", "direct", "total"], "component": ["path"] * 3 + ["effect"] * 3,
        "equation": ["alliance", "pain_week_8", "pain_week_8", "", "", ""], "interval": "delta", "at": "",
        "estimate": [0.62, -0.71, -0.22, -0.44, -0.22, -0.66],
    })  # fmt: skip
    return with_limits(frame, half=0.25)


@cache
def leaving() -> pd.DataFrame:
    rng = np.random.default_rng(14)
    parts = []
    for arm, hazard in zip(ARMS, (0.08, 0.04), strict=True):
        time, n, left, out = np.arange(1.0, 13), 80, 1.0, []
        for session in time[:-1]:
            k = rng.binomial(n, hazard)
            left *= 1 - k / n
            out.append((session, n, k, 0, left))
            n -= k
        out.append((12.0, n, 0, n, left))
        rows = pd.DataFrame(out, columns=["time", "n_risk", "n_event", "n_censored", "survival"])
        parts.append(
            rows.assign(group=arm, conf_low=rows.survival - 0.06, conf_high=np.minimum(rows.survival + 0.06, 1))
        )
    return pd.concat(parts, ignore_index=True)


@cache
def causes() -> pd.DataFrame:
    time = np.arange(1.0, 13)
    parts = [
        pd.DataFrame(
            {
                "group": "all",
                "cause": cause,
                "time": time,
                "n_risk": (160 - 8 * time).astype(int),
                "incidence": b * time,
            }
        )
        for cause, b in (("dropped_out", 0.02), ("better", 0.012))
    ]
    return with_limits(pd.concat(parts, ignore_index=True), "incidence", 0.02).assign(
        conf_low=lambda d: d["conf_low"].clip(0)
    )


@cache
def slopes() -> tuple[pd.DataFrame, pd.DataFrame]:
    mean = patients()["alliance"].to_numpy()[:60]
    pain, names = 8.5 - 0.7 * mean + np.sin(np.arange(60)), [f"P{k}" for k in range(60)]
    ends = [
        pd.DataFrame({"part": "segment", "at": names, "alliance": mean + d, "pain": pain - 0.2 * d})
        for d in (-0.4, 0.4)
    ]
    x = np.linspace(mean.min(), mean.max(), 20)
    parts = [
        pd.DataFrame({"part": "patient", "at": names, "alliance": mean, "pain": pain}), *ends,
        pd.DataFrame({"part": "between", "at": "", "alliance": x, "pain": 8.5 - 0.7 * x}),
        pd.DataFrame({"part": "within", "at": "", "alliance": [5, 6.2], "pain": [5, 4.8]}),
    ]  # fmt: skip
    frame = with_limits(pd.concat(parts, ignore_index=True), "pain", adjusted_for="baseline_pain", n=5)
    effects = with_limits(
        pd.DataFrame({"term": ["between", "within", "contextual"], "estimate": [-0.7, -0.2, -0.5]}), half=0.2
    )
    return frame, effects


@cache
def flow() -> pd.DataFrame:
    rows = [
        ("Assessed for eligibility", "all", 512, ""),
        ("Randomised", "all", 117, "395 excluded: not eligible or declined"),
    ]
    for k, stage in enumerate(["Randomised", "4 weeks", "8 weeks"]):
        rows += [(stage, arm, 58 - 3 * k - j, f"{3 + j} did not come" if k else "") for j, arm in enumerate(ARMS)]
    return pd.DataFrame(rows, columns=["stage", "arm", "n", "reason"])


def conditional() -> pd.DataFrame:
    at = np.linspace(2, 7, 21)
    frame = with_limits(pd.DataFrame({"alliance": at, "estimate": 0.9 - 0.4 * at}), half=0.6)
    return frame.assign(significant=frame["conf_high"] < 0)


def confounded() -> pd.DataFrame:
    share = np.linspace(0, 0.9, 31)
    grid = pd.MultiIndex.from_product([share, share], names=["r2_mediator", "r2_outcome"]).to_frame(index=False)
    product = np.sqrt(grid["r2_mediator"] * grid["r2_outcome"])
    return grid.assign(estimate=-0.44 + product, form="residual", same_sign=True)


def outcomes() -> pd.DataFrame:
    rows = random_effects(12).query("term == 'Intercept'")
    share = (1 / (1 + np.exp(-rows["estimate"]))).round(3)
    limits = {"estimate": share, "conf_low": share - 0.1, "conf_high": share + 0.1}
    return rows.assign(**limits, reference=0.55, unit="share")


def averages() -> pd.DataFrame:
    at = pd.MultiIndex.from_product([[0, 4, 8], ARMS], names=["week", "arm"]).to_frame(index=False)
    return with_limits(at.assign(estimate=[6.2, 6.1, 5.4, 4.6, 5.0, 3.7]))


def bins() -> pd.DataFrame:
    frame = with_limits(
        pd.DataFrame({"predicted": [0.2, 0.4, 0.6, 0.8], "observed": [0.25, 0.38, 0.66, 0.79]}), "observed", 0.08
    )
    return frame.assign(n_rows=40)


def counts() -> pd.DataFrame:
    frame = pd.DataFrame({"count": np.arange(8), "observed": [30, 28, 20, 12, 6, 3, 1, 0]})
    expected = np.array([27, 30, 21, 11, 5, 2, 1, 0.4])
    low, high = np.floor(expected * 0.6), np.ceil(expected * 1.5)
    return frame.assign(expected=expected, expected_low=low, expected_high=high)


def rho() -> pd.DataFrame:
    at = np.linspace(-0.9, 0.9, 37)
    return with_limits(pd.DataFrame({"rho": at, "estimate": -0.44 - 0.9 * at, "term": "indirect"}), half=0.2)


def fits() -> pd.DataFrame:
    frame = pd.DataFrame({"fitted": 8.5 - 0.6 * patients()["alliance"], "arm": patients()["arm"]})
    frame["residual"] = patients()["pain_week_8"] - frame["fitted"]
    return frame.assign(studentised=frame["residual"] / frame["residual"].std())


def hazard(ax: Any = None) -> Any:
    return figures.session_hazard(figures.session_hazards(leaving().query("time < 12")), ax=ax)


def paths(n: int = 30) -> pd.DataFrame:
    a, b = 0.5 + 0.2 * np.sin(np.arange(n)), -0.6 + 0.2 * np.cos(np.arange(n))
    parts = [pd.DataFrame({"term": term, "at": np.arange(n).astype(str), "estimate": values})
             for term, values in (("a", a), ("b", b), ("indirect", a * b))]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


EXAMPLES: dict[str, Callable[..., Any]] = {
    "calibration": lambda ax=None: figures.calibration(bins(), ax=ax),
    "caterpillar": lambda ax=None: figures.caterpillar(random_effects(), term="Intercept", ax=ax),
    "caterpillars": lambda ax=None: figures.caterpillars(random_effects()),
    "completion": lambda ax=None: figures.completion(shares(), patients(), by="arm", ceiling=7, ax=ax),
    "cumulative_incidence": lambda ax=None: figures.cumulative_incidence(causes(), ax=ax),
    "effect_curve": lambda ax=None: figures.effect_curve(conditional(), share=False, x="alliance", ceiling=7, ax=ax),
    "effect_forest": lambda ax=None: figures.effect_forest(mediation(), xlabel="Pain (points)", ax=ax),
    "forest": lambda ax=None: figures.forest(estimates(), xlabel="Pain (points, 0–10)", ax=ax),
    "group_means": lambda ax=None: figures.group_means(averages(), x="week", by="arm", ylabel="Pain (0–10)", ax=ax),
    "group_outcomes": lambda ax=None: figures.group_outcomes(outcomes(), ax=ax),
    "interaction": lambda ax=None: figures.interaction(
        lines(), patients(), x="alliance", by="arm", y="pain_week_8", ceiling=7, ax=ax
    ),
    "johnson_neyman": lambda ax=None: figures.johnson_neyman(
        conditional(), x="alliance", observed=patients()["alliance"], ylabel="Effect of exercise on pain", ax=ax
    ),
    "outcome_curve": lambda ax=None: figures.outcome_curve(shares(), x="alliance", by="arm", ylabel="attended", ax=ax),
    "participant_flow": lambda ax=None: figures.participant_flow(flow(), ax=ax),
    "path_diagram": lambda ax=None: figures.path_diagram(
        mediation(), exposure="arm", labels={"arm": "Exercise against usual care"}, ax=ax
    ),
    "patient_paths": lambda ax=None: figures.patient_paths(paths(), ax=ax),
    "quantiles": lambda ax=None: figures.quantiles(figures.normal_quantiles(fits()["studentised"]), ax=ax),
    "reference_hazard": lambda ax=None: figures.reference_hazard(hazard(ax), 0.06, "printed hazard, .06"),
    "residuals": lambda ax=None: figures.residuals(fits(), ax=ax),
    "residuals_fitted": lambda ax=None: figures.residuals_fitted(fits(), by="arm", ax=ax),
    "rootogram": lambda ax=None: figures.rootogram(counts(), xlabel="sessions missed", ax=ax),
    "sensitivity_contours": lambda ax=None: figures.sensitivity_contours(confounded(), ax=ax),
    "sensitivity_curve": lambda ax=None: figures.sensitivity_curve(rho(), ax=ax),
    "session_hazard": hazard,
    "survival": lambda ax=None: figures.survival(leaving(), ylabel="still in treatment", ax=ax),
    "trajectories": lambda ax=None: figures.trajectories(
        lines("week", 0, 5, (-0.3, -0.5)), courses(), x="week", y="pain", by="arm", ax=ax
    ),
    "within_between": lambda ax=None: figures.within_between(*slopes(), x="alliance", y="pain", ax=ax),
}


def first(drawn: Any) -> Any:
    """The axes, of several the first."""
    return drawn[0] if isinstance(drawn, tuple) else drawn
