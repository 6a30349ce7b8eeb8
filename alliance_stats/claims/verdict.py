"""The rule: from evidence to a verdict. Nothing else decides, and nothing can overrule it.

A finding *weighs* when its exposure, outcome and patients are those of the claim (``bears`` directly), its design can carry the
claim (``carried_by``), and an estimate with a 95 % interval follows from what is printed, or from original data. It then

- ``supports`` where the interval lies wholly on the claimed side of no effect,
- ``contradicts`` where it lies wholly on the other side,
- ``leaves open`` where it includes no effect.

A printed number of factors weighs without an interval: the number claimed supports, any other contradicts. Where the printed
numbers of a finding do not fit together it weighs as printed and is marked.

Every other finding, such as a review without pooling or an estimate without its precision, only ``speaks for``, ``speaks
against`` or is ``neutral``: it never makes support; speaking directly against a claim it turns support into mixed.

A part of a claim is ``untested`` where nothing weighs; ``supported`` where all that weighs supports and nothing speaks directly
against it; ``not supported`` where nothing that weighs supports; else ``mixed``. A claim is untested where all its parts are,
supported where all are, not supported where every tested part is not supported, else mixed. This is a tally with its rows in
view, not a meta-analysis: an interval that includes no effect is no proof of none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alliance_stats.claims.declare import Claim, Evidence
from alliance_stats.claims.recompute import Recomputed

Reading = Literal["supports", "leaves open", "contradicts", "speaks for", "speaks against", "neutral"]
Verdict = Literal["supported", "mixed", "not supported", "untested"]
WEIGHS: tuple[Reading, ...] = ("supports", "leaves open", "contradicts")
FACTORS_CLAIMED = 3
WORDS: dict[str, str] = {
    "supports": "{n} support{s}", "leaves open": "{n} include{s} no effect", "contradicts": "{n} contradict{s}",
}  # fmt: skip


@dataclass(frozen=True)
class Weighed:
    """A finding with its recomputation and how it reads."""

    evidence: Evidence
    found: Recomputed
    reading: Reading

    @property
    def against(self) -> bool:
        """Whether it speaks directly against the claim without weighing."""
        return self.reading == "speaks against" and self.evidence.bears == "directly"


@dataclass(frozen=True)
class Judgement:
    """A verdict and why."""

    verdict: Verdict
    reason: str


def weigh(evidence: Evidence, found: Recomputed, claim: Claim) -> Weighed:
    """How one finding reads."""
    side = _side(evidence, found)
    carries = evidence.bears == "directly" and evidence.design in claim.carried_by
    if carries and side is not None:
        return Weighed(evidence, found, side)
    spoken: dict[Reading | None, Reading] = {
        "supports": "speaks for", "contradicts": "speaks against", "leaves open": "neutral",
    }  # fmt: skip
    told: dict[str, Reading] = {"for": "speaks for", "against": "speaks against", "neutral": "neutral"}
    return Weighed(evidence, found, told[evidence.says] if side is None else spoken[side])


def judge(claim: Claim, rows: Sequence[Weighed]) -> Judgement:
    """The verdict on a claim, from the readings of its evidence alone."""
    parts = {part: [row for row in rows if part in row.evidence.parts] for part in claim.parts}
    verdicts = {part: judge_part(of) for part, of in parts.items()}
    tested = {verdict for verdict in verdicts.values() if verdict != "untested"}
    if not tested:
        verdict: Verdict = "untested"
    elif len(set(verdicts.values())) == 1 or tested == {"not supported"}:
        verdict = tested.pop()
    else:
        verdict = "mixed"
    return Judgement(verdict, ". ".join(_reason(part, verdicts[part], of) for part, of in parts.items()) + ".")


def judge_part(rows: Sequence[Weighed]) -> Verdict:
    """The verdict on one part of a claim."""
    weighing = [row.reading for row in rows if row.reading in WEIGHS]
    if not weighing:
        return "untested"
    if "supports" not in weighing:
        return "not supported"
    if set(weighing) == {"supports"} and not any(row.against for row in rows):
        return "supported"
    return "mixed"


def _side(evidence: Evidence, found: Recomputed) -> Reading | None:
    """Where the interval lies; None where there is none, or no side is claimed."""
    if evidence.favours == "none":
        return None
    if found.symbol == "factors":
        return "supports" if found.estimate == FACTORS_CLAIMED else "contradicts"
    if not np.isfinite([found.low, found.high]).all():
        return None
    if found.low <= found.null <= found.high:
        return "leaves open"
    return "supports" if (found.low > found.null) == (evidence.favours == "+") else "contradicts"


def _reason(part: str, verdict: Verdict, rows: Sequence[Weighed]) -> str:
    counts = Counter(row.reading for row in rows)
    weighing = [row for row in rows if row.reading in WEIGHS]
    against = sum(row.against for row in rows)
    more = f"; {against} without an interval speak{'s' * (against == 1)} against it" if against else ""
    if not weighing:
        several = f"{len(rows)} findings, none of which can be weighed"
        seen = ("no finding printed", "1 finding, which cannot be weighed")[len(rows)] if len(rows) < 2 else several
        return f"{part.capitalize()}: untested ({seen}{more})"
    told = ", ".join(WORDS[r].format(n=counts[r], s="s" * (counts[r] == 1)) for r in WEIGHS if counts[r])
    return f"{part.capitalize()}: {verdict} ({told}; from {_sources(weighing)}{more})"


def _sources(rows: Sequence[Weighed]) -> str:
    """How many studies stand behind the rows; of a single one, its size."""
    studies = {row.evidence.study for row in rows}
    if len(studies) > 1:
        return f"{len(studies)} studies"
    seen = rows[0].evidence.seen
    pooled = f" that pools {seen['studies']}" if "studies" in seen else ""
    return "1 study" + pooled + (f", n = {seen['n']}" if "n" in seen else "")
