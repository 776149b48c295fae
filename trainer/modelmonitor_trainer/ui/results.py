"""What a monitor has stored with its results, as its page shows it; each part can be missing."""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_api.scores import ServedScore
from modelmonitor_api.status import RecordedDecision
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.report_page import layout_of, trainings
from modelmonitor_trainer.cluster.stored_checks import newest_checks
from modelmonitor_trainer.errors import ModelMonitorError, NotFound
from modelmonitor_trainer.registry.layout import CheckLayout
from modelmonitor_trainer.registry.ledger import read_ledger
from modelmonitor_trainer.registry.records import ServingPeriod
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.storage.base import Store

T = TypeVar("T")
#: Checks of a page, and objects that are read at the same time.
CHECKS = 60
_THREADS = 8
#: Documents of checks that are kept: about a megabyte for fifty columns.
_CACHED = 2000


@dataclass(frozen=True)
class FeatureEffect:
    """What a check found about a column: the effect, from 0 to 1, and whether it has drifted."""

    effect: float
    drifted: bool


@dataclass(frozen=True)
class StoredCheck:
    """A check with a stored verdict.

    Attributes
    ----------
    folder
        Name of its folder: when it was due, and its Job.
    due
        When it was due.
    verdict, message
        What it returned.
    score
        The champion's score on labelled rows; None if it scored none.
    effects
        Column → effect.
    """

    folder: str
    due: dt.datetime
    verdict: str
    message: str = ""
    score: ServedScore | None = None
    effects: dict[str, FeatureEffect] = field(default_factory=dict)


@dataclass(frozen=True)
class MonitorResults:
    """The stored results of a monitor.

    Attributes
    ----------
    checks
        Its newest checks, oldest first.
    trainings
        Names of the folders of its trainings, newest first.
    tenures
        Versions that served and when, earliest first.
    decisions
        All decisions, oldest first.
    problems
        What could not be read, a sentence each.
    """

    checks: tuple[StoredCheck, ...] = ()
    trainings: tuple[str, ...] = ()
    tenures: tuple[ServingPeriod, ...] = ()
    decisions: tuple[RecordedDecision, ...] = ()
    problems: tuple[str, ...] = ()


class CheckCache:
    """Checks that have been read; a stored check never changes. The least recently used are forgotten."""

    def __init__(self, most: int = _CACHED) -> None:
        self._most = most
        self._checks: OrderedDict[str, StoredCheck] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, uri: str, read: Callable[[], StoredCheck | None]) -> StoredCheck | None:
        """Return the check with this URI, read only if it is not known; what has not ended is not kept."""
        with self._lock:
            known = self._checks.get(uri)
            if known is not None:
                self._checks.move_to_end(uri)
                return known
        check = read()
        if check is not None:
            with self._lock:
                self._checks[uri] = check
                while len(self._checks) > self._most:
                    self._checks.popitem(last=False)
        return check


def read_results(store: Store, monitor: ObservedMonitor, cache: CheckCache) -> MonitorResults:
    """Return the stored results of a monitor; a part that cannot be read is a problem, and hides no other.

    Raises
    ------
    BadConfiguration
        If the spec of the monitor is invalid.
    """
    layout = layout_of(monitor)
    problems: list[str] = []

    def attempt(part: str, read: Callable[[], Sequence[T]]) -> tuple[T, ...]:
        try:
            return tuple(read())
        except NotFound:
            return ()
        except (ModelMonitorError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{part} cannot be read: {error}")
            return ()

    return MonitorResults(
        checks=attempt("The checks", lambda: _read_checks(store, monitor, cache)),
        trainings=attempt("The trainings", lambda: trainings(store, monitor)),
        tenures=attempt("The champions", lambda: _tenures(ModelRegistry(store, layout))),
        decisions=attempt("The ledger", lambda: read_ledger(store, layout, monitor.uid)),
        problems=tuple(problems),
    )


def _tenures(registry: ModelRegistry) -> list[ServingPeriod]:
    stored = registry.pointer()
    return [] if stored is None else stored[0].all_periods()


def _read_checks(store: Store, monitor: ObservedMonitor, cache: CheckCache) -> list[StoredCheck]:
    def read(folder: CheckLayout) -> StoredCheck | None:
        return cache.get(folder.verdict, functools.partial(read_check, store, folder))

    with ThreadPoolExecutor(_THREADS) as pool:
        return [check for check in pool.map(read, newest_checks(store, monitor, CHECKS)) if check is not None]


def read_check(store: Store, folder: CheckLayout) -> StoredCheck | None:
    """Return a stored check; None if it has not ended, or is damaged."""
    assert folder.due is not None
    try:
        document = json.loads(store.read(folder.verdict))
        answer = CheckVerdict.model_validate(document["answer"])
        effects = dict(_effects(document))
    except (NotFound, ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return None
    name = folder.folder.rstrip("/").rpartition("/")[2]
    return StoredCheck(name, folder.due, str(answer.verdict), answer.message, answer.performance, effects)


def _effects(document: dict[str, Any]) -> list[tuple[str, FeatureEffect]]:
    """Return the effects of the columns that were compared."""
    effects = []
    for feature in document.get("features") or []:
        effect = feature.get("effect")
        if isinstance(effect, int | float) and math.isfinite(effect):
            size = FeatureEffect(min(max(float(effect), 0.0), 1.0), bool(feature.get("drifted")))
            effects.append((str(feature["name"]), size))
    return effects
