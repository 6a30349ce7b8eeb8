"""The models that researchers know by their PROCESS numbers, written as declarations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alliance_stats.errors import AllianceError
from alliance_stats.models.linear import LinearModel
from alliance_stats.models.mediation import Mediation

# Which arrows a moderator W acts on: a (X to M), b (M to Y), c (X to Y).
MODERATED = {4: "", 5: "c", 6: "", 7: "a", 8: "ac", 14: "b", 15: "bc", 58: "ab", 59: "abc"}


def process_model(
    number: int,
    *,
    x: str,
    y: str,
    m: str | Sequence[str] = (),
    w: str | None = None,
    z: str | None = None,
    covariates: Sequence[str] = (),
    **options: Any,
) -> Mediation | LinearModel:
    """The declaration behind a PROCESS model number.

    Parameters
    ----------
    number : 1 (moderation), 4 (mediation, parallel with several mediators), 5, 7, 8, 14, 15, 58, 59 (moderated mediation) or
        6 (serial mediation, in the order of ``m``).
    x, y : exposure and outcome.
    m : mediator or mediators.
    w : moderator of models 1, 5, 7, 8, 14, 15, 58, 59.
    z : second moderator; none of these models has one, so it is refused.
    covariates : added to every equation.
    options : of ``Mediation`` (``LinearModel`` for model 1), e.g. ``interval="bca"``. Conditional effects are at the
        moderator's mean and one standard deviation either side unless ``at`` says otherwise.

    Raises AllianceError for another number, and for a role that is missing or that the model does not have.

    Source: Hayes 2022, Introduction to Mediation, Moderation, and Conditional Process Analysis (3rd ed.), appendix A.

    >>> process_model(7, x="arm", m="alliance", y="pain", w="severity")
    Mediation of the effect of arm
      alliance ~ arm * severity
      pain ~ arm + alliance
    """
    m = (m,) if isinstance(m, str) else tuple(m)
    if number != 1 and number not in MODERATED:
        raise AllianceError(f"process_model: number is {number!r}; use 1, {', '.join(map(str, MODERATED))}")
    moderated = number == 1 or bool(MODERATED[number])
    _require_roles(number, m, w, z, moderated=moderated)
    more = "".join(f" + {_quoted(name)}" for name in covariates)
    x_, y_, w_ = _quoted(x), _quoted(y), _quoted(w or "")
    if number == 1:
        return LinearModel(f"{y_} ~ {x_} * {w_}{more}", **options)
    arrows = MODERATED[number]
    names = [_quoted(name) for name in m]
    by = f" * {w_}"
    before = [names[:k] if number == 6 else [] for k in range(len(m))]
    mediators = tuple(
        f"{name} ~ {' + '.join([x_ + by * ('a' in arrows), *earlier])}{more}"
        for name, earlier in zip(names, before, strict=True)
    )
    inside = [x_ + by * ("c" in arrows), *(name + by * ("b" in arrows) for name in names)]
    if moderated and "at" not in options:
        options["at"] = {w: "sd"}
    return Mediation(mediators, f"{y_} ~ {' + '.join(inside)}{more}", x, **options)


def _require_roles(number: int, m: Sequence[str], w: str | None, z: str | None, *, moderated: bool) -> None:
    where = f"process_model({number})"
    if number == 1 and m:
        raise AllianceError(f"{where}: model 1 is moderation alone and has no mediator; leave m out")
    if number != 1 and not m:
        raise AllianceError(f"{where}: m is missing; name the mediator")
    if number == 6 and len(m) < 2:
        raise AllianceError(f"{where}: serial mediation needs two mediators or more; with one use model 4")
    if moderated and w is None:
        raise AllianceError(f"{where}: w is missing; name the moderator")
    if not moderated and w is not None:
        raise AllianceError(f"{where}: this model has no moderator w; use 5, 7, 8, 14, 15, 58 or 59")
    if z is not None:
        raise AllianceError(f"{where}: this model has no second moderator z; write the formulas in Mediation")


def _quoted(name: str) -> str:
    return name if name.isidentifier() or not name else f"`{name}`"
