"""Probe of conditional writes: whether a store refuses a write whose condition does not hold.

The registry relies on that: of two trainings that race, one must not overwrite what the other wrote. Some stores accept
the conditions and ignore them, and some refuse every request that has one. A few writes of an object of its own, below
the same prefix, tell them apart. That two requests at the same moment exclude each other cannot be shown this way.
"""

from __future__ import annotations

import contextlib
import secrets

from modelmonitor_trainer.errors import BadConfiguration, ModelMonitorError, PreconditionFailed
from modelmonitor_trainer.storage.base import JSON, Store

#: Where the requirements are documented.
REQUIREMENTS = "docs/reference/object-stores.md"


class ConditionIgnored(BadConfiguration):
    """A store wrote an object although the condition of the write did not hold, or refused one whose condition held."""


def probe_conditional_writes(store: Store, prefix_uri: str) -> None:
    """Write an object of its own under each condition, and remove it.

    Parameters
    ----------
    store
        The store.
    prefix_uri
        Folder for the object, with a slash at the end.

    Raises
    ------
    ConditionIgnored
        If a condition has no effect.
    BadConfiguration
        If the store does not support one.
    StorageUnavailable, CredentialsRefused, NotFound
        If nothing can be written there.
    """
    uri = f"{prefix_uri}{secrets.token_hex(8)}.json"
    try:
        _probe(store, uri)
    finally:
        # What is left behind after a kill is removed by the retention.
        with contextlib.suppress(ModelMonitorError):
            store.delete(uri)


def _probe(store: Store, uri: str) -> None:
    """Write `uri` four times; each content differs, so that a repeated request is not mistaken for another one."""
    if not _is_written(store, uri, 1, if_absent=True):
        raise _problem(uri, "it refused to create an object that did not exist (If-None-Match: *)")
    if _is_written(store, uri, 2, if_absent=True):
        raise _problem(uri, "it overwrote an object that was to be created (If-None-Match: * is ignored)")
    stale = store.read_versioned(uri)[1]
    if not _is_written(store, uri, 3, if_match=stale):
        raise _problem(uri, "it refused to replace an object whose ETag was the one just read (If-Match)")
    if _is_written(store, uri, 4, if_match=stale):
        raise _problem(uri, "it replaced an object that had changed since it was read (If-Match is ignored)")
    content = store.read_versioned(uri)[0]
    if content != _content(3):
        raise _problem(uri, "a read after a write did not return what was written")


def _content(number: int) -> bytes:
    return f'{{"probe": {number}}}'.encode()


def _is_written(store: Store, uri: str, number: int, *, if_match: str | None = None, if_absent: bool = False) -> bool:
    """Write one content conditionally; return whether the store accepted the condition."""
    try:
        store.write(uri, _content(number), if_match=if_match, if_absent=if_absent, content_type=JSON)
    except PreconditionFailed:
        return False
    except BadConfiguration as error:
        condition = "If-None-Match: *" if if_absent else "If-Match"
        why = str(error).partition(";")[0].replace(uri, _folder(uri))
        raise _problem(uri, f"it rejected a write with {condition} ({why})") from error
    return True


def _folder(uri: str) -> str:
    """Return the folder of a probe: a message that is repeated must not name another object each time."""
    return f"{uri.rpartition('/')[0]}/"


def _problem(uri: str, what: str) -> ConditionIgnored:
    return ConditionIgnored(
        f"the object store of {_folder(uri)} does not support conditional writes: {what}. Without them, two "
        "trainings at the same time could overwrite the champion of each other, so nothing is trained or promoted; use "
        f"a store that supports them, or upgrade it ({REQUIREMENTS} lists what a store must do)"
    )
