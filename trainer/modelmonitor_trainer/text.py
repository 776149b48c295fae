"""Text of messages."""

from __future__ import annotations


def as_sentence(text: str) -> str:
    """Return a message with a capital first letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
