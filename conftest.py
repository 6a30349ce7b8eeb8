"""For tests and doctests alike: figures that a test opened are closed after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_figures_are_left_open() -> Iterator[None]:
    """matplotlib warns, and warnings are errors here, when more than twenty are open."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
