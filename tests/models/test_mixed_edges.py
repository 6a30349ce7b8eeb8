"""MixedModel where the data or the declaration are wrong, or unusual: a clear error or a counted note, never a wrong number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats import Lag, Result, predict
from alliance_stats.errors import AllianceError, ConvergenceError, DataError, FormulaError
from alliance_stats.models.mixed import MixedModel


def sessions() -> pd.DataFrame:
    """Twenty-four patients of six therapists, five sessions each."""
    rng = np.random.default_rng(7)
    n = 24 * 5
    data = pd.DataFrame({"patient": np.repeat(np.arange(24), 5), "session": np.tile(np.arange(1, 6), 24)})
    data["therapist"] = pd.Series(list("abcdef"))[data["patient"] // 4].to_numpy()
    data["arm"] = np.where(data["patient"] % 2, "SMT", "GE")
    data["alliance"] = rng.normal(50, 5, n)
    data["week"] = data["session"] + rng.uniform(0, 0.5, n)
    data["w"] = rng.uniform(0.5, 2, n)
    level = rng.normal(0, 2, 24)[data["patient"]] + rng.normal(0, 1, 6)[data["patient"] // 4]
    slope = rng.normal(0, 0.5, 24)[data["patient"]]
    data["pain"] = 6 + level + (slope - 0.4) * data["week"] - 0.1 * data["alliance"] + rng.normal(0, 1, n)
    return data


def fit(formula: str, data: pd.DataFrame | None = None, **options: Any) -> Result:
    return MixedModel(formula, **options).fit(sessions() if data is None else data)


def same(one: Result, other: Result) -> None:
    assert abs(one.glance()["criterion"].iloc[0] - other.glance()["criterion"].iloc[0]) < 1e-7
    pd.testing.assert_frame_equal(one.tidy(), other.tidy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "reml"}, "method is 'reml'; use 'REML' or 'ML'"),
        ({"df_method": "kr"}, "df_method is 'kr'; use one of satterthwaite, kenward-roger, normal"),
        ({"df_method": "kenward-roger", "method": "ML"}, "rests on REML; use method='REML', or 'satterthwaite'"),
        ({"prepare": "Centre"}, "prepare is a str"),
        ({"level": 95}, "level is 95"),
    ],
)
def test_declarations(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllianceError, match=message):
        MixedModel("pain ~ week + (1 | patient)", **options)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("pain ~ week", r"has no random effect; write \(1 \| group\), or use LinearModel"),
        ("pain ~ week + 1 | patient", "write random effects in parentheses"),
        ("pain ~ wek + (1 | patient)", r"no column 'wek' \(did you mean 'week'\?\)"),
        ("pian ~ week + (1 | patient)", r"no column 'pian' \(did you mean 'pain'\?\)"),
        ("pain ~ week + (wek | patient)", r"no column 'wek'"),
        ("pain ~ week + (1 | pacient)", r"no column 'pacient' \(did you mean 'patient'\?\)"),
        ("arm ~ week + (1 | patient)", "the outcome 'arm' holds str values, a number is needed"),
        ("pain ~ week + (0 | patient)", r"\(0 \| patient\) has no effect"),
        ("pain ~ 0 + (1 | patient)", "no fixed term"),
        ("pain ~ pain + (1 | patient)", "the outcome 'pain' is a predictor"),
        ("pain ~ week + (pain | patient)", "the outcome 'pain' is a predictor"),
        ("pain ~ week + (1 | alliance)", "grouping factor 'alliance' holds fractions; groups are labels"),
        ("pain ~ week + (1 + arm || patient)", r"'\|\|' keeps effects uncorrelated, each one column of numbers"),
        ("pain ~ week + (0 + arm || patient)", r"this one makes 2 \(arm\["),
        ("pain ~ week + (poly(week, 2) || patient)", "this one makes 2"),
        ("pain ~ week + (1 | patient) + (1 | patient)", "'Intercept' is an effect of both"),
        ("pain ~ week + (1 | patient) + (1 + week | patient)", "'Intercept' is an effect of both"),
        ("pain ~ week + (1 + alliance | patient) + (1 + week | patient)", "'Intercept' is an effect of both"),
        ("pain ~ week + (1 | patient) + (0 + arm | patient)", "'Intercept' is an effect of both"),
        ("pain ~ week + (week || patient) + (0 + week | patient)", "'week' is an effect of both"),
        ("pain ~ week + (1 | therapist/patient) + (1 | therapist)", "'Intercept' is an effect of both"),
        ("pain ~ week + (1 | therapist/patient) + (1 | patient)", "have the same groups"),
        ("pain ~ week + (1 | therapist:patient) + (1 | patient:therapist)", "have the same groups"),
        ("pain ~ week + (1 + session + I(2 * session) | patient)", r"'I\(2 \* session\)' is constant, or a combination"),
        ("pain ~ week + (1 | patient:session)", "asks for 120 random effects from 120 rows"),
        ("pain ~ week + (1 + week + alliance + w + session | patient)", "asks for 120 random effects from 120 rows"),
    ],
)  # fmt: skip
def test_formulas(formula: str, message: str) -> None:
    with pytest.raises((DataError, FormulaError, AllianceError), match=message):
        fit(formula)


def changed(**columns: Any) -> pd.DataFrame:
    return sessions().assign(**columns)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(therapist="a"), "grouping factor 'therapist' has one group only"),
        (changed(therapist=None), "no row is complete in"),
        (changed(pain=3.0), "the outcome is the same in all rows"),
        (changed(pain=lambda d: 2 * d["week"] + 1), "the fixed terms fit the outcome exactly"),
        (changed(pain=lambda d: d["pain"].where(d["session"] > 1, np.inf)), "column 'pain' holds infinite values"),
        (changed(week=lambda d: d["week"].where(d["session"] > 1, -np.inf)), "column 'week' holds infinite values"),
        (changed(pain=np.nan), "no row is complete in"),
        (changed(therapist=lambda d: d["alliance"]), "grouping factor 'therapist' holds fractions"),
        (changed(therapist=lambda d: d["patient"].where(d["patient"] > 2, np.inf)), "holds fractions"),
        (changed(week=lambda d: pd.to_datetime("2026-01-01") + pd.to_timedelta(d["session"], "D")), "dates or times"),
        (sessions().drop(columns="therapist"), "no column 'therapist'"),
        (sessions().iloc[[0, 119]], "2 complete rows cannot estimate 2 fixed terms"),
        (sessions().head(0), "no row is complete in"),
    ],
)
def test_data(data: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit("pain ~ week + (1 | therapist)", data)


def test_not_a_frame() -> None:
    with pytest.raises(DataError, match="data is a dict"):
        MixedModel("pain ~ week + (1 | patient)").fit({"pain": [1.0]})  # type: ignore[arg-type]


def test_a_constant_slope() -> None:
    with pytest.raises(DataError, match=r"\(1 \+ dose \| patient\): 'dose' is constant"):
        fit("pain ~ week + (1 + dose | patient)", changed(dose=2.0))


def test_groups_that_explain_everything() -> None:
    with pytest.raises(ConvergenceError, match="no optimum found"):
        fit("pain ~ week + (1 | patient)", changed(pain=lambda d: d["patient"] * 1.0))


def test_a_slope_of_zeros() -> None:
    with pytest.raises(DataError, match=r"\(0 \+ dose \| patient\): 'dose' is constant"):
        fit("pain ~ week + (0 + dose | patient)", changed(dose=0.0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (0.0, "weights: column 'w' holds values of zero or below"),
        (-1.0, "weights: column 'w' holds values of zero or below"),
        ("heavy", "weights: column 'w' holds str values"),
        (True, "weights: column 'w' holds bool values"),
        (np.inf, "column 'w' holds infinite values"),
        (np.nan, "no row is complete in"),
    ],
)
def test_weights(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit("pain ~ week + (1 | patient)", changed(w=values), weights="w")


def test_absent_weights() -> None:
    with pytest.raises(DataError, match="no column 'v'"):
        fit("pain ~ week + (1 | patient)", weights="v")


def test_missing_weights_and_labels_are_counted() -> None:
    data = changed(
        w=lambda d: d["w"].mask(d["session"] == 1),
        therapist=lambda d: d["therapist"].mask(d["patient"] < 2),
        pain=lambda d: d["pain"].mask((d["patient"] == 5) & (d["session"] < 3)),
    )
    result = fit("pain ~ week + (1 | therapist/patient)", data, weights="w")
    assert result.notes[0] == "33 of 120 rows left out for missing values (pain 2, w 24, therapist 10)"
    complete = data.dropna(subset=["w", "therapist", "pain"])
    same(result, fit("pain ~ week + (1 | therapist/patient)", complete, weights="w"))
    assert result.glance()["n_obs"].iloc[0] == len(complete)


def test_collinear_terms_are_left_out_with_a_note() -> None:
    result = fit("pain ~ session + I(3 * session) + (1 | patient)")
    assert result.notes == ("'I(3 * session)' depends on other terms and was left out",)
    same(result, fit("pain ~ session + (1 | patient)"))


def test_a_variance_of_zero_is_noted() -> None:
    rng = np.random.default_rng(2)
    alternating = np.tile([1.0, -1.0], 60) + rng.normal(0, 0.1, 120)
    result = fit("pain ~ 1 + (1 | patient)", changed(pain=alternating))
    assert "boundary" in result.notes[0]
    assert "patient" in result.notes[0]
    assert result.glance()["singular"].iloc[0]
    rows = result.tidy().set_index("term")["estimate"]
    assert rows["sd(Intercept)"] == 0
    assert rows["sd(residual)"] == pytest.approx(alternating.std(ddof=1), rel=1e-6)


def test_a_variance_of_zero_beside_a_slope_has_no_correlation() -> None:
    rng = np.random.default_rng(2)
    data = changed(pain=np.tile([1.0, -1.0], 60) + rng.normal(0, 0.1, 120))
    rows = fit("pain ~ week + (1 + week | patient)", data).tidy()
    assert rows["estimate"].notna().all()
    assert not rows["term"].str.startswith("cor").any()


@pytest.mark.parametrize("formula", ["pain ~ week + (1 + big | patient)", "pain ~ week + (1 + small | patient)"])
def test_units_of_a_slope_do_not_make_a_fit_singular(formula: str) -> None:
    data = changed(
        big=lambda d: 1e6 * (d["week"] - 3), small=lambda d: 1e-6 * (d["week"] - 3), mid=lambda d: d["week"] - 3
    )
    plain, scaled = fit("pain ~ week + (1 + mid | patient)", data), fit(formula, data)
    assert abs(plain.glance()["criterion"].iloc[0] - scaled.glance()["criterion"].iloc[0]) < 1e-6
    assert not scaled.glance()["singular"].iloc[0]
    assert scaled.notes == ()
    fixed = slice(0, 2)
    np.testing.assert_allclose(plain.tidy()["df"][fixed], scaled.tidy()["df"][fixed], rtol=1e-4)


@pytest.mark.parametrize(
    "label",
    [
        lambda g: g.map(str), lambda g: g.astype(float), lambda g: g.astype("Int64"), lambda g: g * 100 - 7,
        lambda g: pd.Categorical(g, categories=list(range(30))), lambda g: g.map(lambda i: f"ID {i:03d}"),
    ],
    ids=["text", "float", "nullable", "other numbers", "unused categories", "padded"],
)  # fmt: skip
def test_labels_do_not_matter(label: Any) -> None:
    data = changed(patient=lambda d: label(d["patient"]))
    same(fit("pain ~ week + (1 | patient)", data), fit("pain ~ week + (1 | patient)"))


def test_rows_may_come_in_any_order_with_any_index() -> None:
    formula = "pain ~ week + arm + (1 + week | patient) + (1 | therapist)"
    plain, mixed = fit(formula), fit(formula, sessions().sample(frac=1, random_state=3).set_axis([0] * 120, axis=0))
    same(plain, mixed)


def test_nesting_by_labels_and_by_formula() -> None:
    """Numbers that each therapist gives anew: nested by the formula they are what unique labels are."""
    data = changed(case=lambda d: d["patient"] % 4)
    nested = fit("pain ~ week + (1 | therapist/case)", data)
    unique = fit("pain ~ week + (1 | therapist) + (1 | patient)", data)
    pd.testing.assert_series_equal(nested.tidy()["estimate"], unique.tidy()["estimate"], rtol=1e-6)
    assert nested.glance()["n_therapist_case"].iloc[0] == 24


def test_three_levels_of_nesting() -> None:
    data = changed(clinic=lambda d: np.where(d["therapist"] < "d", "north", "south"), case=lambda d: d["patient"] % 4)
    result = fit("pain ~ week + (1 | clinic/therapist/case)", data)
    assert [g.name for g in result.state.groupings] == ["clinic:therapist:case", "clinic:therapist", "clinic"]
    plain = fit("pain ~ week + (1 | patient) + (1 | therapist) + (1 | clinic)", data)
    pd.testing.assert_series_equal(result.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-5, atol=1e-6)


def test_names_in_backticks() -> None:
    data = sessions().rename(columns={"patient": "patient/id", "week": "week | no"})
    result = fit("pain ~ `week | no` + (1 + `week | no` | `patient/id`)", data)
    plain = fit("pain ~ week + (1 + week | patient)")
    np.testing.assert_allclose(result.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-6)


class TestWithoutAGroup:
    """Partially nested designs: patients of the control arm have no therapist."""

    FORMULA = "pain ~ treated + week + (1 | patient) + (0 + treated | therapist)"

    @staticmethod
    def data() -> pd.DataFrame:
        return changed(
            treated=lambda d: (d["patient"] >= 8).astype(int),
            therapist=lambda d: d["therapist"].where(d["patient"] >= 8),
        )

    def test_rows_are_used_and_counted(self) -> None:
        result = fit(self.FORMULA, self.data())
        assert result.glance()["n_obs"].iloc[0] == 120
        assert result.glance()["n_therapist"].iloc[0] == 4
        assert result.notes[0] == (
            "40 rows without a 'therapist' are used: its random effects are multiplied by zero there"
        )
        assert result.augment()["therapist"].isna().sum() == 40

    @pytest.mark.parametrize("label", ["none", "c"])
    def test_any_label_would_do(self, label: str) -> None:
        """A therapist of nobody, or another's: his effects are multiplied by zero."""
        given = self.data().assign(therapist=lambda d: d["therapist"].fillna(label))
        one, other = fit(self.FORMULA, self.data()), fit(self.FORMULA, given)
        assert abs(one.glance()["criterion"].iloc[0] - other.glance()["criterion"].iloc[0]) < 1e-8
        np.testing.assert_allclose(one.tidy()["estimate"], other.tidy()["estimate"], rtol=1e-6)
        np.testing.assert_allclose(one.state.fitted, other.state.fitted, rtol=1e-7)

    def test_a_factor_that_is_zero_there(self) -> None:
        data = self.data().assign(status=lambda d: np.where(d["treated"] == 1, "treated", "waiting"))
        formula = "pain ~ status + week + (1 | patient) + (0 + I(treated * week) | therapist)"
        assert fit(formula, data).glance()["n_obs"].iloc[0] == 120

    def test_rows_that_need_their_group_are_left_out(self) -> None:
        data = self.data().assign(therapist=lambda d: d["therapist"].mask(d["patient"] == 9))
        result = fit(self.FORMULA, data)
        assert result.glance()["n_obs"].iloc[0] == 115
        assert result.notes[0] == "5 of 120 rows left out for missing values (therapist 5)"
        assert result.notes[1].startswith("40 rows without a 'therapist' are used")
        same(result, fit(self.FORMULA, data[data["patient"] != 9]))

    def test_an_intercept_needs_the_group(self) -> None:
        result = fit("pain ~ week + (1 | patient) + (1 | therapist)", self.data())
        assert result.notes[0] == "40 of 120 rows left out for missing values (therapist 40)"

    def test_a_group_that_changes_within_a_patient(self) -> None:
        """Waiting first, then treated: the patient is not within one therapist, and the factors cross."""
        data = sessions().assign(treated=lambda d: (d["session"] > 2).astype(int))
        data["therapist"] = data["therapist"].where(data["treated"] == 1)
        result = fit(self.FORMULA, data)
        filled = fit(self.FORMULA, sessions().assign(treated=data["treated"]))
        assert abs(result.glance()["criterion"].iloc[0] - filled.glance()["criterion"].iloc[0]) < 1e-7
        np.testing.assert_allclose(result.tidy()["estimate"], filled.tidy()["estimate"], rtol=1e-4, atol=1e-5)

    def test_a_label_that_learns_its_zero(self) -> None:
        """Centring moves the zero, so that a missing label is needed after all."""
        data = self.data().assign(dose=lambda d: d["treated"] * (1.0 + d["session"]))
        result = fit("pain ~ week + (1 | patient) + (0 + center(dose) | therapist)", data)
        assert result.notes[0] == "40 of 120 rows left out for missing values (therapist 40)"

    def test_predictions_without_a_group(self) -> None:
        result, data = fit(self.FORMULA, self.data()), self.data()
        np.testing.assert_allclose(predict(result, data)["fitted"], result.state.fitted, rtol=1e-9)

    def test_residual_by_needs_its_label(self) -> None:
        data = self.data()
        result = fit("pain ~ week + (1 | patient) + (0 + treated | therapist)", data, residual_by="therapist")
        assert result.notes[0] == "40 of 120 rows left out for missing values (therapist 40)"


class TestResidualBy:
    def test_one_group(self) -> None:
        with pytest.raises(DataError, match="residual_by='arm': one group only"):
            fit("pain ~ week + (1 | patient)", changed(arm="GE"), residual_by="arm")

    def test_a_group_of_one_row(self) -> None:
        data = changed(arm=lambda d: np.where(d.index == 3, "lone", d["arm"]))
        with pytest.raises(DataError, match="group lone has one row"):
            fit("pain ~ week + (1 | patient)", data, residual_by="arm")

    def test_an_absent_column(self) -> None:
        with pytest.raises(DataError, match="no column 'army'"):
            fit("pain ~ week + (1 | patient)", residual_by="army")

    def test_measurements(self) -> None:
        with pytest.raises(DataError, match="'alliance' holds fractions"):
            fit("pain ~ week + (1 | patient)", residual_by="alliance")

    def test_missing_labels_are_counted(self) -> None:
        data = changed(site=lambda d: pd.Series(["x", "y", None])[d["session"] % 3].to_numpy())
        result = fit("pain ~ week + (1 | patient)", data, residual_by="site")
        assert result.notes[0] == "48 of 120 rows left out for missing values (site 48)"

    def test_a_group_that_is_fitted_exactly(self) -> None:
        data = changed(pain=lambda d: np.where(d["arm"] == "GE", d["patient"] * 1.0, d["pain"]))
        with pytest.raises(ConvergenceError, match="or no residual_by: a residual variance may be going to zero"):
            fit("pain ~ arm + (1 | patient)", data, residual_by="arm")

    @pytest.mark.parametrize("formula", ["pain ~ week + (1 | patient)", "pain ~ week + (1 | patient) + (1 | session)"])
    def test_it_is_the_likelihood_it_says(self, formula: str) -> None:
        """Nested and crossed, against the density of the outcome written out."""
        rng = np.random.default_rng(5)
        data = changed(pain=lambda d: d["pain"] + rng.normal(0, 2, 120) * (d["arm"] == "SMT"))
        result = fit(formula, data, residual_by="arm", method="ML")
        sd = result.tidy().query("component == 'residual'").set_index("group")["estimate"]
        V = np.diag(data["arm"].map(sd).to_numpy() ** 2)
        for row in result.tidy().query("component == 'random'").itertuples():
            V += row.estimate**2 * np.equal.outer(data[row.group].to_numpy(), data[row.group].to_numpy())
        e = data["pain"].to_numpy() - result.state.fitted_population
        deviance = np.linalg.slogdet(2 * np.pi * V)[1] + e @ np.linalg.solve(V, e)
        assert result.glance()["criterion"].iloc[0] == pytest.approx(deviance, abs=1e-8)
        assert sd["SMT"] > 1.5 * sd["GE"]


class TestLaggedOutcome:
    SENTENCE = "dynamic panel"

    @pytest.mark.parametrize(
        "formula", ["pain ~ pain_lag1 + week + (1 | patient)", "pain ~ alliance * pain_lag1 + (1 | patient)"]
    )
    def test_a_lag_by_a_step(self, formula: str) -> None:
        result = fit(formula, prepare=(Lag("pain"),))
        (note,) = [note for note in result.notes if self.SENTENCE in note]
        assert note.startswith(
            "'pain_lag1' is the outcome at an earlier session: beside the random intercept of 'patient'"
        )
        assert note.endswith("came out at .159 with 5 sessions and at .118 with 8)")

    def test_a_lag_in_the_data(self) -> None:
        data = changed(pain_lag2=lambda d: d.groupby("patient")["pain"].shift(2))
        assert any(self.SENTENCE in note for note in fit("pain ~ pain_lag2 + (1 | patient)", data).notes)

    @pytest.mark.parametrize(
        "formula",
        [
            "pain ~ alliance_lag1 + week + (1 | patient)",
            "pain ~ pain_lagged + week + (1 | patient)",
            "pain ~ pain_lag1 + week + (0 + week | patient)",
        ],
    )
    def test_other_predictors_and_no_intercept(self, formula: str) -> None:
        data = changed(pain_lagged=lambda d: d["w"])
        result = fit(formula, data, prepare=(Lag("pain"), Lag("alliance")))
        assert not any(self.SENTENCE in note for note in result.notes)

    def test_a_transformed_outcome(self) -> None:
        data = changed(pain=lambda d: d["pain"] - d["pain"].min() + 1)
        result = fit("log(pain) ~ pain_lag1 + (1 | patient)", data, prepare=(Lag("pain"),))
        assert any(self.SENTENCE in note for note in result.notes)
