"""Every reason of the API is used, so that none is documented that can never occur."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelmonitor_api.names import Reason

ROOT = Path(__file__).parents[3]
SOURCES = [
    path.read_text(encoding="utf-8")
    for package in ("policy/modelmonitor_policy", "operator/modelmonitor_operator", "trainer/modelmonitor_trainer")
    for path in sorted((ROOT / package).rglob("*.py"))
]
USED = frozenset(name for source in SOURCES for name in re.findall(r"\bReason\.([A-Z_]+)", source))
#: An outcome that pods return in a field whose type is a literal of the same word.
FROM_PODS = frozenset({"ROLLED_BACK"})


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_is_used(reason: Reason) -> None:
    assert reason.name in USED | FROM_PODS
