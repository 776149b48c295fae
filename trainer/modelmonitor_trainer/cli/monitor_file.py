"""The YAML file of a monitor, as commands read it: the same file that is applied to a cluster."""

from __future__ import annotations

import copy
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmonitor_api.messages import MonitorRef
    from modelmonitor_api.resource import InvalidSpec
    from modelmonitor_api.resource import Path as FieldPath
    from modelmonitor_api.spec import ModelMonitorSpec

#: Words that are text in YAML 1.2 and for most readers, and booleans for kubectl.
_WORDS = {"y", "n", "yes", "no", "on", "off"}
#: Fields of a document; the status is there if it was read from a cluster.
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")


def read_monitor(path: str, *, for_cluster: bool = False) -> tuple[MonitorRef, ModelMonitorSpec]:
    """Return the monitor that a YAML file declares; the same file can be applied to a cluster.

    Parameters
    ----------
    path
        The file, or "-" for standard input. Documents of other kinds are skipped.
    for_cluster
        Refuse an unquoted ``y`` or ``no`` as a name, which kubectl takes for a boolean. Otherwise such a word is the
        text that it is in the file, with a warning: ``y`` is the usual name of a target.

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
    from modelmonitor_api.resource import InvalidSpec
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
        others = "" if monitors else _describe_kinds(documents)
        raise BadConfiguration(f"{path} holds {len(monitors) or 'no'} {KIND} documents{others}; it must hold one")
    monitor = monitors[0]
    if monitor.get("apiVersion") != API_VERSION:
        raise BadConfiguration(
            f"{path}: apiVersion is {monitor.get('apiVersion')!r}; this version supports {API_VERSION}"
        )
    _require_known_fields(path, text, monitor)
    metadata = monitor.get("metadata") or {}
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise BadConfiguration(f"{path}: metadata.name is missing; give the monitor a name")
    for field in ("name", "namespace"):
        _require_object_name(path, text, field, metadata.get(field))
    try:
        spec = _parse_spec(path, text, monitor.get("spec") or {}, for_cluster)
        namespace = str(metadata.get("namespace") or "default")
        ref = MonitorRef(namespace=namespace, name=str(metadata["name"]), uid="local")
        validate_spec(ref, spec)
    except InvalidSpec as error:
        raise BadConfiguration(_with_positions(path, text, error)) from error
    return ref, spec


def _parse_spec(path: str, text: str, data: Any, for_cluster: bool) -> ModelMonitorSpec:
    """Return the spec; words that only kubectl takes for booleans are text where a field takes nothing else."""
    from modelmonitor_api.resource import InvalidSpec, parse
    from modelmonitor_api.spec import ModelMonitorSpec

    try:
        return parse(ModelMonitorSpec, data, strict=True)
    except InvalidSpec as error:
        words = {} if for_cluster else _words_as_text(text, error)
        if not words:
            raise
    spec = parse(ModelMonitorSpec, _with_values(data, words), strict=True)
    for field, word in words.items():
        where = _find(path, text, ("spec", *field))
        print(
            f"modelmonitor: {where}: {word} is read as text; kubectl reads it as a boolean, so put it in quotes",
            file=sys.stderr,
        )
    return spec


def _words_as_text(text: str, error: InvalidSpec) -> dict[FieldPath, str]:
    """Return path → word of all booleans that are unquoted words where a field takes text."""
    from modelmonitor_api.names import KIND
    from modelmonitor_trainer.cli.positions import find_plain_text

    words = {}
    for problem in error.problems:
        word = find_plain_text(text, KIND, ("spec", *problem.path)) if problem.wants_text else None
        if word is not None and word.lower() in _WORDS:
            words[problem.path] = word
    return words


def _with_values(data: Any, values: Mapping[FieldPath, Any]) -> Any:
    """Return a copy of JSON data with other values at some paths."""
    changed = copy.deepcopy(data)
    for path, value in values.items():
        inner = changed
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value
    return changed


def _describe_kinds(documents: list[dict[str, Any]]) -> str:
    """Return what a file holds instead of a monitor, such as a misspelt kind."""
    kinds = sorted({str(document["kind"]) for document in documents if document.get("kind")})
    return f", but {', '.join(kinds)}" if kinds else ""


def _require_known_fields(path: str, text: str, monitor: dict[str, Any]) -> None:
    """Require that a document has the fields of an object only: a misspelt spec is not an empty one."""
    from modelmonitor_api.resource import camel
    from modelmonitor_api.spec import ModelMonitorSpec
    from modelmonitor_trainer.errors import BadConfiguration

    for name in monitor:
        if name not in _FIELDS:
            near = get_close_matches(str(name), _FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_FIELDS)}"
            if name in map(camel, ModelMonitorSpec.model_fields):
                hint = "indent it, as a field of spec"
            raise BadConfiguration(f"{_find(path, text, (name,))}: {name}: unknown field; {hint}")


def _require_object_name(path: str, text: str, field: str, value: Any) -> None:
    """Require a name that the API server accepts; a namespace can be missing."""
    from modelmonitor_trainer.errors import BadConfiguration

    label, inner = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    if value is None or (isinstance(value, str) and re.fullmatch(inner if field == "name" else label, value)):
        return
    where = _find(path, text, ("metadata", field))
    hint = (
        "put it in quotes"
        if not isinstance(value, str)
        else "use small letters, digits and '-', as Kubernetes requires"
    )
    raise BadConfiguration(f"{where}: metadata.{field} is {value!r}; {hint}")


def _with_positions(path: str, text: str, error: InvalidSpec) -> str:
    """Return the problems of a spec with the lines and columns at which they are."""
    lines = [f"{_find(path, text, ('spec', *problem.path))}: {problem}" for problem in error.problems]
    return "\n".join(lines) or f"{path}: {error}"


def _find(path: str, text: str, field: FieldPath) -> str:
    """Return file, line and column of a value."""
    from modelmonitor_api.names import KIND
    from modelmonitor_trainer.cli.positions import find_position

    position = find_position(text, KIND, field)
    return f"{path}:{position[0]}:{position[1]}" if position else path
