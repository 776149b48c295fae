"""Renders the chart with helm."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.processes import program

Object = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "modelmonitor"
VALUES = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))
RELEASE = "test"
NAMESPACE = "ops"
#: Without a cluster, helm has no Kubernetes version to check against.
KUBE_VERSION = "1.34.0"


class HelmError(Exception):
    """Helm failed; the message is its error output."""


def helm(*arguments: str) -> str:
    """Run helm and return its output.

    Raises
    ------
    HelmError
        If it fails.
    """
    done = subprocess.run([program("helm"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


def render(values_file: str | None = None, **values: Any) -> list[Object]:
    """Return the rendered objects of the chart.

    Parameters
    ----------
    values_file
        One of the chart's ``ci/`` files.
    **values
        More values; nested values are mappings.
    """
    return _render(values_file, json.dumps(values))


@functools.cache
def _render(values_file: str | None, values: str) -> list[Object]:
    arguments = ["template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", KUBE_VERSION]
    if values_file:
        arguments += ["--values", str(CHART / "ci" / values_file)]
    for name, value in json.loads(values).items():
        arguments += ["--set-json", f"{name}={json.dumps(value)}"]
    return [each for each in yaml.safe_load_all(helm(*arguments)) if each]


def without_ui(objects: list[Object]) -> list[Object]:
    """Return the objects apart from those of the pages, which have a name of their own."""
    return [each for each in objects if not each["metadata"]["labels"]["app.kubernetes.io/name"].endswith("-ui")]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Return the objects of the given kinds, without the hooks of `helm test`."""
    return [
        each
        for each in objects
        if each["kind"] in kinds and "helm.sh/hook" not in each["metadata"].get("annotations", {})
    ]


def hooks(objects: list[Object]) -> list[Object]:
    """Return the hooks of `helm test`."""
    return [each for each in objects if "helm.sh/hook" in each["metadata"].get("annotations", {})]


def only(objects: list[Object], kind: str) -> Object:
    """Return the only object of a kind."""
    (single,) = of_kind(objects, kind)
    return single


def container(deployment: Object) -> Object:
    """Return the only container of a Deployment."""
    (single,) = deployment["spec"]["template"]["spec"]["containers"]
    assert isinstance(single, dict)
    return single


def environment(deployment: Object) -> dict[str, str]:
    """Return the environment of the container of a Deployment."""
    return {variable["name"]: variable["value"] for variable in container(deployment)["env"]}
