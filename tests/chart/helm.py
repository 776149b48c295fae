"""The chart as helm renders it."""

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
#: helm on its own does not know the version of a cluster.
KUBE_VERSION = "1.34.0"


class HelmRefused(Exception):
    """Helm did not do what it was asked to; the text is its own."""


def helm(*arguments: str) -> str:
    """Run helm and return what it prints.

    Raises
    ------
    HelmRefused
        Where it fails.
    """
    done = subprocess.run([program("helm"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmRefused(done.stderr)
    return done.stdout


def render(values_file: str | None = None, **values: Any) -> list[Object]:
    """Return the objects of the chart.

    Parameters
    ----------
    values_file
        One of the chart's ``ci/`` files.
    **values
        More values, nested ones as mappings.
    """
    return _rendered(values_file, json.dumps(values))


@functools.cache
def _rendered(values_file: str | None, values: str) -> list[Object]:
    arguments = ["template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", KUBE_VERSION]
    if values_file:
        arguments += ["--values", str(CHART / "ci" / values_file)]
    for name, value in json.loads(values).items():
        arguments += ["--set-json", f"{name}={json.dumps(value)}"]
    return [found for found in yaml.safe_load_all(helm(*arguments)) if found]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Return the objects of some kinds, without those that only `helm test` creates."""
    return [
        found
        for found in objects
        if found["kind"] in kinds and "helm.sh/hook" not in found["metadata"].get("annotations", {})
    ]


def hooks(objects: list[Object]) -> list[Object]:
    """Return the objects that only `helm test` creates."""
    return [found for found in objects if "helm.sh/hook" in found["metadata"].get("annotations", {})]


def the(objects: list[Object], kind: str) -> Object:
    """Return the only object of a kind."""
    (found,) = of_kind(objects, kind)
    return found


def container(deployment: Object) -> Object:
    """Return the only container of a Deployment."""
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def environment(deployment: Object) -> dict[str, str]:
    """Return the environment that a Deployment gives its container."""
    return {variable["name"]: variable["value"] for variable in container(deployment)["env"]}
