"""What is wrong with a value of a resource, and what to write instead, in words that users of YAML know."""

from __future__ import annotations

from typing import Any

#: Pattern of a field → what fits it.
FORMS = {
    r"^-?[0-9]{1,15}(\.[0-9]{1,10})?$": 'a decimal number in quotes, such as "-0.5"',
    r"^(0(\.[0-9]{1,10})?|1(\.0{1,10})?)$": 'a number from 0 to 1 in quotes, such as "0.05"',
    r"^[0-9]{1,15}(\.[0-9]{1,10})?$": 'a number that is not negative, in quotes, such as "2.5"',
    r"^0\.[0-9]{0,9}[1-9][0-9]{0,9}$": 'a number above 0 and below 1 in quotes, such as "0.95"',
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": "the name of an object: small letters, digits, '-' and '.'",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "a name of small letters, digits and '-'",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "a name of letters, digits and '_'",
    r"^[-._a-zA-Z][-._a-zA-Z0-9]*$": "a name of letters, digits, '-', '_' and '.', which begins with no digit",
    r"^[A-Za-z0-9._-]+$": "the name of an encoding, such as cp1252",
    r"^[A-Za-z0-9-]+$": "the name of a region, such as us-east-1",
    r"^[.,]$": "a point or a comma",
    r"^(s3|file)://([^%]|%[YmdH])+$": "a template such as s3://bucket/rows/date=%Y-%m-%d/, of s3:// or file:// and "
    "with no other field than %Y, %m, %d and %H",
    r"^(s3|file)://.+": "a URI that begins with s3:// or file://, such as s3://bucket/results/",
    r"^https?://[A-Za-z0-9.:\[\]-]+(/.*)?$": "a URL that begins with http:// or https://",
    r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$": 'a quantity such as "500m" or "2Gi"',
}

#: Kind of a validation error → what the value must be; with values of its context.
_MUST = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "model_type": "an object with fields",
    "model_attributes_type": "an object with fields",
    "dict_type": "an object with fields",
    "enum": "{expected}",
    "greater_than_equal": "at least {ge}",
    "greater_than": "greater than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
}
#: Longest value that a message repeats.
_SHOWN = 60


def describe(kind: str, context: dict[str, Any], value: Any, message: str) -> str:
    """Return what a value must be, and what it is.

    Parameters
    ----------
    kind, context, message
        Type, context and message of a validation error of Pydantic.
    value
        The value.

    >>> describe("less_than_equal", {"le": 366}, 4000, "")
    'must be at most 366, not 4000'
    """
    if kind == "missing":
        return "is required; add it"
    if kind == "string_pattern_mismatch" and context["pattern"] in FORMS:
        return f"must be {FORMS[context['pattern']]}{_but(value)}"
    if kind in _MUST:
        return f"must be {_MUST[kind].format(**context)}{_but(value)}"
    return message.removeprefix("Value error, ")


def _but(value: Any) -> str:
    """Return what a value is, as the end of a sentence."""
    if value is None:
        return ", and is empty"
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, dict):
        return ", not an object with fields"
    if isinstance(value, list | tuple):
        return ", not a list"
    text = repr(value)
    return f", not {text}" if len(text) <= _SHOWN else ""
