"""What has to be said under a table of models: abbreviations, intervals, degrees of freedom, scales, what is not shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from alliance_stats.render.labels import capital, interval_method, readable
from alliance_stats.render.scales import Scale
from alliance_stats.result import Result
from alliance_stats.tables.model_rows import Line, left_out
from alliance_stats.tables.styles import Style, unmarked

DF = {
    "satterthwaite": "Satterthwaite", "kenward-roger": "Kenward–Roger", "residual": "residual",
    "normal": "none (normal approximation)", "clusters": "number of clusters less one",
}  # fmt: skip
ESTIMATION = {
    "REML": "restricted maximum likelihood (REML)", "ML": "maximum likelihood", "OLS": "ordinary least squares",
    "Laplace": "maximum likelihood with Laplace's approximation",
}  # fmt: skip
ROBUST = {
    **{kind: f"robust to unequal variances ({kind})" for kind in ("HC0", "HC1", "HC3")},
    **{kind: f"cluster-robust ({kind})" for kind in ("CR1", "CR1S")},
    "CR2": "cluster-robust with the bias-reduced estimator (CR2)",
}
FIT_MEANINGS = {
    "aic": ("AIC", "Akaike information criterion"), "bic": ("BIC", "Bayesian information criterion"),
    "icc": ("ICC", "intraclass correlation coefficient"),
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A fitted model as a table sees it."""

    heading: str
    name: str
    result: Result
    scale: Scale
    as_ratio: bool
    lines: tuple[Line, ...]

    @property
    def quantity(self) -> str:
        """What the column of estimates holds: ``b``, ``OR``, or nothing of a model of effects."""
        if any(line.row.component == "effect" for line in self.lines):
            return ""
        return self.scale.short if self.as_ratio else "b"


def notes(
    models: Sequence[Model],
    style: Style,
    *,
    spread: str,
    fit: Sequence[str],
    terms: Sequence[str] | None,
    caveats: bool,
) -> tuple[str, ...]:
    """The sentences, in the order of reading."""
    found = [style.abbreviations(_abbreviations(models, spread, fit))]
    found += [
        _scales(models, style),
        _methods(models),
        _intervals(models, spread),
        _df(models),
        _errors(models),
        _conditional(models),
    ]
    found += _hidden(models, terms)
    found += _of_results(models) if caveats else ()
    return tuple(text for text in found if text)


def estimation(method: str) -> str:
    """A method of estimation in words; one that has none is named as it is.

    >>> estimation("OLS"), estimation("AGQ(15)")
    ('ordinary least squares', 'maximum likelihood with adaptive Gauss–Hermite quadrature (15 nodes)')
    """
    if method.startswith("AGQ"):
        return f"maximum likelihood with adaptive Gauss–Hermite quadrature ({method[4:-1]} nodes)"
    return ESTIMATION.get(method, method)


def told(texts: Mapping[str, str]) -> str:
    """What each model has, said once where it is the same.

    >>> told({"Model 1": "residual", "Model 2": "residual"}), told({"Model 1": "REML", "Model 2": "ML"})
    ('residual', 'REML (Model 1); ML (Model 2)')
    """
    groups: dict[str, list[str]] = {}
    for name, text in texts.items():
        if text:
            groups.setdefault(text, []).append(name)
    everywhere = len(groups) == 1 and len(next(iter(groups.values()))) == len(texts)
    return next(iter(groups)) if everywhere else "; ".join(f"{t} ({', '.join(names)})" for t, names in groups.items())


def _abbreviations(models: Sequence[Model], spread: str, fit: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for model in models:
        if model.quantity:
            found[model.quantity] = model.scale.ratio if model.as_ratio else "regression coefficient"
    if spread == "ci":
        found["CI"] = "confidence interval"
    elif spread == "se":
        found["SE"] = "standard error"
    shown = [line.label for model in models for line in model.lines]
    found |= {
        s: t for s, t in (("SD", "standard deviation"), ("r", "correlation")) if any(_starts(x, s) for x in shown)
    }
    found |= {short: long for name, (short, long) in FIT_MEANINGS.items() if name in fit}
    return found


def _starts(label: str, symbol: str) -> bool:
    words = unmarked(label).split(" (")[0].split()
    return bool(words) and (
        (words[0] == symbol and words[1:2] == ["of"]) or (symbol == "SD" and words == ["Residual", "SD"])
    )


def _scales(models: Sequence[Model], style: Style) -> str:
    plain = told({m.name: m.scale.unit for m in models if not m.as_ratio and m.quantity})
    ratios = [m for m in models if m.as_ratio]
    parts = [f"Scale of {style.symbol('b')}: {plain}" if plain else ""]
    if ratios:
        short = ", ".join(dict.fromkeys(m.scale.short for m in ratios))
        parts.append(
            f"{short}: exponential of the coefficient, of the intercept the baseline itself; spreads stay on the scale of the "
            "coefficient"
        )
    effects = told({m.name: _effect_scale(m) for m in models if not m.quantity})
    parts.append(f"Scale of the effects: {effects}" if effects else "")
    return ". ".join(part for part in parts if part) + "." if any(parts) else ""


def _effect_scale(model: Model) -> str:
    return "odds ratios" if getattr(model.result.model, "scale", "") == "odds-ratio" else "units of the outcome"


def _intervals(models: Sequence[Model], spread: str) -> str:
    if spread != "ci":
        return ""
    made = told({m.name: _kinds(m) for m in models})
    return f"Intervals: {made}." if made else ""


def _kinds(model: Model) -> str:
    kinds = dict.fromkeys(
        str(line.row.interval) for line in model.lines if line.row.interval and not pd.isna(line.row.conf_low)
    )
    return f"{100 * model.result.model.level:g}%, " + " and ".join(interval_method(k) for k in kinds) if kinds else ""


def _methods(models: Sequence[Model]) -> str:
    """How the models were fitted; estimates of mediation name the method of their equations."""
    text = told({m.name: estimation(_fact(m, "method")) for m in models})
    return f"Estimation: {text}." if text else ""


def _df(models: Sequence[Model]) -> str:
    text = told({m.name: DF.get(_fact(m, "df_method"), _fact(m, "df_method")) for m in models})
    return f"Degrees of freedom: {text}." if text else ""


def _fact(model: Model, name: str) -> str:
    """What ``glance()`` says, empty where it does not."""
    return str(model.result.statistics.get(name, pd.Series([""])).iloc[0])


def _errors(models: Sequence[Model]) -> str:
    text = told({m.name: _robust(m) for m in models})
    return f"Standard errors: {text}." if text else ""


def _robust(model: Model) -> str:
    kind, cluster = (getattr(model.result.model, name, None) for name in ("vcov", "cluster"))
    if kind in (None, "classical", "ml") and not cluster:
        return ""
    name = ROBUST.get(str(kind)) or ("cluster-robust" if kind in (None, "robust") else str(kind).replace("_", " "))
    return f"{name} by {readable(str(cluster))}" if cluster else name


def _conditional(models: Sequence[Model]) -> str:
    """Coefficients of nonlinear models hold at given random effects, those of GEE in the population."""
    given = {
        m.name: "at given random effects"
        for m in models
        if m.scale.ratio and (m.result.estimates["component"] == "random").any()
    }
    given |= {m.name: "in the population" for m in models if m.scale.ratio and type(m.result.model).__name__ == "GEE"}
    return f"Coefficients and ratios hold {told(given)}." if given else ""


def _hidden(models: Sequence[Model], terms: Sequence[str] | None) -> Iterator[str]:
    for model in models:
        n, who = left_out(model.result, terms), f"{model.name}: " if len(models) > 1 else ""
        if n and terms is None:
            yield f"{who}{n} further estimates (equations, decompositions) are not shown."
        elif n:
            yield f"{who}{n} other {'estimates are' if n > 1 else 'estimate is'} not shown."


def _of_results(models: Sequence[Model]) -> Iterator[str]:
    """The notes of the results, each once, with the models that have it; not those on estimates that are not shown."""
    having: dict[str, list[str]] = {}
    for model in models:
        found = model.result.estimates
        hidden = set(found.loc[found["component"] == "effect", "term"]) - {line.row.term for line in model.lines}
        for note in model.result.notes:
            if note.split(" ", 1)[0] not in hidden:
                having.setdefault(unmarked(note), []).append(model.name)
    for note, names in having.items():
        who = "" if len(models) == 1 else "All models: " if len(names) == len(models) else f"{', '.join(names)}: "
        yield f"{who}{note if who else capital(note)}."
