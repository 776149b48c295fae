"""The commands of the first page of the documentation print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unit.docs.run import DOCS

#: A row of the table that a check prints; sentences may be shortened on a page, and are not compared.
_ROW = re.compile(r"^[*? ] \S+ +\d\.\d{3} .*$", re.MULTILINE)


def steps(page: Path) -> list[tuple[str, str]]:
    """Return the commands of a page and the output that it shows for each, in order."""
    fences = re.findall(r"^( *)```(\w+)\n(.*?)^\1```", page.read_text(), re.MULTILINE | re.DOTALL)
    commands: list[tuple[str, str]] = []
    for indent, kind, text in fences:
        plain = re.sub(f"^{indent}", "", text, flags=re.MULTILINE)
        if kind == "sh":
            commands.append((plain, ""))
        elif kind == "text":
            commands[-1] = (commands[-1][0], plain)
    return commands


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder to work in, and an environment with the command line on its PATH."""
    programs = tmp_path_factory.mktemp("bin")
    for name, arguments in (("modelmonitor", "-m modelmonitor_trainer.cli.main"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    packages = os.pathsep.join(entry for entry in sys.path if entry)
    return tmp_path_factory.mktemp("work"), {**os.environ, "PATH": path, "PYTHONPATH": packages}


def test_the_first_check_prints_what_the_page_shows(shell: tuple[Path, dict[str, str]]) -> None:
    folder, environment = shell
    compared = 0
    for command, expected in steps(DOCS / "getting-started" / "first-check.md"):
        if "jq" in command or "sample-1.csv" in command:
            continue
        script = "\n".join(line for line in command.splitlines() if not line.startswith("pip "))
        done = subprocess.run(
            ["bash", "-euc", script], cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        if expected:
            assert done.stdout.partition(":")[0] == expected.partition(":")[0]
            printed = _ROW.findall(done.stdout)
            assert [row for row in _ROW.findall(expected) if row not in printed] == []
            compared += 1
    assert compared == 2
    assert (folder / "report.html").exists()
