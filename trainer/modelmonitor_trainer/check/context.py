"""The surroundings of a check: object store, profile cache, data format, stopwatch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.profile.engine import Engine
from modelmonitor_trainer.storage.base import Store


@dataclass
class Stopwatch:
    """Elapsed time of the steps of a check.

    Attributes
    ----------
    seconds
        Step → seconds.
    """

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the elapsed time of the ``with`` block to a step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class CheckContext:
    """The surroundings of a check.

    Attributes
    ----------
    store
        Object store of data and profiles.
    cache_prefix
        URI prefix of cached profiles; None disables the cache.
    fmt
        Format of all objects.
    engine
        Where objects are profiled; threads of this process by default.
    stopwatch
        Measures the steps.
    """

    store: Store
    cache_prefix: str | None
    fmt: AnyFormat
    engine: Engine | None = None
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
