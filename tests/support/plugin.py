"""``kubectl mmon`` as a process, and what its tests put into a namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.client import Client
from support.processes import program
from support.scene import Scene


class Plugin:
    """The plugin as a process, with a kubeconfig."""

    def __init__(self, kubeconfig: Path, namespace: str, home: Path, path: str = "") -> None:
        self._options = ["--namespace", namespace]
        self._environment = {
            "PATH": f"{path}{program('kubectl').parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "BROWSER": "true",
            **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "modelmonitor_trainer.cli.mmon.main", *arguments, *self._options]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self._environment)

    def run(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=180)
        assert process.returncode == code, (process.returncode, output, errors)
        return output + errors

    def json(self, *arguments: str, code: int = 0) -> Any:
        process = self.start(*arguments, "--output", "json")
        output, errors = process.communicate(timeout=180)
        assert process.returncode == code, (process.returncode, output, errors)
        return json.loads(output)


def bind(cluster: Client, namespace: str, account: str, rules: Sequence[Mapping[str, Any]]) -> None:
    """Create a service account with a Role of its own."""
    api = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    reference = {"apiGroup": api, "kind": "Role", "name": account}
    common = {"apiVersion": f"{api}/v1", "metadata": {"name": account}}
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}, namespace)
    cluster.create({**common, "kind": "Role", "rules": list(rules)}, namespace)
    cluster.create({**common, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}, namespace)


def with_secret(scene: Scene, data: Mapping[str, str]) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": dict(data)}
    scene.cluster.create(secret, scene.namespace)
