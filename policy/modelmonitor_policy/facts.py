"""Everything that the decision whether to train depends on, beside the clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from modelmonitor_api.names import Role
from modelmonitor_api.spec import ModelMonitorSpec


@dataclass(frozen=True)
class CheckSeen:
    """The newest check that gave a verdict.

    Parameters
    ----------
    time
        When its Job ended.
    verdict
        NoDrift, Drift, Corrupted or Inconclusive.
    performance_dropped
        Whether the champion's score has dropped.
    new_rows
        Rows since the champion's training data; None where the check could not tell.
    current_rows
        Rows of the live window; None where the check could not tell.
    consecutive_drifts
        How many checks in a row have said Drift, this one included.
    message
        The sentence that it gave.
    """

    time: dt.datetime
    verdict: str
    performance_dropped: bool = False
    new_rows: int | None = None
    current_rows: int | None = None
    consecutive_drifts: int = 0
    message: str = ""


@dataclass(frozen=True)
class TrainingSeen:
    """The newest training.

    Parameters
    ----------
    number
        Number of the decision that started it.
    reason
        What triggered it.
    start
        When its Job was created.
    completion
        When its Job ended; None while it runs.
    failures
        How many trainings in a row have failed, this one included; 0 where it gave a verdict.
    generation
        Generation of the spec that it was started for.
    message
        How it ended, in a sentence.
    """

    number: int
    reason: str
    start: dt.datetime
    completion: dt.datetime | None = None
    failures: int = 0
    generation: int | None = None
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether it ended without a verdict."""
        return self.completion is not None and self.failures > 0


@dataclass(frozen=True)
class ChampionSeen:
    """The model in production."""

    version: str
    since: dt.datetime


@dataclass(frozen=True)
class InFlight:
    """A Job that may change the champion and has not ended."""

    role: Role
    job_name: str


@dataclass(frozen=True)
class WatchSeen:
    """What the newest check that looked found of the champion beside the version before it.

    Parameters
    ----------
    champion, since
        Which promotion was watched.
    predecessor
        The version before it.
    worse
        Whether the champion is worse beyond chance and beyond what promotion tolerates.
    message
        The same in a sentence.
    """

    champion: str
    since: dt.datetime
    predecessor: str
    worse: bool
    message: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of a monitor when it is decided whether to train.

    Parameters
    ----------
    spec, generation
        The spec and its generation.
    created
        When the monitor was created.
    check
        The newest check that gave a verdict.
    training
        The newest training.
    trainings
        When trainings were started, in any order; the budget counts them.
    champion
        The model in production.
    in_flight
        The Job that is at work on the champion, if there is one.
    request
        Token of a retrain request that has not been acted on.
    watch
        What the newest check that looked found of the champion beside the version before it.
    watch_answered
        The promotion that has been answered by a rollback, as :func:`modelmonitor_policy.watch.promotion_token` names
        it.
    """

    spec: ModelMonitorSpec
    generation: int
    created: dt.datetime
    check: CheckSeen | None = None
    training: TrainingSeen | None = None
    trainings: tuple[dt.datetime, ...] = ()
    champion: ChampionSeen | None = None
    in_flight: InFlight | None = None
    request: str | None = None
    watch: WatchSeen | None = None
    watch_answered: str | None = None
