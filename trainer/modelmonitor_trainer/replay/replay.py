"""A replay: settings run over the past, and are compared by what they served with baselines and an oracle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelmonitor_api.messages import MonitorRef
from modelmonitor_trainer.data.partition_template import PartitionTemplate
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.baselines import reactive_settings
from modelmonitor_trainer.replay.comparison import compare
from modelmonitor_trainer.replay.costs import Prices
from modelmonitor_trainer.replay.journal import hold_folder, require_same_data
from modelmonitor_trainer.replay.past_store import PastData, PastStore, ResultsFolder
from modelmonitor_trainer.replay.result import ReplayResult
from modelmonitor_trainer.replay.run import Range, SettingRun, run_setting
from modelmonitor_trainer.replay.settings import Setting
from modelmonitor_trainer.replay.simulation import Event
from modelmonitor_trainer.replay.workers import PastStoreConfig, Workers
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import StoreConfig

#: Receives the name of a setting and each of its events.
OnProgress = Callable[[str, Event | None], None]


@dataclass(frozen=True)
class ReplayRequest:
    """What to replay.

    Attributes
    ----------
    monitor
        The monitor.
    settings
        Its own setting first, then others to compare.
    period
        The simulated days.
    folder
        Local folder of the results.
    arrival
        What determines when data arrived.
    baselines
        Whether to compare with never and periodic retraining, with reactions without a gate, and with the oracle.
    prices
        Prices of the costs.
    processes
        Number of worker processes; all cores by default.
    """

    monitor: MonitorRef
    settings: tuple[Setting, ...]
    period: Range
    folder: Path
    arrival: Arrival = Arrival.DECLARED
    baselines: bool = False
    prices: Prices = field(default_factory=Prices)
    processes: int | None = None


def replay(request: ReplayRequest, on_progress: OnProgress = lambda _name, _event: None) -> ReplayResult:
    """Run all settings, and compare them.

    Raises
    ------
    NotFound
        If there are no data in the range.
    BadConfiguration, BadData
        If the settings cannot be compared, or the results folder is damaged or in use.
    """
    own = request.settings[0]
    _require_comparable(request.settings)
    root = f"{uri_of(request.folder)}/"
    config = StoreConfig.of(own.spec.storage)
    data = PastData.list(config.open(), own.spec, request.arrival)
    _require_partitions(data, own, request.period)
    store = PastStoreConfig(config, data, ResultsFolder(root, f"{root}shared-profiles/"))
    settings = [*request.settings, *(reactive_settings(own.spec) if request.baselines else [])]
    with hold_folder(request.folder), Workers(store, request.processes) as workers:
        runs = [_run(request, setting, data, store.open(), workers, on_progress) for setting in settings]
        on_progress("evaluation", None)
        return compare(
            request.monitor,
            runs,
            request.period,
            workers,
            store.open(),
            request.prices,
            request.arrival,
            baselines=request.baselines,
        )


def _run(
    request: ReplayRequest,
    setting: Setting,
    data: PastData,
    store: PastStore,
    workers: Workers,
    on_progress: OnProgress,
) -> SettingRun:
    # A Job of another range, or with other arrivals, has the same name and another answer.
    folder = request.folder / "settings" / setting.key / f"{request.period.first}-{request.arrival.value.lower()}"
    require_same_data(folder / "data.json", data, request.period.end)
    storage = setting.spec.storage.model_copy(update={"results_uri": f"{uri_of(folder)}/"})
    located = replace(setting, spec=setting.spec.model_copy(update={"storage": storage}))
    return run_setting(
        located,
        request.monitor,
        request.period,
        store,
        folder,
        workers,
        lambda event: on_progress(setting.name, event),
    )


def _require_comparable(settings: Sequence[Setting]) -> None:
    """Require that all settings serve the same predictions: of the same target on the same rows.

    Raises
    ------
    BadConfiguration
        If they do not.
    """
    own = settings[0].spec
    for setting in settings[1:]:
        spec = setting.spec
        for path, one, other in (
            ("data.live.uri", own.data.live.uri, spec.data.live.uri),
            ("data.labels.uri", own.data.labels and own.data.labels.uri, spec.data.labels and spec.data.labels.uri),
            ("model.target", own.model.target, spec.model.target),
            ("model.task", own.model.task, spec.model.task),
        ):
            if one != other:
                raise BadConfiguration(
                    f"{setting.name}: spec.{path} is {other!r}, and that of the monitor is {one!r}; only settings for "
                    "the same rows and target can be compared"
                )


def _require_partitions(data: PastData, own: Setting, period: Range) -> None:
    """Require rows within the range.

    Raises
    ------
    NotFound
        With the days that there are.
    """
    uri, days = own.spec.data.live.uri, _days(data, own)
    if not days:
        raise NotFound(f"there is no partition under {uri}; check spec.data.live.uri")
    if period.last < days[0] or period.first > days[-1]:
        raise NotFound(
            f"the partitions under {uri} are of {days[0]} through {days[-1]}, outside of {period.first} through "
            f"{period.last}; change --from and --to"
        )
    if data.arrival is Arrival.MODIFIED and all(info.last_modified >= period.end for info in data.listing.objects):
        earliest = min(info.last_modified for info in data.listing.objects)
        raise NotFound(
            f"all objects were written on or after {earliest:%Y-%m-%d}, after the range: they have been copied since. "
            "Leave out --arrival"
        )


def _days(data: PastData, own: Setting) -> list[dt.date]:
    """Return the days that have a partition of live rows."""
    template = PartitionTemplate.parse(own.spec.data.live.uri)
    locations = (template.locate(info.uri) for info in data.listing.below(template.folder))
    return sorted({location.day for location in locations if location is not None})
