"""Estimates as sentences: every model, its own scale, the numbers those of tidy()."""

from __future__ import annotations

import re

import numpy as np
import pytest
from test_model_table import fitted, printed

from alliance_stats.errors import AllianceError
from alliance_stats.render.sentence import places

RATIOS = {
    "logit": "odds ratio", "counts": "rate ratio", "beta": "odds ratio", "fractional": "odds ratio", "gee": "odds ratio",
    "ordinal": "odds ratio", "cox": "hazard ratio", "hazards": "hazard ratio", "fine-gray": "subdistribution hazard ratio",
}  # fmt: skip


@pytest.mark.parametrize("name", RATIOS)
def test_the_ratio_stands_beside_b(name: str) -> None:
    result = fitted(name)
    b = result.tidy().set_index("term").loc["alliance"]
    text = result.apa("alliance", full=True)
    found = re.search(rf", {RATIOS[name]} = ([\d.]+) \[([\d.]+), ([\d.]+)\], ", text)
    assert found, text
    for shown, value in zip(
        found.groups(), np.exp(b[["estimate", "conf_low", "conf_high"]].to_numpy(float)), strict=True
    ):
        assert float(shown) == pytest.approx(value, abs=0.5 * 10.0 ** -len(shown.partition(".")[2]) * (1 + 1e-9))
    assert RATIOS[name] not in result.apa("alliance", full=True, ratio=False)
    assert RATIOS[name] not in result.apa("alliance")
    assert f", {RATIOS[name]} = " in result.apa("alliance", ratio=True)


@pytest.mark.parametrize("name", ["linear", "mixed", "mediation"])
def test_no_ratio_without_a_link(name: str) -> None:
    with pytest.raises(AllianceError, match="their exponential has no name"):
        fitted(name).apa(fitted(name).tidy()["term"].iloc[0], ratio=True, at="")


def test_a_sentence_of_a_coefficient() -> None:
    row = fitted("mixed").tidy().set_index("term").loc["alliance"]
    text = fitted("mixed").apa(
        "alliance", label="within-patient working alliance", outcome="pain at 8 weeks", units="points"
    )
    assert text.startswith(
        f"Within-patient working alliance predicted pain at 8 weeks, b = −{-row['estimate']:.3f} points, 95% CI ["
    )
    assert re.search(r"\], t\(\d+(\.\d)?\) = −\d+\.\d\d, p < \.001$", text), text
    assert fitted("linear").apa("Intercept", full=True).startswith("The intercept for pain was ")


def test_an_interval_over_zero_predicts_nothing() -> None:
    row = fitted("hazards").tidy().set_index("term").loc["arm[T.MCE]"]
    assert row["conf_low"] < 0 < row["conf_high"]
    assert fitted("hazards").apa("arm[T.MCE]", full=True).startswith("Arm: MCE did not clearly predict left, b = ")


def test_effects_take_the_row_without_a_moderator_and_others_by_name() -> None:
    result = fitted("mediation")
    rows = result.tidy().query("term == 'indirect'").set_index("at")
    assert len(rows) > 1
    whole, low = rows.loc[""], rows.loc["session = 1"]
    for row, sentence in ((whole, result.apa("indirect")), (low, result.apa("indirect", at="session = 1"))):
        assert sentence.startswith(f"b = {places(row['estimate'])}, SE = {places(row['std_error'])}")
    text = result.apa("indirect", full=True)
    assert text.startswith("The indirect effect on pain was ")
    assert "95% delta-method CI [" in text
    assert "(session = 1)" in result.apa("indirect", at="session = 1", full=True)
    with pytest.raises(AllianceError, match=r"'indirect' has no row at 'w = 9'; at= takes one of ''; 'session = 1'"):
        result.apa("indirect", at="w = 9")


def test_effects_of_other_scales_say_so() -> None:
    assert "was an odds ratio of " in fitted("odds").apa("indirect", full=True)
    text = fitted("multilevel").apa("indirect_within", full=True)
    assert text.startswith("The within-patient indirect effect on pain was ")
    assert "95% Monte Carlo CI [" in text
    assert re.search(r", p (=|<) \.\d{3}$", text)


def test_means_of_printed_tables_predict_nothing() -> None:
    assert printed().apa("group=AE", full=True).startswith("Group: AE: M = 31.40, 95% CI [")
    assert printed().apa("group=AE", outcome="fall in pain").startswith("Group: AE, fall in pain: M = 31.40, ")


def test_the_random_parts_of_two_factors_are_no_one_term() -> None:
    with pytest.raises(AllianceError, match=r"'sd\(Intercept\)' names 2 rows"):
        fitted("mixed").apa("sd(Intercept)")
    with pytest.raises(AllianceError, match="'aliance' is not a term; terms: Intercept"):
        fitted("mixed").apa("aliance", at="x")
