"""Robust covariance of linear models, and the degrees of freedom that go with it.

HC3 after MacKinnon & White (1985, doi 10.1016/0304-4076(85)90158-7); CR1, CR2 and Satterthwaite's degrees of freedom
after Bell & McCaffrey (2002) and Pustejovsky & Tipton (2018, doi 10.1080/07350015.2016.1247004), with an identity
working model; the joint test after Tipton & Pustejovsky (2015, doi 10.3102/1076998615606099).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SINGULAR = 1e-10  # eigenvalue of I − H below which a direction of a cluster has no residual


def hc3(X: np.ndarray, residuals: np.ndarray, bread: np.ndarray) -> np.ndarray:
    """Covariance with each squared residual divided by (1 − leverage)²; rows of leverage 1 contribute nothing."""
    free = 1 - np.einsum("ij,jk,ik->i", X, bread, X)
    scaled = np.divide(residuals, free, out=np.zeros_like(residuals), where=free > SINGULAR)
    half = (X * scaled[:, None]) @ bread
    return np.asarray(half.T @ half)


def exact_rows(X: np.ndarray, bread: np.ndarray) -> np.ndarray:
    """Places of the rows of leverage 1."""
    return np.flatnonzero(1 - np.einsum("ij,jk,ik->i", X, bread, X) <= SINGULAR)


def cr1(X: np.ndarray, residuals: np.ndarray, bread: np.ndarray, codes: np.ndarray, *, small: bool) -> np.ndarray:
    """Cluster sandwich times G/(G − 1); with ``small`` also times (n − 1)/(n − p), as Stata does (CR1S)."""
    n, p = X.shape
    groups = codes.max() + 1
    scores = np.zeros((groups, p))
    np.add.at(scores, codes, X * residuals[:, None])
    factor = groups / (groups - 1) * ((n - 1) / (n - p) if small else 1.0)
    return np.asarray(bread @ (scores.T @ scores) @ bread * factor)


@dataclass(frozen=True)
class BiasReduced:
    """CR2: ``adjusted[g]`` is A_g X_g, shape (rows of g, p), with A_g = (I − H_gg)^(−1/2)."""

    X: np.ndarray
    bread: np.ndarray
    rows: tuple[np.ndarray, ...]
    adjusted: tuple[np.ndarray, ...]

    def covariance(self, residuals: np.ndarray) -> np.ndarray:
        """Bias-reduced cluster covariance of the coefficients, shape (p, p)."""
        scores = np.array([a.T @ residuals[r] for a, r in zip(self.adjusted, self.rows, strict=True)])
        return np.asarray(self.bread @ (scores.T @ scores) @ self.bread)

    def products(self, L: np.ndarray) -> np.ndarray:
        """Covariance of the cluster scores of q contrasts under the working model, shape (q, q, G, G)."""
        M, C = self.bread, self.bread @ L.T
        weights = [a @ C for a in self.adjusted]
        projected = np.array([self.X[r].T @ w for r, w in zip(self.rows, weights, strict=True)])
        P = -np.einsum("gas,ab,hbt->stgh", projected, M, projected)
        groups = np.arange(len(weights))
        P[:, :, groups, groups] += np.array([w.T @ w for w in weights]).transpose(1, 2, 0)
        return np.asarray(P)

    def satterthwaite(self, L: np.ndarray) -> np.ndarray:
        """Degrees of freedom of each row of L, shape (q,)."""
        P = np.array([self.products(row[None, :])[0, 0] for row in L])
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.trace(P, axis1=1, axis2=2) ** 2 / np.sum(P**2, axis=(1, 2)))

    def hotelling(self, L: np.ndarray) -> float:
        """Degrees of freedom η of the approximate Hotelling T² test that all rows of L are zero."""
        P = self.products(L)
        value, vector = np.linalg.eigh(np.einsum("stgg->st", P))
        root = vector / np.sqrt(value) @ vector.T
        P = np.einsum("sa,abgh,bt->stgh", root, P, root)
        q = len(L)
        same = np.einsum("ssgh,ttgh->", P, P)
        crossed = np.einsum("stgh,tsgh->", P, P)
        return float(q * (q + 1) / (same + crossed))


def cr2(X: np.ndarray, bread: np.ndarray, codes: np.ndarray) -> BiasReduced:
    """Adjustment matrices of the clusters; work grows with p, not with the size of a cluster."""
    order = np.argsort(codes, kind="stable")
    rows = tuple(np.split(order, np.flatnonzero(np.diff(codes[order])) + 1))
    return BiasReduced(X, bread, rows, tuple(_adjusted(X[r], bread) for r in rows))


def _adjusted(X: np.ndarray, bread: np.ndarray) -> np.ndarray:
    """(I − XMX')^(−1/2) X by the eigenvectors of R M R', X = QR; directions without residual are left out."""
    Q, R = np.linalg.qr(X)
    value, vector = np.linalg.eigh(R @ bread @ R.T)
    free = 1 - value
    scale = np.divide(1.0, np.sqrt(np.maximum(free, 0)), out=np.zeros_like(free), where=free > SINGULAR)
    return np.asarray(Q @ (vector * scale) @ vector.T @ R)
