"""From the parameters of the stacked model to paths, their covariance, and indirect effects.

Within patients E(a_j b_j) = ab + σ_ab (Bauer, Preacher & Gil 2006, equation 8). Between latent means the effect of the mediator
is b + cov(d_M, d_Y)/var(d_M) and the direct one c′ − a·cov/var: the stacked model with correlated levels is the two-level
structural equation model with saturated covariances (Preacher, Zyphur & Zhang 2010, doi 10.1037/a0020141), written in the
order mediator, then outcome given the mediator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from alliance_stats.models.multilevel_rows import Stack

if TYPE_CHECKING:
    from alliance_stats.models.multilevel_mediation import MultilevelMediation

Value = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Quantity:
    """One derived number: its names in the tidy frame, and a function of rows of parameters (…, parameters)."""

    term: str
    component: str
    value: Value
    at: str = ""
    group: str = ""
    equation: str = ""

    @property
    def label(self) -> str:
        """Column of the draws."""
        return f"{self.term} [{self.at}]" if self.at else self.term


@dataclass(frozen=True, eq=False)
class Places:
    """Where the parameters are: fixed coefficients first, then lower triangles of covariances, then residual variances."""

    stack: Stack

    def fixed(self, path: str) -> Value:
        """A path."""
        i = self.stack.paths[path]
        return lambda p: p[..., i]

    def moderated(self, path: str, w: float) -> Value:
        """A path at a value of the moderator; the path itself where it is not moderated."""
        i, j = self.stack.paths[path], self.stack.by.get(path)
        return (lambda p: p[..., i]) if j is None else (lambda p: p[..., i] + w * p[..., j])

    def covariance(self, one: str, other: str) -> Value:
        """Between two random effects of the groups."""
        effects = self.stack.groupings[0].effects
        i, j = sorted((effects.index(one), effects.index(other)), reverse=True)
        at = len(self.stack.terms) + i * (i + 1) // 2 + j
        return lambda p: p[..., at]


def evaluate(quantities: Sequence[Quantity], phi: np.ndarray) -> np.ndarray:
    """Every quantity for rows of parameters, shape (…, quantities)."""
    return np.stack([quantity.value(phi) for quantity in quantities], axis=-1)


def quantities(model: MultilevelMediation, stack: Stack, held: Sequence[tuple[str, float]]) -> tuple[Quantity, ...]:
    """Paths, covariance and effects of a design; ``held`` are the moderator's values and their names."""
    places = Places(stack)
    if model.design == "1-1-1":
        return tuple(_repeated(model, places, held))
    if model.means == "latent" and model.design == "2-1-1":
        return tuple(_latent(model, places))
    return tuple(_upper(model, places, held))


def _repeated(model: MultilevelMediation, places: Places, held: Sequence[tuple[str, float]]) -> Iterator[Quantity]:
    """1-1-1: everything within, and between the means where these are predictors."""
    suffix, both = "_within" if model.center else "", {"a", "b"} <= set(model.random)
    cov = places.covariance("a", "b") if both else None
    for name, w in held:
        yield from _chain(model, places, ("a", "b", "c_prime"), suffix, name, w, cov)
    yield from _index(model, places, f"a{suffix}", f"b{suffix}", held)
    if cov is not None:
        yield Quantity("cov_ab", "random", cov, group=model.group)
        yield Quantity("sd(indirect)", "random", _spread(places, suffix, cov), group=model.group)
    if model.center:
        yield from _chain(model, places, ("a", "b", "c_prime"), "_between", "", 0.0, None)
        if not model.moderator:
            yield from _contextual(model, places, ("a", "b", "c_prime"))


def _upper(model: MultilevelMediation, places: Places, held: Sequence[tuple[str, float]]) -> Iterator[Quantity]:
    """2-1-1 and 2-2-1 with observed means: the indirect effect lies between groups alone."""
    split = "b_between" in places.stack.paths
    for name, w in held:
        a, b, c = (
            places.moderated("a", w),
            places.moderated("b_between" if split else "b", w),
            places.moderated("c_prime", w),
        )
        yield Quantity("a", "path", a, name, equation=model.mediator)
        yield Quantity("b_between" if split else "b", "path", b, name, equation=model.outcome)
        yield Quantity("c_prime", "path", c, name, equation=model.outcome)
        yield from _effects(a, b, c, None, "", name)
    yield from _index(model, places, "a", "b_between" if split else "b", held)
    if split:
        yield Quantity("b_within", "path", places.fixed("b_within"), equation=model.outcome)
        if not model.moderator:
            yield from _contextual(model, places, ("b",))


def _index(
    model: MultilevelMediation, places: Places, a: str, b: str, held: Sequence[tuple[str, float]]
) -> Iterator[Quantity]:
    """How much the indirect effect changes: a unit of the moderator where that is constant, else from one value to another.

    With a alone moderated a_w b, with b alone a b_w (Hayes 2015, doi 10.1080/00273171.2014.962683); with both the indirect
    effect is a parabola in the moderator, of which two values have one difference.
    """
    changed = [path for path in (a, b) if path in places.stack.by]
    if not model.moderator or not changed:
        return
    (low_name, low), (high_name, high) = held[0], held[-1]
    constant = len(changed) == 1
    step = high - low if constant else 1.0
    at = "" if constant or len(held) == 2 else f"({high_name}) - ({low_name})"

    def product(w: float) -> Value:
        one, other = places.moderated(a, w), places.moderated(b, w)
        return lambda p: one(p) * other(p)

    top, bottom = product(high), product(low)
    yield Quantity(f"index({model.moderator})", "effect", lambda p: (top(p) - bottom(p)) / step, at)


def _latent(model: MultilevelMediation, places: Places) -> Iterator[Quantity]:
    """2-1-1 with latent means."""
    m, y = f"Intercept_{model.mediator}", f"Intercept_{model.outcome}"
    across, own = places.covariance(m, y), places.covariance(m, m)
    a, inner, direct = places.fixed("a"), places.fixed("b"), places.fixed("c_prime")

    def more(p: np.ndarray) -> np.ndarray:
        return np.asarray(across(p) / own(p))

    def b(p: np.ndarray) -> np.ndarray:
        return np.asarray(inner(p) + more(p))

    def c(p: np.ndarray) -> np.ndarray:
        return np.asarray(direct(p) - a(p) * more(p))

    yield Quantity("a", "path", a, equation=model.mediator)
    yield Quantity("b_between", "path", b, equation=model.outcome)
    yield Quantity("c_prime", "path", c, equation=model.outcome)
    yield from _effects(a, b, c, None, "", "")
    yield Quantity("b_within", "path", inner, equation=model.outcome)
    yield Quantity("b_contextual", "path", more, equation=model.outcome)


def _chain(
    model: MultilevelMediation, places: Places, names: Sequence[str], suffix: str, at: str, w: float, cov: Value | None
) -> Iterator[Quantity]:
    a, b, c = (places.moderated(f"{name}{suffix}", w) for name in names)
    for name, path in zip(names, (a, b, c), strict=True):
        equation = model.mediator if name == "a" else model.outcome
        yield Quantity(f"{name}{suffix}", "path", path, at, equation=equation)
    yield from _effects(a, b, c, cov, suffix, at)


def _effects(a: Value, b: Value, c: Value, cov: Value | None, suffix: str, at: str) -> Iterator[Quantity]:
    def indirect(p: np.ndarray) -> np.ndarray:
        return np.asarray(a(p) * b(p) + (0.0 if cov is None else cov(p)))

    yield Quantity(f"indirect{suffix}", "effect", indirect, at)
    yield Quantity(f"total{suffix}", "effect", lambda p: indirect(p) + c(p), at)


def _contextual(model: MultilevelMediation, places: Places, names: Sequence[str]) -> Iterator[Quantity]:
    """Between minus within: what the group's mean adds to one's own value."""
    for name in names:
        within, between = places.fixed(f"{name}_within"), places.fixed(f"{name}_between")
        equation = model.mediator if name == "a" else model.outcome
        yield Quantity(f"{name}_contextual", "path", _difference(between, within), equation=equation)


def _difference(one: Value, other: Value) -> Value:
    return lambda p: one(p) - other(p)


def _spread(places: Places, suffix: str, cov: Value) -> Value:
    """Standard deviation of a_j b_j over patients."""
    a, b = places.fixed(f"a{suffix}"), places.fixed(f"b{suffix}")
    va, vb = places.covariance("a", "a"), places.covariance("b", "b")

    def spread(p: np.ndarray) -> np.ndarray:
        variance = b(p) ** 2 * va(p) + a(p) ** 2 * vb(p) + va(p) * vb(p) + 2 * a(p) * b(p) * cov(p) + cov(p) ** 2
        return np.sqrt(np.where(variance.real > 0, variance, 1e-300))

    return spread
