"""Every reason that a user can meet is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelmonitor_api.names import ConditionType, FailureReason, Reason
from modelmonitor_api.reasons import GateReason

PAGE = (Path(__file__).parents[3] / "docs" / "troubleshooting.md").read_text()
EXPLAINED = frozenset(re.findall(r"`([A-Z][A-Za-z]+)`", PAGE))


@pytest.mark.parametrize("reason", [*Reason, *FailureReason, *GateReason], ids=str)
def test_every_reason_is_explained(reason: str) -> None:
    assert str(reason) in EXPLAINED


@pytest.mark.parametrize("kind", [k for k in ConditionType if k is not ConditionType.SUSPENDED], ids=str)
def test_every_condition_has_its_part(kind: ConditionType) -> None:
    assert re.search(rf"^## .*\b{kind}\b", PAGE, re.MULTILINE)
