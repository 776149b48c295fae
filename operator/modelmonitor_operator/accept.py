"""Whether a monitor can be worked with: the rules of the API server again, and those it cannot check."""

from __future__ import annotations

from modelmonitor_api.messages import MAX_REQUEST_BYTES, encode
from modelmonitor_api.names import MAX_MONITOR_NAME
from modelmonitor_api.resource import InvalidSpec, parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.spec.monitor import S3_ONLY
from modelmonitor_operator import schedule
from modelmonitor_operator.builders import Monitor, check_request
from modelmonitor_operator.gateway import Object


def accept(found: Object) -> Monitor:
    """Return a ModelMonitor with its spec parsed.

    Parameters
    ----------
    found
        As the API server gave it. A CRD of another version, or one without our rules, may have let anything in.

    Raises
    ------
    InvalidSpec
        With a sentence that says where, what, and what to change.
    """
    metadata = found["metadata"]
    if len(metadata["name"]) > MAX_MONITOR_NAME:
        raise InvalidSpec(f"metadata.name must not be longer than {MAX_MONITOR_NAME} characters")
    spec = parse(ModelMonitorSpec, found.get("spec") or {})
    if not spec.only_s3():
        raise InvalidSpec(f"spec: {S3_ONLY}")
    schedule.require_valid(spec.schedule, spec.time_zone)
    monitor = Monitor(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        labels=metadata.get("labels", {}),
        spec=spec,
    )
    size = len(encode(check_request(monitor)).encode())
    if size > MAX_REQUEST_BYTES:
        raise InvalidSpec(
            f"spec: as JSON it has {size} bytes, and {MAX_REQUEST_BYTES} fit into a pod; shorten the list of features"
        )
    return monitor
