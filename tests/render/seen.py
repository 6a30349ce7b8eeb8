"""What a reader sees of a figure: its texts and where they lie."""

from __future__ import annotations

ARMS = {"usual care": 0.2, "exercise": 0.7}
LONG = "satisfaction_with_the_treatment_received_at_discharge_from_the_physiotherapy_clinic"


def texts_of(ax):
    """Every text that is seen: labels, ticks in view, texts, legend."""
    ticks = [
        label
        for labels, (low, high), k in (
            (ax.get_xticklabels(), ax.get_xlim(), 0),
            (ax.get_yticklabels(), ax.get_ylim(), 1),
        )
        for label in labels
        if min(low, high) <= label.get_position()[k] <= max(low, high)
    ]
    legend = ax.get_legend().get_texts() if ax.get_legend() else []
    found = [ax.xaxis.label, ax.yaxis.label, *ticks, *ax.texts, *legend]
    return [text for text in found if text.get_text() and text.get_visible() and ax.axison | (text in ax.texts)]


def boxes_of(ax):
    figure = ax.get_figure(root=True)
    figure.canvas.draw()
    return {text: text.get_window_extent(figure.canvas.get_renderer()) for text in texts_of(ax)}


def assert_readable(ax):
    """No text outside the figure, and no two texts over each other."""
    figure, boxes = ax.get_figure(root=True), boxes_of(ax)
    assert boxes
    for text, box in boxes.items():
        inside = figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert inside, f"{text.get_text()!r} reaches from {box.x0} to {box.x1} of {figure.bbox.x1}"
        assert figure.bbox.y0 <= box.y0, text.get_text()
        assert box.y1 <= figure.bbox.y1, text.get_text()
    shown = list(boxes.items())
    for k, (text, box) in enumerate(shown):
        for other, other_box in shown[k + 1 :]:
            assert not box.overlaps(other_box), f"{text.get_text()!r} over {other.get_text()!r}"
