"""Draw the diagrams of the documentation as SVG files in docs/images; they follow the reader's light or dark mode.

usage: python hack/draw_diagrams.py [FOLDER]     (default: docs/images)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_STYLE = """<style>
:root { --ink: #1b2330; --soft: #5a6472; --line: #8a94a3; --box: #f4f6f9;
  --good: #1a7f43; --bad: #b3261e; --note: #1f5fbf; }
@media (prefers-color-scheme: dark) {
:root { --ink: #e6e9ee; --soft: #a9b2bf; --line: #7d8795; --box: #262c36;
  --good: #5fc98a; --bad: #ff8a80; --note: #8ab4f8; }
}
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.soft { fill: var(--soft); font-size: 11.5px; }
.mono { font: 13px ui-monospace, monospace; white-space: pre; }
rect { fill: var(--box); stroke: var(--line); }
.good { stroke: var(--good); } .bad { stroke: var(--bad); } .note { stroke: var(--note); }
rect.good, rect.bad, rect.note { stroke-width: 2; }
path { fill: none; stroke: var(--line); stroke-width: 1.5; marker-end: url(#head); }
marker path { fill: var(--line); stroke: none; marker-end: none; }
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 8 4 0 8z"/></marker></defs>"""


@dataclass(frozen=True)
class Box:
    """A box with lines of text, the first of which is its name; (x, y) is its upper left corner."""

    x: int
    y: int
    width: int
    lines: tuple[str, ...]
    kind: str = ""

    @property
    def height(self) -> int:
        """Height in pixels."""
        return 16 + 17 * len(self.lines)

    def svg(self) -> Iterator[str]:
        """Yield the elements."""
        yield (
            f'<rect class="{self.kind}" x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="7"/>'
        )
        for number, line in enumerate(self.lines):
            style = ' class="soft"' if number else ""
            middle = self.x + self.width / 2
            y = self.y + 21 + 17 * number
            yield f'<text{style} x="{middle:g}" y="{y}" text-anchor="middle">{escape(line)}</text>'


@dataclass(frozen=True)
class Arrow:
    """An arrow along points, with a label at (x, y) that starts, ends or is centred there."""

    points: tuple[tuple[int, int], ...]
    label: str = ""
    at: tuple[int, int] = (0, 0)
    anchor: str = "start"

    def svg(self) -> Iterator[str]:
        """Yield the elements."""
        yield '<path d="M' + " L".join(f"{x} {y}" for x, y in self.points) + '"/>'
        for number, line in enumerate(self.label.split("\n") if self.label else ()):
            x, y = self.at
            yield f'<text class="soft" x="{x}" y="{y + 15 * number}" text-anchor="{self.anchor}">{escape(line)}</text>'


def drawing(title: str, width: int, height: int, elements: Sequence[Box | Arrow]) -> str:
    """Return an SVG document."""
    body = "\n".join(line for element in elements for line in element.svg())
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'{head} role="img">\n<title>{escape(title)}</title>\n{_STYLE}\n{body}\n</svg>\n'


def life() -> str:
    """Return the life of a monitor: its states and what leads from one to the next."""
    boxes = (
        Box(20, 20, 150, ("Created", "the CronJob is in place"), "note"),
        Box(20, 130, 150, ("First check", "no champion yet")),
        Box(20, 240, 150, ("First training", "compared with", "trivial models")),
        Box(300, 240, 170, ("Champion serves", "checked on schedule"), "good"),
        Box(300, 105, 170, ("NoDrift or", "Inconclusive", "nothing to do")),
        Box(300, 20, 170, ("Corrupted", "trainings are blocked"), "bad"),
        Box(300, 365, 170, ("Trigger", "drift, score drop,", "period, rows, request")),
        Box(560, 365, 170, ("Hold", "cooldown, budget,", "manual mode, …")),
        Box(300, 490, 170, ("Training", "makes a challenger")),
        Box(300, 600, 170, ("Promotion gate", "same later rows"), "note"),
        Box(40, 600, 150, ("Rejected", "the champion stays"), "bad"),
        Box(560, 600, 170, ("Promoted", "pointer moves, rollout"), "good"),
        Box(560, 490, 170, ("Champion watch", "compared with its", "predecessor"), "note"),
        Box(560, 240, 170, ("Rolled back", "the previous version", "serves again"), "bad"),
    )
    arrows = (
        Arrow(((95, 70), (95, 128)), "at once", (102, 104)),
        Arrow(((95, 180), (95, 238)), "rows were found", (102, 214)),
        Arrow(((172, 266), (298, 266)), "passes", (235, 258), "middle"),
        Arrow(((385, 238), (385, 174)), "check", (392, 212)),
        Arrow(((300, 250), (262, 250), (262, 45), (298, 45)), "check", (256, 150), "end"),
        Arrow(((385, 290), (385, 363)), "a check, the time,\nor a request", (378, 322), "end"),
        Arrow(((472, 399), (558, 399))),
        Arrow(((385, 432), (385, 488)), "no hold applies", (392, 464)),
        Arrow(((385, 540), (385, 598))),
        Arrow(((298, 625), (192, 625)), "not shown to\nbe as good", (245, 644), "middle"),
        Arrow(((115, 598), (115, 400), (230, 400), (230, 280), (298, 280))),
        Arrow(((472, 625), (558, 625)), "passes", (515, 617), "middle"),
        Arrow(((645, 598), (645, 559)), "new champion", (652, 584)),
        Arrow(((558, 524), (505, 524), (505, 278), (472, 278)), "not worse", (512, 470)),
        Arrow(((732, 524), (775, 524), (775, 272), (732, 272)), "worse", (768, 440), "end"),
        Arrow(((732, 625), (790, 625), (790, 258), (732, 258)), "rollout\nfails", (784, 646), "end"),
        Arrow(((558, 262), (472, 262))),
    )
    return drawing("The life of a monitor", 810, 670, (*arrows, *boxes))


def data_flow() -> str:
    """Return who reads and writes what."""
    boxes = (
        Box(20, 20, 190, ("You", "kubectl, Helm, GitOps")),
        Box(20, 150, 190, ("ModelMonitor", "spec and status,", "in the API server"), "note"),
        Box(20, 300, 190, ("Operator", "reconcile loop,", "no access to S3"), "note"),
        Box(310, 150, 190, ("Check pod", "CronJob")),
        Box(310, 300, 190, ("Training pod", "Job: train, compare")),
        Box(310, 430, 190, ("Rollback pod", "Job: move the pointer")),
        Box(20, 430, 190, ("Deployment", "serves the champion"), "good"),
        Box(610, 150, 190, ("S3: data", "rows and labels,", "by day or hour")),
        Box(610, 300, 190, ("S3: results", "profiles, reports,", "versions, champion.json")),
    )
    arrows = (
        Arrow(((115, 70), (115, 148)), "apply, annotate, describe", (122, 112)),
        Arrow(((105, 217), (105, 298)), "spec", (98, 262), "end"),
        Arrow(((125, 298), (125, 219)), "status, events", (132, 262)),
        Arrow(
            ((212, 320), (262, 320), (262, 176), (308, 176)),
            "creates; each pod returns a\nverdict of at most 2 KB as\nits termination message",
            (270, 228),
        ),
        Arrow(((212, 326), (308, 326))),
        Arrow(((212, 340), (262, 340), (262, 455), (308, 455))),
        Arrow(((115, 367), (115, 428)), "version (optional)", (122, 402)),
        Arrow(((608, 176), (502, 176)), "reads", (555, 168), "middle"),
        Arrow(((608, 200), (555, 200), (555, 312), (502, 312)), "reads", (562, 256)),
        Arrow(((502, 190), (530, 190), (530, 322), (608, 322))),
        Arrow(((502, 338), (608, 338)), "reads, writes", (555, 355), "middle"),
        Arrow(((502, 455), (705, 455), (705, 369)), "writes", (610, 448), "middle"),
    )
    return drawing("Who reads and writes what", 820, 500, (*arrows, *boxes))


def terminal(text: str) -> str:
    """Return what a terminal shows: commands and their output."""
    lines = text.strip("\n").split("\n")
    width, height = 18 + round(7.85 * max(len(line) for line in lines)), 24 + 19 * len(lines)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    rows = [
        f'<text class="mono" x="14" y="{26 + 19 * number}" xml:space="preserve">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    frame = f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="7"/>'
    return "\n".join([f'{head} role="img">', "<title>A terminal</title>", _STYLE, frame, *rows, "</svg>\n"])


def diagrams() -> dict[str, str]:
    """Return file name → SVG."""
    return {
        "life-of-a-monitor.svg": life(),
        "data-flow.svg": data_flow(),
        "terminal.svg": terminal((IMAGES / "terminal.txt").read_text(encoding="utf-8")),
    }


def main() -> None:
    """Write all diagrams."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    for name, text in diagrams().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
