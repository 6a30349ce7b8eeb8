"""Numbers pinned from R: how they are read, how R's names of terms map to ours, and how two numbers are compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

VALIDATION = Path(__file__).parents[2] / "validation"
FACTORS = ("arm", "sex", "treatment", "alliance")

# R and this package solve the same least squares in double precision with predictors that are not centred: R's own
# rounding, found by reordering rows, is 5e-12, and the largest difference found here 4e-12.
EXACT = 1e-10
TAIL = 1e-10  # p-values, too: far out they multiply the error of the statistic by about t², but few lie that far out
ROOT = 1e-10  # roots of the difference of two nearly equal numbers, found to 1e-12

COLUMNS = ("estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high")


@cache
def golden(name: str) -> dict[str, Any]:
    """The whole pinned file: ``name r_version packages data results``."""
    return dict(json.loads((VALIDATION / f"{name}.json").read_text(encoding="utf-8")))


def pinned(name: str, *path: str) -> Any:
    """The pinned results, or the part of them under a path of keys."""
    found = golden(name)["results"]
    for key in path:
        found = found[key]
    return found


def data(name: str) -> pd.DataFrame:
    """One of the data sets that R read."""
    return pd.read_csv(VALIDATION / "data" / f"{name}.csv")


def leaves(value: Any) -> Iterator[Any]:
    """Every number, text or null of a pinned value."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    else:
        yield value


def term(name: str) -> str:
    """Our name of one of R's terms: ``armMCE`` → ``arm[T.MCE]``, ``(Intercept)`` → ``Intercept``."""
    if name == "(Intercept)":
        return "Intercept"
    return ":".join(_part(part) for part in name.split(":"))


def _part(name: str) -> str:
    if found := re.fullmatch(r"(poly\(.*\))(\d)", name):
        return f"{found[1]}[{found[2]}]"
    for factor in FACTORS:
        if name.startswith(factor) and len(name) > len(factor):
            return f"{factor}[T.{name[len(factor) :]}]"
    return name.replace("^", " ** ")


def difference(actual: Any, expected: Any, scale: Any = 0.0) -> float:
    """Largest difference relative to the expected value, or to ``scale`` where that is larger."""
    actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    assert np.isfinite(actual).all()
    assert np.isfinite(expected).all()
    size = np.maximum(np.abs(expected), np.asarray(scale, dtype=float))
    return float(np.max(np.abs(actual - expected) / np.where(size > 0, size, 1.0), initial=0.0))


def assert_close(actual: Any, expected: Any, tolerance: float = EXACT, scale: Any = 0.0) -> None:
    """Numbers agree to a relative tolerance; differences of estimates are judged on the ``scale`` of their parts."""
    found = difference(actual, expected, scale)
    assert found <= tolerance, f"relative difference {found:.3g} > {tolerance:g}"


def assert_rows(rows: pd.DataFrame, expected: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> None:
    """Rows of a tidy frame agree with pinned rows, in order."""
    assert len(rows) == len(expected)
    for column in columns:
        values = [row[column] for row in expected]
        scale = [row["std_error"] for row in expected] if column in ("estimate", "conf_low", "conf_high") else 0.0
        assert_close(rows[column], values, TAIL if column == "p_value" else EXACT, scale)


def assert_matrix(covariance: pd.DataFrame, expected: Mapping[str, Any]) -> None:
    """A covariance agrees with a pinned matrix, names and all; each cell on the scale of its two variances."""
    names = [term(name) for name in expected["terms"]]
    assert list(covariance.index) == list(covariance.columns) == names
    values = np.array(expected["values"])
    scale = np.sqrt(np.outer(np.diag(values), np.diag(values)))
    assert_close(covariance.to_numpy(), values, EXACT, scale)


def flipped(row: Mapping[str, Any]) -> dict[str, Any]:
    """A pinned difference the other way round: R compares earlier − later, this package later − earlier."""
    turned = {name: -row[name] for name in ("estimate", "statistic")}
    return {**row, **turned, "conf_low": -row["conf_high"], "conf_high": -row["conf_low"]}
