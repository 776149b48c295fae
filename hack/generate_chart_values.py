"""Print the README of the chart with its table of values, from the comments of values.yaml; `make manifests` writes it.

A comment that begins with `# --` documents the key below it, with all that the key contains. Any other key must contain
documented ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

BEGIN = "<!-- Generated from values.yaml by hack/generate_chart_values.py; do not edit. -->"
END = "<!-- End of the generated table. -->"
_DOCUMENTS = "# -- "


def readme(text: str, values: str) -> str:
    """Return the README with the table of these values between its two marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    rows = [f"| `{key}` | `{default}` | {meaning} |" for key, default, meaning in documented(values)]
    return "\n".join(
        [f"{before}{BEGIN}", "", "| Value | Default | Meaning |", "|---|---|---|", *rows, "", f"{END}{after}"]
    )


def documented(values: str) -> Iterator[tuple[str, str, str]]:
    """Yield key, default and meaning of each documented value.

    Raises
    ------
    ValueError
        If a value is not documented.
    """
    root = yaml.compose(values, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    yield from _documented(root, values.splitlines(), "")


def _documented(mapping: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[tuple[str, str, str]]:
    for key, value in mapping.value:
        name = f"{prefix}{key.value}"
        meaning = _comment(lines, key.start_mark.line)
        if meaning is not None:
            yield name, json.dumps(_data(value)), meaning
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _documented(value, lines, f"{name}.")
        else:
            raise ValueError(f"values.yaml:{key.start_mark.line + 1}: {name} has no comment that begins with '# --'")


def _comment(lines: list[str], line: int) -> str | None:
    """Return the comment above a line, None if it documents nothing."""
    above: list[str] = []
    while line and (text := lines[line - 1].strip()).startswith("#"):
        line -= 1
        if text.startswith(_DOCUMENTS):
            return " ".join([text.removeprefix(_DOCUMENTS), *above]).replace("|", "\\|")
        above.insert(0, text.removeprefix("#").strip())
    return None


def _data(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))


if __name__ == "__main__":
    chart = Path(sys.argv[1])
    contents = [(chart / name).read_text(encoding="utf-8") for name in ("README.md", "values.yaml")]
    print(readme(contents[0], contents[1]), end="")
