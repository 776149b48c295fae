#!/usr/bin/env python3
"""Print the notes of the current version: its section of CHANGELOG.md, or *Unreleased* for a release candidate.

usage: hack/release-notes.py
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(changelog: str, version: str) -> str:
    """Return the section of a version, without its heading; "" if there is none."""
    name = "Unreleased" if "-rc." in version else version
    section = re.search(rf"(?ms)^## \[{re.escape(name)}\][^\n]*\n(.*?)(?=^## |\Z)", changelog)
    return section[1].strip() if section else ""


def main() -> None:
    """Print the notes, or exit with an error if there are none."""
    version = (ROOT / "VERSION").read_text().strip()
    text = notes((ROOT / "CHANGELOG.md").read_text(), version)
    if not text:
        sys.exit(f"error: CHANGELOG.md has no notes for {version}")
    print(text)


if __name__ == "__main__":
    main()
