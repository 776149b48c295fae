"""An environment for each of the other tools: none of them goes together with the others, or with us."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = ("evidently", "nannyml", "whylogs")


def folder() -> Path:
    """Return where the environments are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "modelmonitor" / "peers"


def ensure(tool: str) -> Path:
    """Return the Python of a tool's environment, made as its requirements say where it is not there.

    Raises
    ------
    RuntimeError
        If there is no Python 3.11: newer ones lack wheels of what these tools need.
    """
    wanted = (HERE / "requirements" / f"{tool}.txt").read_text(encoding="utf-8")
    made = folder() / tool
    python, stamp = made / "bin" / "python", made / "requirements.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    base = shutil.which("python3.11")
    if base is None:
        raise RuntimeError("python3.11 is not in PATH; the other tools need it")
    subprocess.run([base, "-m", "venv", "--clear", str(made)], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--requirement", str(HERE / "requirements" / f"{tool}.txt")],
        check=True,
    )
    stamp.write_text(wanted, encoding="utf-8")
    return python


def version(tool: str) -> str:
    """Return the version that a tool's requirements pin."""
    first = (HERE / "requirements" / f"{tool}.txt").read_text(encoding="utf-8").splitlines()[0]
    return first.partition("==")[2]
