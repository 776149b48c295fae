"""For any history, a replay and the operator reach the same decisions and the same status."""

import asyncio
import datetime as dt
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmonitor_api.messages import Failure, MonitorRef
from modelmonitor_api.names import FailureReason, Role
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.replay.jobs import read_back
from modelmonitor_trainer.replay.simulation import SimulatedMonitor
from support.monitors import champion, check, failure, run
from unit.operator.in_memory_cluster import NAMESPACE, START, InMemoryCluster

#: How a check or a training ends.
CHECKS: tuple[Any, ...] = ("NoDrift", "Drift", "Drift", "PerformanceDrop", "Corrupted", "Inconclusive", "Failed")
TRAININGS: tuple[Any, ...] = ("Promoted", "Promoted", "Rejected", "Inconclusive", "AwaitingApproval", "Failed")
#: Fields that only the cluster knows: UIDs and images of its Jobs, conditions, and the state of a Deployment.
OF_THE_CLUSTER = {"reason", "decisions", "conditions", "recentJobs", "rollout", "waitingJobs"}


class World:
    """Answers of Jobs by their number, the same in both worlds."""

    def __init__(self, endings):
        self.endings = endings
        self.champion = None
        self.count = 0

    def answer(self, role, now):
        ending = self.endings[self.count % len(self.endings)]
        self.count += 1
        if role is Role.CHECK:
            return self._check(CHECKS[ending % len(CHECKS)], ending, now)
        word: Any = "RolledBack" if role is Role.ROLLBACK else TRAININGS[ending % len(TRAININGS)]
        if word == "Failed":
            return failure(FailureReason.BAD_DATA)
        version = f"v{self.count}-0a1b2c3d"
        if word in {"Promoted", "RolledBack"}:
            end = (now - dt.timedelta(days=3)).replace(hour=0)
            self.champion = champion(version).model_copy(update={"since": now, "data_end": end})
        return run(word, version, champion=self.champion)

    def _check(self, word, ending, now):
        if word == "Failed":
            return failure(FailureReason.STORAGE_UNAVAILABLE)
        midnight = now.replace(hour=0)
        onset = (now - dt.timedelta(days=ending)).date() if word == "Drift" else None
        return check(
            word, champion=self.champion, time=now, data_end=midnight, drift_onset=onset, new_rows=100 * ending
        )


def spec_of(cluster):
    return parse(ModelMonitorSpec, cluster.monitors["flights"]["spec"])


def comparable(wire):
    status = {key: value for key, value in wire.items() if key not in OF_THE_CLUSTER}
    (status.get("lastTraining") or {}).pop("imageID", None)
    return status


async def step_cluster(cluster, world, due):
    """Run the check that is due, if one is, and everything that follows."""
    if due:
        name = cluster.scheduled_check(str(int(cluster.now.timestamp()) // 60))
        finish(cluster, world, name)
    while True:
        await cluster.settle()
        unfinished = [(name, job) for name, job in cluster.jobs.items() if "status" not in job]
        if not unfinished:
            return
        for name, _ in unfinished:
            finish(cluster, world, name)


def finish(cluster, world, name):
    role = Role(cluster.jobs[name]["metadata"]["labels"]["modelmonitor.io/role"])
    answer = world.answer(role, cluster.now)
    cluster.finish(name, answer, failed="BackoffLimitExceeded" if isinstance(answer, Failure) else None)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    endings=st.lists(st.integers(0, 41), min_size=3, max_size=25),
    triggers=st.fixed_dictionaries(
        {"onDrift": st.booleans(), "everyDays": st.sampled_from([None, 5, 30]), "onExpectedGain": st.booleans()}
    ),
    retraining=st.fixed_dictionaries(
        {
            "cooldownSeconds": st.sampled_from([0, 86400]),
            "budget": st.sampled_from([{"count": 1, "perDays": 7}, {"count": 4, "perDays": 30}]),
            "minNewShare": st.sampled_from(["0", "0.2"]),
            "mode": st.sampled_from(["Auto", "Auto", "DryRun"]),
        }
    ),
    watch=st.sampled_from(["Report", "Rollback", "None"]),
    in_between=st.integers(1, 600),
    suspend=st.sampled_from([False, False, False, True]),
)
def test_any_history(endings, triggers, retraining, watch, in_between, suspend):
    cluster = InMemoryCluster()
    costs = {"training": "1", "metricPointDay": "1"}
    promotion = {"watch": {"action": watch}}
    cluster.add(triggers=triggers, costs=costs, retraining=retraining, promotion=promotion, suspend=suspend)
    meta = cluster.monitors["flights"]["metadata"]
    ref = MonitorRef(namespace=NAMESPACE, name="flights", uid=meta["uid"], generation=1)
    there, here = World(endings), World(endings)
    replayed = SimulatedMonitor(ref, spec_of(cluster), lambda job, now: read_back(here.answer(job.role, now)))

    async def live():
        await step_cluster(cluster, there, due=False)
        list(replayed.reconcile(START))
        now = START
        for _ in range(25):
            assert comparable(cluster.status()) == comparable(replayed.status.to_wire()), now
            assert sorted(cluster.jobs) == sorted(job.name for job in replayed.jobs)
            then, due = replayed.next_event(now)
            # The operator looks every minute: between two events it finds nothing to do.
            between = now + dt.timedelta(minutes=in_between)
            if between < then:
                cluster.now = between
                before = len(cluster.jobs)
                await cluster.settle()
                assert len(cluster.jobs) == before
            cluster.now = now = then
            await step_cluster(cluster, there, due)
            list(replayed.check(then) if due else replayed.reconcile(then))

    asyncio.run(live())
