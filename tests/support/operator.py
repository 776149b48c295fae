"""The operator as a separate process, with the RBAC rules and settings of the chart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from support.apiserver import ApiServer
from support.client import Credentials, Object
from support.processes import Process, free_port, program, wait_until

CHART = Path(__file__).parents[2] / "charts" / "modelmonitor"
#: The operator, and one whose timeouts and clock can be set. The folder of the latter must not be searched for modules.
OPERATOR = ("-m", "modelmonitor_operator")
HURRIED_OPERATOR = ("-P", str(Path(__file__).with_name("hurried_operator.py")))
_RELEASE = "modelmonitor"
_INSTALLED = frozenset({"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})


def render(server: ApiServer, namespace: str, values: Mapping[str, object]) -> list[Object]:
    """Return the chart's objects for a release in `namespace`."""
    command = [
        *(str(program("helm")), "template", _RELEASE, str(CHART), "--skip-tests"),
        *(f"--namespace={namespace}", f"--kube-version={server.client.call('GET', '/version')['gitVersion']}"),
        *(f"--set-json={key}={json.dumps(value)}" for key, value in values.items()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"helm template failed: {done.stderr}"
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@dataclass(frozen=True)
class Installation:
    """Credentials and settings of an operator.

    Attributes
    ----------
    kubeconfig
        Kubeconfig of the operator's service account.
    environment
        Environment variables of the chart's Deployment.
    """

    kubeconfig: Path
    environment: Mapping[str, str]


def install(
    server: ApiServer, folder: Path, namespace: str, url: str | None = None, /, **values: object
) -> Installation:
    """Install the chart's service account and RBAC rules, but no Deployment: there are no nodes to run it.

    Parameters
    ----------
    server
        API server to install on.
    folder
        Folder for the kubeconfig.
    namespace
        Namespace of the release; it must exist.
    url
        Where the operator reaches the API server. Defaults to the server itself; a proxy has another URL.
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
    credentials = Credentials(url or server.url, token, server.credentials.ca_file)
    return Installation(
        kubeconfig=credentials.write_kubeconfig(folder / "operator.kubeconfig", namespace),
        environment={item["name"]: item["value"] for item in pod["containers"][0]["env"]},
    )


class OperatorProcess:
    """An operator that can be started, stopped and killed repeatedly.

    Parameters
    ----------
    installation
        Credentials and settings.
    folder
        Folder for its log.
    program
        Arguments of Python: :data:`OPERATOR` or :data:`HURRIED_OPERATOR`.
    **environment
        Additional environment variables; they override those of the chart.
    """

    def __init__(
        self, installation: Installation, folder: Path, program: Sequence[str] = OPERATOR, **environment: str
    ) -> None:
        self._installation = installation
        self._program = program
        self._environment = environment
        self._process: Process | None = None
        #: Ports of its metrics and of its probes; others after each start.
        self.metrics_port = self.health_port = 0
        self.log = folder / "operator.log"
        self.log.touch()

    def start(self) -> None:
        """Start it and wait until it is ready, that is, until it knows all monitors."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start it."""
        assert self._process is None, "the operator is already running"
        self.health_port, self.metrics_port = free_port(), free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.log.parent),
            "KUBECONFIG": str(self._installation.kubeconfig),
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",  # Kopf leaves its connections to the collector
            # The packages under test, where they are not the installed ones.
            **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
            **self._installation.environment,
            "HEALTH_PORT": str(self.health_port),
            "METRICS_PORT": str(self.metrics_port),
            **self._environment,
        }
        command = [sys.executable, *self._program]
        self._process = Process(command, log=self.log, environment=environment, folder=self.log.parent)

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        process = self._process
        assert process is not None, "the operator is not running"
        wait_until(
            lambda: process.ensure_running() and self.responds("/readyz"),
            "ready operator",
            hint=f"see {self.log}",
        )

    @property
    def pid(self) -> int:
        """Its process ID."""
        assert self._process is not None, "the operator is not running"
        return self._process.pid

    def responds(self, probe: str) -> bool:
        """Return whether it responds to a probe (``/healthz`` or ``/readyz``) with 200."""
        return healthy(f"http://127.0.0.1:{self.health_port}{probe}")

    @property
    def running(self) -> bool:
        """Whether it runs."""
        process = self._process
        return process is not None and process.running

    def crash(self) -> None:
        """Kill it if it runs, and leave it to :func:`support.kubelet.restarted` to start it again."""
        process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> int:
        """Stop it with SIGTERM, as when its pod is deleted, and return its exit code."""
        assert self._process is not None, "the operator is not running"
        process, self._process = self._process, None
        return process.stop()

    def kill(self) -> None:
        """Kill it without warning, as when its pod crashes."""
        assert self._process is not None, "the operator is not running"
        process, self._process = self._process, None
        process.kill()

    def restart(self, how: str = "stop") -> None:
        """Stop or kill it (`how`), and start it again."""
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
        """Return its log since the first start."""
        return self.log.read_text(errors="replace")


def unexpected_logs(output: str) -> list[str]:
    """Return the log lines that an operator must never write: errors, and exceptions other than the gateway's.

    The API server may reject a request, be busy or be down. The gateway raises its own exceptions for that.
    """
    unexpected = []
    for line in output.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            unexpected.append(line)  # not a log record: a warning or a traceback of the interpreter
            continue
        exception = str(record.get("exc_info") or "").strip().rsplit("\n", 1)[-1]
        if exception and not exception.startswith("modelmonitor_operator.gateway."):
            unexpected.append(f"{record['message']}\n{record['exc_info']}")
        elif record["severity"] not in {"debug", "info", "warn"}:
            unexpected.append(line)
    return unexpected


def healthy(url: str) -> bool:
    """Return whether a health endpoint responds with 200."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
