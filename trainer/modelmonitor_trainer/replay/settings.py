"""Settings that a replay compares: a name, a spec, and whether the gate decides."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from modelmonitor_api.resource import InvalidSpec, parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.errors import BadConfiguration


@dataclass(frozen=True)
class Setting:
    """A way to run a monitor.

    Attributes
    ----------
    name
        Display name.
    spec
        The spec.
    gated
        Whether the promotion gate decides; if not, each model that is trained is promoted.
    """

    name: str
    spec: ModelMonitorSpec
    gated: bool = True

    @property
    def key(self) -> str:
        """Name of its folder; two specs with the same name have different ones."""
        wire = json.dumps({"spec": self.spec.to_wire(), "gated": self.gated}, sort_keys=True)
        digest = hashlib.sha256(wire.encode()).hexdigest()[:8]
        return f"{re.sub(r'[^a-z0-9]+', '-', self.name.lower()).strip('-') or 'setting'}-{digest}"


def with_overrides(spec: ModelMonitorSpec, overrides: Iterable[str]) -> ModelMonitorSpec:
    """Return a spec with fields replaced.

    Parameters
    ----------
    spec
        The spec.
    overrides
        ``path.of.field=value``, with the value in YAML. List items are named by their index.

    Raises
    ------
    BadConfiguration
        If there is no such field, or the value is invalid.
    """
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise BadConfiguration(f"--set {override}: write it as sensitivity.minimumEffect=0.05")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise BadConfiguration(f"--set {override}: the value is not YAML") from error
        spec = _with_override(spec, path.removeprefix("spec.").split("."), value, text, override)
    return spec


def _with_override(spec: ModelMonitorSpec, path: list[str], value: Any, text: str, override: str) -> ModelMonitorSpec:
    # Decimals are strings in the API, which YAML reads as numbers.
    problem: InvalidSpec | None = None
    for tried in dict.fromkeys([value, text]) if isinstance(value, int | float) else [value]:
        wire = spec.to_wire()
        _assign(wire, path, tried, override)
        try:
            return parse(ModelMonitorSpec, wire)
        except InvalidSpec as error:
            problem = problem or error
    raise BadConfiguration(f"--set {override}: {problem}") from problem


def _assign(target: Any, path: list[str], value: Any, override: str) -> None:
    """Replace a value in nested documents; missing objects on the way are created."""
    name, *rest = path
    key: Any = name
    if isinstance(target, list):
        if not name.isdigit() or int(name) >= len(target):
            raise BadConfiguration(f"--set {override}: {name!r} is not an index of a list of {len(target)}")
        key = int(name)
    elif not isinstance(target, dict):
        raise BadConfiguration(f"--set {override}: {name!r} is below a value that is not an object")
    if rest:
        if isinstance(target, dict):
            target.setdefault(name, {})
        _assign(target[key], rest, value, override)
        return
    target[key] = value
