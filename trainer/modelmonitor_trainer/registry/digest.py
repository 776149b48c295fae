"""What was fitted as one number: equal for equal models, although their files differ.

A skops archive holds identities of objects, which name its files too, and time stamps. Here it is read as what it
says: the tree of its schema without identities (what is shared is written out each time), and each array by its
values.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import numpy as np

from modelmonitor_trainer.arrays import Array

_SCHEMA = "schema.json"
#: What says where an object was, by which release a file was written, and with how many threads (HistGradientBoosting
#: notes those of the machine), not what was fitted.
_NOT_FITTED = frozenset({"__id__", "_skops_version", "n_threads", "protocol"})


def fitted_digest(data: bytes) -> str:
    """Return the SHA-256 of the fitted parameters in a skops archive.

    Parameters
    ----------
    data
        The archive, which was just written or whose SHA-256 was checked.

    Returns
    -------
    str
        Hexadecimal; the same for fits that are the same bit by bit.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        plain = _plain(json.loads(archive.read(_SCHEMA)), archive)
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _plain(node: Any, archive: zipfile.ZipFile) -> Any:
    """Return a part of a schema as what it says of the fitted objects."""
    if isinstance(node, list):
        return [_plain(item, archive) for item in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: _file(archive.read(value), value) if key == "file" and isinstance(value, str) else _plain(value, archive)
        for key, value in node.items()
        if key not in _NOT_FITTED
    }
    if node.get("__loader__") == "SetNode":
        found["content"] = sorted(found["content"], key=lambda item: json.dumps(item, sort_keys=True))
    return found


def _file(content: bytes, name: str) -> str:
    """Return the SHA-256 of a file of an archive: of an array's type, shape and values, else of the bytes."""
    if not name.endswith(".npy"):
        return hashlib.sha256(content).hexdigest()
    array = np.load(io.BytesIO(content), allow_pickle=False)
    digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    _add(digest, array)
    return digest.hexdigest()


def _add(digest: Any, array: Array) -> None:
    if array.dtype.names is None:
        digest.update(np.ascontiguousarray(array).tobytes())
        return
    # Between the fields of a tree's nodes lie bytes that nobody has set.
    for field in array.dtype.names:
        _add(digest, array[field])
