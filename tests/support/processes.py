"""Programs that a test needs beside it, each in a process group of its own and gone when the test is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

#: Seconds after which a condition that should come is given up: only a failing test waits as long, so it may be ample.
PATIENCE = 180.0


class ProgramMissing(Exception):
    """A program that tests need has not been built."""


class ProcessEnded(Exception):
    """A process ended although it was to go on."""


def program(name: str) -> Path:
    """Return the path of a program that `make binaries` builds.

    Raises
    ------
    ProgramMissing
        If it is not there: a test that cannot run must not look like one that passed.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("MODELMONITOR_CACHE") or home / "modelmonitor")
    path = cache / "bin" / name
    if not os.access(path, os.X_OK):
        raise ProgramMissing(f"{path} is missing: run make binaries")
    return path


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(
    look: Callable[[], _T | None], what: str, *, seconds: float = PATIENCE, interval: float = 0.05, hint: str = ""
) -> _T:
    """Call `look` until it returns something true, and return that.

    Parameters
    ----------
    look
        Returns what was waited for, or something false; an AssertionError in it counts as "not yet", so
        that a test may say what it expects with plain asserts.
    what
        What is waited for, for the error.
    seconds, interval
        How long to wait, and between two looks.
    hint
        Where to read more when it did not come.

    Raises
    ------
    AssertionError
        When the time is over.
    """
    end = time.monotonic() + seconds
    seen: object = None
    while True:
        try:
            found = look()
        except AssertionError as error:
            seen = error
        else:
            if found:
                return found
            seen = found
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still no {what}: {seen!s} {hint}".rstrip())
        time.sleep(interval)


class Process:
    """A program that runs until it is stopped, with its output in a file.

    Parameters
    ----------
    command
        The program and its arguments.
    log
        File that takes both of its outputs; an older one is continued.
    environment
        Its whole environment. Absent: ours.
    folder
        Its working folder. Absent: ours.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.log = log
        self._name = Path(command[0]).name
        # A group of its own lets us stop what it starts, too; with setpriv (Linux) the kernel ends it
        # even when we are killed before we can.
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self._command = [*guard, *map(str, command)]
        self._environment = None if environment is None else dict(environment)
        self._folder = folder
        self._popen = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process ID."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: None while it runs, minus the signal where one ended it."""
        return self._popen.poll()

    def output(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    def ensure_running(self) -> bool:
        """Return True while it runs.

        Raises
        ------
        ProcessEnded
            With the end of its output, once it has ended.
        """
        if not self.running:
            raise ProcessEnded(f"{self._name} ended with {self.exit_code}:\n{self.output()[-4000:]}")
        return True

    def stop(self, seconds: float = PATIENCE) -> int:
        """Ask it to end, end it if it does not, and return its exit code."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        self.kill()
        return self._popen.returncode

    def kill(self) -> None:
        """End it and all it has started, at once."""
        self._signal(signal.SIGKILL, group=True)
        self._popen.wait()

    def restart(self) -> None:
        """End it at once and start it again."""
        self.kill()
        self._popen = self._start()

    def _signal(self, number: signal.Signals, *, group: bool = False) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
            if group:
                os.killpg(self.pid, number)
            elif self.running:
                os.kill(self.pid, number)
