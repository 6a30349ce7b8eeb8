"""What the codes of a variable mean and which of them are missing, for the codebook and the data package."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from alliance_stats.data.imported import Code, plain_code
from alliance_stats.data.missing_codes import missing_codes
from alliance_stats.data.variables import Variable

_LISTED = 100  # a scale with more whole numbers than this is no list of categories


def value_labels(variable: Variable, frame: pd.DataFrame | None) -> dict[Code, str]:
    """What the codes of a variable mean: as declared, else as the file said whose frame it is."""
    if variable.labels:
        return {plain_code(code): text for code, text in variable.labels.items()}
    known = frame is not None and variable.name in frame.columns and variable.levels is None
    if frame is None or not known or not pd.api.types.is_numeric_dtype(frame[variable.name]):
        return {}
    coded: dict[Code, str] = frame.attrs.get("value_labels", {}).get(variable.name, {})
    without_value = frame.attrs.get("user_missing", {}).get(variable.name, {})
    low, high = variable.range or (-math.inf, math.inf)  # a label beyond the range belongs to a missing code
    return {
        code: text
        for code, text in coded.items()
        if code not in without_value and not isinstance(code, str) and low <= code <= high
    }


def missing_counts(variable: Variable, frame: pd.DataFrame) -> dict[str, int]:
    """How many cells of the frame had which missing code, in words: {"-9 refused": 2}."""
    cells = missing_codes(frame[[variable.name]])
    meant = {str(plain_code(code)): text for code, text in variable.missing_codes.items()}
    names = [
        f"{code} {label or meant.get(str(code), '')}".strip()
        for code, label in zip(cells["code"], cells["label"], strict=True)
    ]
    return dict(Counter(names))


def categories(variable: Variable) -> dict[str, Any]:
    """The standard's categories list every value that may occur, so numbers between named ends are listed too."""
    found: dict[str, Any] = {}
    labels = {plain_code(code): text for code, text in variable.labels.items()}
    if variable.levels is not None:
        found["categories"] = list(variable.levels)
    elif labels and variable.integer and variable.range is not None and _few(*variable.range):
        low, high = math.ceil(variable.range[0]), math.floor(variable.range[1])
        found["categories"] = [_labelled(code, labels) for code in range(low, high + 1)]
        found["categoriesOrdered"] = True
    elif labels:
        found["valueLabels"] = [_labelled(code, labels) for code in labels]
    if variable.missing_codes:
        codes = {plain_code(code): text for code, text in variable.missing_codes.items()}
        found["missingCodes"] = [_labelled(code, codes) for code in codes]
    return found


def _few(low: float, high: float) -> bool:
    return math.isfinite(low) and math.isfinite(high) and high - low <= _LISTED


def _labelled(code: Code, labels: Mapping[Code, str]) -> dict[str, Code]:
    return {"value": code, "label": labels[code]} if code in labels else {"value": code}
