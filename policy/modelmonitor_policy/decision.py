"""The decision whether to train: the first active trigger, unless a hold delays it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from modelmonitor_api.names import Reason
from modelmonitor_api.times import format_time
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.holds import find_hold
from modelmonitor_policy.triggers import find_trigger, period_end, unconfirmed_drift


class Action(StrEnum):
    """What to do about training."""

    NOTHING = "Nothing"
    HOLD = "Hold"
    TRAIN = "Train"


@dataclass(frozen=True)
class Decision:
    """Whether to train, and why.

    Attributes
    ----------
    action
        What to do.
    reason
        Why, in one word: the trigger of a training, or the hold that delays it.
    message
        Why, in a sentence that stays the same as long as the decision does.
    wake_at
        When time alone can change the decision; None where only an event can.
    """

    action: Action
    reason: Reason
    message: str
    wake_at: dt.datetime | None = None


def decide(facts: Facts, now: dt.datetime) -> Decision:
    """Return whether to train.

    Parameters
    ----------
    facts
        What is known of the monitor.
    now
        The time, with its time zone.
    """
    trigger = find_trigger(facts, now)
    if trigger is None:
        return _no_training(facts)
    hold = find_hold(facts, trigger, now)
    if hold is not None:
        return Decision(Action.HOLD, hold.reason, hold.message, hold.until)
    return Decision(Action.TRAIN, trigger.reason, _as_sentence(trigger.message))


def _as_sentence(message: str) -> str:
    """Return a message with a capital and a full stop; the name of a field stays as users write it."""
    begins_with_field = "." in message.partition(" ")[0]
    return f"{message if begins_with_field else message[:1].upper() + message[1:]}."


def _no_training(facts: Facts) -> Decision:
    end = period_end(facts)
    unconfirmed = unconfirmed_drift(facts)
    if unconfirmed is not None:
        return Decision(Action.HOLD, Reason.WAITING_FOR_CONSECUTIVE_CHECKS, unconfirmed, end)
    if facts.check is None:
        message = "No check has returned a verdict yet."
    elif end is not None:
        message = f"No trigger is active before {format_time(end)} (triggers.everyDays)."
    else:
        message = "No trigger is active."
    return Decision(Action.NOTHING, Reason.NOT_TRIGGERED, message, end)
