"""Answers to the items of any questionnaire, from a latent trait."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.instruments.instrument import Instrument
from alliance_stats.instruments.registry import instrument
from alliance_stats.numerics.graded import graded_items, shift_for_maximum
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.parts import require_share

LOADING = float(np.sqrt(0.8))
EDGES = (-2.0, 0.7)  # the lowest and the highest threshold of the unshifted scale
FIVE = (-2.0, -1.2, -0.3, 0.7)  # thresholds of five options
CEILING = 0.25


def thresholds_of(options: int) -> np.ndarray:
    """Thresholds between so many options, before the shift: those of five options, and others spread as they are.

    >>> thresholds_of(5).tolist(), thresholds_of(2).tolist()
    ([-2.0, -1.2, -0.3, 0.7], [-0.75])
    """
    if options < 2:
        raise AllianceError(f"an item with {options} option has nothing to choose; use 2 or more")
    places = (np.arange(1, options) - 0.5) / (options - 1)
    known = (np.arange(1, 5) - 0.5) / 4
    inside = np.interp(places, known, FIVE)
    step = (FIVE[1] - FIVE[0]) / (known[1] - known[0]), (FIVE[3] - FIVE[2]) / (known[3] - known[2])
    low, high = np.minimum(places - known[0], 0.0) * step[0], np.maximum(places - known[-1], 0.0) * step[1]
    return np.asarray(inside + low + high)


def simulate_items(
    key: str | Instrument, latent: np.ndarray, *, rng: Seed, items: str = "item_{}", number: int | None = None,
    reverse: Sequence[int] | None = None, ceiling: float | None = CEILING, loading: float = LOADING, missing: float = 0.0,
) -> pd.DataFrame:  # fmt: skip
    """Item answers of an instrument in the normal-ogive graded response model.

    Parameters
    ----------
    key : an instrument, or its key: number of items and options come from it.
    latent : the trait of each row, about standard normal, shape (n,); more of it gives higher scores.
    rng : seed.
    items : pattern of the columns, such as ``"wai_{}"``.
    number : number of items, for an instrument with any number of them.
    reverse : numbers of the reversed items, whose answers are turned round; needed where the key does not have them confirmed.
    ceiling : share of the totals at the maximum where the trait is standard normal; None leaves the thresholds unshifted.
    loading : correlation of an item's underlying answer with the trait.
    missing : share of the answers that is lost, at random.

    Returns
    -------
    DataFrame of shape (n, items): integers, floats where some are lost.

    Raises AllianceError for shares outside [0, 1) or reversals that are not confirmed.

    Source: Samejima 1969, doi 10.1007/BF03372160. Loading and thresholds are assumed: with five options and twelve items a
    shift of .8, which puts 25 % at the maximum, gives totals of mean 52.6 and SD 8.0.

    >>> answers = simulate_items("wai_sr", np.zeros(3), rng=1, items="wai_{}", reverse=[])
    >>> answers.shape, bool(answers.isin(range(1, 6)).all(axis=None))
    ((3, 12), True)
    """
    found = instrument(key) if isinstance(key, str) else key
    count = number or found.items
    require_share("missing", missing)
    if ceiling is not None and not 0 < ceiling < 1:
        raise AllianceError(f"ceiling is {ceiling}; use a share between 0 and 1, or None")
    if not 0 < loading < 1:
        raise AllianceError(f"loading is {loading}; use a number between 0 and 1")
    low, high = found.answers.low, found.answers.high
    edges = thresholds_of(high - low + 1)
    shift = 0.0 if ceiling is None else shift_for_maximum(ceiling, edges, loading, count)
    draws = stream(rng, "items", found.key)
    answers = graded_items(np.asarray(latent, dtype=float), edges - shift, loading, draws, count) + (low - 1)
    for item in _reversed(found, reverse):
        answers[:, item - 1] = low + high - answers[:, item - 1]
    frame = pd.DataFrame(answers, columns=[items.format(i) for i in range(1, count + 1)])
    if missing:
        lost = stream(rng, "items", found.key, "missing").random(answers.shape) < missing
        frame = frame.astype(float).mask(lost)
    return frame


def _reversed(found: Instrument, given: Sequence[int] | None) -> Sequence[int]:
    if given is not None:
        return given
    if found.reverse.items is None or found.reverse.status != "seen":
        raise AllianceError(
            f"{found.key}: which items are reversed is not confirmed ({found.reverse.status}); pass reverse=[…], [] for none"
        )
    return found.reverse.items
