"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")
#: Takes bytes of an object that have been read.
Tick = Callable[[int], None]

#: Seconds before a bar appears: what is done at once needs none.
_DELAY = 0.5


def shown(
    make: Callable[[Tick], Iterable[_T]], *, sizes: Sequence[int], what: str, columns: int, rows_of: Callable[[_T], int]
) -> Iterator[_T]:
    """Yield what is made of objects, with a bar on stderr if that is a terminal.

    Parameters
    ----------
    make
        Returns what is made of each object, in the order of `sizes`. It is given what to tell the bytes of an object
        that have been read, where it knows before the object is done.
    sizes
        Bytes of the objects: the bar and the time left go by them, not by their number.
    what
        What the bar says: "rows: reference".
    columns
        How many columns are read.
    rows_of
        Tells the rows of an object from what was made of it.
    """
    if not sys.stderr.isatty():
        yield from make(lambda _: None)
        return
    from tqdm import tqdm

    rows = begun = 0
    with tqdm(
        total=sum(sizes), desc=what, unit="B", unit_scale=True, leave=False, file=sys.stderr, delay=_DELAY
    ) as bar:

        def tick(size: int) -> None:
            nonlocal begun
            begun += size
            bar.update(size)

        for size, item in zip(sizes, make(tick), strict=True):
            rows += rows_of(item)
            bar.set_postfix_str(f"{rows:,} rows x {columns} columns", refresh=False)
            bar.update(max(0, size - begun))
            begun = 0
            yield item
