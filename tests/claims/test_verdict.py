"""The rule on invented evidence, and the verdicts that follow from the printed one."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

import alliance_stats as al
from alliance_stats.claims import claims, claims_evidence
from alliance_stats.claims.declare import Check, Claim, Evidence, load_claim
from alliance_stats.claims.from_studies import code_check, from_original_data, study_of
from alliance_stats.claims.recompute import Recomputed
from alliance_stats.claims.verdict import judge, weigh

CLAIM = Claim("C0", "Invented", "None", "Nobody", ("pain", "sleep"), ("association", "factor structure"), (), ())


def row(low: float, high: float, *, parts=("pain", "sleep"), symbol="b", estimate=None, **changes):
    evidence = Evidence("e", "Study", "Finding", parts, "association", "interval", "nowhere")
    found = Recomputed(symbol, (low + high) / 2 if estimate is None else estimate, low, high)
    return weigh(replace(evidence, **changes), found, CLAIM)


def words(says: str, **changes):
    return row(float("nan"), float("nan"), says=says, kind="statement", **changes)


def verdict(*rows) -> str:
    return judge(CLAIM, rows).verdict


FOR, OPEN, AGAINST = row(0.1, 0.5), row(-0.1, 0.5), row(-0.5, -0.1)


def test_readings_follow_interval_side_and_scale():
    assert [r.reading for r in (FOR, OPEN, AGAINST)] == ["supports", "leaves open", "contradicts"]
    assert row(0.1, 0.5, favours="-").reading == "contradicts"
    assert row(0.5, 0.9, symbol="OR", favours="-").reading == "supports"
    assert row(0.9, 1.2, symbol="OR").reading == "leaves open"
    assert row(0.0, 0.5).reading == "leaves open"  # no effect is in the closed interval
    assert row(0.1, 0.5, favours="none").reading == "neutral"
    factors = {"symbol": "factors", "design": "factor structure"}
    assert row(float("nan"), float("nan"), estimate=3, **factors).reading == "supports"
    assert row(float("nan"), float("nan"), estimate=1, **factors).reading == "contradicts"


def test_what_cannot_carry_the_claim_or_bears_indirectly_only_speaks():
    for change in ({"design": "review without pooling"}, {"design": "randomised"}, {"bears": "indirectly"}):
        readings = [row(*ends, **change).reading for ends in ((0.1, 0.5), (-0.1, 0.5), (-0.5, -0.1))]
        assert readings == ["speaks for", "neutral", "speaks against"]


def test_the_rule():
    assert verdict() == "untested"
    assert verdict(FOR) == verdict(FOR, FOR) == "supported"
    assert verdict(FOR, AGAINST) == verdict(FOR, OPEN) == "mixed"
    assert verdict(OPEN) == verdict(AGAINST) == verdict(OPEN, AGAINST) == "not supported"


def test_words_never_make_support_but_take_it_away():
    assert verdict(words("for"), words("for")) == "untested"
    assert verdict(words("against")) == "untested"
    assert verdict(FOR, words("for")) == verdict(FOR, words("neutral")) == "supported"
    assert verdict(FOR, words("against")) == "mixed"
    assert verdict(FOR, words("against", bears="indirectly")) == "supported"
    assert verdict(OPEN, words("for")) == "not supported"


def test_a_claim_is_supported_only_where_all_its_parts_are():
    pain, sleep = (lambda *ends, p=p: row(*ends, parts=(p,)) for p in ("pain", "sleep"))
    assert verdict(pain(0.1, 0.5)) == "mixed"  # nothing on sleep
    assert verdict(pain(0.1, 0.5), sleep(0.1, 0.5)) == "supported"
    assert verdict(pain(0.1, 0.5), sleep(-0.1, 0.5)) == "mixed"
    assert verdict(pain(-0.1, 0.5)) == "not supported"
    assert verdict(pain(-0.1, 0.5), sleep(-0.5, -0.1)) == "not supported"


def test_the_order_of_the_evidence_does_not_matter_and_the_reason_counts_it():
    rows = [FOR, OPEN, words("against"), words("for"), row(0.1, 0.2, study="Other")]
    judgements = {judge(CLAIM, order) for order in (tuple(rows), tuple(reversed(rows)))}
    assert len(judgements) == 1
    (judgement,) = judgements
    assert judgement.reason.startswith(
        "Pain: mixed (2 support, 1 includes no effect; from 2 studies; 1 without an interval"
    )


def test_a_verdict_cannot_be_set():
    """Neither a claim nor a finding has a field in which one could be written."""
    names = {field.name for of in (Claim, Evidence, Check) for field in fields(of)}
    assert not {name for name in names if "verdict" in name or "override" in name or "reading" in name}
    flipped = replace(load_claim("C6"), evidence=())
    assert judge(flipped, []).verdict == "untested"


def test_the_printed_evidence_gives_these_verdicts():
    """Pinned so that a change of a number, a design or the rule is seen; C6 follows from the sources that disagree."""
    found = claims(runs=()).set_index("claim")["verdict"].to_dict()
    assert found == {
        "C1": "mixed", "C2": "supported", "C3": "mixed", "C4": "untested", "C5": "untested", "C6": "mixed", "C7": "untested",
        "C8": "untested", "C9": "mixed", "C10": "not supported", "C11": "untested",
    }  # fmt: skip
    pain = claims_evidence("C6").set_index("id")["reading"]
    assert pain[["fuentes-means", "fuentes-centres", "fuentes-congress", "fuentes-threshold"]].to_list() == [
        "leaves open", "supports", "leaves open", "leaves open",
    ]  # fmt: skip


def test_simulated_runs_check_code_and_change_no_verdict():
    run = study_of("fuentes2014").run()
    plain, given = claims(runs=()), claims(runs=[run])
    assert given["code_check"].to_list()[5] == "code check passed (2 rows)"
    assert given.drop(columns="code_check").equals(plain.drop(columns="code_check"))
    assert len(claims_evidence("C6", [run])) == len(claims_evidence("C6"))


def test_a_code_check_fails_where_the_truth_is_missed():
    run = study_of("fuentes2014").run()
    moved = replace(run, truth=run.truth.assign(value=run.truth["value"] + 100))
    assert code_check(load_claim("C6"), [moved]) == "code check failed (2 rows)"
    assert code_check(load_claim("C6"), [replace(run, truth=run.truth.iloc[:0])]) == ""
    assert code_check(load_claim("C4"), [run]) == ""


def test_original_data_are_evidence():
    own = study_of("fuentes2014").simulate(rng=6).data
    run = al.studies["fuentes2014"].run(own, therapists="single")
    assert run.evidence == "original data"
    rows = claims_evidence("C6", [run])
    added = rows[rows["source"] == run.source]
    assert len(added) == 2
    estimate = run.derived["pain/se_al"]["estimate"].iloc[0]
    assert added["estimate"].iloc[0] == pytest.approx(estimate, rel=1e-12)
    assert set(added["reading"]) <= {"supports", "leaves open", "contradicts"}
    assert code_check(load_claim("C6"), [run]) == ""
    assert len(from_original_data(load_claim("C4"), [run])) == 0


def test_rows_that_check_code_alone_are_no_evidence():
    own = al.studies["ferreira2013"].simulate(rng=5).data
    run = al.studies["ferreira2013"].run(own)
    added = claims_evidence("C5", [run])
    assert added["finding"].str.contains("importance").sum() == 1
    assert len(added) == len(claims_evidence("C5")) + 1
    changed = claims(runs=[run]).set_index("claim")["verdict"]
    assert changed["C5"] != "untested"
