"""The weekdays of the batches of both windows."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from modelmonitor_trainer.arrays import Counts
from modelmonitor_trainer.profile.window import WindowProfile

WEEK = 7


@dataclass(frozen=True)
class Calendar:
    """The weekdays of the batches of both windows.

    Attributes
    ----------
    reference, current : (batches,)
        Weekday of each batch, from 0 for Monday; -1 for a batch that is not a day.
    paired
        Whether batches that are not days have the same names on both sides, such as the files ``0.csv`` and ``1.csv``.
        Each is then compared with its counterpart.
    """

    reference: Counts
    current: Counts
    paired: bool = False

    @classmethod
    def of(cls, reference: Iterable[dt.date | None], current: Iterable[dt.date | None]) -> Calendar:
        """Return the calendar of batches; None stands for one that is not a day."""
        return cls(_weekdays(reference), _weekdays(current))

    @classmethod
    def of_windows(cls, reference: WindowProfile, current: WindowProfile) -> Calendar:
        """Return the calendar of two windows."""
        sides = [[batch.block for batch in window.blocks] for window in (reference, current)]
        calendar = cls.of(*([batch.day for batch in side] for side in sides))
        before, now = (_names([batch.name for batch in side]) for side in sides)
        return replace(calendar, paired=not calendar.dated and len(before) > 1 and before == now)

    @property
    def dated(self) -> bool:
        """Whether all batches are days."""
        return bool((self.reference >= 0).all() and (self.current >= 0).all() and self.reference.size)

    @property
    def weekly(self) -> bool:
        """Whether both windows have every weekday, so that the season within the week can be set aside."""
        return self.dated and all(len(set(side.tolist())) == WEEK for side in (self.reference, self.current))


def _names(uris: list[str]) -> list[str]:
    """Return names without the folder that all are in, and without suffixes: formats can differ."""
    folders = [uri.split("/")[:-1] for uri in uris]
    shared = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False)))
    names = ["/".join(uri.split("/")[shared:]) for uri in uris]
    return [re.sub(r"\.[^/]*$", "", name) for name in names]


def _weekdays(days: Iterable[dt.date | None]) -> Counts:
    return np.array([-1 if day is None else day.weekday() for day in days], dtype=np.int64)
