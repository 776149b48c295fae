"""Errors of objects that can be read in more than one way."""

from __future__ import annotations

import pyarrow as pa


class Undeclared(pa.ArrowInvalid):  # type: ignore[misc]  # pyarrow has no types
    """An object that can be read in more than one way; the message says what to declare."""
