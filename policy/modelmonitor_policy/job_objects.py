"""Jobs as the API server returns them: what the object itself shows, without its pods.

The operator and the command line read Jobs in the same way, so that both plan from the same facts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from modelmonitor_api import names
from modelmonitor_api.names import Role
from modelmonitor_api.resource import YEARS
from modelmonitor_api.times import parse_time
from modelmonitor_policy.observations import JobObservation

#: No number of a training, and no generation, has more.
_MAX_DIGITS = 9


def role_of(job: Mapping[str, Any]) -> Role | None:
    """Return the purpose of a Job; None if it is not one of a monitor."""
    try:
        return Role((job["metadata"].get("labels") or {}).get(names.LABEL_ROLE, ""))
    except ValueError:
        return None


def true_condition(job: Mapping[str, Any], *types: str) -> Mapping[str, str] | None:
    """Return a condition that is true. Pod counts are no substitute: they miss deadlines and failure policies."""
    conditions = (job.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") in types and c.get("status") == "True"), None)


def end_of(job: Mapping[str, Any]) -> dt.datetime | None:
    """Return when a Job ended; None while it has not."""
    ended = true_condition(job, "Complete", "Failed")
    if ended is None:
        return None
    times = (ended.get("lastTransitionTime"), (job.get("status") or {}).get("completionTime"))
    return next(filter(None, map(_read_time, times)), parse_time(job["metadata"]["creationTimestamp"]))


def _read_time(text: str | None) -> dt.datetime | None:
    """Return a time that others have written; None if it is none, or further away than times in a status may be."""
    try:
        time = parse_time(text or "")
    except ValueError:
        return None
    return time if time.tzinfo is not None and time.year in YEARS else None


def _read_count(text: str) -> int | None:
    """Return the number in a label or an annotation, which anybody can edit; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


def observe_job(job: Mapping[str, Any]) -> JobObservation:
    """Return the observation of a Job that has a role, without what only its pods know."""
    metadata = job["metadata"]
    annotations = metadata.get("annotations") or {}
    number = metadata["labels"].get(names.LABEL_NUMBER, "")
    generation = annotations.get(names.ANNOTATION_GENERATION, "")
    return JobObservation(
        name=metadata["name"],
        uid=metadata["uid"],
        role=Role(metadata["labels"][names.LABEL_ROLE]),
        started=parse_time(metadata["creationTimestamp"]),
        finished=end_of(job),
        number=_read_count(number),
        token=annotations.get(names.ANNOTATION_TOKEN),
        trigger=annotations.get(names.ANNOTATION_TRIGGER, ""),
        generation=_read_count(generation),
    )
