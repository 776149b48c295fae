"""Validation of a spec beyond its schema, the same for the operator and the command line."""

from __future__ import annotations

from modelmonitor_api.messages import MAX_REQUEST_BYTES, MonitorRef, encode
from modelmonitor_api.names import MAX_MONITOR_NAME
from modelmonitor_api.resource import InvalidSpec
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_policy.estimator_parameters import validate_parameters
from modelmonitor_policy.planned_jobs import check_request
from modelmonitor_policy.schedule import validate_schedule


def validate_name(name: str) -> None:
    """Reject a name that is too long for those of its objects.

    Raises
    ------
    InvalidSpec
        With the limit.
    """
    if len(name) > MAX_MONITOR_NAME:
        raise InvalidSpec(f"metadata.name must not be longer than {MAX_MONITOR_NAME} characters")


def validate_spec(monitor: MonitorRef, spec: ModelMonitorSpec) -> None:
    """Reject what the schema cannot express: schedules, time zones, parameters of estimators, the size as a whole.

    Raises
    ------
    InvalidSpec
        With a sentence that names the field, the problem, and what to change.
    """
    validate_name(monitor.name)
    validate_schedule(spec.schedule, spec.time_zone)
    if spec.retraining.estimator is not None:
        validate_parameters(spec.retraining.estimator)
    size = len(encode(check_request(monitor, spec)).encode())
    if size > MAX_REQUEST_BYTES:
        raise InvalidSpec(
            f"spec: its JSON form has {size} bytes, and a pod can receive at most {MAX_REQUEST_BYTES}; "
            "shorten the list of features"
        )
