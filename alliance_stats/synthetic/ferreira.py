"""A synthetic three-arm trial of exercise and spinal manipulation with an alliance rating at session 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed
from alliance_stats.synthetic import ferreira_numbers as numbers
from alliance_stats.synthetic.ferreira_course import Course, Setting, acting_moments, course_of, final_values, rated
from alliance_stats.synthetic.ferreira_numbers import ARMS, ITEMS, MEASURES
from alliance_stats.synthetic.parts import (
    expected_share,
    heaped,
    missing_at_end,
    on_scale,
    prorated,
    require_choice,
    require_share,
)  # fmt: skip
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

EarlyImprovement = Literal["off", "moderate", "strong"]
Interaction = Literal["gpe", "none"]
ActsThrough = Literal["rating", "latent"]


def simulate_ferreira(
    n: int = 182, rng: Seed = 2013, *, early_improvement: EarlyImprovement = "off",
    alliance_effect: Mapping[str, float] | None = None, interaction: Interaction = "gpe",
    ceiling: float | Mapping[str, float] = 0.25, therapists: int = 12, alliance_icc: float = 0.1,
    outcome_icc: float = 0.05, acts_through: ActsThrough = "rating", integer: bool = True, missing: bool = True,
    items: bool = True,
) -> Trial:  # fmt: skip
    """General exercise (GE), motor control exercise (MCE) and spinal manipulation (SMT) for low back pain, 8 weeks.

    Parameters
    ----------
    n : patients, shared equally among the arms.
    rng : seed; every part of the trial has its own stream, so that an option leaves the draws of the others alone.
    early_improvement : how strongly improvement by session 2, when the alliance is rated, raises the alliance (correlation 0,
        .35, .5 of its latent value with the mean standardised change). What was gained by session 2 lasts to some degree
        in any case; with a reverse path it confounds models that adjust for the baseline alone. The truth stays.
    alliance_effect : true change of an outcome by a point of alliance, e.g. ``{"psfs": 0.0}``; outcomes: psfs, gpe,
        pain, rmdq. The others keep .15, .07, −.055, −.13 (assumed).
    interaction : ``"gpe"``: the slope of GPE is .15 higher in MCE than in GE and SMT, its average over arms unchanged.
    ceiling : share of patients at the highest alliance rating, one number or one by arm.
    therapists : number of therapists; each treats in all arms, and caseloads are unequal.
    alliance_icc, outcome_icc : share of the variance between therapists, of the latent alliance and of the outcomes at
        8 weeks given the baseline. The two effects are independent; 0 switches them off.
    acts_through : ``"rating"``: outcomes depend on the alliance score in the data, so that its coefficient is known;
        ``"latent"``: on the alliance behind the items, so that a rating at its ceiling shows less of it. A point is then
        one SD of the latent divided by the SD of a rating with 25 % at the maximum, and ``truth`` holds only the
        interactions of outcomes without one (0).
    integer : whole numbers within the scales, pain heaped at 5 and 8; otherwise the exact continuous values, for which
        the truth holds exactly.
    missing : 1–3 % of the items, and the whole 8-week visit of 7 % of the patients by baseline function and arm.
    items : whether the data hold the twelve items.

    Returns
    -------
    Trial with one row a patient: patient, therapist, arm, wai_1 … wai_12 (1–5), alliance (12–60, prorated where up to
    20 % of the items are missing, else missing), psfs (3–30, higher is better), pain (0–10) and rmdq (0–24) at
    _baseline, _session2 and _8w, gpe_8w (−5 … 5).

    Raises AllianceError for an option outside its range.

    Sources: Ferreira ML et al. 2007 (PSFS and GPE at 8 weeks, follow-up); Ferreira PH et al. 2013,
    doi 10.2522/ptj.20120137 (design, n, which outcome has an interaction). All else is assumed; see ``parameters``.

    >>> trial = simulate_ferreira(rng=1)
    >>> trial.data.shape, trial.true_value("psfs", "alliance")
    ((182, 26), 0.15)
    """
    setting = Setting(
        n, rng, _reverse(early_improvement), _slopes(alliance_effect, interaction), _ceilings(ceiling), therapists,
        alliance_icc, outcome_icc, acts_through, integer, missing,
    )  # fmt: skip
    _check(setting)
    course = course_of(setting)
    data = _frame(setting, course, final_values(setting, course), items)
    truth = truth_frame(_truth(setting, course))
    return Trial(data, truth, parameter_frame(_parameters(setting)), rng)


def _reverse(early_improvement: EarlyImprovement) -> float:
    require_choice("early_improvement", early_improvement, get_args(EarlyImprovement))
    return numbers.REVERSE[early_improvement]


def _slopes(alliance_effect: Mapping[str, float] | None, interaction: Interaction) -> dict[str, np.ndarray]:
    require_choice("interaction", interaction, get_args(Interaction))
    given = dict(alliance_effect or {})
    for name in given:
        require_choice("an outcome of alliance_effect", name, tuple(MEASURES))
    slopes = {name: np.full(len(ARMS), float(given.get(name, m.slope))) for name, m in MEASURES.items()}
    if interaction == "gpe":
        slopes["gpe"] = slopes["gpe"] + np.array(numbers.MODERATED)
    return slopes


def _ceilings(ceiling: float | Mapping[str, float]) -> np.ndarray:
    by_arm = dict(ceiling) if isinstance(ceiling, Mapping) else dict.fromkeys(ARMS, ceiling)
    if sorted(by_arm) != sorted(ARMS):
        raise AllianceError(f"ceiling has the arms {sorted(by_arm)}; give one share for each of {', '.join(ARMS)}")
    for arm, share in by_arm.items():
        if not 0 < share < 1:
            raise AllianceError(f"ceiling of {arm} is {share}; use a share between 0 and 1, e.g. 0.25")
    return np.array([by_arm[arm] for arm in ARMS])


def _check(setting: Setting) -> None:
    if setting.n < len(ARMS):
        raise AllianceError(f"n is {setting.n}; use at least {len(ARMS)}, one patient an arm")
    if setting.therapists < 1:
        raise AllianceError(f"therapists is {setting.therapists}; use at least 1")
    require_choice("acts_through", setting.acts_through, get_args(ActsThrough))
    require_share("alliance_icc", setting.alliance_icc, 1 - setting.reverse**2)
    require_share("outcome_icc", setting.outcome_icc)


def _loss_logits(health: np.ndarray, arm: np.ndarray | int) -> np.ndarray:
    return np.asarray(numbers.LOSS + numbers.LOSS_BY_BASELINE * health + np.array(numbers.LOSS_BY_ARM)[arm])


def _frame(setting: Setting, course: Course, final: Mapping[str, np.ndarray], items: bool) -> pd.DataFrame:
    rating, gaps = prorated(course.answers)
    columns: dict[str, object] = {
        "patient": np.arange(1, setting.n + 1),
        "therapist": [f"T{code + 1:02d}" for code in course.therapist],
        "arm": [ARMS[code] for code in course.arm],
    }
    columns |= {f"wai_{j + 1}": course.answers[:, j] for j in range(ITEMS if items else 0)}
    columns |= {"alliance": np.where(gaps <= 0.2, rating, np.nan)}
    columns |= {f"{name}_baseline": _recorded(setting, name, "baseline", v) for name, v in course.baseline.items()}
    columns |= {f"{name}_session2": _recorded(setting, name, "session2", v) for name, v in course.session2.items()}
    lost = missing_at_end(_loss_logits(course.health, course.arm), setting.stream("follow-up")) & setting.missing
    outcomes = {name: _recorded(setting, name, "8w", values) for name, values in final.items()}
    return pd.DataFrame(columns | {f"{name}_8w": np.where(lost, np.nan, values) for name, values in outcomes.items()})


def _recorded(setting: Setting, name: str, when: str, values: np.ndarray) -> np.ndarray:
    if not setting.integer:
        return values
    values = on_scale(values, *MEASURES[name].scale)
    return heaped(values, numbers.HEAPS, numbers.HEAPING, setting.stream("heaping", when)) if name == "pain" else values


def _truth(setting: Setting, course: Course) -> Iterator[tuple[str, str, float, str]]:
    if setting.acts_through == "latent":
        alike = [name for name, slopes in setting.slopes.items() if np.ptp(slopes) == 0]
        return numbers.interaction_rows(setting.slopes, alike)
    seen = np.bincount(course.arm, minlength=len(ARMS)).astype(float)
    if setting.missing:
        seen *= 1 - np.array([expected_share(partial(_loss_logits, arm=code)) for code in range(len(ARMS))])
    return numbers.truth_rows(setting.slopes, *acting_moments(setting), seen)


def _parameters(setting: Setting) -> Iterator[tuple[str, float, str, str]]:
    for name, slopes in setting.slopes.items():
        for arm, slope in zip(ARMS, slopes, strict=True):
            yield f"{name}_alliance_{arm}", float(slope), f"change of {name} by one point of alliance in {arm}", ASSUMED
    for arm, share in zip(ARMS, setting.ceilings, strict=True):
        yield f"ceiling_{arm}", float(share), f"share at the highest alliance rating in {arm}", ASSUMED
        yield f"shift_{arm}", rated(float(share))[0], f"shift of the item latents in {arm}", ASSUMED
    yield "reverse_path", setting.reverse, "correlation of early improvement and latent alliance", ASSUMED
    yield "therapists", setting.therapists, "number of therapists, crossed with the arms", ASSUMED
    yield "alliance_icc", setting.alliance_icc, "share of the latent alliance between therapists", ASSUMED
    yield (
        "outcome_icc",
        setting.outcome_icc,
        "share of the outcomes between therapists, given the baseline",
        ("trials of low back and neck pain, disability: .026–.071, doi 10.1016/j.ejpain.2010.04.002"),
    )
    yield from numbers.parameter_rows()
