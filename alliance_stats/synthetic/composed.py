"""A trial composed from one declaration: alliance, outcome, adherence and dropout session by session, with its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from alliance_stats.instruments.scoring import score
from alliance_stats.models.mixed import MixedModel
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.design import REVERSE, TrialDesign
from alliance_stats.synthetic.items import simulate_items
from alliance_stats.synthetic.parts import allocated, caseloads
from alliance_stats.synthetic.trial import Trial, parameter_frame, truth_frame

OUTCOME = MixedModel(
    "pain ~ true_alliance_session + true_alliance_patient + arm * week + (1 + week | patient) + (1 | therapist)"
)
STAYED, BETTER, NOT_BETTER = 0, 1, 2
ENDED = {STAYED: "completed", BETTER: "better", NOT_BETTER: "not better"}


def simulate_trial(design: TrialDesign | None = None, *, rng: Seed, **changes: Any) -> Trial:
    """A trial with sessions in patients in therapists, drawn from one declaration, with known truth.

    Parameters
    ----------
    design : the declaration; without it, `TrialDesign` with ``changes``, which may also change a given one.
    rng : seed. Every part has its own stream: a change of one leaves the draws of the others alone.

    Returns
    -------
    Trial with one row an attended session: ``patient therapist arm session week alliance pain assigned completed ended
    true_alliance_patient true_alliance_session`` (and the items, with an instrument). ``week`` counts from 0. ``ended`` says,
    in all rows of a patient, how therapy ended: completed, better, or not better. The true columns hold the alliance that
    acts, in points: the patient's own level, and the session's distance from it; a real trial does not have them.

    ``truth`` has the analyses ``outcome`` (coefficients and variances of ``models["outcome"]``), ``not better`` (log odds of
    leaving for this reason against staying), ``better`` and ``adherence`` (log odds of doing an exercise). With a reverse path
    (``early``) ``models["outcome"]`` is biased, as any mixed model is whose predictor follows the outcome.

    Raises AllianceError for a declaration that makes no trial.

    Source: the parameters name theirs; most are assumed.

    >>> trial = simulate_trial(patients=60, therapists=6, rng=1)
    >>> trial.true_value("outcome", "true_alliance_session")
    -0.05
    >>> sorted(trial.data["ended"].unique())
    ['better', 'completed', 'not better']
    """
    design = replace(design or TrialDesign(), **changes)
    people = _people(design, rng)
    rows = _therapy(design, people, rng)
    data = _ratings(design, rows, rng)
    return Trial(data, truth_frame(_truth(design)), parameter_frame(design.parameters()), rng, {"outcome": OUTCOME})


@dataclass(frozen=True)
class People:
    """One value a patient: codes of arm and therapist, levels of alliance, and how pain starts and changes."""

    arm: np.ndarray
    therapist: np.ndarray
    of_therapist: np.ndarray
    own: np.ndarray
    start: np.ndarray
    change: np.ndarray


def _people(design: TrialDesign, rng: Seed) -> People:
    n, spread = design.patients, design.alliance[1]
    therapist = caseloads(n, design.therapists, _stream(rng, "therapist"))
    arm = allocated(n, len(design.arms), _stream(rng, "arm"))
    if design.nested:
        arm = therapist % len(design.arms)
    shares = np.sqrt(design.alliance_shares) * spread
    of_therapist = shares[0] * _stream(rng, "therapist", "alliance").standard_normal(design.therapists)[therapist]
    own = shares[1] * _stream(rng, "patient", "alliance").standard_normal(n) + design.alliance_arm * (arm > 0)
    skill = np.sqrt(_therapist_variance(design)) * _stream(rng, "therapist", "pain").standard_normal(design.therapists)
    start = design.pain[0] + design.pain[1] * _stream(rng, "patient", "pain").standard_normal(n) + skill[therapist]
    change = design.week + design.arm_week * (arm > 0)
    change = change + design.week_sd * _stream(rng, "patient", "week").standard_normal(n)
    return People(arm, therapist, of_therapist, own, start, change)


def _therapist_variance(design: TrialDesign) -> float:
    return design.outcome_icc / (1 - design.outcome_icc) * (design.pain[1] ** 2 + design.residual**2)


def _therapy(design: TrialDesign, people: People, rng: Seed) -> pd.DataFrame:
    """Session by session: alliance, pain, who leaves; those who have left have no more rows."""
    n, level = design.patients, design.alliance[0] + people.of_therapist + people.own
    noise = design.alliance[1] * np.sqrt(1 - sum(design.alliance_shares))
    left, fallen, tables = np.zeros(n, dtype=int), np.zeros(n), []
    for t in range(design.sessions):
        here = np.flatnonzero(left == STAYED)
        drawn = _stream(rng, "session", str(t)).standard_normal((n, 2))
        session = noise * drawn[:, 0] + REVERSE[design.early] * fallen
        pain = people.start + people.change * t + design.residual * drawn[:, 1]
        pain += design.within * session + design.between * (level - design.alliance[0])
        tables.append(pd.DataFrame({"code": here, "session": t + 1, "alliance": (level + session)[here], "pain": pain[here],
                                    "true_alliance_session": session[here]}))  # fmt: skip
        fallen = people.start - pain
        if t + 1 < design.sessions:
            cause = _leaving(design, people, fallen, _stream(rng, "leaving", str(t)).random(n))
            left = np.where(left == STAYED, cause, left)
    rows = pd.concat(tables, ignore_index=True).sort_values(["code", "session"], ignore_index=True)
    code = rows["code"].to_numpy()
    return rows.assign(
        patient=code + 1, therapist=[f"T{c + 1:02d}" for c in people.therapist[code]],
        arm=pd.Categorical([design.arms[c] for c in people.arm[code]], list(design.arms)), week=rows["session"] - 1.0,
        true_alliance_patient=level[code], ended=[ENDED[c] for c in left[code]],
    )  # fmt: skip


def _leaving(design: TrialDesign, people: People, fallen: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Cause by the multinomial logit of leaving better, not better, or staying."""
    stay = 1 - design.hazard_better - design.hazard_not_better
    better = design.hazard_better / stay * np.exp(design.leave_improved * fallen)
    alliance = design.leave_patient * people.own + design.leave_therapist * people.of_therapist
    worse = design.hazard_not_better / stay * np.exp(alliance)
    total = 1 + better + worse
    return np.where(u < better / total, BETTER, np.where(u < (better + worse) / total, NOT_BETTER, STAYED))


def _ratings(design: TrialDesign, rows: pd.DataFrame, rng: Seed) -> pd.DataFrame:
    """What is written down: items or points, exercises done, and what is missing."""
    shape, at = (design.patients, design.sessions), (rows["code"].to_numpy(), rows["session"].to_numpy() - 1)

    def lost(name: str, share: float) -> np.ndarray:
        return np.asarray(_stream(rng, "missing", name).random(shape)[at] < share)

    unrated = lost("ratings", design.missing_ratings) | (rows["session"] < design.rated_from).to_numpy()
    done = _exercises(design, rows["alliance"].to_numpy(), rng)
    columns: dict[str, Any] = {name: rows[name] for name in ("patient", "therapist", "arm", "session", "week")}
    items = _items(design, rows["alliance"].to_numpy(), unrated, rng)
    columns |= {str(name): items[name] for name in items}
    columns["alliance"] = items["alliance"] if "alliance" in items else rows["alliance"].mask(unrated)
    pain = rows["pain"].round().clip(0, 10) + 0.0 if design.integer else rows["pain"]
    columns |= {"pain": pain.mask(lost("pain", design.missing_pain)), "assigned": design.exercises, "completed": done}
    columns |= {name: rows[name] for name in ("ended", "true_alliance_patient", "true_alliance_session")}
    return pd.DataFrame(columns)


def _items(design: TrialDesign, alliance: np.ndarray, unrated: np.ndarray, rng: Seed) -> pd.DataFrame:
    """Items and their sum, nothing without an instrument."""
    if design.instrument is None:
        return pd.DataFrame(index=range(len(alliance)))
    latent = (alliance - design.alliance[0]) / design.alliance[1]
    answers = simulate_items(design.instrument, latent, rng=_stream(rng, "items"), reverse=[], ceiling=design.ceiling,
                             missing=design.missing_items).astype(float)  # fmt: skip
    answers.loc[unrated] = np.nan
    total = score(answers, design.instrument, items="item_{}", reverse=[])[f"{design.instrument}_total"]
    return answers.assign(alliance=total)


def _exercises(design: TrialDesign, alliance: np.ndarray, rng: Seed) -> np.ndarray:
    """Beta-binomial counts, some weeks moved to none or all."""
    draws, n = _stream(rng, "adherence"), len(alliance)
    p = expit(design.adherence + design.adherence_alliance * (alliance - design.alliance[0]))
    chance = draws.beta(p * design.adherence_precision, (1 - p) * design.adherence_precision)
    done, u = draws.binomial(design.exercises, chance), draws.random(n)
    done = np.where(u < design.none_done, 0, done)
    return np.where(u > 1 - design.all_done, design.exercises, done)


def _stream(rng: Seed, *names: str) -> np.random.Generator:
    return stream(rng, "composed trial", *names)


def _truth(design: TrialDesign) -> Iterator[tuple[str, str, float, str]]:
    yield "outcome", "true_alliance_session", design.within, "change of pain by a point of alliance within patients"
    yield (
        "outcome",
        "true_alliance_patient",
        design.between,
        "change of pain by a point of the patient's level of alliance",
    )
    yield "outcome", "week", design.week, f"change of pain a session, {design.arms[0]}"
    for arm in design.arms[1:]:
        yield "outcome", f"arm[T.{arm}]", 0.0, f"difference of {arm} at the first session, at the same alliance"
        yield "outcome", f"arm[T.{arm}]:week", design.arm_week, f"difference of {arm} in the change a session"
    yield "outcome", "sd(Intercept)|patient", design.pain[1], "SD of patients at the first session"
    yield "outcome", "sd(week)|patient", design.week_sd, "SD of patients' change a session"
    yield "outcome", "sd(Intercept)|therapist", float(np.sqrt(_therapist_variance(design))), "SD of therapists"
    yield "outcome", "sd(residual)", design.residual, "SD within patients"
    stay = 1 - design.hazard_better - design.hazard_not_better
    for cause, hazard in (("not better", design.hazard_not_better), ("better", design.hazard_better)):
        if hazard:
            yield cause, "Intercept", float(np.log(hazard / stay)), "log odds of leaving against staying at the mean"
    yield "not better", "alliance within therapists", design.leave_patient, "log odds by a point of the patient's level"
    yield (
        "not better",
        "alliance of the therapist",
        design.leave_therapist,
        "log odds by a point of the therapist's level",
    )
    yield "better", "fall of pain", design.leave_improved, "log odds by a point that pain has fallen since the start"
    yield "adherence", "Intercept", design.adherence, "log odds of an exercise at the mean alliance"
    yield "adherence", "alliance", design.adherence_alliance, "change of these by a point of alliance"
    yield "adherence", "probability", float(expit(design.adherence)), "probability of an exercise at the mean alliance"


def log_odds(probability: float) -> float:
    """The log odds of a probability, for the declaration of ``adherence``.

    >>> round(log_odds(0.43), 2)
    -0.28
    """
    return float(logit(probability))
