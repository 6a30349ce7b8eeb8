"""How a patient of the synthetic three-arm trial comes about: early change, then the rating, then 8 weeks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.graded import graded_items, shift_for_maximum, total_distribution
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic import ferreira_numbers as numbers
from alliance_stats.synthetic.ferreira_numbers import ARMS, ITEMS, LOADING, MEASURES, REPEATED, THRESHOLDS, Measure
from alliance_stats.synthetic.parts import allocated, caseloads, correlated, prorated


@dataclass(frozen=True)
class Setting:
    """The options of one trial after checking; arrays run over the arms."""

    n: int
    rng: Seed
    reverse: float
    slopes: Mapping[str, np.ndarray]
    ceilings: np.ndarray
    therapists: int
    alliance_icc: float
    outcome_icc: float
    acts_through: str
    integer: bool
    missing: bool

    def stream(self, *names: str) -> np.random.Generator:
        """The draws of one purpose."""
        return stream(self.rng, "ferreira2013", *names)


@dataclass(frozen=True)
class Course:
    """Patients before 8 weeks: codes of arm and therapist, values in the outcomes' units, and the alliance."""

    arm: np.ndarray
    therapist: np.ndarray
    baseline: Mapping[str, np.ndarray]
    session2: Mapping[str, np.ndarray]
    health: np.ndarray
    unforeseen: np.ndarray
    answers: np.ndarray
    acting: np.ndarray


def course_of(setting: Setting) -> Course:
    """Patients up to session 2."""
    arm = allocated(setting.n, len(ARMS), setting.stream("arm"))
    therapist = caseloads(setting.n, setting.therapists, setting.stream("therapist"))
    health = correlated(setting.n, len(REPEATED), numbers.BASELINE_CORRELATION, setting.stream("baseline"))
    unforeseen = correlated(setting.n, len(REPEATED), numbers.EARLY_CORRELATION, setting.stream("early change"))
    baseline = {
        k: MEASURES[k].baseline[0] + _early_terms(MEASURES[k])[0] * health[:, j] for j, k in enumerate(REPEATED)
    }
    session2 = {k: _at_session2(MEASURES[k], baseline[k], unforeseen[:, j]) for j, k in enumerate(REPEATED)}
    latent = _latent(setting, therapist, _improvement(health, unforeseen))
    answers, acting = _rating(setting, arm, latent)
    return Course(arm, therapist, baseline, session2, health[:, 0], unforeseen.mean(axis=1), answers, acting)


def _early_terms(measure: Measure) -> tuple[float, float]:
    """Baseline SD and SD of the unforeseen early change, signed so that a positive draw is better health."""
    return measure.better * measure.baseline[1], measure.better * measure.early[1]


def _at_session2(measure: Measure, baseline: np.ndarray, unforeseen: np.ndarray) -> np.ndarray:
    mean = measure.baseline[0]
    foreseen = mean + measure.early[0] + numbers.KEPT * (baseline - mean)
    return np.asarray(foreseen + _early_terms(measure)[1] * unforeseen)


def _improvement(health: np.ndarray, unforeseen: np.ndarray) -> np.ndarray:
    """Mean of the standardised changes from baseline to session 2, as an N(0, 1) variable.

    The change holds regression to the mean: who starts worse improves more.
    """
    lost = np.array([(1 - numbers.KEPT) * MEASURES[k].baseline[1] for k in REPEATED])
    gained = np.array([MEASURES[k].early[1] for k in REPEATED])
    length = np.hypot(lost, gained)
    regression, news = lost / length, gained / length
    variance = _variance_of_mean(regression, numbers.BASELINE_CORRELATION)
    variance += _variance_of_mean(news, numbers.EARLY_CORRELATION)
    return np.asarray((unforeseen * news - health * regression).mean(axis=1) / np.sqrt(variance))


def _variance_of_mean(weights: np.ndarray, correlation: float) -> float:
    """Variance of the mean of weighted standard normal variables with one correlation."""
    own, shared = float(weights @ weights), float(weights.sum() ** 2)
    return ((1 - correlation) * own + correlation * shared) / len(weights) ** 2


def _latent(setting: Setting, therapist: np.ndarray, improvement: np.ndarray) -> np.ndarray:
    """Latent alliance, N(0, 1) whatever its sources, so that the shares at the maximum stay as asked."""
    by_therapist = setting.stream("therapist effect", "alliance").standard_normal(setting.therapists)
    own = setting.stream("alliance").standard_normal(setting.n)
    rest = 1 - setting.reverse**2 - setting.alliance_icc
    between = np.sqrt(setting.alliance_icc) * by_therapist[therapist]
    return np.asarray(setting.reverse * improvement + between + np.sqrt(rest) * own)


def _rating(setting: Setting, arm: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers with their gaps, and the alliance through which the outcomes are changed."""
    latent = latent + np.array([rated(share)[0] for share in setting.ceilings])[arm] / LOADING
    answers = graded_items(latent, THRESHOLDS, LOADING, setting.stream("items"), ITEMS).astype(float)
    full = answers.sum(axis=1)
    if setting.missing:
        gaps = setting.stream("items missing").random(answers.shape) < numbers.ITEM_MISSING
        answers = np.where(gaps, np.nan, answers)
    if setting.acts_through == "latent":
        return answers, latent * np.sqrt(rated(numbers.REFERENCE_CEILING)[2])
    rating = prorated(answers)[0]
    return answers, np.where(np.isnan(rating), full, rating)


@lru_cache(maxsize=64)
def rated(share: float) -> tuple[float, float, float]:
    """Shift of the answers that puts this share at the maximum, and mean and variance of the rating there."""
    shift = shift_for_maximum(share, THRESHOLDS, LOADING, ITEMS)
    totals = np.arange(ITEMS, ITEMS * (len(THRESHOLDS) + 1) + 1)
    shares = total_distribution(THRESHOLDS - shift, LOADING, ITEMS)
    mean = float(shares @ totals)
    return shift, mean, float(shares @ (totals - mean) ** 2)


def acting_moments(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance by arm of the alliance through which the outcomes are changed."""
    shift, mean, variance = np.array([rated(share) for share in setting.ceilings]).T
    if setting.acts_through == "rating":
        return mean, variance
    reference = rated(numbers.REFERENCE_CEILING)[2]
    return shift / LOADING * np.sqrt(reference), np.full(len(ARMS), reference)


def final_values(setting: Setting, course: Course) -> dict[str, np.ndarray]:
    """Outcomes at 8 weeks, continuous and complete."""
    noise = correlated(setting.n, len(MEASURES), numbers.RESIDUAL_CORRELATION, setting.stream("outcome"))
    skill = correlated(
        setting.therapists, len(MEASURES), numbers.RESIDUAL_CORRELATION, setting.stream("therapist effect", "outcome")
    )
    means, variances = acting_moments(setting)
    final = {}
    for j, (name, measure) in enumerate(MEASURES.items()):
        alliance = setting.slopes[name][course.arm] * (course.acting - means.mean())
        spread = _residual_sd(setting, name, measure, variances) * noise[:, j]
        by_therapist = np.sqrt(setting.outcome_icc) * measure.residual_sd * skill[course.therapist, j]
        start = measure.final + np.array(measure.effects)[course.arm] + _carried(name, measure, course)
        final[name] = start + alliance + measure.better * (spread + by_therapist)
    return final


def _carried(name: str, measure: Measure, course: Course) -> np.ndarray:
    """What early change leaves at 8 weeks; for GPE, the mean unforeseen improvement of the other outcomes."""
    if name in REPEATED:
        return measure.carried * (course.session2[name] - measure.baseline[0] - measure.early[0])
    unit = np.sqrt(_variance_of_mean(np.ones(len(REPEATED)), numbers.EARLY_CORRELATION))
    return np.asarray(measure.carried * course.unforeseen / unit)


def _residual_sd(setting: Setting, name: str, measure: Measure, variances: np.ndarray) -> float:
    """SD left for chance once alliance, early change and therapists have their parts of the published one."""
    total = measure.residual_sd**2 * (1 - setting.outcome_icc)
    left = total - (measure.carried * measure.early[1]) ** 2 - float(np.mean(setting.slopes[name] ** 2 * variances))
    if left <= 0:
        raise AllianceError(
            f"alliance_effect of {name!r} is {setting.slopes[name].mean():.3g}: with it the alliance alone would make "
            f"more than the SD of {measure.residual_sd:g}; use a smaller one"
        )
    return float(np.sqrt(left))
