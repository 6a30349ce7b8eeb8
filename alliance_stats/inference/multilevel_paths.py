"""Each patient's own paths of a multilevel mediation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from alliance_stats.errors import AllianceError
from alliance_stats.models.multilevel_mediation import MultilevelMediation, MultilevelState
from alliance_stats.models.multilevel_options import require_normal
from alliance_stats.numerics.distributions import t_quantile
from alliance_stats.numerics.multilevel_mediation import product_variance
from alliance_stats.result import Result, tidy_frame

PATHS = ("a", "b", "c_prime")


def patient_paths(result: Result) -> pd.DataFrame:
    """The paths a_j, b_j, c′_j of every patient and their indirect effect a_j b_j, from a 1-1-1 multilevel mediation.

    Tidy columns, ``at`` the patient, terms ``a b c_prime indirect``; and ``cov_ab``, the covariance of the patient's a_j and
    b_j given the data. Paths are conditional modes (fixed part and random deviation); their standard errors hold what is
    not known of the fixed part, too, as those of prediction errors do, with the variances taken as known. ``indirect`` is
    the expectation of the product, a_j b_j + cov_ab, its standard error that of a product of two normal variables (Bauer,
    Preacher & Gil 2006, doi 10.1037/1082-989X.11.2.142, equation 11). A path that does not vary is the same for all.

    Raises AllianceError for another model, for the designs 2-1-1 and 2-2-1, where patients have no paths of their own, and
    with a moderator.

    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame({"patient": np.repeat(range(40), 8), "practice": rng.normal(size=320)})
    >>> data["alliance"] = np.repeat(rng.normal(0.5, 0.3, size=40), 8) * data["practice"] + rng.normal(size=320)
    >>> data["relief"] = 0.4 * data["alliance"] + rng.normal(size=320)
    >>> fit = MultilevelMediation("practice", "alliance", "relief", random=("a", "b"), interval="delta").fit(data)
    >>> patient_paths(fit).query("at == '0'")["term"].tolist()
    ['a', 'b', 'c_prime', 'indirect']
    """
    model = result.model
    if not isinstance(model, MultilevelMediation) or model.design != "1-1-1" or model.moderator:
        raise AllianceError("patient_paths: give a MultilevelMediation with design='1-1-1' and no moderator")
    require_normal(model, "patient_paths")
    state: MultilevelState = result.state
    means, V = _joint(state, "_within" if model.center else "")
    a, b = means[:, 0], means[:, 1]
    cov, own = V[:, 0, 1], np.sqrt(np.maximum(np.diagonal(V, axis1=1, axis2=2), 0))
    spread = np.sqrt(product_variance(a, b, V[:, 0, 0], V[:, 1, 1], cov))
    estimate, se = np.column_stack([means, a * b + cov]), np.column_stack([own, spread])
    half = t_quantile((1 + model.level) / 2, np.inf) * se
    labels = state.solved.stack.groupings[0].labels
    frame = tidy_frame(
        term=[*PATHS, "indirect"] * len(labels), component="random", group=model.group, at=np.repeat(labels, 4),
        estimate=estimate.ravel(), std_error=se.ravel(), conf_low=(estimate - half).ravel(),
        conf_high=(estimate + half).ravel(), interval="normal",
    )  # fmt: skip
    return frame.assign(cov_ab=np.repeat(cov, 4))


def _joint(state: MultilevelState, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """The three paths of every group (groups, 3) and their covariance (groups, 3, 3)."""
    stack, posterior = state.solved.stack, state.posterior
    effects, size = stack.groupings[0].effects, posterior.means.shape[1]
    C = np.zeros((len(PATHS), size))
    for i, path in enumerate(PATHS):
        C[i, size - len(stack.terms) + stack.paths[f"{path}{suffix}"]] = 1.0
        if path in effects:
            C[i, effects.index(path)] = 1.0
    return posterior.means @ C.T, C @ posterior.covariance @ C.T
