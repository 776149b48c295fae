"""Pages in a real browser: what is cut off, and what the browser complains about."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
#: Browsers are not among the packages that the tests install: without one, what only a browser can show stays untested.
NEEDS_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

# The page in a frame, because windows have a minimum width. The frame measures, because the page has no scripts.
FRAME = """<!doctype html><body style="margin: 0">
<iframe id="page" src="page.html" style="border: 0; width: {width}px; height: 6000px"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.getElementById("page").contentDocument, root = page.documentElement;
  const out = [...page.querySelectorAll("body *")]
    .filter(e => !e.closest(".scroll") && !e.closest("svg") && e.getBoundingClientRect().right > {width} + 1)
    .map(e => e.tagName + "." + e.className).slice(0, 5);
  const measured = {{width: root.scrollWidth, out, title: page.title, text: page.body.innerText.length}};
  document.body.innerHTML = "<pre id=measured>" + JSON.stringify(measured).replaceAll("<", "") + "</pre>";
}});
</script>"""


def browse(folder: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Open an address, with a profile in a folder."""
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", *options),
        *("--enable-logging=stderr", "--v=0", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000"),
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def complaints(process: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines that the browser has logged about a page."""
    return [line for line in process.stderr.splitlines() if "CONSOLE" in line]


def measure(folder: Path, width: int) -> tuple[dict[str, Any], list[str]]:
    """Return the measurements of page.html in a folder, and the lines that the browser logs."""
    measured, logged = run_frame(folder, FRAME.format(width=width), f"--window-size={max(width, 1400)},2000")
    assert isinstance(measured, dict)
    return measured, logged


def run_frame(folder: Path, frame: str, *options: str) -> tuple[Any, list[str]]:
    """Return what a document with the page in a frame measures, and the lines that the browser logs."""
    (folder / "frame.html").write_text(frame)
    process = browse(folder, f"file://{folder}/frame.html", "--dump-dom", *options)
    match = re.search(r'<pre id="measured">(.*?)</pre>', process.stdout, re.DOTALL)
    assert match, process.stderr[-2000:]
    return json.loads(html.unescape(match[1])), complaints(process)
