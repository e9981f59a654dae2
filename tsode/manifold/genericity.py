r"""What keeps a student from being generic: reasons why others may put out the same that no symmetry takes it to."""

import numpy as np

from .students import Student

__all__ = ["obstacle"]


def obstacle(student: Student, tolerance: float) -> str:
    """Return why not all students with the same output are symmetric to a student, in words; empty if they are."""
    sizes = np.linalg.svd(student.rows, compute_uv=False)
    rank = int(np.count_nonzero(sizes > tolerance * sizes[0]))
    if student.turns:
        return _obstacle_of_forms(student, rank, tolerance)
    activation, v, norms = student.activation, student.v, np.linalg.norm(student.U, axis=1)
    polynomial = activation.coefficients
    if (activation.degree == 1 and activation.parity == -1) or (polynomial is not None and len(polynomial) <= 3):
        return f"has the activation {activation!r}, which has more symmetries than permutations, signs and scales"
    dead = (norms <= tolerance * norms.max()) | (np.abs(v) <= tolerance * np.abs(v).max())
    if dead.any():
        return f"has a unit that puts out nothing or a constant, {int(np.argmax(dead))}"
    if polynomial is not None and rank < len(v):
        return "has linearly dependent units, and its activation is a polynomial"
    signs = (1,) if activation.parity else (1, -1)
    U = np.vstack([sign * student.U for sign in signs])
    Q = U @ U.T
    q = np.diagonal(Q)
    products = activation.pair(activation, q[:, None], Q, q)
    size = np.sqrt(np.diagonal(products))
    if np.linalg.eigvalsh(products / np.outer(size, size))[0] > tolerance:
        return ""
    cosines = np.abs(np.tril(Q[: len(v), : len(v)] / np.outer(norms, norms), -1))
    k, l = np.unravel_index(np.argmax(cosines), cosines.shape)
    if cosines[k, l] > 1 - tolerance:
        return f"has parallel units, {l} and {k}"
    return "has units, or their mirror images, that are linearly dependent functions"


def _obstacle_of_forms(student, rank, tolerance):
    """Return the reason for units that turn."""
    if student.trained and rank < len(student.v):
        return "has linearly dependent units, and trained readouts"
    # Witt's theorem extends a map between the images of both students to a symmetry where the form is regular there
    image = np.linalg.svd(student.rows)[0][:, :rank]
    form = np.linalg.eigvalsh(image.T @ (student.marks[:, None] * image))
    if np.any(np.abs(form) <= tolerance):
        return "has combinations of units that the readouts cancel"
    return ""
