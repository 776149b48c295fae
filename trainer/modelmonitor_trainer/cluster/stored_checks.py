"""The checks of a monitor that are stored with its results: a longer time line than that of the cluster."""

from __future__ import annotations

import functools
import json
from concurrent.futures import ThreadPoolExecutor

from pydantic import ValidationError

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_trainer.cluster.observed import CheckPoint, ObservedMonitor, ordered, point_of
from modelmonitor_trainer.cluster.report_page import layout_of
from modelmonitor_trainer.errors import NotFound
from modelmonitor_trainer.registry.layout import CheckLayout
from modelmonitor_trainer.storage.base import Store

#: Objects that are read at the same time.
_THREADS = 8


def read_checks(store: Store, monitor: ObservedMonitor, most: int) -> tuple[CheckPoint, ...]:
    """Return the newest stored checks of a monitor, oldest first; those that failed store nothing.

    Parameters
    ----------
    store
        The object store.
    monitor
        The monitor.
    most
        Maximum number of checks.
    """
    newest = newest_checks(store, monitor, most)
    with ThreadPoolExecutor(_THREADS) as pool:
        points = pool.map(functools.partial(_read, store), newest)
        return ordered(point for point in points if point is not None)


def newest_checks(store: Store, monitor: ObservedMonitor, most: int) -> list[CheckLayout]:
    """Return the folders of the newest stored checks of a monitor, oldest first."""
    folders = [CheckLayout(folder) for folder in store.children(layout_of(monitor).checks(monitor.uid))]
    return sorted((folder for folder in folders if folder.due is not None), key=lambda folder: folder.folder)[-most:]


def _read(store: Store, folder: CheckLayout) -> CheckPoint | None:
    try:
        answer = CheckVerdict.model_validate(json.loads(store.read(folder.verdict))["answer"])
    except (NotFound, ValueError, KeyError, TypeError, ValidationError):  # not ended, or damaged
        return None
    return point_of(answer, folder.job or folder.folder)
