"""The numbers behind the synthetic three-arm trial: what was published, what is assumed, what is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.synthetic.trial import ASSUMED

ARMS = ("GE", "MCE", "SMT")
MODERATED = (-0.05, 0.10, -0.05)  # added to the slope of GPE by arm; the average over arms stays
REVERSE = {"off": 0.0, "moderate": 0.35, "strong": 0.5}
THRESHOLDS = np.array([-2.0, -1.2, -0.3, 0.7])
LOADING = float(np.sqrt(0.8))
ITEMS = 12
ITEM_MISSING = np.linspace(0.01, 0.03, ITEMS)
REFERENCE_CEILING = 0.25
KEPT = 0.72
EARLY_CORRELATION = 0.5
BASELINE_CORRELATION = 0.5
RESIDUAL_CORRELATION = 0.4
LOSS = -2.63
LOSS_BY_BASELINE = -0.3
LOSS_BY_ARM = (0.15, 0.0, -0.15)
HEAPS = (5.0, 8.0)
HEAPING = 0.3
PARENT = "Ferreira ML 2007, 8 weeks"


@dataclass(frozen=True)
class Measure:
    """One outcome, in its own units; ``better`` is +1 where higher is better, −1 where lower is.

    ``slope`` is its change by a point of alliance, ``early`` the mean and SD of the change by session 2 that the
    baseline does not foretell, ``carried`` the part of the session-2 value that is still there at 8 weeks.
    """

    better: int
    scale: tuple[float, float]
    baseline: tuple[float, float]
    early: tuple[float, float]
    carried: float
    final: float
    effects: tuple[float, float, float]
    residual_sd: float
    slope: float
    source: str


MEASURES: Mapping[str, Measure] = {
    "psfs": Measure(1, (3, 30), (11, 4.5), (2, 3.5), 0.9, 15.5, (0, 2.9, 2.3), 6.0, 0.15, f"{PARENT}, PSFS"),
    "gpe": Measure(1, (-5, 5), (0, 0), (0, 1.0), 1.2, 1.0, (0, 1.7, 1.2), 2.4, 0.07, f"{PARENT}, GPE"),
    "pain": Measure(-1, (0, 10), (6.2, 1.9), (-0.8, 1.5), 0.8, 4.6, (0, -0.9, -0.8), 2.3, -0.055, ASSUMED),
    "rmdq": Measure(-1, (0, 24), (13, 5), (-1.5, 3.5), 0.8, 10, (0, -2.0, -1.7), 5.3, -0.13, ASSUMED),
}
REPEATED = ("psfs", "pain", "rmdq")  # GPE is a judgement of change and has no baseline


def truth_rows(
    slopes: Mapping[str, np.ndarray], means: np.ndarray, variances: np.ndarray, seen: np.ndarray
) -> Iterator[tuple[str, str, float, str]]:
    """True coefficients of the models that use the rating itself.

    ``slopes`` by outcome and arm; means and variances of the rating and expected patients with an outcome, by arm.
    """
    for name, measure in MEASURES.items():
        pooled, shifted = _pooled(slopes[name], means, variances, seen)
        alike = np.ptp(slopes[name]) == 0
        what = "same in every arm" if alike else "average of the slopes of the arms, weighted by patients and variance"
        yield name, "alliance", pooled, f"effect of one point of alliance on {name}, {what}"
        where = "at equal alliance" if alike else "at equal alliance on the average slope"
        for arm, effect, extra in zip(ARMS[1:], measure.effects[1:], shifted[1:], strict=True):
            yield name, f"arm[T.{arm}]", effect + extra, f"effect of {arm} against {ARMS[0]} on {name}, {where}"
    for name in REPEATED:
        yield f"{name}_at_rating", "alliance", float(slopes[name][0]), f"the same effect, given {name} at session 2"
    yield from interaction_rows(slopes, MEASURES)
    yield from _level_rows(slopes)
    for name in slopes:
        yield (
            f"{name}_by_arm",
            "alliance:arm",
            float(np.ptp(slopes[name])),
            f"range of the slopes of alliance on {name}",
        )
    for name, measure in MEASURES.items():
        # Without alliance in the model an arm's effect includes what its patients' alliance does.
        total = np.array(measure.effects) + slopes[name] * (means - means.mean())
        for arm, value in zip(ARMS[1:], total[1:] - total[0], strict=True):
            yield f"{name}_arms", f"{arm} − {ARMS[0]}", float(value), f"effect of {arm} against {ARMS[0]} on {name}"


def _level_rows(slopes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, float, str]]:
    """Where the slope is the same in all arms: alliance acts on the 8 weeks alone, within as between therapists."""
    alike = [name for name in slopes if np.ptp(slopes[name]) == 0]
    for name in alike:
        slope = float(slopes[name][0])
        for part in ("within", "between"):
            meaning = f"effect of one point of alliance on {name}, {part} therapists"
            yield f"{name}_therapists", f"alliance_{part}", slope, meaning
        if name in REPEATED:
            meaning = f"change of {name} by one point of alliance at session 2"
            yield f"{name}_course", "8 weeks − baseline", slope, f"{meaning}, from baseline to 8 weeks"
            yield f"{name}_course", "session 2 − baseline", 0.0, f"{meaning}, before it was rated"
            yield f"{name}_course", "8 weeks − session 2", slope, f"{meaning}, after it was rated"


def interaction_rows(
    slopes: Mapping[str, np.ndarray], names: Mapping[str, Measure] | Sequence[str]
) -> Iterator[tuple[str, str, float, str]]:
    """True differences between the slopes of the arms."""
    for name in names:
        for arm, slope in zip(ARMS[1:], slopes[name][1:], strict=True):
            meaning = f"slope of alliance on {name} in {arm} minus that in {ARMS[0]}"
            value = float(slope - slopes[name][0])
            yield f"{name}_by_arm", f"alliance:arm[T.{arm}]", value, meaning
            yield f"{name}_by_arm", f"{arm} − {ARMS[0]}", value, meaning
        last, other = slopes[name][2], slopes[name][1]
        meaning = f"slope of alliance on {name} in {ARMS[2]} minus that in {ARMS[1]}"
        yield f"{name}_by_arm", f"{ARMS[2]} − {ARMS[1]}", float(last - other), meaning


def _pooled(slopes: np.ndarray, means: np.ndarray, variances: np.ndarray, seen: np.ndarray) -> tuple[float, np.ndarray]:
    """Common slope that least squares finds where the slopes differ, and what this adds to the arm effects."""
    weights = seen * variances
    pooled = float(weights @ slopes / weights.sum())
    levels = (slopes - pooled) * (means - means.mean())
    return (float(slopes[0]), np.zeros(len(slopes))) if np.ptp(slopes) == 0 else (pooled, levels - levels[0])


def parameter_rows() -> Iterator[tuple[str, float, str, str]]:
    """The numbers that no option changes."""
    for name, measure in MEASURES.items():
        for arm, effect in zip(ARMS[1:], measure.effects[1:], strict=True):
            yield f"{name}_{arm}", effect, f"effect of {arm} against {ARMS[0]} on {name} at 8 weeks", measure.source
        sd_source = f"{measure.source}: derived from its intervals" if measure.source != ASSUMED else ASSUMED
        given = ", given the baseline" if name in REPEATED else ""
        yield f"{name}_residual_sd", measure.residual_sd, f"SD at 8 weeks within arms{given}", sd_source
        yield f"{name}_final", measure.final, f"mean at 8 weeks in {ARMS[0]}", ASSUMED
        yield f"{name}_carried", measure.carried, _carried(name), ASSUMED
        yield from _baseline_rows(name, measure) if name in REPEATED else ()
    yield from _shared_rows()


def _carried(name: str) -> str:
    if name in REPEATED:
        return "change at 8 weeks by one point of the session-2 value"
    return "change at 8 weeks by one SD of the mean unforeseen early improvement of the other outcomes"


def _baseline_rows(name: str, measure: Measure) -> Iterator[tuple[str, float, str, str]]:
    yield f"{name}_baseline_mean", measure.baseline[0], "mean at baseline", ASSUMED
    yield f"{name}_baseline_sd", measure.baseline[1], "SD at baseline", ASSUMED
    yield f"{name}_early_mean", measure.early[0], "mean change from baseline to session 2", ASSUMED
    yield f"{name}_early_sd", measure.early[1], "SD at session 2, given the baseline", ASSUMED


def _shared_rows() -> Iterator[tuple[str, float, str, str]]:
    yield "kept", KEPT, "regression of the session-2 value on the baseline", ASSUMED
    yield "baseline_correlation", BASELINE_CORRELATION, "correlation of the baselines, in health", ASSUMED
    yield "early_correlation", EARLY_CORRELATION, "correlation of the unforeseen early improvements", ASSUMED
    yield "residual_correlation", RESIDUAL_CORRELATION, "correlation of the residuals at 8 weeks, in health", ASSUMED
    for option, threshold in enumerate(THRESHOLDS, start=2):
        yield (
            f"threshold_{option}",
            float(threshold),
            f"item latent above which the answer is {option} or more",
            ASSUMED,
        )
    yield "squared_loading", LOADING**2, "share of the item latent that is the alliance", ASSUMED
    yield "item_missing_low", float(ITEM_MISSING[0]), "share missing of the first item", ASSUMED
    yield "item_missing_high", float(ITEM_MISSING[-1]), "share missing of the last item", ASSUMED
    yield "lost", 0.07, "share without outcomes at 8 weeks, on average", f"{PARENT}: 93 % follow-up"
    yield "loss_by_baseline", LOSS_BY_BASELINE, "log odds of loss by one SD of better baseline function", ASSUMED
    for arm, value in zip(ARMS, LOSS_BY_ARM, strict=True):
        yield f"loss_{arm}", value, f"log odds of loss in {arm}, beside the average", ASSUMED
    yield "heaping", HEAPING, "share of pain ratings beside 5 or 8 that move onto it (whole numbers only)", ASSUMED
