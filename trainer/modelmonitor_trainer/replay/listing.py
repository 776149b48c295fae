"""A listing of objects that is taken once, and answers as an object store would."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from modelmonitor_trainer.storage.base import ObjectInfo

#: Comes after every character of a URI.
_LAST = "\U0010ffff"
Visible = Callable[[ObjectInfo], bool]


@dataclass(frozen=True)
class Listing:
    """Objects, sorted by URI.

    Attributes
    ----------
    objects
        The objects.
    """

    objects: tuple[ObjectInfo, ...]

    @classmethod
    def of(cls, objects: Iterable[ObjectInfo]) -> Listing:
        """Return the listing of objects; of several with one URI the last counts."""
        by_uri = {info.uri: info for info in objects}
        return cls(tuple(by_uri[uri] for uri in sorted(by_uri)))

    @cached_property
    def _uris(self) -> list[str]:
        return [info.uri for info in self.objects]

    def find(self, uri: str) -> ObjectInfo | None:
        """Return an object; None if there is none."""
        index = bisect_left(self._uris, uri)
        return self.objects[index] if index < len(self.objects) and self._uris[index] == uri else None

    def below(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose URI begins with `prefix`."""
        for index in range(bisect_left(self._uris, prefix), len(self.objects)):
            if not self._uris[index].startswith(prefix):
                return
            yield self.objects[index]

    def children(self, prefix: str, visible: Visible) -> list[str]:
        """Return the objects and folders one level below `prefix` that are visible, or hold a visible object."""
        names: list[str] = []
        index = bisect_left(self._uris, prefix)
        while index < len(self.objects) and self._uris[index].startswith(prefix):
            uri = self._uris[index]
            slash = uri.find("/", len(prefix))
            child = uri if slash < 0 else uri[: slash + 1]
            if visible(self.objects[index]):
                names.append(child)
            elif slash >= 0:
                index += 1
                continue
            # The rest of a folder adds nothing.
            index = index + 1 if slash < 0 else bisect_left(self._uris, child + _LAST)
        return names
