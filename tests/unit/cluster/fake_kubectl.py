"""A stand-in for kubectl: a program that answers from a table and records its calls."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python}
import json, sys, time
from pathlib import Path
folder = Path({folder!r})
with open(folder / "calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
arguments = [a for a in sys.argv[1:] if not a.startswith(("--request-timeout", "--context", "--kubeconfig"))]
line = " ".join(arguments)
for start, answer in json.loads((folder / "answers.json").read_text()).items():
    if line.startswith(start):
        if isinstance(answer, str):
            sys.exit("{{}}".format(answer))
        print(json.dumps(answer) if not isinstance(answer, list) else "\\n".join(answer), flush=True)
        if line.startswith("port-forward"):
            time.sleep(60)
        sys.exit(0)
sys.exit(f'Error from server (NotFound): no answer to "{{line}}"')
"""


class FakeKubectl:
    """A folder with a program ``kubectl``.

    Answers are by the beginning of the arguments: an object is printed as JSON, a list as lines, a text is an error.
    """

    def __init__(self, folder: Path, answers: Mapping[str, Any]) -> None:
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.answers = dict(answers)
        self.write()

    @property
    def program(self) -> str:
        return str(self.folder / "kubectl")

    def write(self) -> None:
        (self.folder / "answers.json").write_text(json.dumps(self.answers))

    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
