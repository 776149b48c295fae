"""Division of an object into ranged requests, and the state of each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.storage.base import ObjectInfo, Span
from modelmonitor_trainer.storage.readahead.buffers import MAX_BUFFER, Content, weight
from modelmonitor_trainer.storage.readahead.pool import PooledRequest

#: Bytes of a request, at most; an object up to this size is fetched in one.
BLOCK = MAX_BUFFER
#: Bytes at the end of a larger object, where Parquet has its footer: kept while the object is open.
TAIL = 128 * 1024
#: Gap between two ranges up to which one request for both is cheaper than two.
_GAP = 256 * 1024
#: Several threads read forwards, but not strictly: blocks that are so far behind are dropped.
_LAG = 8
#: Blocks to request ahead of a file without a plan, at first and once its reads turn out to be sequential.
_FIRST_DEPTH, _MAX_DEPTH = 1, 64


@dataclass(eq=False)
class ByteRange:
    """A range of bytes that one request fetches.

    Attributes
    ----------
    start, end
        The range.
    wanted
        Number of bytes that will be read; the block is dropped after that. None: it is kept while the object is open.
    unread
        Number of these bytes that have not been read yet.
    request
        The request; None before it, and after the block was dropped.
    ahead
        Whether it was requested before any reader needed it, and none has needed it since.
    done
        Whether all wanted bytes have been read: it is not requested ahead again.
    """

    start: int
    end: int
    wanted: int | None
    unread: int = 0
    request: PooledRequest[Content] | None = None
    ahead: bool = False
    done: bool = False

    @property
    def weight(self) -> int:
        """Bytes of memory that its content takes."""
        return weight(self.end - self.start)


def grid(size: int) -> list[ByteRange]:
    """Return the blocks of an object that is read sequentially."""
    return [ByteRange(start, min(size, start + BLOCK), min(BLOCK, size - start)) for start in range(0, size, BLOCK)]


def coalesce_ranges(spans: Iterable[Span], cut_before: Sequence[ByteRange] = ()) -> list[ByteRange]:
    """Return blocks that cover planned ranges, in the order of reading.

    Neighbouring ranges share a block as long as it does not get too large; a large range is divided. Bytes that are in
    a block of `cut_before` get no other one.

    >>> blocks = coalesce_ranges([(0, 10), (12, 20), (5_000_000, 5_000_001)])
    >>> [(block.start, block.end, block.wanted) for block in blocks]
    [(0, 20, 18), (5000000, 5000001, 1)]
    """
    blocks: list[ByteRange] = []
    taken = sorted((block.start, block.end) for block in cut_before)
    for span in spans:
        for start, end in _uncovered_parts(span, taken):
            last = blocks[-1] if blocks else None
            if last is not None and _can_merge(last, start, end, taken):
                taken[bisect_left(taken, (last.start, last.end))] = (last.start, end)
                last.wanted = (last.wanted or 0) + end - start
                last.end = end
                continue
            for first in range(start, end, BLOCK):
                blocks.append(ByteRange(first, min(end, first + BLOCK), min(BLOCK, end - first)))
                insort(taken, (first, blocks[-1].end))
    return blocks


def _can_merge(last: ByteRange, start: int, end: int, taken: Sequence[Span]) -> bool:
    """Return whether one request can fetch a block and the range that is read after it."""
    if not (0 <= start - last.end <= _GAP and end - last.start <= BLOCK):
        return False
    following = bisect_left(taken, (last.end, 0))
    return following == len(taken) or taken[following][0] >= end


def _uncovered_parts(span: Span, taken: Sequence[Span]) -> list[Span]:
    """Return the parts of a range that are in no block yet: blocks must not overlap."""
    left, (start, end) = [], span
    index = max(0, bisect_right(taken, (start, start)) - 1)
    while start < end:
        while index < len(taken) and taken[index][1] <= start:
            index += 1
        if index == len(taken) or taken[index][0] >= end:
            left.append((start, end))
            break
        if taken[index][0] > start:
            left.append((start, taken[index][0]))
        start = taken[index][1]
    return left


@dataclass(eq=False)
class RemoteObject:
    """An object that is open or about to be, and its blocks. Guarded by the lock of its scheduler.

    Attributes
    ----------
    info
        The object as it was listed.
    handles
        Number of files that are open over it.
    ahead_bytes, ahead_blocks
        Memory and number of the blocks that were requested ahead and that no reader has needed yet.
    tail
        Its end, if it is larger than a block.
    abandoned
        Why it is not read any more, if so.
    """

    info: ObjectInfo
    handles: int = 0
    ahead_bytes: int = 0
    ahead_blocks: int = 0
    tail: ByteRange | None = None
    abandoned: ModelMonitorError | None = None
    _blocks: list[ByteRange] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _by_start: list[int] = field(default_factory=list)
    _next: int = 0
    _depth: int = _FIRST_DEPTH
    _started: bool = False
    _planned: bool = False

    def __post_init__(self) -> None:
        size = self.info.size
        if size <= BLOCK:
            self._set_blocks([ByteRange(0, size, None)])
            self._started = True
        else:
            self.tail = ByteRange(size - TAIL, size, None)
            self._set_blocks(grid(size))

    @property
    def blocks(self) -> list[ByteRange]:
        """All its blocks, in the order of reading."""
        return self._blocks if self.tail is None else [*self._blocks, self.tail]

    def plan(self, spans: Sequence[Span]) -> list[ByteRange]:
        """Plan to read these ranges, in that order, and return the blocks that are no longer planned.

        The plan of a second reader of the same object is added to that of the first.
        """
        if self.tail is None:
            return []  # fetched as a whole
        if self._planned:
            following = self._next
            self._set_blocks([*self._blocks, *coalesce_ranges(spans, self._blocks)])
            self._next = following
            return []
        guessed = self._blocks
        self._set_blocks(coalesce_ranges(spans))
        self._planned = self._started = True
        self._depth = _MAX_DEPTH
        return guessed

    def _set_blocks(self, blocks: list[ByteRange]) -> None:
        self._blocks, self._next = blocks, 0
        self._by_start = sorted(range(len(blocks)), key=lambda index: blocks[index].start)
        self._starts = [blocks[index].start for index in self._by_start]

    def find(self, position: int) -> ByteRange | None:
        """Return the block that contains a byte; None if reading it was not planned."""
        index = self._index_of(position)
        block = None if index is None else self._blocks[index]
        if self.tail is None or position < self.tail.start or (block is not None and block.request is not None):
            return block
        return self.tail

    def advance(self, block: ByteRange) -> list[ByteRange]:
        """Move the position to a block that a reader needs, and return the blocks ahead that are now too far behind."""
        index = self._index_of(block.start)
        if index is None or self._blocks[index] is not block:
            return []
        self._started = True
        if block.request is None:  # not where it was expected, or the beginning
            self._next = index + 1
            self._depth = _MAX_DEPTH if self._planned else _FIRST_DEPTH
        else:
            self._next = max(self._next, index + 1)
            self._depth = min(2 * self._depth, _MAX_DEPTH)
        return [block for block in self._blocks[max(0, index - 2 * _LAG) : max(0, index - _LAG)] if block.ahead]

    def following(self) -> ByteRange | None:
        """Return the next block to request ahead; None if there is none."""
        if not self._started or self.ahead_blocks >= self._depth:
            return None
        while self._next < len(self._blocks):
            block = self._blocks[self._next]
            if block.request is None and not block.done:
                return block
            self._next += 1
        return None

    def _index_of(self, position: int) -> int | None:
        index = bisect_right(self._starts, position) - 1
        if index < 0 or self._blocks[self._by_start[index]].end <= position:
            return None
        return self._by_start[index]

    def next_start(self, position: int) -> int:
        """Return the start of the next block after a byte, or the size of the object."""
        index = bisect_right(self._starts, position)
        return self._starts[index] if index < len(self._starts) else self.info.size
