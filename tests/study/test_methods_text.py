"""The statistical-methods text: every model and reference distribution of every study is named, in sentences."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import alliance_stats as al
from alliance_stats.study.formula_words import formula_words, listed, split
from alliance_stats.study.method_words import TESTS, WORDS, method_of
from alliance_stats.study.methods import methods_text

NAMES = {
    "LinearModel": "Linear regression", "MixedModel": "linear mixed model", "GeneralizedMixedModel": "mixed model with",
    "DiscreteTimeModel": "discrete-time hazard model", "SummaryStatistics": "Analysis of printed means",
    "PrintedNumbers": "Recomputation from printed numbers", "PrintedDependability": "Recomputation from printed numbers",
    "Mediation": "Causal mediation analysis", "MultilevelMediation": "Multilevel mediation analysis",
}  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    return {key: al.studies[key].run() for key in al.studies}


@pytest.mark.parametrize("key", list(al.studies))
def test_every_model_and_reference_distribution_is_named(runs, key):
    run = runs[key]
    text = run.methods_text()
    for name, result in run.results.items():
        assert NAMES[type(result.model).__name__] in text, name
        method = str(result.statistics.get("df_method", pd.Series([""])).iloc[0])
        if method:
            assert TESTS[method] in text, name
        formula = str(getattr(result.model, "formula", ""))
        assert formula.rpartition(" (2-1-1")[0] or formula in text, name
    for estimand in {a.estimand for a in run.study.analyses if a.name in run.results}:
        assert run.study.estimands[estimand].summary[1:] in text


@pytest.mark.parametrize("key", list(al.studies))
def test_the_text_is_sentences_without_paths_of_code_or_gaps(runs, key):
    text = runs[key].methods_text()
    assert not re.search(
        r"\balliance_stats\.\w|<|>(?! )|\{|\}|\bNone\b|\bnan\b|0x|/tmp|TODO|  |\(\)|,,|\.\.|;;| ,",
        text.replace("< .05", "of .05"),
    )
    for paragraph in text.split("\n\n"):
        assert paragraph[0].isupper()
        assert paragraph.endswith(".")
    assert f"alliance_stats {al.__version__} in Python" in text
    assert "numpy" not in text
    assert "NumPy" in text


def test_what_was_lost_and_what_was_adjusted_is_counted(runs):
    assert "(156 of 1020 rows in" in runs["lonsdale2017"].methods_text()
    assert "(6 of 240 rows in every analysis); nothing was imputed." in runs["biomarker_mediation"].methods_text()
    assert "adjusted by Holm's method. Other p-values were not adjusted" in runs["fuentes2014"].methods_text()
    assert "The p-values were not adjusted" in runs["keller2010"].methods_text()


def test_draws_and_intervals_are_named(runs):
    text = runs["biomarker_mediation"].methods_text()
    assert "95% Monte Carlo intervals from 5,000 draws of the parameters" in text
    assert "cluster-robust with the bias-reduced estimator (CR2) by therapist" in text
    assert "intervals by the delta method" in runs["lonsdale2017"].methods_text()


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("pain ~ alliance", "pain on alliance"),
        ("pain ~ 1", "pain without predictors"),
        ("pain_8w ~ arm * alliance + pain_before", "pain 8w on arm, alliance and their interaction, and pain before"),
        ("y ~ wave * (a + b)", "y on wave, a, b and their interactions"),
        ("y ~ a:b + I(x^2) + C(session)", "y on the interaction of a and b, x squared, and session (as categories)"),
        ("y ~ t + (1 | patient) + (1 | therapist)", "y on t, with random intercepts by patient and therapist"),
        ("y ~ t + (1 + t || patient)", "y on t, with random intercepts and slopes of t (uncorrelated) by patient"),
        ("y ~ t + (1 | clinic/patient)", "y on t, with random intercepts by patient within clinic"),
        ("done | trials(assigned) ~ x", "done of assigned on x"),
        ("Surv(start, stop, event) ~ x", "time (start to stop) until event on x"),
    ],
)  # fmt: skip
def test_formulas_in_words(formula, words):
    assert formula_words(formula) == words


def test_lists_and_parts():
    assert listed([]) == ""
    assert listed(["a", "b"]) == "a and b"
    assert split("I(a + b) * c", "*") == ["I(a + b)", "c"]


def trial() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 160
    data = pd.DataFrame({"therapist": np.arange(n) % 16, "arm": rng.integers(0, 2, n), "x": rng.normal(size=n)})
    data["y"] = data["x"] + rng.normal(size=n)
    data["yes"] = (rng.random(n) < 0.5).astype(int)
    data["share"] = rng.uniform(0.05, 0.95, n)
    data["level"] = rng.integers(0, 3, n)
    data["time"] = rng.exponential(size=n).round(2) + 0.01
    return data


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (al.LinearModel("y ~ x", vcov="CR2", cluster="therapist"), "bias-reduced estimator (CR2) by therapist"),
        (al.MixedModel("y ~ x + (1 | therapist)", method="ML", df_method="normal"), "fitted by maximum likelihood, was used"),
        (al.BetaModel("share ~ x"), "Beta regression with logit link"),
        (al.FractionalModel("share ~ x"), "Fractional regression with logit link"),
        (al.GEE("yes ~ x", cluster="therapist"), "(binomial, exchangeable working correlation) were used"),
        (al.OrdinalModel("level ~ x"), "ordinal) regression with logit link"),
        (al.CoxModel("Surv(time, yes) ~ x"), "A Cox proportional hazards model, fitted by partial likelihood with Efron's"),
        (al.Mediation(["x ~ arm"], "y ~ arm + x", "arm", draws=200), "percentile bootstrap intervals from 200 resamples"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)  # fmt: skip
def test_one_result_alone(model, said):
    text = methods_text(model.fit(trial()))
    assert said in text
    assert "No row had a missing value." in text
    assert text.endswith(".")


def test_rows_lost_of_one_result():
    data = trial()
    data.loc[:4, "x"] = np.nan
    assert "Rows with missing values (5 of 160) were left out." in methods_text(al.LinearModel("y ~ x").fit(data))


def test_every_model_of_the_package_has_words():
    models = {
        name
        for name in al.__all__
        if name.endswith("Model") or name in ("GEE", "Mediation", "MultilevelMediation", "SummaryStatistics")
    }
    models -= {"InterventionalEffects"}
    assert {name for name in models if isinstance(getattr(al, name), type)} <= set(WORDS)


def test_a_model_without_words_is_named_by_its_class(runs):
    from dataclasses import replace

    class Strange:
        formula, level = "y ~ x", 0.95

    result = replace(runs["chen2019"].results["alliance"], model=Strange())
    assert method_of(result).name == "A model of class Strange"
