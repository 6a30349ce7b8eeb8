"""Synthetic trial that randomised centres to training of their physiotherapists, with adherence rated four times."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.parts import allocated, caseloads, require_share
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

PRINTED = "Lonsdale 2017, S0003-9993(17)30183-1 (abstract)"
PROTOCOL = "protocol, BMC Musculoskelet Disord 2012;13:104"
ARMS = ("control", "training")
WEEKS = (1, 4, 12, 24)
FALL = -0.02  # change of the rating by week
MEAN = 5.0


def simulate_lonsdale(
    rng: Seed = 98, *, effect: float = 0.41, sd: float = 0.41 / 0.28, centres: int = 12, therapists: int = 53,
    patients: int = 255, centre_icc: float = 0.02, therapist_icc: float = 0.03, patient_icc: float = 0.45,
    missing: float = 0.15,
) -> Trial:  # fmt: skip
    """Patients of physiotherapists in centres; the centre is randomised; adherence at weeks 1, 4, 12 and 24.

    Parameters
    ----------
    rng : seed; every part has its own stream.
    effect : of the training on adherence, the same at all weeks.
    sd : SD of one rating within an arm; the default is the printed difference over the printed d.
    centres, therapists, patients : their numbers; half of the centres are trained, patients are spread unevenly.
    centre_icc, therapist_icc, patient_icc : shares of the variance of one rating between centres, between therapists of a
        centre, and between patients of a therapist.
    missing : share of ratings missing, at random.

    Returns
    -------
    Trial with one row a patient and week: patient, therapist, centre, arm, week, adherence.

    Raises AllianceError for numbers that make no trial. Source: Lonsdale et al. 2017 (abstract): effect, d, patients,
    therapists, weeks; protocol: centres. All else is assumed.

    >>> trial = simulate_lonsdale(rng=1)
    >>> trial.data["patient"].nunique(), trial.data["centre"].nunique(), trial.true_value("centres", "arm[T.training]")
    (255, 12, 0.41)
    """
    if centres < 4 or therapists < centres or patients < 2 * therapists:
        raise AllianceError(
            f"{patients} patients of {therapists} therapists in {centres} centres; use 4 centres or more, a therapist or more "
            "in each, and 2 patients or more of each"
        )
    for name, value in (("centre_icc", centre_icc), ("therapist_icc", therapist_icc), ("patient_icc", patient_icc)):
        require_share(name, value)
    require_share("missing", missing, 0.9)
    rest = 1 - centre_icc - therapist_icc - patient_icc
    if rest <= 0 or sd <= 0:
        raise AllianceError(f"sd is {sd} and the shares add up to {1 - rest:g}; use a positive SD and a sum below 1")
    of_centre = allocated(centres, 2, _stream(rng, "arm"))
    place = np.concatenate([np.arange(centres), _stream(rng, "place").integers(0, centres, therapists - centres)])
    staff = caseloads(patients, therapists, _stream(rng, "therapist"))
    centre = place[staff]
    own = sum(
        sd * np.sqrt(share) * _stream(rng, name, "adherence").standard_normal(n)[codes]
        for name, share, n, codes in (
            ("centre", centre_icc, centres, centre), ("therapist", therapist_icc, therapists, staff),
            ("patient", patient_icc, patients, np.arange(patients)),
        )
    )  # fmt: skip
    noise = sd * np.sqrt(rest) * _stream(rng, "rating").standard_normal((patients, len(WEEKS)))
    weeks = np.array(WEEKS, dtype=float)
    rating = (MEAN + effect * of_centre[centre] + own)[:, None] + FALL * weeks + noise
    gaps = _stream(rng, "missing").random(rating.shape) < missing
    data = _frame(np.where(gaps, np.nan, np.round(rating, 2)), staff, centre, of_centre)
    numbers = {"effect": effect, "sd": sd, "centre_icc": centre_icc, "therapist_icc": therapist_icc,
               "patient_icc": patient_icc, "missing": missing}  # fmt: skip
    sizes = {"centres": centres, "therapists": therapists, "patients": patients}
    return Trial(data, truth_frame(_truth(effect)), parameter_frame(_parameters(numbers, sizes)), rng)


def _stream(rng: Seed, *names: str) -> np.random.Generator:
    return stream(rng, "lonsdale2017", *names)


def _frame(rating: np.ndarray, staff: np.ndarray, centre: np.ndarray, of_centre: np.ndarray) -> pd.DataFrame:
    n, k = rating.shape
    who = np.repeat(np.arange(n), k)
    return pd.DataFrame(
        {
            "patient": who + 1,
            "therapist": [f"T{code + 1:02d}" for code in staff[who]],
            "centre": [f"C{code + 1:02d}" for code in centre[who]],
            "arm": np.array(ARMS)[of_centre[centre]][who],
            "week": np.tile(np.array(WEEKS), n),
            "adherence": rating.ravel(),
        }
    )


def _truth(effect: float) -> Iterator[tuple[str, str, float, str]]:
    for analysis in ("centres", "robust", "means"):
        yield analysis, "arm[T.training]", effect, "effect of the training on the rating, the same at all weeks"
        if analysis != "means":
            yield analysis, "week", FALL, "change of the rating by week"


def _parameters(numbers: dict[str, float], sizes: dict[str, int]) -> Iterator[tuple[str, float, str, str]]:
    yield "effect", numbers["effect"], "effect of the training on the rating", PRINTED
    yield "sd", numbers["sd"], "SD of one rating within an arm", f"{PRINTED}: .41 / .28"
    yield "centres", sizes["centres"], "centres, half of them trained", PROTOCOL
    yield "therapists", sizes["therapists"], "number of physiotherapists", PRINTED
    yield "patients", sizes["patients"], "number of patients", PRINTED
    for name in ("centre", "therapist", "patient"):
        yield f"{name}_icc", numbers[f"{name}_icc"], f"share of the variance of one rating between {name}s", ASSUMED
    yield "missing", numbers["missing"], "share of ratings missing", ASSUMED
    yield "mean", MEAN, "mean of the control arm at week 0", ASSUMED
    yield "fall", FALL, "change of the rating by week", ASSUMED
    for week in WEEKS:
        yield f"week_{week}", week, "week of a rating", PRINTED
