"""Products of rows in register blocks beside NumPy's: every remainder, both precisions, compiled and not."""

import numpy as np
import pytest
from twins import python_twin

from tsode.sgd import products

WIDTHS = (1, 3, 4, 5, 17, 33)
kernels = pytest.mark.parametrize("kernel", [lambda kernel: kernel, python_twin], ids=["compiled", "python"])
precisions = pytest.mark.parametrize(("kind", "error"), [(np.float64, 1e-13), (np.float32, 1e-4)])


def whole(count):
    return -(-count // products.ROWS) * products.ROWS


@kernels
@precisions
@pytest.mark.parametrize("samples", [1, 8, 9])
@pytest.mark.parametrize("rows", WIDTHS)
def test_products_are_added(rows, samples, kind, error, kernel):
    rng = np.random.default_rng(rows)
    A, X = (rng.standard_normal((count, 3 * products.WHOLE)).astype(kind) for count in (rows, samples))
    out = rng.standard_normal((whole(rows), whole(samples)))
    wanted = out[:rows, :samples] + A.astype(float) @ X.astype(float).T
    kernel(products.add_products)(A, X, False, out)
    np.testing.assert_allclose(out[:rows, :samples], wanted, rtol=error, atol=error)


@kernels
@precisions
@pytest.mark.parametrize("rows", WIDTHS)
def test_upper_products_hold_the_diagonal_and_what_is_above(rows, kind, error, kernel):
    X = np.random.default_rng(rows).standard_normal((rows, products.WHOLE)).astype(kind)
    out = np.zeros((whole(rows), whole(rows)))
    kernel(products.add_products)(X, X, True, out)
    wanted = np.triu(X.astype(float) @ X.astype(float).T)
    np.testing.assert_allclose(np.triu(out[:rows, :rows]), wanted, rtol=error, atol=error)
    assert not out[2 * products.ROWS :, : products.ROWS].any()


@kernels
@precisions
@pytest.mark.parametrize("samples", [1, 8])
@pytest.mark.parametrize("rows", WIDTHS)
def test_first_rows_learn(rows, samples, kind, error, kernel):
    """What stands below them keeps its bits."""
    rng = np.random.default_rng(rows)
    W, X = (rng.standard_normal((count, 3 * products.WHOLE)).astype(kind) for count in (rows + 2, samples))
    C, growth, before = rng.standard_normal((samples, rows)), rng.standard_normal(rows), W.copy()
    kernel(products.learn)(W, C, X, growth)
    wanted = (1 + growth[:, None]) * before[:rows] + C.T @ X
    np.testing.assert_allclose(W[:rows], wanted, rtol=error, atol=error)
    np.testing.assert_array_equal(W[rows:], before[rows:])
