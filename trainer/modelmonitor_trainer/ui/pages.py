"""The pages as HTML, and the content security policy that holds for each."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from modelmonitor_trainer.cluster.caller import Caller
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.page import Block, Tone, duration
from modelmonitor_trainer.cluster.status_page import status_blocks
from modelmonitor_trainer.report.check_page import render_page
from modelmonitor_trainer.report.histogram import WIDTH
from modelmonitor_trainer.ui.drift_map import LEVELS, drift_map_of
from modelmonitor_trainer.ui.fleet import (
    CELLS,
    ORDERS,
    Query,
    Score,
    count_states,
    fleet_row,
    score_of,
    select_rows,
    state_of,
)
from modelmonitor_trainer.ui.monitor_view import event_chart_of, events_of, lineage_of
from modelmonitor_trainer.ui.results import MonitorResults
from modelmonitor_trainer.ui.score_chart import HEIGHT, score_chart_of
from modelmonitor_trainer.ui.sources import Listing

#: Rows of a page of the fleet.
MOST_ROWS = 1000
_CLASSES = {Tone.GOOD: "good", Tone.BAD: "bad", Tone.UNSURE: "unsure"}
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
#: Policy of a stored report page, which has styles in its elements and in attributes.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; sandbox"
)


@dataclass(frozen=True)
class RenderedPage:
    """A page and its content security policy."""

    html: str
    policy: str


def tone_class(tone: Tone) -> str:
    """Return the CSS class of a tone."""
    return _CLASSES.get(tone, "plain")


def fleet_page(listing: Listing, query: Query, now: dt.datetime) -> RenderedPage:
    """Return the page over all monitors."""
    rows = [fleet_row(monitor, now) for monitor in listing.monitors]
    chosen = select_rows(rows, query)
    bad = sum(row.tone is Tone.BAD for row in rows)
    states = ", ".join(f"{number:,} {state}" for state, number in count_states(rows).items())
    tone = Tone.BAD if bad else Tone.GOOD if rows else Tone.UNSURE
    return _page(
        "fleet.html.j2",
        title="ModelMonitors",
        tone=tone_class(tone),
        heading=_fleet_heading(len(rows), bad),
        sentence=states or "No ModelMonitor is visible here. The getting-started guide shows how to create one.",
        subtitle=f"{now.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC. {listing.note}".strip(),
        rows=chosen[:MOST_ROWS],
        hidden=max(0, len(chosen) - MOST_ROWS),
        chosen=len(chosen),
        query=query,
        namespaces=sorted({row.namespace for row in rows}),
        states=sorted({row.state for row in rows}),
        orders=list(ORDERS),
        order_link=lambda order: "?" + _query_string(query, order),
        most_cells=CELLS,
        now=now,
    )


def _fleet_heading(count: int, bad: int) -> str:
    """Return how many monitors there are, and how many of them need attention."""
    monitors = f"{count:,} monitor{'' if count == 1 else 's'}"
    if bad:
        return f"{bad:,} of {monitors} need{'s' if bad == 1 else ''} attention"
    return monitors if count else "No monitors"


def _query_string(query: Query, order: str) -> str:
    fields = {"q": query.text, "namespace": query.namespace, "state": query.state, "sort": order}
    return urlencode({name: value for name, value in fields.items() if value})


def monitor_page(monitor: ObservedMonitor, results: MonitorResults, now: dt.datetime) -> RenderedPage:
    """Return the page of a monitor."""
    state, tone, message = state_of(monitor)
    events, served = events_of(monitor, results), lineage_of(results)
    return _page(
        "monitor.html.j2",
        title=f"{monitor.namespace}/{monitor.name}",
        tone=tone_class(tone),
        heading=f"{monitor.name}: {state}",
        sentence=message,
        subtitle=f"Namespace {monitor.namespace}. {now.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC.",
        row=fleet_row(monitor, now),
        score=score_of(monitor),
        blocks=_blocks(monitor, now),
        events=events,
        event_chart=event_chart_of(events, served, now),
        served=served,
        score_chart=score_chart_of(results.checks),
        drift_map=drift_map_of(results.checks),
        levels=LEVELS,
        problems=results.problems,
        chart_width=WIDTH,
        score_height=HEIGHT,
        now=now,
    )


def _blocks(monitor: ObservedMonitor, now: dt.datetime) -> Sequence[Block]:
    """Return what the command status shows, without what the page draws."""
    shown = [block for block in status_blocks(monitor, now, Caller(monitor.namespace)) if block.rows]
    titles = {f"{monitor.namespace}/{monitor.name}": "State", "Next": "Commands"}
    return [
        Block(titles.get(block.title, block.title), tuple(row for row in block.rows if row.wrap))
        for block in shown
        if block.title != "Newest decisions"
    ]


def problem_page(heading: str, sentence: str, *, up: str = "") -> RenderedPage:
    """Return a page that says why there is nothing to see; `up` is the address of the fleet, relative to it."""
    return _page("problem.html.j2", title=heading, tone="bad", heading=heading, sentence=sentence, subtitle="", up=up)


def _page(template: str, **context: object) -> RenderedPage:
    helpers = {"tone_class": tone_class, "until": until, "score_text": score_text}
    html = render_page(template, {**helpers, **context})
    styles = " ".join(f"'sha256-{_digest(style)}'" for style in _STYLE.findall(html))
    policy = (
        f"default-src 'none'; style-src {styles}; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return RenderedPage(html, policy)


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def until(time: dt.datetime, now: dt.datetime) -> str:
    """Return how long it is until a time."""
    seconds = (time - now).total_seconds()
    return f"in {duration(seconds)}" if seconds > 0 else "due"


def score_text(score: Score | None) -> str:
    """Return a score beside its promise."""
    if score is None:
        return ""
    parts = [f"{score.served:.4g}"] if score.served is not None else []
    if score.promised is not None:
        parts.append(f"promised {score.promised:.4g}" if parts else f"{score.promised:.4g} promised")
    return ", ".join(parts)
