"""Synthetic trials of papers that print n, mean and SD of each arm: patients drawn so that these are the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

STEPS = 200  # of Newton's method; some ten are needed


@dataclass(frozen=True)
class Measure:
    """One outcome by arm: means and SDs, or shares where there are no SDs.

    ``points`` are the values that the outcome can take; without them it is normal, to ``decimals`` decimals.
    """

    name: str
    means: Mapping[str, float]
    sds: Mapping[str, float] | None
    points: tuple[float, ...] | None = None
    decimals: int = 1


@dataclass(frozen=True)
class Summaries:
    """The printed numbers of a trial: sizes of the arms, measures, and the contrasts whose truth is stated.

    ``notes`` are further parameters (name, value, meaning, source), such as what was assumed.
    """

    key: str
    source: str
    sizes: Mapping[str, int]
    sizes_source: str
    measures: tuple[Measure, ...]
    contrasts: Mapping[str, Mapping[str, float]]
    notes: tuple[tuple[str, float, str, str], ...] = ()


CHEN = Summaries(
    "chen2019", "Chen 2019, PMC6689461", {"comparison": 73, "telehealth": 54}, "Chen 2019, PMC6689461",
    (
        Measure("alliance", {"comparison": 4.89, "telehealth": 5.13}, {"comparison": 0.64, "telehealth": 0.71},
                tuple(1 + i / 19 for i in range(96))),
    ),
    {"telehealth − comparison": {"telehealth": 1.0, "comparison": -1.0}},
    (
        ("telehealth_first", 1, "the arm printed first is taken for telehealth", ASSUMED),
        ("alliance_points", 96, "values from 1 to 6 that a mean of 19 items can take", ASSUMED),
    ),
)  # fmt: skip
KAPTCHUK_ARMS = ("waiting list", "limited", "augmented")


def _by_arm(*values: float) -> dict[str, float]:
    return dict(zip(KAPTCHUK_ARMS, values, strict=True))


KAPTCHUK = Summaries(
    "kaptchuk2008", "Kaptchuk 2008, doi 10.1136/bmj.39524.439618.25",
    {"waiting list": 88, "limited": 87, "augmented": 87}, ASSUMED,
    (
        Measure("global_improvement", _by_arm(3.8, 4.3, 5.0), _by_arm(1.0, 1.4, 1.3), tuple(range(1, 8))),
        Measure("relief", _by_arm(0.28, 0.44, 0.62), None),
        Measure("severity_fall", _by_arm(30, 42, 82), _by_arm(63, 67, 89)),
        Measure("quality_rise", _by_arm(3.6, 4.1, 9.3), _by_arm(8.1, 9.4, 14.0)),
    ),
    {
        "augmented − limited": {"augmented": 1.0, "limited": -1.0},
        "limited − waiting list": {"limited": 1.0, "waiting list": -1.0},
        "linear trend": {"augmented": 0.5, "waiting list": -0.5},
    },
)  # fmt: skip


def simulate_chen(rng: Seed = 2019, *, per_arm: Mapping[str, int] | None = None) -> Trial:
    """Alliance (mean of the HAQ-II items) of patients treated by telehealth or in the comparison arm.

    ``per_arm`` replaces the printed sizes. Means and SDs of the arms are those printed, at the arms' population level: a
    draw differs by chance. Which of the two printed arms was telehealth is assumed. Source: Chen 2019, PMC6689461.

    >>> trial = simulate_chen(rng=1)
    >>> trial.data.shape, round(trial.true_value("alliance", "telehealth − comparison"), 2)
    ((127, 3), 0.24)
    """
    return simulate_from_summaries(CHEN, rng, per_arm)


def simulate_kaptchuk(rng: Seed = 2008, *, per_arm: Mapping[str, int] | None = None) -> Trial:
    """Irritable bowel syndrome at three weeks: waiting list, sham with a limited, sham with an augmented relationship.

    ``per_arm`` replaces the sizes of the arms, which are not printed: 262 patients shared equally are assumed. Outcomes of a
    patient are independent of each other, as no correlation is printed. Source: Kaptchuk et al. 2008, doi
    10.1136/bmj.39524.439618.25.

    >>> trial = simulate_kaptchuk(rng=1)
    >>> trial.data.shape, round(trial.true_value("relief", "augmented − limited"), 2)
    ((262, 6), 0.18)
    """
    return simulate_from_summaries(KAPTCHUK, rng, per_arm)


def simulate_from_summaries(summaries: Summaries, rng: Seed, per_arm: Mapping[str, int] | None = None) -> Trial:
    """Patients of every arm, each measure from its own stream; the truth holds the means and their contrasts.

    Raises AllianceError for sizes of other arms or below 2, and for a mean and SD that the points cannot have.
    """
    sizes = _sizes(summaries, per_arm)
    arm = stream(rng, summaries.key, "arm").permutation(np.repeat(list(sizes), list(sizes.values())))
    columns: dict[str, object] = {"patient": np.arange(1, len(arm) + 1), "arm": arm.tolist()}
    for measure in summaries.measures:
        columns[measure.name] = _drawn(measure, arm, stream(rng, summaries.key, measure.name))
    parameters = parameter_frame(_parameters(summaries, sizes))
    return Trial(pd.DataFrame(columns), truth_frame(_truth(summaries)), parameters, rng)


def on_points(points: Sequence[float], mean: float, sd: float) -> np.ndarray:
    """Probabilities of the points with this mean and SD: the discrete normal, of largest entropy among all that have them.

    Raises AllianceError where no such distribution exists.

    >>> p = on_points(range(1, 8), 4.3, 1.4)
    >>> print(round(float(p @ range(1, 8)), 6), p.round(2))
    4.3 [0.02 0.08 0.18 0.26 0.25 0.15 0.06]
    """
    u = (np.asarray(points, dtype=float) - mean) / sd
    moments = np.stack([u, u**2])
    theta = np.array([0.0, -0.5])
    for _ in range(STEPS):
        weights = np.exp(theta @ moments - np.max(theta @ moments))
        p = weights / weights.sum()
        gap = moments @ p - np.array([0.0, 1.0])
        if np.abs(gap).max() < 1e-12:
            return np.asarray(p)
        centred = moments - (moments @ p)[:, None]
        step = np.linalg.lstsq((centred * p) @ centred.T, gap, rcond=None)[0]
        theta = theta - step * min(1.0, 1.0 / float(np.abs(step).max() + 1e-300))
    raise AllianceError(f"no distribution on {points[0]:g} to {points[-1]:g} has the mean {mean:g} and the SD {sd:g}")


def _sizes(summaries: Summaries, per_arm: Mapping[str, int] | None) -> dict[str, int]:
    sizes = dict(summaries.sizes if per_arm is None else per_arm)
    if sorted(sizes) != sorted(summaries.sizes):
        raise AllianceError(f"per_arm has {sorted(sizes)}; give a number for each of {', '.join(summaries.sizes)}")
    for arm, size in sizes.items():
        if size < 2:
            raise AllianceError(f"per_arm of {arm} is {size}; use at least 2")
    return sizes


def _drawn(measure: Measure, arm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    values = np.empty(len(arm))
    for name, mean in measure.means.items():
        where = arm == name
        if measure.sds is None:
            values[where] = rng.random(where.sum()) < mean
        elif measure.points is None:
            values[where] = np.round(rng.normal(mean, measure.sds[name], where.sum()), measure.decimals) + 0.0
        else:
            p = on_points(measure.points, mean, measure.sds[name])
            values[where] = rng.choice(np.asarray(measure.points), size=where.sum(), p=p)
    return values


def _truth(summaries: Summaries) -> Iterator[tuple[str, str, float, str]]:
    for measure in summaries.measures:
        for arm, mean in measure.means.items():
            yield measure.name, arm, mean, f"mean of {measure.name} in {arm}"
        for term, weights in summaries.contrasts.items():
            value = sum(weight * measure.means[arm] for arm, weight in weights.items())
            yield measure.name, term, value, f"{term}, of the means of {measure.name}"


def _parameters(summaries: Summaries, sizes: Mapping[str, int]) -> Iterator[tuple[str, float, str, str]]:
    for arm, size in sizes.items():
        yield f"n_{arm}", size, f"patients in {arm}", summaries.sizes_source
    for measure in summaries.measures:
        for arm, mean in measure.means.items():
            yield f"{measure.name}_mean_{arm}", mean, f"mean (or share) of {measure.name} in {arm}", summaries.source
            if measure.sds is not None:
                yield f"{measure.name}_sd_{arm}", measure.sds[arm], f"SD of {measure.name} in {arm}", summaries.source
    yield from summaries.notes
