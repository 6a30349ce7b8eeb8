"""Baseline, correlation, comparison and replication tables: their cells, notes and refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.errors import AllianceError, DataError
from alliance_stats.tables.baseline import baseline_table
from alliance_stats.tables.comparison import comparison_table
from alliance_stats.tables.correlation import correlation_table
from alliance_stats.tables.replication import replication_table


def patients() -> pd.DataFrame:
    frame = al.load_synthetic("ferreira2013")
    sex = np.where(frame["patient"] % 3 == 0, "female", "male")
    return frame.assign(
        sex=pd.Series(sex, index=frame.index).where(frame["patient"] != 5), chronic=frame["patient"] % 4 == 0
    )


def rows_of(made: object) -> dict[str, list[str]]:
    body = made.body  # type: ignore[attr-defined]
    return {str(row[0]).strip(): list(row[1:]) for row in body.to_numpy().tolist()}


def test_baseline_cells() -> None:
    frame = patients()
    made = baseline_table(frame, ["alliance", "rmdq_baseline", "sex", "chronic"], by="arm", median=["rmdq_baseline"])
    found = rows_of(made)
    here = frame[frame["arm"] == "GE"]
    assert found["Alliance, M (SD)"][1] == f"{here['alliance'].mean():.1f} ({here['alliance'].std():.1f})"
    low, middle, high = here["rmdq_baseline"].quantile([0.25, 0.5, 0.75])
    assert found["Rmdq baseline, Mdn [IQR]"][1] == f"{middle:.1f} [{low:.1f}, {high:.1f}]"
    known = frame["sex"].dropna()
    assert found["female"][0] == f"{(known == 'female').sum()} ({100 * (known == 'female').mean():.0f})"
    assert found["Missing, n"][0] == "1"
    assert found["yes"][0] == f"{frame['chronic'].sum()} ({100 * frame['chronic'].mean():.0f})"
    assert made.headings[1] == f"All\n(\ue000n\ue001 = {len(frame)})"
    assert any("No p-values" in note for note in made.notes)
    assert any("largest of two groups, without its sign" in note for note in made.notes)
    assert all(float(cells[-1]) >= 0 for cells in found.values() if cells[-1])


def test_baseline_of_two_arms_with_intervals_and_of_one_group() -> None:
    frame = patients()
    two = frame[frame["arm"] != "SMT"]
    made = baseline_table(two, ["alliance"], by="arm", intervals=True, total=False, style="jama")
    a, b = (two.loc[two["arm"] == arm, "alliance"] for arm in ("GE", "MCE"))
    d = (a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)
    half = 1.959964 * np.sqrt((len(a) + len(b)) / (len(a) * len(b)) + d**2 / (2 * (len(a) + len(b))))
    assert rows_of(made)["Alliance, mean (SD)"][-1] == f"{d:.2f}\n({d - half:.2f} to {d + half:.2f})".replace("-", "−")
    alone = baseline_table(frame, ["alliance", "gpe_8w"], categorical=["gpe_8w"], title="Patients")
    assert alone.headings == ("", f"All\n(\ue000n\ue001 = {len(frame)})")
    assert len(alone.body) > 3
    assert not any("p-values" in note for note in alone.notes)


def test_baseline_counts_those_without_an_arm() -> None:
    frame = patients()
    made = baseline_table(frame.assign(arm=frame["arm"].where(frame["patient"] > 3)), ["alliance"], by="arm")
    assert "3 patients without a group left out." in made.notes
    assert f"= {len(frame) - 3})" in made.headings[1]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"variables": ["aliance"]}, "no column 'aliance'"),
        ({}, {"variables": "alliance"}, "give a list"),
        ({}, {"variables": ["arm"], "by": "arm"}, "both the group and a variable"),
        ({}, {"variables": ["alliance"], "median": ["sex"]}, "no column 'sex'"),
        ({"patient": 1}, {"variables": ["alliance"]}, "rows repeat a patient"),
        ({"arm": None}, {"variables": ["alliance"], "by": "arm"}, "no row has a value of 'arm'"),
        ({"alliance": np.inf}, {"variables": ["alliance"]}, "infinite"),
        ({"alliance": pd.Timestamp("2020-01-01")}, {"variables": ["alliance"]}, "holds dates"),
    ],
)
def test_baseline_refuses(change: dict[str, object], options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        baseline_table(patients().assign(**change), **options)  # type: ignore[arg-type]


def test_correlations_by_group_and_listwise() -> None:
    frame = patients()
    names = ["alliance", "pain_baseline", "pain_8w"]
    made = correlation_table(frame, names, by="arm")
    here = frame[frame["arm"] == "GE"]
    r = here["alliance"].corr(here["pain_8w"])
    assert made.body.iloc[2, 4] == f"{r:.2f}".replace("0.", ".").replace("-", "−")
    assert set(made.groups) == {"Arm: GE", "Arm: MCE", "Arm: SMT"}
    full = correlation_table(frame, names, missing="listwise")
    assert set(full.body["n"]) == {str(len(frame.dropna(subset=names)))}
    lost = len(frame) - len(frame.dropna(subset=names))
    assert f"{lost} rows left out for missing values." in full.notes
    pairwise = correlation_table(frame, names, intervals=True)
    assert pairwise.body.iloc[1, 4].count("\n") == 1
    assert any("pairwise complete: 170 to 182 patients" in note for note in pairwise.notes)


def test_correlations_within_and_between_patients_stand_on_both_sides() -> None:
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(40), 5)
    level = rng.normal(size=40)[patient]
    bond = level + 0.5 * rng.normal(size=200)
    frame = pd.DataFrame(
        {"patient": patient, "bond": bond, "pain": 2 * level - (bond - level) + 0.2 * rng.normal(size=200)}
    )
    made = correlation_table(frame, ["bond", "pain"], within="patient")
    inside, between = made.body.iloc[1, 5], made.body.iloc[0, 6]
    assert inside.startswith("−.")  # better sessions have less pain, patients with a better bond have more
    assert between.startswith(".")
    assert any("Below the diagonal: within the patient" in note for note in made.notes)
    with pytest.raises(DataError, match="say within='patient'"):
        correlation_table(frame, ["bond", "pain"])
    for wrong, message in (
        ({"variables": ["bond"]}, "two different columns"),
        ({"variables": ["bond", "bond"]}, "two different columns"),
        ({"variables": ["bond", "pain"], "missing": "casewise"}, "use 'pairwise' or 'listwise'"),
    ):
        with pytest.raises(DataError, match=message):
            correlation_table(frame, within="patient", **wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="does not hold finite numbers"):
        correlation_table(patients(), ["alliance", "sex"])


def test_comparison_has_the_numbers_of_compare() -> None:
    frame = patients()
    small = al.LinearModel("pain_8w ~ alliance + pain_baseline").fit(frame)
    large = al.MixedModel("pain_8w ~ alliance + pain_baseline + (1 | therapist)").fit(frame)
    made, found = comparison_table(small, large, names=("Without", "With")), al.compare(small, large)
    last = made.body.iloc[1]
    assert last["χ²"] == f"{found['statistic'].iloc[1]:.2f}"
    assert last["df"] == "1"
    assert float("0" + last["p"]) == pytest.approx(found["p_value"].iloc[1], abs=5e-4)
    assert last["aic"] == f"{found['aic'].iloc[1]:.2f}"
    assert float(last["log_likelihood"].replace("−", "-")) == pytest.approx(-found["deviance"].iloc[1] / 2, abs=5e-3)
    assert "Distribution under the smaller model: row 2: ½χ²(0) + ½χ²(1)." in made.notes
    assert "Likelihood ratio tests of fits by maximum likelihood." in made.notes
    with pytest.raises(AllianceError, match="two fitted models or more"):
        comparison_table(small)
    with pytest.raises(AllianceError, match="need as many names"):
        comparison_table(small, large, names=("A",))


def test_replication_has_the_numbers_of_the_run() -> None:
    run = al.studies["fuentes2014"].run()
    made, found = replication_table(run, sources=True), run.comparison()
    assert len(made.body) == len(found)
    assert sorted(made.body["verdict"]) == sorted(found["verdict"])
    assert set(made.body["source"]) == set(found["source"])
    assert any("Simulated data check the code, never the paper" in note for note in made.notes)
    assert any("probably missing a minus sign" in note for note in made.notes)
    assert "Table 1" in str(made.to("html"))


def test_the_truth_behind_a_p_value_is_that_of_the_effect() -> None:
    """A true effect of zero is no p-value of zero."""
    made = replication_table(al.studies["ferreira2013"].run()).body
    rows = made[made["quantity"] == "p-value"]
    assert rows["truth"].tolist() == ["0"] * 3
    assert all(text.startswith("p = .") for text in rows["rerun"])
    printed = replication_table(al.studies["lonsdale2017"].run()).body
    assert printed.loc[printed["quantity"] == "p-value", "printed"].tolist() == ["p = .01"] * 3
