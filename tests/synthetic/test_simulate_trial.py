"""The composed trial: its truth comes back, its parts are independent of one another, wrong declarations are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.errors import AllianceError
from alliance_stats.synthetic.items import thresholds_of


def logit(X: pd.DataFrame, y: np.ndarray, trials: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors, robust to extra-binomial variation where there are trials."""
    import statsmodels.api as sm

    response = y if trials is None else np.column_stack([y, trials - y])
    fit = sm.GLM(response, sm.add_constant(X), family=sm.families.Binomial()).fit(cov_type="HC0")
    return fit.params.to_numpy(), fit.bse.to_numpy()


def assert_near(found: np.ndarray, std_error: np.ndarray, truth: list[float]) -> None:
    """Within four standard errors: the seeds are fixed, so that this passes always or never."""
    assert (np.abs(found - np.array(truth)) <= 4 * std_error).all(), (found, std_error, truth)


@pytest.mark.parametrize("options", [{}, {"nested": True, "missing_pain": 0.2, "therapists": 40}])
def test_the_outcome_model_recovers_its_truth(options):
    trial = al.simulate_trial(rng=11, patients=1500, alliance_arm=2.0, **{"therapists": 30, **options})
    result = trial.models["outcome"].fit(trial.data)
    rows = result.tidy().query("component == 'fixed'").set_index("term")
    names = [name for name in trial.truth.query("analysis == 'outcome'")["term"] if not name.startswith("sd(")]
    truth = [trial.true_value("outcome", name) for name in names]
    assert_near(rows.loc[names, "estimate"].to_numpy(), rows.loc[names, "std_error"].to_numpy(), truth)
    random = result.tidy().query("component in ('random', 'residual')")
    for row in random.itertuples():
        name = row.term if row.component == "residual" else f"{row.term}|{row.group}"
        assert row.estimate == pytest.approx(trial.true_value("outcome", name), rel=0.25)


def test_a_reverse_path_biases_the_outcome_model():
    """The rating follows earlier pain, and with it the patient's random effects: the slope within patients is drawn to 0."""
    trial = al.simulate_trial(rng=11, patients=1500, therapists=30, early="strong")
    row = trial.models["outcome"].fit(trial.data).tidy().set_index("term").loc["true_alliance_session"]
    assert row["estimate"] - 3 * row["std_error"] > trial.true_value("outcome", "true_alliance_session")


def test_who_leaves_and_why():
    trial = al.simulate_trial(rng=5, patients=8000, therapists=200, hazard_better=0.03, hazard_not_better=0.05, residual=0.01,
                              within=0.0, between=0.0, outcome_icc=0.0)  # fmt: skip
    data = trial.data
    last = data["session"] == data.groupby("patient")["session"].transform("max")
    planned = data["session"] < 8
    level = data.groupby("therapist")["true_alliance_patient"].transform("mean")
    fallen = data.groupby("patient")["pain"].transform("first") - data["pain"]
    for cause, X, terms in (
        ("not better", pd.DataFrame({"own": data["true_alliance_patient"] - level, "theirs": level - 50}),
         ["Intercept", "alliance within therapists", "alliance of the therapist"]),
        ("better", pd.DataFrame({"fallen": fallen}), ["Intercept", "fall of pain"]),
    ):  # fmt: skip
        gone = (last & (data["ended"] == cause)).to_numpy()
        at_risk = planned & (
            gone | ~(last & (data["ended"] != "completed"))
        )  # against staying: the other cause is set apart
        found = logit(X[at_risk], gone[at_risk].astype(float))
        assert_near(*found, [trial.true_value(cause, term) for term in terms])


def test_adherence_is_beta_binomial_with_the_log_odds_declared():
    trial = al.simulate_trial(rng=6, patients=1500, therapists=30, adherence=-0.28)
    data, acting = trial.data, trial.data["true_alliance_patient"] + trial.data["true_alliance_session"]
    found = logit(pd.DataFrame({"a": acting - 50}), data["completed"].to_numpy(), data["assigned"].to_numpy())
    assert_near(*found, [trial.true_value("adherence", "Intercept"), trial.true_value("adherence", "alliance")])
    inflated = al.simulate_trial(rng=6, patients=1500, therapists=30, none_done=0.1, all_done=0.2).data
    share = (
        inflated["completed"].isin([0, 7]).mean()
        - al.simulate_trial(rng=6, patients=1500, therapists=30).data["completed"].isin([0, 7]).mean()
    )
    assert 0.15 < share < 0.3


def test_early_improvement_raises_alliance():
    off, strong = (
        al.simulate_trial(rng=7, patients=2000, therapists=30, within=0.0, between=0.0, early=e).data
        for e in ("off", "strong")
    )

    def later(data: pd.DataFrame) -> float:
        fallen = data.groupby("patient")["pain"].transform("first") - data["pain"]
        before = fallen.groupby(data["patient"]).shift(1)
        rows = before.notna() & (data["session"] > 2)
        return float(np.corrcoef(before[rows], data["true_alliance_session"][rows])[0, 1])

    assert abs(later(off)) < 0.05
    assert later(strong) > 0.3


def test_the_wai_has_the_marginals_of_the_literature():
    """Mean 52.6, SD 8.0, 25 % at 60, skew −1.2; within four Monte Carlo errors of 40,000 independent raters."""
    n = 40_000
    answers = al.simulate_items(
        "wai_sr", np.random.default_rng(3).standard_normal(n), rng=3, items="wai_{}", reverse=[]
    )
    total = answers.sum(axis=1)
    assert total.mean() == pytest.approx(52.6, abs=0.05 + 4 * 8 / np.sqrt(n))
    assert total.std() == pytest.approx(8.0, abs=0.05 + 4 * 8 / np.sqrt(2 * n))
    assert (total == 60).mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / n))
    assert total.skew() == pytest.approx(-1.2, abs=0.05 + 4 * np.sqrt(6 / n))


@pytest.mark.parametrize(
    "key", ["wai_sr", "wai_s", "care", "rmdq", "psfs", "nprs", "tsk_17", "pseq", "pcs", "hads", "gpe", "siras"]
)
def test_items_of_any_questionnaire(key):
    key_of, latent = al.instrument(key), np.random.default_rng(4).standard_normal(4000)
    reverse = list(key_of.reverse.items or ())
    answers = al.simulate_items(key, latent, rng=4, reverse=reverse, ceiling=0.1)
    assert answers.shape == (4000, key_of.items)
    assert answers.min(axis=None) >= key_of.answers.low
    assert answers.max(axis=None) <= key_of.answers.high
    for number in range(1, key_of.items + 1):
        sign = -1 if number in reverse else 1
        assert sign * np.corrcoef(latent, answers[f"item_{number}"])[0, 1] > 0.4
    top = [key_of.answers.low if i in reverse else key_of.answers.high for i in range(1, key_of.items + 1)]
    assert (answers == top).all(axis=1).mean() == pytest.approx(0.1, abs=0.02)


def test_rows_are_sessions_attended_and_ratings_begin_when_declared():
    data = al.simulate_trial(
        rng=8, instrument="wai_sr", rated_from=2, missing_items=0.02, hazard_not_better=0.2, integer=True
    ).data
    assert not data.duplicated(["patient", "session"]).any()
    assert (data.groupby("patient")["session"].agg(lambda s: list(s) == list(range(1, len(s) + 1)))).all()
    ended = data.groupby("patient").agg(ended=("ended", "first"), last=("session", "max"))
    assert ((ended["last"] == 8) == (ended["ended"] == "completed")).all()
    assert data.loc[data["session"] == 1, "alliance"].isna().all()
    assert data["alliance"].dropna().between(12, 60).all()
    assert set(data["pain"].unique()) <= set(range(11))


def test_a_change_of_one_part_leaves_the_others_alone():
    one, other = al.simulate_trial(rng=9).data, al.simulate_trial(rng=9, adherence=1.0, missing_pain=0.3).data
    pd.testing.assert_frame_equal(one.drop(columns=["completed", "pain"]), other.drop(columns=["completed", "pain"]))
    pd.testing.assert_frame_equal(one, al.simulate_trial(al.TrialDesign(), rng=9).data)


def test_parameters_name_their_sources():
    frame = al.simulate_trial(rng=1).parameters.set_index("name")
    assert frame.loc["leave_patient", "source"].startswith("Huppert 2014")
    assert frame.loc["week", "source"] == "assumed"
    assert frame["meaning"].str.len().min() > 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"early": "much"}, "early is 'much'; use one of 'off', 'moderate', 'strong'"),
        ({"outcome_icc": 1.0}, "outcome_icc is 1.0"),
        ({"arms": ("a", "a")}, "name each once"),
        ({"patients": 5, "therapists": 6}, "5 patients of 6 therapists"),
        ({"nested": True, "therapists": 1}, "in 2 arms; use more"),
        ({"rated_from": 9}, "8 sessions, rated from 9"),
        ({"alliance_shares": (0.5, 0.5)}, "their sum must be below 1"),
        ({"hazard_better": 0.6, "hazard_not_better": 0.5}, "add up to 1 or more"),
        ({"exercises": 0}, "0 exercises"),
        ({"instrument": "wai"}, "wai"),
    ],
)  # fmt: skip
def test_declarations_that_make_no_trial(change, message):
    with pytest.raises(AllianceError, match=message):
        al.simulate_trial(rng=1, **change)


def test_items_that_cannot_be_drawn():
    with pytest.raises(AllianceError, match="wai_sr: which items are reversed is not confirmed"):
        al.simulate_items("wai_sr", np.zeros(2), rng=1)
    with pytest.raises(AllianceError, match=r"ceiling is 1\.5"):
        al.simulate_items("wai_sr", np.zeros(2), rng=1, reverse=[], ceiling=1.5)
    with pytest.raises(AllianceError, match="nothing to choose"):
        thresholds_of(1)
