"""A synthetic 2×2 trial of one treatment of low back pain: enhanced or limited alliance, active or sham current."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.parts import require_choice
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

TherapistRole = Literal["crossed", "nested", "single"]
GROUPS: Mapping[str, tuple[str, str]] = {
    "AL": ("active", "limited"),
    "SL": ("sham", "limited"),
    "AE": ("active", "enhanced"),
    "SE": ("sham", "enhanced"),
}
CONTRASTS: Mapping[str, Mapping[str, float]] = {
    "enhanced − limited": {"AL": -0.5, "SL": -0.5, "AE": 0.5, "SE": 0.5},
    "active − sham": {"AL": 0.5, "SL": -0.5, "AE": 0.5, "SE": -0.5},
    "interaction": {"AL": -1.0, "SL": 1.0, "AE": 1.0, "SE": -1.0},
    "SE − AL": {"AL": -1.0, "SL": 0.0, "AE": 0.0, "SE": 1.0},
}
ICC = 0.05
PRINTED = "Fuentes 2014, doi 10.2522/ptj.20130118"


@dataclass(frozen=True)
class Gain:
    """One outcome: mean gain by group, its SD within groups, and the baseline it starts from.

    ``better`` is +1 where a gain is a rise, −1 where it is a fall; ``regression`` is the gain by a unit of baseline.
    """

    better: int
    scale: tuple[float, float]
    decimals: int
    unit: str
    means: Mapping[str, float]
    sd: float
    baseline: tuple[float, float]
    regression: float


GAINS: Mapping[str, Gain] = {
    "pain": Gain(-1, (0, 100), 0, "mm", {"AL": 18.3, "SL": 10.3, "AE": 31.4, "SE": 22.2}, 8.3, (60, 12), 0.4),
    "ppt": Gain(1, (0, np.inf), 1, "kg", {"AL": 1.2, "SL": 0.3, "AE": 2.0, "SE": 1.7}, 1.2, (5, 1.5), -0.2),
}


def simulate_fuentes(
    rng: Seed = 2014, *, exact: bool = False, per_group: Mapping[str, int] | None = None,
    therapists: TherapistRole = "crossed", n_therapists: int = 4,
) -> Trial:  # fmt: skip
    """Interferential current (active or sham) with an enhanced or a limited alliance, pain before and after.

    Parameters
    ----------
    rng : seed; every part of the trial has its own stream.
    exact : the mean changes of the groups are the printed ones and the pooled SD of change the implied one, to 1e-9, and
        the groups start from equal means, so that adjustment changes no contrast; the values are then not whole numbers.
        Otherwise random, pain in whole mm, pressure pain threshold in 0.1 kg.
    per_group : patients in each group; AL 30, SL 29, AE 29, SE 29 as published.
    therapists : ``"crossed"``: each treats in all groups; ``"nested"``: each in one alliance condition, so that the
        alliance contrast holds therapist differences too; ``"single"``: one treats everybody. Therapists make .05 of the
        variance of change.
    n_therapists : their number, even if nested; without effect for ``"single"``.

    Returns
    -------
    Trial with one row a patient: patient, therapist, group (AL, SL, AE, SE), treatment (active, sham), alliance (enhanced,
    limited), pain_before, pain_after (0–100 mm), ppt_before, ppt_after (kg). ``truth`` counts as positive what is good:
    the fall of pain (before − after) and the rise of the threshold; an analysis of pain_after has the opposite sign. The
    analyses pain and ppt adjust for the baseline, pain_change and ppt_change do not; the truth is the same.

    Raises AllianceError for a group, number or role that does not exist.

    Source: Fuentes et al. 2014, doi 10.2522/ptj.20130118: group sizes and mean changes; the SDs are derived from the
    widths of its intervals, the baselines assumed.

    >>> trial = simulate_fuentes(rng=1)
    >>> trial.data.shape, round(trial.true_value("pain", "enhanced − limited"), 2)
    ((117, 9), 12.5)
    """
    sizes = _sizes(per_group)
    staff = _staff(therapists, n_therapists)
    group = stream(rng, "fuentes2014", "group").permutation(np.repeat(list(GROUPS), [sizes[g] for g in GROUPS]))
    therapist = _therapist(group, therapists, staff, rng)
    columns: dict[str, object] = {
        "patient": np.arange(1, len(group) + 1),
        "therapist": [f"T{code + 1:02d}" for code in therapist],
        "group": group.tolist(),
        "treatment": [GROUPS[g][0] for g in group],
        "alliance": [GROUPS[g][1] for g in group],
    }
    for name in GAINS:
        before, after = _before_after(name, group, therapist, exact, rng)
        columns |= {f"{name}_before": before, f"{name}_after": after}
    parameters = parameter_frame(_parameters(sizes, staff))
    return Trial(pd.DataFrame(columns), truth_frame(_truth()), parameters, rng)


def _sizes(per_group: Mapping[str, int] | None) -> dict[str, int]:
    sizes = dict(per_group) if per_group is not None else {"AL": 30, "SL": 29, "AE": 29, "SE": 29}
    if sorted(sizes) != sorted(GROUPS):
        raise AllianceError(f"per_group has the groups {sorted(sizes)}; give a number for each of {', '.join(GROUPS)}")
    for name, size in sizes.items():
        if size < 2:
            raise AllianceError(f"per_group of {name} is {size}; use at least 2")
    return sizes


def _staff(role: TherapistRole, n_therapists: int) -> int:
    """Number of therapists."""
    require_choice("therapists", role, get_args(TherapistRole))
    if role == "single":
        return 1
    if n_therapists < 2 or (role == "nested" and n_therapists % 2):
        raise AllianceError(f"n_therapists is {n_therapists}; use 2 or more, an even number for nested therapists")
    return n_therapists


def _therapist(group: np.ndarray, role: TherapistRole, staff: int, rng: Seed) -> np.ndarray:
    """Therapist codes: in turn within each group, over all therapists or over the half of its alliance condition."""
    draws = stream(rng, "fuentes2014", "therapist")
    codes = np.zeros(len(group), dtype=int)
    for name in GROUPS:
        rows = draws.permutation(np.flatnonzero(group == name))
        choice = np.arange(staff)
        if role == "nested":
            choice = choice[: staff // 2] if GROUPS[name][1] == "limited" else choice[staff // 2 :]
        codes[rows] = choice[np.arange(len(rows)) % len(choice)]
    return codes


def _before_after(
    name: str, group: np.ndarray, therapist: np.ndarray, exact: bool, rng: Seed
) -> tuple[np.ndarray, np.ndarray]:
    """Values before and after treatment, within the scale whatever the gain."""
    gain = GAINS[name]
    start = stream(rng, "fuentes2014", name, "before").standard_normal(len(group))
    if exact:
        start = _standardised(start, group)
    residual = _residual(gain, start, therapist, stream(rng, "fuentes2014", name, "change"))
    if exact:
        residual = _standardised(residual, group) * gain.sd
    change = gain.better * (np.array([gain.means[g] for g in group]) + residual)
    before = gain.baseline[0] + gain.baseline[1] * start
    if not exact:
        before, change = np.round(before, gain.decimals), np.round(change, gain.decimals)
    before = _leaving_room(before, change, gain.scale)
    after = before + change
    return (before, after) if exact else (before + 0.0, np.round(after, gain.decimals) + 0.0)


def _residual(gain: Gain, start: np.ndarray, therapist: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Deviation of a gain from the mean of its group, with the SD of the gain."""
    own = rng.standard_normal(len(start))
    effect = rng.standard_normal(therapist.max() + 1)[therapist] if therapist.max() else np.zeros(len(start))
    between = gain.sd * np.sqrt(ICC) if therapist.max() else 0.0
    foreseen = gain.regression * gain.baseline[1]
    return np.asarray(foreseen * start + between * effect + np.sqrt(gain.sd**2 - between**2 - foreseen**2) * own)


def _standardised(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Values with mean 0 in each group and a pooled within-group SD of 1."""
    centred = values.copy()
    for name in GROUPS:
        centred[group == name] -= values[group == name].mean()
    return np.asarray(centred / np.sqrt(centred @ centred / (len(values) - len(GROUPS))))


def _leaving_room(before: np.ndarray, change: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Baselines moved just so far that they and the values after the change are on the scale: the change stays whole."""
    low, high = scale
    return np.asarray(np.clip(before, low + np.maximum(0.0, -change), high - np.maximum(0.0, change)))


def _truth() -> Iterator[tuple[str, str, float, str]]:
    for name, gain in GAINS.items():
        what = "fall of pain" if gain.better < 0 else "rise of the pressure pain threshold"
        for analysis, how in (
            (name, "given the baseline"),
            (f"{name}_change", "as change"),
            (f"{name}_course", "as change from before to after"),
            (f"{name}_therapists", "given the baseline, over therapists"),
        ):
            for term, weights in CONTRASTS.items():
                value = sum(weight * gain.means[group] for group, weight in weights.items())
                yield analysis, term, value, f"{term}, {what} ({gain.unit}), {how}"
        for group, mean in gain.means.items():
            yield f"{name}_change", group, mean, f"mean {what} ({gain.unit}) in {group}"


def _parameters(sizes: Mapping[str, int], staff: int) -> Iterator[tuple[str, float, str, str]]:
    for group, size in sizes.items():
        yield f"n_{group}", size, f"patients in {group}", PRINTED
    for name, gain in GAINS.items():
        for group, mean in gain.means.items():
            yield f"{name}_{group}", mean, f"mean gain of {name} in {group} ({gain.unit})", PRINTED
        derived = f"{PRINTED}: derived from the widths of its intervals"
        yield f"{name}_sd", gain.sd, f"SD of the gain within groups ({gain.unit})", derived
        yield f"{name}_before_mean", gain.baseline[0], f"mean before treatment ({gain.unit})", ASSUMED
        yield f"{name}_before_sd", gain.baseline[1], f"SD before treatment ({gain.unit})", ASSUMED
        yield f"{name}_regression", gain.regression, "gain by one unit of the value before treatment", ASSUMED
    yield "therapists", staff, "number of therapists", ASSUMED
    yield "therapist_icc", ICC if staff > 1 else 0.0, "share of the variance of the gains between therapists", ASSUMED
