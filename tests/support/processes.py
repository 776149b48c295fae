"""Programs that tests run in the background, each in its own process group."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

#: Default timeout in seconds. Only a failing test waits that long, so it can be generous.
PATIENCE = 180.0


class ProgramMissing(Exception):
    """A program that tests need has not been built."""


class ProcessEnded(Exception):
    """A process exited that should still be running."""


def program(name: str) -> Path:
    """Return the path of a program built by `make binaries`.

    Raises
    ------
    ProgramMissing
        If it has not been built. Tests fail rather than skip without it.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("MODELMONITOR_CACHE") or home / "modelmonitor")
    path = cache / "bin" / name
    if not os.access(path, os.X_OK):
        raise ProgramMissing(f"{path} is missing: run make binaries")
    return path


#: Below those of outgoing connections on Linux (32768 to 60999), and below the node ports of Kubernetes.
_PORTS = range(15_000, 30_000)


def free_port() -> int:
    """Return a port that is currently unused, and that the system gives to no outgoing connection in the meantime."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("", port))
            return port


def wait_until(
    condition: Callable[[], _T | None], what: str, *, seconds: float = PATIENCE, interval: float = 0.05, hint: str = ""
) -> _T:
    """Call `condition` until it returns a true value, and return that value.

    Parameters
    ----------
    condition
        Returns a true value when it holds. An AssertionError counts as "not yet", so conditions can use plain
        asserts.
    what
        Description of what is waited for, for the error message.
    seconds, interval
        Timeout, and the pause between two calls.
    hint
        Added to the error message, such as the path of a log.

    Raises
    ------
    AssertionError
        If the condition does not hold in time.
    """
    end = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            value = condition()
        except AssertionError as error:
            last = error
        else:
            if value:
                return value
            last = value
        if time.monotonic() > end:
            raise AssertionError(f"timed out after {seconds:g} s waiting for {what}: {last!s} {hint}".rstrip())
        time.sleep(interval)


class Process:
    """A program that runs until it is stopped, with its output in a file.

    Parameters
    ----------
    command
        The program and its arguments.
    log
        File for stdout and stderr; output is appended.
    environment
        Complete environment. Defaults to that of the test.
    folder
        Working directory. Defaults to that of the test.
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
        # A separate process group lets us kill its child processes, too. With setpriv (Linux), the kernel
        # kills it if this process is killed first.
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
        """Whether it is still running."""
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code; None while it runs, the negative signal number if a signal ended it."""
        return self._popen.poll()

    def output(self) -> str:
        """Return its output so far."""
        return self.log.read_text(errors="replace")

    def ensure_running(self) -> bool:
        """Return True if it is running.

        Raises
        ------
        ProcessEnded
            If it has exited; the message has the end of its output.
        """
        if not self.running:
            raise ProcessEnded(f"{self._name} exited with {self.exit_code}:\n{self.output()[-4000:]}")
        return True

    def stop(self, seconds: float = PATIENCE) -> int:
        """Send SIGTERM, kill it if it does not exit within `seconds`, and return its exit code."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        self.kill()
        return self._popen.returncode

    def kill(self) -> None:
        """Kill it and its child processes."""
        self._signal(signal.SIGKILL, group=True)
        self._popen.wait()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self._popen = self._start()

    def _signal(self, number: signal.Signals, *, group: bool = False) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has exited in the meantime
            if group:
                os.killpg(self.pid, number)
            elif self.running:
                os.kill(self.pid, number)
