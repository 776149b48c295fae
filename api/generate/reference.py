"""Generate the reference pages from the types.

``python -m generate.reference modelmonitor`` prints the page of the resource, and
``python -m generate.reference messages`` the page of the messages between the operator and its pods.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from generate.crd import MAX_INTEGER, Schema, resource_schema
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
from modelmonitor_api.names import ConditionType
from modelmonitor_api.outcomes import ColumnTestKind, DetectorStatus, LeftOutReason, RunOutcome, Verdict, ViolationKind
from modelmonitor_api.reasons import DocumentedEnum, FailureReason, GateReason, Reason
from modelmonitor_api.resource import Resource
from modelmonitor_api.spec import ModelMonitorSpec

_GENERATED = "<!-- Generated from the types by hack/manifests.sh; do not edit. -->"

#: Link to the section "spec" from messages.md; the first anchor of that name belongs to the chapter "Spec".
_SPEC_PAGE = "modelmonitor.md#spec-1"

_ANNOTATIONS = (
    (names.ANNOTATION_CHECK_REQUESTED, "Run a check now. The value is any new token, such as the current time."),
    (
        names.ANNOTATION_RETRAIN_REQUESTED,
        (
            "Train now. The value is any new token. The request ignores the cooldown, the budget and `minNewRows`, but "
            "waits for a running training, and does not start while the monitor is suspended or the data are corrupted."
        ),
    ),
    (
        names.ANNOTATION_ROLLBACK_TO,
        "Make this version the champion again, or `previous` for the champion's predecessor.",
    ),
    (
        names.ANNOTATION_PROMOTE,
        "Make this version the champion. It must have passed the gate, or have been stopped only as `TooGoodToBeTrue`.",
    ),
)

_EXIT_CODES = (
    (names.ExitCode.OK, "The run has a verdict, whatever it is. Drift is not an error."),
    (names.ExitCode.CRASHED, "Unexpected failure; the pod is retried."),
    (
        names.ExitCode.BAD_CONFIGURATION,
        "The spec, or an object that it refers to, must be changed; the pod is not retried.",
    ),
    (names.ExitCode.UNAVAILABLE, "A dependency, such as the object store, is unavailable; the pod is retried."),
    (names.ExitCode.INTERRUPTED, "The pod was asked to stop, for example because its node is drained."),
)

_SPEC = (
    "The API server rejects a resource that violates a bound or a rule on this page. "
    'Numbers in quotes are decimal strings, for example `"0.05"`.'
)
_REQUESTS = (
    "Each value requests one step. Handled values are echoed in `status.handledRequests`. The operator never removes "
    "the annotations, so they can be kept in Git."
)
_REASONS = (
    "Reasons of conditions, events and history entries. The reason of a failed check or training is a "
    "[failure](messages.md#failurereason)."
)
_EXCHANGE = (
    f"A pod gets one request, as JSON in the file `{names.REQUEST_DIRECTORY}/{names.REQUEST_FILE}` (the annotation "
    f"`{names.ANNOTATION_REQUEST}` of the pod, at most {MAX_REQUEST_BYTES // 1024} KiB), and writes one answer to its "
    f"termination message, at most {MAX_VERDICT_BYTES} bytes. The operator rejects answers of more than "
    f"{MAX_TERMINATION_MESSAGE_BYTES} bytes and values outside the bounds, and ignores unknown fields."
)


#: Enums of messages, by name.
_ENUMS: Mapping[str, type[DocumentedEnum]] = {kind.__name__: kind for kind in (Verdict, RunOutcome, FailureReason)}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"
    yield ""


def _values(kind: str, meaning: str, enum: type[DocumentedEnum]) -> Iterator[str]:
    """Yield a table of the members of `enum` with their meanings."""
    yield from _table((kind, meaning), ((f"`{member.value}`", member.meaning) for member in enum))


def _anchor(path: str) -> str:
    """Return the anchor that Markdown renderers give the heading of `path`."""
    return "#" + "".join(c for c in path.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _value_type(schema: Schema, path: str) -> str:
    """Return the type of a field as Markdown, with a link if it is an object."""
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
    """Return the bounds of a field in parentheses; empty if there are none."""
    bounds = []
    if schema["type"] == "integer":
        bounds.append(
            f"{schema['minimum']} to {schema['maximum']}"
            if schema["maximum"] < MAX_INTEGER
            else f"at least {schema['minimum']}"
        )
    if schema["type"] == "array":
        bounds.append(f"{schema.get('minItems', 0)} to {schema['maxItems']} items")
    if "maxLength" in schema:
        bounds.append(f"{schema.get('minLength', 0)} to {schema['maxLength']} characters")
    if "pattern" in schema:
        bounds.append(f"matching `{schema['pattern']}`")
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys:
        bounds.append(f"unique {' and '.join(keys)}")
    if schema.get("x-kubernetes-list-type") == "set":
        bounds.append("unique items")
    return f" ({'; '.join(bounds)})" if bounds else ""


def _default(schema: Schema, *, required: bool) -> str:
    if required:
        return "**required**"
    if "default" not in schema:
        return ""
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`"


def _sections(schema: Schema, path: str) -> Iterator[str]:
    """Yield the section of the object at `path` and the sections of all nested objects."""
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
        f"Also available on the command line: `kubectl explain {names.SINGULAR}.spec`.",
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
        _REQUESTS,
        "",
        *_table(("Annotation", "Meaning"), ((f"`{name}`", meaning) for name, meaning in _ANNOTATIONS)),
        "## Status",
        "",
        "The status is a cache of the state of Jobs and of results on S3. If it is deleted, the operator rebuilds it.",
        "",
        *_values("Condition", "Meaning of True", ConditionType),
        *_sections(fields["status"], "status"),
        "## Reasons",
        "",
        _REASONS,
        "",
        *_values("Reason", "Meaning", Reason),
        "Reasons of the outcome of a training:",
        "",
        *_values("Reason", "Meaning", GateReason),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _message_type(schema: Mapping[str, Any]) -> str:
    """Return the type of a message field as Markdown; unlike in the resource, it can be a floating-point number."""
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
    """Return the description of a message field, or else that of its type."""
    if "const" in schema:
        return "Constant."
    inner = schema.get("items", schema)
    named = parts.get(inner.get("$ref", "").removeprefix("#/$defs/"), {})
    return str(schema.get("description") or named.get("description", ""))


def _message_sections(kinds: Sequence[type[Resource]]) -> Iterator[str]:
    """Yield the sections of `kinds`, then those of their parts, except for the spec, which has its own page."""
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
            yield from _values("Value", "Meaning", _ENUMS[name])
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
    """Return the names of the parts that `schemas` refer to, directly or indirectly, except for those of the spec."""
    result: set[str] = set()
    pending = [json.dumps({key: value for key, value in schema.items() if key != "$defs"}) for schema in schemas]
    while pending:
        text = pending.pop()
        for name, part in parts.items():
            if name not in result and f'"#/$defs/{name}"' in text and name != ModelMonitorSpec.__name__:
                result.add(name)
                pending.append(json.dumps(part))
    return result


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
        *_message_sections((CheckVerdict, RunVerdict, Failure)),
        "## Values in the result of a check",
        "",
        "`verdict.json`, and the output of `modelmonitor check --output json`.",
        "",
        "`detectors[].outcome`:",
        "",
        *_values("Outcome", "Meaning", DetectorStatus),
        "`violations[].kind`:",
        "",
        *_values("Kind", "Meaning", ViolationKind),
        "`features[].decidedBy`:",
        "",
        *_values("Test", "Meaning", ColumnTestKind),
        "`coverage.*.leftOut[].reason`:",
        "",
        *_values("Reason", "Meaning", LeftOutReason),
    ]
    return "\n".join(lines).rstrip() + "\n"


PAGES = {"modelmonitor": resource_page, "messages": messages_page}


if __name__ == "__main__":
    if sys.argv[1:] not in [[page] for page in PAGES]:
        sys.exit(f"usage: python -m generate.reference {'|'.join(PAGES)}")
    sys.stdout.write(PAGES[sys.argv[1]]())
