"""Tables of fitted models: every model in one table, its numbers those of tidy(), and notes that say what they are."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alliance_stats.errors import AllianceError
from alliance_stats.models.beta import BetaModel
from alliance_stats.models.competing import CompetingRisksModel
from alliance_stats.models.cox import CoxModel
from alliance_stats.models.discrete_time import DiscreteTimeModel
from alliance_stats.models.fractional import FractionalModel
from alliance_stats.models.gee import GEE
from alliance_stats.models.generalized import GeneralizedMixedModel
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mediation import Mediation
from alliance_stats.models.mixed import MixedModel
from alliance_stats.models.multilevel_mediation import MultilevelMediation
from alliance_stats.models.ordinal import OrdinalModel
from alliance_stats.models.summary import SummaryStatistics
from alliance_stats.result import Result
from alliance_stats.tables.for_maketables import ForMaketables
from alliance_stats.tables.models import table


@cache
def sessions() -> pd.DataFrame:
    """Sixty patients with up to six sessions, of ten therapists; unequal numbers, and some ratings missing."""
    rng = np.random.default_rng(8)
    patient = np.repeat(np.arange(60), rng.integers(3, 7, 60))
    frame = pd.DataFrame({"patient": patient, "therapist": patient % 10})
    frame["session"] = frame.groupby("patient").cumcount() + 1.0
    frame["alliance"] = rng.normal(size=len(frame)) + rng.normal(size=60)[patient]
    frame["arm"] = np.where(patient % 2, "MCE", "GE")
    effect = 0.5 * rng.normal(size=10)[frame["therapist"]]
    frame["pain"] = 5 - 0.5 * frame["alliance"] + 0.3 * (frame["arm"] == "MCE") + effect + rng.normal(size=len(frame))
    frame["left"] = (rng.uniform(size=len(frame)) < 1 / (1 + np.exp(1 + 0.6 * frame["alliance"]))).astype(int)
    frame["share"] = 1 / (1 + np.exp(-0.4 * frame["alliance"] - effect - 0.6 * rng.normal(size=len(frame))))
    frame["rating"] = pd.cut(frame["pain"], 3, labels=["low", "middle", "high"])
    frame["time"] = np.ceil(8 * rng.uniform(size=len(frame)))
    frame["end"] = np.where(
        frame["left"] == 1, "dropped", np.where(rng.uniform(size=len(frame)) < 0.5, "completed", "")
    )
    frame.loc[[3, 40], "alliance"] = np.nan
    return frame


@cache
def fitted(name: str) -> Result:
    frame = sessions()
    models: dict[str, Any] = {
        "linear": LinearModel("pain ~ alliance + arm"),
        "robust": LinearModel("pain ~ alliance", vcov="CR2", cluster="therapist"),
        "mixed": MixedModel("pain ~ alliance + arm + (1 + session | patient) + (1 | therapist)"),
        "logit": GeneralizedMixedModel("left ~ alliance + (1 | therapist)", "binomial"),
        "counts": GeneralizedMixedModel("left ~ alliance + (1 | therapist)", "poisson"),
        "beta": BetaModel("share ~ alliance"),
        "fractional": FractionalModel("share ~ alliance"),
        "gee": GEE("left ~ alliance", "binomial", cluster="patient"),
        "ordinal": OrdinalModel("rating ~ alliance + (1 | therapist)"),
        "cox": CoxModel("Surv(time, left) ~ alliance", frailty=("gamma", "therapist")),
        "hazards": DiscreteTimeModel("left ~ alliance + arm"),
        "fine-gray": CompetingRisksModel("Surv(time, end) ~ alliance", cause="dropped", method="fine-gray"),
        "mediation": Mediation(["alliance ~ arm"], "pain ~ arm * alliance + session", "arm", interval="delta",
                               at={"session": [1, 3]}),
        "odds": Mediation(["alliance ~ arm"], "left ~ arm + alliance", "arm", interval="delta",
                          family={"left": "binomial"}, scale="odds-ratio"),
        "multilevel": MultilevelMediation("session", "alliance", "pain", group="patient", random=("a",), draws=300),
    }  # fmt: skip
    return models[name].fit(frame)


@cache
def printed() -> Result:
    means = pd.DataFrame({"group": ["AL", "AE"], "n": [30, 29], "mean": [18.3, 31.4], "sd": [8.0, 8.5]})
    return SummaryStatistics(sd="sd").fit(means)


ALL = (
    "linear", "robust", "mixed", "logit", "counts", "beta", "fractional", "gee", "ordinal", "cox", "hazards", "fine-gray",
    "mediation", "odds", "multilevel",
)  # fmt: skip


def cell(made: Any, label: str, column: int) -> str:
    rows = made.body[made.body.iloc[:, 0] == label]
    assert len(rows) == 1, (label, made.body.iloc[:, 0].tolist())
    return str(rows.iloc[0, column])


def test_every_model_stands_in_one_table() -> None:
    results = [*(fitted(name) for name in ALL), printed()]
    made = table(*results, p=True)
    assert made.cells.shape[1] == 1 + 2 * len(results)
    assert not made.body.map(lambda text: "nan" in text or "None" in text).to_numpy().any()
    assert set(made.groups) == {
        "Fixed part", "Effects", "Paths", "Thresholds", "Dispersion", "Random part", "Fit"
    }  # fmt: skip
    assert not re.search(r"\*{1,3}$|nan", " ".join(made.body.to_numpy().ravel()))
    assert made.to("docx")


@pytest.mark.parametrize("name", ALL)
def test_the_cells_are_the_numbers_of_tidy(name: str) -> None:
    """Read back, each printed number lies within half its last digit of the estimate, limit or p that it stands for."""
    result = fitted(name)
    made = table(result, place="beside", p=True, fit=())
    rows = result.tidy()
    if (rows["component"] == "effect").any():
        rows = rows[rows["component"].isin(["effect", "path", "random", "correlation", "residual", "precision"])]
        rows = rows[~rows["term"].str.match(r"(acme|ade|pnde|tnde|pnie|tnie|cde|intref|intmed|pie|excess)(_|$)")]
    order = {"threshold": 2, "precision": 3, "random": 4, "correlation": 4, "residual": 4, "path": 1}
    rows = rows.iloc[np.argsort([order.get(c, 0) for c in rows["component"]], kind="stable")]
    assert len(made.body) == len(rows)
    for cells, row in zip(made.body.to_numpy().tolist(), rows.itertuples(), strict=True):
        assert_reads(cells[1], row.estimate)
        if np.isfinite(row.conf_low):
            low, high = cells[2].strip("[]").split(", ")
            assert_reads(low, row.conf_low)
            assert_reads(high, row.conf_high)
        else:
            assert cells[2] == ""
        assert cells[3] == "" or cells[3] == "< .001" or abs(float("0" + cells[3]) - row.p_value) <= 0.0005


def assert_reads(text: str, value: float) -> None:
    decimals = len(text.partition(".")[2])
    assert abs(float(text.replace("−", "-")) - value) <= 0.5 * 10.0**-decimals * (1 + 1e-9), (text, value)


def test_ratios_are_exponentials_and_the_random_part_is_not() -> None:
    result = fitted("logit")
    plain, made = table(result), table(result, exponentiate=True)
    b = result.tidy().set_index("term").loc["alliance"]
    assert made.headings[1] == "OR"
    assert_reads(cell(made, "Alliance", 1), np.exp(b["estimate"]))
    low, high = cell(made, "Alliance", 2).strip("[]").split(", ")
    assert_reads(low, np.exp(b["conf_low"]))
    assert_reads(high, np.exp(b["conf_high"]))
    label = "SD of intercept (therapist)"
    assert cell(made, label, 1) == cell(plain, label, 1)
    assert "OR = odds ratio" in made.notes[0]
    assert "Scale of *b*: log odds." in str(plain.to("md"))
    mixed = table(fitted("linear"), result, fitted("cox"), fitted("fine-gray"), fitted("counts"), exponentiate=True)
    heads = [head.split("\n")[0].strip("\ue000\ue001") for head in mixed.headings[1:]]
    assert heads == ["b", "OR", "HR", "sHR", "RR"]
    with pytest.raises(AllianceError, match="belongs to the coefficient"):
        table(result, exponentiate=True, spread="se")


def test_terms_choose_and_order_labels_name() -> None:
    labels = {"alliance": "Working alliance <1–5>"}
    made = table(fitted("linear"), fitted("mixed"), terms=["arm[T.MCE]", "alliance"], labels=labels, random=False)
    assert made.body.iloc[:2, 0].tolist() == ["Arm: MCE", "Working alliance <1–5>"]
    assert "Intercept" not in made.body.iloc[:, 0].tolist()
    assert "Model 1: 1 other estimate is not shown." in made.notes
    assert "&lt;1–5&gt;" in str(made.to("html"))
    for wrong in ({"terms": ["aliance"]}, {"labels": {"aliance": "x"}}):
        with pytest.raises(AllianceError, match="no model has a term 'aliance'; terms: Intercept, alliance"):
            table(fitted("linear"), **wrong)  # type: ignore[arg-type]


def test_notes_say_what_the_numbers_are() -> None:
    text = " ".join(table(fitted("robust"), fitted("mixed"), fitted("gee")).notes)
    assert "Degrees of freedom: Satterthwaite (Model 1, Model 2); none (normal approximation) (Model 3)" in text
    assert "bias-reduced estimator (CR2) by therapist (Model 1); cluster-robust by patient (Model 3)" in text
    assert "Scale of \ue000b\ue001: units of the outcome (Model 1, Model 2); log odds (Model 3)" in text
    assert "Intervals: 95%, t distribution (Model 1, Model 2); 95%, normal approximation (Model 3)." in text
    assert re.search(r"All models: 2 of \d+ rows left out", text)
    assert "Estimation: ordinary least squares (Model 1); restricted maximum likelihood (REML) (Model 2); GEE" in text
    assert not re.search("rows left out", " ".join(table(fitted("robust"), caveats=False).notes))
    assert "Intervals" not in " ".join(table(fitted("robust"), spread="none").notes)
    effects = " ".join(table(fitted("mediation"), fitted("odds")).notes)
    assert "Scale of the effects: units of the outcome (Model 1); odds ratios (Model 2)" in effects
    assert re.search(r"Model 1: \d+ further estimates \(equations, decompositions\) are not shown", effects)
    singular = " ".join(table(fitted("cox")).notes)
    assert all(note[0].upper() + note[1:] in singular for note in fitted("cox").notes)
    alone = table(fitted("mediation"))
    assert not any(note.startswith("cde ") for note in alone.notes)  # a note on an estimate that is not shown
    assert any(note.startswith("cde ") for note in fitted("mediation").notes)


def test_places_and_spreads() -> None:
    result = fitted("linear")
    row = result.tidy().set_index("term").loc["alliance"]
    below = table(result, place="below", decimals=3)
    assert cell(below, "Alliance", 1).split("\n")[0] == f"{row['estimate']:.3f}".replace("-", "−")
    assert below.headings[1] == "\ue000b\ue001\n[95% CI]"
    errors = table(result, spread="se", style="jama", place="below")
    assert cell(errors, "Alliance", 1).endswith(f"({row['std_error']:.3f})")
    assert errors.headings[1] == "b\n(SE)"
    bare = table(result, spread="none")
    assert bare.cells.shape[1] == 2
    four = table(*[result] * 3)
    assert four.cells.shape[1] == 4  # below, where there are many
    assert [s.label for s in table(result, result, names=("A", "B")).spanners] == ["A", "B"]


def test_styles_differ_where_journals_do() -> None:
    result = fitted("mixed")
    apa, jama, ptj = (table(result, style=style, p=True, place="beside") for style in ("apa", "jama", "ptj"))
    assert cell(apa, "ICC", 1).startswith(".")
    assert cell(jama, "ICC", 1).startswith("0.")
    assert " to " in cell(jama, "Alliance", 2)
    assert jama.headings[3] == "\ue000P\ue001"
    assert jama.notes[0].startswith("Abbreviations: b, regression coefficient; CI, confidence interval")
    assert ptj.notes[0].startswith("b = regression coefficient; CI = confidence interval")
    assert "**Table 1. Estimates of pain**" in str(jama.to("md"))


def test_random_parts_of_the_same_name_stay_apart() -> None:
    labels = table(fitted("mixed")).body.iloc[:, 0].tolist()
    assert [x for x in labels if x.startswith("SD of intercept")] == [
        "SD of intercept (patient)",
        "SD of intercept (therapist)",
    ]
    assert "Residual SD" in labels
    assert "REML criterion" in labels
    assert "REML criterion" not in table(fitted("logit")).body.iloc[:, 0].tolist()


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(AllianceError, match="found nothing"):
        table()
    with pytest.raises(AllianceError, match="found LinearModel"):
        table(LinearModel("y ~ x"))  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="2 models need as many different names"):
        table(fitted("linear"), fitted("mixed"), names=("A", "A"))
    with pytest.raises(AllianceError, match="is no column of glance"):
        table(fitted("linear"), fit=("r2",))
    with pytest.raises(AllianceError, match="spread is 'sd'"):
        table(fitted("linear"), spread="sd")  # type: ignore[arg-type]
    with pytest.raises(AllianceError, match="give a list"):
        table(fitted("linear"), terms="alliance")


def test_a_variance_of_zero_and_a_perfect_fit_are_printed() -> None:
    frame = pd.DataFrame({"x": np.arange(8.0), "y": 2 * np.arange(8.0) - 1})
    made = table(LinearModel("y ~ x").fit(frame))
    assert cell(made, "X", 1) == "2.00"
    flat = sessions().assign(pain=lambda d: np.random.default_rng(3).normal(size=len(d)))
    singular = MixedModel("pain ~ alliance + (1 | therapist)").fit(flat)
    assert table(singular).body.iloc[:, 0].tolist().count("SD of intercept (therapist)") == 1


def test_maketables_reads_a_result() -> None:
    """Its text has every coefficient and size; without a star."""
    import maketables

    result = fitted("mixed")
    made = maketables.ETable([ForMaketables(result)], coef_fmt="b:.2f \n [ci95l:.2f, ci95u:.2f]")
    text = str(made.make(type="tex"))
    rows = result.tidy().query("component == 'fixed'")
    for value in rows["estimate"]:
        assert f"{value:.2f}" in text
    assert str(len(result.frame)) in text
    assert "pain" in text
    assert "^{*" not in text
