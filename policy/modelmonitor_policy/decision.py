"""The decision whether to train."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from modelmonitor_api.names import Reason
from modelmonitor_api.status import format_time
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.holds import find_hold
from modelmonitor_policy.triggers import drift_unconfirmed, find_trigger, period_end


class Action(StrEnum):
    """What to do."""

    NOTHING = "Nothing"
    HOLD = "Hold"
    TRAIN = "Train"


@dataclass(frozen=True)
class Decision:
    """What to do, and why.

    Parameters
    ----------
    action
        What to do.
    reason
        Why, in one word: the trigger of a training, or the gate that holds it back.
    message
        Why, in a sentence that does not change while nothing else does.
    wake_at
        When time alone may change the decision; None where only an event can.
    """

    action: Action
    reason: Reason
    message: str
    wake_at: dt.datetime | None = None


def decide(facts: Facts, now: dt.datetime) -> Decision:
    """Return whether to train.

    A trigger is looked for first, then the gates are tried one by one; the first that holds
    the training back is the answer.

    Parameters
    ----------
    facts
        What is known.
    now
        The time, with its zone.
    """
    trigger = find_trigger(facts, now)
    if trigger is None:
        return _not_triggered(facts)
    held = find_hold(facts, trigger, now)
    if held is not None:
        return Decision(Action.HOLD, held.reason, held.message, held.until)
    return Decision(Action.TRAIN, trigger.reason, trigger.message[:1].upper() + trigger.message[1:] + ".")


def _not_triggered(facts: Facts) -> Decision:
    end = period_end(facts)
    unconfirmed = drift_unconfirmed(facts)
    if unconfirmed is not None:
        return Decision(Action.HOLD, Reason.WAITING_FOR_CONSECUTIVE_CHECKS, unconfirmed, end)
    if facts.check is None:
        message = "No check has given a verdict yet."
    elif end is not None:
        message = f"Nothing calls for a training before {format_time(end)} (triggers.everyDays)."
    else:
        message = "Nothing calls for a training."
    return Decision(Action.NOTHING, Reason.NOT_TRIGGERED, message, end)
