"""Encodings of text objects: recognized from their first bytes, or as declared."""

from __future__ import annotations

import codecs

from modelmonitor_trainer.data.canonical import FALLBACK_ENCODING
from modelmonitor_trainer.data.undeclared import Undeclared

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Characters of Western European text besides letters.
_WESTERN_SIGNS = frozenset("€£§°´’‘“”„–—…«»·²½ºª©®™¿¡×\xa0")
#: Largest share of bytes beyond ASCII that have another one next to them, in text of Western Europe.
_NEIGHBOURS = 0.3


def recognize_encoding(head: bytes) -> str:
    """Return the encoding of text from its first bytes.

    Raises
    ------
    Undeclared
        If it cannot be recognized.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if len(head) > 3 and head.count(0) > len(head) // 4:
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return legacy_encoding(head)
    return "utf-8"


def legacy_encoding(data: bytes) -> str:
    """Return the encoding of text that is not UTF-8, if it can be recognized.

    Raises
    ------
    Undeclared
        If it cannot.
    """
    text = data.decode(FALLBACK_ENCODING, errors="replace")
    beyond = [index for index, char in enumerate(text) if ord(char) > 127]
    known = set(beyond)
    letters = sum(text[index].isalpha() or text[index] in _WESTERN_SIGNS for index in beyond)
    neighbours = sum(index + 1 in known or index - 1 in known for index in beyond)
    if letters < 0.9 * len(beyond) or neighbours > _NEIGHBOURS * len(beyond) or "\x00" in text:
        raise Undeclared(
            "its text is not UTF-8, and the encoding cannot be told from it; declare data.csv.encoding (--encoding), "
            "such as cp1250, cp1251 or shift_jis"
        )
    return FALLBACK_ENCODING


def check_encoding(name: str) -> str:
    """Return the canonical name of a declared encoding.

    Raises
    ------
    Undeclared
        If Python does not know it.
    """
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise Undeclared(f"data.csv.encoding (--encoding) is {name!r}, which Python does not know") from None


def describe_encoding(encoding: str) -> str:
    """Return a note on an encoding other than UTF-8."""
    if encoding == FALLBACK_ENCODING:
        return "the text is not UTF-8, and is read as Western European (cp1252)"
    return f"the encoding is {encoding}"
