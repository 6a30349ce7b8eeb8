"""Mediation drawn: what stands on arrows, lines and axes, and that it can be read at one column and two."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from seen import LONG, assert_readable

from alliance_stats import DataError, Mediation, Result, process_model
from alliance_stats.inference.conditional_indirect import conditional_indirect
from alliance_stats.inference.interventional import interventional_effects
from alliance_stats.inference.mediation_sensitivity import (
    mediation_sensitivity,
    sensitivity_contours,
    sensitivity_curve,
)
from alliance_stats.render import figures

NAMES = {"arm": "Enhanced against limited alliance", "alliance": "Working alliance (session 3)",
         "adherence": "Adherence to exercises", "pain": "Pain at 8 weeks"}  # fmt: skip
FORMULAS = {
    "one": (["alliance ~ arm"], "pain ~ arm + alliance"),
    "parallel": (["alliance ~ arm", "adherence ~ arm"], "pain ~ arm + alliance + adherence"),
    "serial": (["adherence ~ arm", "alliance ~ arm + adherence"], "pain ~ arm + alliance + adherence"),
    "products": (["alliance ~ arm * severity"], "pain ~ arm * alliance + severity"),
}


@cache
def patients() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"arm": np.arange(240) % 2, "severity": rng.normal(50, 10, 240)})
    frame["adherence"] = 0.5 * frame["arm"] + rng.normal(size=240)
    frame["alliance"] = 0.6 * frame["arm"] + 0.3 * frame["adherence"] + rng.normal(size=240)
    frame["pain"] = -0.2 * frame["arm"] - 0.5 * frame["alliance"] - 0.3 * frame["adherence"] + rng.normal(size=240)
    return frame


@cache
def fitted(kind: str) -> Result:
    mediators, outcome = FORMULAS[kind]
    return Mediation(mediators, outcome, "arm", interval="delta").fit(patients())


def words(ax) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in ax.texts if text.get_text()]


@pytest.mark.parametrize("width", [85, 174])
@pytest.mark.parametrize(
    "labels", [NAMES, {}, {**NAMES, "pain": LONG.replace("_", " ")}], ids=["named", "plain", "long"]
)
@pytest.mark.parametrize("kind", FORMULAS)
def test_path_diagram_is_readable(kind, labels, width):
    assert_readable(figures.path_diagram(fitted(kind).tidy(), exposure="arm", labels=labels, width=width))


@pytest.mark.parametrize("kind", FORMULAS)
def test_arrows_carry_the_numbers_of_the_frame(kind):
    rows = figures.path_rows(fitted(kind).tidy())
    text = " ".join(words(figures.path_diagram(fitted(kind).tidy(), exposure="arm")))
    for term, numbers in zip(rows["term"], rows["numbers"], strict=True):
        assert f"{'c′' if term == 'c_prime' else term} = {numbers}" in text
    assert "c" not in set(rows["term"])
    assert ("zero of the other variable" in text) == (kind == "products")


def test_arrows_run_from_cause_to_effect():
    ax = figures.path_diagram(fitted("serial").tidy(), exposure="arm")
    boxes = {t.get_text(): np.array(t.get_position()) for t in ax.texts if t.get_text() in patients().columns}
    arrows = [(np.array(a.xyann), np.array(a.xy)) for a in ax.texts if hasattr(a, "xyann")]
    nearest = {tuple(min(boxes, key=lambda b: np.linalg.norm(boxes[b] - end)) for end in ends) for ends in arrows}
    assert nearest == {
        ("arm", "adherence"), ("arm", "alliance"), ("adherence", "alliance"), ("adherence", "pain"), ("alliance", "pain"),
        ("arm", "pain"),
    }  # fmt: skip


def test_path_diagram_in_axes_given():
    left, right = figures.canvas(174, 90, columns=2)
    assert figures.path_diagram(fitted("one").tidy(), exposure="arm", ax=right) is right
    assert not left.texts


def test_path_diagram_refuses_what_it_cannot_draw():
    levels = patients().assign(arm=np.array(["a", "b", "c"])[np.arange(240) % 3])
    result = Mediation(["alliance ~ arm"], "pain ~ arm + alliance", "arm", interval="delta").fit(levels)
    with pytest.raises(DataError, match="several levels"):
        figures.path_diagram(result.tidy(), exposure="arm")
    three = patients().assign(hope=lambda d: d["alliance"] + np.arange(240) % 7)
    result = Mediation(
        ["alliance ~ arm", "adherence ~ arm", "hope ~ arm"],
        "pain ~ arm + alliance + adherence + hope",
        "arm",
        interval="delta",
    ).fit(three)
    with pytest.raises(DataError, match="more than two mediators"):
        figures.path_diagram(result.tidy(), exposure="arm")
    with pytest.raises(DataError, match="component 'path'"):
        figures.path_diagram(result.tidy().query("component == 'effect'"), exposure="arm")


@pytest.mark.parametrize("width", [85, 174])
@pytest.mark.parametrize("kind", ["effects", "worlds", "parts"])
def test_effects_are_named_in_words(kind, width):
    ax = figures.effect_forest(fitted("products").tidy(), kind=kind, width=width, xlabel="Pain (points)")
    labels = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()]
    rows = fitted("products").tidy().set_index("term")
    first = {"effects": "indirect", "worlds": "acme_control", "parts": "cde"}[kind]
    assert labels[0].startswith({"effects": "Indirect: through", "worlds": "Indirect, had all been controls",
                                 "parts": "Direct, mediator held fixed"}[kind])  # fmt: skip
    assert "_" not in "".join(labels)
    assert len(labels) == {"effects": 3, "worlds": 5, "parts": 5}[kind]
    assert ax.collections[1].get_offsets()[0, 0] == rows.loc[first, "estimate"]
    assert_readable(ax)


def test_forest_of_paths_moderators_and_interventional_effects():
    serial = figures.effect_forest(fitted("serial").tidy(), width=174)
    assert "Indirect: through adherence, then alliance" in [t.get_text() for t in serial.get_yticklabels()]
    moderated = process_model(7, x="arm", m="alliance", y="pain", w="severity", interval="delta").fit(patients())
    ax = figures.effect_forest(moderated.tidy(), width=174)
    assert sum("severity" in t.get_text() for t in ax.get_yticklabels()) == 9
    found = interventional_effects(
        patients(), exposure="arm", confounder="adherence ~ arm", mediator="alliance ~ arm + adherence",
        outcome="pain ~ arm + adherence + alliance", interval="delta",
    )  # fmt: skip
    ax = figures.effect_forest(found.tidy())
    assert len(ax.get_yticklabels()) == 7
    assert_readable(ax)
    with pytest.raises(DataError, match="kind"):
        figures.effect_forest(found.tidy(), kind="all")
    with pytest.raises(DataError, match="no rows"):
        figures.effect_forest(found.tidy(), kind="parts").texts and figures.effect_forest(
            found.tidy().query("component == 'path'")
        )


def test_sensitivity_curve_marks_the_solved_zero():
    curve, found = sensitivity_curve(fitted("one")), mediation_sensitivity(fitted("one"), "indirect")
    zero = float(found["value"].iloc[0])
    ax = figures.sensitivity_curve(curve, zero=zero)
    line = next(line for line in ax.lines if len(line.get_xdata()) == len(curve))
    np.testing.assert_array_equal(line.get_ydata(), curve["estimate"])
    mark = ax.lines[-1]
    assert mark.get_xdata()[0] == zero
    assert f"ρ = −{abs(zero):.2f}" in ax.get_legend().get_texts()[1].get_text()
    assert_readable(ax)
    read_off = figures.sensitivity_curve(curve).lines[-1].get_xdata()[0]
    assert read_off == pytest.approx(zero, abs=0.005)
    never = figures.sensitivity_curve(curve[curve["rho"] > 0.1])
    assert len(never.get_legend().get_texts()) == 1
    both = pd.concat([curve, curve.assign(term="direct")])
    with pytest.raises(DataError, match="one effect"):
        figures.sensitivity_curve(both)


@pytest.mark.parametrize("form", ["residual", "total"])
def test_contours_hold_the_line_of_no_effect(form):
    frame = sensitivity_contours(fitted("one"), form=form, points=31)
    ax = figures.sensitivity_contours(frame)
    zero = next(c for c in ax.collections if hasattr(c, "levels") and list(c.levels) == [0.0])
    points = zero.get_paths()[0].vertices
    values = mediation_sensitivity(fitted("one"), "indirect").set_index("measure")["value"]
    # The line is drawn between the points of a grid of 31: the product of both shares along it is constant to some per cent.
    assert points.prod(axis=1) == pytest.approx(values[f"R² product, {form}"], rel=0.05)
    assert ("residual" in ax.get_xlabel()) == (form == "residual")
    assert "opposite" in ax.get_legend().get_texts()[2].get_text().replace("\n", " ")
    assert_readable(ax)
    same = figures.sensitivity_contours(sensitivity_contours(fitted("one"), form=form, same_sign=True, points=11))
    assert same.get_legend().get_texts()[0].get_text() == "nowhere without effect"


def test_conditional_indirect_effect_as_johnson_neyman():
    result = fitted("products")
    curve = conditional_indirect(result, "severity", points=15, interval="delta")
    ax = figures.johnson_neyman(curve, x="severity", observed=patients()["severity"], ylabel="indirect effect on pain")
    assert ax.get_ylabel() == "indirect effect on pain"
    assert_readable(ax)
