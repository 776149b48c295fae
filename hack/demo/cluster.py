"""The demo's cluster, through kubectl and helm as a user would, and never another cluster."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
NAMESPACE = "demo"
MONITOR = "flight-delays"


def _cluster_script(command: str) -> str:
    script = REPOSITORY / "hack" / "cluster.sh"
    return subprocess.run([script, command], check=True, capture_output=True, text=True).stdout.strip()


_KUBECONFIG = _cluster_script("kubeconfig")
#: The command that sets up another shell for the commands that the demo prints.
SHELL_SETUP = _cluster_script("env")
# The kubectl and helm built here take precedence, as in the Makefile.
_ENVIRONMENT = {
    **os.environ,
    "KUBECONFIG": _KUBECONFIG,
    "PATH": f"{Path(_KUBECONFIG).parent / 'bin'}:{os.environ.get('PATH', '')}",
}


class NotSeen(RuntimeError):
    """Something that the demo waited for did not happen."""


def run(*command: str | Path, text: str | None = None) -> str:
    """Run a program against the demo's cluster and return what it printed.

    Raises
    ------
    NotSeen
        If it fails, with the end of its error output.
    """
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    if done.returncode:
        raise NotSeen(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl in the demo's namespace."""
    return run("kubectl", "--namespace", NAMESPACE, *arguments, text=text)


def shell_command(*arguments: str) -> str:
    """Return the kubectl command for a shell, in the demo's namespace."""
    return shlex.join(["kubectl", "--namespace", NAMESPACE, *arguments])


def apply(file: str, **values: str) -> None:
    """Apply a manifest of this folder, with ${NAME} replaced by `values`."""
    text = (Path(__file__).parent / file).read_text()
    kubectl("apply", "--filename", "-", text=Template(text).safe_substitute(values))


def monitor() -> dict[str, Any]:
    """Return the ModelMonitor, or {} before there is one."""
    found = kubectl("get", "modelmonitor", MONITOR, "--ignore-not-found", "--output", "json")
    return dict(json.loads(found)) if found.strip() else {}


def annotate(key: str, value: str) -> str:
    """Set an annotation of the ModelMonitor and return the command for a shell."""
    arguments = ["annotate", "--overwrite", "modelmonitor", MONITOR, f"modelmonitor.io/{key}={value}"]
    kubectl(*arguments)
    return shell_command(*arguments)


def wait_for(what: str, seen: Callable[[dict[str, Any]], bool], seconds: float = 420) -> dict[str, Any]:
    """Wait until `seen` is true for the status of the monitor, and return the status.

    Raises
    ------
    NotSeen
        If that takes longer than `seconds`, with the last status.
    """
    deadline = time.monotonic() + seconds
    while True:
        status = monitor().get("status", {})
        if seen(status):
            return status
        if time.monotonic() > deadline:
            raise NotSeen(
                f"timed out after {seconds:.0f} s waiting for {what}. The status is:\n{json.dumps(status, indent=1)}\n"
                + kubectl("get", "jobs,pods")
                + run(
                    "kubectl", "--namespace", "modelmonitor-system", "logs", "deployment/modelmonitor", "--tail", "30"
                )
            )
        time.sleep(1)


@contextmanager
def forwarded(target: str, port: int) -> Iterator[int]:
    """Make a port of a Service reachable on loopback; yields the local port."""
    forward = subprocess.Popen(
        ["kubectl", "--namespace", NAMESPACE, "port-forward", "--address", "127.0.0.1", target, f":{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=_ENVIRONMENT,
    )
    try:
        assert forward.stdout is not None
        line = forward.stdout.readline()
        if not line:
            raise NotSeen(f"kubectl port-forward {target} exited immediately")
        yield int(line.rsplit(":", 1)[1].split(" ")[0])
    finally:
        forward.terminate()
        forward.wait()
