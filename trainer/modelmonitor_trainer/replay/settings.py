"""Settings that a replay compares: a name, a spec, and whether the gate decides."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.resource import InvalidSpec, Problem, parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_policy.validation import validate_spec
from modelmonitor_trainer.errors import BadConfiguration

#: A spec does not depend on the name of its monitor.
_ANY_MONITOR = MonitorRef(namespace="default", name="monitor", uid="local")


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
    wire, given = spec.to_wire(), [_Override.parse(override) for override in overrides]
    for override in given:
        _assign(wire, override.path, override.value, override.written)
    try:
        return _validated(wire)
    except InvalidSpec as error:
        # Decimals are strings in the API, which YAML reads as numbers.
        decimals = [override for override in given if override.is_number and _concerning(error, override)]
        if not decimals:
            raise _refused(given, error) from error
    for override in decimals:
        _assign(wire, override.path, override.text, override.written)
    try:
        return _validated(wire)
    except InvalidSpec as error:
        raise _refused(given, error) from error


def _validated(wire: dict[str, Any]) -> ModelMonitorSpec:
    spec = parse(ModelMonitorSpec, wire)
    validate_spec(_ANY_MONITOR, spec)
    return spec


@dataclass(frozen=True)
class _Override:
    """A field and its value, as they are written, and as YAML reads the value."""

    written: str
    path: list[str]
    text: str
    value: Any

    @classmethod
    def parse(cls, written: str) -> _Override:
        path, equals, text = written.partition("=")
        if not equals or not path:
            raise BadConfiguration(f"--set {written}: write it as sensitivity.minimumEffect=0.05")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise BadConfiguration(f"--set {written}: the value is not YAML") from error
        return cls(written, path.removeprefix("spec.").split("."), text, value)

    @property
    def is_number(self) -> bool:
        return isinstance(self.value, int | float) and not isinstance(self.value, bool)


def _concerning(error: InvalidSpec, override: _Override) -> list[Problem]:
    """Return the problems with the value of an override."""
    return [problem for problem in error.problems if [str(part) for part in problem.path] == override.path]


def _refused(given: Sequence[_Override], error: InvalidSpec) -> BadConfiguration:
    """Return the error that names the override that is to blame; all of them where it cannot be told."""
    blamed = [override for override in given if _concerning(error, override)] or given
    return BadConfiguration(f"--set {' --set '.join(override.written for override in blamed)}: {error}")


def _describe_list(items: list[Any]) -> str:
    if not items:
        return "an empty list; write the whole list, such as field=[...]"
    return f"a list of {len(items)}, which are counted from 0; or write the whole list, such as field=[...]"


def _assign(target: Any, path: list[str], value: Any, override: str) -> None:
    """Replace a value in nested documents; missing objects on the way are created."""
    name, *rest = path
    key: Any = name
    if isinstance(target, list):
        if not name.isdigit() or int(name) >= len(target):
            raise BadConfiguration(f"--set {override}: {name!r} is not an index of {_describe_list(target)}")
        key = int(name)
    elif not isinstance(target, dict):
        raise BadConfiguration(f"--set {override}: {name!r} is below a value that is not an object")
    if rest:
        if isinstance(target, dict):
            target.setdefault(name, {})
        _assign(target[key], rest, value, override)
        return
    target[key] = value
