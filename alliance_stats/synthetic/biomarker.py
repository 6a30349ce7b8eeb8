"""Synthetic trial of a biological mechanism: arm → alliance → biomarker → pain, patients of therapists, all effects known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.design import number
from alliance_stats.synthetic.parts import allocated, caseloads, require_share
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

ARMS = ("limited", "enhanced")
PAIN, ALLIANCE = 6.0, 46.0  # means: pain before, alliance in the limited arm


@dataclass(frozen=True)
class Mechanism:
    """Every number that goes into the trial; effects are per unit of their cause. All are assumed.

    >>> round(Mechanism().through_both, 3)
    -0.18
    """

    patients: int = number(240, "number of patients, half of them in each arm")
    therapists: int = number(24, "number of therapists; each treats patients of both arms")
    arm_alliance: float = number(6.0, "points of alliance that the enhanced arm adds")
    arm_biomarker: float = number(0.05, "log units of the biomarker that the arm adds at the same alliance")
    alliance_biomarker: float = number(0.03, "log units of the biomarker by a point of alliance")
    alliance_pain: float = number(-0.05, "points of pain by a point of alliance, at the same biomarker")
    biomarker_pain: float = number(-1.0, "points of pain by a log unit of the biomarker, at the same alliance")
    arm_pain: float = number(-0.3, "points of pain by the arm, at the same alliance and biomarker")
    before_alliance: float = number(-0.5, "points of alliance by a point of pain before")
    before_pain: float = number(0.5, "points of pain after by a point of pain before")
    before_biomarker: float = number(0.6, "log units of the biomarker by one before")
    sd_pain_before: float = number(1.5, "SD of pain before")
    sd_biomarker_before: float = number(0.5, "SD of the biomarker before")
    sd_alliance: float = number(6.0, "SD of alliance within therapist, arm and pain before")
    sd_biomarker: float = number(0.35, "SD of the biomarker given its causes")
    sd_pain: float = number(1.3, "SD of pain given its causes")
    therapist_alliance: float = number(2.0, "SD of therapists in alliance")
    therapist_pain: float = number(0.3, "SD of therapists in pain")
    missing: float = number(0.05, "share of biomarker samples lost, at random")

    def __post_init__(self) -> None:
        require_share("missing", self.missing, 0.9)
        if self.therapists < 2 or self.patients < 4 * self.therapists:
            raise AllianceError(
                f"{self.patients} patients of {self.therapists} therapists; use 2 therapists or more, 4 patients of each"
            )
        spreads = {f.name: getattr(self, f.name) for f in fields(self) if f.name.startswith(("sd_", "therapist_"))}
        for name, value in spreads.items():
            if value < 0 or (value == 0 and name.startswith("sd_")):
                raise AllianceError(f"{name} is {value}; use a positive SD (of therapists, zero or more)")

    @property
    def through_both(self) -> float:
        """Effect of the arm on pain through alliance, then biomarker."""
        return self.arm_alliance * self.alliance_biomarker * self.biomarker_pain

    @property
    def through_alliance(self) -> float:
        """Effect of the arm on pain through alliance and not the biomarker."""
        return self.arm_alliance * self.alliance_pain

    @property
    def through_biomarker(self) -> float:
        """Effect of the arm on pain through the biomarker and not alliance."""
        return self.arm_biomarker * self.biomarker_pain


def simulate_biomarker(rng: Seed = 7, **changes: float) -> Trial:
    """A trial in which the arm raises alliance, alliance raises a biomarker, and both lower pain.

    ``changes`` replace numbers of `Mechanism`; ``rng`` is the seed, and every part has its own stream.

    Returns a Trial with one row a patient: ``patient therapist arm pain_before biomarker_before alliance biomarker pain``.
    ``truth`` has the paths and effects of the analyses ``serial`` (arm over alliance and biomarker) and ``alliance_biomarker``
    (alliance over biomarker). Nothing unmeasured moves two of alliance, biomarker and pain. Pain is not cut at the ends of a
    scale. Raises AllianceError for numbers that make no trial. Source: none; every number is assumed.

    >>> trial = simulate_biomarker(rng=1)
    >>> trial.data.shape, round(trial.true_value("serial", "indirect(alliance>biomarker)"), 3)
    ((240, 8), -0.18)
    """
    m = Mechanism(**changes)  # type: ignore[arg-type]  # counts are whole numbers, the rest floats
    n = m.patients
    arm = allocated(n, 2, _stream(rng, "arm"))
    therapist = caseloads(n, m.therapists, _stream(rng, "therapist"))

    def noise(name: str, sd: float) -> np.ndarray:
        return sd * _stream(rng, name).standard_normal(n)

    def of_therapist(name: str, sd: float) -> np.ndarray:
        return np.asarray(sd * _stream(rng, "therapist", name).standard_normal(m.therapists)[therapist])

    pain_before = noise("pain before", m.sd_pain_before)
    biomarker_before = noise("biomarker before", m.sd_biomarker_before)
    alliance = m.arm_alliance * arm + m.before_alliance * pain_before
    alliance = alliance + of_therapist("alliance", m.therapist_alliance) + noise("alliance", m.sd_alliance)
    biomarker = m.arm_biomarker * arm + m.alliance_biomarker * alliance + m.before_biomarker * biomarker_before
    biomarker = biomarker + noise("biomarker", m.sd_biomarker)
    pain = m.arm_pain * arm + m.alliance_pain * alliance + m.biomarker_pain * biomarker + m.before_pain * pain_before
    pain = pain + of_therapist("pain", m.therapist_pain) + noise("pain", m.sd_pain)
    lost = _stream(rng, "missing").random(n) < m.missing
    data = pd.DataFrame(
        {
            "patient": np.arange(1, n + 1), "therapist": [f"T{code + 1:02d}" for code in therapist],
            "arm": pd.Categorical(np.array(ARMS)[arm], list(ARMS)),
            "pain_before": (PAIN + pain_before).round(3), "biomarker_before": biomarker_before.round(4),
            "alliance": (ALLIANCE + alliance).round(3), "biomarker": np.where(lost, np.nan, biomarker.round(4)),
            "pain": (PAIN - 1 + pain).round(3),
        }
    )  # fmt: skip
    return Trial(data, truth_frame(_truth(m)), parameter_frame(_parameters(m)), rng)


def _stream(rng: Seed, *names: str) -> np.random.Generator:
    return stream(rng, "biomarker mediation", *names)


def _truth(m: Mechanism) -> Iterator[tuple[str, str, float, str]]:
    through = m.through_both + m.through_alliance + m.through_biomarker
    serial = {
        "a1": (m.arm_alliance, "arm on alliance"),
        "a2": (m.arm_biomarker, "arm on the biomarker, at the same alliance"),
        "d21": (m.alliance_biomarker, "alliance on the biomarker"),
        "b1": (m.alliance_pain, "alliance on pain, at the same biomarker"),
        "b2": (m.biomarker_pain, "biomarker on pain"),
        "c_prime": (m.arm_pain, "arm on pain, at the same alliance and biomarker"),
        "indirect(alliance)": (m.through_alliance, "through alliance and not the biomarker"),
        "indirect(biomarker)": (m.through_biomarker, "through the biomarker and not alliance"),
        "indirect(alliance>biomarker)": (m.through_both, "through alliance, then the biomarker"),
        "indirect": (through, "through either or both"),
        "direct": (m.arm_pain, "through neither"),
        "total": (through + m.arm_pain, "effect of the arm on pain"),
    }
    for term, (value, meaning) in serial.items():
        yield "serial", term, value, meaning
    product = m.alliance_biomarker * m.biomarker_pain
    single = {
        "a": (m.alliance_biomarker, "alliance on the biomarker"),
        "b": (m.biomarker_pain, "biomarker on pain"),
        "c_prime": (m.alliance_pain, "alliance on pain, at the same biomarker"),
        "indirect": (product, "one point of alliance through the biomarker"),
        "direct": (m.alliance_pain, "one point of alliance, not through the biomarker"),
        "total": (product + m.alliance_pain, "one point of alliance on pain"),
    }
    for term, (value, meaning) in single.items():
        yield "alliance_biomarker", term, value, meaning


def _parameters(m: Mechanism) -> Iterator[tuple[str, float, str, str]]:
    for each in fields(m):
        yield each.name, float(getattr(m, each.name)), each.metadata["meaning"], each.metadata["source"]
    yield "mean_pain", PAIN, "mean of pain before", ASSUMED
    yield "mean_alliance", ALLIANCE, "mean of alliance in the limited arm", ASSUMED
