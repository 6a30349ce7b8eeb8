"""The three-arm trial: reproducible, on its scales, with the marginals and the truth it promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import AllianceError
from alliance_stats.models.linear import LinearModel
from alliance_stats.synthetic import simulate_ferreira

ITEMS = [f"wai_{j}" for j in range(1, 13)]
COLUMNS = [
    "patient", "therapist", "arm", *ITEMS, "alliance", "psfs_baseline", "pain_baseline", "rmdq_baseline",
    "psfs_session2", "pain_session2", "rmdq_session2", "psfs_8w", "gpe_8w", "pain_8w", "rmdq_8w",
]  # fmt: skip
OUTCOMES = ["psfs_8w", "gpe_8w", "pain_8w", "rmdq_8w"]
SCALES = {"psfs": (3, 30), "gpe": (-5, 5), "pain": (0, 10), "rmdq": (0, 24)}
FORMULAS = {
    "gpe": "gpe_8w ~ alliance + arm",
    "gpe_by_arm": "gpe_8w ~ alliance * arm",
    **{y: f"{y}_8w ~ alliance + arm + {y}_baseline" for y in ("psfs", "pain", "rmdq")},
    **{f"{y}_at_rating": f"{y}_8w ~ alliance + arm + {y}_baseline + {y}_session2" for y in ("psfs", "pain", "rmdq")},
    **{f"{y}_by_arm": f"{y}_8w ~ alliance * arm + {y}_baseline" for y in ("psfs", "pain", "rmdq")},
    "gpe_arms": "gpe_8w ~ arm",
    **{f"{y}_arms": f"{y}_8w ~ arm + {y}_baseline" for y in ("psfs", "pain", "rmdq")},
}
LEVELS = {f"{y}_{level}" for y in ("psfs", "pain", "rmdq") for level in ("course", "therapists")}  # mixed models
DERIVED = {"MCE − GE", "SMT − GE", "SMT − MCE", "alliance:arm"}  # differences of slopes or means, and a joint test
N = 20_000
NO_THERAPISTS = {"alliance_icc": 0.0, "outcome_icc": 0.0}


@pytest.fixture(scope="module")
def large() -> pd.DataFrame:
    return simulate_ferreira(N, 5, **NO_THERAPISTS).data


def near(share: float, n: int = N) -> float:
    """Three Monte Carlo standard errors of a share."""
    return 3 * np.sqrt(share * (1 - share) / n)


def test_same_seed_same_bytes():
    first, second = simulate_ferreira(rng=3), simulate_ferreira(rng=3)
    assert first.data.to_csv() == second.data.to_csv()
    assert first.truth.to_csv() == second.truth.to_csv()
    assert first.parameters.to_csv() == second.parameters.to_csv()
    assert first.data.to_csv() != simulate_ferreira(rng=4).data.to_csv()


def test_a_generator_and_a_sequence_stand_for_their_seed():
    from_int = simulate_ferreira(rng=3).data
    pd.testing.assert_frame_equal(simulate_ferreira(rng=np.random.default_rng(3)).data, from_int)
    pd.testing.assert_frame_equal(simulate_ferreira(rng=np.random.SeedSequence(3)).data, from_int)


def test_columns_and_rows():
    data = simulate_ferreira().data
    assert list(data.columns) == COLUMNS
    assert data["patient"].tolist() == list(range(1, 183))
    assert data["arm"].value_counts().to_dict() == {"GE": 61, "MCE": 61, "SMT": 60}
    assert data["therapist"].str.fullmatch(r"T\d\d").all()
    assert data["therapist"].dtype == data["arm"].dtype == "str"


def test_leaving_the_items_out_changes_nothing_else():
    data = simulate_ferreira(rng=3).data
    pd.testing.assert_frame_equal(simulate_ferreira(rng=3, items=False).data, data.drop(columns=ITEMS))


def test_reverse_path_leaves_everything_before_the_rating_alone():
    off, strong = simulate_ferreira(rng=3).data, simulate_ferreira(rng=3, early_improvement="strong").data
    changed = [name for name in COLUMNS if not off[name].equals(strong[name])]
    assert set(changed) <= {*ITEMS, "alliance", *OUTCOMES}
    assert "alliance" in changed
    assert off["psfs_8w"].isna().equals(strong["psfs_8w"].isna())


def test_missing_values_leave_the_draws_alone():
    gaps, full = simulate_ferreira(rng=3).data, simulate_ferreira(rng=3, missing=False).data
    assert not full.isna().any().any()
    assert gaps[ITEMS].isna().any().any()
    pd.testing.assert_frame_equal(gaps[ITEMS].fillna(full[ITEMS]), full[ITEMS])
    complete = gaps.notna().all(axis=1)
    pd.testing.assert_frame_equal(gaps[complete], full[complete])


@pytest.mark.parametrize(
    ("option", "touched"),
    [
        ({"alliance_effect": {"pain": 0.0}}, {"pain_8w"}),
        ({"interaction": "none"}, {"gpe_8w"}),
        ({"outcome_icc": 0.0}, set(OUTCOMES)),
        ({"alliance_icc": 0.0}, {*ITEMS, "alliance", *OUTCOMES}),
        ({"acts_through": "latent"}, set(OUTCOMES)),
    ],
)
def test_an_option_changes_only_what_it_is_about(option, touched):
    plain, other = simulate_ferreira(rng=3).data, simulate_ferreira(rng=3, **option).data
    changed = {name for name in COLUMNS if not plain[name].equals(other[name])}
    assert changed
    assert changed <= touched


def test_whole_numbers_are_the_continuous_values_rounded_and_clipped():
    whole, exact = simulate_ferreira(rng=3).data, simulate_ferreira(rng=3, integer=False).data
    assert whole["alliance"].equals(exact["alliance"])
    for name in ("psfs_baseline", "rmdq_session2", "gpe_8w"):
        low, high = SCALES[name.partition("_")[0]]
        np.testing.assert_array_equal(whole[name], exact[name].round().clip(low, high))


def test_scales_are_respected(large):
    assert set(large[ITEMS].melt()["value"].dropna()) == {1, 2, 3, 4, 5}
    assert large["alliance"].min() >= 12
    assert large["alliance"].max() == 60
    for name, (low, high) in SCALES.items():
        for column in large.filter(like=f"{name}_"):
            values = large[column].dropna()
            assert values.between(low, high).all()
            assert (values == values.round()).all()
            assert not np.signbit(values[values == 0]).any()


def test_alliance_is_the_prorated_sum(large):
    answered = large[ITEMS].notna().sum(axis=1)
    assert large["alliance"].isna().equals(answered < 10)  # more than 20 % of twelve items missing
    expected = large[ITEMS].mean(axis=1) * 12
    rated = large["alliance"].notna()
    np.testing.assert_allclose(large["alliance"][rated], expected[rated], rtol=1e-12)


def test_missing_shares(large):
    shares = large[ITEMS].isna().mean()
    for share, wanted in zip(shares, np.linspace(0.01, 0.03, 12), strict=True):
        assert share == pytest.approx(wanted, abs=near(wanted))
    lost = large[OUTCOMES].isna()
    assert (lost.all(axis=1) == lost.any(axis=1)).all()
    assert lost["psfs_8w"].mean() == pytest.approx(0.07, abs=near(0.07))
    assert not large[["psfs_baseline", "pain_session2"]].isna().any().any()


def test_loss_depends_on_baseline_and_arm_but_not_on_the_alliance(large):
    frame = large.assign(lost=large["psfs_8w"].isna().astype(float))
    fit = LinearModel("lost ~ psfs_baseline + arm + alliance + psfs_session2", vcov="HC3").fit(frame)
    p = fit.tidy().set_index("term")["p_value"]
    assert p["psfs_baseline"] < 1e-6
    assert p["arm[T.SMT]"] < 0.01
    assert p["alliance"] > 0.01
    assert p["psfs_session2"] > 0.01


def test_ratings_have_the_marginals_of_alliance_scales(large):
    # 52.55, 7.96 and 25 % are exact for complete ratings; a gap moves the share at 60 by less than .01
    assert large["alliance"].mean() == pytest.approx(52.55, abs=3 * 8 / np.sqrt(N))
    assert large["alliance"].std() == pytest.approx(7.96, abs=0.2)
    assert (large["alliance"] == 60).mean() == pytest.approx(0.255, abs=near(0.25) + 0.005)


def test_ceilings_by_arm_come_out():
    shares = {"GE": 0.12, "MCE": 0.25, "SMT": 0.5}
    data = simulate_ferreira(N, 6, ceiling=shares, missing=False, early_improvement="strong", alliance_icc=0.0).data
    for arm, share in shares.items():
        at_maximum = (data.loc[data["arm"] == arm, "alliance"] == 60).mean()
        assert at_maximum == pytest.approx(share, abs=near(share, N // 3))


def test_published_arm_effects_and_spread(large):
    exact = simulate_ferreira(N, 5, integer=False, missing=False, **NO_THERAPISTS).data
    psfs = LinearModel("psfs_8w ~ arm + psfs_baseline").fit(exact)
    gpe = LinearModel("gpe_8w ~ arm").fit(exact)
    for fit, effects, sd in ((psfs, (2.9, 2.3), 6.0), (gpe, (1.7, 1.2), 2.4)):
        rows = fit.tidy().set_index("term")
        for term, effect in zip(("arm[T.MCE]", "arm[T.SMT]"), effects, strict=True):
            assert rows.loc[term, "estimate"] == pytest.approx(effect, abs=3 * rows.loc[term, "std_error"])
        assert fit.glance()["sigma"].iloc[0] == pytest.approx(sd, abs=4 * sd / np.sqrt(2 * N))


def test_caseloads_are_unequal_and_crossed_with_the_arms():
    data = simulate_ferreira(600, 1).data
    loads = data["therapist"].value_counts()
    assert len(loads) == 12
    assert loads.max() > 2.5 * loads.min()
    assert (pd.crosstab(data["therapist"], data["arm"]) > 0).all().all()


def test_therapists_make_their_share_of_the_variance():
    data = simulate_ferreira(N, 8, therapists=1000, integer=False, missing=False, interaction="none").data
    adjusted = LinearModel("psfs_8w ~ arm + psfs_baseline").fit(data).augment().assign(therapist=data["therapist"])
    # with 1,000 therapists the Monte Carlo error of an ICC near .05 is about .005, near .1 about .006
    assert _icc(adjusted, "residual") == pytest.approx(0.05, abs=0.02)
    assert _icc(data, "alliance") == pytest.approx(0.1 * 0.87, abs=0.02)  # items dilute the latent ICC of .1


def _icc(data: pd.DataFrame, column: str) -> float:
    """One-way analysis of variance estimator for unequal groups."""
    groups = data.groupby("therapist")[column]
    n, k, sizes = len(data), groups.ngroups, groups.size()
    within = float(((data[column] - groups.transform("mean")) ** 2).sum() / (n - k))
    between = float((sizes * (groups.mean() - data[column].mean()) ** 2).sum() / (k - 1))
    size = (n - float((sizes**2).sum()) / n) / (k - 1)
    return (between - within) / (between + (size - 1) * within)


def test_pain_is_heaped_at_5_and_8():
    counts = simulate_ferreira(N, 9).data["pain_baseline"].value_counts()
    assert counts[5] > 1.3 * max(counts[4], counts[6])
    assert counts[8] > 1.3 * counts[7]


@pytest.mark.parametrize("analysis", FORMULAS)
def test_truth_names_terms_of_the_models(analysis):
    trial = simulate_ferreira(rng=2)
    rows = trial.truth[trial.truth["analysis"] == analysis]
    assert len(rows)
    coefficients = set(LinearModel(FORMULAS[analysis]).fit(trial.data).tidy()["term"])
    assert set(rows["term"]) <= coefficients | (
        DERIVED if analysis.endswith("arm") or analysis.endswith("arms") else set()
    )


def test_truth_covers_exactly_the_analyses():
    assert set(simulate_ferreira().truth["analysis"]) == {*FORMULAS, *LEVELS}


def test_alliance_acts_on_the_last_wave_alone_within_as_between_therapists():
    trial = simulate_ferreira(alliance_effect={"rmdq": -0.2})
    assert trial.true_value("rmdq_course", "session 2 − baseline") == 0
    for analysis, term in (
        ("rmdq_course", "8 weeks − session 2"),
        ("rmdq_course", "8 weeks − baseline"),
        ("rmdq_therapists", "alliance_within"),
        ("rmdq_therapists", "alliance_between"),
    ):
        assert trial.true_value(analysis, term) == -0.2
    assert "gpe_therapists" not in set(trial.truth["analysis"])  # its slopes differ by arm
    assert "gpe_therapists" in set(simulate_ferreira(interaction="none").truth["analysis"])


def test_truth_of_gpe():
    trial = simulate_ferreira()
    assert trial.true_value("gpe_by_arm", "alliance:arm[T.MCE]") == pytest.approx(0.15, abs=1e-12)
    assert trial.true_value("gpe_by_arm", "alliance:arm[T.SMT]") == 0
    # .07 with equal arms; 61, 61 and 60 patients and unequal losses weight the slopes a little
    assert trial.true_value("gpe", "alliance") == pytest.approx(0.07, abs=0.0005)
    assert simulate_ferreira(180, missing=False).true_value("gpe", "alliance") == pytest.approx(0.07, abs=1e-12)


def test_truth_of_gpe_where_the_arms_differ_at_the_maximum():
    trial = simulate_ferreira(
        120_000, 11, ceiling={"GE": 0.12, "MCE": 0.25, "SMT": 0.5}, integer=False, **NO_THERAPISTS
    )
    rows = LinearModel("gpe_8w ~ alliance + arm", vcov="HC3").fit(trial.data).tidy().set_index("term")
    for term in ("alliance", "arm[T.MCE]", "arm[T.SMT]"):
        true = trial.true_value("gpe", term)
        assert rows.loc[term, "estimate"] == pytest.approx(true, abs=3 * rows.loc[term, "std_error"])


@pytest.mark.parametrize("ceiling", [0.25, {"GE": 0.12, "MCE": 0.25, "SMT": 0.5}])
def test_truth_of_the_arms_without_alliance_in_the_model(ceiling):
    trial = simulate_ferreira(120_000, 13, ceiling=ceiling, integer=False, **NO_THERAPISTS)
    for name in ("psfs", "gpe"):
        rows = LinearModel(FORMULAS[f"{name}_arms"], vcov="HC3").fit(trial.data).tidy().set_index("term")
        for arm in ("MCE", "SMT"):
            true, row = trial.true_value(f"{name}_arms", f"{arm} − GE"), rows.loc[f"arm[T.{arm}]"]
            assert row["estimate"] == pytest.approx(true, abs=3 * row["std_error"])


@pytest.mark.parametrize("level", ["moderate", "strong"])
def test_early_improvement_confounds_only_what_leaves_the_rating_time_out(level):
    trial = simulate_ferreira(N, 12, early_improvement=level, integer=False, **NO_THERAPISTS)
    true = trial.true_value("psfs", "alliance")
    assert true == simulate_ferreira().true_value("psfs", "alliance")
    naive = LinearModel(FORMULAS["psfs"]).fit(trial.data).tidy().set_index("term").loc["alliance"]
    adjusted = LinearModel(FORMULAS["psfs_at_rating"]).fit(trial.data).tidy().set_index("term").loc["alliance"]
    assert naive["estimate"] - true > 10 * naive["std_error"]
    assert adjusted["estimate"] == pytest.approx(true, abs=3 * adjusted["std_error"])


def test_latent_alliance_leaves_only_interactions_in_the_truth():
    truth = simulate_ferreira(acts_through="latent").truth
    assert set(truth["analysis"]) == {"psfs_by_arm", "pain_by_arm", "rmdq_by_arm"}
    assert (truth["value"] == 0).all()


def test_every_parameter_has_a_source():
    parameters = simulate_ferreira().parameters
    assert list(parameters.columns) == ["name", "value", "meaning", "source"]
    assert parameters["name"].is_unique
    assert (parameters["source"].str.len() > 0).all()
    source = parameters.set_index("name")["source"]
    assert source["psfs_MCE"].startswith("Ferreira ML 2007")
    assert source["psfs_alliance_GE"] == "assumed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"early_improvement": "huge"}, "early_improvement is 'huge'"),
        ({"interaction": "pain"}, "interaction is 'pain'"),
        ({"acts_through": "items"}, "acts_through is 'items'"),
        ({"alliance_effect": {"odi": 1.0}}, "alliance_effect is 'odi'"),
        ({"alliance_effect": {"psfs": 5.0}}, "alliance_effect of 'psfs' is 5"),
        ({"ceiling": {"GE": 0.2}}, "give one share for each of GE, MCE, SMT"),
        ({"ceiling": 1.2}, "ceiling of GE is 1.2"),
        ({"n": 2}, "n is 2"),
        ({"therapists": 0}, "therapists is 0"),
        ({"alliance_icc": 1.0}, "alliance_icc is 1.0"),
        ({"outcome_icc": -0.1}, "outcome_icc is -0.1"),
    ],
)
def test_options_outside_their_range_are_refused(options, words):
    with pytest.raises(AllianceError, match=words):
        simulate_ferreira(**options)


def test_true_value_of_an_unknown_term_lists_the_known():
    with pytest.raises(AllianceError, match=r"no truth for 'psfs', 'age'; known are psfs: alliance"):
        simulate_ferreira().true_value("psfs", "age")
