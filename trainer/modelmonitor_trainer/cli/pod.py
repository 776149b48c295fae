"""Shell of a pod: its request, its termination message, its exit code, and SIGTERM.

The termination message is the result of the pod: a verdict, or the reason for which there is none.
"""

from __future__ import annotations

import datetime as dt
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
from modelmonitor_trainer.errors import (
    BadConfiguration,
    DiskFull,
    Interrupted,
    ModelMonitorError,
    OutOfMemory,
    failure_of,
)

_LOG = logging.getLogger(__name__)

AnyRequest = CheckRequest | TrainRequest | RollbackRequest | PromoteRequest


def job_name() -> str:
    """Return the name of the Job that this pod belongs to, or "local"."""
    return os.environ.get(ENV_JOB_NAME) or "local"


def read_request(path: str | Path) -> AnyRequest:
    """Return the request that the operator mounted as a file.

    Raises
    ------
    BadConfiguration
        If there is none, or this version does not support it.
    """
    try:
        return decode_request(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfiguration(f"the request {path} cannot be read: {error.strerror}") from error
    except (Malformed, UnicodeDecodeError) as error:
        raise BadConfiguration(
            f"{path}: {error}. Are the operator and the trainer image of the same release?"
        ) from error


def announce(request: AnyRequest) -> None:
    """Claim the results prefix for the monitor, and write the operator's decisions to the ledger.

    Raises
    ------
    BadConfiguration
        If the prefix belongs to a monitor of another cluster.
    """
    from modelmonitor_trainer.registry.layout import ResultsLayout
    from modelmonitor_trainer.registry.ledger import write_decisions
    from modelmonitor_trainer.registry.ownership import claim
    from modelmonitor_trainer.storage.open import open_store

    if request.monitor.cluster is None and not request.decisions:
        return
    store, layout = open_store(request.spec.storage), ResultsLayout.of(request.spec, request.monitor)
    claim(store, layout, request.monitor, dt.datetime.now(dt.UTC))
    write_decisions(store, layout, request.monitor, request.decisions or ())


def run_in_pod(
    work: Callable[[], CheckVerdict | RunVerdict | None], *, termination_log: str | Path | None = None
) -> int:
    """Do the work of a pod, write its termination message, and return the exit code.

    Parameters
    ----------
    work
        Returns the verdict, or None if another container of the pod will return it.
    termination_log
        File of the termination message. Defaults to the one in the environment, if set.

    Returns
    -------
    int
        0 for any verdict; otherwise the ``exit_code`` of the error.

    Notes
    -----
    SIGTERM raises :class:`Interrupted` in the main thread, so ``finally`` clauses run and the termination message
    states that the pod was stopped, and why.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    path = termination_log or os.environ.get(ENV_TERMINATION_LOG)
    answer: CheckVerdict | RunVerdict | Failure | None
    try:
        with interruptible():
            answer = translate_system_errors(work)
        code: int = ExitCode.OK
    except ModelMonitorError as error:
        _LOG.error("%s: %s", error.reason, error)
        answer, code = failure_of(error), error.exit_code
    except Exception as error:  # noqa: BLE001 - report every error to the operator; the log has the traceback
        _LOG.exception("the pod has crashed")
        text = f"{type(error).__name__}: {error}"[:500]
        answer, code = Failure(reason=FailureReason.CRASHED, message=f"A bug in modelmonitor: {text}"), 1
    if path and answer is not None:
        _write_message(Path(path), answer)
    return code


def translate_system_errors(work: Callable[[], CheckVerdict | RunVerdict | None]) -> CheckVerdict | RunVerdict | None:
    """Run `work`; translate errors of the operating system."""
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


class _Stopped(BaseException):
    """Raised by SIGTERM. Not an Exception, because libraries such as botocore treat any of those as their own error."""


#: Why a pod is stopped, and what follows.
_POD_STOPPED = (
    "the node is being drained, the Job was deleted, or its deadline has passed; finished work is kept, and a new pod "
    "continues from there"
)


@contextmanager
def interruptible(explanation: str = _POD_STOPPED) -> Iterator[None]:
    """Raise Interrupted on SIGTERM; in other threads than the main one nothing changes.

    Parameters
    ----------
    explanation
        Why this happens, or what follows, for the message.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not interrupt the cleanup
        raise _Stopped(f"stopped by {signal.Signals(number).name}: {explanation}")

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except _Stopped as stopped:
        raise Interrupted(str(stopped)) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _write_message(path: Path, answer: CheckVerdict | RunVerdict | Failure) -> None:
    try:
        path.write_text(encode_answer(answer), encoding="utf-8")
    except OSError as error:
        # The exit code is still reported, and the verdict is in the object store.
        _LOG.warning("the termination message %s cannot be written: %s", path, error.strerror)
