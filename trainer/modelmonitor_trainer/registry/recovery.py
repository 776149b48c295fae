"""Recovery of a lost or damaged champion pointer: which versions are known to have been the champion, and since when.

The copies of the history are the best evidence. Verdicts of trainings and checks name the champion as it was then, and
add what the copies lack: changes before there were copies, or the last one before a kill.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.status import Champion
from modelmonitor_trainer.errors import BadData, NotFound
from modelmonitor_trainer.registry.layout import CheckLayout, ResultsLayout, RunLayout, VersionLayout
from modelmonitor_trainer.registry.reader import find_record
from modelmonitor_trainer.registry.records import Tenure, VersionRecord
from modelmonitor_trainer.registry.tenures import read_tenures
from modelmonitor_trainer.storage.base import Store

#: Checks whose verdicts are read, the newest; each champion is named by every check of its time.
_CHECKS = 100


class PointerLost(BadData):
    """The champion pointer is missing although there was a champion: the serving version cannot be determined."""

    def __init__(self, pointer: str, evidence: str) -> None:
        super().__init__(
            f"{pointer} is missing, but {evidence} shows that there was a champion; which version serves cannot be "
            "determined, so nothing is compared, trained or promoted. modelmonitor repair reports what can be restored"
        )


@dataclass(frozen=True)
class Observation:
    """A document that names the champion of its time.

    Attributes
    ----------
    champion
        Version, and since when it was the champion.
    uri
        The document.
    """

    champion: Champion
    uri: str


def find_evidence(store: Store, layout: ResultsLayout) -> str | None:
    """Return the URI of an object that shows that there was a champion, or None."""
    return next(_evidence(store, layout), None)


def _evidence(store: Store, layout: ResultsLayout) -> Iterator[str]:
    """Yield the objects that show that there was a champion, the ones that are found fastest first."""
    yield from reversed(store.children(layout.tenures))
    yield from (seen.uri for seen in observe_runs(store, layout))
    # Every version has a training. Where no training is left, a version that passed may have served.
    no_runs = not store.children(layout.all_runs)
    for folder in store.children(layout.versions):
        version = VersionLayout(folder)
        with contextlib.suppress(BadData):
            record = find_record(store, version)
            if record is None:
                continue
            if record.compared_with is not None or (no_runs and record.outcome is GateOutcome.PASSED):
                yield version.record


def observe_runs(store: Store, layout: ResultsLayout) -> Iterator[Observation]:
    """Yield the champions that verdicts of trainings name."""
    for monitor in store.children(layout.all_runs):
        for folder in store.children(monitor):
            yield from _observe(store, RunLayout(folder).verdict)


def observe_checks(store: Store, layout: ResultsLayout) -> Iterator[Observation]:
    """Yield the champions that verdicts of the newest checks name."""
    checks = [
        (check.due, check)
        for monitor in store.children(layout.all_checks)
        for folder in store.children(monitor)
        if (check := CheckLayout(folder)).due is not None
    ]
    for _, check in sorted(checks, key=lambda pair: (pair[0], pair[1].folder))[-_CHECKS:]:
        yield from _observe(store, check.verdict)


def restored_history(
    copies: Sequence[Tenure], observations: Iterable[Observation], records: Sequence[VersionRecord]
) -> list[Tenure]:
    """Return the history of the champion as far as it is known, the present champion first.

    Parameters
    ----------
    copies
        The copied tenures.
    observations
        Champions that other documents name.
    records
        The versions that can be read.
    """
    known = {(tenure.version, tenure.since) for tenure in copies}
    by_version = {record.version: record for record in records}
    added = {}
    for observation in observations:
        champion = observation.champion
        if (champion.version, champion.since) not in known:
            added[champion.version, champion.since] = observation
    oldest_first = list(reversed(copies))
    for (version, since), seen in sorted(added.items(), key=lambda item: item[0][1]):
        before = [index for index, tenure in enumerate(oldest_first) if tenure.since <= since]
        oldest_first.insert(before[-1] + 1 if before else 0, _tenure(seen, by_version.get(version)))
    history: list[Tenure] = []
    for tenure in oldest_first:
        inferred: dict[str, object] = {}
        if tenure.number is None:
            again = any(earlier.version == tenure.version for earlier in history)
            inferred = {
                "previous": history[-1].version if history else None,
                "action": "RolledBack" if again else "Promoted",
            }
        history.append(tenure.model_copy(update={**inferred, "number": len(history) + 1}))
    return history[::-1]


def find_history(store: Store, layout: ResultsLayout, records: Sequence[VersionRecord]) -> list[Tenure]:
    """Return the history of the champion from everything below the results prefix; empty if nothing is known."""
    copies, _ = read_tenures(store, layout)
    observations = [*observe_runs(store, layout), *observe_checks(store, layout)]
    return restored_history(copies, observations, records)


def _tenure(observation: Observation, record: VersionRecord | None) -> Tenure:
    """Return what is known of a tenure that has no copy."""
    champion = observation.champion
    end = champion.data_end.date() - dt.timedelta(days=1) if champion.data_end else None
    of_record = record.for_tenure() if record else {"metric": champion.metric, "data_end": end}
    return Tenure.model_validate(
        {
            "version": champion.version,
            "since": champion.since,
            "action": "Promoted",
            "by": "repair",
            "message": f"restored from {observation.uri}",
            **of_record,
        }
    )


def _observe(store: Store, uri: str) -> Iterator[Observation]:
    """Yield the champion that a verdict names, if it can be read and names one."""
    try:
        document = json.loads(store.read(uri))
        answer = document.get("answer", document)
        if answer.get("champion") is not None:
            yield Observation(Champion.model_validate(answer["champion"]), uri)
    except (NotFound, ValueError, AttributeError, TypeError):
        return
