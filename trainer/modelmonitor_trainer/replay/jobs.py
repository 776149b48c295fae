"""Jobs of a replay: the request of a planned Job, handled in process, with the answer that its pod would have given."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.messages import (
    Answer,
    CheckRequest,
    PromoteRequest,
    RollbackRequest,
    TrainRequest,
    decode_answer,
    encode_answer,
)
from modelmonitor_policy import PlannedJob
from modelmonitor_trainer.check.publish import publish_check
from modelmonitor_trainer.errors import (
    DiskFull,
    Interrupted,
    ModelMonitorError,
    OutOfMemory,
    StorageUnavailable,
    failure_of,
)
from modelmonitor_trainer.registry.manual import handle_promotion, handle_rollback
from modelmonitor_trainer.storage.base import Store

#: Errors of the machine that replays: a pod would have run elsewhere, so they end a replay.
MACHINE_ERRORS = (DiskFull, Interrupted, OutOfMemory, StorageUnavailable)


def run_job(store: Store, job: PlannedJob, now: dt.datetime, threads: int | None = None) -> Answer:
    """Handle the request of a Job, and return the answer as the operator would read it.

    Parameters
    ----------
    store
        The store at that time.
    job, now
        The Job, and the time.
    threads
        Number of threads of a training; all cores by default.

    Raises
    ------
    ModelMonitorError
        If this machine cannot continue. Errors of data and configuration are answers.
    """
    try:
        answer = _answer(store, job, now, threads)
    except MACHINE_ERRORS:
        raise
    except ModelMonitorError as error:
        answer = failure_of(error)
    return read_back(answer)


def read_back(answer: Answer) -> Answer:
    """Return an answer as the operator reads it: from a termination message, which may have to be shortened."""
    return decode_answer(encode_answer(answer))


def _answer(store: Store, job: PlannedJob, now: dt.datetime, threads: int | None) -> Answer:
    match job.request:
        case CheckRequest() as request:
            return publish_check(store, request, job=job.name, now=now)[0]
        case TrainRequest() as request:
            # scikit-learn takes a second to import, and a replay can consist of checks. It is needed before the limit,
            # which applies only to libraries that are loaded by then.
            from threadpoolctl import threadpool_limits

            from modelmonitor_trainer.train.train import train

            with threadpool_limits(threads):
                return train(store, request, job=job.name, now=now)
        case RollbackRequest() as request:
            return handle_rollback(store, request, job=job.name, now=now)
        case PromoteRequest() as request:
            return handle_promotion(store, request, job=job.name, now=now)
