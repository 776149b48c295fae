"""Text of messages."""

from __future__ import annotations

from collections.abc import Sequence


def as_sentence(text: str) -> str:
    """Return a message with a capital first letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def listed(items: Sequence[str], most: int) -> str:
    """Return at most `most` items, and how many more there are.

    >>> listed(["a", "b"], 2), listed(["a", "b", "c", "d"], 2), listed([], 2)
    ('a, b', 'a, b and 2 more', '')
    """
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
