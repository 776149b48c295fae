"""The page of a replay: the conclusion first, then scores, decisions, costs, and what was not reconstructed."""

from __future__ import annotations

from modelmonitor_api.names import Role
from modelmonitor_trainer.replay.charts import HEIGHT, WIDTH, chart_decisions, regret_by_price, scores_over_time
from modelmonitor_trainer.replay.conclusion import conclude, headline, tone
from modelmonitor_trainer.replay.result import ReplayResult, describe_outcome
from modelmonitor_trainer.report.check_page import render_page

#: Rows of the table of events: trainings and changes of the verdict.
_EVENTS = 200


def render(result: ReplayResult) -> str:
    """Return the page of a replay: one file without scripts."""
    return render_page(
        "replay.html.j2",
        {
            "title": f"Replay of {result.monitor}",
            "tone": tone(result),
            "heading": headline(result),
            "sentence": conclude(result),
            "subtitle": f"{result.monitor}, {result.first} through {result.last}",
            "result": result,
            "scores": scores_over_time(result),
            "regret": regret_by_price(result),
            "decisions": chart_decisions(result),
            "events": _events(result),
            "width": WIDTH,
            "height": HEIGHT,
        },
    )


def _events(result: ReplayResult) -> list[dict[str, str]]:
    """Return the events to list: all but checks whose verdict is that of the check before."""
    rows: list[dict[str, str]] = []
    last = ""
    for event in result.own.events:
        outcome = describe_outcome(event)
        if event.job.role is Role.CHECK:
            if outcome == last:
                continue
            last = outcome
        rows.append(
            {
                "time": f"{event.time:%Y-%m-%d %H:%M}",
                "action": event.job.role.value,
                "trigger": event.job.trigger.partition(":")[0],
                "outcome": outcome,
                "message": event.answer.message,
                "report": getattr(event.answer, "report_uri", None) or "",
            }
        )
    return rows[-_EVENTS:]
