"""Patterns of paths, which mean what they mean in a shell: ``*`` does not cross ``/``, and ``**`` does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

#: A name that a wildcard matches: not hidden, as in a shell and in Spark.
_VISIBLE = r"(?!\.)(?!_(?![^/]*=))"
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_WILDCARD = re.compile(rf"[*?[]|{_BRACES.pattern}")


class Match(Enum):
    """How a URI matches a pattern: as a file, or because it is below a folder that matches."""

    FILE = "File"
    BELOW = "Below"


@dataclass(frozen=True)
class PathPattern:
    """A pattern over the URIs of a store.

    Attributes
    ----------
    uri
        The pattern: ``*`` and ``?`` match within one name, ``[…]`` one of some characters, ``{a,b}`` one of some
        texts, ``**`` any number of folders. Wildcards at the start of a name do not match names that begin with ``_``
        or a dot.
    """

    uri: str

    @classmethod
    def of(cls, uri: str) -> PathPattern | None:
        """Return the pattern, or None if `uri` has no wildcard."""
        return cls(uri) if _WILDCARD.search(uri) else None

    @property
    def prefix(self) -> str:
        """What every matching URI begins with, for a listing."""
        match = _WILDCARD.search(self.uri)
        return self.uri[: match.start()] if match else self.uri

    @property
    def folder(self) -> str:
        """The folder above the first wildcard, with a slash at the end."""
        return self.prefix[: self.prefix.rfind("/") + 1]

    @cached_property
    def _expressions(self) -> list[str]:
        """Regular expressions of the paths below :attr:`folder`, one for each choice in braces."""
        texts = alternatives(self.uri.removeprefix(self.folder).rstrip("/"))
        return [_expression(text.split("/")) for text in texts]

    @property
    def selected_keys(self) -> frozenset[str]:
        """Keys of ``key=value`` folders whose values the pattern restricts, such as ``date`` in ``date=2024-*``."""
        parts = [part.partition("=") for part in self.uri.removeprefix(self.folder).split("/")]
        return frozenset(key for key, equals, value in parts if equals and value.strip("*"))

    def match(self, uri: str) -> Match | None:
        """Return how a URI matches, or None."""
        if not uri.startswith(self.folder):
            return None
        path = uri.removeprefix(self.folder)
        expressions = self._expressions
        if not self.uri.endswith("/") and any(re.fullmatch(one, path, re.DOTALL) for one in expressions):
            return Match.FILE
        return Match.BELOW if any(re.fullmatch(f"{one}/.*", path, re.DOTALL) for one in expressions) else None

    def matched_folder(self, uri: str) -> str:
        """Return the folder that matches, with a slash at the end, of a URI that is below one."""
        path = uri.removeprefix(self.folder)
        matches = (re.match(f"{one}/", path, re.DOTALL) for one in self._expressions)
        return next((self.folder + match[0] for match in matches if match), self.folder)


def alternatives(text: str) -> list[str]:
    """Return what text with braces stands for; the text itself if it has none.

    >>> alternatives("d=1{0,1}/{a,b{c,}}")
    ['d=10/a', 'd=10/bc', 'd=10/b', 'd=11/a', 'd=11/bc', 'd=11/b']
    """
    match = _BRACES.search(text)
    if match is None:
        return [text]
    chosen = (text[: match.start()] + choice + text[match.end() :] for choice in match[1].split(","))
    return list(dict.fromkeys(one for text in chosen for one in alternatives(text)))


def _expression(parts: list[str]) -> str:
    *folders, last = parts
    above = "".join(f"(?:{_VISIBLE}[^/]+/)*" if part == "**" else f"{_name(part)}/" for part in folders)
    return above + (f"(?:{_VISIBLE}[^/]+/)*{_VISIBLE}[^/]+" if last == "**" else _name(last))


def _name(part: str) -> str:
    """Return the regular expression of one name."""
    result, index = [_VISIBLE if part[:1] in {"*", "?", "["} else ""], 0
    while index < len(part):
        char, end = part[index], part.find("]", index + 2)
        if char == "*":
            result.append("[^/]*")
        elif char == "?":
            result.append("[^/]")
        elif char == "[" and end > 0:
            # Characters that mean nothing in a set of a shell, and something else in one of Python.
            inside = re.sub(r"([\\^\[&~|])", r"\\\1", part[index + 1 : end])
            negated = inside.startswith("!")
            result.append(f"[^/{inside[1:]}]" if negated else f"(?!/)[{inside}]")
            index = end
        else:
            result.append(re.escape(char))
        index += 1
    return "".join(result)
