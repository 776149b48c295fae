"""Jobs as they are found, edited by anybody."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from modelmonitor_api import names
from modelmonitor_policy.job_objects import end_of, observe_job

CREATED = "2013-04-02T12:00:00Z"
ENDED = "2013-04-02T13:00:00Z"


def job(condition: dict[str, Any] | None = None, number: str = "1", generation: str = "1", **status: Any) -> Any:
    """Return a training Job."""
    labels = {names.LABEL_ROLE: "train", names.LABEL_NUMBER: number}
    annotations = {names.ANNOTATION_GENERATION: generation}
    metadata = {"name": "x", "uid": "u", "creationTimestamp": CREATED, "labels": labels, "annotations": annotations}
    ended = [{"type": "Complete", "status": "True", **condition}] if condition is not None else []
    return {"metadata": metadata, "status": {"conditions": ended, **status}}


@pytest.mark.parametrize(
    ("condition", "status", "end"),
    [
        ({"lastTransitionTime": ENDED}, {}, ENDED),
        ({"lastTransitionTime": None}, {"completionTime": ENDED}, ENDED),
        ({}, {}, CREATED),
        ({"lastTransitionTime": "9999-12-31T23:59:59Z"}, {}, CREATED),
        ({"lastTransitionTime": "soon"}, {}, CREATED),
    ],
)
def test_a_job_that_has_ended_has_a_time(condition: dict[str, Any], status: dict[str, Any], end: str) -> None:
    assert end_of(job(condition, **status)) == dt.datetime.fromisoformat(end)


@pytest.mark.parametrize("text", ["²", "٣", "-1", "", "many", "9" * 5000])
def test_a_number_that_somebody_has_edited_is_unknown(text: str) -> None:
    observation = observe_job(job(number=text, generation=text))
    assert (observation.number, observation.generation) == (None, None)
    assert observe_job(job(number="12", generation="3")).number == 12
