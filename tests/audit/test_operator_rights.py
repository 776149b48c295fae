"""The rights that the chart grants, compared with the audit logs of all API-server tests: sufficient, and necessary.

``make test-api`` runs this after the other tests, with their logs.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelmonitor_operator.gateway import RIGHTS, ROLLOUT_RIGHTS
from support.audit import VARIABLE, Request, requests_of

#: Name of the operator's service account in the chart.
ACCOUNT = "modelmonitor"
GRANTED = {(right.group, right.resource, right.verb) for right in (*RIGHTS, *ROLLOUT_RIGHTS)}
#: The API server asks for this when a server-side apply creates an object; the audit log has the verb of the request.
IMPLIED = {("batch", "cronjobs", "create")}

pytestmark = pytest.mark.skipif(VARIABLE not in os.environ, reason=f"needs the logs of a run, in {VARIABLE}")


@pytest.fixture(scope="module")
def requests() -> set[Request]:
    logged = requests_of(ACCOUNT, Path(os.environ[VARIABLE]))
    assert logged, "the audit logs have no request of an operator"
    return logged


def test_the_operator_never_asks_for_what_the_chart_does_not_grant(requests: set[Request]) -> None:
    assert {(each.group, each.resource, each.verb) for each in requests} <= GRANTED


def test_every_right_is_used(requests: set[Request]) -> None:
    used = {(each.group, each.resource, each.verb) for each in requests if each.permitted}
    assert used >= GRANTED - IMPLIED
