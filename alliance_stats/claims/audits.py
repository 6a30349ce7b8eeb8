"""Whether the printed numbers of a piece of evidence fit together, by the checks of ``models.audit``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from alliance_stats.claims.declare import Evidence
from alliance_stats.models.audit import audit_tests
from alliance_stats.models.audit.printed import reach, read_printed, span

Fit = Literal["fits", "does not fit", "not checked"]
Seen = Mapping[str, str]
VERDICTS: Mapping[str, Fit] = {"inconsistent": "does not fit", "consistent": "fits", "no power": "not checked"}


def fit_of(evidence: Evidence) -> tuple[Fit, str]:
    """The verdict on the printed numbers of one finding, and what was found; worst check first.

    >>> from alliance_stats.claims.declare import load_claim
    >>> by_id = {e.id: e for e in load_claim("C1").evidence}
    >>> fit_of(by_id["lawford-function"])[0]
    'does not fit'
    """
    if evidence.kind == "pooled correlation":
        return _pooled_correlation(evidence.seen)
    rows = TESTS[evidence.kind](evidence.seen) if evidence.kind in TESTS else []
    if not rows:
        return "not checked", ""
    found = audit_tests([{"item": evidence.id, **row} for row in rows])
    worst = VERDICTS[str(found["verdict"].iloc[0])]
    told = found[found["verdict"] == "inconsistent"].astype(str).to_dict("records")
    details = [f"{row['check']}: {row['detail'] or 'recomputed ' + row['recomputed']}" for row in told]
    return worst, "; ".join(details)


def _pooled_correlation(seen: Seen) -> tuple[Fit, str]:
    """Limits about r on its own scale or on Fisher's; z against p where both are printed."""
    r, low, high = (read_printed(seen[name], name) for name in ("r", "low", "high"))
    assert r is not None
    assert low is not None
    assert high is not None
    on_z = reach(lambda a, b: np.tanh((np.arctanh(a) + np.arctanh(b)) / 2), low.range, high.range)
    on_r = reach(lambda a, b: (a + b) / 2, low.range, high.range)
    if not (on_z.meets(r.range) or on_r.meets(r.range)):
        return "does not fit", f"interval centre: {span(on_z, 3)} on Fisher's scale"
    if "z" not in seen:
        return "fits", ""
    found = audit_tests([{"item": "z", "kind": "z", **_only(seen, statistic="z", p="p")}]).iloc[0]
    return VERDICTS[str(found["verdict"])], str(found["detail"])


def _only(seen: Seen, **names: str) -> dict[str, Any]:
    return {to: seen[name] for to, name in names.items() if name in seen}


def _correlation(seen: Seen) -> list[dict[str, Any]]:
    return [{"kind": "r", **_only(seen, statistic="r", n="n", p="p")}] if "p" in seen else []


def _limits(kind: str, estimate: str) -> Callable[[Seen], list[dict[str, Any]]]:
    def tests(seen: Seen) -> list[dict[str, Any]]:
        return [{"kind": kind, **_only(seen, printed=estimate, low="low", high="high", p="p")}]

    return tests


def _coefficient(seen: Seen) -> list[dict[str, Any]]:
    return _limits("estimate", "estimate")(seen) if "low" in seen else []


def _paired(seen: Seen) -> list[dict[str, Any]]:
    return [{"kind": "paired mean", **_only(seen, mean="mean", sd="sd", n="n", p="p")}] if "p" in seen else []


def _two_intervals(seen: Seen) -> list[dict[str, Any]]:
    second = {name.removesuffix("2"): text for name, text in seen.items() if name.endswith("2")}
    return [{"kind": "estimate", **_only(given, printed="mean", low="low", high="high")} for given in (seen, second)]


def _chi_squared(seen: Seen) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"kind": "chi2", **_only(seen, statistic="statistic", df="df", p="p")}]
    if "rmsea" in seen:
        rows.append({"kind": "rmsea", **_only(seen, statistic="statistic", df="df", n="n", printed="rmsea")})
    return rows


TESTS: Mapping[str, Callable[[Seen], list[dict[str, Any]]]] = {
    "correlation": _correlation, "interval": _limits("estimate", "estimate"),
    "ratio": _limits("ratio", "estimate"), "coefficient": _coefficient, "paired": _paired, "two intervals": _two_intervals,
    "chi-squared": _chi_squared,
}  # fmt: skip
