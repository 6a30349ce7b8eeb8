"""Synthetic psychotherapy of depression with an alliance rating after every session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.graded import graded_items, shift_for_maximum
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.ferreira_numbers import ITEMS, LOADING, THRESHOLDS
from alliance_stats.synthetic.parts import caseloads, require_share
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

PRINTED = "Crits-Christoph 2011, doi 10.1037/a0023668"
EARLY = (3, 9)  # sessions whose mean predicts the outcome
SHORTEST = 10  # sessions of the shortest therapy, so that all patients reach the last of them
THRESHOLDS_NEEDED = (0.80, 0.90)
RATING = (50.0, 8.0)  # mean, and SD within therapists
BEFORE, AFTER, KEPT = (65.0, 8.0), (50.0, 10.0), 0.4  # depression, T-scores, and their correlation


@dataclass(frozen=True)
class Shares:
    """Variances of one rating in units of its variance within therapists, and what they make of the outcome.

    ``patient`` + ``error`` = 1; ``slope`` is the change of the outcome by one point of the patient's true alliance.
    """

    patient: float
    error: float
    therapist: float
    explained: float

    @property
    def true(self) -> float:
        """Variance of the true alliance of a patient, that of the therapist included."""
        return self.patient + self.therapist

    @property
    def slope(self) -> float:
        """Negative, as more alliance goes with less depression."""
        covariance = np.sqrt(self.explained * (self.true + self.error)) * AFTER[1]
        return float(-covariance / self.true / RATING[1])


def simulate_critschristoph(
    rng: Seed = 79, *, patients: int = 45, therapists: int = 9, sessions: int = 16, dependability: float = 0.77,
    therapist_variance: float = 1 / 15, explained: float = 0.047, outcome_icc: float = 0.05, missing: float = 0.03,
    items: bool = False, ceiling: float = 0.25,
) -> Trial:  # fmt: skip
    """Alliance rated after every session by patients of therapists with unequal caseloads; depression before and after.

    Parameters
    ----------
    rng : seed; every part has its own stream, so that an option leaves the draws of the others alone.
    patients, therapists : their numbers; the busiest therapist has three times the patients of the least busy.
    sessions : of the longest therapy; lengths are spread evenly from 10 to it.
    dependability : share of the variance of one rating, within therapists, that lies between patients; the rest is error,
        independent from session to session.
    therapist_variance : variance between therapists, in units of that of one rating within therapists. With 1/15 the mean of
        one rating of 60 patients has a dependability of .80.
    explained : share of the outcome's variance that the rating of one session explains beyond the value before.
    outcome_icc : share of the rest of the outcome's variance that lies between therapists, apart from the alliance.
    missing : share of the ratings that is missing, at random.
    items : whether the rating is the sum of twelve answers from 1 to 5 to the alliance, with a share of ``ceiling`` at the
        maximum of 60. The outcome follows the alliance behind the answers; the variances of the sum are then not known and
        ``truth`` is empty.

    Returns
    -------
    Trial with one row a patient and session: patient, therapist, session, alliance, depression_before, depression_after
    (T-scores, the same in all rows of a patient).

    Raises AllianceError for an option outside its range.

    Source: Crits-Christoph et al. 2011, doi 10.1037/a0023668: numbers of patients and therapists, dependability and explained
    share of one session. All else is assumed.

    >>> trial = simulate_critschristoph(rng=1)
    >>> trial.data["patient"].nunique(), trial.true_value("ratings", "1 session")
    (45, 0.77)
    """
    _check(patients, therapists, sessions, dependability, therapist_variance, explained, outcome_icc, missing, ceiling)
    shares = Shares(dependability, 1 - dependability, therapist_variance, explained)
    staff = caseloads(patients, therapists, stream(rng, "critschristoph2011", "therapist"))
    true = _true_alliance(shares, staff, therapists, rng)
    before, after = _outcome(shares, true, staff, therapists, outcome_icc, rng)
    lengths = _stream(rng, "length").integers(SHORTEST, sessions + 1, size=patients)
    who = np.repeat(np.arange(patients), lengths)
    when = np.concatenate([np.arange(1, n + 1) for n in lengths])
    noise = _stream(rng, "session").standard_normal((patients, sessions))[who, when - 1]
    rating = true[who] + np.sqrt(shares.error) * noise
    values = _items(rating / np.sqrt(shares.true + shares.error), ceiling, rng) if items else _points(rating)
    gaps = _stream(rng, "missing").random((patients, sessions))[who, when - 1] < missing
    data = pd.DataFrame(
        {
            "patient": who + 1,
            "therapist": [f"T{code + 1:02d}" for code in staff[who]],
            "session": when,
            "alliance": np.where(gaps, np.nan, values),
            "depression_before": before[who],
            "depression_after": after[who],
        }
    )
    truth = truth_frame(() if items else _truth(shares, missing))
    return Trial(data, truth, parameter_frame(_parameters(shares, patients, therapists, outcome_icc, missing)), rng)


def _stream(rng: Seed, *names: str) -> np.random.Generator:
    return stream(rng, "critschristoph2011", *names)


def _check(
    patients: int, therapists: int, sessions: int, dependability: float, therapist_variance: float, explained: float,
    outcome_icc: float, missing: float, ceiling: float,
) -> None:  # fmt: skip
    if therapists < 1 or patients < therapists:
        raise AllianceError(f"{patients} patients of {therapists} therapists; each therapist needs a patient or more")
    if sessions < SHORTEST:
        raise AllianceError(f"sessions is {sessions}; use {SHORTEST} or more")
    if not 0 < dependability < 1 or not 0 < ceiling < 1:
        raise AllianceError(f"dependability is {dependability}, ceiling {ceiling}; use shares between 0 and 1")
    if therapist_variance < 0:
        raise AllianceError(f"therapist_variance is {therapist_variance}; use 0 or more")
    require_share("outcome_icc", outcome_icc)
    require_share("missing", missing, 0.5)
    true = dependability + therapist_variance
    most = (1 - KEPT**2) * true / (1 + therapist_variance)
    require_share("explained", explained, most)


def _true_alliance(shares: Shares, staff: np.ndarray, therapists: int, rng: Seed) -> np.ndarray:
    """In units of the SD of one rating within therapists."""
    between = _stream(rng, "therapist", "alliance").standard_normal(therapists)[staff]
    own = _stream(rng, "patient", "alliance").standard_normal(len(staff))
    return np.asarray(np.sqrt(shares.therapist) * between + np.sqrt(shares.patient) * own)


def _outcome(
    shares: Shares, true: np.ndarray, staff: np.ndarray, therapists: int, icc: float, rng: Seed
) -> tuple[np.ndarray, np.ndarray]:
    """Depression before and after; the value before says nothing of the alliance."""
    start = _stream(rng, "before").standard_normal(len(staff))
    skill = _stream(rng, "therapist", "outcome").standard_normal(therapists)[staff]
    noise = _stream(rng, "after").standard_normal(len(staff))
    alliance = shares.slope * RATING[1] * true
    rest = AFTER[1] ** 2 * (1 - KEPT**2) - (shares.slope * RATING[1]) ** 2 * shares.true
    after = AFTER[0] + KEPT * AFTER[1] * start + alliance + np.sqrt(rest) * (
        np.sqrt(icc) * skill + np.sqrt(1 - icc) * noise
    )  # fmt: skip
    return np.round(BEFORE[0] + BEFORE[1] * start, 2), np.round(after, 2)


def _points(rating: np.ndarray) -> np.ndarray:
    return np.round(RATING[0] + RATING[1] * rating, 2)


def _items(latent: np.ndarray, ceiling: float, rng: Seed) -> np.ndarray:
    """Sums of graded items; the ratings of all patients and sessions together have the share at the maximum."""
    thresholds = THRESHOLDS - shift_for_maximum(ceiling, THRESHOLDS, LOADING, ITEMS)
    return np.asarray(graded_items(latent, thresholds, LOADING, _stream(rng, "items"), ITEMS).sum(axis=1), dtype=float)


def _mean_inverse(n: int, missing: float) -> float:
    """Mean of 1/k, k of n ratings being present, given that there is one."""
    chances = [comb(n, k) * (1 - missing) ** k * missing ** (n - k) for k in range(1, n + 1)]
    return sum(chance / k for k, chance in enumerate(chances, start=1)) / sum(chances)


def _truth(shares: Shares, missing: float) -> Iterator[tuple[str, str, float, str]]:
    first, error = shares.patient, shares.error
    for analysis in ("ratings", "ratings_trend"):
        for k in range(1, 10):
            value = first / (first + error / k)
            yield (
                analysis,
                f"{k} session{'s' * (k > 1)}",
                value,
                f"dependability of the mean of {k} ratings of a patient",
            )
    yield "ratings", "patients", first, "share of one rating's variance within therapists that lies between patients"
    yield "ratings", "error", error, "share of one rating's variance within therapists that is error"
    for c in THRESHOLDS_NEEDED:
        needed = c / (1 - c) * error / first
        yield (
            "ratings",
            f"sessions for {c:.2f}".replace("0.", "."),
            needed,
            f"ratings that reach a dependability of {c:.2f}",
        )
    n = EARLY[1] - EARLY[0] + 1
    for analysis, term, noise in (
        ("session3", "alliance_session3", error),
        ("sessions3to9", "alliance_mean", error * _mean_inverse(n, missing)),
    ):
        part = shares.true / (shares.true + noise)
        share = (shares.slope * RATING[1] / AFTER[1]) ** 2 * shares.true * part
        yield (
            analysis,
            term,
            shares.slope * part,
            "change of depression by one point of the rating, drawn to 0 by its error",
        )
        yield analysis, "share of all variance", share, "share of the variance of the outcome that the rating explains"
        yield analysis, "share of the variance left", share / (1 - KEPT**2), "the same, of what the value before leaves"


def _parameters(
    shares: Shares, patients: int, therapists: int, outcome_icc: float, missing: float
) -> Iterator[tuple[str, float, str, str]]:
    yield "patients", patients, "number of patients", PRINTED
    yield "therapists", therapists, "number of therapists, with unequal caseloads", PRINTED
    yield "dependability", shares.patient, "share of one rating's variance within therapists between patients", PRINTED
    yield "explained", shares.explained, "share of the outcome's variance explained by one rating", PRINTED
    source = f"{ASSUMED}: 60 patients a therapist, the printed number, then reach a dependability of .80"
    yield (
        "therapist_variance",
        shares.therapist,
        "variance of ratings between therapists, relative to that within",
        source,
    )
    yield "slope", shares.slope, "change of depression by one point of the true alliance", f"{ASSUMED}: from explained"
    yield "outcome_icc", outcome_icc, "share of the rest of the outcome between therapists", ASSUMED
    yield "missing", missing, "share of missing ratings", ASSUMED
    yield "shortest", SHORTEST, "sessions of the shortest therapy", ASSUMED
    yield "rating_mean", RATING[0], "mean of the ratings", ASSUMED
    yield "rating_sd", RATING[1], "SD of one rating within therapists", ASSUMED
    yield "before_mean", BEFORE[0], "mean of depression before (T-score)", ASSUMED
    yield "before_sd", BEFORE[1], "SD of depression before", ASSUMED
    yield "after_mean", AFTER[0], "mean of depression after (T-score)", ASSUMED
    yield "after_sd", AFTER[1], "SD of depression after", ASSUMED
    yield "kept", KEPT, "correlation of depression before and after", ASSUMED
