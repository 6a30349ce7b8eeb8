"""From printed numbers to an estimate with a 95 % interval, one function a kind of evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from alliance_stats.errors import TargetError
from alliance_stats.models.audit.printed import NUMBER, read_printed
from alliance_stats.numerics.distributions import chi2_p_value, t_p_value, t_quantile

Numbers = Mapping[str, float]
Z = float(t_quantile(0.975, np.inf))
NAN = float("nan")
NULLS = {"OR": 1.0, "OR per SD": 1.0, "hazard ratio": 1.0}


@dataclass(frozen=True)
class Recomputed:
    """An estimate with its 95 % interval (missing where none follows) and further numbers by name.

    ``symbol`` names the estimate in print and ``null`` is its value without an effect; ``how`` says what was done and assumed.
    """

    symbol: str
    estimate: float = NAN
    low: float = NAN
    high: float = NAN
    how: str = ""
    more: Numbers = field(default_factory=dict)

    @property
    def null(self) -> float:
        """The value of the estimate without an effect."""
        return NULLS.get(self.symbol, 0.0)

    @property
    def numbers(self) -> dict[str, float]:
        """All numbers by name."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high, **self.more}


def recompute(kind: str, seen: Mapping[str, str]) -> Recomputed:
    """The recomputation of printed numbers, given as text.

    Raises TargetError for an unknown kind and for numbers that the kind needs and that are not there.

    >>> found = recompute("correlation", {"r": ".29", "n": "59"})
    >>> [round(v, 2) for v in (found.estimate, found.low, found.high)]
    [0.29, 0.04, 0.51]
    """
    if kind not in KINDS:
        raise TargetError(f"evidence: kind {kind!r} is unknown; use one of {', '.join(KINDS)}")
    numbers = {name: read_printed(text, name) for name, text in seen.items() if is_number(text)}
    values = {name: number.value for name, number in numbers.items() if number is not None}
    try:
        return KINDS[kind](values)
    except KeyError as absent:
        raise TargetError(f"evidence: kind '{kind}' needs the number {absent}; given: {', '.join(seen)}") from None


def is_number(text: str) -> bool:
    """Whether a printed text is one number: "< .001", "*" and "(ns)" are not.

    >>> is_number("−.10"), is_number("< .001")
    (True, False)
    """
    return NUMBER.fullmatch(text.strip().replace("\N{MINUS SIGN}", "-")) is not None


def correlation(x: Numbers) -> Recomputed:
    """Fisher's z with standard error 1/√(n − 3); t = r √(n − 2)/√(1 − r²)."""
    r, n = x["r"], x["n"]
    t = r * np.sqrt((n - 2) / (1 - r**2))
    half = Z / np.sqrt(n - 3)
    more = {"statistic": float(t), "df": n - 2, "p": float(t_p_value(t, n - 2))}
    low, high = np.tanh(np.arctanh(r) + np.array([-half, half]))
    return Recomputed("r", r, float(low), float(high), "Fisher's z from r and n", more)


def variance_explained(x: Numbers) -> Recomputed:
    """r = √(share), its sign taken from the words of the source; the interval as for a correlation."""
    found = correlation({"r": float(np.sqrt(x["percent"] / 100)), "n": x["n"]})
    how = "r is the root of the share of variance (one predictor; sign as the source says), Fisher's z from n"
    return Recomputed("r", found.estimate, found.low, found.high, how, found.more)


def pooled_correlation(x: Numbers) -> Recomputed:
    """Standard error on Fisher's scale from the printed limits."""
    z, low, high = np.arctanh([x["r"], x["low"], x["high"]])
    se = (high - low) / (2 * Z)
    limits = np.tanh([z - Z * se, z + Z * se])
    more = {
        "statistic": float(z / se),
        "p": float(t_p_value(z / se, np.inf)),
        "d": 2 * x["r"] / np.sqrt(1 - x["r"] ** 2),
    }
    how = "standard error from the printed limits, on Fisher's scale"
    return Recomputed("r", x["r"], float(limits[0]), float(limits[1]), how, more)


def interval(x: Numbers) -> Recomputed:
    """Standard error from the printed half-width, normal quantile.

    With ``centres`` of a trial randomised in two arms by centre: the same standard error on centres − 2 degrees of freedom.
    """
    b, se = x["estimate"], (x["high"] - x["low"]) / (2 * Z)
    p = float(t_p_value(b / se, np.inf))
    if "centres" not in x:
        more = {"se": se, "statistic": b / se, "p": p}
        return Recomputed("b", b, b - Z * se, b + Z * se, "standard error from the printed limits", more)
    df = x["centres"] - 2
    half = float(t_quantile(0.975, df)) * se
    more = {"se": se, "statistic": b / se, "df": df, "p": float(t_p_value(b / se, df)), "p_normal": p}
    how = "standard error from the printed limits; centres were randomised, so degrees of freedom are centres less two"
    return Recomputed("b", b, b - half, b + half, how, more)


def ratio(x: Numbers) -> Recomputed:
    """Standard error on the log scale from the printed half-width; the interval is centred on the printed estimate."""
    b, low, high = np.log([x["estimate"], x["low"], x["high"]])
    se = (high - low) / (2 * Z)
    more = {"se": float(se), "statistic": float(b / se), "p": float(t_p_value(b / se, np.inf)),
            "centre": float(np.exp((low + high) / 2))}  # fmt: skip
    limits = np.exp([b - Z * se, b + Z * se])
    how = "standard error from the printed limits, log scale"
    return Recomputed("OR", x["estimate"], float(limits[0]), float(limits[1]), how, more)


def coefficient(x: Numbers) -> Recomputed:
    """Estimate ± 1.96 standard errors."""
    b, se = x["estimate"], x["se"]
    more = {"statistic": b / se, "p": float(t_p_value(b / se, np.inf))}
    return Recomputed("b", b, b - Z * se, b + Z * se, "estimate ± 1.96 standard errors", more)


def paired(x: Numbers) -> Recomputed:
    """Mean change against zero: t = mean √n / SD on n − 1 degrees of freedom."""
    se, df = x["sd"] / np.sqrt(x["n"]), x["n"] - 1
    t, half = x["mean"] / se, float(t_quantile(0.975, df)) * se
    more = {"statistic": float(t), "df": df, "p": float(t_p_value(t, df))}
    return Recomputed("mean change", x["mean"], x["mean"] - half, x["mean"] + half, "t from mean, SD and n", more)


def two_intervals(x: Numbers) -> Recomputed:
    """Difference of two mean changes, SDs from their intervals (t on n − 1), Welch's degrees of freedom."""
    sizes = np.array([x["n"], x["n2"]])
    halves = np.array([x["high"] - x["low"], x["high2"] - x["low2"]]) / 2
    variances = (halves / t_quantile(0.975, sizes - 1)) ** 2
    se = float(np.sqrt(variances.sum()))
    df = float(variances.sum() ** 2 / (variances**2 / (sizes - 1)).sum())
    b = x["mean"] - x["mean2"]
    half = float(t_quantile(0.975, df)) * se
    more = {"statistic": b / se, "df": df, "p": float(t_p_value(b / se, df))}
    return Recomputed("difference", b, b - half, b + half, "SDs from the intervals of the groups, Welch", more)


def share(x: Numbers) -> Recomputed:
    """Wilson's interval of a percentage."""
    p, n = x["percent"] / 100, x["n"]
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    low, high = 100 * (centre - half), 100 * (centre + half)
    return Recomputed("%", 100 * p, float(low), float(high), "Wilson's interval", {"count": p * n})


def pooled_d(x: Numbers) -> Recomputed:
    """Standardised difference of alliance between those who stay and those who leave, as odds of leaving per SD.

    With equal normal spread in both groups the logit of leaving falls by exactly d per SD of alliance. The standard error
    √(4/N + d²/(2N)) takes equal groups and no differences between studies, so that the interval is the narrowest possible.
    """
    d, n = x["d"], x["n"]
    se = np.sqrt(4 / n + d**2 / (2 * n))
    more = {"slope": -d, "se": float(se), "statistic": float(-d / se), "p": float(t_p_value(d / se, np.inf))}
    odds = np.exp([-d, -d - Z * se, -d + Z * se])
    how = "logit slope −d per SD; interval from N alone (equal groups, no differences between studies): the narrowest there is"
    return Recomputed("OR per SD", float(odds[0]), float(odds[1]), float(odds[2]), how, more)


def d_with_p(x: Numbers) -> Recomputed:
    """Standard error of a pooled d from its two-sided p."""
    z = -float(t_quantile(x["p"] / 2, np.inf))
    se = x["d"] / z
    return Recomputed("d", x["d"], x["d"] - Z * se, x["d"] + Z * se, "standard error from the printed p", {"se": se})


def chi_squared(x: Numbers) -> Recomputed:
    """p of χ², RMSEA = √(max(0, χ² − df)/(df (n − 1))); there is no estimate with an interval."""
    chi2, df, n = x["statistic"], x["df"], x.get("n", NAN)
    more = {"p": float(chi2_p_value(chi2, df)), "rmsea": float(np.sqrt(max(0.0, chi2 - df) / (df * (n - 1))))}
    return Recomputed("χ²", how="p and RMSEA from χ², its degrees of freedom and n", more=more)


def hazard(x: Numbers) -> Recomputed:
    """exp(b), without an interval: no standard error is printed."""
    return Recomputed("hazard ratio", float(np.exp(x["b"])), how="exp(b); no standard error is printed")


def factors(x: Numbers) -> Recomputed:
    """A printed number of factors, which has no interval."""
    return Recomputed("factors", x["factors"], how="as printed")


def statement(x: Numbers) -> Recomputed:
    """Words without numbers from which an interval would follow."""
    return Recomputed("", how="nothing to recompute: no estimate with its precision is printed")


KINDS: Mapping[str, Callable[[Numbers], Recomputed]] = {
    "correlation": correlation, "variance explained": variance_explained, "pooled correlation": pooled_correlation,
    "interval": interval, "ratio": ratio, "coefficient": coefficient, "paired": paired, "two intervals": two_intervals,
    "share": share, "pooled d": pooled_d, "d with p": d_with_p, "chi-squared": chi_squared, "hazard": hazard,
    "factors": factors, "statement": statement, "run": statement,
}  # fmt: skip
