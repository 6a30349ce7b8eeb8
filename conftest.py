"""For tests, doctests and notebooks alike: figures are closed after each test, and progress bars are silent."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

os.environ["TQDM_DISABLE"] = "1"  # a slow machine would write bars among the outputs of the notebooks


@pytest.fixture(autouse=True)
def no_figures_are_left_open() -> Iterator[None]:
    """matplotlib warns, and warnings are errors here, when more than twenty are open."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
