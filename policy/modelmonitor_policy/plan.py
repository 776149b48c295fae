"""The plan: what to start now, as pure values.

A monitor goes through this cycle, on a cluster and in a replay of past data alike::

    observe Jobs ──► apply_job_results ──► facts_of ──► plan ──► execute the intents ──► record_intent
                       (transitions)       (facts)                (as Jobs, or            (transitions)
                                                                   in process)
"""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.names import Reason
from modelmonitor_policy.auto_rollback import find_auto_rollback
from modelmonitor_policy.decision import Action, decide
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.intents import Intent, StartCheck, StartPromotion, StartRollback, StartTraining
from modelmonitor_policy.repetition import repeat_at, repetition_token
from modelmonitor_policy.requests import version_of

#: Token of a new monitor's first check, which does not wait for the schedule.
INITIAL_CHECK = "initial"


def plan(facts: Facts, now: dt.datetime) -> tuple[Intent, ...]:
    """Return what to start now, in this order.

    Checks start at any time, unless the monitor is suspended. Of everything that can change the champion at most one
    is started, and only while none is in progress: first what users request, then an automatic rollback, then a
    training. Rollbacks and promotions also start while the monitor is suspended, except that of the champion watch.
    While the champion is pinned, only users change it.

    Parameters
    ----------
    facts
        What is known of the monitor.
    now
        The time, with its time zone.
    """
    rollback_or_promotion = _requested_change(facts) or find_auto_rollback(facts)
    if rollback_or_promotion is not None:
        return (*_checks(facts, now), rollback_or_promotion)
    training = _training(facts, now)
    return (*_checks(facts, now), training) if training is not None else _checks(facts, now)


def wake_at(facts: Facts, now: dt.datetime) -> dt.datetime | None:
    """Return when time alone can change the plan; None where only an event can."""
    repeated = repeat_at(facts)
    if repeated is not None and repeated <= now:
        repeated = None
    if _requested_change(facts) or find_auto_rollback(facts):
        return repeated
    times = [time for time in (repeated, decide(facts, now).wake_at) if time is not None]
    return min(times, default=None)


def _checks(facts: Facts, now: dt.datetime) -> tuple[StartCheck, ...]:
    if facts.spec.suspend:
        return ()
    token = facts.requests.check
    requested = () if token is None else (StartCheck(token, requested=True),)
    if not facts.ever_checked:
        return (StartCheck(INITIAL_CHECK, requested=False), *requested)
    repetition = repetition_token(facts, now)
    if requested or repetition is None:  # a check that a user requests is a repetition as well
        return requested
    return (StartCheck(repetition, requested=False),)


def _requested_change(facts: Facts) -> StartRollback | StartPromotion | None:
    """Return the rollback or the promotion that a user requests, once nothing else can change the champion."""
    rollback, promote = facts.requests.rollback, facts.requests.promote
    if facts.in_flight is not None:
        return None
    if rollback is not None:
        return StartRollback(version_of(rollback), rollback)
    if promote is None:
        return None
    return StartPromotion(version_of(promote), promote, facts.requests.promote_reason or "")


def _training(facts: Facts, now: dt.datetime) -> StartTraining | None:
    decision = decide(facts, now)
    if decision.action is not Action.TRAIN:
        return None
    token = facts.requests.retrain if decision.reason is Reason.REQUESTED else None
    return StartTraining(
        facts.last_number + 1, decision.reason, decision.message, token, _newest_change(facts), facts.pin is not None
    )


def _newest_change(facts: Facts) -> dt.date | None:
    """Return the first day after the newest known change: that of the checks, or one that the champion has seen."""
    if facts.check is not None and facts.check.drift_onset is not None:
        return facts.check.drift_onset
    return facts.champion.change_point if facts.champion is not None else None
