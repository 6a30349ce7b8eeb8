"""The claims as frames: one row a claim with its verdict, and one row a finding with what was printed and what follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import pandas as pd

from alliance_stats.claims.audits import Fit, fit_of
from alliance_stats.claims.declare import Claim, Evidence, Pointer, load_claim, load_claims
from alliance_stats.claims.from_studies import (
    code_check,
    from_original_data,
    from_printed_table,
    printed_audit,
    stand_ins,
)
from alliance_stats.claims.recompute import Recomputed, recompute
from alliance_stats.claims.verdict import Judgement, Reading, Weighed, judge, weigh
from alliance_stats.claims.words import printed_words, recomputed_words
from alliance_stats.study.run import Run

COUNTED: tuple[Reading, ...] = ("supports", "leaves open", "contradicts", "speaks for", "speaks against", "neutral")


def claims(runs: Sequence[Run] | None = None) -> pd.DataFrame:
    """The claims about the alliance with their verdicts, one row a claim.

    Parameters
    ----------
    runs : runs of studies. Those on original data count as evidence, those on simulated data appear as ``code_check`` alone.
        By default the studies that the claims name run on their stand-ins (some seconds, once); ``()`` for none.

    Returns
    -------
    DataFrame with ``claim`` (its key), ``text``, ``verdict`` (supported, mixed, not supported, untested), ``reason``, the
    number of findings by reading (``supports leaves_open contradicts speaks_for speaks_against neutral``), ``code_check``,
    ``estimand``, ``leans_on`` and ``tests`` (what the package tests it with; "planned" where that does not exist).

    The rule is that of ``alliance_stats.claims.verdict``: computed from the findings, never set. It is a tally of intervals,
    no meta-analysis.

    >>> claims(runs=())[["claim", "verdict"]].iloc[5].to_list()
    ['C6', 'mixed']
    """
    given = stand_ins() if runs is None else tuple(runs)
    return pd.DataFrame([_claim_row(claim, given) for claim in load_claims()])


def claims_evidence(claim: str, runs: Sequence[Run] = ()) -> pd.DataFrame:
    """The findings that bear on a claim, for and against, one row a finding.

    Parameters
    ----------
    claim : its key, such as ``"C6"``.
    runs : runs of studies; those on original data add rows.

    Returns
    -------
    DataFrame with ``id claim part study finding population design bears``, ``printed`` (the numbers as printed), ``recomputed``
    with ``estimate conf_low conf_high null p_value how`` (what follows from them), ``fit`` and ``fit_detail`` (whether the
    printed numbers fit together), ``reading`` (see ``alliance_stats.claims.verdict``), ``source`` and ``note``.

    Raises AllianceError for a claim that does not exist.

    >>> rows = claims_evidence("C6")
    >>> rows.loc[rows["reading"] == "supports", ["estimate", "conf_low", "conf_high"]].round(1).values.tolist()
    [[4.6, 0.4, 8.9]]
    """
    declared = load_claim(claim)
    return pd.DataFrame([_evidence_row(declared, row) for row in weighed(declared, runs)])


def weighed(claim: Claim, runs: Iterable[Run] = ()) -> list[Weighed]:
    """The findings of a claim with their readings, in the order declared; original data last."""
    printed = [(e, recomputed(e)) for e in claim.evidence]
    return [weigh(e, found, claim) for e, found in [*printed, *from_original_data(claim, runs)]]


def judged(claim: Claim, runs: Iterable[Run] = ()) -> Judgement:
    """The verdict on a claim."""
    return judge(claim, weighed(claim, runs))


def recomputed(evidence: Evidence) -> Recomputed:
    """What follows from the printed numbers of one finding."""
    return recompute(evidence.kind, evidence.seen) if evidence.run is None else from_printed_table(evidence.run)


@cache
def _fit_of_table(run: tuple[str, str, str]) -> tuple[Fit, str]:
    checks, detail = printed_audit(run)
    return ("not checked" if not checks else "does not fit" if detail else "fits"), detail


def fit(evidence: Evidence) -> tuple[Fit, str]:
    """Whether the printed numbers of one finding fit together."""
    if evidence.run is None:
        return fit_of(evidence)
    return _fit_of_table(evidence.run) if evidence.as_printed else ("not checked", "")


def tested_with(test: Pointer) -> str:
    """A test with the public name of what does it, or "planned" where the package does not have it."""
    exists = hasattr(import_module("alliance_stats"), test.function)
    return f"{test.what}: " + (f"al.{test.function}" if exists else f"{test.function}, planned")


def _claim_row(claim: Claim, runs: Sequence[Run]) -> dict[str, Any]:
    rows = weighed(claim, runs)
    judgement, counts = judge(claim, rows), Counter(row.reading for row in rows)
    return {
        "claim": claim.id, "text": claim.text, "verdict": judgement.verdict, "reason": judgement.reason,
        **{reading.replace(" ", "_"): counts[reading] for reading in COUNTED},
        "code_check": code_check(claim, runs), "estimand": claim.estimand, "leans_on": claim.leans_on,
        "tests": "; ".join(tested_with(test) for test in claim.tests),
    }  # fmt: skip


def _evidence_row(claim: Claim, row: Weighed) -> dict[str, Any]:
    e, found = row.evidence, row.found
    verdict, detail = fit(e)
    return {
        "id": e.id, "claim": claim.id, "part": ", ".join(e.parts), "study": e.study, "finding": e.finding,
        "population": e.population, "design": e.design, "bears": e.bears, "printed": printed_words(e),
        "recomputed": recomputed_words(e, found), "estimate": found.estimate, "conf_low": found.low, "conf_high": found.high,
        "null": found.null, "p_value": found.more.get("p", float("nan")), "how": found.how, "fit": verdict,
        "fit_detail": detail, "reading": row.reading, "source": e.source, "note": e.note,
    }  # fmt: skip
