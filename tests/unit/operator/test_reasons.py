"""Every reason of the API is used, so that none is documented that can never occur."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelmonitor_api.names import Reason

ROOT = Path(__file__).parents[3]
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for package in ("policy/modelmonitor_policy", "operator/modelmonitor_operator", "trainer/modelmonitor_trainer")
    for path in sorted((ROOT / package).rglob("*.py"))
)


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_is_used(reason: Reason) -> None:
    assert re.search(rf'\bReason\.{reason.name}\b|"{reason.value}"', SOURCES)
