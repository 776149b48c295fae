"""What a check leaves out: a file, a folder, a day or a column that is not compared, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from modelmonitor_api.outcomes import LeftOutReason

SideName = Literal["reference", "current"]


@dataclass(frozen=True)
class LeftOut:
    """One thing that is not compared.

    Attributes
    ----------
    reason
        Why.
    name
        The URI, the day or the column.
    size
        Size in bytes, if it is an object.
    detail
        What is special about this one, such as the type of a column; empty if nothing is.
    share
        How much of it is left out, from 0 to 1.
    side
        The side that it belongs to; None for a column.
    values
        Number of values, if it is values of a column.
    """

    reason: LeftOutReason
    name: str
    size: int = 0
    detail: str = ""
    share: float = 1.0
    side: SideName | None = None
    values: int = 0


def of_side(side: SideName, items: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """Return what one side leaves out, with the side."""
    return tuple(replace(item, side=side) for item in items)
