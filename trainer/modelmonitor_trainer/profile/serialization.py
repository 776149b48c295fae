"""Arrays with a description of them, as bytes to keep: profiles and moments beside the results.

Not NumPy's archives, whose descriptions are Python that every reader parses: that is most of the time of reading a
profile, and in Python 3.11 threads that parse at once can stop each other with a SystemError
(https://github.com/python/cpython/issues/106905).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelmonitor_trainer.arrays import Array

#: What may be kept: counts, registers and sums, on any machine with their lowest byte first.
_TYPES = {name: np.dtype(name) for name in ("|u1", "<u2", "<u4", "<u8", "<i8", "<f8")}


def pack(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Return a description, of what JSON can say, and arrays; equal ones give equal bytes.

    Raises
    ------
    ValueError
        If an array is of another type than those that are kept.
    """
    ordered = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    shapes = [[name, array.dtype.str, array.shape] for name, array in ordered.items()]
    for name, kind, _ in shapes:
        if kind not in _TYPES:
            raise ValueError(f"{name} is of type {kind}")
    head = json.dumps({"arrays": shapes, "description": dict(description)}).encode()
    return zlib.compress(b"".join([head, b"\n", *(array.tobytes() for array in ordered.values())]))


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return what :func:`pack` was given; the arrays cannot be written to.

    Raises
    ------
    ValueError
        If it is damaged: a checksum is part of it.
    """
    try:
        whole = zlib.decompress(data)
        place = whole.index(b"\n") + 1
        head = json.loads(whole[:place])
        arrays = {}
        for name, kind, shape in head["arrays"]:
            flat = np.frombuffer(whole, _TYPES[kind], int(np.prod(shape, dtype=np.int64)), place)
            arrays[str(name)] = flat.reshape(shape)
            place += flat.nbytes
        description = head["description"]
    except (zlib.error, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is damaged: {error}") from error
    if place != len(whole) or not isinstance(description, dict):
        raise ValueError("it is damaged: there is too much of it, or no description")
    return description, arrays
