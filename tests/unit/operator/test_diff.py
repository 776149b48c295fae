"""When a live object counts as unchanged, and which patch leads from one object to another."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api import names
from modelmonitor_api.quantity import parse_quantity
from modelmonitor_operator.diff import is_up_to_date, merge_patch
from modelmonitor_operator.manifests import cron_job
from support.monitors import merged
from unit.operator.monitors import SETTINGS, accepted


def test_what_the_server_adds_is_no_difference_and_what_people_change_is() -> None:
    wanted = cron_job(accepted(check={"resources": {"limits": {"memory": "1024Mi", "cpu": "0.5"}}}), SETTINGS)
    live = copy.deepcopy(wanted)
    pod = live["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30}
    pod["containers"][0] |= {"terminationMessagePath": "/dev/termination-log"}
    pod["containers"][0]["resources"]["limits"] = {"memory": "1Gi", "cpu": "500m"}
    live["status"] = {"lastScheduleTime": "2013-04-02T06:00:00Z"}
    assert is_up_to_date(live, wanted)
    changes: list[dict[str, Any]] = [
        {"spec": {"schedule": "0 0 * * *"}},
        {"spec": {"suspend": True}},
        {"metadata": {"annotations": {names.ANNOTATION_APPLIED: "older"}}},
        {"metadata": {"ownerReferences": []}},
    ]
    for change in changes:
        assert not is_up_to_date(merged(live, change), wanted)
    pod["containers"][0]["resources"]["limits"]["memory"] = "2Gi"
    assert not is_up_to_date(live, wanted)


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("500m", "0.5"), ("0.5", "0.5"), ("1Gi", 2**30), ("1024Mi", 2**30), ("1G", 10**9), ("2", 2)],
)
def test_quantities(quantity: str, number: Any) -> None:
    assert parse_quantity(quantity) == parse_quantity(str(number))


documents = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from("abcd"), documents, max_size=4),
    st.dictionaries(st.sampled_from("abcd"), documents, max_size=4),
)
def test_a_merge_patch_leads_from_the_one_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    patch = merge_patch(before, after)
    assert merged(before, patch) == after
    assert (patch == {}) == (before == after)


def test_quantities_with_any_suffix_of_the_api_are_compared_by_value() -> None:
    assert is_up_to_date({"memory": "1P"}, {"memory": "1000T"})
    assert not is_up_to_date({"memory": "1Pi"}, {"memory": "1P"})
