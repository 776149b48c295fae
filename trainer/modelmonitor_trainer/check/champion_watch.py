"""Champion watch: a newly promoted champion is compared with its predecessor as labels of new rows arrive.

Neither version has seen the rows: they are of the days after the hold-out of the promotion. The looks are scheduled
after 4, 8, 16, … days and at the end of the watch. A look always uses the same days, whenever the check runs, and the
looks share the confidence: testing every day would sooner or later find any champion worse.

The later half of a look is compared as well. If the world changes back, a champion that was better at first is worse
from then on, and all days together hide it.
"""

from __future__ import annotations

import datetime as dt
import logging

from pydantic import ValidationError

from modelmonitor_api.names import short_hash
from modelmonitor_api.spec import Promotion, Requirement, WatchAction
from modelmonitor_api.status import ChampionWatch
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import MonitorData, WatchResult
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import Pointer
from modelmonitor_trainer.registry.writer import put_once
from modelmonitor_trainer.storage.base import JSON, Store

_LOG = logging.getLogger(__name__)

#: Days of the first look; every further look doubles them. Fewer days say nothing about their variation.
FIRST_LOOK = 4


def look_schedule(days: int) -> tuple[int, ...]:
    """Return the numbers of days after which a watch of `days` looks.

    >>> look_schedule(28), look_schedule(8), look_schedule(3)
    ((4, 8, 16, 28), (4, 8), (3,))
    """
    looks = []
    look = FIRST_LOOK
    while look < days:
        looks.append(look)
        look *= 2
    return (*looks, days)


def shared_confidence(promotion: Promotion) -> float:
    """Return the confidence level of each comparison, so that all of them together keep that of the promotion."""
    looks = look_schedule(promotion.watch.days)
    comparisons = len(looks) + sum(_has_halves(look) for look in looks)
    return 1 - (1 - float(promotion.confidence)) / comparisons


def _has_halves(look: int) -> bool:
    return look >= 2 * FIRST_LOOK


def watch_champion(ctx: CheckContext, monitor: MonitorData) -> WatchResult:
    """Return how the champion compares with its predecessor."""
    promotion = monitor.spec.promotion
    if promotion.watch.action is WatchAction.NONE:
        return WatchResult()
    pointer = monitor.registry.champion()
    # A version that returned by a rollback is not watched: two versions would alternate.
    if pointer is None or pointer.action != "Promoted" or pointer.previous is None:
        return WatchResult()
    record = monitor.registry.find_version(pointer.version)
    if record is None:
        return WatchResult()
    ended = record.holdout.end
    schedule = look_schedule(promotion.watch.days)
    due = [look for look in schedule if look <= (monitor.mature - ended).days]
    if not due:
        first = ended + dt.timedelta(days=schedule[0])
        return WatchResult(
            note=f"{pointer.version} is compared with its predecessor {pointer.previous} once labels through {first} "
            "have arrived"
        )
    return _look(ctx, monitor, pointer, ended, due[-1])


def _look(ctx: CheckContext, monitor: MonitorData, pointer: Pointer, ended: dt.date, look: int) -> WatchResult:
    """Return the result of the look after so many days; that of an earlier check if there is one."""
    promotion = monitor.spec.promotion
    uri = _uri(monitor.registry.layout, promotion, pointer, look)
    earlier = _earlier_result(ctx.store, uri)
    if earlier is not None:
        return WatchResult(earlier, _note(earlier))
    # Loading models imports scikit-learn, which checks between two looks do without.
    from modelmonitor_trainer.check.predecessor import compare_with_predecessor

    last = ended + dt.timedelta(days=look)
    confidence = shared_confidence(promotion)

    def compare(first: dt.date) -> WatchResult:
        window = (first, last)
        return compare_with_predecessor(ctx, monitor, pointer, window, confidence=confidence, min_days=FIRST_LOOK)

    try:
        result = compare(ended + dt.timedelta(days=1))
        if result.finding is not None and not result.finding.worse and _has_halves(look):
            later = compare(ended + dt.timedelta(days=1 + look // 2))
            result = later if later.finding is not None and later.finding.worse else result
    except (BadConfiguration, BadData, NotFound) as error:
        # The rest of the check does not depend on it.
        _LOG.warning("the champion cannot be compared with its predecessor: %s", error)
        return WatchResult(
            note=f"{pointer.version} cannot be compared with its predecessor {pointer.previous}: {error}"
        )
    if result.finding is None:
        return result
    return WatchResult(result.finding, _note(result.finding), uri)


def store_look(store: Store, uri: str, watch: ChampionWatch) -> None:
    """Write the result of a look, unless another pod has written one that can be read."""
    content = watch.model_dump_json(by_alias=True).encode()
    kept = put_once(store, uri, content, JSON)
    if kept != content and _parse_look(kept, uri) is None:
        store.write(uri, content, content_type=JSON)


def _uri(layout: ResultsLayout, promotion: Promotion, pointer: Pointer, look: int) -> str:
    """Return the URI of the result of a look: one for each promotion and criterion."""
    criterion = (
        pointer.since.isoformat(),
        str(pointer.previous),
        promotion.metric.value,
        f"{shared_confidence(promotion):.12g}",
        str(promotion.non_inferiority_margin) if promotion.requirement is Requirement.NOT_WORSE else "0",
    )
    return layout.watch(pointer.version, look, short_hash(*criterion))


def _earlier_result(store: Store, uri: str) -> ChampionWatch | None:
    return _parse_look(store.read(uri), uri) if store.head(uri) is not None else None


def _parse_look(content: bytes, uri: str) -> ChampionWatch | None:
    try:
        return ChampionWatch.model_validate_json(content)
    except (ValidationError, ValueError):
        _LOG.warning("%s is damaged; the champion is compared again", uri)
        return None


def _note(watch: ChampionWatch) -> str:
    verdict = "worse than" if watch.worse else "not shown to be worse than"
    return (
        f"{watch.champion} is {verdict} its predecessor {watch.predecessor} on {watch.rows:,} rows of {watch.days} "
        f"days after its hold-out: the difference of {watch.metric} is {watch.difference} "
        f"({watch.low} to {watch.high})"
    )
