"""Synthetic trial that randomised centres to training of physiotherapists; adherence rated four times, the therapist once."""

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
# Shares of the variance of the rating of the therapist between centres, therapists of a centre, and patients of a therapist.
SUPPORT_SHARES = {"centre": 0.03, "therapist": 0.10, "patient": 0.87}


def simulate_lonsdale(
    rng: Seed = 98, *, effect: float = 0.41, sd: float = 0.41 / 0.28, centres: int = 12, therapists: int = 53,
    patients: int = 255, centre_icc: float = 0.02, therapist_icc: float = 0.03, patient_icc: float = 0.45,
    missing: float = 0.15, support_effect: float = 0.5, support_between: float = 0.6, support_within: float = 0.3,
) -> Trial:  # fmt: skip
    """Patients of physiotherapists in centres; the centre is randomised; adherence at weeks 1, 4, 12 and 24.

    The training raises how far therapists support autonomy, as their patients rate it once (SD 1); this raises adherence. The
    shares of the variance of adherence hold what runs through that rating, so that ``effect``, ``sd`` and shares are as given.

    Parameters
    ----------
    rng : seed; every part has its own stream.
    effect : of the training on adherence, the same at all weeks.
    sd : SD of one rating within an arm; the default is the printed difference over the printed d.
    centres, therapists, patients : their numbers; half of the centres are trained, patients are spread unevenly.
    centre_icc, therapist_icc, patient_icc : shares of the variance of one rating between centres, between therapists of a
        centre, and between patients of a therapist.
    missing : share of ratings missing, at random.
    support_effect : of the training on the rating of the therapist.
    support_between, support_within : of a point of that rating on adherence: of the therapist's own level, and of the patient's
        distance from it. The training works through the level alone: ``support_effect * support_between``; the rest is direct.

    Returns
    -------
    Trial with one row a patient and week: patient, therapist, centre, arm, week, autonomy_support, adherence.

    Raises AllianceError for numbers that make no trial. Source: Lonsdale et al. 2017 (abstract): effect, d, patients,
    therapists, weeks; protocol: centres. All else is assumed; what runs through autonomy support is not printed.

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
    levels = (
        ("centre", centre_icc, centre),
        ("therapist", therapist_icc, staff),
        ("patient", patient_icc, np.arange(patients)),
    )
    slopes = {"centre": support_between, "therapist": support_between, "patient": support_within}
    support, own = np.zeros(patients), np.zeros(patients)
    for name, share, codes in levels:
        left = sd**2 * share - slopes[name] ** 2 * SUPPORT_SHARES[name]
        if left < 0:
            raise AllianceError(
                f"{name}_icc is {share}: what runs through autonomy support alone has more variance; use a larger share, or a "
                f"smaller support_{'within' if name == 'patient' else 'between'}"
            )
        n = int(codes.max()) + 1
        rated = np.sqrt(SUPPORT_SHARES[name]) * _stream(rng, name, "support").standard_normal(n)[codes]
        support += rated
        own += slopes[name] * rated + np.sqrt(left) * _stream(rng, name, "adherence").standard_normal(n)[codes]
    noise = sd * np.sqrt(rest) * _stream(rng, "rating").standard_normal((patients, len(WEEKS)))
    weeks = np.array(WEEKS, dtype=float)
    rating = (MEAN + effect * of_centre[centre] + own)[:, None] + FALL * weeks + noise
    gaps = _stream(rng, "missing").random(rating.shape) < missing
    support = np.round(MEAN + support_effect * of_centre[centre] + support, 2)
    data = _frame(np.where(gaps, np.nan, np.round(rating, 2)), staff, centre, of_centre, support)
    numbers = {"effect": effect, "sd": sd, "centre_icc": centre_icc, "therapist_icc": therapist_icc,
               "patient_icc": patient_icc, "missing": missing, "support_effect": support_effect,
               "support_between": support_between, "support_within": support_within}  # fmt: skip
    sizes = {"centres": centres, "therapists": therapists, "patients": patients}
    return Trial(data, truth_frame(_truth(numbers)), parameter_frame(_parameters(numbers, sizes)), rng)


def _stream(rng: Seed, *names: str) -> np.random.Generator:
    return stream(rng, "lonsdale2017", *names)


def _frame(
    rating: np.ndarray, staff: np.ndarray, centre: np.ndarray, of_centre: np.ndarray, support: np.ndarray
) -> pd.DataFrame:
    n, k = rating.shape
    who = np.repeat(np.arange(n), k)
    return pd.DataFrame(
        {
            "patient": who + 1,
            "therapist": [f"T{code + 1:02d}" for code in staff[who]],
            "centre": [f"C{code + 1:02d}" for code in centre[who]],
            "arm": np.array(ARMS)[of_centre[centre]][who],
            "week": np.tile(np.array(WEEKS), n),
            "autonomy_support": support[who],
            "adherence": rating.ravel(),
        }
    )


def _truth(numbers: dict[str, float]) -> Iterator[tuple[str, str, float, str]]:
    effect = numbers["effect"]
    for analysis in ("centres", "robust", "means"):
        yield analysis, "arm[T.training]", effect, "effect of the training on the rating, the same at all weeks"
        if analysis != "means":
            yield analysis, "week", FALL, "change of the rating by week"
    a, b, within = (numbers[f"support_{name}"] for name in ("effect", "between", "within"))
    for analysis in ("mediated", "mediated_manifest"):
        yield analysis, "a", a, "effect of the training on autonomy support"
        yield (
            analysis,
            "b_within",
            within,
            "change of adherence by a point of a patient's distance from the therapist's level",
        )
        yield analysis, "total", effect, "effect of the training on adherence"
    yield "mediated", "b_between", b, "change of adherence by a point of the therapist's level"
    yield "mediated", "indirect", a * b, "effect of the training through the therapist's level of autonomy support"
    yield "mediated", "c_prime", effect - a * b, "effect of the training that does not run through it"


def _parameters(numbers: dict[str, float], sizes: dict[str, int]) -> Iterator[tuple[str, float, str, str]]:
    yield "effect", numbers["effect"], "effect of the training on the rating", PRINTED
    yield "sd", numbers["sd"], "SD of one rating within an arm", f"{PRINTED}: .41 / .28"
    yield "centres", sizes["centres"], "centres, half of them trained", PROTOCOL
    yield "therapists", sizes["therapists"], "number of physiotherapists", PRINTED
    yield "patients", sizes["patients"], "number of patients", PRINTED
    for name in ("centre", "therapist", "patient"):
        yield f"{name}_icc", numbers[f"{name}_icc"], f"share of the variance of one rating between {name}s", ASSUMED
    yield "missing", numbers["missing"], "share of ratings missing", ASSUMED
    yield "support_effect", numbers["support_effect"], "points of autonomy support that the training adds", ASSUMED
    yield (
        "support_between",
        numbers["support_between"],
        "points of adherence by a point of the therapist's level of it",
        ASSUMED,
    )
    yield (
        "support_within",
        numbers["support_within"],
        "the same by a point of a patient's distance from that level",
        ASSUMED,
    )
    for name, share in SUPPORT_SHARES.items():
        yield f"support_{name}", share, f"variance of autonomy support between {name}s", ASSUMED
    yield "mean", MEAN, "mean of the control arm at week 0", ASSUMED
    yield "fall", FALL, "change of the rating by week", ASSUMED
    for week in WEEKS:
        yield f"week_{week}", week, "week of a rating", PRINTED
