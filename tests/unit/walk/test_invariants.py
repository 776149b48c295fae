"""The invariants find what they are for: lives that are written down, each with one thing wrong."""

import datetime as dt
from dataclasses import replace
from typing import Any, cast

import pytest

from modelmonitor_api.messages import CheckVerdict, MonitorRef
from modelmonitor_api.names import Reason, Role
from modelmonitor_api.outcomes import RunOutcome
from modelmonitor_api.status import Champion, ModelMonitorStatus
from modelmonitor_policy import Decision, PlannedJob, plan_scheduled_check
from modelmonitor_policy.decision import Action
from modelmonitor_trainer.replay.simulation import Event
from support.monitors import check, failure, run
from support.walk import invariants
from support.walk.bounds import too_many, too_often
from support.walk.judge import Promotion
from support.walk.landing import day_of, spec_of
from support.walk.life import Life, Step
from support.walk.summary import unreported_regrets
from support.walk.worlds import DELAY, Kind, world

ONSET, DAYS = 5, 70
#: A training on a day ends this many days before it: the hold-out, the label delay, and the day itself.
BEFORE = 14 + DELAY + 1
DECISION = Decision(Action.NOTHING, Reason.NOT_TRIGGERED, "No trigger is active.")
_REF = MonitorRef(namespace="default", name="walk", uid="walk")


def champion(number: int, end: int) -> Champion:
    since = dt.datetime.combine(day_of(0), dt.time(), dt.UTC)
    data_end = dt.datetime.combine(day_of(end + 1), dt.time(), dt.UTC)
    return Champion(version=f"v{number}-0a1b2c3d", since=since, data_end=data_end)


class Script:
    """A life that is written down: a check on each day, and a few trainings."""

    def __init__(self, folder, kind: Kind = Kind.SUDDEN):
        self.world = world(kind, 0, DAYS, ONSET)
        self.spec = spec_of(self.world, folder)
        self.verdicts: dict[int, Any] = {}
        self.trainings: list[tuple[int, str, RunOutcome, int]] = []

    def train(self, day: int, *, trigger: str = "DriftDetected", outcome: Any = "Rejected", end: int | None = None):
        self.trainings.append((day, trigger, RunOutcome(outcome), day - BEFORE if end is None else end))
        return self

    def life(self) -> Life:
        champions, steps = champion(0, -BEFORE), []
        for day in range(DAYS):
            steps.append(self._check(day, champions))
            for number, (_, trigger, outcome, end) in enumerate(
                (training for training in self.trainings if training[0] == day), start=1
            ):
                after = champion(day + number, end) if outcome is RunOutcome.PROMOTED else champions
                time = dt.datetime.combine(day_of(day), dt.time(7 + number), dt.UTC)
                job = PlannedJob(
                    f"train-{day}-{number}", Role.TRAIN, steps[-1].event.job.request, trigger=f"{trigger}: ."
                )
                answer = run(cast(Any, outcome), train_end=day_of(end))
                steps.append(Step(Event(time, job, answer), self.spec, status(champions), status(after), DECISION))
                champions = after
        # No invariant reads the registry, which only a judge of models needs.
        return Life(self.world, tuple(steps), cast(Any, None))

    def _check(self, day: int, now: Champion) -> Step:
        time = dt.datetime.combine(day_of(day), dt.time(6), dt.UTC)
        answer = self.verdicts.get(day, self._verdict(day))
        if isinstance(answer, str):
            answer = check(cast(Any, answer), time=time)
        job = plan_scheduled_check(_REF, self.spec, time)
        return Step(Event(time, job, answer), self.spec, status(now), status(now), DECISION)

    def _verdict(self, day: int) -> CheckVerdict | str:
        broken = {lost + 1 for lost in self.world.corrupted}
        if day in broken:
            return "Corrupted"
        changed = any(change.onset < day for change in self.world.changes)
        return "Drift" if changed else "NoDrift"


def status(now: Champion) -> ModelMonitorStatus:
    return ModelMonitorStatus(champion=now)


def sentences(script: Script, invariant=None):
    violations = invariants.violations(script.life())
    return [one for one in violations if invariant is None or f"({invariant.__name__})" in one]


@pytest.fixture
def script(tmp_path):
    """A life in which all invariants hold: a first response is rejected, and the next one promoted."""
    first = ONSET + 17 + BEFORE
    return Script(tmp_path).train(first).train(first + 18, outcome="Promoted")


def test_a_good_life(script):
    assert sentences(script) == []
    assert invariants.learnt_on(script.life(), script.world.changes[0]) == 58
    assert invariants.earliest(script.life(), script.world.changes[0]) == 40


def test_a_training_without_a_cause(script):
    script.verdicts[40] = "Inconclusive"
    assert "started by DriftDetected, but the newest check was Inconclusive" in sentences(script)[0]
    script.verdicts[40] = "Corrupted"
    assert any("found corrupted data" in one for one in sentences(script, invariants.every_training_has_a_cause))


def test_a_trigger_that_is_off(script):
    script.train(62, trigger="PeriodElapsed")
    assert "started by PeriodElapsed" in sentences(script, invariants.every_training_has_a_cause)[0]


def test_a_response_that_comes_too_early(script):
    script.train(30)
    assert "holds 8 days from after the change" in sentences(script, invariants.every_response_holds_the_change)[0]


def test_more_trainings_than_the_budget(script):
    for day in (60, 62, 64, 66):
        script.train(day)
    assert "the 5th training in 30 days" in sentences(script, invariants.the_budget_is_kept)[0]


def test_two_trainings_in_an_hour(script):
    script.train(58)
    assert "3600 seconds after the one before" in sentences(script, invariants.the_budget_is_kept)[0]


def test_the_same_data_again(script):
    script.train(60).train(62, end=60 - BEFORE)
    assert "as on day 60, against the same champion" in sentences(script, invariants.the_budget_is_well_spent)[0]
    script.trainings[-1] = (62, "DriftDetected", RunOutcome.NOTHING_NEW, 62 - BEFORE)
    assert "found nothing new" in sentences(script, invariants.the_budget_is_well_spent)[0]


def test_a_day_without_a_verdict(script):
    script.verdicts[33] = failure()
    assert "day 33: no check has a verdict: a.parquet lacks" in sentences(script, invariants.every_day_is_checked)[0]


def test_corrupted_days(tmp_path):
    script = Script(tmp_path, Kind.CORRUPTED)
    assert sentences(script) == []
    script.verdicts[8] = "NoDrift"
    assert "the newest day is corrupted, and the verdict is NoDrift" in sentences(script)[0]
    del script.verdicts[8]
    script.verdicts[3] = "Corrupted"
    assert "day 3: Corrupted, but no day of the window is" in sentences(script)[0]


def test_silence_after_a_change(script):
    script.verdicts[ONSET + 20] = "NoDrift"
    assert sentences(script) == [], "the window still holds days from before it"
    script.verdicts[ONSET + 28] = "NoDrift"
    assert "NoDrift, although the world has changed" in sentences(script)[0]


def test_a_change_that_is_not_learnt(script):
    script.trainings[1] = (*script.trainings[1][:2], RunOutcome.REJECTED, script.trainings[1][3])
    script.world = replace(script.world, days=DAYS)
    assert "no model that has learnt the change of day 5" in sentences(script, invariants.changes_are_learnt)[0]
    script.trainings = []
    assert "no training responded to the change of day 5" in sentences(script, invariants.changes_are_learnt)[0]


def test_what_chance_allows():
    assert not too_many(1, 4, 0.05)
    assert too_many(3, 4, 0.05)
    assert not too_many(0, 0, 0.05)
    assert not too_often(3, 1.0)
    assert too_often(6, 1.0)


def test_a_worse_champion_that_is_not_reported(script):
    life = script.life()
    regretted = Promotion(20, champion(0, 0).version, "v0", 0.1, -0.1, 0.005)
    assert "was worse by 0.100" in unreported_regrets(life, [regretted])[0]
    assert unreported_regrets(life, [replace(regretted, later=0.0)]) == []
    assert unreported_regrets(life, [replace(regretted, day=DAYS - 5)]) == [], "labels have not arrived"
