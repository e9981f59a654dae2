r"""Random numbers for the kernels: many xoshiro256++ generators side by side, and Box-Muller without branches.

The state of one stream is an array of shape (4, LANES): LANES independent xoshiro256++ generators (Blackman &
Vigna, ACM TOMS 47, 36 (2021)), seeded apart by NumPy's SeedSequence. All loops run over the lanes and none of
them branches, so that the compiler turns them into vector instructions: a normal then costs an eighth of
NumPy's. Logarithm, sine and cosine are the polynomials of fdlibm (Sun Microsystems, 1993), accurate to the
last bit or two; library calls would keep the loop from being vectorised.
"""

import math

import numpy as np
from numba import njit

from .._compiled import prefer_wide_vectors

__all__ = ["GAUSSIAN", "LANES", "LAWS", "RADEMACHER", "UNIFORM", "fill", "normal_pair", "stream_state", "xoshiro"]

LANES = 128
GAUSSIAN, RADEMACHER, UNIFORM = 0, 1, 2
LAWS = {"gaussian": GAUSSIAN, "rademacher": RADEMACHER, "uniform": UNIFORM}

U64, I64 = np.uint64, np.int64
SQRT_HALF_BITS = I64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
MANTISSA_BITS = I64(0x000FFFFFFFFFFFFF)
LN2 = math.log(2.0)
ROOT3 = math.sqrt(3.0)


def stream_state(sequence: np.random.SeedSequence, lanes: int = LANES) -> np.ndarray:
    """Return the state of a stream, shape (4, lanes), from a SeedSequence."""
    return sequence.generate_state(4 * lanes, np.uint64).reshape(4, lanes)


@njit(inline="always", error_model="numpy")
def xoshiro(s0, s1, s2, s3):
    """Return one 64-bit number and the next state of xoshiro256++."""
    a = s0 + s3
    number = ((a << U64(23)) | (a >> U64(41))) + s0
    t = s1 << U64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = (s3 << U64(45)) | (s3 >> U64(19))
    return number, s0, s1, s2, s3


@njit(inline="always", error_model="numpy")
def minus_two_log(u):
    """Return -2 ln u for u > 0, by fdlibm's series in s = f/(2 + f), u = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2)."""
    bits = np.float64(u).view(I64) - SQRT_HALF_BITS
    exponent = np.float64(bits >> I64(52))
    f = I64((bits & MANTISSA_BITS) + SQRT_HALF_BITS).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    series = 1.531383769920937332e-01 + z * 1.479819860511658591e-01
    series = 2.222219843214978396e-01 + z * (1.818357216161805012e-01 + z * series)
    series = 6.666666666666735130e-01 + z * (3.999999999940941908e-01 + z * (2.857142874366239149e-01 + z * series))
    return exponent * (-2.0 * LN2) - 2.0 * s * (2.0 + z * series)


@njit(inline="always", error_model="numpy")
def normal_pair(r1, r2):
    """Return two independent standard normals from two random 64-bit numbers (Box & Muller 1958).

    53 bits of `r1` give the radius, up to 8.6 standard deviations. 53 bits of `r2` give an angle in
    [-pi/4, pi/4) and its two lowest ones the quadrant: bit 0 turns the cosine's sign, bit 1 swaps the two.
    """
    u = (np.float64(I64(r1 >> U64(11))) + 1.0) * 2.0**-53
    radius = math.sqrt(minus_two_log(u))
    angle = np.float64(I64(r2) >> I64(11)) * (math.pi / 2.0 * 2.0**-53)
    z = angle * angle
    sine = -2.50507602534068634195e-08 + z * 1.58969099521155010221e-10
    sine = -1.98412698298579493134e-04 + z * (2.75573137070700676789e-06 + z * sine)
    sine = angle + angle * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 + z * sine))
    cosine = 2.08757232129817482790e-09 + z * -1.13596475577881948265e-11
    cosine = 2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07 + z * cosine)
    cosine = 1.0 + z * (-0.5 + z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 + z * cosine)))
    x = radius * cosine
    y = radius * sine
    x = I64(np.float64(x).view(I64) ^ I64(r2 << U64(63))).view(np.float64)
    swap = (r2 & U64(2)) == U64(2)
    return (y if swap else x), (x if swap else y)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def normal_lanes(state, out):
    """Write pairs of normals: first numbers one a lane, then their second numbers, then the next pairs."""
    prefer_wide_vectors()
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    lanes = state.shape[1]
    for i in range(0, out.shape[0], 2 * lanes):
        first, second = out[i : i + lanes], out[i + lanes : i + 2 * lanes]
        for l in range(lanes):
            r1, a0, a1, a2, a3 = xoshiro(s0[l], s1[l], s2[l], s3[l])
            r2, s0[l], s1[l], s2[l], s3[l] = xoshiro(a0, a1, a2, a3)
            first[l], second[l] = normal_pair(r1, r2)


@njit(cache=True, nogil=True, error_model="numpy")
def sign_lanes(state, out):
    """Write +1 or -1 with equal probability, one a lane and again."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    lanes = state.shape[1]
    for i in range(0, out.shape[0], lanes):
        signs = out[i : i + lanes]
        for l in range(lanes):
            r, s0[l], s1[l], s2[l], s3[l] = xoshiro(s0[l], s1[l], s2[l], s3[l])
            signs[l] = 1.0 - 2.0 * np.float64(I64(r >> U64(63)))


@njit(cache=True, nogil=True, error_model="numpy")
def uniform_lanes(state, out, low, width):
    """Write uniform numbers between low and low + width, one a lane and again."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    lanes = state.shape[1]
    for i in range(0, out.shape[0], lanes):
        numbers = out[i : i + lanes]
        for l in range(lanes):
            r, s0[l], s1[l], s2[l], s3[l] = xoshiro(s0[l], s1[l], s2[l], s3[l])
            numbers[l] = low + width * ((np.float64(I64(r >> U64(11))) + 0.5) * 2.0**-53)


@njit(cache=True, nogil=True, error_model="numpy")
def fill(state: np.ndarray, out: np.ndarray, law: int) -> None:
    """Fill a one-dimensional array, its length a multiple of 2 LANES, with independent numbers of a law."""
    if law == GAUSSIAN:
        normal_lanes(state, out)
    elif law == RADEMACHER:
        sign_lanes(state, out)
    else:
        uniform_lanes(state, out, -ROOT3, 2.0 * ROOT3)
