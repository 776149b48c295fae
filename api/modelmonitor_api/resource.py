"""Base classes of all API types: camelCase in JSON, immutable in memory, validation rules next to the fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

_ACRONYMS = {"uri": "URI", "uid": "UID", "id": "ID", "sha256": "SHA256"}


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


class InvalidSpec(ValueError):
    """A resource that does not match its schema; the message states the field, the problem and the fix."""


_T = TypeVar("_T", bound=Resource)


def explain(error: ValidationError) -> str:
    """Return the message of a validation error, with the JSON paths of the fields.

    At most three errors are listed, followed by the number of the others.
    """
    messages = []
    for item in error.errors(include_url=False):
        path = "spec"
        for part in item["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{camel(str(part))}"
        messages.append(f"{path}: {item['msg'].removeprefix('Value error, ')}")
    rest = f" (and {len(messages) - 3} more)" if len(messages) > 3 else ""
    return "; ".join(messages[:3]) + rest


def parse(kind: type[_T], data: Mapping[str, Any]) -> _T:
    """Return `data`, validated as `kind`.

    Raises
    ------
    InvalidSpec
        If `data` is invalid; the message names the fields.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InvalidSpec(explain(error)) from error


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
