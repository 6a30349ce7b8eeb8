"""Checks of printed estimates with intervals: their symmetry, their p, and differences of two groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from alliance_stats.models.audit.printed import Finding, Printed, Range, reach, span, verdict_of
from alliance_stats.models.audit.tests import PrintedTest, decision, not_printed, p_finding
from alliance_stats.numerics.distributions import t_p_value, t_quantile
from alliance_stats.render.numbers import fixed

Scale = tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]
LINEAR: Scale = (lambda x: np.asarray(x, dtype=float), lambda x: np.asarray(x, dtype=float))
LOGARITHMIC: Scale = (lambda x: np.log(np.maximum(x, 0)), np.exp)
# Where the degrees of freedom are not printed, every number from here to infinity is thought possible.
FEWEST_DF = 4.0


def estimate(test: PrintedTest, level: float) -> Iterator[Finding]:
    """An estimate in the middle of its interval, and its p."""
    return _estimate(test, level, LINEAR)


def ratio(test: PrintedTest, level: float) -> Iterator[Finding]:
    """A ratio (odds, hazard, rate) in the middle of its interval on the log scale, and its p."""
    return _estimate(test, level, LOGARITHMIC)


def difference(test: PrintedTest, level: float) -> Iterator[Finding]:
    """A difference of two groups, its interval and its p, from n, mean and SD of both."""
    absent = test.missing("n", "mean", "sd", "n2", "mean2", "sd2")
    if absent:
        yield not_printed("difference", test, absent)
        return
    printed = {name: test.numbers[name] for name in ("printed", "low", "high") if name in test.numbers}
    found = reach(lambda a, b: a - b, test["mean"], test["mean2"])
    if "printed" in printed:
        yield _difference_finding(test, printed["printed"], found)
    if {"low", "high"} <= set(printed):
        yield _half_width_finding(test, printed["low"], printed["high"], level)
    if test.p is not None:
        yield _p_of_difference(test, found)


def _estimate(test: PrintedTest, level: float, scale: Scale) -> Iterator[Finding]:
    absent = test.missing("printed", "low", "high")
    if absent:
        yield not_printed("interval centre", test, absent)
        return
    forward, back = scale
    low, high = (test.numbers[name] for name in ("low", "high"))
    centre = reach(lambda a, b: back((forward(a) + forward(b)) / 2), test["low"], test["high"])
    agrees = centre.meets(test["printed"]) and low.value <= high.value
    detail = "" if agrees else _other_limits(test, scale)
    text = span(centre, max(low.decimals, high.decimals) + 1)
    printed = f"{test.numbers['printed']} ({low} to {high})"
    yield Finding("interval centre", test.item, printed, text, verdict_of(agrees), detail)
    if test.p is not None:
        yield _p_of_interval(test, level, scale)


def _other_limits(test: PrintedTest, scale: Scale) -> str:
    forward, back = scale
    low, high = (test.numbers[name] for name in ("low", "high"))
    if low.value > high.value:
        return "the lower limit is above the upper one"
    with np.errstate(divide="ignore", invalid="ignore"):
        m, a, b = (forward(test.numbers[name].value) for name in ("printed", "low", "high"))
        if not np.isfinite([m, a, b]).all():
            return "a ratio and its limits lie above zero"
        other_low, other_high = float(back(2 * m - b)), float(back(2 * m - a))
    where = "on the log scale " if scale is LOGARITHMIC else ""
    return (
        f"not symmetric {where}about the estimate; it would be with low = {fixed(other_low, low.decimals)} "
        f"or high = {fixed(other_high, high.decimals)}"
    )


def _p_of_interval(test: PrintedTest, level: float, scale: Scale) -> Finding:
    """p from estimate and half-width alone: the statistic is the quantile times their ratio."""
    assert test.p is not None
    forward, _ = scale
    df = test["df"] if "df" in test.numbers else Range(FEWEST_DF, np.inf)
    half = reach(lambda a, b: (forward(b) - forward(a)) / 2, test["low"], test["high"])
    size = reach(forward, test["printed"]).size()
    probability = (1 + level) / 2
    ends = [
        reach(
            lambda m, h, d=d: t_p_value(m / h * t_quantile(probability, d), d), size, Range(max(half.low, 0), half.high)
        )
        for d in (df.low, df.high)
    ]
    found = Range(min(e.low for e in ends) / _tails(test), max(e.high for e in ends) / _tails(test))
    agrees = found.meets(test.p.range)
    assumed = "" if "df" in test.numbers else f"any df from {FEWEST_DF:g} up"
    detail = assumed if agrees else f"interval and p disagree{decision(test.p, found)}"
    return p_finding(test, found, verdict_of(agrees), detail, "p of interval")


def _difference_finding(test: PrintedTest, printed: Printed, found: Range) -> Finding:
    agrees = found.meets(printed.range)
    decimals = max(printed.decimals, test.numbers["mean"].decimals, test.numbers["mean2"].decimals)
    off = abs(found.middle - printed.value)
    within = f"differs from the rounded means by {fixed(off, decimals)}, within rounding"
    detail = "" if off < 0.5 * 10.0**-decimals else (within if agrees else f"off by {fixed(off, decimals)}")
    return Finding("difference", test.item, str(printed), fixed(found.middle, decimals), verdict_of(agrees), detail)


def _half_width_finding(test: PrintedTest, low: Printed, high: Printed, level: float) -> Finding:
    half = reach(lambda a, b: (b - a) / 2, low.range, high.range)
    probability = (1 + level) / 2
    routes = {
        name: reach(lambda a, b, df=df, se=se: t_quantile(probability, df(a, b)) * se(a, b), test["sd"], test["sd2"])
        for name, (se, df) in _errors(test).items()
    }
    decimals = max(low.decimals, high.decimals) + 1
    fitting = [name for name, found in routes.items() if found.meets(half)]
    text = "; ".join(f"{name}: {span(found, decimals)}" for name, found in routes.items())
    detail = f"reached with {fitting[0]}" if fitting else ""
    printed = f"({low} to {high}), half-width {fixed(half.middle, decimals)}"
    return Finding("half-width of a difference", test.item, printed, text, verdict_of(bool(fitting)), detail)


def _p_of_difference(test: PrintedTest, found: Range) -> Finding:
    assert test.p is not None
    ranges = []
    for se, df in _errors(test).values():
        size = found.size()
        ranges.append(
            reach(lambda d, a, b, df=df, se=se: t_p_value(d / se(a, b), df(a, b)), size, test["sd"], test["sd2"])
        )
    fitting = [r for r in ranges if Range(r.low / _tails(test), r.high / _tails(test)).meets(test.p.range)]
    shown = fitting[0] if fitting else ranges[0]
    shown = Range(shown.low / _tails(test), shown.high / _tails(test))
    detail = "" if fitting else f"neither pooled nor separate variances give it{decision(test.p, shown)}"
    return p_finding(test, shown, verdict_of(bool(fitting)), detail, "p of a difference")


Function = Callable[..., np.ndarray]


def _errors(test: PrintedTest) -> dict[str, tuple[Function, Function]]:
    """Standard error and degrees of freedom as functions of the two SDs, in the ways an author may have chosen."""
    n, m = (test.numbers[name].value for name in ("n", "n2"))

    def pooled(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        variance = ((n - 1) * a**2 + (m - 1) * b**2) / (n + m - 2)
        return np.asarray(np.sqrt(variance * (1 / n + 1 / m)))

    def separate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(a**2 / n + b**2 / m))

    def welch(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        parts = (a**2 / n) ** 2 / (n - 1) + (b**2 / m) ** 2 / (m - 1)
        return np.asarray((a**2 / n + b**2 / m) ** 2 / parts)

    def constant(value: float) -> Function:
        return lambda a, b: np.full(np.shape(a), value)

    return {
        f"pooled SD, t({n + m - 2:g})": (pooled, constant(n + m - 2)),
        "separate SDs, Welch": (separate, welch),
        "pooled SD, z": (pooled, constant(np.inf)),
        "separate SDs, z": (separate, constant(np.inf)),
    }


def _tails(test: PrintedTest) -> float:
    return 2.0 if test.sided == 1 else 1.0
