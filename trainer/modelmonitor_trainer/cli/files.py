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

    file, folder = Path(path), Path(path).absolute().parent
    if file.is_dir():
        why = "it is a folder"
    elif not folder.is_dir():
        why = f"there is no folder {folder}"
    elif not os.access(file if file.exists() else folder, os.W_OK):
        why = "it is not writable" if file.exists() else f"the folder {folder} is not writable"
    else:
        return
    raise BadConfiguration(f"{path} cannot be written: {why}; choose another file")


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
        raise BadConfiguration(f"{path} cannot be written: {error.strerror}; choose another file") from error
