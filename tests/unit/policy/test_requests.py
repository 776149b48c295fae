"""Requests by annotation: which are pending, and what their tokens mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api import names
from modelmonitor_api.status import HandledRequests
from modelmonitor_policy import Requests
from modelmonitor_policy.requests import MAX_TOKEN, MAX_VERSION, version_of


def test_requests_come_from_annotations() -> None:
    annotations = {
        names.ANNOTATION_CHECK_REQUESTED: "now",
        names.ANNOTATION_RETRAIN_REQUESTED: "x" * 1000,
        names.ANNOTATION_ROLLBACK_TO: "previous#2",
        names.ANNOTATION_PROMOTE: "",
        "unrelated": "annotation",
    }
    assert Requests.from_annotations(annotations) == Requests("now", "x" * MAX_TOKEN, "previous#2", None)
    assert Requests.from_annotations({}) == Requests()


def test_a_request_is_pending_until_its_token_is_recorded() -> None:
    requests = Requests("a", "b", "c", "d")
    assert requests.pending(HandledRequests()) == requests
    assert requests.pending(HandledRequests(check="a", rollback="older")) == Requests(None, "b", "c", "d")
    assert requests.pending(HandledRequests(check="a", retrain="b", rollback="c", promote="d")) == Requests()


@given(st.text(max_size=300))
def test_a_suffix_repeats_the_request_for_a_version(version: str) -> None:
    assert version_of(f"{version}#2") == version_of(version)
    assert len(version_of(version)) <= MAX_VERSION
