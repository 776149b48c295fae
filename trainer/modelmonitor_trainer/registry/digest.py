"""Digest of the fitted parameters of a model: equal for equal models, although their files differ.

A skops archive contains identities of objects, which also name its files, and time stamps. The digest ignores both: it
covers the tree of the schema without identities (shared objects are written out each time) and the values of each
array.
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
#: Keys that are no fitted parameters: the identity of an object, the release that wrote the file, the number of threads
#: (HistGradientBoosting stores that of the machine), and seeds and generators, which no prediction uses: if the seed
#: matters, what was fitted differs.
_NOT_FITTED = frozenset(
    {
        "__id__",
        "_skops_version",
        "n_threads",
        "protocol",
        "random_state",
        "_random_seed",
        "_feature_subsample_rng",
    }
)


def fitted_digest(data: bytes) -> str:
    """Return the SHA-256 of the fitted parameters in a skops archive.

    Parameters
    ----------
    data
        The archive, just written or with its SHA-256 verified.

    Returns
    -------
    str
        Hexadecimal; equal for models that are equal bit by bit.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        plain = _plain(json.loads(archive.read(_SCHEMA)), archive)
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _plain(node: Any, archive: zipfile.ZipFile) -> Any:
    """Return a node of a schema without what was not fitted."""
    if isinstance(node, list):
        return [_plain(item, archive) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {
        key: _file(archive.read(value), value) if key == "file" and isinstance(value, str) else _plain(value, archive)
        for key, value in node.items()
        if key not in _NOT_FITTED
    }
    if node.get("__loader__") == "SetNode":
        plain["content"] = sorted(plain["content"], key=lambda item: json.dumps(item, sort_keys=True))
    return plain


def _file(content: bytes, name: str) -> str:
    """Return the SHA-256 of a file of an archive: of the type, shape and values of an array, else of its bytes."""
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
    # The padding between the fields of a tree's nodes is uninitialized.
    for field in array.dtype.names:
        _add(digest, array[field])
