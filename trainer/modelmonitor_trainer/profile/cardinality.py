"""HyperLogLog sketches: an estimate of the number of distinct values, in constant space.

Sketches merge by taking the maximum of each register, so merging is exact and its order does not matter.

    P. Flajolet, É. Fusy, O. Gandouet, F. Meunier, HyperLogLog, 2007; the estimator is that of
    O. Ertl, New cardinality estimation algorithms for HyperLogLog sketches, 2017, algorithm 6.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from modelmonitor_trainer.profile.hashing import Hashes

Registers = npt.NDArray[np.uint8]

#: Registers of a sketch. The standard error of an estimate is 1.04 / sqrt(REGISTERS), three per cent.
_BITS = 10
REGISTERS = 1 << _BITS
SKETCH_ERROR = 1.04 / REGISTERS**0.5
#: Bits of a hash in which leading zeros are counted: as many as a double represents exactly.
_RANK_BITS = 52


def no_registers() -> Registers:
    """Return an empty sketch."""
    return np.zeros(REGISTERS, dtype=np.uint8)


def add_hashes(registers: Registers, hashes: Hashes) -> None:
    """Add values to a sketch, in place: each register keeps the longest run of leading zeros plus one."""
    indices = (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
    remaining = (hashes >> np.uint64(2)) & np.uint64((1 << _RANK_BITS) - 1)
    zeros = _RANK_BITS - np.frexp(remaining.astype(np.float64))[1]
    np.maximum.at(registers, indices, (zeros + 1).astype(np.uint8))


def distinct(registers: Registers) -> int:
    """Return the estimated number of distinct values."""
    longest = _RANK_BITS + 2
    counts = np.bincount(registers, minlength=longest)
    denominator = REGISTERS * _tau(1 - counts[longest - 1] / REGISTERS)
    for zeros in range(longest - 2, 0, -1):
        denominator = (denominator + counts[zeros]) / 2
    denominator += REGISTERS * _sigma(counts[0] / REGISTERS)
    return round(REGISTERS * REGISTERS / (2 * math.log(2) * denominator)) if math.isfinite(denominator) else 0


def increase_error(before: float, more: float) -> float:
    """Return the standard error of the increase of :func:`distinct` when a sketch takes in more values.

    It is far below the error of either estimate: only the registers that the new values raise differ, so the estimate
    grows as if its errors were independent, Var(both) = Var(before) + Var(increase).

    Parameters
    ----------
    before
        Number of distinct values of the sketch.
    more
        Number of distinct values that it has not seen.
    """
    return float(SKETCH_ERROR * math.sqrt(more * (2 * before + more)))


def _sigma(share: float) -> float:
    if share == 1:
        return math.inf
    power, weight, total, before = share, 1.0, share, -1.0
    while total != before:
        power, before = power * power, total
        total += power * weight
        weight += weight
    return total


def _tau(share: float) -> float:
    if share in {0, 1}:
        return 0.0
    root, weight, total, before = share, 1.0, 1 - share, -1.0
    while total != before:
        root, before, weight = math.sqrt(root), total, weight / 2
        total -= (1 - root) ** 2 * weight
    return total / 3
