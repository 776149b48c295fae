"""A check that finds a new champion worse than the version before it, on a real API server."""

from __future__ import annotations

from typing import Any

from modelmonitor_api.messages import RollbackRequest
from modelmonitor_api.names import ConditionType, Reason, Role
from modelmonitor_api.status import Champion, ChampionWatch
from support import monitors
from support.jobs import request_of
from support.monitors import monitor
from support.scene import Scene


def worse(served: Champion) -> ChampionWatch:
    """Return what a check finds of a champion that is worse than v1."""
    return ChampionWatch(
        champion=served.version,
        since=served.since,
        predecessor="v1-11111111",
        metric="ROCAUC",
        days=4,
        rows=4000,
        difference="-0.0400",
        low="-0.0600",
        high="-0.0200",
        worse=True,
    )


def second_champion(scene: Scene, action: str) -> Champion:
    """Create a monitor with a second champion, and return it."""
    promotion: dict[str, Any] = {"metric": "ROCAUC", "watch": {"action": action}}
    scene.create(monitor(promotion=promotion, triggers={"onDrift": False, "onPerformance": False}))
    scene.finish(Role.CHECK, monitors.check("Inconclusive"))
    verdict = monitors.run("Promoted", "v2-22222222")
    scene.finish(Role.TRAIN, verdict)
    scene.wait(lambda: scene.status().get("champion", {}).get("version") == "v2-22222222", "the champion v2")
    assert verdict.champion is not None
    # As the pointer has it: whole seconds.
    return verdict.champion.model_copy(update={"since": verdict.champion.since.replace(microsecond=0)})


def test_one_check_leads_to_exactly_one_rollback(scene: Scene) -> None:
    champion = second_champion(scene, "Rollback")
    scene.request_check("one", monitors.check(champion=champion, watch=worse(champion)))
    scene.wait_condition(ConditionType.CHAMPION_HEALTHY, "False", Reason.WORSE_THAN_PREDECESSOR)
    rollback = scene.running_job(Role.ROLLBACK)
    request = request_of(rollback, RollbackRequest)
    assert (request.to, request.instead_of) == ("v1-11111111", "v2-22222222")
    scene.request_check("two", monitors.check(champion=champion, watch=worse(champion)))
    scene.settle()
    assert len(scene.jobs(Role.ROLLBACK)) == 1
    scene.finish(Role.ROLLBACK, monitors.run("RolledBack", "v1-11111111", reason="WorseThanPredecessor"))
    scene.wait(lambda: scene.status()["champion"]["version"] == "v1-11111111", "the champion v1")
    actions = [(entry["action"], entry["reason"]) for entry in scene.status()["history"][:2]]
    assert actions == [("RolledBack", "WorseThanPredecessor"), ("RollbackStarted", "WorseThanPredecessor")]
    assert not any(c["type"] == ConditionType.CHAMPION_HEALTHY for c in scene.status()["conditions"])
    scene.settle()
    assert len(scene.jobs(Role.ROLLBACK)) == 1


def test_a_report_is_a_condition_and_an_event(scene: Scene) -> None:
    champion = second_champion(scene, "Report")
    scene.request_check("one", monitors.check(champion=champion, watch=worse(champion)))
    condition = scene.wait_condition(ConditionType.CHAMPION_HEALTHY, "False", Reason.WORSE_THAN_PREDECESSOR)
    assert "-0.0400 (-0.0600 to -0.0200)" in condition["message"]
    scene.wait_event(Reason.WORSE_THAN_PREDECESSOR)
    scene.settle()
    assert scene.jobs(Role.ROLLBACK) == []
