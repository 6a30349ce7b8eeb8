"""Sharf 2010: d as a logit slope of −d by SD, recovered; the factor π/√3 beside it as another question; no replication."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import alliance_stats as al
from alliance_stats.studies.sharf2010 import STUDY, WithinGroups, dichotomy_from_d, slope_from_d
from alliance_stats.synthetic.sharf import SIZES, simulate_sharf

TRIALS = 60


@pytest.fixture(scope="module")
def run():
    return STUDY.run()


def test_the_slope_is_that_of_two_normal_densities():
    """Bayes: log odds at x less log odds at x + 1 SD, whatever the share of dropouts."""
    for share in (0.1, 0.4):
        odds = [share * norm.pdf(x, -0.55) / ((1 - share) * norm.pdf(x)) for x in (0.3, 1.3)]
        assert np.log(odds[1] / odds[0]) == pytest.approx(slope_from_d(0.55), abs=1e-12)
    assert round(float(np.exp(slope_from_d(0.55))), 2) == 0.58


def test_the_other_conversion_is_for_a_rating_split_in_two():
    """Two logistic distributions of one SD, d apart, cut anywhere: the odds of being above it differ by d·π/√3."""
    scale = np.sqrt(3) / np.pi
    for cut in (-0.5, 0.2):
        above = [1 / (1 + np.exp((cut - m) / scale)) for m in (0.0, 0.55)]
        ratio = np.log(above[0] / (1 - above[0])) - np.log(above[1] / (1 - above[1]))
        assert ratio == pytest.approx(dichotomy_from_d(0.55), abs=1e-12)


def test_both_stand_beside_each_other_with_their_questions(run):
    rows = run.derived["printed/questions"].set_index("term")
    assert rows["estimate"].round(2).tolist() == [0.58, 0.37]
    assert "Another question" in rows.loc["odds ratio, alliance split in two", "answers"]
    assert run.results["printed"].tidy()["std_error"].isna().all()


def test_slope_and_difference_are_recovered():
    rows = []
    for seed in range(TRIALS):
        data = WithinGroups()(simulate_sharf(rng=seed).data)
        for analysis in STUDY.analyses[1:]:
            term = "alliance_sd" if analysis.name == "slope" else "dropped"
            row = analysis.model.fit(data).tidy().set_index("term").loc[term]
            rows.append((analysis.name, row["estimate"] + 0.55, row["conf_low"] <= -0.55 <= row["conf_high"]))
    for name, group in pd.DataFrame(rows, columns=["name", "off", "covered"]).groupby("name"):
        # the SD is estimated in 11 studies, so that d has a small-sample bias of 3/(4·df) of itself, below .001 pooled
        assert abs(group["off"].mean()) <= 3 * group["off"].std() / np.sqrt(TRIALS) + 0.002, name
        assert group["covered"].sum() >= 49, name  # fewer has a probability below .001 at a coverage of .95


def test_the_page_never_claims_a_replication(run, tmp_path):
    page = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "replicat" not in page.lower()
    assert "Nothing here reruns the eleven studies" in page
    verdicts = run.comparison()
    assert set(verdicts["verdict"]) == {"code check passed", "not recoverable"}


def test_sizes_are_the_printed_ones():
    sizes = np.array(SIZES)
    assert (sizes.sum(), len(sizes), sizes.min(), sizes.max()) == (1301, 11, 20, 451)
    assert round(sizes.mean()) == 118
    assert round(sizes.std(ddof=1)) == 115


def test_alliance_is_in_sds_within_the_groups_of_each_study():
    data = simulate_sharf(rng=3).data
    made = WithinGroups()(data.assign(alliance=data["alliance"].where(data["patient"] % 50 > 0)))
    for _, rows in made.groupby("sample"):
        within = rows["alliance_sd"] - rows.groupby("dropped")["alliance_sd"].transform("mean")
        assert (within**2).sum() / (len(rows) - 2) == pytest.approx(1)
        assert rows["alliance_sd"].mean() == pytest.approx(0, abs=1e-9)
    assert len(made) == data["patient"].mod(50).gt(0).sum()


def test_studies_that_cannot_be_standardised_are_refused():
    data = simulate_sharf(rng=3).data
    with pytest.raises(al.DataError, match="study S01 has fewer than two"):
        WithinGroups()(data[~((data["sample"] == "S01") & (data["dropped"] == 1))])
    with pytest.raises(al.DataError, match="does not vary in study S02"):
        WithinGroups()(data.assign(alliance=data["alliance"].where(data["sample"] != "S02", 5.0)))
    for wrong in ({"sizes": (5, 40)}, {"dropout": (0.5, 0.2)}, {"dropout": (0.0, 0.2)}):
        with pytest.raises(al.AllianceError, match="give"):
            simulate_sharf(**wrong)


def test_data_of_ones_own_run():
    own = simulate_sharf(rng=9, sizes=(60, 80, 90)).data.rename(columns={"sample": "study"})
    run = STUDY.run(own, rename={"study": "sample"})
    assert run.evidence == "original data"
    assert set(run.results) == {"printed", "slope", "difference"}
    two = STUDY.run(own[own["study"] != "S03"], rename={"study": "sample"})
    assert "'sample' has 2 groups, 3 needed" in two.skipped["slope"]
