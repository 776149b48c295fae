"""Memory for what is fetched, used again and again.

Blocks of megabytes that many threads allocate and free would be kept by the allocator, each thread's share by itself: a
process would take twice of what it holds.
"""

from __future__ import annotations

import mmap
import threading

#: Bytes of the largest slab, and of the smallest: what is smaller than half of it is not worth one.
SLAB = 16 * 1024 * 1024
_LEAST = 512 * 1024


class Buffer:
    """Memory that goes back to where it was taken from when nobody refers to it any more."""

    def __init__(self, memory: mmap.mmap, slabs: BufferPool) -> None:
        self.memory = memory
        self._slabs = slabs

    def __getitem__(self, some: slice) -> bytes:
        return self.memory[some]

    def __del__(self) -> None:
        self._slabs.give_back(self.memory)


#: What was fetched: slices of it are bytes.
Content = bytes | Buffer


class BufferPool:
    """The slabs of a store, in sizes of powers of two and in the middle between them.

    Parameters
    ----------
    kept
        Bytes that are kept for later, at most.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._free: dict[int, list[mmap.mmap]] = {}
        # Objects may be collected anywhere, also by the thread that is in here.
        self._lock = threading.RLock()

    def take(self, size: int) -> Buffer:
        """Return memory of at least `size` bytes; what it holds is undefined."""
        with self._lock:
            free = self._free.get(weight(size))
            memory = free.pop() if free else mmap.mmap(-1, weight(size))
        return Buffer(memory, self)

    def give_back(self, memory: mmap.mmap) -> None:
        """Keep the memory of a slab for the next, or release it."""
        with self._lock:
            if sum(size * len(free) for size, free in self._free.items()) + len(memory) <= self._kept:
                self._free.setdefault(len(memory), []).append(memory)

    def release(self) -> None:
        """Give all free memory back to the system."""
        with self._lock:
            self._free.clear()


def needs_slab(size: int) -> bool:
    """Whether so many bytes lie in a slab."""
    return size > _LEAST // 2


def weight(size: int) -> int:
    """Return how much memory so many bytes take."""
    if not needs_slab(size):
        return size
    power = max(_LEAST, 1 << (size - 1).bit_length())
    return power * 3 // 4 if power > _LEAST and size <= power * 3 // 4 else power
