"""The operator as a process of its own, with the rights and the settings that the chart gives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from support.apiserver import ApiServer
from support.client import Credentials, Object
from support.processes import Process, free_port, program, wait_until

CHART = Path(__file__).parents[2] / "charts" / "modelmonitor"
_RELEASE = "modelmonitor"
_INSTALLED = frozenset({"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})


def render(server: ApiServer, namespace: str, values: Mapping[str, object]) -> list[Object]:
    """Return the objects of the chart for a release in a namespace of `server`."""
    command = [
        *(str(program("helm")), "template", _RELEASE, str(CHART), "--skip-tests"),
        *(f"--namespace={namespace}", f"--kube-version={server.client.call('GET', '/version')['gitVersion']}"),
        *(f"--set-json={key}={json.dumps(value)}" for key, value in values.items()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"helm template failed: {done.stderr}"
    return [found for found in yaml.safe_load_all(done.stdout) if found]


@dataclass(frozen=True)
class Installation:
    """What an operator needs to run.

    Attributes
    ----------
    kubeconfig
        Of the operator's service account.
    environment
        What the chart's Deployment sets.
    """

    kubeconfig: Path
    environment: Mapping[str, str]


def install(server: ApiServer, folder: Path, namespace: str, **values: object) -> Installation:
    """Install the chart's account and rights, but no Deployment: there are no nodes to run it.

    Parameters
    ----------
    server
        Where.
    folder
        Takes the kubeconfig.
    namespace
        Of the release; it must exist.
    **values
        Values of the chart.
    """
    objects = render(server, namespace, values)
    for each in objects:
        if each["kind"] in _INSTALLED:
            server.client.apply(each)
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    token = server.client.token(pod["serviceAccountName"], namespace)
    credentials = Credentials(server.url, token, server.credentials.ca_file)
    return Installation(
        kubeconfig=credentials.write_kubeconfig(folder / "operator.kubeconfig", namespace),
        environment={item["name"]: item["value"] for item in pod["containers"][0]["env"]},
    )


class OperatorProcess:
    """An operator that can be started, stopped and killed again and again.

    Parameters
    ----------
    installation
        Account and settings.
    folder
        Takes its log.
    **environment
        Environment variables beside the chart's, or in their place.
    """

    def __init__(self, installation: Installation, folder: Path, **environment: str) -> None:
        self._installation = installation
        self._environment = environment
        self._process: Process | None = None
        self.log = folder / "operator.log"
        self.log.touch()

    def start(self) -> None:
        """Start it and wait until it is healthy: it has seen all monitors once."""
        assert self._process is None, "the operator runs already"
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.log.parent),
            "KUBECONFIG": str(self._installation.kubeconfig),
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",  # Kopf leaves its connections to the collector
            # The packages under test, where they are not the installed ones.
            **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
            **self._installation.environment,
            "LIVENESS_ENDPOINT": f"http://127.0.0.1:{port}/healthz",
            **self._environment,
        }
        command = [sys.executable, "-m", "modelmonitor_operator"]
        process = Process(command, log=self.log, environment=environment, folder=self.log.parent)
        self._process = process
        wait_until(
            lambda: process.ensure_running() and healthy(f"http://127.0.0.1:{port}/healthz"),
            "healthy operator",
            hint=f"see {self.log}",
        )

    @property
    def pid(self) -> int:
        """Its process ID."""
        assert self._process is not None, "the operator does not run"
        return self._process.pid

    def stop(self) -> int:
        """Stop it as a deleted pod is stopped, and return its exit code."""
        assert self._process is not None, "the operator does not run"
        process, self._process = self._process, None
        return process.stop()

    def kill(self) -> None:
        """End it without notice, as an evicted or crashed pod ends."""
        assert self._process is not None, "the operator does not run"
        process, self._process = self._process, None
        process.kill()

    def restart(self, how: str = "stop") -> None:
        """Stop or kill it, and start it again."""
        if how == "kill":
            self.kill()
        else:
            assert self.stop() == 0
        self.start()

    def end(self) -> None:
        """Stop it if it runs."""
        if self._process is not None:
            self.stop()

    def output(self) -> str:
        """Return what it has logged so far, over all starts."""
        return self.log.read_text(errors="replace")


def surprises(output: str) -> list[str]:
    """Return what an operator has logged that it should have foreseen: errors, and exceptions of no kind of its own.

    The API server may say no, be busy or be away; those exceptions are the gateway's, and Kopf's requests say
    that they will be sent again.
    """
    found = []
    for line in output.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            found.append(line)  # not from the log: a warning of Python, or its last words
            continue
        exception = str(record.get("exc_info") or "").strip().rsplit("\n", 1)[-1]
        if exception and not exception.startswith("modelmonitor_operator.gateway."):
            found.append(f"{record['message']}\n{record['exc_info']}")
        elif record["severity"] not in {"debug", "info", "warn"} and "will retry" not in record["message"]:
            found.append(line)
    return found


def healthy(url: str) -> bool:
    """Return whether a health endpoint answers that all is well."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
