"""Reliability between and within patients: against lme4 and psych, closed forms, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from golden.pinned import pinned

from alliance_stats.errors import AllianceError, DataError
from alliance_stats.inference.bootstrap import bootstrap
from alliance_stats.inference.reliability import FORMULA, item_answers, multilevel_reliability
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mixed import MixedModel
from alliance_stats.result import Result

NESTED = "answer ~ 1 + (1 | patient/session)"
OPTIMUM = 1e-6  # both searches end within 2e-7 of the optimum in these ratios


def answers(case: str) -> pd.DataFrame:
    frame = pd.DataFrame(pinned("reliability", case, "data"))
    return item_answers(frame, [name for name in frame if name.startswith("item_")])


def simulated(patients: int, sessions: int, items: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"patient": np.repeat(range(patients), sessions), "session": np.tile(range(sessions), patients)}
    )
    level = np.repeat(rng.normal(0, 1, patients), sessions) + rng.normal(0, 0.7, patients * sessions)
    for i in range(items):
        frame[f"q{i + 1}"] = level + rng.normal(0, 0.8, len(frame))
    return item_answers(frame, [f"q{i + 1}" for i in range(items)])


@pytest.mark.parametrize("case", ["lane", "uneven"])
def test_coefficients_are_those_of_lme4_at_the_optimum(case: str) -> None:
    expected = pinned("reliability", case, "polished")
    rows = answers(case)
    found = [multilevel_reliability(MixedModel(formula).fit(rows)) for formula in (FORMULA, NESTED)]
    table = pd.concat(found).set_index("coefficient")
    assert table.index.tolist() == ["R1F", "RkF", "R1R", "RkR", "Rc", "RkRn", "Rcn"]
    for name, row in table.iterrows():
        assert row["estimate"] == pytest.approx(expected[name], rel=OPTIMUM)
        assert (row["sessions"], row["items"], row["n_obs"]) == (
            expected["sessions"],
            expected["items"],
            expected["n_obs"],
        )
        assert row["conf_low"] < row["estimate"] < row["conf_high"]


@pytest.mark.parametrize(("case", "tolerance"), [("lane", 1e-6), ("uneven", 1e-5)])
def test_coefficients_are_those_of_psych(case: str, tolerance: float) -> None:
    """Exact mean squares for the balanced data; where lmer stops by default for the others."""
    rows = answers(case)
    table = pd.concat([multilevel_reliability(MixedModel(formula).fit(rows)) for formula in (FORMULA, NESTED)])
    estimates = table.set_index("coefficient")["estimate"]
    for name, value in pinned("reliability", case, "psych").items():
        assert estimates[name] == pytest.approx(value, rel=tolerance)


def test_uneven_sessions_and_missing_answers_are_noted() -> None:
    fit = MixedModel(FORMULA).fit(answers("uneven"))
    table = multilevel_reliability(fit)
    assert table.attrs["notes"][0] == (
        "patients have 2 to 5 sessions; k is 5: pass sessions= for the mean of another number"
    )
    assert "2 of 560 rows left out" in table.attrs["notes"][1]
    three = multilevel_reliability(fit, sessions=3).set_index("coefficient")
    assert three.loc["RkR", "estimate"] < table.set_index("coefficient").loc["RkR", "estimate"]
    assert three.loc["Rc", "estimate"] == table.set_index("coefficient").loc["Rc", "estimate"]
    assert not any("sessions=" in note for note in three.attrs["notes"])


def test_one_session_is_the_same_fixed_or_averaged() -> None:
    table = multilevel_reliability(MixedModel(FORMULA).fit(answers("lane")), sessions=1).set_index("coefficient")[
        "estimate"
    ]
    assert table["R1F"] == table["RkF"]
    assert table["R1R"] == table["RkR"]


def test_standard_errors_of_a_nested_design_have_a_closed_form() -> None:
    """Balanced: REML is a likelihood of independent mean squares, Var(log MS) = 2/df, and both coefficients are functions of
    their ratios: Rcn = 1 − MSe/MSs, RkRn = 1 − MSs/MSp."""
    rows = simulated(40, 4, 3)
    table = multilevel_reliability(MixedModel(NESTED).fit(rows)).set_index("coefficient")
    x = rows.pivot(index=["patient", "session"], columns="item", values="answer").to_numpy().reshape(40, 4, 3)
    p, s = x.mean(axis=(1, 2)), x.mean(axis=2)
    MSp = 12 * p.var(ddof=1)
    MSs = 3 * ((s - p[:, None]) ** 2).sum() / 120
    MSe = ((x - s[:, :, None]) ** 2).sum() / 320
    for name, below, above, df1, df2 in (("Rcn", MSe, MSs, 320, 120), ("RkRn", MSs, MSp, 120, 39)):
        ratio = below / above
        assert table.loc[name, "estimate"] == pytest.approx(1 - ratio, rel=1e-6)
        assert table.loc[name, "std_error"] == pytest.approx(ratio * np.sqrt(2 / df1 + 2 / df2), rel=1e-4)
        logit, half = np.log((1 - ratio) / ratio), 1.959964 * np.sqrt(2 / df1 + 2 / df2) / (1 - ratio)
        assert table.loc[name, "conf_low"] == pytest.approx(1 / (1 + np.exp(half - logit)), rel=1e-4)
        assert table.loc[name, "conf_high"] == pytest.approx(1 / (1 + np.exp(-half - logit)), rel=1e-4)


def test_intervals_cover_the_truth() -> None:
    """100 trials; RkRn = 1/(1 + .49/4 + .64/12) = .850 and Rcn = .49/(.49 + .64/3) = .697."""
    held = np.zeros(2)
    for seed in range(100):
        table = multilevel_reliability(MixedModel(NESTED).fit(simulated(40, 4, 3, seed)))
        truth = np.array([1 / (1 + 0.49 / 4 + 0.64 / 12), 0.49 / (0.49 + 0.64 / 3)])
        held += (table["conf_low"].to_numpy() <= truth) & (truth <= table["conf_high"].to_numpy())
    assert (np.abs(held / 100 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 100)).all()


def test_a_factor_that_is_absent_counts_as_zero_and_is_named() -> None:
    rows = answers("lane")
    fit = MixedModel("answer ~ 1 + (1 | patient) + (1 | item) + (1 | patient:session)").fit(rows)
    table = multilevel_reliability(fit)
    assert table.attrs["notes"][0].startswith("the model has no factor session, item:patient, item:session")
    assert table["estimate"].between(0, 1).all()


def test_variances_at_zero_are_noted() -> None:
    rng = np.random.default_rng(5)
    rows = simulated(12, 3, 3)
    noise = pd.Series(rng.normal(size=len(rows)))
    # Means of the sessions that vary less than the residual alone would make them.
    rows["answer"] = noise - noise.groupby([rows["patient"], rows["session"]]).transform("mean") + rows["patient"] % 3
    table = multilevel_reliability(MixedModel(NESTED).fit(rows)).set_index("coefficient")
    assert "the variance of patient:session is estimated as zero" in table.attrs["notes"][0]
    assert table.loc["Rcn", "estimate"] == pytest.approx(0, abs=1e-8)
    assert np.isnan(table.loc["Rcn", "conf_low"])
    assert table.loc["RkRn", "conf_low"] < table.loc["RkRn", "estimate"]


def test_the_bootstrap_takes_it_as_its_statistic() -> None:
    fit = MixedModel(NESTED).fit(simulated(30, 3, 3))

    def coefficients(result: Result) -> dict[str, float]:
        return multilevel_reliability(result).set_index("coefficient")["estimate"].to_dict()

    drawn = bootstrap(fit, coefficients, draws=40, progress=False).tidy().set_index("term")
    assert drawn.loc["Rcn", "estimate"] == pytest.approx(coefficients(fit)["Rcn"])
    assert drawn.loc["Rcn", "conf_low"] < drawn.loc["Rcn", "estimate"] < drawn.loc["Rcn", "conf_high"]


def test_names_and_order_of_rows_do_not_matter() -> None:
    rows = answers("uneven")
    other = rows.rename(columns={"patient": "client", "session": "visit", "item": "question"}).sample(
        frac=1, random_state=1
    )
    formula = FORMULA.replace("patient", "client").replace("session", "visit").replace("item", "question")
    first = multilevel_reliability(MixedModel(FORMULA).fit(rows))["estimate"]
    fit = MixedModel(formula).fit(other)
    second = multilevel_reliability(fit, patient="client", session="visit", item="question")["estimate"]
    assert second.tolist() == pytest.approx(first.tolist(), rel=OPTIMUM)


def test_item_answers_are_one_row_each() -> None:
    frame = pd.DataFrame(
        {"patient": [1, 1, 2], "session": [1, 2, 1], "a": [3, 4, 5], "b": [1, 2, None], "age": [40, 40, 50]}
    )
    rows = item_answers(frame, ["a", "b"])
    assert list(rows.columns) == ["patient", "session", "item", "answer"]
    assert len(rows) == 6
    for change, message in (
        ({"items": ["a", "c"]}, "no column 'c'"),
        ({"items": ["a"]}, "names 1 different columns; give two or more"),
        ({"by": ["patient"]}, "2 rows share their patient; keep one row"),
        ({"by": ["patient", "item"], "frame": frame.assign(item=1)}, "by= holds 'item'"),
    ):
        with pytest.raises(DataError, match=message):
            item_answers(**({"frame": frame, "items": ["a", "b"]} | change))


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("answer ~ 1 + (1 | patient)", {}, "needs .1 . patient. and .1 . patient:session.; its factors are patient"),
        ("answer ~ 1 + (1 | item) + (1 | patient)", {}, "its factors are"),
        (NESTED, {"patient": "client"}, "patient.* is a factor with no role here"),
        ("answer ~ 1 + (1 + session | patient) + (1 | patient:session)", {}, "is a random slope"),
        (NESTED, {"sessions": 0}, "sessions is 0; use a number of 1 or more"),
        (NESTED, {"items": -1}, "items is -1"),
    ],
)
def test_other_models_are_refused(formula: str, options: dict[str, Any], message: str) -> None:
    fit = MixedModel(formula).fit(simulated(15, 4, 3))
    with pytest.raises(AllianceError, match=message):
        multilevel_reliability(fit, **options)


def test_a_linear_model_has_no_random_effects() -> None:
    with pytest.raises(AllianceError, match="LinearModel has no random effects"):
        multilevel_reliability(LinearModel("answer ~ session").fit(simulated(5, 3, 3)))
