"""The faults of an API server that the operator has to live with, by name."""

from __future__ import annotations

from collections.abc import Mapping

from modelmonitor_api.names import PLURAL
from support.bent_api import Fault

STATUS = f"{PLURAL}/status"
WRITES = ("create", "patch")
READS = ("get", "list")
CHILDREN = ("jobs", "cronjobs")

FAULTS: Mapping[str, tuple[Fault, ...]] = {
    "latency of every request": (Fault(times=None, seconds=0.3),),
    "409 to writes of the status": (Fault(("patch",), (STATUS,), times=3, status=409),),
    "409 to the creation of Jobs": (Fault(("create",), ("jobs",), times=2, status=409),),
    "422 to a CronJob": (Fault(("patch",), ("cronjobs",), status=422),),
    "422 to Jobs": (Fault(("create",), ("jobs",), status=422),),
    "429 with Retry-After to everything": (Fault(times=6, status=429, retry_after=1),),
    "429 with Retry-After to writes": (Fault(WRITES, times=4, status=429, retry_after=1),),
    "500 to reads": (Fault(READS, times=6, status=500),),
    "500 to writes": (Fault(WRITES, times=4, status=500),),
    "500 to a written status": (Fault(("patch",), (STATUS,), times=2, status=500, written=True),),
    "503 to everything": (Fault(times=10, status=503),),
    "503 for longer than the retries": (Fault(("patch",), (STATUS,), times=7, status=503),),
    "504 to created Jobs": (Fault(("create",), ("jobs",), times=2, status=504, written=True),),
    "504 to all writes": (Fault((*WRITES, "delete"), times=8, status=504, written=True),),
    "connections cut before the request": (Fault((*READS, *WRITES), times=6, cut=True),),
    "connections cut after a write": (Fault(WRITES, times=6, cut=True, written=True),),
    "requests without a response": (Fault(("create",), ("jobs",), silent=True, written=True),),
    "watches that are cut at each event": (Fault(("watch",), times=6, cut=True),),
    "silent watches of the children": (Fault(("watch",), CHILDREN, times=2, silent=True),),
    "half-open watches of the children": (Fault(("watch",), CHILDREN, times=2, silent=True, written=True),),
    "silent watch of the monitors": (Fault(("watch",), (PLURAL,), silent=True),),
    "410 in a watch": (Fault(("watch",), times=4, error=410),),
    "500 in a watch": (Fault(("watch",), times=6, error=500),),
    "401 to everything": (Fault(times=12, status=401),),
    "403 to lists and watches": (Fault(("list", "watch"), times=8, status=403),),
    "404 to lists and watches of the monitors": (Fault(("list", "watch"), (PLURAL,), times=4, status=404),),
    "410 to lists and watches": (Fault(("list", "watch"), times=8, status=410),),
    "410 as the response to a watch of the children": (Fault(("watch",), CHILDREN, times=4, status=410),),
    "429 to watches": (Fault(("watch",), times=4, status=429, retry_after=1),),
    "stale reads of the monitor": (Fault(("get",), (PLURAL,), times=12, stale=True),),
    "stale lists of Jobs and pods": (Fault(("list",), ("jobs", "pods"), times=6, stale=True),),
    "stale reads of everything": (Fault(READS, times=20, stale=True),),
    "conflicts, lost responses and latency at once": (
        Fault(("patch",), (STATUS,), times=2, status=409),
        Fault(("create",), ("jobs",), times=2, status=504, written=True),
        Fault(READS, times=None, seconds=0.1),
    ),
}
