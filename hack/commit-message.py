#!/usr/bin/env python3
"""Check the form of a commit message, as CONTRIBUTING.md asks for it. A hook of pre-commit.

usage: hack/commit-message.py FILE
"""

import sys
from pathlib import Path

LONGEST_SUBJECT = 72
#: Subjects that git writes itself.
GENERATED = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")


def problems(message: str) -> list[str]:
    """Return what is wrong with a commit message."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    while lines and not lines[0].strip():
        lines.pop(0)
    subject = lines[0] if lines else ""
    if not subject:
        return ["the message is empty"]
    if subject.startswith(GENERATED):
        return []
    errors = []
    if len(subject) > LONGEST_SUBJECT:
        errors.append(f"the subject has {len(subject)} characters; at most {LONGEST_SUBJECT} fit into git log")
    if subject.endswith("."):
        errors.append("the subject ends with a full stop")
    if not subject[0].isupper():
        errors.append("the subject does not begin with a capital letter; prefixes such as 'fix:' are not used")
    if len(lines) > 1 and lines[1].strip():
        errors.append("the second line is not blank")
    return errors


def main(path: str) -> None:
    """Exit with the problems of the message in a file, if there are any."""
    errors = problems(Path(path).read_text(encoding="utf-8"))
    if errors:
        sys.exit("\n".join(f"error: {error}" for error in errors))


if __name__ == "__main__":
    main(sys.argv[1])
