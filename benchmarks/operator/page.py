"""The figures of the operator, as a page of the documentation with a chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Name of a figure, its title in the table, its format, and its bars for 1,000 and 10,000 monitors.
_ROWS = (
    ("seconds to all ready", "all ready, after the first was created", "{:.0f} s", "", "600 s"),
    ("MiB steady", "memory, steady", "{:.0f} MiB", "128 MiB", "256 MiB"),
    ("MiB peak", "memory, most", "{:.0f} MiB", "128 MiB", "256 MiB"),
    ("restart: MiB peak", "memory, most after a restart", "{:.0f} MiB", "128 MiB", "256 MiB"),
    ("edit to CronJob, p50", "edit to CronJob, median", "{:.2f} s", "", ""),
    ("edit to CronJob, p95", "edit to CronJob, 95th percentile", "{:.2f} s", "2 s", "5 s"),
    ("Job end to status, p50", "end of a Job to status, median", "{:.2f} s", "", ""),
    ("Job end to status, p95", "end of a Job to status, 95th percentile", "{:.2f} s", "2 s", "5 s"),
    ("burst: seconds", "1,000 Jobs end within a minute: all recorded after", "{:.0f} s", "120 s", "120 s"),
    ("idle: reads a minute", "reads a minute, nothing changes", "{:.1f}", "10", "60"),
    ("idle: writes a minute", "writes a minute, nothing changes", "{:.1f}", "0", "0"),
    ("idle: cores", "processor, nothing changes", "{:.2%} of a core", "1 %", ""),
    ("idle: cores of the API server", "processor of the API server, nothing changes", "{:.1%} of a core", "", ""),
    ("reads per new monitor", "reads for a new monitor", "{:.1f}", "", ""),
    ("writes per new monitor", "writes for a new monitor, events included", "{:.1f}", "", ""),
    ("reads per change", "reads for an edit or the end of a Job", "{:.1f}", "", ""),
    ("writes per change", "writes for an edit or the end of a Job, events included", "{:.1f}", "", ""),
    ("CPU ms per new monitor, operator", "processor for a new monitor", "{:.0f} ms", "", ""),
    ("CPU ms per new monitor, kube-apiserver", "processor of the API server for a new monitor", "{:.0f} ms", "", ""),
    ("restart: writes", "writes after a restart", "{:.0f}", "0", "0"),
    ("restart: reads", "reads after a restart", "{:.0f}", "", ""),
    ("restart: seconds to steady", "restart to steady", "{:.0f} s", "", "60 s"),
)

_INTRODUCTION = """\
# The operator with many monitors

What the operator needs, and how soon it responds. `make bench-operator` writes this page.

Each run starts etcd, kube-apiserver and its controllers, and the operator with the settings of the chart, on one
machine. The monitors are spread over 50 namespaces, have 20 features each, and are not suspended; their schedules do
not fire during the run. There are no nodes: the benchmark ends pods and Jobs as the kubelet and the Job controller do.
Edits and ends of Jobs are measured one at a time, over more than a minute, so that they meet a resync."""
_EXPLANATION = """\
## How it works

- **A cache instead of reads.** The operator lists monitors, CronJobs and Jobs in pages at its start, and watches them
  from then on ([ADR 36](../adr/0036-cache-and-priorities.md)). Objects are kept compressed,
  in less than a kilobyte each. A pass of the reconcile loop runs on the cache first: if nothing is to be done, it
  ends there without a request. Otherwise it runs again on the API server, so that everything that is written
  follows from what was read there.
- **Changes come first.** The queue has three priorities: edits and ends of Jobs, new monitors, and everything else.
  Every fifth turn goes to a lower priority, and the namespaces take turns, so that neither ten thousand new
  monitors nor one that always fails delay the others by more than seconds. Failed passes are repeated after 1 s, 2
  s, … 300 s, spread at random, and not before the API server permits it (`Retry-After`).
- **Time is in an agenda.** A pass returns when time alone can change its result: the next check, the end of a
  cooldown. The resync starts passes for the monitors that are due. It also compares the versions of all monitors
  with a list of their metadata, in pages, to find what a watch has missed.
- **Silent watches are noticed.** The API server sends a bookmark every minute. A watch without one for 75 s starts
  again where it ended, or with a new list if that is too long ago.

The number of trainings at the same time can be [limited](../how-to/limit-trainings.md)."""


def markdown(runs: Sequence[dict[str, Any]], image: str) -> str:
    """Return the page for runs in the order of their numbers of monitors; `image` is the path of the chart."""
    header = ["", *(f"{run['monitors']:,} monitors" for run in runs), "bar at 1,000", "bar at 10,000"]
    lines = [f"| {' | '.join(header)} |", f"|---|{'--:|' * (len(header) - 1)}"]
    for name, title, style, small, large in _ROWS:
        cells = [style.format(run[name]).replace("%", " %") if run.get(name) is not None else "–" for run in runs]
        lines.append(f"| {' | '.join([title, *cells, small, large])} |")
    notes = [_note(run) for run in runs]
    chart = f"![Memory and requests against the number of monitors]({image})"
    return "\n\n".join([_INTRODUCTION, "\n".join(lines), *notes, chart, _EXPLANATION]) + "\n"


def _note(run: dict[str, Any]) -> str:
    others, own = (run.get(f"CPU ms per new monitor, {name}", 0.0) for name in ("other programs", "operator"))
    note = f"{run['monitors']:,} monitors: {run['time'][:10]}, {run['cores']} cores, Python {run['python']}."
    if "seconds to seed" in run:
        note += " The monitors and their first checks were written before the operator started, instead of by it."
    if own and others > own:
        note += (
            f" Meanwhile, other programs of the machine used {others / own:.0f} times the operator's processor time."
        )
    return note


def chart(runs: Sequence[dict[str, Any]]) -> str:
    """Return an SVG of memory and requests against the number of monitors."""
    panels = (
        ("Memory, MiB", [("steady", "MiB steady"), ("most", "MiB peak"), ("restart", "restart: MiB peak")], 0),
        ("Reads a minute, nothing changes", [("reads", "idle: reads a minute")], 1),
    )
    body = "".join(_panel(title, series, runs, 340 * column) for title, series, column in panels)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 260" font-family="sans-serif" font-size="12">'
        f'<rect width="680" height="260" fill="#fff"/>{body}</svg>\n'
    )


_COLOURS = ("#3949ab", "#e65100", "#00796b")


def _panel(title: str, series: list[tuple[str, str]], runs: Sequence[dict[str, Any]], left: int) -> str:
    values = {label: [float(run[name]) for run in runs if run.get(name) is not None] for label, name in series}
    top = max([1.0, *(value for each in values.values() for value in each)]) * 1.1
    most = max(run["monitors"] for run in runs)

    def x(monitors: float) -> float:
        return left + 50 + 260 * monitors / most

    def y(value: float) -> float:
        return 210 - 160 * value / top

    parts = [
        f'<text x="{left + 50}" y="25" font-weight="bold">{title}</text>',
        f'<path d="M{left + 50} 50V210H{left + 310}" fill="none" stroke="#999"/>',
    ]
    for step in range(5):
        value = top * step / 4
        parts.append(f'<text x="{left + 44}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#555">{value:.0f}</text>')
    for run in runs:
        number = f"{run['monitors']:,}"
        parts.append(f'<text x="{x(run["monitors"]):.1f}" y="228" text-anchor="middle" fill="#555">{number}</text>')
    for points, colour in zip(values.values(), _COLOURS, strict=False):
        positions = [(x(run["monitors"]), y(value)) for run, value in zip(runs, points, strict=False)]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in positions)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in positions]
    for row, ((label, _), colour) in enumerate(zip(values.items(), _COLOURS, strict=False)):
        parts.append(f'<text x="{left + 60 + 80 * row}" y="250" fill="{colour}">● {label}</text>')
    return "".join(parts)


def write(page: Path, runs: Sequence[dict[str, Any]]) -> None:
    """Write the page and its chart, in the folder of images beside it."""
    image = page.parent.parent / "images" / "operator.svg"
    image.write_text(chart(runs), encoding="utf-8")
    page.write_text(markdown(runs, f"../images/{image.name}"), encoding="utf-8")
