"""Kenward and Roger's (1997) small-sample inference for fixed effects of REML fits, doi 10.2307/2533558.

V = σ²I + Σ γ_r G_r is linear in its parameters: variances and covariances level by level in the order of θ, then σ². Since
∂V⁻¹ = −V⁻¹G_rV⁻¹, their P_r and Q_rs are derivatives of H = X'V⁻¹X (P_r the first, Q_rs + Q_sr the second), and
tr(V⁻¹G_rV⁻¹G_s) is minus the second derivative of log|V|. Both are carried through the elimination of the random effects: no
matrix of the size of the data is formed, and the cost is linear in the groups of nested designs. The definitions are those of
pbkrtest (Halekoh & Højsgaard 2014, doi 10.18637/jss.v059.i09), with weights as well.

At a variance of zero nothing changes, as in pbkrtest: the expected information of (γ, σ²) is regular there. The df are then
those of a component estimated as zero, smaller than those of a model without it. A variance that cannot be told from the fixed
effects is left out of W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from alliance_stats.numerics.mixed.effects import (
    CrossProducts,
    add_by_parent,
    are_nested,
    cross_products,
    level_factors,
    over_groups,
    posterior,
    transposed,
)
from alliance_stats.numerics.mixed.parts import Level
from alliance_stats.numerics.mixed.satterthwaite import FTest, independent_contrasts

LARGEST = 4000  # random effects in one dense block; its matrices take 128 MB each
SINGULAR = 1e-10  # eigenvalue of the information, relative to that with β known, below which a direction is left out

Pair = tuple[int, int]
Logs = tuple[list[float], dict[Pair, float]]


@dataclass(frozen=True)
class KenwardRoger:
    """Φ, the model's covariance of β̂ (p, p); Φ_A, the adjusted one; and what degrees of freedom need.

    ``jacobian`` (r, p, p) holds the derivatives of Φ in (γ, σ²), which are −ΦP_rΦ; ``W`` (r, r) is the covariance of (γ̂, σ̂²).
    """

    covariance: np.ndarray
    adjusted: np.ndarray
    jacobian: np.ndarray
    W: np.ndarray


@dataclass(frozen=True)
class _Jet:
    """Cross-products (groups, s, s) with derivatives in the r elements of Ψ met so far, and those of Σ log|I + Λ'AΛ|."""

    value: np.ndarray
    first: list[np.ndarray]
    second: dict[Pair, np.ndarray]
    log_first: list[float]
    log_second: dict[Pair, float]


def kenward_roger(
    levels: Sequence[Level], X: np.ndarray, theta: np.ndarray, sigma2: float, weights: np.ndarray | None = None
) -> KenwardRoger:
    """Adjusted covariance of the fixed effects of a REML fit (θ, σ²), levels in the order of θ.

    Raises ValueError where crossed factors other than the first have more than ``LARGEST`` random effects.
    """
    above = sum((int(level.codes.max()) + 1) * level.q for level in levels[1:])
    if above > LARGEST and not are_nested(levels):
        raise ValueError(
            f"Kenward-Roger needs dense matrices of the {above} random effects of all crossed factors but the first; "
            f"at most {LARGEST} are possible. Satterthwaite's degrees of freedom need none and hardly differ in such data."
        )
    # In orthonormal coordinates: a calendar year among the columns of X would cost half the digits.
    turn = np.linalg.inv(np.linalg.qr(X if weights is None else X * np.sqrt(weights)[:, None], mode="r"))
    Ls = level_factors(levels, theta)
    psi = np.concatenate([(L @ L.T)[level.rows, level.columns] for L, level in zip(Ls, levels, strict=True)])
    root = _root(cross_products(levels, X @ turn, weights), levels, Ls)
    return _adjusted(sigma2 * np.linalg.inv(root.value[0]), *_with_residual(root, psi, len(X), sigma2), turn)


def _root(products: CrossProducts, levels: Sequence[Level], Ls: Sequence[np.ndarray]) -> _Jet:
    """H = X'V⁻¹X at σ² = 1, with its derivatives in Ψ."""
    jet = _finest(products, Ls[0], _directions(levels[0]))
    if not products.nested:
        return _next(jet, over_groups(levels[1:], Ls[1:]), _crossed_directions(levels[1:]), products.starts[1])
    for level, L, starts in zip(levels[1:], Ls[1:], products.starts[1:], strict=True):
        jet = _next(jet, L, _directions(level), starts)
    return jet


def _directions(level: Level) -> list[np.ndarray]:
    """∂Ψ in each of its free elements."""
    E, each = np.zeros((len(level.rows), level.q, level.q)), np.arange(len(level.rows))
    E[each, level.rows, level.columns] = E[each, level.columns, level.rows] = 1.0
    return list(E)


def _crossed_directions(levels: Sequence[Level]) -> list[np.ndarray]:
    """∂Ψ of all crossed effects together, in the free elements of each level in turn."""
    none = [np.zeros((level.q, level.q)) for level in levels]
    return [
        over_groups(levels, [*none[:i], E, *none[i + 1 :]])
        for i, level in enumerate(levels)
        for E in _directions(level)
    ]


def _finest(products: CrossProducts, L: np.ndarray, directions: list[np.ndarray]) -> _Jet:
    """B − K'MK and its derivatives: ∂M = F'EF and ∂F = −NEF with F = I − AM, N = FA."""
    M = posterior(products.A, L)
    F = np.eye(len(L)) - products.A @ M
    N, condense = F @ products.A, products.condense
    first = [-condense(transposed(F) @ E @ F) for E in directions]
    inner = {(r, s): _doubled(directions[r] @ N @ directions[s]) for r, s in _pairs(len(directions))}
    second = {pair: condense(transposed(F) @ D @ F) for pair, D in inner.items()}
    return _Jet(products.B - condense(M), first, second, *_log_own(N, directions, 0))


def _next(jet: _Jet, L: np.ndarray, directions: list[np.ndarray], starts: np.ndarray) -> _Jet:
    """The same one level up, where A, K and B have derivatives J of their own: with R = (−MK, I)', ∂(B − K'MK) = R'JR."""
    q, finer = len(L), len(jet.first)
    A, K, B = jet.value[:, :q, :q], jet.value[:, :q, q:], jet.value[:, q:, q:]
    M = posterior(A, L)
    F = np.eye(q) - A @ M
    N, FK = F @ A, F @ K
    R = np.concatenate([-M @ K, np.broadcast_to(np.eye(B.shape[1]), B.shape)], axis=1)
    JR = [J @ R for J in jet.first]
    tops = [y[:, :q] for y in JR]
    right = [E @ FK for E in directions]
    first = [transposed(R) @ y for y in JR] + [-transposed(FK) @ y for y in right]
    second = {
        (r, s): transposed(R) @ J @ R - _doubled(transposed(tops[r]) @ M @ tops[s]) for (r, s), J in jet.second.items()
    }
    for s, y in enumerate(right):
        second |= {(r, finer + s): -_doubled(transposed(y) @ F @ top) for r, top in enumerate(tops)}
    second |= {(finer + r, finer + s): _doubled(transposed(right[r]) @ N @ right[s]) for r, s in _pairs(len(right))}
    log_first, log_second = _log_finer(jet, M, F, directions)
    own_first, own_second = _log_own(N, directions, finer)
    return _Jet(
        add_by_parent(B - transposed(K) @ M @ K, starts),
        [add_by_parent(y, starts) for y in first],
        {pair: add_by_parent(y, starts) for pair, y in second.items()},
        log_first + own_first,
        log_second | own_second,
    )


def _pairs(count: int) -> list[Pair]:
    return list(combinations_with_replacement(range(count), 2))


def _doubled(stack: np.ndarray) -> np.ndarray:
    """X + X'."""
    return np.asarray(stack + transposed(stack))


def _trace(left: np.ndarray, right: np.ndarray) -> float:
    """Σ tr(left · right) over a stack."""
    return float(np.einsum("gij,gji->", left, right))


def _log_own(N: np.ndarray, directions: list[np.ndarray], finer: int) -> Logs:
    """Derivatives of Σ log|I + Λ'AΛ| in Ψ itself: tr(EN) and −tr(ENEN)."""
    EN = [E @ N for E in directions]
    first = [float(np.einsum("gii->", X)) for X in EN]
    return first, {(finer + r, finer + s): -_trace(EN[r], EN[s]) for r, s in _pairs(len(EN))}


def _log_finer(jet: _Jet, M: np.ndarray, F: np.ndarray, directions: list[np.ndarray]) -> Logs:
    """Its derivatives through A, and through A and Ψ, added to what the finer levels gave."""
    q, finer = M.shape[1], len(jet.first)
    dA = [J[:, :q, :q] for J in jet.first]
    MA = [M @ X for X in dA]
    first = [before + float(np.einsum("gii->", X)) for before, X in zip(jet.log_first, MA, strict=True)]
    second = {
        (r, s): before + _trace(M, jet.second[r, s][:, :q, :q]) - _trace(MA[r], MA[s])
        for (r, s), before in jet.log_second.items()
    }
    for r, X in enumerate(dA):
        turned = F @ X @ transposed(F)
        second |= {(r, finer + s): float(np.sum(E * turned)) for s, E in enumerate(directions)}
    return first, second


def _with_residual(jet: _Jet, psi: np.ndarray, n: int, sigma2: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and second derivatives of H, and tr(V⁻¹G_rV⁻¹G_s), in (γ, σ²): V(γ, σ²) = σ²V(γ/σ², 1)."""
    k, h = len(psi), jet.value[0]
    h1, l1 = np.array([y[0] for y in jet.first]), np.array(jet.log_first)
    h2, l2 = np.empty((k, k, *h.shape)), np.empty((k, k))
    for r, s in _pairs(k):
        h2[r, s] = h2[s, r] = jet.second[r, s][0]
        l2[r, s] = l2[s, r] = jet.log_second[r, s]
    along_h1, along_h2 = np.tensordot(psi, h1, 1), np.tensordot(psi, h2, 1)
    P = np.concatenate([h1, -(h + along_h1)[None]]) / sigma2**2
    Q, trace = np.empty((k + 1, k + 1, *h.shape)), np.empty((k + 1, k + 1))
    Q[:k, :k], trace[:k, :k] = h2, -l2
    Q[:k, k] = Q[k, :k] = -2 * h1 - along_h2
    trace[:k, k] = trace[k, :k] = l1 + l2 @ psi
    Q[k, k] = 2 * h + 4 * along_h1 + np.tensordot(psi, along_h2, 1)
    trace[k, k] = n - 2 * l1 @ psi - psi @ l2 @ psi
    return P, Q / (2 * sigma2**3), trace / sigma2**2


def _adjusted(phi: np.ndarray, P: np.ndarray, Q: np.ndarray, trace: np.ndarray, turn: np.ndarray) -> KenwardRoger:
    """Expected information of (γ, σ²), its inverse W, and Φ_A = Φ + 2Φ{Σ W_rs(Q_rs − P_rΦP_s)}Φ; Q symmetrised."""
    phi_P = phi @ P
    information = (trace - 2 * np.einsum("ij,rsji->rs", phi, Q) + np.einsum("rij,sji->rs", phi_P, phi_P)) / 2
    known = np.maximum(np.diag(trace), np.finfo(float).tiny) / 2
    unit = np.sqrt(np.outer(known, known))
    W = np.linalg.pinv(information / unit, rcond=SINGULAR, hermitian=True) / unit
    middle = np.einsum("rs,rsij->ij", W, Q) - np.einsum("rs,rij,sjk->ik", W, P, phi_P, optimize=True)
    adjusted = phi + 2 * phi @ middle @ phi
    return KenwardRoger(turn @ phi @ turn.T, turn @ adjusted @ turn.T, -turn @ phi_P @ phi @ turn.T, W)


def kr_df(kr: KenwardRoger, L: np.ndarray) -> np.ndarray:
    """Degrees of freedom of every row of L, shape (q, p); the statistic is Lβ̂ over the root of its adjusted variance.

    For one row the scale of Kenward and Roger is 1 and their m is 2/(a'Wa), a the relative change of the variance in (γ, σ²).

    >>> pairs = Level(np.array([0, 0, 1, 1, 2, 2]), np.ones((6, 1)), np.array([0]), np.array([0]))
    >>> kr_df(kenward_roger([pairs], np.ones((6, 1)), np.array([0.5]), 1.0), np.ones(1)).round(3).tolist()
    [2.0]
    """
    L = np.atleast_2d(L)
    variance = np.einsum("ia,ab,ib->i", L, kr.covariance, L)
    a = np.einsum("ia,rab,ib->ir", L, kr.jacobian, L) / variance[:, None]
    return np.asarray(2 / np.einsum("ir,rs,is->i", a, kr.W, a))


def kr_test(kr: KenwardRoger, L: np.ndarray, beta: np.ndarray) -> FTest:
    """Joint test of Lβ = 0: λ times the Wald F of the adjusted covariance. Rows that repeat others count once."""
    rows = independent_contrasts(L, kr.covariance)
    q, estimate = len(rows), rows @ beta
    wald = float(estimate @ np.linalg.solve(rows @ kr.adjusted @ rows.T, estimate)) / q
    if q == 1:
        return FTest(wald, 1, float(kr_df(kr, rows)[0]))
    T = rows @ kr.jacobian @ rows.T
    traces = np.einsum("rii->r", T)
    A1, A2 = float(traces @ kr.W @ traces), float(np.einsum("rs,rij,sji->", kr.W, T, T, optimize=True))
    ddf, scale = _moments(A1, A2, q)
    return FTest(scale * wald, q, ddf, scale)


def _moments(A1: float, A2: float, q: int) -> tuple[float, float]:
    """Kenward and Roger's m and λ, from the matching of two moments of the Wald F."""
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
    ratio = (1 - A2 / q) / (1 - c[1] * B)
    rho = ratio**2 * (1 + c[0] * B) / (1 - c[2] * B) / q
    m = float(4 + (q + 2) / (q * rho - 1))
    # At m = 2 the mean of F does not exist; pbkrtest leaves the statistic unscaled near there.
    return m, 1.0 if abs(m - 2) < 0.01 else m * (1 - A2 / q) / (m - 2)
