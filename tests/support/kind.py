"""The project's kind cluster, accessed through kubectl and helm with its own kubeconfig, and its S3 server."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from support.processes import program

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_NAMESPACE = "modelmonitor-system"
RELEASE = "modelmonitor"
Object = dict[str, Any]


class Kind:
    """The kind cluster and one of its namespaces.

    Parameters
    ----------
    namespace
        Namespace of the `kubectl` commands.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        kubeconfig = subprocess.run(
            [ROOT / "hack" / "cluster.sh", "kubeconfig"], capture_output=True, text=True, check=True
        ).stdout.strip()
        self._environment = {**os.environ, "KUBECONFIG": kubeconfig}

    def run(self, *command: str | Path, text: str | None = None, seconds: float = 900) -> str:
        """Run a program against the cluster and return what it printed."""
        done = subprocess.run(
            [str(program(str(command[0]))), *map(str, command[1:])],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
            timeout=seconds,
        )
        assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr[-3000:]}{done.stdout[-1000:]}"
        return done.stdout

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return self.run("kubectl", "--namespace", self.namespace, *arguments, text=text)

    def get(self, *arguments: str) -> Object:
        """Return the output of ``kubectl get``, or {} if there is no such object."""
        output = self.kubectl("get", *arguments, "--ignore-not-found", "--output", "json")
        return dict(json.loads(output)) if output.strip() else {}

    def apply(self, *objects: Object) -> None:
        """Apply objects."""
        self.kubectl(
            "apply", "--filename", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        )

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 900) -> Any:
        """Wait until `condition` returns a true value, and return it."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"timed out after {seconds:.0f} s waiting for {what}\n{self.diagnostics()}")
            time.sleep(1)
        return value

    def diagnostics(self) -> str:
        """Return the objects, statuses and operator log that explain a failure."""
        return "\n".join(
            [
                self.kubectl("get", "modelmonitors,jobs,pods", "--output", "wide"),
                self.kubectl("get", "modelmonitors", "--output", "jsonpath={.items[*].status}"),
                self.run("kubectl", "--namespace", SYSTEM_NAMESPACE, "logs", f"deployment/{RELEASE}", "--tail", "40"),
            ]
        )

    @contextmanager
    def forwarded(self, target: str, port: int, namespace: str | None = None) -> Iterator[int]:
        """Forward a local port to a port of a Service in a namespace, by default that of the tests; yields the port."""
        forward = subprocess.Popen(
            [
                program("kubectl"),
                "--namespace",
                namespace or self.namespace,
                "port-forward",
                "--address=127.0.0.1",
                target,
                f":{port}",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._environment,
        )
        assert forward.stdout is not None
        try:
            yield int(forward.stdout.readline().rsplit(":", 1)[1].split(" ")[0])
        finally:
            forward.terminate()
            forward.wait()
            forward.stdout.close()


class ClusterS3:
    """The S3 server in the cluster: tests reach it through a forwarded port, pods through its Service.

    Has the members that :class:`support.lake.Lake` uses.
    """

    region = "us-east-1"

    def __init__(self, kind: Kind, port: int) -> None:
        secret = kind.get("secret", "s3")["data"]
        keys = [base64.b64decode(secret[f"AWS_{name}"]).decode() for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
        self._namespace = kind.namespace
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name=self.region,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            config=Config(retries={"mode": "standard", "max_attempts": 5}, s3={"addressing_style": "path"}),
        )

    def storage(self, bucket: str) -> Object:
        """Return ``spec.storage`` for pods."""
        return {
            "endpoint": f"http://s3.{self._namespace}.svc:9000",
            "credentialsSecretRef": {"name": "s3"},
            "resultsURI": f"s3://{bucket}/results/",
        }
