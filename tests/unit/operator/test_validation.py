"""Validation of monitors: what the API server cannot check."""

from __future__ import annotations

import pytest

from modelmonitor_api import names
from modelmonitor_api.resource import InvalidSpec
from unit.operator.monitors import UID, accepted


def test_a_valid_monitor_is_parsed() -> None:
    monitor = accepted({"team": "delays"})
    assert (monitor.namespace, monitor.name, monitor.uid, monitor.generation) == ("demo", "flights", UID, 4)
    assert monitor.labels == {"team": "delays"}
    assert monitor.spec.schedule == "0 6 * * *"


def test_a_name_that_is_too_long_for_a_cron_job_is_rejected() -> None:
    with pytest.raises(InvalidSpec, match=r"metadata\.name"):
        accepted(name="m" * (names.MAX_MONITOR_NAME + 1))


def test_a_location_outside_of_s3_is_rejected() -> None:
    with pytest.raises(InvalidSpec, match="s3://"):
        accepted(storage={"resultsURI": "file:///tmp/"})


def test_a_spec_that_does_not_fit_into_a_pod_is_refused() -> None:
    values = [f"{number:0250d}" for number in range(250)]
    features = [{"name": f"f{n}", "type": "Categorical", "allowedValues": values} for n in range(4)]
    with pytest.raises(InvalidSpec, match="shorten the list of features"):
        accepted(model={"features": features})
