"""The pages of promises and of threats name tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = {name: (ROOT / "docs" / "explanation" / f"{name}.md").read_text() for name in ("promises", "threat-model")}
NAMED = re.findall(r"`((?:unit|api|audit|chart|cluster)/[\w/]+\.py)(?:::(\w+))?`", "".join(PAGES.values()))


@pytest.mark.parametrize("page", PAGES)
def test_each_row_has_tests(page: str) -> None:
    _, *rows = [line for line in PAGES[page].splitlines() if line.startswith("| ")]
    assert len(rows) >= 8
    assert all(re.search(r"`\w+/[\w/]+\.py", row) for row in rows)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[f"{file}::{name}" for file, name in NAMED])
def test_the_named_tests_exist(file: str, name: str) -> None:
    path = ROOT / "tests" / file
    assert path.exists()
    tree = ast.parse(path.read_text())
    functions = {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert not name or name in functions


def test_the_readme_quotes_the_measured_trust():
    trust, readme = (" ".join((ROOT / name).read_text().split()) for name in ("docs/explanation/trust.md", "README.md"))
    measured = re.search(
        r"In ([\d,]+) simulated checks of .*? raised (\d+) alarms .*? In ([\d,]+) checks .*? had not in (\d+) ", trust
    )
    assert measured is not None
    checks, alarms, moved, missed = measured.groups()
    assert f"{alarms} alarms in {checks} simulated checks" in readme
    assert f"{missed} in {moved} columns that had moved" in readme
