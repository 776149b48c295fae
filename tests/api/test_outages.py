"""The API server is away, refuses the operator or has another identity, for as long as it likes: no process ends."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from modelmonitor_api.names import PLURAL
from support.apiserver import ApiServer
from support.bent_api import Fault
from support.bent_operator import Bent, bent_operator, replace
from support.certificates import make_certificate
from support.monitors import monitor
from support.processes import wait_until
from support.scene import Scene

#: What every request is answered with.
OUTAGES = {
    "503": Fault(times=None, status=503),
    "cut": Fault(times=None, cut=True),
    "401": Fault(times=None, status=401),
    "403": Fault(times=None, status=403),
    "404": Fault(times=None, status=404),
    "410": Fault(times=None, status=410),
}


@pytest.fixture(scope="module")
def survivor(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bent]:
    """One operator that lives through all outages, with its credentials in files as in a pod."""
    home = f"operator-{uuid.uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp(home)
    account = folder / "account"
    account.mkdir()
    with bent_operator(api_server, folder, home, account=account) as bent:
        bent.operator.start()
        yield bent


@pytest.fixture
def scene(survivor: Bent, api_server: ApiServer, namespace: str) -> Iterator[Scene]:
    """A namespace with a monitor that is ready; the operator is the same process at the end."""
    pid = survivor.operator.pid
    scene = Scene(api_server.client, namespace, f"(log: {survivor.operator.log})")
    scene.create(monitor())
    scene.wait_ready()
    yield scene
    survivor.api.bend()
    assert survivor.operator.running
    assert survivor.operator.pid == pid


def has_schedule(scene: Scene, schedule: str) -> bool:
    return bool(scene.cron_job()["spec"]["schedule"] == schedule)


def edit(scene: Scene, schedule: str) -> None:
    """Edit the monitor, and wait until the operator has seen it."""
    scene.patch({"spec": {"schedule": schedule}})
    scene.wait(partial(has_schedule, scene, schedule), "the edited CronJob")


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_ends_no_process_and_afterwards_everything_is_seen(
    survivor: Bent, scene: Scene, outage: Fault
) -> None:
    of_monitors = Fault(("list", "watch"), (PLURAL,), times=None, call=None)
    survivor.api.bend(outage, of_monitors)
    wait_until(lambda: survivor.api.met()[1] >= 8, "lists and watches of the monitors that fail")
    assert survivor.operator.responds("/healthz")
    scene.patch({"spec": {"schedule": "5 4 * * *"}})
    survivor.api.bend()
    scene.wait(partial(has_schedule, scene, "5 4 * * *"), "the CronJob that was edited during the outage")
    survivor.operator.wait_ready()
    edit(scene, "6 5 * * *")


def test_a_rotated_token_is_used_when_the_old_one_is_refused(
    survivor: Bent, scene: Scene, api_server: ApiServer
) -> None:
    account = survivor.operator.log.parent / "account"
    old = (account / "token").read_text()
    survivor.api.bend(Fault(times=None, status=401, token=old))
    wait_until(lambda: survivor.api.met()[0] >= 8, "requests with the old token that are refused")
    replace(account / "token", api_server.client.token("modelmonitor", survivor.home))
    edit(scene, "7 6 * * *")


def test_a_new_certificate_authority_is_trusted_once_the_pod_has_it(
    survivor: Bent, scene: Scene, tmp_path: Path
) -> None:
    account = survivor.operator.log.parent / "account"
    other = make_certificate(tmp_path)
    survivor.api.certify(other.certificate, other.key)
    wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in survivor.operator.output(), "connections that are refused")
    assert survivor.operator.responds("/healthz")
    replace(account / "ca.crt", other.authority.read_text())
    edit(scene, "8 7 * * *")


# Last, because the rights of its operator replace those of the other one.
@pytest.mark.parametrize("outage", ["503", "401", "410"])
def test_an_operator_that_starts_during_an_outage_waits_for_its_end(
    api_server: ApiServer, namespace: str, tmp_path: Path, outage: str
) -> None:
    with bent_operator(api_server, tmp_path, f"{namespace}-home") as bent:
        scene = Scene(api_server.client, namespace, f"(log: {bent.operator.log})")
        scene.create(monitor())
        bent.api.bend(OUTAGES[outage])
        bent.operator.launch()
        wait_until(lambda: "the watch of modelmonitors failed 2 times" in bent.operator.output(), "failures in the log")
        pid = bent.operator.pid
        assert bent.operator.responds("/healthz")
        assert not bent.operator.responds("/readyz")
        bent.api.bend()
        bent.operator.wait_ready()
        scene.wait_ready()
        assert bent.operator.pid == pid
