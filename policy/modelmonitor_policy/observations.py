"""What is observed of a monitor: its Jobs, its newest check and training, its champion and its rollout."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from modelmonitor_api.messages import CheckVerdict, Failure, RunVerdict
from modelmonitor_api.names import Reason, Role
from modelmonitor_api.status import FirstTrainingData

Answer = CheckVerdict | RunVerdict | Failure


@dataclass(frozen=True)
class JobWait:
    """Why a container of a Job has not started.

    Attributes
    ----------
    reason
        In one CamelCase word: a failure reason, or Pending or Queued where nothing is wrong yet.
    message
        The cause, and what to change.
    """

    reason: str
    message: str

    @property
    def blocked(self) -> bool:
        """Whether the Job cannot start before something is changed."""
        return self.reason not in {Reason.PENDING, Reason.QUEUED}


@dataclass(frozen=True)
class JobObservation:
    """A Job of a monitor.

    Attributes
    ----------
    name, uid, role
        Identity and purpose of the Job.
    started
        When it was created.
    finished
        When it ended; None while it runs, is pending or is queued.
    answer
        Its result. Always present for a Job that has just ended: a Failure where the pod left nothing usable. None
        while the Job runs, and for a Job whose end is already part of the status.
    number
        Number of a training.
    token
        Token of the request that the Job serves, if it serves one.
    trigger
        Why a training was started, as "Reason: message".
    image_id
        Image that did the work, by digest, as reported by the kubelet. None where no pod is known.
    waiting
        Why a container of it has not started; None for a Job that runs or has ended.
    generation
        Generation of the spec that it was created for; None where it is not known.
    """

    name: str
    uid: str
    role: Role
    started: dt.datetime
    finished: dt.datetime | None = None
    answer: Answer | None = None
    number: int | None = None
    token: str | None = None
    trigger: str = ""
    image_id: str | None = None
    waiting: JobWait | None = None
    generation: int | None = None

    @property
    def may_change_champion(self) -> bool:
        """Whether the Job has not ended and trains, rolls back or promotes."""
        return self.role is not Role.CHECK and self.finished is None


@dataclass(frozen=True)
class CheckObservation:
    """The newest check that returned a verdict.

    Attributes
    ----------
    time
        When its Job ended.
    verdict
        NoDrift, Drift, Corrupted, ChampionUnusable, PerformanceDrop or Inconclusive.
    performance_dropped
        Whether the champion's score has dropped.
    new_rows
        Number of rows since the champion's training data; None where the check could not determine it.
    current_rows
        Number of rows of the live window; None where the check could not determine it.
    consecutive_drifts
        Number of consecutive checks with the verdict Drift, including this one.
    consecutive_inconclusive
        Likewise with the verdict Inconclusive.
    message
        Message of the verdict.
    newest_day
        The last day of the live window; None where the check could not determine it.
    drift_onset
        First day after the change that was found; None where it is not known.
    first_training
        What a first training would find; None where the check could not determine it.
    job_name
        Name of its Job.
    generation
        Generation of the spec that was checked; None where it is not known.
    """

    time: dt.datetime
    verdict: str
    performance_dropped: bool = False
    new_rows: int | None = None
    current_rows: int | None = None
    consecutive_drifts: int = 0
    consecutive_inconclusive: int = 0
    message: str = ""
    newest_day: dt.date | None = None
    drift_onset: dt.date | None = None
    first_training: FirstTrainingData | None = None
    job_name: str = ""
    generation: int | None = None


@dataclass(frozen=True)
class CheckFailureObservation:
    """A failed check that is newer than the newest verdict.

    Attributes
    ----------
    time
        When its Job ended.
    job_name
        Name of its Job.
    reason
        Reason of the failure.
    failures
        Number of consecutive failed checks, including this one.
    generation
        Generation of the spec that its Job was created for; None where it is not known.
    """

    time: dt.datetime
    job_name: str
    reason: str
    failures: int = 1
    generation: int | None = None


@dataclass(frozen=True)
class TrainingObservation:
    """The newest training.

    Attributes
    ----------
    reason
        Trigger that started it.
    start
        When its Job was created.
    completion
        When its Job ended; None while it runs.
    failures
        Number of consecutive failed trainings, including this one; 0 if it returned a verdict.
    generation
        Generation of the spec that it was started for.
    message
        How it ended, in a sentence.
    outcome
        How it ended, in one word; None while it runs.
    train_end
        Last day of its training window; None where it is not known.
    rejections
        Number of consecutive trainings whose models were rejected, including this one.
    outcome_reason
        Reason of the outcome; None while it runs.
    newest_day
        The newest day with rows when it started; None where it is not known.
    """

    reason: str
    start: dt.datetime
    completion: dt.datetime | None = None
    failures: int = 0
    generation: int | None = None
    message: str = ""
    outcome: str | None = None
    train_end: dt.date | None = None
    rejections: int = 0
    outcome_reason: str | None = None
    newest_day: dt.date | None = None

    @property
    def failed(self) -> bool:
        """Whether it ended without a verdict."""
        return self.completion is not None and self.failures > 0


@dataclass(frozen=True)
class ChampionObservation:
    """The model in production.

    Attributes
    ----------
    version, since
        Which version, and when it became the champion.
    train_end
        Last day of its training window; None where it is not known.
    change_point
        First day after a change within its training window; None where there is none.
    pinned
        Why it is pinned in the registry; None if it is not.
    score
        Its score on the hold-out of its promotion; None where it is not known.
    """

    version: str
    since: dt.datetime
    train_end: dt.date | None = None
    change_point: dt.date | None = None
    pinned: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class JobInFlight:
    """A Job that can change the champion and has not ended."""

    role: Role
    job_name: str


@dataclass(frozen=True)
class WatchObservation:
    """Newest result of the champion watch: the champion compared with its predecessor.

    Attributes
    ----------
    champion, since
        The promotion that was watched.
    predecessor
        The version that the champion replaced.
    worse
        Whether the champion is significantly worse, by more than the non-inferiority margin.
    message
        The result in a sentence.
    """

    champion: str
    since: dt.datetime
    predecessor: str
    worse: bool
    message: str = ""


@dataclass(frozen=True)
class RolloutFailure:
    """A champion that the Deployment failed to roll out.

    Attributes
    ----------
    version
        The champion.
    previous
        The version with which the Deployment was last available.
    message
        What went wrong, in a sentence.
    """

    version: str
    previous: str
    message: str
