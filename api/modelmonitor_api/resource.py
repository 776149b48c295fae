"""The base of every API type: camelCase on the wire, frozen in memory, rules beside fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

_ACRONYMS = {"uri": "URI", "uid": "UID", "id": "ID", "sha256": "SHA256"}


def camel(name: str) -> str:
    """Return the wire name of a field, acronyms in capitals but for the first word.

    >>> camel("results_uri"), camel("uri"), camel("backoff_limit")
    ('resultsURI', 'uri', 'backoffLimit')
    """
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


@dataclass(frozen=True)
class Rule:
    """A rule over several fields of one object, checked by the API server and by us.

    Parameters
    ----------
    cel
        The rule for the API server; ``self`` is the object on the wire.
    message
        What to change, in one sentence.
    holds
        The same rule in Python, for the reconcile loop and the command line.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]


class Resource(BaseModel):
    """A part of the resource, as a user writes it."""

    # Validators are built when they are first needed: most programs read one or two kinds of documents.
    model_config = ConfigDict(
        alias_generator=camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        defer_build=True,
    )

    #: Rules over several fields; rendered as ``x-kubernetes-validations``.
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self

    def to_wire(self) -> dict[str, Any]:
        """Return plain JSON data with wire names, without what was left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Message(Resource):
    """A document that another program wrote: unknown fields are a newer version's, and ignored."""

    model_config = ConfigDict(extra="ignore")


class InvalidSpec(ValueError):
    """A resource that breaks its contract; the text says where, what, and what to change."""


_T = TypeVar("_T", bound=Resource)


def explain(error: ValidationError) -> str:
    """Return a validation error as sentences that name the fields on the wire.

    At most three are named; the count of the others is given.
    """
    found = []
    for item in error.errors(include_url=False):
        where = "spec"
        for part in item["loc"]:
            where += f"[{part}]" if isinstance(part, int) else f".{camel(str(part))}"
        found.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
    rest = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    return "; ".join(found[:3]) + rest


def parse(kind: type[_T], data: Mapping[str, Any]) -> _T:
    """Return `data` as `kind`.

    Raises
    ------
    InvalidSpec
        With sentences that name the fields.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InvalidSpec(explain(error)) from error


#: A number as a string: floats do not survive every client (API conventions).
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,10})?$", max_length=27)]
#: A number between 0 and 1, both included, as a string.
Fraction = Annotated[str, Field(pattern=r"^(0(\.[0-9]{1,10})?|1(\.0{1,10})?)$", max_length=12)]
#: A number that is not negative, as a string.
NonNegative = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,10})?$", max_length=26)]
#: A number between 0 and 1, neither included, as a string.
OpenFraction = Annotated[str, Field(pattern=r"^0\.[0-9]{0,9}[1-9][0-9]{0,9}$", max_length=21)]
#: A count; the largest that every JSON reader keeps.
MAX_COUNT = 2**53 - 1
#: The name of something in the same namespace.
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
#: A column of the data; any text that a file can hold.
ColumnName = Annotated[str, Field(min_length=1, max_length=253)]
