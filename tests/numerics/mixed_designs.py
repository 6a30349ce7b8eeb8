"""Random designs for mixed models, and the criterion by its definition, with V written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alliance_stats.numerics.mixed.crossed import Crossed, build_crossed
from alliance_stats.numerics.mixed.parts import Level, template
from alliance_stats.numerics.mixed.tree import Tree, build_tree, nested_order


@dataclass(frozen=True)
class Design:
    """Levels in the order of elimination, X (n, p), y (n,), and weights (n,) or None."""

    levels: tuple[Level, ...]
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None

    @property
    def nested(self) -> bool:
        return nested_order([level.codes for level in self.levels]) == list(range(len(self.levels)))

    def system(self) -> Tree | Crossed:
        return (build_tree if self.nested else build_crossed)(self.levels, self.X, self.y, self.weights)


def dense(
    design: Design, theta: np.ndarray, *, reml: bool = True, sigma2: float | None = None
) -> tuple[float, np.ndarray, np.ndarray, float]:
    """The criterion, β, (X'V⁻¹X)⁻¹ and r from the n × n matrix V."""
    X, y, (n, p) = design.X, design.y, design.X.shape
    V = np.eye(n) if design.weights is None else np.diag(1 / design.weights)
    start = 0
    for level in design.levels:
        L = np.zeros((level.q, level.q))
        L[level.rows, level.columns] = theta[start : start + len(level.rows)]
        start += len(level.rows)
        V += (level.Z @ L @ L.T @ level.Z.T) * (level.codes[:, None] == level.codes)
    inverse = np.linalg.inv(V)
    H = X.T @ inverse @ X
    beta = np.linalg.solve(H, X.T @ inverse @ y)
    r, nu = float((y - X @ beta) @ inverse @ (y - X @ beta)), n - p if reml else n
    s2 = r / nu if sigma2 is None else sigma2
    value = np.linalg.slogdet(V)[1] + (np.linalg.slogdet(H)[1] if reml else 0.0) + nu * np.log(2 * np.pi * s2) + r / s2
    return float(value), beta, np.linalg.inv(H), r


def numbered(codes: np.ndarray) -> np.ndarray:
    """Codes without gaps."""
    return np.unique(codes, return_inverse=True)[1]


def level(codes: np.ndarray, Z: np.ndarray, blocks: Sequence[int] | None = None) -> Level:
    """Random effects that all correlate, unless the sizes of blocks are given."""
    return Level(numbered(codes), Z, *template([Z.shape[1]] if blocks is None else blocks))


def effects(rng: np.random.Generator, one: Level, sd: np.ndarray) -> np.ndarray:
    """What independent random effects of a level add to y."""
    b = rng.normal(size=(int(one.codes.max()) + 1, one.q)) * sd
    return np.asarray(np.einsum("ij,ij->i", one.Z, b[one.codes]))


def patients(
    rng: np.random.Generator, groups: int, per_therapist: int, sessions: int, *, dropout: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patient, therapist and session number of every row; with ``dropout`` patients leave after two sessions or more."""
    stay = rng.integers(2, sessions + 1, groups) if dropout else np.full(groups, sessions)
    patient = np.repeat(np.arange(groups), stay)
    session = np.arange(len(patient)) - np.repeat(np.cumsum(stay) - stay, stay)
    return patient, patient // per_therapist, session.astype(float)


def any_design(rng: np.random.Generator) -> Design:
    """Anything of 40 to 200 rows: one factor, two nested or two crossed, up to three slopes, variances of zero among them."""
    n = int(rng.integers(40, 200))
    groups = int(rng.integers(5, n // 5))
    patient = numbered(rng.integers(0, groups, n) if rng.random() < 0.5 else np.arange(n) % groups)
    time = rng.normal(size=n) if rng.random() < 0.5 else np.floor(np.arange(n) / groups)
    columns = np.column_stack(
        [np.ones(n), time * rng.choice([1.0, 100.0], p=[0.85, 0.15]), rng.normal(size=n).round(1)]
    )
    levels = [_some_level(rng, patient, columns[:, : int(rng.integers(1, 4))])]
    kind = rng.choice(["one", "nested", "crossed"])
    if kind != "one":
        few = int(rng.integers(3, 9))
        codes = rng.integers(0, few, patient.max() + 1)[patient] if kind == "nested" else rng.integers(0, few, n)
        levels.append(_some_level(rng, codes, columns[:, : int(rng.integers(1, 3))]))
    if kind == "crossed":
        levels.sort(key=lambda one: -(int(one.codes.max()) + 1) * one.q)
    y = rng.normal(size=n) + sum(effects(rng, one, _some_sds(rng, one)) for one in levels)
    return Design(tuple(levels), columns[:, : int(rng.integers(1, 4))], y)


def _some_level(rng: np.random.Generator, codes: np.ndarray, Z: np.ndarray) -> Level:
    q = Z.shape[1] if Z.shape[1] * (int(codes.max()) + 1) < 0.6 * len(Z) else 1
    return level(codes, Z[:, :q], None if rng.random() < 0.7 else [1] * q)


def _some_sds(rng: np.random.Generator, one: Level) -> np.ndarray:
    sizes = np.where(rng.random(one.q) < 0.4, 0.0, rng.choice([0.1, 0.3, 1.0, 3.0], one.q))
    return sizes / np.maximum(1.0, np.sqrt(np.mean(one.Z**2, axis=0)))
