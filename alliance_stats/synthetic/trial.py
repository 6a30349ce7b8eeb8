"""What every generator returns: the data, the truth they were made from, and where each number came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed

TRUTH = ("analysis", "term", "value", "meaning")
PARAMETERS = ("name", "value", "meaning", "source")
ASSUMED = "assumed"


@dataclass(frozen=True, eq=False)
class Trial:
    """A simulated trial.

    ``data`` holds one row a patient, or one a session. ``truth`` (columns analysis, term, value, meaning) names coefficients as
    the models name them. ``parameters`` (columns name, value, meaning, source) lists every number that went in, with "assumed"
    where no publication gives it. ``models`` are declarations whose coefficients the truth names, by analysis, where the
    generator declares them. The same ``seed`` and options make the same data.
    """

    data: pd.DataFrame
    truth: pd.DataFrame
    parameters: pd.DataFrame
    seed: Seed
    models: Mapping[str, Any] = field(default_factory=dict)

    def true_value(self, analysis: str, term: str) -> float:
        """The true value of one term; AllianceError where the truth does not have it."""
        rows = self.truth[(self.truth["analysis"] == analysis) & (self.truth["term"] == term)]
        if len(rows) != 1:
            known = ", ".join(f"{a}: {t}" for a, t in zip(self.truth["analysis"], self.truth["term"], strict=True))
            raise AllianceError(f"no truth for {analysis!r}, {term!r}; known are {known}")
        return float(rows["value"].iloc[0])


def truth_frame(rows: Iterable[tuple[str, str, float, str]]) -> pd.DataFrame:
    """Rows of analysis, term, value and meaning."""
    return pd.DataFrame(list(rows), columns=list(TRUTH))


def parameter_frame(rows: Iterable[tuple[str, float, str, str]]) -> pd.DataFrame:
    """Rows of name, value, meaning and source."""
    frame = pd.DataFrame(list(rows), columns=list(PARAMETERS))
    return frame.astype({"value": float})
