"""A separate environment for each of the other tools, because their dependencies conflict."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = ("evidently", "nannyml", "whylogs")


def folder() -> Path:
    """Return the folder of the environments."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "modelmonitor" / "peers"


def ensure(tool: str) -> Path:
    """Return the Python interpreter of a tool's environment; create or update the environment if necessary.

    Raises
    ------
    RuntimeError
        If there is no Python 3.11: dependencies of these tools have no wheels for newer versions.
    """
    requirements = (HERE / "requirements" / f"{tool}.txt").read_text(encoding="utf-8")
    environment = folder() / tool
    python, stamp = environment / "bin" / "python", environment / "requirements.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == requirements:
        return python
    base = shutil.which("python3.11")
    if base is None:
        raise RuntimeError("python3.11 is not in PATH; the other tools need it")
    subprocess.run([base, "-m", "venv", "--clear", str(environment)], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--requirement", str(HERE / "requirements" / f"{tool}.txt")],
        check=True,
    )
    stamp.write_text(requirements, encoding="utf-8")
    return python


def version(tool: str) -> str:
    """Return the version that a tool's requirements pin."""
    first = (HERE / "requirements" / f"{tool}.txt").read_text(encoding="utf-8").splitlines()[0]
    return first.partition("==")[2]
