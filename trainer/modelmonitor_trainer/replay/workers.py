"""Worker processes of a replay, each with the store of the past open."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from modelmonitor_trainer.replay.past_store import PastData, PastStore, ResultsFolder
from modelmonitor_trainer.storage.open import StoreConfig

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: Libraries with threads of their own would compete for the cores that the processes use already.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class PastStoreConfig:
    """How to open the store of a replay in another process.

    Attributes
    ----------
    config, data, results
        The store of the present, what had arrived when, and where results go.
    """

    config: StoreConfig
    data: PastData
    results: ResultsFolder

    def open(self) -> PastStore:
        """Return the store."""
        return PastStore(self.config.open(), self.data, self.results)


class Workers:
    """Processes that run functions with the store of the past as their first argument.

    Parameters
    ----------
    store
        Opens the store in each process.
    processes
        Their number; all cores by default.
    """

    def __init__(self, store: PastStoreConfig, processes: int | None = None) -> None:
        self.processes = processes or available_cores()
        self._others = set(multiprocessing.active_children())
        self._executor = ProcessPoolExecutor(
            self.processes, multiprocessing.get_context("spawn"), initializer=_start, initargs=(store,)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            # Their results are not needed any more. The program may end without the finalizers of the interpreter, so
            # the semaphores of the processes are released here.
            for process in set(multiprocessing.active_children()) - self._others:
                process.terminate()
        self._executor.shutdown(cancel_futures=True)

    def submit(
        self, function: Callable[Concatenate[PastStore, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> Future[_R]:
        """Run a function of a module in one of the processes."""
        return self._executor.submit(_run, function, *args, **kwargs)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_store: PastStore | None = None


def _start(store: PastStoreConfig) -> None:
    global _store  # noqa: PLW0603 - the state of a worker process
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.disable(logging.WARNING)  # the parent process reports what matters
    _store = store.open()


def _end_with_parent() -> None:
    """End this process once its parent has ended in any way; otherwise it would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    assert _store is not None
    return function(_store, *args, **kwargs)
