"""An API server that errs, is slow, falls silent or responds with the past: one training, one new champion, no loss."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.apiserver import ApiServer
from support.bent_api import Fault
from support.bent_operator import Bent, bent_operator
from support.client import Client
from support.faults import FAULTS
from support.kubelet import restarted
from support.monitors import monitor
from support.processes import wait_until
from support.promises import TOLD, keep_promises, tell
from support.scene import Scene

WRITES = ("create", "patch")


@pytest.fixture(scope="module")
def survivor(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bent]:
    """One operator that lives through all faults, one after the other."""
    home = f"operator-{uuid.uuid4().hex[:8]}"
    with bent_operator(api_server, tmp_path_factory.mktemp(home), home) as bent:
        bent.operator.start()
        yield bent


@pytest.fixture
def bent(survivor: Bent) -> Iterator[Bent]:
    """The operator, without the faults of the test before."""
    pid = survivor.operator.pid
    yield survivor
    survivor.api.bend()
    assert survivor.operator.pid == pid


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_the_promises_hold_under(bent: Bent, cluster: Client, namespace: str, faults: tuple[Fault, ...]) -> None:
    scene = Scene(cluster, namespace, f"(log: {bent.operator.log})")
    met = [0] * len(faults)

    def bend(_: str) -> None:
        for index, count in enumerate(bent.api.met()):
            met[index] += count
        bent.api.bend(*faults)

    # Again before each part, so that none of them goes unharmed.
    bent.api.bend()
    tell(scene, between=bend)
    keep_promises(scene, bent.api)
    bend("")
    assert all(met), "a fault that meets no request proves nothing"


@pytest.mark.parametrize("status", [410, 500])
def test_a_list_that_fails_on_its_third_page(
    api_server: ApiServer, namespace: str, tmp_path: Path, status: int
) -> None:
    """After a restart, nothing is known but what the pages bring."""
    with bent_operator(api_server, tmp_path, f"{namespace}-home", clean=False) as bent:
        scene = Scene(api_server.client, namespace, f"(log: {bent.operator.log})")
        for number in range(3):
            scene.create(monitor(f"other-{number}", suspend=True))
        third = Fault(("list",), page=3, times=2, status=status)

        def fail(part: str) -> None:
            if part == TOLD:
                return
            bent.api.bend(Fault(("list",), times=None, limit=1), third)
            bent.operator.crash()
            wait_until(lambda: bent.api.met()[1] == 2, "third pages that fail")

        # Kopf ends the process where a page of its list has expired.
        with restarted(bent.operator):
            tell(scene, between=fail)
            keep_promises(scene, bent.api)


def test_an_operator_that_is_killed_after_each_of_its_writes(
    api_server: ApiServer, namespace: str, tmp_path: Path
) -> None:
    """No operator lives to see the response to a write: what it does next is for the one after it."""
    with bent_operator(api_server, tmp_path, f"{namespace}-home", clean=False) as bent:
        scene = Scene(api_server.client, namespace, f"(log: {bent.operator.log})")
        bent.api.bend(Fault(WRITES, times=None, call=bent.operator.crash, cut=True))
        with restarted(bent.operator):
            tell(scene)
            keep_promises(scene, bent.api)
        # CronJob, check, status, its end, training, status, its end: events are not posted again.
        assert bent.api.met()[0] >= 6
