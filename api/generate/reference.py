"""The reference pages, generated from the types.

``python -m generate.reference modelmonitor`` prints the page of the resource,
``python -m generate.reference messages`` that of the documents between operator and pods.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from generate.crd import Schema, resource_schema
from modelmonitor_api import names
from modelmonitor_api.messages import (
    MAX_REQUEST_BYTES,
    MAX_TERMINATION_MESSAGE_BYTES,
    MAX_VERDICT_BYTES,
    CheckRequest,
    CheckVerdict,
    Failure,
    PromoteRequest,
    RollbackRequest,
    RunVerdict,
    TrainRequest,
)
from modelmonitor_api.names import ConditionType, FailureReason, Reason
from modelmonitor_api.resource import Resource
from modelmonitor_api.spec import ModelMonitorSpec

_GENERATED = "<!-- Generated from the types by hack/manifests.sh; do not edit. -->"

#: Where messages.md links to; the page has a chapter "Spec" and in it the section "spec".
_SPEC_PAGE = "modelmonitor.md#spec-1"

_ANNOTATIONS = (
    (names.ANNOTATION_CHECK_REQUESTED, "Check now. Any text that was not there before, such as the time."),
    (
        names.ANNOTATION_RETRAIN_REQUESTED,
        (
            "Train now. Any text that was not there before. Passes the cooldown, the budget and `minNewRows`; a "
            "training that runs, a suspended monitor and corrupted data hold it back all the same."
        ),
    ),
    (names.ANNOTATION_ROLLBACK_TO, "Make this version the champion again; `previous` is the one before."),
    (names.ANNOTATION_PROMOTE, "Make this version, which awaits approval, the champion."),
)

_CONDITIONS = {
    ConditionType.READY: "The spec is accepted and the CronJob is in place. Drift does not change it.",
    ConditionType.STALLED: "The spec must be changed before anything happens; the message says how.",
    ConditionType.RECONCILING: "The operator is at work on the newest spec.",
    ConditionType.DRIFT_DETECTED: "What the newest check said; Unknown where it could not tell.",
    ConditionType.TRAINING: "A training runs; otherwise why none was started.",
    ConditionType.SUSPENDED: "`spec.suspend` is set.",
}

_EXIT_CODES = (
    (names.ExitCode.OK, "A verdict was given, whatever it says. Drift is not an error."),
    (names.ExitCode.CRASHED, "The program failed in a way it did not foresee; the pod is started again."),
    (
        names.ExitCode.BAD_CONFIGURATION,
        "The spec, or what it points to, must be changed; the pod is not started again.",
    ),
    (names.ExitCode.UNAVAILABLE, "The storage could not be reached, or similar; the pod is started again."),
    (names.ExitCode.INTERRUPTED, "The pod was told to stop, for example because its node is drained."),
)

_SPEC = (
    "The API server refuses what breaks a bound or a rule of this page, and says which. "
    'Numbers in quotes are decimal strings: `"0.05"`.'
)
_BY_HAND = (
    "Each asks for a step once. What was acted on is echoed in `status.handledRequests`, and the annotation is "
    "never removed, so that it may be kept in Git."
)
_EXCHANGE = (
    f"A pod is given one request, as JSON in the file `{names.REQUEST_DIRECTORY}/{names.REQUEST_FILE}` (the annotation "
    f"`{names.ANNOTATION_REQUEST}` of the pod, at most {MAX_REQUEST_BYTES // 1024} KiB), and leaves one answer as its "
    f"termination message, at most {MAX_VERDICT_BYTES} bytes. The operator refuses an answer of more than "
    f"{MAX_TERMINATION_MESSAGE_BYTES} bytes, ignores fields that it does not know, and believes no more than the "
    "bounds allow."
)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"
    yield ""


def _anchor(path: str) -> str:
    """Return the anchor that Markdown renderers give the heading of `path`."""
    return "#" + "".join(c for c in path.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _value_type(schema: Schema, path: str) -> str:
    """Return the type of a field for readers, with a link where it has fields of its own."""
    match schema["type"]:
        case "object" if schema.get("properties"):
            return f"[object]({_anchor(path)})"
        case "array":
            return f"list of {_value_type(schema['items'], path + '[]')}"
        case "string" if "enum" in schema:
            return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
        case "string" if "format" in schema:
            return str(schema["format"]).replace("date-time", "time")
        case kind:
            return str(kind)


def _bounds(schema: Schema) -> str:
    """Return what values the API server takes, as a sentence; empty where the type says it all."""
    said = []
    if schema["type"] == "integer":
        said.append(f"{schema['minimum']} to {schema['maximum']}")
    if schema["type"] == "array":
        said.append(f"{schema.get('minItems', 0)} to {schema['maxItems']} items")
    if "maxLength" in schema:
        said.append(f"{schema.get('minLength', 0)} to {schema['maxLength']} characters")
    if "pattern" in schema:
        said.append(f"matching `{schema['pattern']}`")
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys:
        said.append(f"no two with the same {' and '.join(keys)}")
    if schema.get("x-kubernetes-list-type") == "set":
        said.append("no two alike")
    return f" ({'; '.join(said)})" if said else ""


def _default(schema: Schema, *, required: bool) -> str:
    if required:
        return "**required**"
    if "default" not in schema:
        return ""
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`"


def _sections(schema: Schema, path: str) -> Iterator[str]:
    """Yield the section of the object at `path` and those of all objects below it."""
    required = schema.get("required", [])
    yield f"### {path}"
    yield ""
    yield schema["description"]
    yield ""
    yield from _table(
        ("Field", "Type", "Default", "Meaning"),
        (
            (
                f"`{name}`",
                _value_type(field, f"{path}.{name}"),
                _default(field, required=name in required),
                field["description"] + _bounds(field),
            )
            for name, field in schema["properties"].items()
        ),
    )
    for rule in schema.get("x-kubernetes-validations", []):
        yield f"- Rule: {rule['message']}."
    if "x-kubernetes-validations" in schema:
        yield ""
    for name, field in schema["properties"].items():
        below = field["items"] if field["type"] == "array" else field
        if below.get("properties"):
            yield from _sections(below, f"{path}.{name}" + ("[]" if field["type"] == "array" else ""))


def resource_page() -> str:
    """Return the reference page of the resource, as Markdown."""
    schema = resource_schema()
    fields = schema["properties"]
    lines = [
        _GENERATED,
        f"# {names.KIND}",
        "",
        f"`{names.API_VERSION}`, short name `{names.SHORT_NAME}`, category `{names.CATEGORY}`. {schema['description']}",
        "",
        f"The same is on the command line: `kubectl explain {names.SINGULAR}.spec`.",
        "",
        *(f"- Rule: {rule['message']}." for rule in schema["x-kubernetes-validations"]),
        "",
        "## Spec",
        "",
        _SPEC,
        "",
        *_sections(fields["spec"], "spec"),
        "## Annotations",
        "",
        _BY_HAND,
        "",
        *_table(("Annotation", "Meaning of its value"), ((f"`{name}`", meaning) for name, meaning in _ANNOTATIONS)),
        "## Status",
        "",
        "A cache of what is in Jobs and on S3: it can be deleted and is rebuilt.",
        "",
        *_table(("Condition", "True means"), ((f"`{kind.value}`", meaning) for kind, meaning in _CONDITIONS.items())),
        "Reasons of conditions, events and history: " + ", ".join(f"`{reason.value}`" for reason in Reason) + ".",
        "",
        *_sections(fields["status"], "status"),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _message_type(schema: Mapping[str, Any]) -> str:
    """Return the type of a field of a message for readers; other than in the resource it may be a fraction."""
    match schema:
        case {"anyOf": branches}:
            return _message_type(next(branch for branch in branches if branch != {"type": "null"}))
        case {"$ref": reference}:
            name = reference.removeprefix("#/$defs/")
            return f"[{name}]({_SPEC_PAGE if name == ModelMonitorSpec.__name__ else _anchor(name)})"
        case {"const": value}:
            return f"`{json.dumps(value)}`"
        case {"enum": values}:
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case {"items": items}:
            return f"list of {_message_type(items)}"
    return str(schema.get("format", schema["type"])).replace("date-time", "time")


def _message_meaning(schema: Mapping[str, Any], parts: Mapping[str, Schema]) -> str:
    """Return what a field of a message says; where it says nothing itself, its type does."""
    if "const" in schema:
        return "Always this."
    inner = schema.get("items", schema)
    named = parts.get(inner.get("$ref", "").removeprefix("#/$defs/"), {})
    return str(schema.get("description") or named.get("description", ""))


def _message_sections(kinds: Sequence[type[Resource]]) -> Iterator[str]:
    """Yield the sections of `kinds`, then once each of what they are made of; the spec has a page of its own."""
    schemas: dict[str, Schema] = {}
    for kind in kinds:
        schemas[kind.__name__] = kind.model_json_schema()
    parts: dict[str, Schema] = {}
    for schema in schemas.values():
        parts |= {name: part for name, part in schema.get("$defs", {}).items() if name not in schemas}
    reachable = _reachable(schemas.values(), parts)
    for name, schema in {**schemas, **{name: parts[name] for name in sorted(reachable)}}.items():
        yield f"### {name}"
        yield ""
        yield " ".join(schema["description"].split())
        yield ""
        if "enum" in schema:
            yield "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
            yield ""
            continue
        yield from _table(
            ("Field", "Type", "", "Meaning"),
            (
                (
                    f"`{field}`",
                    _message_type(what),
                    "**required**" if field in schema.get("required", []) else "",
                    _message_meaning(what, parts),
                )
                for field, what in schema["properties"].items()
            ),
        )


def _reachable(schemas: Iterable[Schema], parts: Mapping[str, Schema]) -> set[str]:
    """Return the names of the parts that `schemas` refer to, without going into the spec."""
    found: set[str] = set()
    open_ = [json.dumps({key: value for key, value in schema.items() if key != "$defs"}) for schema in schemas]
    while open_:
        text = open_.pop()
        for name, part in parts.items():
            if name not in found and f'"#/$defs/{name}"' in text and name != ModelMonitorSpec.__name__:
                found.add(name)
                open_.append(json.dumps(part))
    return found


def messages_page() -> str:
    """Return the reference page of the messages, as Markdown."""
    lines = [
        _GENERATED,
        "# Messages between the operator and its pods",
        "",
        _EXCHANGE,
        "",
        *_table(("Exit code", "Meaning"), ((str(code), meaning) for code, meaning in _EXIT_CODES)),
        "## Requests",
        "",
        *_message_sections((CheckRequest, TrainRequest, RollbackRequest, PromoteRequest)),
        "## Answers",
        "",
        "Reasons of a failure: " + ", ".join(f"`{reason.value}`" for reason in FailureReason) + ".",
        "",
        *_message_sections((CheckVerdict, RunVerdict, Failure)),
    ]
    return "\n".join(lines).rstrip() + "\n"


PAGES = {"modelmonitor": resource_page, "messages": messages_page}


if __name__ == "__main__":
    if sys.argv[1:] not in [[page] for page in PAGES]:
        sys.exit(f"usage: python -m generate.reference {'|'.join(PAGES)}")
    sys.stdout.write(PAGES[sys.argv[1]]())
