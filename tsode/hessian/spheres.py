r"""The spherical constraint: from the Hessian in flat space to the one on a product of spheres.

Every row :math:`u_k` of U keeps its norm. For a function with gradient :math:`g` and Hessian :math:`H` in flat
space, a curve on the spheres through U with velocity Z has the acceleration
:math:`-u_k |z_k|^2 / |u_k|^2` normal to them, so that the second derivative along it is

.. math::
    \langle Z, H Z \rangle - \sum_k c_k |z_k|^2, \qquad c_k = \frac{g_k \cdot u_k}{|u_k|^2}, \qquad z_k \perp u_k :

the Riemannian Hessian is :math:`\Pi (H - c) \Pi` with the projector :math:`\Pi` on the tangent vectors (Absil,
Mahony & Sepulchre, Optimization Algorithms on Matrix Manifolds, 2008, section 5.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["curvature", "on_spheres", "project", "tangent_basis"]


def curvature(U: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return c, shape (p,), for rows U and a gradient, both of shape (p, n)."""
    return np.einsum("ki,ki->k", gradient, U) / np.einsum("ki,ki->k", U, U)


def project(U: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return the tangent part of Z: each row without its component along the row of U."""
    return Z - curvature(U, Z)[:, None] * U


def on_spheres(
    apply: Callable[[np.ndarray], np.ndarray], U: np.ndarray, gradient: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function Z -> Riemannian Hessian times Z, given that of flat space; 0 along the rows of U."""
    c = curvature(U, gradient)[:, None]

    def riemannian(Z):
        Z = project(U, Z)
        return project(U, apply(Z) - c * Z)

    return riemannian


def tangent_basis(U: np.ndarray) -> csr_array:
    """Return an orthonormal basis of the tangent vectors as columns, shape (p n, p (n - 1))."""
    from scipy.sparse import block_diag, csr_array

    parts = []
    for row in U:
        used = np.flatnonzero(row)
        basis = np.eye(len(row))
        basis[np.ix_(used, used)] = np.linalg.svd(row[None, used])[2].T  # the first is along the row
        parts.append(csr_array(np.delete(basis, used[0], axis=1)))
    return csr_array(block_diag(parts))
