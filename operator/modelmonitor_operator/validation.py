"""Validation of ModelMonitors: the rules of the API server again, and those that it cannot check."""

from __future__ import annotations

from modelmonitor_api.resource import InvalidSpec, parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.spec.monitor import S3_ONLY
from modelmonitor_operator.gateway import Object
from modelmonitor_operator.monitor import Monitor
from modelmonitor_operator.untrusted import mapping
from modelmonitor_policy.validation import validate_name, validate_spec


def validate_monitor(resource: Object) -> Monitor:
    """Return a ModelMonitor with its spec parsed.

    Parameters
    ----------
    resource
        The object as the API server returned it. Its spec can be anything: a CRD of another version, or one without
        validation rules, may have accepted it.

    Raises
    ------
    InvalidSpec
        With a sentence that names the field, the problem, and what to change.
    """
    metadata = resource["metadata"]
    validate_name(metadata["name"])
    spec = parse(ModelMonitorSpec, mapping(resource.get("spec")))
    if not spec.only_s3():
        raise InvalidSpec(f"spec: {S3_ONLY}")
    monitor = Monitor(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
        spec=spec,
    )
    validate_spec(monitor.ref, monitor.spec)
    return monitor
