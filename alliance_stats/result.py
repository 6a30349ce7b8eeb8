"""What every model returns, and the one glossary of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.render.numbers import fixed, number, p_value, whole
from alliance_stats.render.table import as_html, as_text, rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TIDY = (
    "term", "component", "group", "equation", "at", "estimate", "std_error", "statistic", "df", "p_value",
    "conf_low", "conf_high", "interval",
)  # fmt: skip
TEXT = ("term", "component", "group", "equation", "at", "interval")
COMPONENTS = (
    "fixed", "random", "residual", "correlation", "path", "effect", "threshold", "precision", "zero", "one",
    "hazard", "association",
)  # fmt: skip
GLANCE = (
    "log_likelihood", "criterion", "deviance", "aic", "bic", "method", "df_method", "df_residual", "converged",
    "singular", "sigma", "icc", "r2_marginal", "r2_conditional", "r2_adjusted",
)  # fmt: skip


class Model(Protocol):
    """A frozen declaration. Functions of results know models by these names alone."""

    @property
    def level(self) -> float:
        """Confidence level of the intervals, e.g. 0.95."""

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit to data; the data are left as they are."""

    def _predict(self, result: Result, frame: pd.DataFrame) -> pd.DataFrame:
        """Columns ``fitted std_error df`` for prepared rows, missing where the data cannot speak."""

    def _simulate(self, result: Result, rng: np.random.Generator, n: int) -> np.ndarray:
        """New responses from the fitted model, shape (n, rows)."""

    def _df(self, result: Result, weights: np.ndarray) -> np.ndarray:
        """Degrees of freedom of linear combinations of the fixed coefficients; one row of weights each."""

    def _joint_df(self, result: Result, weights: np.ndarray) -> tuple[float, float]:
        """Denominator df of the joint test of all rows of weights, and the factor its F is multiplied by."""


@dataclass(frozen=True, eq=False)
class Result:
    """Estimates of one fitted model.

    Attributes
    ----------
    model : the declaration that was fitted.
    frame : rows and columns used, after the preparing steps and without incomplete rows.
    state : the numbers needed to predict, simulate and refit.
    estimates : the frame that ``tidy()`` returns.
    statistics : the one-row frame that ``glance()`` returns.
    covariance : covariance of the coefficients that are in ``estimates`` with component ``fixed``.
    draws : resampling draws, or None.
    notes : sentences on what was lost, repaired or assumed.
    """

    model: Any
    frame: pd.DataFrame
    state: Any
    estimates: pd.DataFrame
    statistics: pd.DataFrame
    covariance: pd.DataFrame
    draws: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def tidy(self) -> pd.DataFrame:
        """One row an estimate, in the columns of the glossary."""
        return self.estimates.copy()

    def glance(self) -> pd.DataFrame:
        """One row for the whole model: sizes, fit and method."""
        return self.statistics.copy()

    def augment(self) -> pd.DataFrame:
        """The rows used, with ``fitted`` and ``residual``."""
        added = {name: getattr(self.state, name) for name in ("fitted", "fitted_population", "residual")}
        return self.frame.assign(**{name: values for name, values in added.items() if values is not None})

    def apa(self, term: str) -> str:
        """The estimate of one term as a sentence part in APA 7 style.

        Raises AllianceError, listing the terms, where there is no such term.
        """
        return apa_sentence(self.estimates, term, self.model.level)

    def plot(self, kind: str = "forest", *, ax: Axes | None = None) -> Axes:
        """Draw the estimates (``"forest"``) or the residuals (``"residuals"``)."""
        from alliance_stats.render import figures

        if kind == "forest":
            return figures.forest(self.estimates, ax=ax)
        if kind == "residuals":
            return figures.residuals(self.augment(), ax=ax)
        raise AllianceError(f"plot: kind is {kind!r}; use 'forest' or 'residuals'")

    def __repr__(self) -> str:
        parts = [headline(self), as_text(_shown(self.estimates)), _facts(self.statistics), *_note_lines(self)]
        return "\n".join(part for part in parts if part)

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return (
            f"<p><strong>{escape(headline(self))}</strong></p>{as_html(_shown(self.estimates))}"
            f"<p>{escape(_facts(self.statistics))}</p>" + (f"<ul>{notes}</ul>" if notes else "")
        )


def tidy_frame(**columns: Any) -> pd.DataFrame:
    """A frame in the columns of the glossary; what is not given is empty or missing.

    >>> list(tidy_frame(term=["a"], estimate=[1.0]).columns) == list(TIDY)
    True
    """
    n, index = len(columns["term"]), pd.RangeIndex(len(columns["term"]))
    full = {name: columns.get(name, "" if name in TEXT else np.nan) for name in TIDY}
    return pd.DataFrame({name: _filled(name, value, n) for name, value in full.items()}, index=index)


def glance_frame(counts: dict[str, int], **values: Any) -> pd.DataFrame:
    """The one-row frame of ``glance()``: counts first, then the columns of the glossary that apply."""
    unknown = set(values) - set(GLANCE)
    if unknown:
        raise AllianceError(f"glance: {sorted(unknown)} are not in the glossary")
    return pd.DataFrame([counts | {name: values[name] for name in GLANCE if name in values}])


def apa_sentence(estimates: pd.DataFrame, term: str, level: float) -> str:
    """Estimate, standard error, interval, statistic, degrees of freedom and p of one row."""
    row = estimate_row(estimates, term)
    parts = [f"b = {_places(row.estimate)}"]
    if np.isfinite(row.std_error):
        parts.append(f"SE = {_places(row.std_error)}")
    if np.isfinite(row.conf_low):
        parts.append(f"{100 * level:g} % CI [{_places(row.conf_low)}, {_places(row.conf_high)}]")
    if np.isfinite(row.statistic):
        name = f"t({whole(row.df)})" if np.isfinite(row.df) else "z"
        parts.append(f"{name} = {fixed(row.statistic)}")
    if np.isfinite(row.p_value):
        p = p_value(row.p_value)
        parts.append(f"p {p}" if p[0] in "<>" else f"p = {p}")
    return ", ".join(parts)


def estimate_row(estimates: pd.DataFrame, term: str) -> Any:
    """The one row of a tidy frame with that term; AllianceError where there is none or more than one."""
    rows = estimates[estimates["term"] == term]
    if len(rows) != 1:
        problem = "is not a term" if rows.empty else f"names {len(rows)} rows"
        raise AllianceError(f"{term!r} {problem}; terms: {', '.join(map(str, estimates['term']))}")
    return next(rows.itertuples(index=False))


def headline(result: Result) -> str:
    """Model and formula in one line."""
    formula = getattr(result.model, "formula", "")
    return f"{type(result.model).__name__}: {formula}" if formula else type(result.model).__name__


def _filled(name: str, value: Any, n: int) -> Any:
    values: Any = [value] * n if np.isscalar(value) or value is None else list(value)
    text: Any = pd.StringDtype(na_value=np.nan)
    return pd.array(values, dtype=text) if name in TEXT else np.asarray(values, dtype=float)


def _shown(estimates: pd.DataFrame) -> pd.DataFrame:
    return estimates.drop(columns=["component"] if estimates["component"].nunique() == 1 else [])


def _facts(statistics: pd.DataFrame) -> str:
    shown = rounded(statistics)
    return " · ".join(f"{name} {shown[name].iloc[0]}" for name in shown.columns)


def _note_lines(result: Result) -> list[str]:
    return [f"Note: {note}" for note in result.notes]


def _places(value: float) -> str:
    """Two decimals, more for a small number, so that an estimate never prints as 0.00."""
    if not np.isfinite(value) or 0 < abs(value) < 1e-5:
        return number(value)
    return fixed(value, 2 if abs(value) >= 0.1 or value == 0 else 1 - int(np.floor(np.log10(abs(value)))))
