"""Names and sizes follow docs/contributing/style.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("api", "policy", "operator", "trainer", "benchmarks", "examples", "hack")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
#: Words that name nothing; NotFound is the reason of Kubernetes.
FILLERS = re.compile(r"(?<!not)(?:^|_)(found|said|told|made|places?)(?:_|$)")
#: Most lines of a module, and of a function without its docstring.
MODULE_LINES, FUNCTION_LINES = 400, 60


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the names that a module gives to something, in snake case, with their lines."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name.lower()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_say_what_a_thing_is(path: Path) -> None:
    assert not FILLERS.search(path.stem)
    assert not [f"{path}:{line} {name}" for line, name in identifiers(path) if FILLERS.search(name)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_can_be_read(path: Path) -> None:
    assert path.read_text().count("\n") <= MODULE_LINES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            assert node.end_lineno is not None
            assert node.end_lineno - first.lineno < FUNCTION_LINES, f"{path}:{node.lineno} {node.name}"
