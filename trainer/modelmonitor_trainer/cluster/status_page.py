"""The page of ``kubectl mmon status``: what a monitor has found, what serves, and what happens next."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from modelmonitor_api.names import ConditionType, Reason
from modelmonitor_api.outcomes import TrainingOutcome
from modelmonitor_api.status import FAILED, LastTraining
from modelmonitor_api.times import format_time
from modelmonitor_trainer.cluster.caller import Caller
from modelmonitor_trainer.cluster.observed import CheckPoint, ObservedMonitor
from modelmonitor_trainer.cluster.page import Block, Row, Tone, clean, duration, full_stop, relative, sparkline
from modelmonitor_trainer.text import number

#: Entries of the history, and checks in a line of the time line.
_HISTORY = 5
_LINE = 60
_TONES = {
    Reason.NO_DRIFT.value: Tone.GOOD,
    Reason.DRIFT.value: Tone.BAD,
    Reason.CORRUPTED.value: Tone.BAD,
    Reason.CHAMPION_UNUSABLE.value: Tone.BAD,
    Reason.PERFORMANCE_DROP.value: Tone.BAD,
    Reason.INCONCLUSIVE.value: Tone.UNSURE,
    FAILED: Tone.BAD,
    TrainingOutcome.PROMOTED.value: Tone.GOOD,
    TrainingOutcome.FAILED.value: Tone.BAD,
}


def tone_of(word: str) -> Tone:
    """Return the tone of a verdict or an outcome."""
    return _TONES.get(word, Tone.UNSURE)


def status_blocks(monitor: ObservedMonitor, now: dt.datetime, caller: Caller) -> tuple[Block, ...]:
    """Return the page of a monitor."""
    return (
        Block(f"{monitor.namespace}/{monitor.name}", tuple(_problems(monitor))),
        Block("Checks", tuple(_checks(monitor, now))),
        Block("Champion", tuple(_champion(monitor, now))),
        Block("Training", tuple(_training(monitor, now))),
        *history_blocks(monitor, _HISTORY, "Newest decisions"),
        Block("Next", tuple(_next_steps(monitor, caller))),
    )


def _problems(monitor: ObservedMonitor) -> Iterator[Row]:
    """Yield the state as a whole: one row if all is well, one for each thing that is not."""
    status = monitor.status
    ready = monitor.condition(ConditionType.READY)
    rows = []
    if not status.conditions:
        text = "No operator has processed it. It watches the namespaces in watchNamespaces of its chart."
        rows.append(Row("", text, "Not processed.", Tone.BAD))
    elif ready is not None and ready.status != "True":
        rows.append(Row("", full_stop(ready.message), f"Not ready ({ready.reason}).", Tone.BAD))
    elif status.observed_generation is not None and status.observed_generation < monitor.generation:
        rows.append(Row("", "The operator has not processed the newest spec yet.", "Outdated.", Tone.UNSURE))
    if monitor.spec is not None and monitor.spec.suspend:
        rows.append(Row("", "Neither checks nor trainings start.", "Paused.", Tone.UNSURE))
    failure = status.last_check_failure
    if failure is not None:
        times = f" {failure.failures} times in a row" if failure.failures > 1 else ""
        rows.append(Row("", full_stop(failure.message), f"Checks fail{times} ({failure.reason}).", Tone.BAD))
    rows += [
        Row("", full_stop(job.message), f"A {job.role} Job waits ({job.reason}).", Tone.BAD)
        for job in status.waiting_jobs
        if job.reason not in {Reason.PENDING, Reason.QUEUED}
    ]
    for kind in (ConditionType.CHAMPION_HEALTHY, ConditionType.ROLLED_OUT):
        condition = monitor.condition(kind)
        if condition is not None and condition.status == "False" and condition.reason != Reason.ROLLOUT_PROGRESSING:
            rows.append(Row("", full_stop(condition.message), f"{condition.reason}.", Tone.BAD))
    yield from rows
    if not rows:
        yield Row("", "The operator keeps it up to date.", "Ready.", Tone.GOOD)


def _checks(monitor: ObservedMonitor, now: dt.datetime) -> Iterator[Row]:
    status, check = monitor.status, monitor.status.last_check
    if check is None:
        yield Row("Verdict", "No check has returned a verdict yet.", tone=Tone.DIM)
    else:
        yield Row("Verdict", full_stop(check.message), f"{check.verdict}.", tone_of(check.verdict))
        yield Row("Checked", relative(check.completion_time or check.time, now))
        drifted = [f"{item.name} (effect {item.effect})" for item in check.top_features if item.drifted]
        if drifted:
            yield Row("Drifted", ", ".join(drifted))
        if check.consecutive_drifts > 1:
            yield Row("In a row", f"{check.consecutive_drifts} checks have found drift")
        if check.drift_onset is not None:
            yield Row("Since", f"the change is estimated to begin on {check.drift_onset}")
        if check.rows is not None:
            rows = f"{check.rows.current:,} current, {check.rows.reference:,} in the reference"
            if check.new_rows is not None:
                rows += f"; {check.new_rows:,} are newer than the champion's training data"
            yield Row("Rows", rows)
    if len(monitor.checks) > 1:
        yield from _time_line(monitor.checks)
    if monitor.spec is not None and monitor.spec.suspend:
        yield Row("Next", "none while the monitor is paused")
    elif status.next_check_time is not None:
        yield Row("Next", relative(status.next_check_time, now))


def _time_line(points: Sequence[CheckPoint]) -> Iterator[Row]:
    """Yield the checks as bars of their largest effect, oldest first, and their verdicts below as letters."""
    known = [point.effect for point in points if point.effect is not None]
    most = max([0.2, *known])
    for start in range(0, len(points), _LINE):
        part = points[start : start + _LINE]
        bars = sparkline([point.effect for point in part], most)
        letters = "".join(_LETTERS.get(point.verdict, "?") for point in part)
        yield Row("" if start else "Time line", f"{bars}  from {part[0].time:%Y-%m-%d}", wrap=False)
        yield Row("", letters, wrap=False)
    counts = Counter(point.verdict for point in points)
    legend = ", ".join(f"{_LETTERS.get(word, '?')} {word} ×{count}" for word, count in counts.most_common())
    heights = f"; bars: largest effect of a check, {min(known):.2f} to {max(known):.2f}" if known else ""
    yield Row("", f"{legend}{heights}", tone=Tone.DIM)


#: Verdicts in the time line.
_LETTERS = {
    Reason.NO_DRIFT.value: "-",
    Reason.DRIFT.value: "D",
    Reason.CORRUPTED.value: "C",
    Reason.CHAMPION_UNUSABLE.value: "U",
    Reason.PERFORMANCE_DROP.value: "P",
    Reason.INCONCLUSIVE.value: "i",
    FAILED: "x",
}


def _champion(monitor: ObservedMonitor, now: dt.datetime) -> Iterator[Row]:
    champion, last = monitor.status.champion, monitor.status.last_training
    if champion is None:
        yield Row("Version", "none yet", tone=Tone.DIM)
        return
    yield Row("Version", f"since {relative(champion.since, now)}", champion.version, Tone.BOLD)
    if champion.score is not None:
        yield Row("Promise", f"{champion.metric} {_figure(champion.score)} on the hold-out of its promotion")
    if champion.data_end is not None:
        end = (champion.data_end - dt.timedelta(microseconds=1)).astimezone(dt.UTC)
        yield Row(
            "Trained on", f"days through {end:%Y-%m-%d} ({duration((now - champion.data_end).total_seconds())} old)"
        )
    if last is not None and last.version == champion.version and last.comparison is not None:
        scores = last.comparison
        if scores.difference is not None and scores.low is not None and scores.high is not None:
            interval = f"between {_figure(scores.low)} and {_figure(scores.high)}"
            yield Row("Better by", f"{_figure(scores.difference)} than the version before it, {interval}")
    watch = monitor.condition(ConditionType.CHAMPION_HEALTHY)
    if watch is not None and watch.status == "True":
        yield Row("Watch", full_stop(watch.message))
    if monitor.pinned is not None:
        yield Row("Pinned", monitor.pinned, tone=Tone.UNSURE)
    rollout = monitor.status.rollout
    if rollout is not None:
        yield Row("Rollout", f"{rollout.deployment}: {rollout.reason}")


def _training(monitor: ObservedMonitor, now: dt.datetime) -> Iterator[Row]:
    status = monitor.status
    condition = monitor.condition(ConditionType.TRAINING)
    last = status.last_training
    if condition is not None:
        running = condition.status == "True"
        ended = last is not None and last.completion_time is not None and condition.reason == _reason_of(last)
        if running:
            yield Row("Now", full_stop(condition.message), f"Trains ({condition.reason}).", Tone.GOOD)
        elif condition.reason == Reason.AWAITING_APPROVAL and last is not None:
            yield Row("Now", f"{last.version} passed the promotion gate.", "Waits for your approval.", Tone.UNSURE)
        elif ended or condition.reason == Reason.NOT_TRIGGERED:
            yield Row("Now", "No training is due.")
        else:
            yield Row("Now", full_stop(condition.message), f"Does not train ({condition.reason}).", Tone.UNSURE)
    if last is None:
        yield Row("Last", "none yet", tone=Tone.DIM)
    elif last.completion_time is None:
        trigger = f" ({last.reason})" if last.reason else ""
        yield Row("Running", f"training {last.number}, started {relative(last.start_time, now)}{trigger}")
    else:
        took = duration((last.completion_time - last.start_time).total_seconds())
        outcome = last.outcome or "Ended"
        text = f"Training {last.number} ended {relative(last.completion_time, now)} and took {took}."
        yield Row("Last", f"{text} {full_stop(last.message)}", f"{outcome}.", tone_of(outcome))
    days = status.training_windows
    if days is not None:
        holdout = f"hold-out {days.holdout_start} to {days.holdout_end}"
        yield Row("Would use", f"days {days.train_start} to {days.train_end}, {holdout}")


def _reason_of(last: LastTraining) -> str:
    return Reason.TRAINING_FAILED.value if last.outcome == TrainingOutcome.FAILED else last.outcome or ""


def history_blocks(monitor: ObservedMonitor, most: int, title: str) -> tuple[Block, ...]:
    """Return the newest entries of the history, newest first; nothing without any."""
    rows = []
    for entry in monitor.status.history[:most]:
        reason = f" ({entry.reason})" if entry.reason and entry.reason != entry.action else ""
        version = f"{entry.version}: " if entry.version and entry.version not in entry.message else ""
        text = f"{version}{full_stop(entry.message)}"
        time = f"{entry.time.astimezone(dt.UTC):%Y-%m-%d %H:%M}"
        rows.append(Row(time, text, f"{entry.action}{reason}.", tone_of(entry.action)))
    return (Block(title, tuple(rows)),) if rows else ()


def _next_steps(monitor: ObservedMonitor, caller: Caller) -> Iterator[Row]:
    """Yield the commands that fit the state, most urgent first."""
    status, name = monitor.status, monitor.name
    last, ready = status.last_training, monitor.condition(ConditionType.READY)
    blocked = any(job.reason not in {Reason.PENDING, Reason.QUEUED} for job in status.waiting_jobs)
    if ready is None or ready.status != "True" or status.last_check_failure is not None or blocked:
        yield Row(caller.mmon("doctor", name), "what is wrong, and how to fix it")
    if monitor.spec is not None and monitor.spec.suspend:
        yield Row(caller.mmon("resume", name), "check and train again")
    if last is not None and last.outcome == TrainingOutcome.AWAITING_APPROVAL:
        yield Row(caller.mmon("report", name, "--training", str(last.number)), "how the challenger compares")
        yield Row(caller.mmon("promote", name), f"make {last.version} the champion")
    if status.last_check is not None:
        yield Row(caller.mmon("report", name), "the page of the newest check")
    yield Row(caller.mmon("explain", name), "why it trains or does not")


def _figure(text: str) -> str:
    """Return a number of the status as people write it; another text as it is."""
    try:
        return number(float(text))
    except ValueError:
        return clean(text)


def status_document(monitor: ObservedMonitor) -> dict[str, Any]:
    """Return the state of a monitor as JSON data, for scripts."""
    status, training = monitor.status.to_wire(), monitor.condition(ConditionType.TRAINING)
    check = monitor.status.last_check
    ready = monitor.condition(ConditionType.READY)
    return {
        "namespace": monitor.namespace,
        "name": monitor.name,
        "uid": monitor.uid,
        "ready": ready is not None and ready.status == "True",
        "paused": monitor.spec is not None and monitor.spec.suspend,
        "verdict": check.verdict if check is not None else None,
        "pinned": monitor.pinned,
        "training": {"reason": training.reason, "message": training.message} if training is not None else None,
        "checks": [
            {
                "time": format_time(point.time),
                "verdict": point.verdict,
                "effect": point.effect,
                "message": point.message,
                "jobName": point.job_name,
            }
            for point in monitor.checks
        ],
        **{
            key: status.get(key)
            for key in (
                "reason",
                "nextCheckTime",
                "lastCheck",
                "lastCheckFailure",
                "waitingJobs",
                "lastTraining",
                "trainingWindows",
                "champion",
                "rollout",
                "history",
            )
        },
    }
