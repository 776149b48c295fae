"""Uninstalling the operator. This file sorts last, because no test can follow it."""

from __future__ import annotations

from support.kind import RELEASE, SYSTEM_NAMESPACE, Kind
from support.lake import Lake

NAME = "left-behind"


def test_uninstalling_keeps_monitors_and_their_cron_jobs(release: Kind, lake: Lake) -> None:
    release.apply(lake.monitor(name=NAME, namespace=release.namespace, suspend=True))
    release.wait("its CronJob", lambda: release.get("cronjob", f"{NAME}-check"))
    release.run("helm", "uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--wait")
    assert release.get("modelmonitor", NAME)["status"]["conditions"]
    assert release.get("cronjob", f"{NAME}-check")
    release.kubectl("delete", "modelmonitor", NAME, "--wait", "--timeout=600s")
    release.wait("the deletion of its CronJob", lambda: not release.get("cronjob", f"{NAME}-check"))
