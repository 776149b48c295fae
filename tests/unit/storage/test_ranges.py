"""The requests for an object: every requested byte once, and no request too large."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.storage.base import ObjectInfo
from modelmonitor_trainer.storage.readahead.buffers import MAX_BUFFER, needs_buffer, weight
from modelmonitor_trainer.storage.readahead.pool import PooledRequest
from modelmonitor_trainer.storage.readahead.ranges import BLOCK, TAIL, RemoteObject, coalesce_ranges, grid

MB = 1024 * 1024
WHEN = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)

spans = st.lists(
    st.tuples(st.integers(0, 60 * MB), st.integers(0, 20 * MB)).map(lambda span: (span[0], span[0] + span[1])),
    max_size=12,
)


def remote(size):
    return RemoteObject(ObjectInfo("s3://bucket/key", "e", size, WHEN))


@given(spans, spans)
def test_every_wanted_byte_is_in_one_block(first, second):
    before = coalesce_ranges(first)
    blocks = before + coalesce_ranges(second, before)
    ranges = sorted((block.start, block.end) for block in blocks)
    assert all(start < end <= start + BLOCK for start, end in ranges)
    assert all(one[1] <= other[0] for one, other in pairwise(ranges))
    for start, end in first + second:
        at = start
        for block_range in ranges:
            if block_range[0] <= at < block_range[1]:
                at = min(end, block_range[1])
        assert at >= end
    assert sum(block.wanted or 0 for block in blocks) <= sum(end - start for start, end in first + second)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param([(0, 10), (10, 20), (25, 30)], [(0, 30, 25)], id="neighbours come together"),
        pytest.param([(0, 10), (MB, MB + 1)], [(0, 10, 10), (MB, MB + 1, 1)], id="what is far apart does not"),
        pytest.param([(MB, MB + 1), (0, 10)], [(MB, MB + 1, 1), (0, 10, 10)], id="in the order of reading"),
        pytest.param(
            [(0, 2 * BLOCK + 1)], [(0, BLOCK, BLOCK), (BLOCK, 2 * BLOCK, BLOCK), (2 * BLOCK, 2 * BLOCK + 1, 1)]
        ),
        pytest.param([(0, BLOCK), (BLOCK, BLOCK + 1)], [(0, BLOCK, BLOCK), (BLOCK, BLOCK + 1, 1)], id="not too large"),
        pytest.param([(0, 10), (0, 10), (5, 12)], [(0, 12, 12)], id="nothing twice"),
        pytest.param([(5, 5)], [], id="nothing"),
    ],
)
def test_spans_are_coalesced_into_requests(spans, expected):
    assert [(block.start, block.end, block.wanted) for block in coalesce_ranges(spans)] == expected


def test_a_grid_covers_an_object():
    blocks = grid(2 * BLOCK + 5)
    assert [(block.start, block.end) for block in blocks] == [
        (0, BLOCK),
        (BLOCK, 2 * BLOCK),
        (2 * BLOCK, 2 * BLOCK + 5),
    ]


def test_small_objects_are_one_block_and_large_ones_have_a_separate_tail():
    small, large = remote(BLOCK), remote(BLOCK + 1)
    assert [(block.start, block.end) for block in small.blocks] == [(0, BLOCK)]
    assert small.tail is None
    end = large.find(BLOCK)
    assert end is large.tail
    assert (end.start, end.end) == (BLOCK + 1 - TAIL, BLOCK + 1)
    assert large.find(0) is not large.tail


def test_nothing_is_requested_ahead_before_rows_are_read():
    """If only the footer is read, only its block is fetched."""
    large = remote(10 * BLOCK)
    assert large.following() is None
    large.advance(large.tail)
    assert large.following() is None
    large.plan([(0, 5 * BLOCK)])
    assert large.following().start == 0


def test_sequential_reads_without_a_plan_double_the_blocks_ahead():
    large, depths = remote(30 * BLOCK), []
    for block in list(large.blocks)[:5]:
        large.advance(block)
        if block.ahead:
            block.ahead, large.ahead_blocks = False, large.ahead_blocks - 1
        block.request = block.request or PooledRequest(lambda: b"")
        while (following := large.following()) is not None:
            following.request, following.ahead = PooledRequest(lambda: b""), True
            large.ahead_blocks += 1
        depths.append(large.ahead_blocks)
    assert depths == [1, 2, 4, 8, 16]


def test_the_plan_of_a_second_reader_is_added():
    large = remote(10 * BLOCK)
    large.plan([(0, 10)])
    large.plan([(0, 10), (BLOCK, BLOCK + 10)])
    assert [(block.start, block.end) for block in large.blocks if block is not large.tail] == [
        (0, 10),
        (BLOCK, BLOCK + 10),
    ]
    assert large.find(20) is None


@given(st.integers(1, MAX_BUFFER))
def test_a_buffer_holds_its_block(size):
    assert size <= weight(size) <= (2 * size if needs_buffer(size) else size)
