"""Dating of a change of champion by clocks that may be wrong, without a gap or an overlap in who served when.

The machines that change the champion have a clock each. If the present change seems to come before the one that it
follows, one of the two clocks is wrong. The clock of the object store, which dated both, decides.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from modelmonitor_trainer.registry.records import Pointer

#: Clocks that differ by less agree; those of a cluster differ by seconds.
TOLERANCE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class DatedChange:
    """A change of the champion and what it follows.

    Attributes
    ----------
    pointer
        The pointer that is replaced, with corrected times; None for the first champion.
    since
        When the new tenure begins; not before any tenure of the pointer.
    corrected
        Numbers of the tenures whose times were corrected.
    """

    pointer: Pointer | None
    since: dt.datetime
    corrected: frozenset[int] = frozenset()


def needs_store_clock(pointer: Pointer | None, now: dt.datetime) -> bool:
    """Return whether the clocks of this change and of the previous one contradict each other."""
    return pointer is not None and pointer.starts()[0] - now > TOLERANCE


def date_change(pointer: Pointer | None, now: dt.datetime) -> DatedChange:
    """Date a change by the clock of this machine; it begins with the previous one if that is a little later."""
    return DatedChange(pointer, now if pointer is None else max(now, pointer.starts()[0]))


def date_by_store(
    pointer: Pointer, now: dt.datetime, *, store_now: dt.datetime, store_then: dt.datetime
) -> DatedChange:
    """Date a change that seems to come before the previous one.

    Parameters
    ----------
    pointer
        The pointer that is replaced.
    now
        The present by the clock of this machine.
    store_now, store_then
        The present, and the time of the previous change, by the clock of the object store.
    """
    start = pointer.starts()[0]
    if store_now >= start - TOLERANCE:
        return DatedChange(pointer, max(store_now, start))  # this machine is behind
    if abs(store_now - now) > TOLERANCE or store_then > store_now:
        return DatedChange(pointer, start)  # the object store agrees with neither
    # The machine of the previous change was ahead: that change was made when the object store wrote it.
    late = frozenset(
        number for number, tenure in zip(pointer.numbers(), pointer.history, strict=True) if tenure.since > store_then
    )
    return DatedChange(pointer.not_after(store_then), max(now, store_then), late)
