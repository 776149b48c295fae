"""How the bytes of an object are cut into requests, and which of them are here."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.storage.base import ObjectInfo
from modelmonitor_trainer.storage.buffers import SLAB, Content, weight
from modelmonitor_trainer.storage.request_pool import PooledRequest

#: Bytes from (first) to (one past the last).
Span = tuple[int, int]

#: Bytes of a request, at most; an object up to this size comes in one.
BLOCK = SLAB
#: The end of a larger object, where Parquet has its footer: kept while the object is open.
TAIL = 128 * 1024
#: Bytes that nobody asked for cost less than another request.
_GAP = 256 * 1024
#: Reading by several threads is forwards, but not strictly: so far behind, a block is not wanted any more.
_LAG = 8
#: Blocks to ask for ahead where it is not said what will be read, before and after that was found to be right.
_FIRST_DEPTH, _MAX_DEPTH = 1, 64


@dataclass(eq=False)
class ByteRange:
    """Some bytes that come in one request.

    Attributes
    ----------
    start, end
        Which bytes.
    wanted
        How many of them will be read; the block is dropped after that. None: it is kept while the object is open.
    unread
        How many of them are still to be read.
    job
        The request; None before it, and after the block was dropped.
    ahead
        Whether it has been asked for, and nobody has wanted it yet.
    done
        Whether all that was wanted has been read: it is not asked for ahead again.
    """

    start: int
    end: int
    wanted: int | None
    unread: int = 0
    job: PooledRequest[Content] | None = None
    ahead: bool = False
    done: bool = False

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes."""
        return weight(self.end - self.start)


def grid(size: int) -> list[ByteRange]:
    """Return the blocks of an object that is read from its beginning to its end."""
    return [ByteRange(start, min(size, start + BLOCK), min(BLOCK, size - start)) for start in range(0, size, BLOCK)]


def coalesce_ranges(spans: Iterable[Span], cut_before: Sequence[ByteRange] = ()) -> list[ByteRange]:
    """Return the blocks of an object of which some bytes will be read, in the order of reading.

    Neighbours come in one request, as long as it does not get too large; a large span comes in several. Bytes that
    are in a block of `cut_before` get no other one.

    >>> [(block.start, block.end, block.wanted) for block in cut([(0, 10), (12, 20), (5_000_000, 5_000_001)])]
    [(0, 20, 18), (5000000, 5000001, 1)]
    """
    found: list[ByteRange] = []
    taken = sorted((block.start, block.end) for block in cut_before)
    for span in spans:
        for start, end in _uncovered(span, taken):
            last = found[-1] if found else None
            if last is not None and _go_together(last, start, end, taken):
                taken[bisect_left(taken, (last.start, last.end))] = (last.start, end)
                last.wanted = (last.wanted or 0) + end - start
                last.end = end
                continue
            for first in range(start, end, BLOCK):
                found.append(ByteRange(first, min(end, first + BLOCK), min(BLOCK, end - first)))
                insort(taken, (first, found[-1].end))
    return found


def _go_together(last: ByteRange, start: int, end: int, taken: Sequence[Span]) -> bool:
    """Whether a block and the bytes that are read after it can come in one request."""
    if not (0 <= start - last.end <= _GAP and end - last.start <= BLOCK):
        return False
    following = bisect_left(taken, (last.end, 0))
    return following == len(taken) or taken[following][0] >= end


def _uncovered(span: Span, taken: Sequence[Span]) -> list[Span]:
    """Return what of a span lies in no block yet: blocks must not overlap."""
    left, (start, end) = [], span
    at = max(0, bisect_right(taken, (start, start)) - 1)
    while start < end:
        while at < len(taken) and taken[at][1] <= start:
            at += 1
        if at == len(taken) or taken[at][0] >= end:
            left.append((start, end))
            break
        if taken[at][0] > start:
            left.append((start, taken[at][0]))
        start = taken[at][1]
    return left


@dataclass(eq=False)
class RemoteObject:
    """An object that is open, or about to be: what is known of its bytes. Guarded by the lock of its reader.

    Attributes
    ----------
    info
        Which object.
    handles
        How many files are open over it.
    ahead, asked
        Bytes and number of blocks that have been asked for and that nobody has wanted yet.
    tail
        Its end, where it is larger than a block.
    given_up
        Why it is not read any more, if so.
    """

    info: ObjectInfo
    handles: int = 0
    ahead: int = 0
    asked: int = 0
    tail: ByteRange | None = None
    given_up: ModelMonitorError | None = None
    _blocks: list[ByteRange] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)
    _next: int = 0
    _depth: int = _FIRST_DEPTH
    _begun: bool = False
    _certain: bool = False

    def __post_init__(self) -> None:
        size = self.info.size
        if size <= BLOCK:
            self._plan([ByteRange(0, size, None)])
            self._begun = True
        else:
            self.tail = ByteRange(size - TAIL, size, None)
            self._plan(grid(size))

    @property
    def blocks(self) -> list[ByteRange]:
        """All its blocks, in the order of reading."""
        return self._blocks if self.tail is None else [*self._blocks, self.tail]

    def expect(self, spans: Sequence[Span]) -> list[ByteRange]:
        """Plan to read some bytes, in that order, and return the blocks that are not planned any more.

        What a second reader of the same object expects is added to what the first did.
        """
        if self.tail is None:
            return []  # it comes as a whole
        if self._certain:
            following = self._next
            self._plan([*self._blocks, *coalesce_ranges(spans, self._blocks)])
            self._next = following
            return []
        guessed = self._blocks
        self._plan(coalesce_ranges(spans))
        self._certain = self._begun = True
        self._depth = _MAX_DEPTH
        return guessed

    def _plan(self, blocks: list[ByteRange]) -> None:
        self._blocks, self._next = blocks, 0
        self._places = sorted(range(len(blocks)), key=lambda place: blocks[place].start)
        self._starts = [blocks[place].start for place in self._places]

    def find(self, position: int) -> ByteRange | None:
        """Return the block that holds a byte; None where that was not planned to be read."""
        place = self._place(position)
        found = None if place is None else self._blocks[place]
        if self.tail is None or position < self.tail.start or (found is not None and found.job is not None):
            return found
        return self.tail

    def wanted(self, block: ByteRange) -> list[ByteRange]:
        """Note that a block is wanted now, and return those ahead that this leaves too far behind."""
        place = self._place(block.start)
        if place is None or self._blocks[place] is not block:
            return []
        self._begun = True
        if block.job is None:  # somewhere else than expected, or the beginning
            self._next = place + 1
            self._depth = _MAX_DEPTH if self._certain else _FIRST_DEPTH
        else:
            self._next = max(self._next, place + 1)
            self._depth = min(2 * self._depth, _MAX_DEPTH)
        return [block for block in self._blocks[max(0, place - 2 * _LAG) : max(0, place - _LAG)] if block.ahead]

    def following(self) -> ByteRange | None:
        """Return the next block to ask for ahead."""
        if not self._begun or self.asked >= self._depth:
            return None
        while self._next < len(self._blocks):
            block = self._blocks[self._next]
            if block.job is None and not block.done:
                return block
            self._next += 1
        return None

    def _place(self, position: int) -> int | None:
        at = bisect_right(self._starts, position) - 1
        if at < 0 or self._blocks[self._places[at]].end <= position:
            return None
        return self._places[at]

    def next_start(self, position: int) -> int:
        """Return where the next block after a byte begins, or the size."""
        at = bisect_right(self._starts, position)
        return self._starts[at] if at < len(self._starts) else self.info.size
