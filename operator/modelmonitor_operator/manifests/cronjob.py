"""The CronJob that runs a monitor's scheduled checks."""

from __future__ import annotations

import hashlib
import json

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.manifests.job import labels_of, owner_reference, unnamed_job
from modelmonitor_operator.monitor import Monitor
from modelmonitor_operator.settings import Settings
from modelmonitor_policy import check_request
from modelmonitor_policy.schedule import shortest_interval

#: Upper bound of the starting deadline: a check that is this late is skipped in favour of the next one.
_MAX_STARTING_DEADLINE = 3600


def cron_job(monitor: Monitor, settings: Settings) -> Object:
    """Return the CronJob of a monitor's checks.

    Its annotation is a hash of the manifest, so that an unchanged CronJob can be recognized without a write.
    """
    spec = monitor.spec
    check = unnamed_job(monitor, settings, Role.CHECK, check_request(monitor.ref, spec))
    manifest: Object = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": names.cron_job_name(monitor.name),
            "namespace": monitor.namespace,
            "labels": labels_of(monitor, Role.CHECK),
            "ownerReferences": [owner_reference(monitor)],
        },
        "spec": {
            "schedule": spec.schedule,
            "timeZone": spec.time_zone,
            "suspend": spec.suspend,
            "concurrencyPolicy": "Forbid",
            # At most half an interval: resuming a suspended monitor must not start a run that was missed long ago.
            "startingDeadlineSeconds": max(
                10, min(_MAX_STARTING_DEADLINE, int(shortest_interval(spec.schedule).total_seconds() / 2))
            ),
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {key: check["metadata"][key] for key in ("labels", "annotations")},
                "spec": check["spec"],
            },
        },
    }
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    manifest["metadata"]["annotations"] = {names.ANNOTATION_APPLIED: digest}
    return manifest
