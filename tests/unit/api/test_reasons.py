"""Reasons and outcomes are defined once, in the API package, and documented in the reference."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest

from generate.reference import PAGES
from modelmonitor_api import names, outcomes, reasons
from modelmonitor_api.messages import Answer, Request
from modelmonitor_api.names import ConditionType
from modelmonitor_api.outcomes import (
    ColumnTestKind,
    DetectorStatus,
    GateOutcome,
    LeftOutReason,
    ModelKind,
    RunOutcome,
    TrainingOutcome,
    Verdict,
    ViolationKind,
)
from modelmonitor_api.reasons import DocumentedEnum, FailureReason, GateReason, Reason

ROOT = Path(__file__).parents[3]
PACKAGES = (
    "api/modelmonitor_api",
    "policy/modelmonitor_policy",
    "operator/modelmonitor_operator",
    "trainer/modelmonitor_trainer",
)
#: Arguments and attributes that hold a word of these enums.
WORDS = {"reason", "outcome", "verdict", "action"}
DOCUMENTED: tuple[type[DocumentedEnum], ...] = (
    ConditionType,
    Reason,
    GateReason,
    FailureReason,
    Verdict,
    RunOutcome,
    DetectorStatus,
    ViolationKind,
    ColumnTestKind,
    LeftOutReason,
)
#: Enums whose members have a meaning; not all of them are in the reference.
EXPLAINED: tuple[type[DocumentedEnum], ...] = (*DOCUMENTED, GateOutcome, TrainingOutcome, ModelKind)
REFERENCE = "".join(page() for page in PAGES.values())
DEFINED = {
    member.value
    for module in (names, outcomes, reasons)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, StrEnum)
    for member in kind
} | {message.model_fields["kind"].default for message in (*get_args(Request), *get_args(Answer))}


@pytest.mark.parametrize("member", [member for kind in DOCUMENTED for member in kind], ids=repr)
def test_the_reference_gives_the_meaning(member: DocumentedEnum) -> None:
    row = f"| `{member.value}` | {member.meaning} |"
    assert row in REFERENCE


@pytest.mark.parametrize("member", [member for kind in EXPLAINED for member in kind], ids=repr)
def test_a_meaning_is_a_sentence(member: DocumentedEnum) -> None:
    assert re.fullmatch(r"\S.*\.", member.meaning)
    assert "|" not in member.meaning


def test_an_enum_is_looked_up_by_its_word() -> None:
    assert Reason("NoDrift") is Reason.NO_DRIFT
    assert str(Reason.NO_DRIFT) == "NoDrift"
    assert str(Reason.NO_DRIFT.value) == "NoDrift"


def _words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the literals that are passed as, or compared with, a reason or an outcome, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(keywords=keywords):
                for keyword in keywords:
                    if keyword.arg in WORDS:
                        yield from _literals(keyword.value)
            case ast.Compare(left=left, comparators=comparators):
                sides = (left, *comparators)
                if any(isinstance(side, ast.Attribute) and side.attr in {*WORDS, "kind"} for side in sides):
                    for side in sides:
                        yield from _literals(side)
        match node:
            case ast.Call(func=ast.Name(id="Violation"), args=[kind, *_]):
                yield from _literals(kind)


def _literals(node: ast.expr) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Constant(value=str(word)) if re.fullmatch(r"([A-Z][a-z0-9]*)+", word):
            yield node.lineno, word
        case ast.IfExp(body=body, orelse=orelse):
            yield from _literals(body)
            yield from _literals(orelse)
        case ast.Tuple(elts=items) | ast.Set(elts=items) | ast.List(elts=items):
            for item in items:
                yield from _literals(item)


@pytest.mark.parametrize("package", PACKAGES)
def test_words_are_defined_in_the_api(package: str) -> None:
    undefined = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, word in _words(ast.parse(path.read_text()))
        if word not in DEFINED
    ]
    assert undefined == []


def test_the_scan_finds_literals() -> None:
    literals = {
        word for _, word in _words(ast.parse("f(reason='Odd' if x else 'Even'); y = r.outcome in {'Lost', 'a b'}"))
    }
    assert literals == {"Odd", "Even", "Lost"}
    assert {word for _, word in _words(ast.parse("Violation('Bent', None, (), '')"))} == {"Bent"}
