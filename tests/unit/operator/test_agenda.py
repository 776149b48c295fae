"""The agenda: when a monitor is due although nothing has happened."""

from __future__ import annotations

import datetime as dt

from modelmonitor_operator.agenda import LONGEST_RESYNCS, Agenda

NOW = dt.datetime(2013, 4, 2, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def test_a_key_without_a_time_is_due_at_once() -> None:
    assert Agenda[str](MINUTE).due(["a"], NOW) == ["a"]


def test_a_key_is_due_when_its_time_has_come() -> None:
    agenda: Agenda[str] = Agenda(MINUTE, factor=lambda: 1.0)
    agenda.set("a", NOW + 5 * MINUTE, NOW)
    assert agenda.due(["a"], NOW + 4 * MINUTE) == []
    assert agenda.due(["a"], NOW + 5 * MINUTE) == ["a"]
    agenda.forget("a")
    assert agenda.due(["a"], NOW) == ["a"]


def test_every_key_is_due_now_and_then_and_not_all_at_once() -> None:
    factors = iter([0.5, 1.0])
    agenda: Agenda[str] = Agenda(MINUTE, factor=lambda: next(factors))
    agenda.set("a", None, NOW)
    agenda.set("b", NOW + dt.timedelta(days=365), NOW)
    assert agenda.due(["a", "b"], NOW + LONGEST_RESYNCS * MINUTE / 2) == ["a"]
    assert agenda.due(["a", "b"], NOW + LONGEST_RESYNCS * MINUTE) == ["a", "b"]
