"""Kaptchuk 2008 from its printed numbers: recomputed by scipy; which printed P follow, and which cannot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from alliance_stats.studies.kaptchuk2008 import OUTCOMES, STUDY, TABLES, printed_p
from alliance_stats.synthetic.from_summaries import simulate_kaptchuk


@pytest.fixture(scope="module")
def run():
    return STUDY.run()


@pytest.mark.parametrize("name", OUTCOMES)
def test_augmented_against_limited_is_welchs_test(run, name):
    cells = TABLES[name].set_index("arm")
    augmented, limited = (cells.loc[arm, ["mean", "sd", "n_assumed"]].astype(float) for arm in ("augmented", "limited"))
    expected = stats.ttest_ind_from_stats(*augmented, *limited, equal_var=False)
    row = run.derived[f"printed_{name}/effects"].set_index("term").loc["augmented − limited"]
    np.testing.assert_allclose([row["statistic"], row["p_value"]], [expected.statistic, expected.pvalue], rtol=1e-9)


def test_the_trend_is_half_the_way_from_the_first_arm_to_the_last(run):
    for name in OUTCOMES:
        means = TABLES[name].set_index("arm")["mean"]
        row = run.derived[f"printed_{name}/effects"].set_index("term").loc["linear trend"]
        assert row["estimate"] == pytest.approx((means["augmented"] - means["waiting list"]) / 2, rel=1e-12)
        assert row["p_value"] < 0.05


def test_shares_have_the_sd_of_a_share():
    relief = TABLES["relief"].set_index("arm")
    assert relief.loc["limited", "sd"] == pytest.approx(np.sqrt(0.44 * 0.56), rel=1e-12)
    assert TABLES["severity_fall"]["sd"].to_list() == [63, 67, 89]


def test_which_printed_p_follow():
    found = printed_p().set_index("item")
    verdicts = {name: found.loc[f"{OUTCOMES[name][0]}, augmented − limited", "verdict"] for name in OUTCOMES}
    assert verdicts == {
        "global_improvement": "consistent", "relief": "inconsistent", "severity_fall": "no power", "quality_rise": "consistent",
    }  # fmt: skip
    for name in ("relief", "severity_fall"):
        assert (
            "not reproducible from what is printed" in found.loc[f"{OUTCOMES[name][0]}, augmented − limited", "detail"]
        )


def test_no_sizes_give_the_printed_p_of_relief():
    """The most favourable rounding (43.5 and 62.5 %), and all 262 patients in the two arms: z = 3.07, p = .002."""
    z = (0.625 - 0.435) / np.sqrt((0.625 * 0.375 + 0.435 * 0.565) / 131)
    assert 0.001 < 2 * stats.norm.sf(z) < 0.003


def test_the_sizes_that_would_give_the_printed_p_of_severity_do():
    detail = printed_p().set_index("item").loc["Fall in symptom severity, augmented − limited", "detail"]
    low, high = (int(word) for word in detail.split() if word.isdigit())
    p = [
        stats.ttest_ind_from_stats(82, 89, n, 42, 67, n, equal_var=False).pvalue for n in (low, (low + high) // 2, high)
    ]
    assert p[0] > 0.007 > p[2]
    assert round(p[1], 3) == 0.007


def test_verdicts_of_simulated_and_printed_rows(run):
    rows = run.comparison()
    printed = rows[rows["evidence"] == "summary statistics"]
    assert set(printed["verdict"]) == {"same direction", "not recoverable"}
    assert set(rows[rows["evidence"] == "simulated"]["verdict"]) == {"code check passed"}
    notes = printed[printed["verdict"] == "not recoverable"]["note"]
    assert notes.str.contains("not reproducible from what is printed").all()


def test_the_stand_in_has_the_printed_means_sds_and_shares():
    """Means within 3.9 standard errors at 40,000 an arm (1 in 10,000 by chance), SDs within 2 %."""
    sizes = dict.fromkeys(("waiting list", "limited", "augmented"), 40_000)
    data = simulate_kaptchuk(rng=8, per_arm=sizes).data
    for name, table in TABLES.items():
        groups = data.groupby("arm")[name]
        for row in table.itertuples():
            assert abs(groups.mean()[row.arm] - row.mean) < 3.9 * row.sd / 200
            assert groups.std()[row.arm] == pytest.approx(row.sd, rel=0.02)
    assert set(data["global_improvement"]) == set(range(1, 8))
    assert set(data["relief"]) == {0, 1}


def test_every_measure_has_its_own_stream():
    """The streams of the outcomes are apart: no outcome of a patient follows from another."""
    data = simulate_kaptchuk(rng=3, per_arm=dict.fromkeys(("waiting list", "limited", "augmented"), 2_000)).data
    within = data[list(OUTCOMES)] - data.groupby("arm")[list(OUTCOMES)].transform("mean")
    off = within.corr().to_numpy()[np.triu_indices(4, 1)]
    assert np.abs(off).max() < 3.9 / np.sqrt(6_000)


def test_data_of_ones_own_with_missing_values_run_and_are_counted():
    own = simulate_kaptchuk(rng=9).data
    own.loc[own.index[:10], "severity_fall"] = np.nan
    run = STUDY.run(own)
    assert run.evidence == "original data"
    assert run.results["severity_fall"].glance()["n_obs"].iloc[0] == 252
    means = own.groupby("arm")["severity_fall"].mean()
    effects = run.derived["severity_fall/effects"].set_index("term")["estimate"]
    assert effects["augmented − limited"] == pytest.approx(means["augmented"] - means["limited"], rel=1e-9)
    assert run.truth is None


def test_the_report_says_what_was_assumed(run, tmp_path):
    page = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The sizes of the arms are assumed" in page
    assert "not reproducible from what is printed" in page
