"""Synthetic treatment of post-traumatic stress disorder: early alliance, exposures done, and completing treatment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.parts import allocated, caseloads
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

PRINTED = "Keller 2010, PMC3244206 (abstract)"
TREATMENTS = ("exposure", "sertraline")
RATING = (65.0, 10.0)  # mean and SD of the early alliance
ADHERENCE, COMPLETION = 0.4, 1.0  # log odds at the mean alliance
PRECISION, THERAPIST_SD = 4.0, 0.3
ASSIGNED = (20, 40)  # exposures assigned: fewest and most


@dataclass(frozen=True)
class Slopes:
    """Changes of the log odds by SD of alliance that give the printed correlations."""

    adherence: float
    completion: float


def simulate_keller(
    rng: Seed = 78, *, patients: int = 200, therapists: int = 12, r_adherence: float = 0.32, r_completion: float = 0.19
) -> Trial:
    """Patients in exposure or sertraline with an early alliance; exposures done of those assigned; who completes.

    Parameters
    ----------
    rng : seed; every part has its own stream.
    patients, therapists : their numbers; half of the patients have exposure. The printed text says neither.
    r_adherence : correlation of alliance and the share of exposures done, in exposure.
    r_completion : correlation of alliance and completing (1) or not (0), in all patients.

    Returns
    -------
    Trial with one row a patient: patient, therapist, treatment, alliance, assigned, done (exposure alone), completed.

    Exposures are beta-binomial and completing binomial, both with a logit and with therapists of their own. The slopes are
    those at which the correlations in the population are the ones asked for. Raises AllianceError for correlations out of
    reach.

    Source: Keller et al. 2010, PMC3244206 (abstract): both correlations. All else is assumed.

    >>> trial = simulate_keller(rng=1)
    >>> len(trial.data), trial.true_value("adherence_r", "alliance")
    (200, 0.32)
    """
    if therapists < 2 or patients < 4 * therapists:
        raise AllianceError(
            f"{patients} patients of {therapists} therapists; use 2 therapists or more, 4 patients or more each"
        )
    slopes = true_slopes(r_adherence, r_completion)
    treated = allocated(patients, 2, _stream(rng, "treatment")) == 0
    staff = caseloads(patients, therapists, _stream(rng, "therapist"))
    z = _stream(rng, "alliance").standard_normal(patients)
    assigned = _stream(rng, "assigned").integers(ASSIGNED[0], ASSIGNED[1] + 1, patients)
    mean = expit(ADHERENCE + slopes.adherence * z + _of_therapist(rng, "adherence", therapists)[staff])
    chance = _stream(rng, "share").beta(PRECISION * mean, PRECISION * (1 - mean))
    done = _stream(rng, "done").binomial(assigned, chance)
    stays = expit(COMPLETION + slopes.completion * z + _of_therapist(rng, "completion", therapists)[staff])
    data = pd.DataFrame(
        {
            "patient": np.arange(1, patients + 1),
            "therapist": [f"T{code + 1:02d}" for code in staff],
            "treatment": np.where(treated, *TREATMENTS),
            "alliance": np.round(RATING[0] + RATING[1] * z, 2),
            "assigned": np.where(treated, assigned, np.nan),
            "done": np.where(treated, done, np.nan),
            "completed": (_stream(rng, "completed").random(patients) < stays).astype(int),
        }
    )
    truth = truth_frame(_truth(slopes, r_adherence, r_completion))
    return Trial(
        data, truth, parameter_frame(_parameters(slopes, patients, therapists, r_adherence, r_completion)), rng
    )


def true_slopes(r_adherence: float, r_completion: float) -> Slopes:
    """Slopes by SD of alliance whose population correlations are these.

    >>> round(true_slopes(0.32, 0.19).completion, 3)
    0.447
    """
    return Slopes(
        _solve(lambda b: correlation(ADHERENCE, b, _share_variance), r_adherence, "r_adherence"),
        _solve(lambda b: correlation(COMPLETION, b, lambda mean: mean * (1 - mean)), r_completion, "r_completion"),
    )


def correlation(intercept: float, slope: float, spread: Callable[[np.ndarray], np.ndarray]) -> float:
    """Of alliance with an outcome of mean expit(intercept + slope·z + therapist) and variance ``spread`` of that mean."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    w = np.outer(weights, weights) / weights.sum() ** 2
    mean = expit(intercept + slope * nodes[:, None] + THERAPIST_SD * nodes[None, :])
    variance = (w * (spread(mean) + mean**2)).sum() - (w * mean).sum() ** 2
    return float((w * mean * nodes[:, None]).sum() / np.sqrt(variance))


def _share_variance(mean: np.ndarray) -> np.ndarray:
    """Of a beta-binomial share, averaged over the numbers assigned."""
    sizes = np.arange(ASSIGNED[0], ASSIGNED[1] + 1)
    return np.asarray(mean * (1 - mean) * np.mean((1 + (sizes - 1) / (PRECISION + 1)) / sizes))


def _solve(f: Callable[[float], float], target: float, name: str) -> float:
    from scipy.optimize import brentq

    low, high = f(-4.0), f(4.0)
    if not low < target < high:
        raise AllianceError(f"{name} is {target}; with these shares and therapists {low:.2f} to {high:.2f} can be had")
    return float(brentq(lambda b: f(b) - target, -4.0, 4.0, xtol=1e-12))


def _stream(rng: Seed, *names: str) -> np.random.Generator:
    return stream(rng, "keller2010", *names)


def _of_therapist(rng: Seed, name: str, therapists: int) -> np.ndarray:
    return THERAPIST_SD * _stream(rng, "therapist", name).standard_normal(therapists)


def _truth(slopes: Slopes, r_adherence: float, r_completion: float) -> Iterator[tuple[str, str, float, str]]:
    for name, r, slope, what in (
        ("adherence", r_adherence, slopes.adherence, "doing an exposure"),
        ("completion", r_completion, slopes.completion, "completing"),
    ):
        yield f"{name}_r", "alliance", r, f"correlation of alliance with {what}"
        yield name, "alliance", slope / RATING[1], f"change of the log odds of {what} by one point of alliance"


def _parameters(
    slopes: Slopes, patients: int, therapists: int, r_adherence: float, r_completion: float
) -> Iterator[tuple[str, float, str, str]]:
    yield "r_adherence", r_adherence, "correlation of alliance and share of exposures done, in exposure", PRINTED
    yield "r_completion", r_completion, "correlation of alliance and completing, in all", PRINTED
    yield "patients", patients, "number of patients, half of them in exposure", ASSUMED
    yield "therapists", therapists, "number of therapists, with unequal caseloads", ASSUMED
    yield "slope_adherence", slopes.adherence, "log odds of doing an exposure by SD of alliance", "from r_adherence"
    yield "slope_completion", slopes.completion, "log odds of completing by SD of alliance", "from r_completion"
    yield "adherence", ADHERENCE, "log odds of doing an exposure at the mean alliance", ASSUMED
    yield "completion", COMPLETION, "log odds of completing at the mean alliance", ASSUMED
    yield "precision", PRECISION, "precision of the beta-binomial", ASSUMED
    yield "therapist_sd", THERAPIST_SD, "SD of the log odds between therapists", ASSUMED
    yield "assigned_fewest", ASSIGNED[0], "fewest exposures assigned", ASSUMED
    yield "assigned_most", ASSIGNED[1], "most exposures assigned", ASSUMED
    yield "rating_mean", RATING[0], "mean of the alliance", ASSUMED
    yield "rating_sd", RATING[1], "SD of the alliance", ASSUMED
