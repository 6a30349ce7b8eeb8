"""Chen 2019 from its printed table: recomputed by scipy, audited, and non-inferior whichever arm is telehealth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import alliance_stats as al
from alliance_stats.studies.chen2019 import MARGIN, STUDY
from alliance_stats.synthetic.from_summaries import on_points, simulate_chen

PRINTED = (5.13, 0.71, 54, 4.89, 0.64, 73)


@pytest.fixture(scope="module")
def run():
    return STUDY.run()


@pytest.mark.parametrize(("name", "equal"), [("printed", True), ("printed_apart", False)])
def test_differences_are_scipys(run, name, equal):
    expected = stats.ttest_ind_from_stats(*PRINTED, equal_var=equal)
    row = run.derived[f"{name}/difference"].iloc[0]
    np.testing.assert_allclose(
        [row["estimate"], row["statistic"], row["p_value"]], [0.24, expected.statistic, expected.pvalue], rtol=1e-9
    )


def test_the_printed_difference_and_its_interval_follow_within_rounding(run):
    rows = run.comparison().set_index(["analysis", "column"])["verdict"]
    assert rows["printed/difference", "estimate"] == "within rounding"
    assert rows["printed_apart/difference", "conf_low"] == "within rounding"
    assert rows["printed_apart/difference", "conf_high"] == "to the digit"
    assert rows["data", "n"] == "not recoverable"


def test_printed_analyses_rest_on_summary_statistics_and_the_data_are_called_simulated(run):
    evidence = {a.name: run.evidence_of(a) for a in STUDY.analyses}
    assert {evidence[name] for name in ("printed", "printed_apart", "printed_intervals")} == {"summary statistics"}
    assert evidence["alliance"] == "simulated"
    checks = run.comparison()
    checks = checks[checks["evidence"] == "simulated"]["verdict"]
    assert set(checks) == {"code check passed", "not recoverable"}


def test_non_inferiority_holds_whichever_arm_is_telehealth(run):
    """The one-sided 2.5 % test at the printed margin is the 95 % interval against it."""
    for name in ("printed", "printed_apart", "printed_intervals"):
        rows = run.derived[f"{name}/margin"]
        assert rows["term"].to_list() == ["first − second", "second − first"]
        assert (rows["verdict"] == "non-inferior").all()
        interval = run.derived[f"{name}/difference"].iloc[0]
        np.testing.assert_allclose(rows["limit"], [interval["conf_low"], -interval["conf_high"]], rtol=1e-9)
        assert (rows["limit"] > -MARGIN).all()


def test_the_audit_finds_the_total_and_the_interval_of_the_first_arm():
    (audit,) = STUDY.audits.values()
    found = audit()
    wrong = found[found["verdict"] == "inconsistent"].set_index("check")
    assert set(wrong.index) == {"sum", "sd against interval"}
    assert wrong.loc["sum", "recomputed"] == "54 + 73 = 127"
    assert wrong.loc["sd against interval", "item"] == "arm=printed first"
    assert "n near 67" in wrong.loc["sd against interval", "detail"]
    differences = found[found["item"] == "difference of the means"].iloc[0]
    assert differences["recomputed"] == "5.13 − 4.89 = 0.24"
    assert differences["verdict"] == "consistent"


def test_the_stand_in_has_the_printed_means_and_sds():
    """Means within 3.9 standard errors at 40,000 an arm (1 in 10,000 by chance), SDs within 2 %."""
    data = simulate_chen(rng=8, per_arm={"comparison": 40_000, "telehealth": 40_000}).data
    groups = data.groupby("arm")["alliance"]
    for arm, mean, sd in (("telehealth", 5.13, 0.71), ("comparison", 4.89, 0.64)):
        assert abs(groups.mean()[arm] - mean) < 3.9 * sd / 200
        assert groups.std()[arm] == pytest.approx(sd, rel=0.02)
    assert data["alliance"].between(1, 6).all()


def test_same_seed_same_data_and_wrong_arms_are_refused():
    assert simulate_chen(rng=2).data.equals(simulate_chen(rng=2).data)
    assert not simulate_chen(rng=2).data.equals(simulate_chen(rng=3).data)
    with pytest.raises(al.AllianceError, match="give a number for each of comparison, telehealth"):
        simulate_chen(per_arm={"telehealth": 5})
    with pytest.raises(al.AllianceError, match="use at least 2"):
        simulate_chen(per_arm={"telehealth": 1, "comparison": 9})


@pytest.mark.parametrize(("mean", "sd"), [(4.3, 1.4), (5.0, 1.3), (1.4, 0.5), (4.0, 2.9)])
def test_points_have_the_mean_and_sd_asked_for(mean, sd):
    points = np.arange(1, 8)
    p = on_points(points, mean, sd)
    assert p @ points == pytest.approx(mean, abs=1e-9)
    assert np.sqrt(p @ (points - mean) ** 2) == pytest.approx(sd, abs=1e-9)


@pytest.mark.parametrize(("mean", "sd"), [(7.5, 1.0), (4.0, 3.5), (4.5, 0.1)])
def test_impossible_means_and_sds_are_refused(mean, sd):
    """Outside the points; wider than the two ends allow; narrower than points one apart allow."""
    with pytest.raises(al.AllianceError, match="no distribution"):
        on_points(range(1, 8), mean, sd)


def test_data_of_ones_own_run(tmp_path):
    own = simulate_chen(rng=9).data.rename(columns={"alliance": "haq"})
    run = STUDY.run(own, rename={"haq": "alliance"})
    assert run.evidence == "original data"
    gap = own.groupby("arm")["haq"].mean()
    assert run.derived["alliance/difference"]["estimate"].iloc[0] == pytest.approx(
        gap["telehealth"] - gap["comparison"]
    )
    page = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "summary statistics" in page
