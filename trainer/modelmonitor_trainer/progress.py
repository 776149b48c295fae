"""Progress bar on a terminal, and none elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")
#: Receives how many bytes of an object have been processed, in total.
ProgressCallback = Callable[[int], None]
#: Receives how many more bytes of an object have been processed.
Tick = Callable[[int], None]

#: Seconds before a bar appears: short work needs none.
_DELAY = 0.5


def no_progress(_: int) -> None:
    """Ignore progress."""


def with_progress_bar(
    run: Callable[[Tick], Iterable[_T]], *, sizes: Sequence[int], what: str, columns: int, rows_of: Callable[[_T], int]
) -> Iterator[_T]:
    """Yield one result per object, with a bar on stderr if that is a terminal.

    Parameters
    ----------
    run
        Returns the result of each object, in the order of `sizes`. Its argument receives the bytes that have been
        processed of the current object, if that is known before the object is done.
    sizes
        Bytes of the objects: the bar and the remaining time follow them, not the number of objects.
    what
        Description of the bar: "rows: reference".
    columns
        Number of columns that are read.
    rows_of
        Returns the number of rows of an object from its result.
    """
    if not sys.stderr.isatty():
        yield from run(no_progress)
        return
    from tqdm import tqdm

    rows = partial = 0
    with tqdm(
        total=sum(sizes), desc=what, unit="B", unit_scale=True, leave=False, file=sys.stderr, delay=_DELAY
    ) as bar:

        def tick(size: int) -> None:
            nonlocal partial
            partial += size
            bar.update(size)

        for size, result in zip(sizes, run(tick), strict=True):
            rows += rows_of(result)
            bar.set_postfix_str(f"{rows:,} rows x {columns} columns", refresh=False)
            bar.update(max(0, size - partial))
            partial = 0
            yield result
