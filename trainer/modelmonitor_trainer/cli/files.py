"""Local files that commands write."""

from __future__ import annotations

import os
from pathlib import Path


def require_writable(path: str) -> None:
    """Refuse a file that cannot be written, before the work begins.

    Raises
    ------
    BadConfiguration
        With the cause.
    """
    from modelmonitor_trainer.errors import BadConfiguration

    folder = Path(path).absolute().parent
    if Path(path).is_dir() or not folder.is_dir() or not os.access(path if Path(path).exists() else folder, os.W_OK):
        why = "it is a folder" if Path(path).is_dir() else f"{folder} is not a writable folder"
        raise BadConfiguration(f"{path} cannot be written: {why}; choose another file with --html")


def write_text(path: str, text: str) -> None:
    """Write a file.

    Raises
    ------
    BadConfiguration
        If it cannot be written.
    """
    from modelmonitor_trainer.errors import BadConfiguration

    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadConfiguration(f"{path} cannot be written: {error.strerror}") from error
