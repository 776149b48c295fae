"""Everything that the decision whether to train depends on, beside the clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_policy.observations import (
    ChampionObservation,
    CheckObservation,
    JobInFlight,
    TrainingObservation,
    WatchObservation,
)


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
        Token of the promotion that has been answered by a rollback, see
        :func:`modelmonitor_policy.auto_rollback.promotion_token`.
    """

    spec: ModelMonitorSpec
    generation: int
    created: dt.datetime
    check: CheckObservation | None = None
    training: TrainingObservation | None = None
    trainings: tuple[dt.datetime, ...] = ()
    champion: ChampionObservation | None = None
    in_flight: JobInFlight | None = None
    request: str | None = None
    watch: WatchObservation | None = None
    watch_answered: str | None = None
