"""Synthetic cognitive-behavioural therapy of panic disorder: alliance at session 3, and who leaves after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.parts import caseloads, require_share
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

KEY = "huppert2014"
PRINTED = "Huppert 2014, PMC4098660, table 6"
RATED = 3  # the session of the rating: nobody without it is in the analysis
PARTS = ("task", "bond", "goal")
SCALES = ("total", *PARTS)
MEAN = {"task": 22.0, "bond": 22.0, "goal": 22.0}
TOTAL_INTERCEPT = -3.63
NULL = "null"


@dataclass(frozen=True)
class Level:
    """One level of the ratings: SD of a subscale, correlation between subscales, and the printed slopes by point.

    The slopes of the three subscales and of their sum, each alone in a model, fit together at one correlation only: with equal
    SDs Σb_s·σ² = b_total·σ²(3 + 6ρ). ``goal`` of the patients is not printed and taken for 0.
    """

    sd: float
    task: float
    bond: float
    goal: float
    total: float

    @property
    def slopes(self) -> np.ndarray:
        """Of the subscales, each alone in a model."""
        return np.array([self.task, self.bond, self.goal])

    @property
    def correlation(self) -> float:
        """Of two subscales, from the slopes."""
        return float((self.slopes.sum() / self.total - 3) / 6)

    @property
    def covariance(self) -> np.ndarray:
        """Of the three subscales."""
        return np.asarray(self.sd**2 * (self.correlation + (1 - self.correlation) * np.eye(3)))

    @property
    def weights(self) -> np.ndarray:
        """Slopes of the three subscales together, which make the printed ones when each is alone."""
        return np.linalg.solve(self.covariance, self.slopes * self.sd**2)

    def variance(self, scale: str) -> float:
        """Of the part of the log hazard that one scale accounts for; of all three together for ``"all"``."""
        if scale == "all":
            return float(self.weights @ self.covariance @ self.weights)
        spread = self.covariance.sum() if scale == "total" else self.sd**2
        return float(getattr(self, scale) ** 2 * spread)


PATIENT = Level(4.0, -0.07, -0.05, 0.0, -0.02)
THERAPIST = Level(1.2, -0.27, -0.25, -0.34, -0.10)


def simulate_huppert(
    rng: Seed = 52, *, patients: int = 133, therapists: int = 20, planned: int = 11, intercept: float = TOTAL_INTERCEPT,
    therapist_sd: float = 0.2,
) -> Trial:  # fmt: skip
    """Patients of therapists, rated at session 3, of whom some leave before the last planned session.

    Parameters
    ----------
    rng : seed; every part has its own stream.
    patients, therapists : their numbers; each patient reached session 3 and rated the alliance there.
    planned : planned sessions; one can leave after sessions 3 to planned − 1.
    intercept : log hazard a session at the mean alliance, in the model of the total alone.
    therapist_sd : SD between therapists of the log hazard beyond the alliance.

    Returns
    -------
    Trial with one row a patient and session attended: patient, therapist, session, wai_task, wai_bond, wai_goal, wai_total (the
    rating at session 3, the same in all rows of a patient).

    The printed slopes are those of models with one scale each. Ratings and hazard are drawn so that all of them hold
    together, to first order in the hazard: those with a high hazard leave first, which makes the intercepts come out lower by
    some .02.

    Raises AllianceError for numbers that make no trial. Source: Huppert et al. 2014, PMC4098660: slopes, intercept, number of
    patients. All else is assumed.

    >>> trial = simulate_huppert(rng=1)
    >>> trial.data["patient"].nunique(), trial.true_value("total", "wai_total_between")
    (133, -0.1)
    """
    if therapists < 2 or patients < 2 * therapists or planned < RATED + 2:
        raise AllianceError(
            f"{patients} patients of {therapists} therapists in {planned} sessions; use 2 therapists or more, 2 patients each "
            f"or more, and {RATED + 2} sessions or more"
        )
    if not -10 < intercept < 0 or therapist_sd < 0:
        raise AllianceError(f"intercept is {intercept}, therapist_sd {therapist_sd}; use −10 to 0, and 0 or more")
    staff = caseloads(patients, therapists, _stream(rng, "therapist"))
    within, between = _parts(staff, therapists, rng)
    own = therapist_sd * _stream(rng, "therapist", "dropout").standard_normal(therapists)[staff]
    log_hazard = _intercept("all", intercept) + within @ PATIENT.weights + between @ THERAPIST.weights + own
    leaves = _stream(rng, "leave").random((patients, planned - RATED)) < -np.expm1(-np.exp(log_hazard))[:, None]
    last = np.where(leaves.any(axis=1), RATED + leaves.argmax(axis=1), planned)
    data = _frame(staff, np.round(within + between + np.array(list(MEAN.values())), 2), last)
    parameters = parameter_frame(_parameters(patients, therapists, planned, intercept, therapist_sd))
    return Trial(data, truth_frame(_truth(intercept)), parameters, rng)


def _stream(rng: Seed, *names: str) -> np.random.Generator:
    return stream(rng, KEY, *names)


def _parts(staff: np.ndarray, therapists: int, rng: Seed) -> tuple[np.ndarray, np.ndarray]:
    """Ratings within and between therapists, (patients, 3); those within add up to zero in every therapist."""
    raw = _stream(rng, "patient").multivariate_normal(np.zeros(3), PATIENT.covariance, len(staff), method="cholesky")
    counts = np.bincount(staff, minlength=therapists)
    means = np.stack([np.bincount(staff, column, therapists) / np.maximum(counts, 1) for column in raw.T], axis=1)
    level = _stream(rng, "level").multivariate_normal(np.zeros(3), THERAPIST.covariance, therapists, method="cholesky")
    return raw - means[staff], (level - level.mean(axis=0))[staff]


def _frame(staff: np.ndarray, ratings: np.ndarray, last: np.ndarray) -> pd.DataFrame:
    who = np.repeat(np.arange(len(staff)), last)
    columns = {f"wai_{name}": ratings[who, j] for j, name in enumerate(PARTS)}
    return pd.DataFrame(
        {
            "patient": who + 1,
            "therapist": [f"T{code + 1:02d}" for code in staff[who]],
            "session": np.concatenate([np.arange(1, n + 1) for n in last]),
            **columns,
            "wai_total": np.round(ratings.sum(axis=1), 2)[who],
        }
    )


def _intercept(scale: str, of_total: float) -> float:
    """Of the model with one scale, none or all: log E exp(x) = variance / 2 of what it leaves open between patients.

    What it leaves open between therapists joins their random effects.
    """

    def explained(name: str) -> float:
        return 0.0 if name == NULL else PATIENT.variance(name)

    return of_total + (explained("total") - explained(scale)) / 2


def _truth(intercept: float) -> Iterator[tuple[str, str, float, str]]:
    for scale in (NULL, *SCALES):
        yield scale, "Intercept", _intercept(scale, intercept), "log hazard a session at the mean alliance"
    for scale in SCALES:
        for level, name, words in ((PATIENT, "within", "than other patients of the therapist"),
                                   (THERAPIST, "between", "in the therapist's mean")):  # fmt: skip
            meaning = f"change of the log hazard by one point more of {scale} {words}"
            yield scale, f"wai_{scale}_{name}", getattr(level, scale), meaning


def _parameters(
    patients: int, therapists: int, planned: int, intercept: float, therapist_sd: float
) -> Iterator[tuple[str, float, str, str]]:
    require_share("hazard", float(np.exp(intercept)))
    yield "patients", patients, "number of patients with a rating", PRINTED
    yield "intercept", intercept, "log hazard a session at the mean, with the total", PRINTED
    for level, name in ((PATIENT, "patient"), (THERAPIST, "therapist")):
        for scale in SCALES:
            blank = level is PATIENT and scale == "goal"
            source = f"{ASSUMED}: not printed" if blank else PRINTED
            yield (
                f"{scale}_{name}",
                getattr(level, scale),
                f"log hazard ratio by point of {scale}, {name} level",
                source,
            )
        yield f"sd_{name}", level.sd, f"SD of a subscale, {name} level", ASSUMED
        from_slopes = f"{ASSUMED}: at which the four printed slopes fit together"
        yield f"correlation_{name}", level.correlation, f"correlation of two subscales, {name} level", from_slopes
    yield "therapists", therapists, "number of therapists, with unequal caseloads", ASSUMED
    yield "planned", planned, "planned sessions", ASSUMED
    yield "therapist_sd", therapist_sd, "SD between therapists of the log hazard beyond the alliance", ASSUMED
    for name, mean in MEAN.items():
        yield f"mean_{name}", mean, f"mean of {name}", ASSUMED
