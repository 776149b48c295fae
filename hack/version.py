#!/usr/bin/env python3
"""Print the version of this repository, or set it everywhere.

usage: hack/version.py [VERSION]

The file VERSION is the source. What cannot read it holds a copy: the chart, the requirements between our packages, and
the example that builds on the trainer image. The generated manifests follow with `make manifests`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "VERSION"
#: Semantic versions that are also valid for Python packages: a release, or a release candidate such as 1.2.0-rc.1.
VALID = re.compile(r"\d+\.\d+\.\d+(-rc\.\d+)?")
#: For each file, the expression whose named group `version` is the copy; every match counts.
COPIES = {
    "policy/pyproject.toml": r'"modelmonitor-[a-z]+==(?P<version>[^"]+)"',
    "operator/pyproject.toml": r'"modelmonitor-[a-z]+==(?P<version>[^"]+)"',
    "trainer/pyproject.toml": r'"modelmonitor-[a-z]+==(?P<version>[^"]+)"',
    "charts/modelmonitor/Chart.yaml": r"(?m)^(?:version|appVersion): (?P<version>\S+)$",
    "examples/mlflow-trainer/Dockerfile": r"modelmonitor/trainer:(?P<version>\S+)",
}


def copies(path: str) -> list[str]:
    """Return the versions that a file holds."""
    return [match["version"] for match in re.finditer(COPIES[path], (ROOT / path).read_text())]


def replace_versions(text: str, pattern: str, version: str) -> str:
    """Return `text` with the group `version` of every match replaced."""
    for match in reversed(list(re.finditer(pattern, text))):
        text = text[: match.start("version")] + version + text[match.end("version") :]
    return text


def main(arguments: list[str]) -> None:
    """Print the version or set it."""
    if not arguments:
        print(SOURCE.read_text().strip())
        return
    (version,) = arguments
    if not VALID.fullmatch(version):
        sys.exit(f"error: {version!r} is not a version such as 1.2.0 or 1.2.0-rc.1")
    SOURCE.write_text(f"{version}\n")
    for path, pattern in COPIES.items():
        file = ROOT / path
        file.write_text(replace_versions(file.read_text(), pattern, version))


if __name__ == "__main__":
    main(sys.argv[1:])
