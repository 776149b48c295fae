"""Base classes of all API types: camelCase in JSON, immutable in memory, validation rules next to the fields."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from modelmonitor_api.problem_wording import describe

#: A text of a status.
Text = Annotated[str, Field(max_length=1024)]

#: The API server stores integers of 64 bits.
_INT64 = range(-(2**63), 2**63)
#: Years of times and days: a window or a time zone more or less does not leave what Python can represent.
YEARS = range(1000, 9001)
_ACRONYMS = {"uri": "URI", "url": "URL", "uid": "UID", "id": "ID", "sha256": "SHA256"}


def camel(name: str) -> str:
    """Return the JSON name of a field; acronyms are in capitals, except as the first word.

    >>> camel("results_uri"), camel("uri"), camel("backoff_limit")
    ('resultsURI', 'uri', 'backoffLimit')
    """
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


@dataclass(frozen=True)
class Rule:
    """A validation rule over several fields, evaluated by the API server and in Python.

    Parameters
    ----------
    cel
        The rule as a CEL expression for the API server; ``self`` is the JSON object.
    message
        What to change, in one sentence.
    holds
        The same rule as a Python predicate, for the reconcile loop and the command line.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]


class Resource(BaseModel):
    """Base class of the objects in a resource."""

    # Validators are built on first use, because most programs read only one or two kinds of documents.
    model_config = ConfigDict(
        alias_generator=camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        defer_build=True,
    )

    #: Rules over several fields, rendered as ``x-kubernetes-validations``.
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for name, value in vars(self).items():
            if isinstance(value, int) and value not in _INT64:
                raise ValueError(f"{camel(name)} is an integer of more than 64 bits")
            if isinstance(value, dt.date) and value.year not in YEARS:
                raise ValueError(
                    f"{camel(name)} is in the year {value.year}; it must be from {YEARS[0]} to {YEARS[-1]}"
                )
        return self

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self

    def to_wire(self) -> dict[str, Any]:
        """Return the object as JSON data, without fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Message(Resource):
    """Base class of documents written by programs; unknown fields, e.g. of a newer version, are ignored."""

    model_config = ConfigDict(extra="ignore")


#: Names of fields and indices of lists, from the resource to a value.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """A value that does not match the schema.

    Attributes
    ----------
    path
        Where it is, below ``spec``.
    message
        What is wrong, and what to change.
    wants_text
        A boolean or a number is where a field takes text.
    """

    path: Path
    message: str
    wants_text: bool = False

    def __str__(self) -> str:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return f"spec{path}: {self.message}"


class InvalidSpec(ValueError):
    """A resource that does not match its schema; the message states the field, the problem and the fix.

    Attributes
    ----------
    problems
        The problems that the message lists, as far as they are known one by one.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


_T = TypeVar("_T", bound=Resource)
#: Problems that a message lists.
_LISTED = 3


def problems_of(error: ValidationError, kind: type[Resource]) -> list[Problem]:
    """Return the problems of a validation error, with the nearest name of an unknown field."""
    problems = []
    for item in error.errors(include_url=False):
        path = tuple(part if isinstance(part, int) else camel(str(part)) for part in item["loc"])
        message = describe(item["type"], item.get("ctx", {}), item["input"], item["msg"])
        unquoted = item["type"] == "string_type" and isinstance(item["input"], bool | int | float)
        if item["type"] == "extra_forbidden":
            message = _unknown_field(str(path[-1]), _fields_at(kind, path[:-1]))
        elif item["type"] == "enum" and isinstance(item["input"], str):
            near = get_close_matches(item["input"], _quote(item["ctx"]["expected"]), 1)
            message += f"; did you mean {near[0]}?" if near else ""
        elif unquoted:
            message += "; put it in quotes"
        problems.append(Problem(path, message, unquoted))
    return problems


def _unknown_field(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"unknown field; did you mean {near[0]}?" if near else f"unknown field; there are {', '.join(known)}"


def _quote(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _fields_at(kind: type[Resource], path: Path) -> list[str]:
    """Return the JSON names of the fields of the resource at a path."""
    for part in path:
        if isinstance(part, int):
            continue
        fields = {camel(name): field for name, field in kind.model_fields.items()}
        inner = _resource_in(fields[part].annotation) if part in fields else None
        if inner is None:
            return []
        kind = inner
    return [camel(name) for name in kind.model_fields]


def _resource_in(annotation: Any) -> type[Resource] | None:
    """Return the resource within a type, such as that of a list or of an optional field."""
    if isinstance(annotation, type) and issubclass(annotation, Resource):
        return annotation
    return next((kind for inner in get_args(annotation) if (kind := _resource_in(inner)) is not None), None)


def parse(kind: type[_T], data: Mapping[str, Any], *, strict: bool = False) -> _T:
    """Return `data`, validated as `kind`.

    Parameters
    ----------
    kind
        Type of the resource.
    data
        JSON data, or YAML data with dates.
    strict
        Refuse values of another type, such as ``"14"`` for a number, as an API server does.

    Raises
    ------
    InvalidSpec
        If `data` is invalid; the message names the fields.
    """
    try:
        if strict:
            return kind.model_validate_json(json.dumps(data, default=str), strict=True)
        return kind.model_validate(data)
    except ValidationError as error:
        problems = problems_of(error, kind)
        rest = f" (and {len(problems) - _LISTED} more)" if len(problems) > _LISTED else ""
        raise InvalidSpec("; ".join(map(str, problems[:_LISTED])) + rest, problems) from error


#: A decimal number as a string, because not every client preserves floats (API conventions).
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,10})?$", max_length=27)]
#: A number from 0 to 1, inclusive, as a string.
Fraction = Annotated[str, Field(pattern=r"^(0(\.[0-9]{1,10})?|1(\.0{1,10})?)$", max_length=12)]
#: A non-negative number, as a string.
NonNegative = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,10})?$", max_length=26)]
#: A number between 0 and 1, exclusive, as a string.
OpenFraction = Annotated[str, Field(pattern=r"^0\.[0-9]{0,9}[1-9][0-9]{0,9}$", max_length=21)]
#: The largest integer that every JSON reader represents exactly.
MAX_COUNT = 2**53 - 1
#: The name of an object in the same namespace.
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
#: The name of a column in the data; any text.
ColumnName = Annotated[str, Field(min_length=1, max_length=253)]
