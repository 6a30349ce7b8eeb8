"""The one progress bar: of every call that can take over two seconds, shown after these."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

DELAY = 2.0  # seconds before a bar appears: what ends earlier shows none


def bar(steps: Iterable[Any] | None, what: str, unit: str, *, shown: bool, total: int | None = None) -> Any:
    """The steps, with a bar that names what is done and goes away at the end.

    Without steps it is a bar to ``update`` in a ``with`` statement. The environment variable TQDM_DISABLE=1 silences all bars.

    >>> sum(bar([1, 2, 3], "example", "step", shown=True))
    6
    """
    from tqdm.auto import tqdm

    silent = not shown or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    return tqdm(steps, total=total, desc=what, unit=unit, disable=silent, delay=DELAY, leave=False)
