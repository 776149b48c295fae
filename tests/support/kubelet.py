"""Starts the operator again whenever it has ended, as the kubelet does with its pod."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from support.operator import OperatorProcess
from support.processes import ProcessEnded


@contextmanager
def restarted(operator: OperatorProcess) -> Iterator[OperatorProcess]:
    """Start an operator, and again after each of its ends; yield it, and stop it afterwards."""
    finished = threading.Event()

    def restart() -> None:
        while not finished.wait(0.05):
            if not operator.running:
                operator.end()
                with suppress(ProcessEnded):  # killed while it started
                    operator.start()

    thread = threading.Thread(target=restart, daemon=True)
    operator.start()
    thread.start()
    try:
        yield operator
    finally:
        finished.set()
        thread.join()
        operator.end()
