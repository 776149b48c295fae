"""Text of messages and reports: sentences, lists, numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

#: Names of versions and URIs.
_AS_WRITTEN = re.compile(r"v\d+-|[a-z0-9]+://")


def as_sentence(text: str) -> str:
    """Return a message with a capital first letter and a full stop; a version or a URI stays as it is.

    >>> as_sentence("no label has arrived"), as_sentence("v2-0badcafe is pinned"), as_sentence("s3://b/k is empty")
    ('No label has arrived.', 'v2-0badcafe is pinned.', 's3://b/k is empty.')
    """
    first = text[:1] if _AS_WRITTEN.match(text) else text[:1].upper()
    return first + text[1:] + ("" if text.endswith((".", "?")) else ".")


def listed(items: Sequence[str], most: int) -> str:
    """Return at most `most` items, and how many more there are.

    >>> listed(["a", "b"], 2), listed(["a", "b", "c", "d"], 2), listed([], 2)
    ('a, b', 'a, b and 2 more', '')
    """
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def printable(text: str) -> str:
    r"""Return text from data without terminal control characters.

    >>> printable("a\x1b[31m")
    'a?[31m'
    """
    return "".join(c if c.isprintable() else "?" for c in text)


def one_line(message: object) -> str:
    r"""Return a library's message as one line of at most 300 characters.

    >>> one_line(ValueError("two\n  lines"))
    'two lines'
    """
    return " ".join(str(message).split())[:300]


def number(value: float, digits: int = 4) -> str:
    """Return a number as people write it: `digits` significant ones at least, and separators between thousands.

    >>> number(29640.0), number(0.12345678), number(1234567.891), number(0.00001234), number(-3.0)
    ('29,640', '0.1235', '1,234,568', '0.00001234', '-3')
    >>> number(1.5e21), number(2e-9), number(5e-324), number(float("-inf"))
    ('1.5e21', '2e-9', '0', '-∞')
    """
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    if size < 1e-300 or math.isnan(value):
        return "–" if math.isnan(value) else "0"
    if size >= 1e15 or size < 1e-6:
        mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    # Fixed notation; rounding can lead to a further digit, as from 999.96.
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def percent(share: float) -> str:
    """Return a share as a percentage; only all and nothing are 100 % and 0 %.

    >>> percent(0.129), percent(0.0), percent(1.0), percent(0.5), percent(0.00034), percent(0.99996), percent(1e-9)
    ('12.9 %', '0 %', '100 %', '50 %', '0.03 %', '99.996 %', '< 0.0001 %')
    """
    smaller = min(abs(share), abs(1 - share))
    if 0 < smaller < 1e-6:
        return "< 0.0001 %" if share < 0.5 else "> 99.9999 %"
    decimals = 1
    while 0 < smaller < 0.5 and decimals < 4 and round(100 * smaller, decimals) < 2 * 10.0**-decimals:
        decimals += 1
    text = f"{100 * share:.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.')} %"
