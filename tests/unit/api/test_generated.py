"""Generated files in the repository are up to date."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from generate.crd import custom_resource_definition, resource_schema
from generate.reference import PAGES

ROOT = Path(__file__).parents[3]
HINT = "run `make manifests`"


@pytest.mark.parametrize("path", ["manifests/crd.yaml", "charts/modelmonitor/files/modelmonitors.yaml"])
def test_crd_is_up_to_date(path: str) -> None:
    assert yaml.safe_load((ROOT / path).read_text()) == custom_resource_definition(), HINT


@pytest.mark.parametrize("page", [*PAGES])
def test_reference_is_up_to_date(page: str) -> None:
    assert (ROOT / "docs" / "reference" / f"{page}.md").read_text() == PAGES[page](), HINT


@pytest.mark.parametrize("page", [*PAGES])
def test_links_of_the_reference_resolve(page: str) -> None:
    def anchors(text: str) -> set[str]:
        result: set[str] = set()
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
            anchor = "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")
            result.add(anchor if anchor not in result else f"{anchor}-1")
        return result

    text = PAGES[page]()
    links = re.findall(r"\]\(([^)#]*)#([^)]+)\)", text)
    assert links
    for other, anchor in links:
        assert anchor in anchors(PAGES[other.removesuffix(".md")]() if other else text), anchor


def test_the_reference_is_complete() -> None:
    text = PAGES["modelmonitor"]()

    def fields(schema: dict[str, object], path: str) -> list[tuple[str, str]]:
        below = schema.get("items", schema)
        assert isinstance(below, dict)
        return [
            pair
            for name, field in below.get("properties", {}).items()
            for pair in ((name, field.get("description", "")), *fields(field, f"{path}.{name}"))
        ]

    for part in ("spec", "status"):
        for name, description in fields(resource_schema()["properties"][part], part):
            assert f"| `{name}` |" in text
            assert description.replace("|", "\\|") in text


def test_the_command_prints_the_crd() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "generate.crd"], check=True, capture_output=True, text=True, cwd=ROOT / "api"
    )
    assert json.loads(printed.stdout) == custom_resource_definition()
