"""Mediation: what every declaration promises, resampling, identities, and recovery of a known effect."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conformance.checker import CHECKS

from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.process_models import process_model

DATA = Path(__file__).parents[2] / "validation" / "data"
M, Y = "alliance ~ arm + severity", "pain ~ arm + alliance + severity"


@cache
def trial() -> pd.DataFrame:
    frame = pd.read_csv(DATA / "mediation_trial.csv")
    frame.index = pd.Index([f"p{i}" for i in range(len(frame))])
    return frame


@cache
def gaps() -> pd.DataFrame:
    frame = trial().copy()
    frame.loc[frame.index[:7], "alliance"] = np.nan
    frame.loc[frame.index[5:12], "pain"] = np.nan
    return frame


def effects(model: Mediation, frame: pd.DataFrame | None = None, rng: int = 1) -> pd.DataFrame:
    rows = model.fit(trial() if frame is None else frame, rng=rng).tidy()
    return rows[(rows["component"] == "effect") & (rows["at"] == "")].set_index("term")


MODELS = {
    "linear": Mediation([M], Y, "arm", draws=200),
    "interaction": Mediation([M], "pain ~ arm * alliance + severity", "arm", interval="delta", randomised=True),
    "bca": Mediation([M], Y, "arm", draws=200, interval="bca"),
    "monte-carlo": Mediation([M], Y, "arm", draws=200, interval="monte-carlo", vcov="HC3"),
    "product": Mediation([M], Y, "arm", interval="product"),
    "levels": Mediation(["alliance ~ group"], "pain ~ group + alliance", "group", interval="delta"),
    "continuous": Mediation(["alliance ~ w"], "pain ~ w * alliance", "w", interval="delta"),
    "clusters": Mediation([M], Y, "arm", cluster="therapist", draws=200),
    "within": Mediation([M], Y, "arm", cluster="therapist", within=True, draws=200),
    "serial": process_model(6, x="arm", m=["alliance", "trust"], y="pain", interval="delta"),
    "moderated": process_model(59, x="arm", m="alliance", y="pain", w="w", draws=200),
    "two moderators": Mediation(["alliance ~ arm * w * z"], "pain ~ arm + alliance", "arm", at={"w": [0, 1], "z": [0, 1]},
                                interval="delta"),
    "logit": Mediation([M], "responder ~ arm + alliance", "arm", family={"responder": "binomial"}, draws=100),
    "odds ratio": Mediation([M], "responder ~ arm * alliance", "arm", family={"responder": "binomial"}, draws=100,
                            scale="odds-ratio"),
    "counts": Mediation(["visits ~ arm"], "pain ~ arm + visits", "arm", family={"visits": "poisson"}, draws=100),
    "count outcome": Mediation([M], "visits ~ arm + alliance", "arm", family={"visits": "poisson"}, interval="delta"),
    "ordered": Mediation([M], "mood ~ arm + alliance", "arm", family={"mood": "ordered logit"}, interval="delta"),
    "binary mediator": Mediation(["bonded ~ arm"], "responder ~ arm + bonded", "arm", draws=100,
                                 family={"bonded": "probit", "responder": "probit"}),
}  # fmt: skip


@pytest.mark.parametrize("name", [*MODELS, "missing"])
def test_conformance(name: str) -> None:
    model, data = MODELS.get(name, MODELS["linear"]), gaps() if name == "missing" else trial()
    result, new = model.fit(data), trial().iloc[[3, 40, 90]]
    for check in CHECKS:
        check(result, model, data, new)


@pytest.mark.parametrize("name", MODELS)
def test_decompositions_add_up(name: str) -> None:
    for at, rows in MODELS[name].fit(trial()).tidy().query("component == 'effect'").groupby("at"):
        if "pnde" not in set(rows["term"]):
            continue
        e = rows.set_index("term")["estimate"]
        assert e["indirect"] == e["tnie"] == e["acme_treated"], at
        if MODELS[name].scale == "odds-ratio":
            assert np.isclose(e["pnde"] * e["tnie"], e["total"])
            assert np.isclose(e["excess_cde"] + e["intref"] + e["intmed"] + e["pie"], e["total"] - 1)
            continue
        assert np.isclose(e["pnde"] + e["tnie"], e["total"])
        assert np.isclose(e["tnde"] + e["pnie"], e["total"])
        assert np.isclose(e["cde"] + e["intref"] + e["intmed"] + e["pie"], e["total"])
        assert np.isclose(e["proportion_mediated"], e["tnie"] / e["total"])


def test_paths_of_several_mediators_add_up_to_the_indirect_effect() -> None:
    model = process_model(6, x="arm", m=["alliance", "trust"], y="pain", covariates=["severity"], interval="delta")
    e = effects(model)["estimate"]
    assert np.isclose(e["indirect(alliance)"] + e["indirect(trust)"] + e["indirect(alliance>trust)"], e["indirect"])


def test_paths_add_up_with_interactions_everywhere() -> None:
    model = Mediation(
        ["alliance ~ arm * severity", "trust ~ arm * alliance + severity"],
        "pain ~ arm * alliance * severity + arm * trust", "arm", interval="delta",
    )  # fmt: skip
    e = effects(model)["estimate"]
    assert np.isclose(e["indirect(alliance)"] + e["indirect(trust)"] + e["indirect(alliance>trust)"], e["indirect"])
    assert abs(e["tnie"] - e["pnie"]) > 1e-6


def test_c_is_indirect_plus_direct_without_interactions() -> None:
    rows = MODELS["linear"].fit(trial()).tidy().set_index("term")["estimate"]
    assert np.isclose(rows["a"] * rows["b"], rows["indirect"])
    assert np.isclose(rows["c"], rows["total"])
    assert np.isclose(rows["c_prime"], rows["direct"])


def test_coefficients_are_those_of_the_single_regressions() -> None:
    fixed = MODELS["linear"].fit(trial()).tidy().query("component == 'fixed'")
    alone = pd.concat([LinearModel(M).fit(trial()).tidy(), LinearModel(Y).fit(trial()).tidy()])
    for name in ("estimate", "std_error", "df", "p_value", "conf_low"):
        assert np.allclose(fixed[name], alone[name], rtol=1e-9)


def test_order_of_the_mediators_does_not_matter() -> None:
    formulas = ["trust ~ arm + alliance", "alliance ~ arm"]
    first = effects(Mediation(formulas, "pain ~ arm + alliance + trust", "arm", draws=50))
    second = effects(Mediation(formulas[::-1], "pain ~ arm + alliance + trust", "arm", draws=50))
    pd.testing.assert_frame_equal(first, second)


def test_resamples_are_fitted_as_whole_data_sets_are() -> None:
    """A draw of the batch is the model refitted to the rows drawn, for normal, binary, count and ordered responses."""
    from alliance_stats.numerics.mediation_resample import row_counts
    from alliance_stats.numerics.random import stream

    counts = row_counts(len(trial()), 3, stream(1, "mediation", "percentile"))
    for name in ("linear", "logit", "counts", "binary mediator"):
        model = Mediation(**{**model_options(MODELS[name]), "draws": 3})
        result = model.fit(trial())
        assert result.draws is not None
        for i in range(3):
            again = trial().iloc[np.repeat(np.arange(len(trial())), counts[i].astype(int))].reset_index(drop=True)
            held = {
                m: float(v) for m, v in zip(model.chain().mediators, result.state.plan.systems[0].held, strict=True)
            }
            refit = effects(Mediation(**{**model_options(model), "interval": "delta", "held": held}), again)
            assert np.allclose(result.draws.iloc[i], refit["estimate"], rtol=1e-7, atol=1e-9), name


def test_ordered_resamples_are_fitted_as_whole_data_sets_are() -> None:
    from alliance_stats.numerics.mediation_fit import fit_equation, fit_resamples

    equation = MODELS["ordered"].fit(trial()).state.equations[-1]
    counts = np.random.default_rng(4).multinomial(
        len(equation.y), np.full(len(equation.y), 1 / len(equation.y)), size=2
    )
    together = fit_resamples(equation.X, equation.y, equation.family, counts.astype(float), equation.fit)
    for row, count in zip(together, counts, strict=True):
        index = np.repeat(np.arange(len(count)), count)
        alone = fit_equation(equation.X[index], equation.y[index], equation.family)
        assert alone is not None
        assert np.allclose(row, alone.parameters, rtol=1e-7)


def model_options(model: Mediation) -> dict[str, Any]:
    from dataclasses import fields

    return {field.name: getattr(model, field.name) for field in fields(model)}


def test_same_seed_same_numbers_and_another_seed_others() -> None:
    one, same, other = (effects(MODELS["linear"], rng=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one, same)
    assert one.loc["indirect", "conf_low"] != other.loc["indirect", "conf_low"]


def test_intervals_agree_where_they_should() -> None:
    """Four ways to the standard error of one product; 5,000 draws leave 1 % of Monte Carlo error."""
    spread = {
        kind: effects(Mediation([M], Y, "arm", interval=kind)).loc["indirect"]
        for kind in ("percentile", "bca", "monte-carlo", "delta", "product")
    }
    for row in spread.values():
        assert abs(row["std_error"] / spread["delta"]["std_error"] - 1) < 0.15
        assert row["conf_low"] < row["estimate"] < row["conf_high"]
    assert abs(spread["monte-carlo"]["conf_low"] - spread["product"]["conf_low"]) < 0.02
    assert np.isnan(spread["percentile"]["statistic"])


def test_clusters_are_drawn_whole() -> None:
    """With each row twice in its own cluster the spread is that of the single rows; drawing rows would halve the variance."""
    frame = trial().assign(patient=np.arange(len(trial())))
    double = pd.concat([frame, frame], ignore_index=True)
    single = effects(Mediation([M], Y, "arm", draws=3000), frame).loc["indirect", "std_error"]
    whole = effects(Mediation([M], Y, "arm", cluster="patient", draws=3000), double).loc["indirect", "std_error"]
    rows = effects(Mediation([M], Y, "arm", draws=3000), double).loc["indirect", "std_error"]
    assert abs(whole / single - 1) < 0.1
    assert abs(rows / single - np.sqrt(0.5)) < 0.1


def test_drawing_within_clusters_adds_variance() -> None:
    spread = [
        effects(Mediation([M], Y, "arm", cluster="therapist", within=within, draws=2000)).loc["indirect", "std_error"]
        for within in (False, True)
    ]
    assert spread[1] > spread[0]


def test_average_row_equals_averaged_rows_in_linear_models() -> None:
    rows = effects(MODELS["interaction"])["estimate"]
    means = effects(Mediation([M], "pain ~ arm * alliance + severity", "arm", interval="delta", average="means"))[
        "estimate"
    ]
    assert np.allclose(rows, means)


def test_a_moderator_set_by_hand_changes_the_rows() -> None:
    model = Mediation(["alliance ~ arm * w"], "pain ~ arm + alliance", "arm", at={"w": [-1.5, 2]}, interval="delta")
    rows = model.fit(trial()).tidy()
    fixed = rows.set_index("term")["estimate"]
    for value in (-1.5, 2.0):
        found = rows.query(f"term == 'indirect' and at == 'w = {value:.4g}'")["estimate"].iloc[0]
        assert np.isclose(found, (fixed["alliance~arm"] + value * fixed["alliance~arm:w"]) * fixed["b"])


def test_categorical_moderators_have_one_index_a_level() -> None:
    frame = trial().assign(site=np.where(trial()["z"] == 1, "north", "south"))
    model = Mediation(["alliance ~ arm * site"], "pain ~ arm + alliance", "arm", at={"site": "sd"}, interval="delta")
    rows = model.fit(frame).tidy().set_index("term")["estimate"]
    assert np.isclose(rows["index(site[south])"], rows["alliance~arm:site[T.south]"] * rows["b"])


def test_exposure_levels_are_compared_with_the_first() -> None:
    rows = MODELS["levels"].fit(trial()).tidy().query("term == 'indirect'")
    assert rows["at"].tolist() == ["group: MCE - GE", "group: SMT - GE"]
    one = effects(
        Mediation(["alliance ~ group"], "pain ~ group + alliance", "group", contrast=("GE", "SMT"), interval="delta")
    )
    assert np.isclose(one.loc["indirect", "estimate"], rows["estimate"].iloc[1])


def test_products_of_mediators_are_exact_in_means() -> None:
    """With independent errors E(M1 M2) is the product of the means."""
    model = Mediation(["alliance ~ arm", "trust ~ arm"], "pain ~ arm + alliance * trust", "arm", interval="delta")
    result = model.fit(trial())
    c = result.tidy().set_index("term")["estimate"]
    m1, m2 = ([c[f"{m}~Intercept"] + x * c[f"{m}~arm"] for x in (0, 1)] for m in ("alliance", "trust"))
    b1, b2, b12 = (c[f"pain~{term}"] for term in ("alliance", "trust", "alliance:trust"))
    mean = [b1 * a + b2 * b + b12 * a * b for a, b in zip(m1, m2, strict=True)]
    assert np.isclose(c["tnie"], mean[1] - mean[0], rtol=1e-9)


def test_odds_ratios_of_common_outcomes_are_warned_about() -> None:
    notes = MODELS["odds ratio"].fit(trial()).notes
    assert any("assume a rare outcome" in note for note in notes)


def test_notes_say_what_randomisation_covers() -> None:
    yes = " ".join(MODELS["interaction"].fit(trial()).notes)
    no = " ".join(MODELS["linear"].fit(trial()).notes)
    assert "arm has no confounders; alliance was not" in yes
    assert "common cause of arm, alliance and pain" in no
    assert "after arm and before pain" in yes


def test_missing_rows_of_all_equations_are_one_analysis_set() -> None:
    result = MODELS["linear"].fit(gaps())
    assert len(result.frame) == len(trial()) - 12
    assert all(len(equation.y) == len(result.frame) for equation in result.state.equations)
    assert any("12 of 240 rows left out for missing values (alliance 7, pain 7)" in note for note in result.notes)


def test_state_holds_what_sensitivity_analysis_needs() -> None:
    state = MODELS["linear"].fit(trial()).state
    for equation in state.equations:
        assert np.allclose(equation.X @ equation.coefficients + (equation.y - equation.fit.fitted), equation.y)
    residuals = [equation.y - equation.fit.fitted for equation in state.equations]
    assert abs(np.corrcoef(*residuals)[0, 1]) < 1e-10


def test_failed_resamples_are_counted() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"arm": [1, 1] + [0] * 22})
    frame["m"] = rng.normal(size=24)
    frame["y"] = frame["m"] + rng.normal(size=24)
    result = Mediation(["m ~ arm"], "y ~ arm + m", "arm", draws=1000).fit(frame)
    assert result.draws is not None
    lost = 1000 - len(result.draws)
    assert 80 < lost < 180  # (22/24)^24 = .124 of the resamples have no treated row
    assert f"{lost} of 1000 resamples gave no estimate and were left out" in result.notes


@pytest.mark.slow
def test_coverage_of_the_indirect_effect() -> None:
    """200 trials: 95 % intervals cover within three Monte Carlo standard errors (.046), and the mean is the truth, .30."""
    hits, found = 0, []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"arm": np.arange(120) % 2})
        frame["m"] = 0.6 * frame["arm"] + rng.normal(size=120)
        frame["y"] = 0.5 * frame["m"] + 0.2 * frame["arm"] + rng.normal(size=120)
        row = effects(Mediation(["m ~ arm"], "y ~ arm + m", "arm", draws=400), frame, seed).loc["indirect"]
        hits += row["conf_low"] <= 0.3 <= row["conf_high"]
        found.append(row["estimate"])
    assert abs(np.mean(found) - 0.3) < 3 * np.std(found) / np.sqrt(200)
    assert abs(hits / 200 - 0.95) <= 0.046, hits


@pytest.mark.parametrize(
    ("change", "formulas"),
    [
        (lambda arm: arm == 1, ("alliance ~ arm", "pain ~ arm + alliance")),
        (lambda arm: pd.Categorical(arm.map({0: "z", 1: "a"}), ["z", "a"]), ("alliance ~ arm", "pain ~ arm + alliance")),
        (lambda arm: arm + 1, ("alliance ~ C(arm)", "pain ~ C(arm) + alliance")),
        (lambda arm: np.where(arm == 1, "b", "a"), ("alliance ~ arm", "pain ~ arm + alliance")),
    ],
)  # fmt: skip
def test_the_coding_of_a_binary_exposure_does_not_matter(change: Any, formulas: tuple[str, str]) -> None:
    plain = effects(Mediation([M.replace(" + severity", "")], "pain ~ arm + alliance", "arm", interval="delta"))
    coded = effects(
        Mediation([formulas[0]], formulas[1], "arm", interval="delta"), trial().assign(arm=change(trial()["arm"]))
    )
    for column in ("estimate", "std_error"):
        assert np.allclose(plain[column], coded[column], rtol=1e-9)


def test_shift_and_scale_of_the_data_carry_over() -> None:
    plain = effects(MODELS["interaction"])
    moved = trial().assign(pain=10 * trial()["pain"] + 500, alliance=3 * trial()["alliance"] - 7)
    other = effects(MODELS["interaction"], moved)
    names = ["indirect", "direct", "total", "pnie", "tnde", "intref", "intmed", "cde"]
    for column in ("estimate", "std_error"):
        assert np.allclose(10 * plain.loc[names, column], other.loc[names, column], rtol=1e-7)


def test_a_two_valued_moderator_of_both_paths_has_the_difference_as_its_index() -> None:
    rows = process_model(58, x="arm", m="alliance", y="pain", w="z", interval="delta").fit(trial()).tidy()
    at = rows.query("term == 'indirect'").set_index("at")["estimate"]
    index = rows.query("term == 'index(z)'")
    assert len(index) == 1
    assert np.isclose(index["estimate"].iloc[0], at["z = 1"] - at["z = 0"])


def test_an_interaction_part_that_happens_to_be_zero_keeps_its_standard_error() -> None:
    """The controlled effect at the mediator's control mean equals the natural one, but both are estimated."""
    options: dict[str, Any] = {"mediators": ["alliance ~ arm"], "outcome": "pain ~ arm * alliance", "exposure": "arm"}
    mean = float(trial().query("arm == 0")["alliance"].mean())
    row = effects(Mediation(**options, interval="delta", held={"alliance": mean})).loc["intref"]
    assert abs(row["estimate"]) < 1e-12
    assert row["std_error"] > 1e-3


def test_errors_of_parallel_mediators_go_together() -> None:
    """With them the model's own covariance agrees with the resampled one and with the regression on the treatment."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"arm": np.arange(400) % 2})
    common = 0.9 * rng.normal(size=400)
    for name in ("bond", "task", "goal"):
        frame[name] = 0.4 * frame["arm"] + common + 0.4 * rng.normal(size=400)
    frame["pain"] = -0.3 * frame[["bond", "task", "goal"]].sum(axis=1) + rng.normal(size=400)
    equations = [f"{mediator} ~ arm" for mediator in ("bond", "task", "goal")]
    model = Mediation(equations, "pain ~ arm + bond + task + goal", "arm", interval="delta")
    rows = model.fit(frame).tidy().set_index("term")["std_error"]
    spread = replace(model, interval="percentile", draws=4000).fit(frame).tidy().set_index("term")["std_error"]
    total = LinearModel("pain ~ arm").fit(frame).tidy()["std_error"].iloc[1]
    for term in ("indirect", "total", "indirect(bond)-indirect(goal)"):
        assert rows[term] == pytest.approx(
            spread[term], rel=0.08
        )  # 4,000 draws: 1.1 %; the rest is between two estimators
    assert rows["total"] == pytest.approx(
        total, rel=0.02
    )  # variance of the outcome given the arm, estimated in two ways
