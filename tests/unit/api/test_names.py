"""Names fit into the limits of Kubernetes, and errors name the fields."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api import ModelMonitorSpec
from modelmonitor_api.names import (
    MAX_MONITOR_NAME,
    Role,
    cron_job_name,
    requested_job_name,
    short_hash,
    training_job_name,
)
from modelmonitor_api.resource import InvalidSpec, camel, parse
from modelmonitor_api.times import format_time, parse_time

monitors = st.from_regex(rf"[a-z0-9]([-a-z0-9.]{{0,{MAX_MONITOR_NAME - 2}}}[a-z0-9])?", fullmatch=True).filter(
    lambda name: re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name)
)
MAX_CRON_JOB = 52
MAX_JOB = 63


@given(monitors, st.text(max_size=80), st.integers(1, 9999), st.text(max_size=300), st.sampled_from(Role))
def test_names_of_children_fit(monitor: str, uid: str, number: int, token: str, role: Role) -> None:
    assert len(cron_job_name(monitor)) <= MAX_CRON_JOB
    for name in (training_job_name(monitor, uid, number), requested_job_name(monitor, uid, role, token)):
        assert len(name) <= MAX_JOB
        assert name.startswith(monitor)
        assert re.fullmatch(r"[a-z0-9.-]*[a-z0-9]", name)


def test_the_same_token_gives_the_same_job() -> None:
    first = requested_job_name("flights", "uid", Role.CHECK, "now")
    assert first == requested_job_name("flights", "uid", Role.CHECK, "now")
    assert first != requested_job_name("flights", "uid", Role.CHECK, "later")
    assert first != requested_job_name("flights", "another uid", Role.CHECK, "now")


def test_a_hash_separates_its_parts() -> None:
    assert short_hash("ab", "c") != short_hash("a", "bc")
    assert re.fullmatch(r"[0-9a-f]{8}", short_hash("x"))


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("results_uri", "resultsURI"),
        ("uri", "uri"),
        ("job_uid", "jobUID"),
        ("suspend", "suspend"),
        ("r2_of_x", "r2OfX"),
    ],
)
def test_wire_names(name: str, wire: str) -> None:
    assert camel(name) == wire


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)))  # noqa: DTZ001 -- made aware below
def test_times_round_trip(moment: dt.datetime) -> None:
    aware = moment.replace(microsecond=0, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    assert parse_time(format_time(aware)) == aware
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", format_time(aware))


def test_an_error_names_at_most_three_fields_by_their_json_paths() -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(
            ModelMonitorSpec,
            {
                "schedule": "",
                "storage": {"resultsURI": "gs://x/"},
                "data": {"live": {"uri": "s3://data/%q/"}},
                "model": {"task": "Guessing", "target": "y", "features": []},
                "retraining": {},
                "promotion": {"metric": "R2"},
                "unknown": 1,
            },
        )
    message = str(caught.value)
    assert message.startswith("spec.schedule: String should have at least 1 character; spec.storage.resultsURI: ")
    assert "spec.data.live.uri: %q is not a supported time directive; use %Y, %m, %d and %H" in message
    assert re.search(r"\(and \d more\)$", message)
