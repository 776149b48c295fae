"""The watch on a new champion: the version before it is scored on the same rows, as their labels come.

Neither has seen the rows: they are of the days after the hold-out of the champion's promotion, so that the comparison
which promoted it has no part in them. They are looked at after 4, 8, 16, … days and at the end of the watch, each
time the same days whenever the check runs, and the confidence is shared by these looks: a watch that looked every day
would find a worse champion sooner or later, whatever it is.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass

from pydantic import ValidationError

from modelmonitor_api.names import short_hash
from modelmonitor_api.spec import ModelMonitorSpec, Promotion, Requirement, WatchAction
from modelmonitor_api.status import ChampionWatch
from modelmonitor_trainer.check.windows import CheckWindows
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.registry import champion as registry
from modelmonitor_trainer.registry.champion import Pointer
from modelmonitor_trainer.registry.versions import put_once
from modelmonitor_trainer.storage.base import JSON, Store

_LOG = logging.getLogger(__name__)

#: Days of the first look; each further one has twice as many. With fewer, days cannot be told from chance.
FIRST_LOOK = 4


@dataclass(frozen=True)
class WatchResult:
    """What a watch found.

    Attributes
    ----------
    finding
        What the operator is told; None where nothing can be said yet, or there is nothing to watch.
    note
        What a reader of the report should know; empty where there is nothing to watch.
    """

    finding: ChampionWatch | None = None
    note: str = ""


def look_schedule(days: int) -> tuple[int, ...]:
    """Return after how many days a watch of `days` looks.

    >>> looks(28), looks(8), looks(3)
    ((4, 8, 16, 28), (4, 8), (3,))
    """
    found = []
    look = FIRST_LOOK
    while look < days:
        found.append(look)
        look *= 2
    return (*found, days)


def shared_confidence(promotion: Promotion) -> float:
    """Return the confidence of each look, so that all together err as rarely as one would (Bonferroni)."""
    return 1 - (1 - float(promotion.confidence)) / len(look_schedule(promotion.watch.days))


def watch_champion(store: Store, prefix: str, spec: ModelMonitorSpec, inputs: CheckWindows) -> WatchResult:
    """Return how the champion does beside the version before it.

    Parameters
    ----------
    store, prefix
        Where the monitor's results are.
    spec
        Says whether and how long is watched.
    inputs
        Says until which day labels are mature.
    """
    if spec.promotion.watch.action is WatchAction.NONE:
        return WatchResult()
    pointer = registry.champion_pointer(store, prefix)
    # What came back by a rollback is not watched: two versions would take turns.
    if pointer is None or pointer.action != "Promoted" or pointer.previous is None:
        return WatchResult()
    record = registry.read_version(store, prefix, pointer.version)
    if record is None:
        return WatchResult()
    ended = record.holdout.end
    due = [look for look in look_schedule(spec.promotion.watch.days) if look <= (inputs.mature - ended).days]
    if not due:
        first = ended + dt.timedelta(days=look_schedule(spec.promotion.watch.days)[0])
        return WatchResult(
            note=f"{pointer.version} is compared with {pointer.previous} before it once labels until {first} have come"
        )
    return _looked(store, prefix, spec, inputs, pointer, ended, due[-1])


def _looked(
    store: Store, prefix: str, spec: ModelMonitorSpec, inputs: CheckWindows, pointer: Pointer, ended: dt.date, look: int
) -> WatchResult:
    """Return what the look after so many days finds, from an earlier check where one has looked."""
    uri = _uri(prefix, spec.promotion, pointer, look)
    earlier = _earlier(store, uri)
    if earlier is not None:
        return WatchResult(earlier, _note(earlier))
    # What asks models needs scikit-learn, which the checks between two looks do without.
    from modelmonitor_trainer.check.predecessor import compare_with_predecessor

    try:
        finding = compare_with_predecessor(
            store,
            prefix,
            spec,
            inputs,
            pointer,
            (ended + dt.timedelta(days=1), ended + dt.timedelta(days=look)),
            confidence=shared_confidence(spec.promotion),
            min_days=FIRST_LOOK,
        )
    except (BadConfiguration, BadData, NotFound) as error:
        # The check is none the worse for it.
        _LOG.warning("the champion cannot be compared with the version before it: %s", error)
        return WatchResult(note=f"{pointer.version} cannot be compared with {pointer.previous} before it: {error}")
    if isinstance(finding, str):
        return WatchResult(note=finding)
    put_once(store, uri, finding.model_dump_json(by_alias=True).encode(), JSON)
    return WatchResult(finding, _note(finding))


def _uri(prefix: str, promotion: Promotion, pointer: Pointer, look: int) -> str:
    """Return where the result of a look is kept: one for each promotion and way to judge it."""
    judged_by = (
        pointer.since.isoformat(),
        str(pointer.previous),
        promotion.metric.value,
        f"{shared_confidence(promotion):.12g}",
        str(promotion.non_inferiority_margin) if promotion.requirement is Requirement.NOT_WORSE else "0",
    )
    return f"{prefix}watch/{pointer.version}/{look}-{short_hash(*judged_by)}.json"


def _earlier(store: Store, uri: str) -> ChampionWatch | None:
    if store.head(uri) is None:
        return None
    try:
        return ChampionWatch.model_validate_json(store.read(uri))
    except (ValidationError, ValueError):
        _LOG.warning("%s is damaged; the champion is compared again", uri)
        store.delete(uri)
        return None


def _note(found: ChampionWatch) -> str:
    verdict = "worse than" if found.worse else "not shown to be worse than"
    return (
        f"{found.champion} is {verdict} {found.predecessor} before it, which was scored on the same {found.rows:,} "
        f"rows of {found.days} days after its hold-out: the difference of {found.metric} is {found.difference} "
        f"({found.low} to {found.high})"
    )
