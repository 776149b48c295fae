"""Serialization of arrays with a JSON description, for stored profiles and moments.

NumPy's archives describe arrays in Python syntax that every reader parses. That is most of the time of reading a
profile, and in Python 3.11 concurrent parsing can fail with a SystemError
(https://github.com/python/cpython/issues/106905).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelmonitor_trainer.arrays import Array

#: Supported types, for counts, registers and sums; little-endian on every machine.
_TYPES = {name: np.dtype(name) for name in ("|u1", "<u2", "<u4", "<u8", "<i8", "<f8")}


def pack(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Serialize arrays and a JSON description; equal ones give equal bytes.

    Raises
    ------
    ValueError
        If an array has an unsupported type.
    """
    ordered = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    shapes = [[name, array.dtype.str, array.shape] for name, array in ordered.items()]
    for name, kind, _ in shapes:
        if kind not in _TYPES:
            raise ValueError(f"{name} is of type {kind}")
    head = json.dumps({"arrays": shapes, "description": dict(description)}).encode()
    return zlib.compress(b"".join([head, b"\n", *(array.tobytes() for array in ordered.values())]))


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Deserialize a description and read-only arrays.

    Raises
    ------
    ValueError
        If the bytes are corrupted; they include a checksum.
    """
    try:
        whole = zlib.decompress(data)
        offset = whole.index(b"\n") + 1
        head = json.loads(whole[:offset])
        arrays = {}
        for name, kind, shape in head["arrays"]:
            flat = np.frombuffer(whole, _TYPES[kind], int(np.prod(shape, dtype=np.int64)), offset)
            arrays[str(name)] = flat.reshape(shape)
            offset += flat.nbytes
        description = head["description"]
    except (zlib.error, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"corrupted: {error}") from error
    if offset != len(whole) or not isinstance(description, dict):
        raise ValueError("corrupted: trailing bytes or missing description")
    return description, arrays
