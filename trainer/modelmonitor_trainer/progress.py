"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")


def shown(items: Iterable[_T], *, total: int, what: str, unit: str) -> Iterator[_T]:
    """Yield `items`, with a bar on stderr if that is a terminal.

    Parameters
    ----------
    items
        What is worked through.
    total
        How many there will be.
    what, unit
        What the bar says: "reading reference", "object".
    """
    if total < 2 or not sys.stderr.isatty():
        yield from items
        return
    from tqdm import tqdm

    yield from tqdm(items, total=total, desc=what, unit=unit, leave=False, file=sys.stderr)
