"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")

#: Seconds before a bar appears: what is done at once needs none.
_DELAY = 0.5


def shown(
    items: Iterable[_T], *, sizes: Sequence[int], what: str, columns: int, rows_of: Callable[[_T], int]
) -> Iterator[_T]:
    """Yield what is made of objects, with a bar on stderr if that is a terminal.

    Parameters
    ----------
    items
        What is made of each object, in the order of `sizes`.
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
        yield from items
        return
    from tqdm import tqdm

    rows = 0
    with tqdm(
        total=sum(sizes), desc=what, unit="B", unit_scale=True, leave=False, file=sys.stderr, delay=_DELAY
    ) as bar:
        for size, item in zip(sizes, items, strict=True):
            rows += rows_of(item)
            bar.set_postfix_str(f"{rows:,} rows x {columns} columns", refresh=False)
            bar.update(size)
            yield item
