"""Words that writers use for true and false."""

from __future__ import annotations


def _spellings(words: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(form for word in words.split() for form in (word, word.title(), word.upper())))


#: In the order of preference, in lower case, with a capital, and in capitals.
TRUE, FALSE = _spellings("true yes on t y 1"), _spellings("false no off f n 0")
