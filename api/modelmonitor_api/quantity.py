"""Kubernetes resource quantities, such as 500m or 2Gi.

References
----------
Kubernetes API reference, Quantity:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:(?P<suffix>[A-Za-z]{1,2})|[eE](?P<exponent>[+-]?[0-9]+))?"
)
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def parse_quantity(text: str) -> Decimal:
    """Return a quantity as an exact number of cores, bytes or units.

    >>> parse_quantity("2Gi"), parse_quantity("500m"), parse_quantity("1e3")
    (Decimal('2147483648'), Decimal('0.500'), Decimal('1E+3'))

    Raises
    ------
    ValueError
        If the text is not a quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or (match["suffix"] and match["suffix"] not in _SUFFIXES):
        raise ValueError(f"{text!r} is not a quantity; write it like 500m or 2Gi")
    number = Decimal(match["number"])
    if not match["exponent"]:
        return number * _SUFFIXES.get(match["suffix"] or "", Decimal(1))
    try:
        return number.scaleb(int(match["exponent"]))
    except (ArithmeticError, ValueError):
        raise ValueError(f"{text[:32]!r} is too large or too small for a quantity") from None
