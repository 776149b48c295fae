"""Memory budgets of fetched blocks, over all open objects together. Guarded by the lock of their scheduler.

Together with the writes in :mod:`~modelmonitor_trainer.storage.readahead.writer` and the tails of open objects they add
up to 96 MB.
"""

from __future__ import annotations

from modelmonitor_trainer.storage.readahead.ranges import BLOCK, ByteRange, RemoteObject

_MB = 1024 * 1024
#: Bytes that were requested and that no reader has needed yet.
AHEAD_BYTES = 24 * _MB
#: Bytes that readers have needed and not read to the end; a block for each of four readers.
DEMAND_BYTES = 4 * BLOCK


class AheadBudget:
    """Blocks that were requested before any reader needed them."""

    def __init__(self) -> None:
        self._bytes = 0

    def fits(self, block: ByteRange) -> bool:
        """Return whether there is room for a block."""
        return self._bytes + block.weight <= AHEAD_BYTES

    def add(self, remote: RemoteObject, block: ByteRange) -> None:
        """Count a block that was requested ahead."""
        block.ahead = True
        self._bytes += block.weight
        remote.ahead_bytes += block.weight
        remote.ahead_blocks += 1

    def remove(self, remote: RemoteObject, block: ByteRange) -> None:
        """Stop counting a block, because a reader needs it or because it was dropped."""
        block.ahead = False
        self._bytes -= block.weight
        remote.ahead_bytes -= block.weight
        remote.ahead_blocks -= 1

    def reserve(self, size: int) -> None:
        """Count the memory of a dropped block whose request is in flight."""
        self._bytes += size

    def free(self, size: int) -> None:
        """Stop counting such memory once the request is done."""
        self._bytes -= size


class DemandBudget:
    """Blocks that readers need now; beyond the limit the least recently used is dropped."""

    def __init__(self) -> None:
        self._blocks: dict[ByteRange, None] = {}

    def add(self, block: ByteRange) -> None:
        """Count a block as the most recently used, and drop the least recently used beyond the limit."""
        self._blocks.pop(block, None)
        self._blocks[block] = None
        while sum(each.weight for each in self._blocks) > DEMAND_BYTES and len(self._blocks) > 1:
            oldest = next(iter(self._blocks))
            del self._blocks[oldest]
            oldest.request = None

    def discard(self, block: ByteRange) -> None:
        """Stop counting a block."""
        self._blocks.pop(block, None)
