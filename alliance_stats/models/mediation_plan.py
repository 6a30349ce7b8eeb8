"""Which effects are reported: average, path by path, at moderator values, and the index of moderated mediation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd

from alliance_stats.formula import is_factor
from alliance_stats.models.mediation_equations import Equation
from alliance_stats.models.mediation_worlds import Contrast, build_system
from alliance_stats.numerics.mediation import System
from alliance_stats.numerics.mediation_effects import DIFFERENCES, NATURAL, Key, effects, jacobian, paths

MOST_CONTRASTS = 6  # paths (or moderator values) beyond which their pairwise differences are left out
STRAIGHT = 1e-9


@dataclass(frozen=True)
class Target:
    """One reported effect: a combination of effects of the systems, Σ weight · effect."""

    term: str
    at: str
    parts: tuple[tuple[float, int, Key], ...]
    null: float = 0.0


@dataclass(frozen=True, eq=False)
class Plan:
    """All systems (contrasts × moderator values) and the effects reported from them."""

    systems: tuple[System, ...]
    targets: tuple[Target, ...]
    average_row: bool

    @property
    def used(self) -> tuple[int, ...]:
        """Systems that some target needs; others only served to tell straight lines from curves."""
        return tuple(sorted({s for target in self.targets for _, s, _ in target.parts}))

    def values(self, phi: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Every target of every draw, shape (draws, targets)."""
        made = {s: effects(self.systems[s], phi, weights, average_row=self.average_row) for s in self.used}
        return np.column_stack([sum(w * made[s][key] for w, s, key in target.parts) for target in self.targets])

    def gradients(self, phi: np.ndarray) -> np.ndarray:
        """Derivatives of every target, shape (targets, parameters)."""
        made = {s: jacobian(self.systems[s], phi, average_row=self.average_row) for s in self.used}
        return np.array([sum(w * made[s][key] for w, s, key in target.parts) for target in self.targets])


@dataclass(frozen=True, eq=False)
class Maker:
    """What stays the same for every system of a model."""

    equations: tuple[Equation, ...]
    frame: pd.DataFrame
    exposure: str
    held: np.ndarray
    ratio: bool
    average_row: bool

    @property
    def mediators(self) -> list[str]:
        """Names of the mediators in causal order."""
        return [equation.response for equation in self.equations[:-1]]

    def system(self, contrast: Contrast, settings: Mapping[str, Any]) -> System:
        """The system of one comparison at some moderator values."""
        return build_system(self.equations, self.frame, self.exposure, contrast, settings, self.held, ratio=self.ratio)


def make_plan(maker: Maker, contrasts: Sequence[Contrast], at: Mapping[str, Sequence[Any]], phi: np.ndarray) -> Plan:
    """Systems and targets; ``at`` holds the values of each moderator, ``phi`` the estimates of all parameters."""
    systems: list[System] = []
    targets: list[Target] = []
    for contrast in contrasts:
        systems.append(maker.system(contrast, {}))
        targets += _average(systems[-1], len(systems) - 1, contrast, maker)
        if at:
            conditional = _conditional(maker, contrast, at, systems)
            targets += conditional
            targets += [t for t in _differences_at(conditional) if not _vanishes(t, systems, phi)]
            targets += _indices(maker, contrast, at, systems, phi)
    return Plan(tuple(systems), tuple(targets), maker.average_row)


def path_name(chain: tuple[int, ...], mediators: Sequence[str]) -> str:
    """``indirect(m)`` for one mediator, ``indirect(m1>m2)`` for a chain."""
    return f"indirect({'>'.join(mediators[k] for k in chain)})"


def _null(key: Key, ratio: bool) -> float:
    return 1.0 if ratio and key not in DIFFERENCES else 0.0


def _average(system: System, s: int, contrast: Contrast, maker: Maker) -> list[Target]:
    names = [*NATURAL, "excess_cde"] if maker.ratio else list(NATURAL)
    found = [Target(name, contrast.label, ((1.0, s, name),), _null(name, maker.ratio)) for name in names]
    chains = _specific(system)
    found += [Target(path_name(chain, maker.mediators), contrast.label, ((1.0, s, chain),)) for chain in chains]
    if len(chains) <= MOST_CONTRASTS:
        found += [
            Target(
                f"{path_name(a, maker.mediators)}-{path_name(b, maker.mediators)}",
                contrast.label,
                ((1.0, s, a), (-1.0, s, b)),
            )
            for a, b in combinations(chains, 2)
        ]
    return found


def _specific(system: System) -> list[tuple[int, ...]]:
    """Paths worth a row of their own: those of several mediators."""
    return paths(system) if len(system.blocks) > 2 else []


def _conditional(
    maker: Maker, contrast: Contrast, at: Mapping[str, Sequence[Any]], systems: list[System]
) -> list[Target]:
    found = []
    for values in product(*at.values()):
        settings = dict(zip(at, values, strict=True))
        systems.append(maker.system(contrast, settings))
        label = _label(contrast, settings)
        keys: list[tuple[str, Key]] = [(name, name) for name in ("indirect", "direct", "total")]
        keys += [(path_name(chain, maker.mediators), chain) for chain in _specific(systems[-1])]
        found += [Target(name, label, ((1.0, len(systems) - 1, key),), _null(key, maker.ratio)) for name, key in keys]
    return found


def _differences_at(conditional: Sequence[Target]) -> list[Target]:
    """Pairwise differences of conditional indirect effects; ratios are compared by their quotient elsewhere, not here."""
    found = []
    for term in dict.fromkeys(t.term for t in conditional if t.term.startswith("indirect") and t.null == 0):
        rows = [t for t in conditional if t.term == term]
        if len(rows) <= MOST_CONTRASTS:
            found += [
                Target(term, f"({b.at}) - ({a.at})", (*b.parts, *((-w, s, key) for w, s, key in a.parts)))
                for a, b in combinations(rows, 2)
            ]
    return found


def _indices(
    maker: Maker, contrast: Contrast, at: Mapping[str, Sequence[Any]], systems: list[System], phi: np.ndarray
) -> list[Target]:
    """Change of an indirect effect for one unit of a moderator, where it is a straight line (Hayes 2015).

    Source: doi 10.1080/00273171.2014.962683; of two moderators together, Hayes 2018, doi 10.1080/03637751.2017.1352100.
    """
    if systems[0].kind != "means" or maker.ratio:
        return []
    found: list[Target] = []
    for name in at:
        others = {other: values for other, values in at.items() if other != name}
        lines = {}
        for values in product(*others.values()):
            settings = dict(zip(others, values, strict=True))
            lines[_label(contrast, settings)] = _lines(maker, contrast, name, at[name], settings, systems, phi)
        same = _all_same(list(lines.values()), systems, phi)
        for label, targets in list(lines.items())[: 1 if same else None]:
            found += [Target(t.term, contrast.label if same else label, t.parts) for t in targets]
    return found + _mixed(maker, contrast, at, systems, phi)


def _lines(
    maker: Maker, contrast: Contrast, name: str, values: Sequence[Any], settings: Mapping[str, Any],
    systems: list[System], phi: np.ndarray,
) -> list[Target]:  # fmt: skip
    """Index of one moderator at fixed values of the others, for every path."""
    column = maker.frame[name]
    levels = list(values) if is_factor(column) else [0.0, 1.0, 2.0]
    first = len(systems)
    systems += [maker.system(contrast, {**settings, name: level}) for level in levels]
    found = []
    for term, key in _terms(maker, systems[first]):
        if is_factor(column):
            found += [
                Target(f"index({name}[{level}]{term})", "", ((1.0, first + i, key), (-1.0, first, key)))
                for i, level in enumerate(levels[1:], start=1)
            ]
            continue
        bend = Target("", "", ((1.0, first, key), (-2.0, first + 1, key), (1.0, first + 2, key)))
        if _vanishes(bend, systems, phi):
            found.append(Target(f"index({name}{term})", "", ((1.0, first + 1, key), (-1.0, first, key))))
        elif column.nunique() == 2:
            low, high = sorted(column.unique().tolist())
            systems += [maker.system(contrast, {**settings, name: level}) for level in (low, high)]
            last = len(systems) - 1
            found.append(Target(f"index({name}{term})", "", ((1.0, last, key), (-1.0, last - 1, key))))
    return [target for target in found if not _vanishes(target, systems, phi)]


def _mixed(
    maker: Maker, contrast: Contrast, at: Mapping[str, Sequence[Any]], systems: list[System], phi: np.ndarray
) -> list[Target]:
    """Index of moderated moderated mediation of two numeric moderators."""
    found = []
    numeric = [name for name in at if not is_factor(maker.frame[name])]
    for w, z in combinations(numeric, 2):
        others = {name: values[0] for name, values in at.items() if name not in (w, z)}
        first = len(systems)
        systems += [maker.system(contrast, {**others, w: i, z: j}) for i in (0.0, 1.0) for j in (0.0, 1.0)]
        for term, key in _terms(maker, systems[first]):
            signs = (1.0, -1.0, -1.0, 1.0)
            target = Target(
                f"index({w}:{z}{term})",
                contrast.label,
                tuple((sign, first + i, key) for i, sign in enumerate(signs)),
            )
            found += [] if _vanishes(target, systems, phi) else [target]
    return found


def _terms(maker: Maker, system: System) -> list[tuple[str, Key]]:
    chains = _specific(system)
    return [(f", {'>'.join(maker.mediators[k] for k in chain)}", chain) for chain in chains] or [("", "indirect")]


def _vanishes(target: Target, systems: Sequence[System], phi: np.ndarray) -> bool:
    """Zero by the form of the equations: also at parameters other than the estimates."""
    tried = np.array([phi * (1 + shift * np.cos(np.arange(len(phi)) + shift)) for shift in (0.0, 0.3, 0.5)])
    with np.errstate(all="ignore"):
        made = {s: effects(systems[s], tried, average_row=True) for s in {s for _, s, _ in target.parts}}
    parts = [w * made[s][key] for w, s, key in target.parts]
    return bool((np.abs(np.sum(parts, axis=0)) <= STRAIGHT * np.sum(np.abs(parts), axis=0)).all())


def _all_same(lines: list[list[Target]], systems: Sequence[System], phi: np.ndarray) -> bool:
    first = lines[0]
    for other in lines[1:]:
        if [t.term for t in other] != [t.term for t in first]:
            return False
        for a, b in zip(first, other, strict=True):
            if not _vanishes(Target("", "", (*a.parts, *((-w, s, key) for w, s, key in b.parts))), systems, phi):
                return False
    return True


def _label(contrast: Contrast, settings: Mapping[str, Any]) -> str:
    texts = [contrast.label] if contrast.label else []
    return "; ".join(texts + [f"{name} = {_text(value)}" for name, value in settings.items()])


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float | np.number) and not isinstance(value, bool) else str(value)
