"""MkDocs hooks: complete the navigation, align anchors with GitHub's, and refuse pages that load from other hosts."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

_LOG = logging.getLogger("mkdocs.hooks.docs")
#: What a browser loads by itself from another host.
_EXTERNAL = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
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


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Warn, and so fail a strict build, if a page loads anything from another host."""
    for element in _EXTERNAL.findall(output):
        if 'rel="canonical"' not in element:
            _LOG.warning("%s loads from another host: %s", page.file.src_uri, element)
    return output
