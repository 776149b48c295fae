"""What may be in a label of a metric, or the type of a notification: words from fixed lists, and names.

Statuses contain what pods reported, which is untrusted. Anything else would add series without limit, or carry data.
"""

from __future__ import annotations

import difflib
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


def nearest_word(text: str) -> str | None:
    """Return the word that is closest to a misspelt one; None if there is none."""
    return next(iter(difflib.get_close_matches(text, sorted(_WORDS), 1)), None)


def known_word(text: object) -> str:
    """Return a reason, verdict, action or outcome, if it is one."""
    return text if isinstance(text, str) and text in _WORDS else OTHER


def identifier(text: object) -> str:
    """Return a version or the name of a metric, if it looks like one."""
    return text if isinstance(text, str) and _IDENTIFIER.fullmatch(text) else OTHER


def column_name(text: object) -> str:
    """Return the name of a column, shortened."""
    return str(text)[:_MAX_COLUMN]
