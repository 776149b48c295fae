"""Conversion of types to a structural schema, and its errors."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from generate import crd
from generate.crd import NotStructural, structural
from modelmonitor_api.resource import Resource, Rule


class Colour(StrEnum):
    """A colour."""

    RED = "Red"
    BLUE = "Blue"


class Lamp(Resource):
    """A lamp."""

    name: str = Field(description="Name.", max_length=9)
    colour: Colour | None = Field(None, description="Its colour.")
    watts: int = Field(5, description="Its power.", gt=0, le=100)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(cel="self.watts < 50 || self.name != 'tiny'", message="a tiny lamp must be weak", holds=lambda _: True),
        Rule(cel="", message="checked in Python only", holds=lambda _: True),
    )


class Room(Resource):
    """A room."""

    lamps: list[Lamp] = Field(default_factory=list, description="Lamps.", max_length=3)
    main: Lamp = Field(Lamp(name="main"), description="The main lamp.")
    built: dt.date | None = Field(None, description="When it was built.")
    kind: Literal["Small", "Large"] = Field("Small", description="Kind.")
    people: int = Field(description="How many.")


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the types of this module to those that the generator knows."""
    for kind in (Lamp, Room):
        monkeypatch.setitem(crd._TYPES, kind.__name__, kind)


LAMP: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "description": "Name.", "maxLength": 9},
        "colour": {"type": "string", "description": "Its colour.", "enum": ["Red", "Blue"]},
        "watts": {
            "type": "integer",
            "description": "Its power.",
            "minimum": 0,
            "exclusiveMinimum": True,
            "maximum": 100,
            "format": "int32",
            "default": 5,
        },
    },
    "x-kubernetes-validations": [
        {"rule": "self.watts < 50 || self.name != 'tiny'", "message": "a tiny lamp must be weak"}
    ],
}


def test_references_nulls_and_titles_are_removed_and_rules_are_kept() -> None:
    schema = structural(Room, "room", defaults=True)
    assert schema == {
        "type": "object",
        "description": "A room.",
        "required": ["people"],
        "properties": {
            "lamps": {
                "type": "array",
                "description": "Lamps.",
                "maxItems": 3,
                "default": [],
                "x-kubernetes-list-type": "atomic",
                "items": {**LAMP, "description": "A lamp."},
            },
            # The default is complete, because the server evaluates rules before it fills in the defaults of fields.
            "main": {**LAMP, "description": "The main lamp.", "default": {"name": "main", "watts": 5}},
            "built": {"type": "string", "format": "date", "description": "When it was built."},
            "kind": {"type": "string", "enum": ["Small", "Large"], "description": "Kind.", "default": "Small"},
            "people": {
                "type": "integer",
                "description": "How many.",
                "minimum": 0,
                "maximum": 2**53 - 1,
                "format": "int64",
            },
        },
    }


def test_a_status_has_no_defaults() -> None:
    assert "default" not in repr(structural(Room, "room", defaults=False))


class Unbounded(Resource):
    """Unbounded."""

    names: list[Annotated[str, Field(max_length=9)]] = Field(description="Names.")


class UnboundedText(Resource):
    """Unbounded."""

    name: str = Field(description="Name.")


class Fraction(Resource):
    """A float."""

    share: float = Field(description="Share.")


class Either(Resource):
    """A union."""

    value: Annotated[str, Field(max_length=9)] | int = Field(description="Value.")


class WithoutDescription(Resource):
    """Without a description."""

    value: int


class WithExamples(Resource):
    """A keyword that the OpenAPI of the API server does not support."""

    value: int = Field(description="Value.", json_schema_extra={"examples": [1]})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Unbounded, "spec.names: give the list a max_length"),
        (UnboundedText, "spec.name: give the string a max_length"),
        (Fraction, "spec.share: number is not a supported type; use a decimal string for fractions"),
        (Either, "spec.value: structural schemas do not support unions; give the field a single type"),
        (WithoutDescription, "spec.value: describe the field"),
        (WithExamples, "spec.value: structural schemas do not support examples; change the type"),
    ],
)
def test_an_unsupported_type_is_reported(kind: type[Resource], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(crd._TYPES, kind.__name__, kind)
    with pytest.raises(NotStructural) as caught:
        structural(kind, "spec", defaults=True)
    assert str(caught.value) == message
