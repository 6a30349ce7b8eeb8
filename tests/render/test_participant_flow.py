"""Participant flow: every row has its box, and every text fits in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from seen import assert_readable, boxes_of

from alliance_stats.errors import DataError
from alliance_stats.render import figures


def test_flow_boxes_hold_every_row_once(flow):
    boxes = figures.flow_boxes(flow)
    words = boxes["text"].str.replace("\n", " ")
    assert boxes.kind.value_counts().to_dict() == {"arm": 16, "lost": 10, "total": 2}
    assert words.tolist()[:3] == [
        "Assessed for eligibility n = 512",
        "395 excluded: not eligible or declined",
        "Randomised n = 117",
    ]
    arms = boxes[boxes.kind == "arm"]
    assert words[arms.index[:2]].tolist() == [
        "alliance-enhanced interferential n = 30",
        "limited interferential n = 29",
    ]
    numbers = flow[~flow.arm.isin(["", "all"])].n
    assert words[arms.index].str.extract(r"n = (\d+)$")[0].astype(int).tolist() == numbers.tolist()


@pytest.mark.parametrize("width", [85, 174])
def test_flow_boxes_neither_overlap_nor_leave_the_sheet(flow, width):
    arms = flow.arm.unique()[2:4] if width == 85 else flow.arm.unique()
    boxes = figures.flow_boxes(flow[flow.arm.isin([*arms, "all", ""])], width=width).to_dict("records")
    for k, a in enumerate(boxes):
        assert a["left"] >= 0
        assert a["left"] + a["width"] <= width
        for b in boxes[k + 1 :]:
            apart = a["left"] + a["width"] <= b["left"] or b["left"] + b["width"] <= a["left"]
            assert apart or a["top"] + a["height"] <= b["top"] or b["top"] + b["height"] <= a["top"]


def test_two_arms_fit_in_one_column(flow):
    two = flow[flow.arm.isin(["all", "", *flow.arm.unique()[2:4]])]
    assert_readable(figures.participant_flow(two, width=85))


def test_flow_texts_fit_in_their_boxes(flow):
    for ax in (figures.participant_flow(flow), figures.participant_flow(flow, ax=figures.canvas(174, 120)[0])):
        boxes = boxes_of(ax)
        texts = [text for text in ax.texts if text.get_text()]
        assert len(texts) == len(ax.patches) == 28
        for text, patch in zip(texts, ax.patches, strict=True):
            outer, inner = patch.get_window_extent(), boxes[text]
            assert outer.x0 < inner.x0 < inner.x1 < outer.x1
            assert outer.y0 < inner.y0 < inner.y1 < outer.y1


def test_flow_without_totals_and_with_one_arm():
    flow = pd.DataFrame({"stage": ["Start", "End"], "arm": "A", "n": [9, 7], "reason": ["", "2 lost"]})
    ax = figures.participant_flow(flow)
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["A\nStart\nn = 9", "2 lost", "End\nn = 7"]


def test_flow_errors(flow):
    with pytest.raises(DataError, match="more than one row"):
        figures.participant_flow(pd.concat([flow, flow.tail(1)]))
    with pytest.raises(DataError, match="no n"):
        figures.participant_flow(flow.assign(n=[np.nan, *flow.n[1:]]))
    with pytest.raises(DataError, match="mm tall"):
        figures.participant_flow(flow, ax=figures.canvas(174, 40)[0])
    with pytest.raises(DataError, match="4 arms do not fit in 85 mm"):
        figures.participant_flow(flow, width=85)
