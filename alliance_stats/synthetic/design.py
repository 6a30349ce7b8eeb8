"""The declaration of a composed trial: every number that goes in, with what it means and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from alliance_stats.errors import AllianceError
from alliance_stats.synthetic.parts import require_choice, require_share
from alliance_stats.synthetic.trial import ASSUMED

HUPPERT = "Huppert 2014, PMC4098660, table 6"
DEPENDABILITY = "Crits-Christoph 2011, doi 10.1037/a0023668: one rating .77"
REVERSE = {"off": 0.0, "moderate": 1.0, "strong": 2.0}  # points of alliance by a point that pain has fallen


def number(default: Any, meaning: str, source: str = ASSUMED) -> Any:
    """A field of the declaration with its meaning and source."""
    return field(default=default, metadata={"meaning": meaning, "source": source})


@dataclass(frozen=True)
class TrialDesign:
    """What `simulate_trial` draws: patients of therapists in arms, sessions, ratings, an outcome, adherence, and who leaves.

    Alliance is in points of a 12–60 scale and pain in points of 0–10; effects are per point. Each field carries its meaning and
    source; `parameters` lists them. Raises AllianceError for numbers that make no trial.

    >>> TrialDesign(patients=80, therapists=8).early
    'off'
    """

    patients: int = number(300, "number of patients")
    therapists: int = number(15, "number of therapists; the busiest has three times the patients of the least busy")
    sessions: int = number(8, "planned sessions")
    arms: tuple[str, ...] = number(("usual", "enhanced"), "arms; effects of an arm are those of all but the first")
    nested: bool = number(False, "whether each therapist works in one arm only")
    instrument: str | None = number(None, "questionnaire whose items are answered; None: the rating itself, in points")
    ceiling: float = number(
        0.25, "share of ratings at the maximum, with an instrument", "alliance scales: 12 % to 50 %"
    )
    alliance: tuple[float, float] = number((50.0, 8.0), "mean and SD of a rating within an arm")
    alliance_shares: tuple[float, float] = number(
        (0.05, 0.72), "shares of its variance between therapists, and between patients of a therapist", DEPENDABILITY
    )
    alliance_arm: float = number(0.0, "points of alliance that an arm adds")
    pain: tuple[float, float] = number((6.0, 1.5), "mean and SD of patients' pain at the first session")
    week: float = number(-0.3, "change of pain from session to session")
    arm_week: float = number(-0.1, "change of that by an arm")
    week_sd: float = number(0.15, "SD of patients' own change from session to session")
    residual: float = number(1.0, "SD of pain within patients")
    outcome_icc: float = number(
        0.05, "share of therapists in the variance of pain at a session", "therapist ICC .026 to .071"
    )
    within: float = number(-0.05, "change of pain by a point of alliance above the patient's own level")
    between: float = number(-0.05, "change of pain by a point of the patient's level of alliance")
    early: Literal["off", "moderate", "strong"] = number(
        "off", "the reverse path: alliance rises where pain has fallen"
    )
    hazard_not_better: float = number(
        0.018, "probability a session of leaving without being better", f"{HUPPERT}: .028 in all"
    )
    hazard_better: float = number(0.010, "probability a session of leaving because better", f"{HUPPERT}: .028 in all")
    leave_patient: float = number(
        -0.02, "log odds of leaving, not better, by a point of alliance within therapists", HUPPERT
    )
    leave_therapist: float = number(
        -0.10, "log odds of leaving, not better, by a point of the therapist's mean", HUPPERT
    )
    leave_improved: float = number(0.3, "log odds of leaving because better by a point that pain has fallen")
    exercises: int = number(7, "exercises assigned between sessions")
    adherence: float = number(0.0, "log odds of doing an exercise at the mean alliance")
    adherence_alliance: float = number(0.03, "change of these by a point of alliance")
    adherence_precision: float = number(4.0, "precision of the beta-binomial: how alike exercises of one week are")
    none_done: float = number(0.0, "share of weeks in which nothing is done, beside the beta-binomial")
    all_done: float = number(0.0, "share of weeks in which all is done, beside it")
    rated_from: int = number(1, "session of the first rating: who leaves before it has none, by design")
    missing_items: float = number(0.0, "share of items not answered, with an instrument")
    missing_ratings: float = number(0.0, "share of ratings not given")
    missing_pain: float = number(0.0, "share of pain ratings not given")
    integer: bool = number(False, "pain in whole points from 0 to 10; the truth then holds roughly only")

    def __post_init__(self) -> None:
        require_choice("early", self.early, tuple(REVERSE))
        for name in ("outcome_icc", "hazard_not_better", "hazard_better", "none_done", "all_done", "missing_items",
                     "missing_ratings", "missing_pain"):  # fmt: skip
            require_share(name, getattr(self, name))
        fault = self._fault()
        if fault:
            raise AllianceError(f"TrialDesign: {fault}")

    def _fault(self) -> str:
        if not self.arms or len(set(self.arms)) < len(self.arms):
            return f"arms are {self.arms}; name each once"
        if self.patients < self.therapists or self.therapists < (len(self.arms) if self.nested else 1):
            return (
                f"{self.patients} patients of {self.therapists} therapists in {len(self.arms)} arms; use more of them"
            )
        if self.sessions < 2 or not 1 <= self.rated_from <= self.sessions:
            return f"{self.sessions} sessions, rated from {self.rated_from}; use 2 or more, and a session of them"
        if min(self.alliance_shares) < 0 or sum(self.alliance_shares) >= 1:
            return f"alliance_shares are {self.alliance_shares}; their sum must be below 1"
        if self.hazard_not_better + self.hazard_better >= 1 or self.none_done + self.all_done >= 1:
            return "probabilities that exclude one another add up to 1 or more"
        if self.exercises < 1 or self.adherence_precision <= 0:
            return f"{self.exercises} exercises with a precision of {self.adherence_precision}; both must be positive"
        return ""

    def parameters(self) -> Iterator[tuple[str, float, str, str]]:
        """Name, value, meaning and source of every number; pairs as two rows, other values not at all."""
        for each in fields(self):
            value, meaning, source = getattr(self, each.name), each.metadata["meaning"], each.metadata["source"]
            if isinstance(value, (int, float)):
                yield each.name, float(value), meaning, source
            elif each.name in ("alliance", "alliance_shares", "pain"):
                for i, part in enumerate(value, start=1):
                    yield f"{each.name}_{i}", part, meaning, source
