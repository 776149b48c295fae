"""Report pages of a monitor: where they are, and how they are opened safely."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelmonitor_api.messages import MonitorRef
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.registry.layout import CheckLayout, ResultsLayout

if TYPE_CHECKING:
    from modelmonitor_trainer.storage.base import Store

#: The policy of the pages themselves, stated again before anything else: whoever can write to the bucket could have
#: replaced a page, and a page that is opened from a file must not run scripts or load anything.
_POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    'img-src data:">'
)
_DOCTYPE = re.compile(r"\s*<!doctype html>", re.IGNORECASE)


def layout_of(monitor: ObservedMonitor) -> ResultsLayout:
    """Return where the results of a monitor are.

    Raises
    ------
    BadConfiguration
        If its spec is invalid.
    """
    if monitor.spec is None:
        raise BadConfiguration(f"the spec of {monitor.namespace}/{monitor.name} is invalid: {monitor.spec_problem}")
    ref = MonitorRef(namespace=monitor.namespace, name=monitor.name, uid=monitor.uid)
    return ResultsLayout.of(monitor.spec, ref)


def find_check_report(store: Store, monitor: ObservedMonitor) -> str:
    """Return the URI of the page of the newest check that has one.

    Raises
    ------
    NotFound
        If there is none.
    """
    layout, check = layout_of(monitor), monitor.status.last_check
    stated = check.report_uri if check is not None else None
    if _is_within(stated, layout):
        assert stated is not None
        return stated
    folder = layout.checks(monitor.uid)
    # Names of folders begin with the time, so the last is the newest.
    pages = (CheckLayout(child).report for child in reversed(store.children(folder)))
    newest = next((uri for uri in pages if store.head(uri) is not None), None)
    if newest is None:
        raise NotFound(f"no check of {monitor.namespace}/{monitor.name} has written a page under {folder}")
    return newest


def find_training_report(store: Store, monitor: ObservedMonitor, number: int | None) -> str:
    """Return the URI of the page of a training; without a number, of the newest that has ended.

    Raises
    ------
    NotFound
        If there is none.
    """
    layout, last = layout_of(monitor), monitor.status.last_training
    if last is not None and number in {None, last.number} and _is_within(last.report_uri, layout):
        assert last.report_uri is not None
        return last.report_uri
    numbers = trainings(store, monitor)
    wanted = [name for name in numbers if number is None or name.split("-")[0] == str(number)]
    for name in wanted:
        uri = f"{layout.runs(monitor.uid)}{name}/report.html"
        if store.head(uri) is not None:
            return uri
    known = ", ".join(sorted({name.split("-")[0] for name in numbers}, key=int)[-10:]) or "none"
    which = f"training {number}" if number is not None else "training"
    raise NotFound(
        f"no {which} of {monitor.namespace}/{monitor.name} has written a page (a training that failed writes none); "
        f"trainings with results: {known}"
    )


def trainings(store: Store, monitor: ObservedMonitor) -> list[str]:
    """Return the names of the folders of trainings, newest first."""
    folders = store.children(layout_of(monitor).runs(monitor.uid))
    names = [folder.rstrip("/").rpartition("/")[2] for folder in folders]
    numbered = [name for name in names if re.fullmatch(r"\d{1,9}(-\w+)?", name)]
    return sorted(numbered, key=lambda name: (-int(name.split("-")[0]), name))


def _is_within(uri: str | None, layout: ResultsLayout) -> bool:
    """Return whether a URI of the status, which a pod has written, is one of the monitor's results."""
    return uri is not None and uri.startswith(layout.root)


def safe_page(data: bytes, uri: str) -> str:
    """Return a page that runs no scripts and loads nothing, whatever is in it.

    Raises
    ------
    BadData
        If it is not an HTML page.
    """
    text = data.decode(errors="replace")
    start = _DOCTYPE.match(text)
    if start is None:
        raise BadData(f"{uri} is not a report page: it does not begin with <!doctype html>")
    return text[: start.end()] + _POLICY + text[start.end() :]
