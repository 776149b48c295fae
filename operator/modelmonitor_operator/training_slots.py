"""Slots of concurrent trainings, shared by all monitors of the operator."""

from __future__ import annotations

import datetime as dt

from modelmonitor_operator.cache import Key, ObjectCache
from modelmonitor_policy import TrainingLimits, TrainingTurn, find_startable


class TrainingSlots:
    """Lets trainings start in the order of their decisions, as far as the limits permit.

    The trainings that run are the Jobs, and those that wait are in the status of their monitors, so that a restart
    changes nothing. In memory are only the slots of passes in progress, whose Jobs do not exist yet.

    Parameters
    ----------
    cache
        The Jobs and the monitors.
    limits
        How many trainings may run at the same time.
    """

    def __init__(self, cache: ObjectCache, limits: TrainingLimits) -> None:
        self._cache = cache
        self._taken: dict[Key, None] = {}
        self.limits = limits

    def take(self, key: Key, since: dt.datetime) -> bool:
        """Take a slot for the training of a monitor that was decided at `since`; return whether there is one."""
        if self.limits.unlimited or key in self._taken:
            return True
        turn = TrainingTurn(since, *key)
        if turn not in find_startable([*self._waiting(without=key), turn], self._running(), self.limits):
            return False
        self._taken[key] = None
        return True

    def give_back(self, key: Key) -> bool:
        """End the pass of a monitor: its slot is now that of its Job, or free; return whether it had one."""
        if key not in self._taken:
            return False
        del self._taken[key]
        return True

    def next(self) -> list[Key]:
        """Return the monitors whose trainings wait and may start now."""
        if self.limits.unlimited:
            return []
        turns = find_startable(self._waiting(), self._running(), self.limits)
        return [(turn.namespace, turn.monitor) for turn in turns]

    def _waiting(self, without: Key | None = None) -> list[TrainingTurn]:
        queued = self._cache.queued_trainings()
        keys = ((turn.namespace, turn.monitor) for turn in queued)
        return [turn for turn, key in zip(queued, keys, strict=True) if key != without and key not in self._taken]

    def _running(self) -> list[str]:
        running = self._cache.running_trainings()
        return [namespace for namespace, _ in [*running, *(key for key in self._taken if key not in running)]]
