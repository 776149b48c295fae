"""Every term has its definition, links lead somewhere, and the site loads nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from modelmonitor_api.outcomes import Verdict
from unit.docs.run import DOCS, ROOT
from unit.docs.test_reference import enum

GLOSSARY = (DOCS / "glossary.md").read_text()
DEFINITIONS = dict(re.findall(r"^\*\*(.+?)\*\*\n:   (.+?)(?=\n\n|\Z)", GLOSSARY, re.MULTILINE | re.DOTALL))
#: Terms that messages and pages use for one thing each.
TERMS = [
    *("monitor", "check", "training", "detector", "verdict", "live window", "reference window", "partition", "object"),
    *("feature contract", "violation", "limit", "effect", "champion", "challenger", "hold-out"),
    *("promotion gate", "criterion", "hold", "trigger", "cooldown", "retraining budget", "rollback"),
    *("automatic rollback", "champion watch", "rollout", "data manifest", "model version", "champion pointer"),
    *("results prefix", "custom trainer", "label delay", "mature labels", "join key", "slice", "baseline"),
    *("promotion score", "retention", "reservation", "final fit"),
    *("replay", "arrival", "setting", "policy", "evaluation period", "point", "oracle", "regret"),
]
PAGES = sorted(DOCS.rglob("*.md"))
OUTSIDE = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *ROOT.glob("charts/*/README.md"),
    *ROOT.glob("examples/*/README.md"),
]


@pytest.mark.parametrize("name", ["DetectorType", "Strategy", "ConditionType"])
def test_every_noun_of_the_api_is_defined(name: str) -> None:
    assert {f"`{member.value}`" for member in enum(name)} <= set(DEFINITIONS)


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_defined(verdict: Verdict) -> None:
    assert f"`{verdict.value}`" in DEFINITIONS


@pytest.mark.parametrize("page", ["getting-started/first-check.md", "concepts/checks-and-verdicts.md", "glossary.md"])
def test_pages_that_list_the_verdicts_list_all(page: str) -> None:
    assert {f"`{verdict.value}`" for verdict in Verdict} <= set(re.findall(r"`\w+`", (DOCS / page).read_text()))


@pytest.mark.parametrize("term", TERMS)
def test_every_term_is_defined(term: str) -> None:
    assert term in {name.lower() for name in DEFINITIONS}


@pytest.mark.parametrize("term", DEFINITIONS)
def test_a_definition_is_two_or_three_sentences(term: str) -> None:
    text = re.sub(r"`[^`]*`", "x", DEFINITIONS[term])
    assert 2 <= len(re.findall(r"\.(?=\s|$)", text)) <= 3, text


def links(path: Path) -> list[str]:
    """Return the relative links of a page."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in targets if not re.match(r"[a-z]+:", link)]


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub gives them."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    seen: dict[str, int] = {}
    slugs = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")
        slugs.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return slugs


@pytest.mark.parametrize("path", [*OUTSIDE, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_have_a_target(path: Path) -> None:
    for link in links(path):
        target, _, anchor = link.partition("#")
        other = (path.parent / target).resolve() if target else path
        assert other.exists(), link
        if anchor:
            assert anchor in anchors(other), link


def test_pages_of_the_site_link_within_the_site() -> None:
    # MkDocs builds docs/ alone: a link that leaves it works on GitHub only.
    for path in PAGES:
        for link in links(path):
            assert (path.parent / link.partition("#")[0]).resolve().is_relative_to(DOCS), f"{path}: {link}"


def test_every_page_is_in_the_navigation() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = set(re.findall(r"[\w/.-]+\.md", str(settings["nav"])))
    pages = {str(path.relative_to(DOCS)) for path in PAGES}
    added = {page for page in pages if page.startswith("adr/") or page == "contributing/adding-a-detector.md"}
    assert listed == pages - added


def test_every_page_but_decisions_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links(ROOT / "README.md")}
    listed_elsewhere = {"adr", "contributing", "runbooks"}
    pages = {f"docs/{path.relative_to(DOCS)}" for path in PAGES if path.parent.name not in listed_elsewhere}
    assert pages - linked == {"docs/index.md"}


def test_the_map_of_packages_has_all_packages_of_the_trainer() -> None:
    text = (DOCS / "contributing" / "index.md").read_text()
    packages = {path.parent.name for path in (ROOT / "trainer" / "modelmonitor_trainer").glob("*/__init__.py")}
    rows = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == packages


def test_the_site_loads_nothing_from_elsewhere() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["theme"]["font"] is False
    assert "repo_url" not in settings, "the theme asks the host of the repository for numbers"
    assert not {"extra_javascript", "extra_templates"} & set(settings)
    assert not any("mermaid" in path.read_text() for path in PAGES)


def test_the_documentation_has_its_own_requirements() -> None:
    locked = (ROOT / "requirements" / "docs.txt").read_text()
    assert re.search(r"^mkdocs-material==", locked, re.MULTILINE)
    assert "--hash=sha256:" in locked
    assert "http" not in locked
    assert "mkdocs" not in (ROOT / "requirements" / "dev.txt").read_text()


def test_images_are_small() -> None:
    for path in (DOCS / "images").iterdir():
        assert path.stat().st_size < 200_000, path.name
