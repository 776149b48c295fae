"""The hook accepts and rejects the commit messages that CONTRIBUTING.md describes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "hack" / "commit-message.py"


def check(message: str, tmp_path: Path) -> str:
    """Return what the hook prints; "" if it accepts the message."""
    file = tmp_path / "message"
    file.write_text(message)
    done = subprocess.run([sys.executable, SCRIPT, file], check=False, capture_output=True, text=True)
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr


@pytest.mark.parametrize(
    "message",
    [
        "Reject a prediction column that is the target\n",
        "Reject a prediction column that is the target\n\nIt would always be right.\n",
        "# comment\n\nReject a prediction column\n# comment\n",
        "X" * 72,
        'Revert "a subject that is longer than it can be because git writes one of its own around it"\n',
        "fixup! reject a prediction column\n",
    ],
)
def test_accepts(message: str, tmp_path: Path) -> None:
    assert check(message, tmp_path) == ""


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("\n# nothing but a comment\n", "the message is empty"),
        ("X" * 73, "has 73 characters"),
        ("Reject a prediction column.", "ends with a full stop"),
        ("fix: reject a prediction column", "does not begin with a capital letter"),
        ("Reject a prediction column\nthat is the target", "the second line is not blank"),
    ],
)
def test_rejects(message: str, problem: str, tmp_path: Path) -> None:
    assert problem in check(message, tmp_path)
