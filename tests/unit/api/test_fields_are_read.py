"""Every field of the spec is read by the policy, the operator or the trainer."""

from __future__ import annotations

import ast
import enum
import typing
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from modelmonitor_api.resource import Resource
from modelmonitor_api.spec import ModelMonitorSpec

ROOT = Path(__file__).parents[3]
PACKAGES = ("policy/modelmonitor_policy", "operator/modelmonitor_operator", "trainer/modelmonitor_trainer")
#: Methods that read all fields of an object.
DUMPS = {"to_wire", "model_dump", "model_dump_json"}

Model = type[Resource]


def _parts(annotation: Any) -> Iterator[type]:
    """Yield the types that an annotation is made of."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _parts(argument)


def _models(root: Model) -> dict[Model, set[str]]:
    """Return the models below `root` with the names of the fields that hold them."""
    owners: dict[Model, set[str]] = {root: {"spec"}}
    pending = [root]
    while pending:
        for name, field in pending.pop().model_fields.items():
            for part in _parts(field.annotation):
                if issubclass(part, Resource) and not issubclass(part, enum.Enum):
                    if part not in owners:
                        owners[part] = set()
                        pending.append(part)
                    owners[part] |= {name, name.removesuffix("s")}
    return owners


MODELS = _models(ModelMonitorSpec)
FIELDS = [pytest.param(model, name, id=f"{model.__name__}.{name}") for model in MODELS for name in model.model_fields]


class _Reads(ast.NodeVisitor):
    """Attribute accesses in sources, and the names of variables that hold objects of the spec.

    Attributes
    ----------
    accesses
        (last name of the owner, attribute): ``spec.data.live.uri`` is ("live", "uri").
    typed
        Name of a model → names of variables and parameters annotated with it.
    aliases
        Attribute → names of variables that it is assigned to, or that iterate over it.
    """

    def __init__(self, folder: Path) -> None:
        self.accesses: set[tuple[str, str]] = set()
        self.typed: defaultdict[str, set[str]] = defaultdict(set)
        self.aliases: defaultdict[str, set[str]] = defaultdict(set)
        for path in sorted(folder.rglob("*.py")):
            self.visit(ast.parse(path.read_text()))

    def visit(self, node: ast.AST) -> None:
        match node:
            case ast.Attribute(value=value, attr=attribute, ctx=ast.Load()):
                self.accesses.add((_last_name(value), attribute))
            case ast.arg(arg=variable, annotation=annotation):
                self._annotate(variable, annotation)
            case ast.AnnAssign(target=target, annotation=annotation):
                self._annotate(_last_name(target), annotation)
            case ast.Assign(targets=[target], value=value) | ast.NamedExpr(target=target, value=value):
                self._alias(target, value)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                self._alias(target, value)
        self.generic_visit(node)

    def _annotate(self, variable: str, annotation: ast.expr | None) -> None:
        for part in ast.walk(annotation) if annotation is not None else ():
            if isinstance(part, ast.Name):
                self.typed[part.id].add(variable)

    def _alias(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Tuple(elts=targets), ast.Tuple(elts=values):
                for one, other in zip(targets, values, strict=False):
                    self._alias(one, other)
            case _, ast.IfExp(body=body, orelse=orelse):
                self._alias(target, body)
                self._alias(target, orelse)
            case _, ast.Attribute(attr=attribute):
                self.aliases[attribute].add(_last_name(target))


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value) | ast.Call(func=value):
            return _last_name(value)
    return ""


@cache
def _reads() -> tuple[_Reads, ...]:
    return tuple(_Reads(ROOT / package) for package in PACKAGES)


@cache
def _methods() -> dict[str, set[str]]:
    """Return the fields of the spec that its own methods read, by the names of the methods."""
    result: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "api/modelmonitor_api/spec").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for part in ast.walk(node):
                    if isinstance(part, ast.Attribute) and _last_name(part.value) == "self":
                        result[node.name].add(part.attr)
    return result


def _accesses(model: Model) -> set[str]:
    """Return the attributes of objects of `model` that the sources access."""
    result: set[str] = set()
    for reads in _reads():
        owners = MODELS[model] | reads.typed[model.__name__]
        owners |= {alias for owner in owners for alias in reads.aliases[owner]}
        result |= {attribute for owner, attribute in reads.accesses if owner in owners}
    return result


def _is_dumped(model: Model) -> bool:
    """Return whether all fields of `model` are read at once, directly or as part of another model but the spec."""
    if model is ModelMonitorSpec:
        return False
    parents = [parent for parent in MODELS if any(model in _parts(f.annotation) for f in parent.model_fields.values())]
    return bool(DUMPS & _accesses(model)) or any(_is_dumped(parent) for parent in parents)


def _is_read(model: Model, name: str) -> bool:
    accesses = _accesses(model)
    through_methods = {field for method in accesses for field in _methods().get(method, ())}
    return name in accesses | through_methods or _is_dumped(model)


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_field_is_read(model: Model, name: str) -> None:
    assert _is_read(model, name), f"nothing reads {model.__name__}.{name}; implement or remove it"
