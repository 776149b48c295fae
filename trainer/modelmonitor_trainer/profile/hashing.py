"""Stable hashes: keys of stored results, and hashes of category names that are the same on every machine."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modelmonitor_trainer.arrays import Ints
from modelmonitor_trainer.profile import kernel

Hashes = npt.NDArray[np.uint64]


def digest(*parts: bytes | Iterable[str]) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of `parts`."""
    sha256 = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else "\x00".join(part).encode()
        sha256.update(len(data).to_bytes(8, "big") + data)
    return sha256.hexdigest()[:32]


def checksums_of(words: Sequence[str]) -> Hashes:
    """Return the CRC-32 of each word, shape (n,)."""
    return np.fromiter((zlib.crc32(word.encode()) for word in words), dtype=np.uint64, count=len(words))


def checksums_in(words: pa.StringArray) -> Hashes:
    """Return the CRC-32 of each element of a string array, shape (n,); NULL counts as the empty string."""
    return kernel.checksums(words) if kernel.compiled() else checksums_of([word or "" for word in words.to_pylist()])


def hashes_of(checksums: Hashes) -> Hashes:
    """Return a 64-bit hash from each CRC-32, shape (n,), with all bits equally random.

    The 32 bits are mixed by D. Stafford's variant 13 of MurmurHash3's finalizer (2011). Of ten million words one
    in a thousand shares its hash with another.
    """
    mixed = checksums + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashes: Hashes = mixed ^ (mixed >> np.uint64(31))
    return hashes


def bucket_of(hashes: Hashes, buckets: int) -> Ints:
    """Return the bucket of each hash, shape (n,)."""
    # The middle bits: the first ones choose a register of the sketch, and the last ones the examples.
    return ((hashes >> np.uint64(16)) % np.uint64(buckets)).astype(np.int64)
