"""The policy reads no clock; that it does no I/O either is a contract of the import linter."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import modelmonitor_policy

SOURCES = sorted(Path(modelmonitor_policy.__file__).parent.rglob("*.py"))
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_clock_is_read(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    calls = [
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert not CLOCKS & set(calls)
