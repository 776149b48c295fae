"""Result of the champion watch: a new champion compared with its predecessor on new data."""

from __future__ import annotations

from modelmonitor_api.status import ChampionWatch, ModelMonitorStatus


def current_watch(status: ModelMonitorStatus) -> ChampionWatch | None:
    """Return the newest result of the champion watch; None where it is about another champion or promotion."""
    watch = status.last_check.watch if status.last_check is not None else None
    champion = status.champion
    if watch is None or champion is None:
        return None
    return watch if (watch.champion, watch.since) == (champion.version, champion.since) else None


def describe_watch(watch: ChampionWatch) -> str:
    """Return the result of a champion watch as a sentence."""
    verdict = "worse than" if watch.worse else "not significantly worse than"
    return (
        f"The champion {watch.champion} is {verdict} {watch.predecessor}, the version before it: the difference in "
        f"{watch.metric} is {watch.difference} ({watch.low} to {watch.high}) on {watch.rows} rows of {watch.days} days "
        "after its hold-out."
    )
