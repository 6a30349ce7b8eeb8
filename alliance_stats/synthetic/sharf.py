"""Synthetic patients of eleven studies of alliance and dropout, with one standardised difference in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.numerics.random import Seed, stream
from alliance_stats.synthetic.parts import require_share
from alliance_stats.synthetic.trial import ASSUMED, Trial, parameter_frame, truth_frame

PRINTED = "Sharf 2010, doi 10.1037/a0021175 (abstract)"
SIZES = (20, 50, 64, 74, 85, 92, 100, 110, 120, 135, 451)
DROPOUT = (0.20, 0.45)  # lowest and highest share of a study
SCALES = ((5.0, 0.8), (60.0, 10.0), (190.0, 28.0))  # mean and SD of completers on three questionnaires


def simulate_sharf(
    rng: Seed = 47, *, d: float = 0.55, sizes: Sequence[int] = SIZES, dropout: tuple[float, float] = DROPOUT
) -> Trial:
    """Alliance, normal with one SD in those who completed and those who dropped out, d SDs apart, on each study's own scale.

    Parameters
    ----------
    rng : seed; every part has its own stream.
    d : completers' mean less dropouts' mean, in SDs within the two groups, the same in all studies.
    sizes : patients of each study; those given have the printed sum, range and (to the patient) SD.
    dropout : lowest and highest share of dropouts; the studies are spread evenly between them.

    Returns
    -------
    Trial with one row a patient: patient, sample (the study), alliance, dropped.

    With normal ratings of one SD the log odds of dropping out fall by exactly d for each SD of alliance, whatever the share of
    dropouts (discriminant analysis; Efron 1975, doi 10.1080/01621459.1975.10480319).

    Raises AllianceError for numbers that make no studies. Source: Sharf et al. 2010: d, number of studies, patients, sizes. All
    else is assumed.

    >>> trial = simulate_sharf(rng=1)
    >>> len(trial.data), trial.data["sample"].nunique(), trial.true_value("slope", "alliance_sd")
    (1301, 11, -0.55)
    """
    if len(sizes) < 2 or min(sizes) < 10:
        raise AllianceError(f"sizes are {tuple(sizes)}; give two studies or more, of 10 patients or more")
    for share in dropout:
        require_share("dropout", share)
    if not 0 < dropout[0] <= dropout[1] < 0.9:
        raise AllianceError(f"dropout is {dropout}; give the lowest and the highest share, between 0 and .9")
    shares = np.linspace(*dropout, len(sizes))[stream(rng, "sharf2010", "shares").permutation(len(sizes))]
    parts = [_study(rng, k, n, float(share), d) for k, (n, share) in enumerate(zip(sizes, shares, strict=True))]
    data = pd.concat(parts, ignore_index=True)
    data.insert(0, "patient", np.arange(1, len(data) + 1))
    return Trial(data, truth_frame(_truth(d)), parameter_frame(_parameters(d, sizes, dropout)), rng)


def _study(rng: Seed, k: int, n: int, share: float, d: float) -> pd.DataFrame:
    """Two dropouts and two completers at least, so that every study has a difference."""
    left = np.zeros(n, dtype=int)
    left[: int(np.clip(round(share * n), 2, n - 2))] = 1
    left = stream(rng, "sharf2010", "dropped", k).permutation(left)
    mean, sd = SCALES[k % len(SCALES)]
    z = stream(rng, "sharf2010", "alliance", k).standard_normal(n) - d * left
    return pd.DataFrame({"sample": f"S{k + 1:02d}", "alliance": np.round(mean + sd * z, 2), "dropped": left})


def _truth(d: float) -> Iterator[tuple[str, str, float, str]]:
    yield "slope", "alliance_sd", -d, "change of the log odds of dropping out by one SD of alliance within the groups"
    yield "difference", "dropped", -d, "dropouts less completers, in SDs within the groups"


def _parameters(d: float, sizes: Sequence[int], dropout: tuple[float, float]) -> Iterator[tuple[str, float, str, str]]:
    yield "d", d, "standardised difference between completers and dropouts, the same in all studies", PRINTED
    yield "studies", len(sizes), "number of studies", PRINTED
    yield "patients", sum(sizes), "number of patients", PRINTED
    for k, n in enumerate(sizes, start=1):
        fits = "assumed, with the printed sum of 1,301, mean of 118, SD of 115 and range of 20 to 451"
        yield f"n_{k}", n, f"patients of study {k}", fits
    yield "dropout_lowest", dropout[0], "lowest share of dropouts of a study", ASSUMED
    yield "dropout_highest", dropout[1], "highest share", ASSUMED
    for k, (mean, sd) in enumerate(SCALES, start=1):
        yield f"scale_{k}_mean", mean, f"mean of completers on questionnaire {k}", ASSUMED
        yield f"scale_{k}_sd", sd, f"SD within the groups on questionnaire {k}", ASSUMED
