"""The page of promises names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "explanation" / "promises.md").read_text()
NAMED = re.findall(r"`((?:unit|api|cluster)/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def test_each_promise_has_tests() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| Promise")]
    assert len(rows) >= 8
    assert all("::" in row for row in rows)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[f"{file}::{name}" for file, name in NAMED])
def test_the_tests_of_a_promise_exist(file: str, name: str) -> None:
    path = ROOT / "tests" / file
    assert path.exists()
    tree = ast.parse(path.read_text())
    functions = {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert not name or name in functions
