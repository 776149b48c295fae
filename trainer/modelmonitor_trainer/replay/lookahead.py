"""Checks ahead of time, on all cores.

A check depends on the data and the champion, and not on the checks before it. So the next checks can be computed while
nothing replaces the champion; what was computed for another champion is discarded. The results are the same as those of
one check after the other.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from modelmonitor_api.messages import CheckRequest
from modelmonitor_policy import PlannedJob
from modelmonitor_trainer.check.publish import PreparedCheck, prepare_check
from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.replay.past_store import PastStore
from modelmonitor_trainer.replay.workers import Workers

#: Checks in advance, for each process: enough to keep it busy, and few to discard.
_AHEAD = 4


@dataclass(frozen=True)
class DueCheck:
    """A check that is or will be due.

    Attributes
    ----------
    job, time
        The Job, and when it is due.
    """

    job: PlannedJob
    time: dt.datetime


@dataclass(frozen=True)
class Outcome:
    """How a check ended.

    Attributes
    ----------
    result
        Its files and verdict, or the error by which it failed.
    seconds
        Processor time.
    """

    result: PreparedCheck | ModelMonitorError
    seconds: float


class Lookahead:
    """The next checks, computed by worker processes.

    Parameters
    ----------
    workers
        The processes.
    upcoming
        Returns the checks that follow a time, at most the given number.
    """

    def __init__(self, workers: Workers, upcoming: Callable[[dt.datetime, int], Iterable[DueCheck]]) -> None:
        self._workers, self._upcoming = workers, upcoming
        self._depth = _AHEAD * workers.processes
        self._champion: str | None = None
        self._started: dict[str, Future[Outcome]] = {}

    def check(self, due: DueCheck, champion: str) -> Outcome:
        """Return the result of a check, and start the next ones.

        Parameters
        ----------
        due
            The check.
        champion
            Identifies the champion pointer: results for another one are discarded.
        """
        if champion != self._champion:
            for future in self._started.values():
                future.cancel()
            self._started.clear()
            self._champion = champion
        for check in (due, *self._upcoming(due.time, self._depth)):
            if check.job.name not in self._started:
                self._started[check.job.name] = self._workers.submit(check_at, check)
        return self._started.pop(due.job.name).result()


def check_at(store: PastStore, check: DueCheck) -> Outcome:
    """Return the result of a check at its time."""
    assert isinstance(check.job.request, CheckRequest)
    started = time.process_time()
    result: PreparedCheck | ModelMonitorError
    try:
        result = prepare_check(store.at(check.time), check.job.request, job=check.job.name, now=check.time)[0]
    except ModelMonitorError as error:
        result = error
    return Outcome(result, time.process_time() - started)
