"""When the API server showed what: watches whose events are stamped on arrival."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3

from modelmonitor_api.names import API_VERSION, PLURAL
from support.client import Credentials, Object

Key = tuple[str, str]


class Observer:
    """Times at which monitors became ready, CronJobs got their schedules, and Jobs reached a status.

    Attributes
    ----------
    ready : dict
        Time at which each monitor was first Ready.
    schedules : dict
        Time at which each (namespace, name of CronJob, schedule) was first seen.
    recorded : dict
        Time at which the UID of each Job was first seen among the ended ones of its monitor's status.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._stopped = False
        self.ready: dict[Key, float] = {}
        self.schedules: dict[tuple[str, str, str], float] = {}
        self.recorded: dict[str, float] = {}
        paths = {
            f"/apis/{API_VERSION}/{PLURAL}": self._monitor,
            "/apis/batch/v1/cronjobs": self._cron_job,
        }
        for path, record in paths.items():
            threading.Thread(target=self._follow, args=(path, record), daemon=True).start()

    def stop(self) -> None:
        """Ignore all further events."""
        self._stopped = True

    def _monitor(self, monitor: Object) -> None:
        now, metadata, status = time.monotonic(), monitor["metadata"], monitor.get("status") or {}
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        if conditions.get("Ready") == "True":
            self.ready.setdefault((metadata["namespace"], metadata["name"]), now)
        for job in status.get("recentJobs", ()):
            self.recorded.setdefault(job["uid"], now)

    def _cron_job(self, cron_job: Object) -> None:
        metadata = cron_job["metadata"]
        key = (metadata["namespace"], metadata["name"], cron_job["spec"]["schedule"])
        self.schedules.setdefault(key, time.monotonic())

    def _follow(self, path: str, record: Callable[[Object], None]) -> None:
        while not self._stopped:
            try:
                for event in self._stream(path):
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        record(event["object"])
            except urllib3.exceptions.HTTPError:
                time.sleep(0.5)

    def _stream(self, path: str) -> Iterator[dict[str, Any]]:
        pool = urllib3.PoolManager(ca_certs=str(self._credentials.ca_file))
        response = pool.request(
            "GET",
            f"{self._credentials.url}{path}?watch=true&timeoutSeconds=3600",
            headers={"Authorization": f"Bearer {self._credentials.token}"},
            preload_content=False,
            retries=False,
            timeout=urllib3.Timeout(connect=10, read=3600),
        )
        buffer = b""
        for chunk in response.stream(65536):
            buffer += chunk
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                yield json.loads(line)
