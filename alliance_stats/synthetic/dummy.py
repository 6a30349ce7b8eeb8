"""Dummy data for a study that has none yet: values that the dictionary allows, without any relation between them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.data.variables import Variable
from alliance_stats.errors import DataError
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.trial import Trial, parameter_frame, truth_frame

PATIENTS, SESSIONS, GROUPS = 80, 6, 8
START = "2024-01-01"


def dummy_trial(
    variables: Sequence[Variable],
    *,
    rng: Seed = 1,
    patients: int = PATIENTS,
    sessions: int = SESSIONS,
    constant: Collection[str] = (),
) -> Trial:
    """Rows that pass the check of a dictionary, to try an analysis before data come: no variable depends on another.

    The first key is the patient; with a second key there are ``sessions`` rows a patient. Categories, other identifiers
    (of ``GROUPS`` groups) and the variables named in ``constant`` hold one value a patient, other numbers one a row, drawn
    evenly over the range, or from a normal distribution where an end is open. Raises DataError without a key.

    >>> pain = Variable("pain", "average pain", range=(0, 10), integer=True)
    >>> trial = dummy_trial([Variable("patient", "pseudonym", key=True), pain], patients=4)
    >>> trial.data["pain"].between(0, 10).all(), len(trial.data)
    (np.True_, 4)
    """
    keys = [v for v in variables if v.key]
    if not keys:
        raise DataError("dummy_trial: no variable is a key; mark the column that names the patient with key = yes")
    if len(keys) > 2:
        raise DataError(
            f"dummy_trial: {len(keys)} keys ({', '.join(k.name for k in keys)}); patient, or patient and session"
        )
    repeats = sessions if len(keys) == 2 else 1
    index = np.repeat(np.arange(patients), repeats)
    columns = {}
    for variable in variables:
        draw = stream(rng, "dummy", variable.name)
        if variable.key:
            columns[variable.name] = _key(variable, keys, index, repeats)
        elif variable.kind in ("level", "identifier") or variable.name in constant:
            columns[variable.name] = _values(variable, draw, patients)[index]
        else:
            columns[variable.name] = _values(variable, draw, len(index))
    sizes = [
        ("patients", patients, "number of patients", "assumed"),
        ("sessions", repeats, "rows a patient", "assumed"),
    ]
    return Trial(pd.DataFrame(columns), truth_frame([]), parameter_frame(sizes), rng)


def _key(variable: Variable, keys: Sequence[Variable], index: np.ndarray, repeats: int) -> Any:
    if variable is keys[0]:
        return index + 1 if variable.kind == "number" else [f"P{i + 1:03d}" for i in index]
    low = 1 if variable.range is None or not np.isfinite(variable.range[0]) else variable.range[0]
    if variable.levels is not None:
        raise DataError(f"dummy_trial: the key {variable.name!r} has levels; dummy data number the rows of a patient")
    return np.tile(np.arange(repeats), len(index) // repeats) + int(low)


def _values(variable: Variable, draw: np.random.Generator, n: int) -> np.ndarray:
    if variable.kind == "level":
        return np.array(variable.levels)[draw.integers(len(variable.levels or ()), size=n)]
    if variable.kind == "identifier":
        return np.array([f"{variable.name}-{g + 1}" for g in draw.integers(GROUPS, size=n)])
    if variable.kind == "date":
        return (pd.Timestamp(START) + pd.to_timedelta(draw.integers(365, size=n), unit="D")).to_numpy()
    return _numbers(variable, draw, n)


def _numbers(variable: Variable, draw: np.random.Generator, n: int) -> np.ndarray:
    low, high = variable.range or (-np.inf, np.inf)
    if np.isfinite(low) and np.isfinite(high):
        return (
            draw.integers(int(low), int(high) + 1, size=n)
            if variable.integer
            else np.round(draw.uniform(low, high, n), 2)
        )
    spread = np.abs(draw.normal(size=n)) * 10
    values = low + spread if np.isfinite(low) else high - spread if np.isfinite(high) else draw.normal(size=n)
    return np.round(values) if variable.integer else np.round(values, 2)
