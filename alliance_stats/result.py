"""What every model returns, and the one glossary of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.render.scales import outcome_of, scale_of
from alliance_stats.render.sentence import Wording, for_ratio, phrase, sentence
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

    def apa(
        self, term: str, *, at: str | None = None, full: bool = False, label: str = "", outcome: str = "", units: str = "",
        ratio: bool | None = None,
    ) -> str:  # fmt: skip
        """The estimate of one term in APA 7 style: as a sentence part or, with ``full=True``, as a sentence.

        Parameters
        ----------
        term : as in ``tidy()``.
        at : value of ``tidy()["at"]``, for effects that depend on a moderator or contrast; without it the row that has none.
        full : write a sentence, with "95%" as the manual has it, the kind of interval where it is not Wald's, and no SE.
        label, outcome : words for the predictor and the outcome; either makes a sentence. By default the columns' names.
        units : of the estimate, e.g. ``"points"``.
        ratio : also exp(b) with its interval, named odds, hazard or rate ratio after the model's link; by default in sentences.

        Raises AllianceError, listing the terms, where there is no such term, and where ``ratio=True`` is asked of a model whose
        coefficients have no ratio.

        >>> from alliance_stats import LinearModel
        >>> data = pd.DataFrame({"pain": [7.0, 6, 5, 6, 3, 2], "alliance": [10.0, 14, 18, 20, 24, 30]})
        >>> LinearModel("pain ~ alliance").fit(data).apa("alliance", label="Working alliance", units="points")
        'Working alliance predicted pain, b = −0.255 points, 95% CI [−0.388, −0.122], t(4) = −5.33, p = .006'
        """
        row = estimate_row(self.estimates, term, at)
        full = full or bool(label or outcome)
        scale = scale_of(self.model, self.state)
        if ratio and not scale.ratio:
            raise AllianceError(
                f"apa: ratio=True, but the coefficients of {headline(self)!r} are {scale.unit}; their exponential has no name"
            )
        said = outcome or (outcome_of(self.model) if full else "")
        effect = "an odds ratio of " if getattr(self.model, "scale", "") == "odds-ratio" else ""
        mean = type(self.model).__name__ == "SummaryStatistics"
        wording = Wording(self.model.level, label, said, units, scale=scale, effect=effect, mean=mean)
        wording = for_ratio(wording, wanted=full if ratio is None else ratio)
        return sentence(row, wording) if full else phrase(row, wording)

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


def estimate_row(estimates: pd.DataFrame, term: str, at: str | None = None) -> Any:
    """The one row of a tidy frame with that term, of several the one with that ``at`` (by default none).

    AllianceError where there is no such row or more than one.
    """
    rows = estimates[estimates["term"] == term]
    if at is not None or len(rows) > 1:
        chosen = rows[rows["at"].fillna("") == (at or "")]
        if chosen.empty and len(rows):
            known = "; ".join(repr(str(value)) for value in rows["at"].unique())
            raise AllianceError(f"{term!r} has no row at {at or ''!r}; at= takes one of {known}")
        rows = chosen
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
