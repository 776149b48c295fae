"""Reusable buffers for fetched bytes.

Blocks of megabytes that many threads allocate and free would stay with the allocator, separately for each thread: the
process would take twice the memory that it uses.
"""

from __future__ import annotations

import mmap
import threading

#: Bytes of the largest buffer and of the smallest; content below half of the smallest is plain bytes.
MAX_BUFFER = 16 * 1024 * 1024
_MIN_BUFFER = 512 * 1024


class Buffer:
    """Memory that returns to its pool when it is no longer referenced."""

    def __init__(self, memory: mmap.mmap, pool: BufferPool) -> None:
        self.memory = memory
        self._pool = pool

    def __getitem__(self, index: slice) -> bytes:
        return self.memory[index]

    def __del__(self) -> None:
        self._pool.give_back(self.memory)


#: Fetched bytes; slices of either are bytes.
Content = bytes | Buffer


class BufferPool:
    """Free buffers, in sizes of powers of two and halfway between them.

    Parameters
    ----------
    kept
        Bytes of free buffers that are kept for reuse, at most.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._free: dict[int, list[mmap.mmap]] = {}
        # Garbage collection may run anywhere, also in a thread that holds the lock.
        self._lock = threading.RLock()

    def take(self, size: int) -> Buffer:
        """Return a buffer of at least `size` bytes with undefined content."""
        with self._lock:
            free = self._free.get(weight(size))
            memory = free.pop() if free else mmap.mmap(-1, weight(size))
        return Buffer(memory, self)

    def give_back(self, memory: mmap.mmap) -> None:
        """Keep the memory of a buffer for reuse, or release it."""
        with self._lock:
            if sum(size * len(free) for size, free in self._free.items()) + len(memory) <= self._kept:
                self._free.setdefault(len(memory), []).append(memory)

    def release(self) -> None:
        """Return all free memory to the system."""
        with self._lock:
            self._free.clear()


def needs_buffer(size: int) -> bool:
    """Return whether content of this size is stored in a buffer."""
    return size > _MIN_BUFFER // 2


def weight(size: int) -> int:
    """Return the bytes of memory that content of this size takes."""
    if not needs_buffer(size):
        return size
    power = max(_MIN_BUFFER, 1 << (size - 1).bit_length())
    return power * 3 // 4 if power > _MIN_BUFFER and size <= power * 3 // 4 else power
