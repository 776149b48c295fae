"""Access to the demo's cluster with kubectl and helm. No other cluster is ever accessed."""

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


class StepFailed(RuntimeError):
    """A command failed, or a condition did not hold in time."""


def run(*command: str | Path, text: str | None = None) -> str:
    """Run a program against the demo's cluster and return its output.

    Raises
    ------
    StepFailed
        If it fails; the message has the end of its error output.
    """
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    if done.returncode:
        raise StepFailed(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl in the demo's namespace."""
    return run("kubectl", "--namespace", NAMESPACE, *arguments, text=text)


def shell_command(*arguments: str) -> str:
    """Return a kubectl command in the demo's namespace, quoted for a shell."""
    return shlex.join(["kubectl", "--namespace", NAMESPACE, *arguments])


def apply(file: str, **values: str) -> None:
    """Apply a manifest of this folder; each ${NAME} is replaced by its value."""
    text = (Path(__file__).parent / file).read_text()
    kubectl("apply", "--filename", "-", text=Template(text).safe_substitute(values))


def monitor() -> dict[str, Any]:
    """Return the ModelMonitor, or {} before there is one."""
    output = kubectl("get", "modelmonitor", MONITOR, "--ignore-not-found", "--output", "json")
    return dict(json.loads(output)) if output.strip() else {}


def annotate(key: str, value: str) -> str:
    """Set an annotation of the ModelMonitor and return the shell command that does the same."""
    arguments = ["annotate", "--overwrite", "modelmonitor", MONITOR, f"modelmonitor.io/{key}={value}"]
    kubectl(*arguments)
    return shell_command(*arguments)


def wait_for(what: str, condition: Callable[[dict[str, Any]], bool], seconds: float = 420) -> dict[str, Any]:
    """Wait until the status of the monitor satisfies `condition`, and return the status.

    Raises
    ------
    StepFailed
        If it takes longer than `seconds`; the message has the last status.
    """
    deadline = time.monotonic() + seconds
    while True:
        status = monitor().get("status", {})
        if condition(status):
            return status
        if time.monotonic() > deadline:
            raise StepFailed(
                f"timed out after {seconds:.0f} s waiting for {what}. The status is:\n{json.dumps(status, indent=1)}\n"
                + kubectl("get", "jobs,pods")
                + run(
                    "kubectl", "--namespace", "modelmonitor-system", "logs", "deployment/modelmonitor", "--tail", "30"
                )
            )
        time.sleep(1)


@contextmanager
def forwarded(target: str, port: int) -> Iterator[int]:
    """Forward a local port to a port of a Service; yields the local port."""
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
            raise StepFailed(f"kubectl port-forward {target} exited immediately")
        yield int(line.rsplit(":", 1)[1].split(" ")[0])
    finally:
        forward.terminate()
        forward.wait()
