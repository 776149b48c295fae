"""What may be the value of a label: words from fixed lists, and names.

Statuses contain what pods reported, which is untrusted. Anything else would add series without limit, or carry data.
"""

from __future__ import annotations

import re

from modelmonitor_api.outcomes import RunOutcome, TrainingOutcome, Verdict
from modelmonitor_api.reasons import FailureReason, GateReason, Reason
from modelmonitor_policy.decision_record import HELD

#: Stands for what is not permitted.
OTHER = "Other"

_ENUMERATIONS = (Reason, GateReason, FailureReason, Verdict, RunOutcome, TrainingOutcome)
_WORDS = frozenset(member.value for words in _ENUMERATIONS for member in words) | {HELD}
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_COLUMN = 200


def known_word(text: object) -> str:
    """Return a reason, verdict, action or outcome, if it is one."""
    return text if isinstance(text, str) and text in _WORDS else OTHER


def identifier(text: object) -> str:
    """Return a version or the name of a metric, if it looks like one."""
    return text if isinstance(text, str) and _IDENTIFIER.fullmatch(text) else OTHER


def column_name(text: object) -> str:
    """Return the name of a column, shortened."""
    return str(text)[:_MAX_COLUMN]
