"""The YAML file of a monitor, as commands read it: the same file that is applied to a cluster."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelmonitor_api.messages import MonitorRef
    from modelmonitor_api.resource import InvalidSpec
    from modelmonitor_api.spec import ModelMonitorSpec


def read_monitor(path: str) -> tuple[MonitorRef, ModelMonitorSpec]:
    """Return the monitor that a YAML file declares; the same file can be applied to a cluster.

    Parameters
    ----------
    path
        The file, or "-" for standard input. Documents of other kinds are skipped.

    Returns
    -------
    MonitorRef, ModelMonitorSpec
        Outside a cluster the UID is "local"; the namespace defaults to "default".

    Raises
    ------
    BadConfiguration
        If the file cannot be read, does not contain exactly one monitor, or the spec is invalid.
    """
    import yaml

    from modelmonitor_api.messages import MonitorRef
    from modelmonitor_api.names import API_VERSION, KIND
    from modelmonitor_api.resource import InvalidSpec, parse
    from modelmonitor_api.spec import ModelMonitorSpec
    from modelmonitor_policy.validation import validate_spec
    from modelmonitor_trainer.cli.manifest_loader import DuplicateKey, ManifestLoader
    from modelmonitor_trainer.errors import BadConfiguration

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        documents = [document for document in yaml.load_all(text, Loader=ManifestLoader) if isinstance(document, dict)]
    except OSError as error:
        raise BadConfiguration(f"{path} cannot be read: {error.strerror}") from error
    except DuplicateKey as error:
        raise BadConfiguration(f"{path}:{error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    monitors: list[dict[str, Any]] = [document for document in documents if document.get("kind") == KIND]
    if len(monitors) != 1:
        raise BadConfiguration(f"{path} holds {len(monitors) or 'no'} {KIND} documents; it must hold one")
    monitor = monitors[0]
    if monitor.get("apiVersion") != API_VERSION:
        raise BadConfiguration(
            f"{path}: apiVersion is {monitor.get('apiVersion')!r}; this version supports {API_VERSION}"
        )
    metadata = monitor.get("metadata") or {}
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise BadConfiguration(f"{path}: metadata.name is missing; give the monitor a name")
    for field in ("name", "namespace"):
        _require_object_name(path, text, field, metadata.get(field))
    try:
        spec = parse(ModelMonitorSpec, monitor.get("spec") or {}, strict=True)
        namespace = str(metadata.get("namespace") or "default")
        ref = MonitorRef(namespace=namespace, name=str(metadata["name"]), uid="local")
        validate_spec(ref, spec)
    except InvalidSpec as error:
        raise BadConfiguration(_with_positions(path, text, error)) from error
    return ref, spec


def _require_object_name(path: str, text: str, field: str, value: Any) -> None:
    """Require a name that the API server accepts; a namespace can be missing."""
    from modelmonitor_api.names import KIND
    from modelmonitor_trainer.cli.positions import find_position
    from modelmonitor_trainer.errors import BadConfiguration

    label, inner = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    if value is None or (isinstance(value, str) and re.fullmatch(inner if field == "name" else label, value)):
        return
    position = find_position(text, KIND, ("metadata", field))
    where = f"{path}:{position[0]}:{position[1]}" if position else path
    hint = (
        "put it in quotes"
        if not isinstance(value, str)
        else "use small letters, digits and '-', as Kubernetes requires"
    )
    raise BadConfiguration(f"{where}: metadata.{field} is {value!r}; {hint}")


def _with_positions(path: str, text: str, error: InvalidSpec) -> str:
    """Return the problems of a spec with the lines and columns at which they are."""
    from modelmonitor_api.names import KIND
    from modelmonitor_trainer.cli.positions import find_position

    lines = []
    for problem in error.problems:
        position = find_position(text, KIND, ("spec", *problem.path))
        where = f"{path}:{position[0]}:{position[1]}" if position else path
        lines.append(f"{where}: {problem}")
    return "\n".join(lines) or f"{path}: {error}"
