"""MkDocs hooks: complete the navigation, and give generated headings the anchors that GitHub gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: Pages that are listed if they exist, by the section they belong to.
_OPTIONAL = {"Contributing": ("contributing/adding-a-detector.md",)}


def on_config(config: Any) -> Any:
    """Add the decision records and the optional pages to the navigation."""
    docs = Path(config["docs_dir"])
    for section in config["nav"]:
        for title, pages in section.items():
            if title == "Decisions":
                pages[:] = ["adr/README.md", *(f"adr/{path.name}" for path in sorted((docs / "adr").glob("0*.md")))]
            for page in _OPTIONAL.get(title, ()):
                if (docs / page).exists() and page not in pages:
                    pages.append(page)
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Give the second of two equal headings of the generated reference its anchor: -1 on GitHub, _1 in Markdown."""
    if page.file.src_uri == "reference/modelmonitor.md":
        return markdown.replace("\n### spec\n", "\n### spec { #spec-1 }\n").replace(
            "\n### status\n", "\n### status { #status-1 }\n"
        )
    return markdown
