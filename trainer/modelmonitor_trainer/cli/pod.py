"""The frame around what a pod does: its answer, its exit code, and what stops it.

The last words of a pod are its termination message: a verdict, or why there is none.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from modelmonitor_api.messages import (
    CheckRequest,
    CheckVerdict,
    Failure,
    Malformed,
    PromoteRequest,
    RollbackRequest,
    RunVerdict,
    TrainRequest,
    decode_request,
    encode_answer,
)
from modelmonitor_api.names import ENV_JOB_NAME, ENV_TERMINATION_LOG, ExitCode, FailureReason
from modelmonitor_trainer.errors import BadConfiguration, DiskFull, Interrupted, ModelMonitorError, OutOfMemory

_LOG = logging.getLogger(__name__)

AnyRequest = CheckRequest | TrainRequest | RollbackRequest | PromoteRequest


def job_name() -> str:
    """Return the name of the Job that this pod belongs to, or "local"."""
    return os.environ.get(ENV_JOB_NAME) or "local"


def read_request(path: str | Path) -> AnyRequest:
    """Return the request that the operator left in a file.

    Raises
    ------
    BadConfiguration
        If there is none, or it is not one that this version understands.
    """
    try:
        return decode_request(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfiguration(f"the request {path} cannot be read: {error.strerror}") from error
    except (Malformed, UnicodeDecodeError) as error:
        raise BadConfiguration(
            f"{path}: {error}. Are the operator and the trainer image of the same release?"
        ) from error


def run_in_pod(
    work: Callable[[], CheckVerdict | RunVerdict | None], *, termination_log: str | Path | None = None
) -> int:
    """Do the work of a pod, leave its answer, and return the exit code.

    Parameters
    ----------
    work
        Returns the verdict, or None where another container of the pod will give it.
    termination_log
        File that takes the answer. Absent: the one that the environment names, if it names one.

    Returns
    -------
    int
        0 for any verdict; otherwise the ``exit_code`` of the failure.

    Notes
    -----
    SIGTERM raises :class:`Interrupted` where the main thread is, so ``finally`` clauses run and the
    answer says that the pod was stopped, and by what.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    path = termination_log or os.environ.get(ENV_TERMINATION_LOG)
    answer: CheckVerdict | RunVerdict | Failure | None
    try:
        with interruptible():
            answer = answered(work)
        code: int = ExitCode.OK
    except ModelMonitorError as error:
        _LOG.error("%s: %s", error.reason, error)
        answer, code = failure_of(error), error.exit_code
    except Exception as error:  # noqa: BLE001 - whatever it is, the operator must be told; the log has the traceback
        _LOG.exception("the pod has crashed")
        text = f"{type(error).__name__}: {error}"[:500]
        answer, code = Failure(reason=FailureReason.CRASHED, message=f"A defect of modelmonitor: {text}"), 1
    if path and answer is not None:
        _leave(Path(path), answer)
    return code


def answered(work: Callable[[], CheckVerdict | RunVerdict | None]) -> CheckVerdict | RunVerdict | None:
    """Do `work`; errors of the machine become failures with a sentence."""
    try:
        return work()
    except MemoryError as error:
        raise OutOfMemory(
            "the process ran out of memory; raise resources.limits.memory of spec.check or spec.retraining.trainer"
        ) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(
                f"no space is left for {error.filename or 'a file'}; free some, or write elsewhere"
            ) from error
        raise


def failure_of(error: ModelMonitorError) -> Failure:
    """Return an error as the message that the operator is given."""
    return Failure(reason=error.reason, message=str(error)[:1024])


class _Stopped(BaseException):
    """What SIGTERM raises: no Exception, because libraries such as botocore take any of those for their own failure."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted when the process is asked to stop (main thread only; elsewhere nothing changes)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: let the farewell be said
        raise _Stopped(
            f"stopped by {signal.Signals(number).name}: the node is drained, the Job was deleted, or its deadline has "
            "passed; what was finished is kept, and a new pod goes on from there"
        )

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except _Stopped as stopped:
        raise Interrupted(str(stopped)) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _leave(path: Path, answer: CheckVerdict | RunVerdict | Failure) -> None:
    try:
        path.write_text(encode_answer(answer), encoding="utf-8")
    except OSError as error:
        # The exit code still tells the story; the verdict is on the store.
        _LOG.warning("the termination message %s cannot be written: %s", path, error.strerror)
