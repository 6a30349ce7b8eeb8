"""Natural, controlled and path-specific effects of a system of equations, for many parameter draws at once.

With R(x, x') the mean outcome under exposure x and the mediators of exposure x': pure natural direct R(1,0) − R(0,0), total
natural indirect R(1,1) − R(1,0), and the four parts of VanderWeele (2014, doi 10.1097/EDE.0000000000000121). As ratios:
Valeri & VanderWeele (2013, doi 10.1037/a0031034).
"""

from __future__ import annotations

import numpy as np

from alliance_stats.numerics.mediation import (
    System,
    averaged,
    controlled,
    counterfactual,
    mediator_means,
    predictor,
    slope,
)

Key = str | tuple[int, ...]
ROOM = 3e6  # numbers held at once
ROUNDING = 1e-13
TINY = 1e-30  # complex step: no rounding, whatever its size
NATURAL = (
    "indirect", "direct", "total", "proportion_mediated", "acme_control", "acme_treated", "ade_control", "ade_treated",
    "cde", "pnde", "tnde", "pnie", "tnie", "intref", "intmed", "pie",
)  # fmt: skip
DIFFERENCES = frozenset(["proportion_mediated", "intref", "intmed", "pie", "excess_cde"])


def paths(system: System) -> list[tuple[int, ...]]:
    """Chains of mediators from exposure to outcome, e.g. ``(0,)``, ``(1,)``, ``(0, 1)``; none where they have no own effect."""
    if system.kind != "means":
        return []
    last = len(system.blocks) - 1
    children = {k: [j for j in range(k + 1, last + 1) if k in system.blocks[j].parents] for k in range(last)}
    found: list[tuple[int, ...]] = []
    grow: list[tuple[int, ...]] = [(k,) for k in range(last)]
    while grow:
        chain = grow.pop(0)
        found += [chain] if last in children[chain[-1]] else []
        grow += [(*chain, j) for j in children[chain[-1]] if j < last]
    return sorted((chain for chain in found if _starts(system, chain[0])), key=lambda chain: (len(chain), chain))


def effects(
    system: System, phi: np.ndarray, weights: np.ndarray | None = None, *, average_row: bool = False
) -> dict[Key, np.ndarray]:
    """Every effect of each draw of the joint parameters, shape (draws,); ``weights`` (draws, rows) are resampling counts."""
    short = averaged(system, weights, always=average_row)
    if short is not None:
        return _effects(short, phi, None)
    rows = max(len(matrix) for world in system.worlds for equation in world for _, matrix in equation)
    size = max(1, int(ROOM / rows / system.nodes))
    pieces = [
        _effects(system, phi[i : i + size], None if weights is None else weights[i : i + size])
        for i in range(0, len(phi), size)
    ]
    return {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}


def jacobian(system: System, phi: np.ndarray, *, average_row: bool = False) -> dict[Key, np.ndarray]:
    """Derivatives of every effect in every parameter, shape (parameters,), exact to rounding by the complex step."""
    moved = phi + 1j * TINY * np.eye(len(phi))
    return {key: value.imag / TINY for key, value in effects(system, moved, average_row=average_row).items()}


def _effects(system: System, phi: np.ndarray, weights: np.ndarray | None) -> dict[Key, np.ndarray]:
    def mean(values: np.ndarray) -> np.ndarray:
        if weights is None or values.shape[1] == 1:
            return np.broadcast_to(values[:, 0] if values.shape[1] == 1 else values.mean(axis=1), len(phi))
        return np.asarray((values * weights).sum(axis=1) / weights.sum(axis=1))

    R = {(x, m): mean(counterfactual(system, phi, x, m)) for x in (0, 1) for m in (0, 1)}
    held = [mean(controlled(system, phi, x)) for x in (0, 1)]
    found: dict[Key, np.ndarray] = {}
    found.update(_ratios(R, held) if system.ratio else _differences(R, held))
    for chain in paths(system):
        found[chain] = mean(_along(system, phi, chain))
    return found


def product_factors(system: System, phi: np.ndarray, chain: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """The two factors a and b of an effect through one mediator, where the same in every row; shape (draws,) each."""
    short = averaged(system, None)
    if short is None or len(chain) != 1:
        return None
    first, second = _own_change(short, phi, chain[0]), slope(short, phi, 1, len(system.blocks) - 1, chain[0])
    return np.broadcast_to(first[:, 0, 0], len(phi)), np.broadcast_to(second[:, 0, 0], len(phi))


def _differences(R: dict[tuple[int, int], np.ndarray], held: list[np.ndarray]) -> dict[str, np.ndarray]:
    pnde, tnde = R[1, 0] - R[0, 0], R[1, 1] - R[0, 1]
    pnie, tnie = R[0, 1] - R[0, 0], R[1, 1] - R[1, 0]
    total, cde = R[1, 1] - R[0, 0], held[1] - held[0]
    means = np.array(list(R.values()))
    return _named(tnie, pnde, total, tnie / _nonzero(total), pnie, tnde, cde) | {
        "intref": _cleared(pnde - cde, means),
        "intmed": _cleared(tnie - pnie, means),
        "pie": pnie,
    }


def _ratios(R: dict[tuple[int, int], np.ndarray], held: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Ratios, and the four parts of the excess ratio total − 1."""
    pnde, tnde = R[1, 0] / R[0, 0], R[1, 1] / R[0, 1]
    pnie, tnie = R[0, 1] / R[0, 0], R[1, 1] / R[1, 0]
    total, cde = R[1, 1] / R[0, 0], held[1] / held[0]
    excess = (held[1] - held[0]) / R[0, 0]
    return _named(tnie, pnde, total, (total - pnde) / _nonzero(total - 1), pnie, tnde, cde) | {
        "intref": pnde - 1 - excess,
        "intmed": total - pnde - pnie + 1,
        "pie": pnie - 1,
        "excess_cde": excess,
    }


def _named(
    tnie: np.ndarray, pnde: np.ndarray, total: np.ndarray, share: np.ndarray, pnie: np.ndarray, tnde: np.ndarray,
    cde: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    return {
        "indirect": tnie, "direct": pnde, "total": total, "proportion_mediated": share, "acme_control": pnie,
        "acme_treated": tnie, "ade_control": pnde, "ade_treated": tnde, "cde": cde, "pnde": pnde, "tnde": tnde,
        "pnie": pnie, "tnie": tnie,
    }  # fmt: skip


def _cleared(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Rounding of a difference that is zero by the form of the model must not look like an effect, nor its derivative."""
    real = np.where(np.abs(values.real) <= ROUNDING * np.abs(means.real).max(axis=0), 0.0, values.real)
    if not np.iscomplexobj(values):
        return np.asarray(real)
    still = np.abs(values.imag) <= ROUNDING * np.abs(means.imag).max(axis=0)
    return np.asarray(real + 1j * np.where(still, 0.0, values.imag))


def _nonzero(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(values == 0, np.nan, values))


def _along(system: System, phi: np.ndarray, chain: tuple[int, ...]) -> np.ndarray:
    """Part of the total natural indirect effect that runs along a chain: the first mediator's own change times the slopes."""
    change = _own_change(system, phi, chain[0])
    for k, j in zip(chain, (*chain[1:], len(system.blocks) - 1), strict=True):
        change = change * slope(system, phi, 1, j, k)
    return change[..., 0]


def _own_change(system: System, phi: np.ndarray, k: int) -> np.ndarray:
    """Change of a mediator's mean by the exposure itself, with earlier mediators at their control means."""
    if system.blocks[k].family.link != "identity":
        return np.asarray(mediator_means(system, phi, 1)[k] - mediator_means(system, phi, 0)[k])
    control, beta = mediator_means(system, phi, 0), phi[:, system.blocks[k].coefficients]
    return np.asarray(predictor(system.worlds[1][k], beta, control) - predictor(system.worlds[0][k], beta, control))


def _starts(system: System, k: int) -> bool:
    """Whether the exposure itself moves a mediator."""
    first, second = (dict(world[k]) for world in system.worlds)
    return set(first) != set(second) or any(not np.array_equal(first[which], second[which]) for which in first)
