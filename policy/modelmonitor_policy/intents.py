"""Intents: what a plan wants to have started.

An intent is a value. The operator executes it as a Job; a replay of past data executes it in process. Each intent
has a fixed key by which a second execution is recognized: the number of a training, the token of everything else.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from modelmonitor_api.names import Reason


@dataclass(frozen=True)
class StartCheck:
    """Start a check outside the schedule.

    Attributes
    ----------
    token
        Token of the request, or :data:`modelmonitor_policy.plan.INITIAL_CHECK`.
    requested
        Whether a user requested it.
    """

    token: str
    requested: bool


@dataclass(frozen=True)
class StartTraining:
    """Start a training.

    Attributes
    ----------
    number
        Number of the training, one more than that of the newest one. It serves as a lock: two attempts to execute one
        plan use the same number.
    reason, message
        The trigger, in one word and in a sentence.
    token
        Token of the request that the training serves; None where no user requested it.
    drift_onset
        First day after the newest known change; None where there is none.
    pinned
        Whether the champion is pinned, so that the training cannot replace it.
    """

    number: int
    reason: Reason
    message: str
    token: str | None = None
    drift_onset: dt.date | None = None
    pinned: bool = False


@dataclass(frozen=True)
class StartRollback:
    """Start a rollback that a user requested.

    Attributes
    ----------
    version
        The version to restore, or "previous".
    token
        Token of the request.
    """

    version: str
    token: str


@dataclass(frozen=True)
class StartPromotion:
    """Start the promotion of a version that a user requested.

    Attributes
    ----------
    version
        The version.
    token
        Token of the request.
    comment
        Why it is promoted, in the words of the user.
    """

    version: str
    token: str
    comment: str = ""


class RollbackCause(StrEnum):
    """Why an automatic rollback is started."""

    WATCH = "watch"
    ROLLOUT = "rollout"


@dataclass(frozen=True)
class AutoRollback:
    """Start an automatic rollback.

    Attributes
    ----------
    version
        The version to restore.
    instead_of
        The champion that it replaces. If another version is the champion by then, nothing happens.
    cause
        What the rollback responds to.
    promotion
        Identifies the promotion or rollout that is undone: each is undone once.
    reason, message
        Why, in one word and in a sentence.
    """

    version: str
    instead_of: str
    cause: RollbackCause
    promotion: str
    reason: Reason
    message: str

    @property
    def token(self) -> str:
        """Key of the rollback."""
        return f"{self.version}#{self.cause}-of-{self.promotion}"


#: Intents that can change the champion; a plan contains at most one of them, and none while one is in progress.
ChampionIntent = StartTraining | StartRollback | StartPromotion | AutoRollback
Intent = StartCheck | ChampionIntent
