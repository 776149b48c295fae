"""Why a monitor trains, or why not: the facts, each trigger and each hold of the policy, in its order.

The functions are those by which the operator decides; nothing is decided here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from modelmonitor_api.names import ConditionType
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.times import format_time
from modelmonitor_policy import Action, Decision, Facts, decide
from modelmonitor_policy.holds import HOLDS
from modelmonitor_policy.training_days import training_days
from modelmonitor_policy.triggers import TRIGGERS, find_trigger, unconfirmed_drift
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.page import Block, Row, Tone, duration, full_stop, relative
from modelmonitor_trainer.cluster.status_page import tone_of

#: The message of the policy where there is nothing to say.
_NO_TRIGGER = "No trigger is active."
#: Entries of the record of decisions.
_DECISIONS = 8


@dataclass(frozen=True)
class Step:
    """A trigger or a hold, and what it says about the facts.

    Attributes
    ----------
    name
        Name of its function.
    rule
        What it does, in a sentence.
    state
        Active or inactive (a trigger); passes, holds, or not asked (a hold).
    message
        Why; empty where the rule has nothing to say.
    decides
        Whether it is the one that decides.
    """

    name: str
    rule: str
    state: str
    message: str = ""
    decides: bool = False


@dataclass(frozen=True)
class Explanation:
    """Why a monitor trains or not.

    Attributes
    ----------
    decision
        The decision by the facts.
    facts
        The facts.
    triggers, holds
        The rules in the order in which they are asked.
    """

    decision: Decision
    facts: Facts
    triggers: tuple[Step, ...]
    holds: tuple[Step, ...]


def explain(facts: Facts, now: dt.datetime) -> Explanation:
    """Return why a training would start now, or why none does."""
    trigger = find_trigger(facts, now)
    triggers = []
    for rule in TRIGGERS:
        active = rule(facts, now)
        state = "active" if active is not None else "inactive"
        message = active.message if active is not None else ""
        triggers.append(Step(rule.__name__, _purpose(rule), state, message, active is not None and active == trigger))
    holds, held = [], False
    for hold_rule in HOLDS:
        if trigger is None:
            holds.append(Step(hold_rule.__name__, _purpose(hold_rule), "not asked"))
            continue
        hold = hold_rule(facts, trigger, now)
        state = "passes" if hold is None else "holds"
        message = "" if hold is None else hold.message
        holds.append(Step(hold_rule.__name__, _purpose(hold_rule), state, message, hold is not None and not held))
        held = held or hold is not None
    return Explanation(decide(facts, now), facts, tuple(triggers), tuple(holds))


def _purpose(rule: Callable[..., Any]) -> str:
    """Return the first line of a rule's documentation, which states its purpose."""
    return (inspect.getdoc(rule) or rule.__name__).split("\n", 1)[0]


def explanation_blocks(monitor: ObservedMonitor, explanation: Explanation, now: dt.datetime) -> tuple[Block, ...]:
    """Return the page of ``kubectl mmon explain``."""
    decision = explanation.decision
    return (
        Block(f"{monitor.namespace}/{monitor.name}", tuple(_conclusion(monitor, decision, now))),
        Block("Facts", tuple(_facts(explanation.facts, now))),
        Block("Triggers, in order: the first active one decides", tuple(map(_trigger_row, explanation.triggers))),
        Block("Holds, in order: the first that applies decides", tuple(_hold_rows(explanation))),
        Block("Trainings and decisions, newest first", tuple(_decisions(monitor, decision))),
    )


def _conclusion(monitor: ObservedMonitor, decision: Decision, now: dt.datetime) -> Iterator[Row]:
    """Yield whether a training is running, and whether one starts now."""
    condition = monitor.condition(ConditionType.TRAINING)
    running = condition is not None and condition.status == "True"
    if condition is not None and running:
        yield Row("", full_stop(condition.message), f"A training is running ({condition.reason}).", Tone.GOOD)
    none = "No other training starts" if running else "It does not train"
    lead, tone = {
        Action.TRAIN: (f"A training starts ({decision.reason}).", Tone.GOOD),
        Action.HOLD: (f"{none} ({decision.reason}).", Tone.UNSURE),
        Action.NOTHING: (f"{none}. {_NO_TRIGGER}", Tone.PLAIN),
    }[decision.action]
    yield Row("", "" if decision.message == _NO_TRIGGER else decision.message, lead, tone)
    if decision.wake_at is not None:
        yield Row("", f"Time alone can change this {relative(decision.wake_at, now)}.")


def _facts(facts: Facts, now: dt.datetime) -> Iterator[Row]:
    check, champion, training, spec = facts.check, facts.champion, facts.training, facts.spec
    if check is None:
        yield Row("Check", "none has returned a verdict")
    else:
        drifts = check.consecutive_drifts
        counts = [f"{drifts} checks in a row found drift"] if drifts > 1 else []
        counts += [f"newest day {check.newest_day}"] if check.newest_day else []
        counts += [f"{check.new_rows:,} new rows"] if check.new_rows is not None else []
        counts += [f"change since {check.drift_onset}"] if check.drift_onset else []
        yield Row("Check", ", ".join([check.verdict, relative(check.time, now), *counts]))
    if champion is None:
        yield Row("Champion", "none")
    else:
        trained = f", trained on days through {champion.train_end}" if champion.train_end else ""
        yield Row("Champion", f"{champion.version} since {relative(champion.since, now)}{trained}")
    if training is None:
        yield Row("Training", "none yet")
    else:
        ended = training.completion
        state = f"ended {relative(ended, now)}" if ended else f"started {relative(training.start, now)}, not ended"
        outcome = f", {training.outcome}" if training.outcome else ""
        streak = f", {training.failures} failures in a row" if training.failures else ""
        streak += f", {training.rejections} rejections in a row" if training.rejections else ""
        trigger = training.reason or "no recorded reason"
        yield Row("Training", f"number {facts.last_number}, for {trigger}, {state}{outcome}{streak}")
    budget = spec.retraining.budget
    window = dt.timedelta(days=budget.per_days)
    used = sum(start > now - window for start in facts.trainings)
    yield Row("Budget", f"{used} of {budget.count} trainings used in {budget.per_days} days")
    yield Row("Settings", f"mode {spec.retraining.mode.value}, cooldown {duration(spec.retraining.cooldown_seconds)}")
    yield Row("Switched on", ", ".join(_switched_on(spec)) or "no trigger, apart from the first training and requests")
    if facts.in_flight is not None:
        yield Row("Running", f"Job {facts.in_flight.job_name} ({facts.in_flight.role.value})")
    days = training_days(facts)
    if days is not None:
        yield Row(
            "Days",
            f"a training would use {days.train_start} to {days.train_end}, and for the hold-out "
            f"{days.holdout_start} to {days.holdout_end}",
        )
    unconfirmed = unconfirmed_drift(facts)
    if unconfirmed is not None:
        yield Row("Drift", unconfirmed)


def _switched_on(spec: ModelMonitorSpec) -> list[str]:
    """Return the triggers that the spec switches on, with their values."""
    triggers = {name: value for name, value in spec.triggers.to_wire().items() if value is not False}
    return [name if value is True else f"{name} {value}" for name, value in triggers.items()]


def _trigger_row(step: Step) -> Row:
    tone = Tone.GOOD if step.decides else Tone.PLAIN if step.state == "active" else Tone.DIM
    text = f"{step.rule.rstrip('.')}: {step.message}." if step.message else step.rule
    return Row("YES" if step.decides else "yes" if step.state == "active" else "no", text, tone=tone)


def _hold_rows(explanation: Explanation) -> Iterator[Row]:
    if all(step.state == "not asked" for step in explanation.holds):
        yield Row("", "No trigger is active, so there is nothing to hold.", tone=Tone.DIM)
        return
    for step in explanation.holds:
        if step.state == "passes":
            yield Row("pass", step.rule, tone=Tone.DIM)
        else:
            # The message of the one that decides is at the top of the page.
            label, tone = ("HOLDS", Tone.BAD) if step.decides else ("holds", Tone.UNSURE)
            yield Row(label, step.rule if step.decides else f"{step.rule} {step.message}", tone=tone)


def _decisions(monitor: ObservedMonitor, present: Decision) -> Iterator[Row]:
    """Yield the newest decisions of the record, those that held a training back included."""
    for entry in monitor.status.decisions[:_DECISIONS]:
        time = f"{entry.time.astimezone(dt.UTC):%Y-%m-%d %H:%M}"
        reason = f" ({entry.reason})" if entry.reason and entry.reason != entry.action else ""
        message = "As above." if entry.message == present.message else full_stop(entry.message)
        yield Row(time, message, f"{entry.action}{reason}.", tone_of(entry.action))


def explanation_document(monitor: ObservedMonitor, explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON data, for scripts."""
    decision = explanation.decision

    return {
        "namespace": monitor.namespace,
        "name": monitor.name,
        "decision": {
            "action": decision.action.value,
            "reason": decision.reason.value,
            "message": decision.message,
            "until": format_time(decision.wake_at) if decision.wake_at is not None else None,
        },
        "triggers": [dataclasses.asdict(step) for step in explanation.triggers],
        "holds": [dataclasses.asdict(step) for step in explanation.holds],
        "decisions": [entry.to_wire() for entry in monitor.status.decisions],
    }
