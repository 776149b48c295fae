"""Command replay: what a monitor would have done over past data, and what it would have cost."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelmonitor_trainer.cli.arguments import add_file, add_output, day, price
from modelmonitor_trainer.cli.monitor_file import read_monitor

if TYPE_CHECKING:
    from modelmonitor_api.spec import Costs
    from modelmonitor_trainer.replay.costs import Prices
    from modelmonitor_trainer.replay.replay import OnProgress, ReplayRequest
    from modelmonitor_trainer.replay.simulation import Event

#: Members of Arrival, whose module is imported by the command only.
ARRIVALS = ("Declared", "Partition", "Modified")


def add_commands(subparsers: Any) -> None:
    """Add replay to the command line."""
    command = subparsers.add_parser(
        "replay",
        help="run a monitor over past data: what it would have done, and what it would have cost",
        description="Walk the scheduled times over past partitions, with the real checks, decisions, trainings and "
        "promotions. Results go to a folder of their own; the monitor's champion is not touched. An interrupted replay "
        "resumes where it stopped.",
    )
    add_file(command)
    command.add_argument("--from", dest="first", required=True, type=day, metavar="DAY", help="first day, 2013-01-01")
    command.add_argument("--to", dest="last", required=True, type=day, metavar="DAY", help="last day, included")
    command.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="replace a field of the spec, such as sensitivity.minimumEffect=0.05; can be repeated",
    )
    command.add_argument(
        "--compare", nargs="+", default=[], metavar="FILE", help="YAML files of other settings for the same rows"
    )
    command.add_argument(
        "--policies",
        action="store_true",
        help="compare with never and periodic retraining, reactions without a gate, and the cheapest schedule in "
        "hindsight",
    )
    command.add_argument(
        "--arrival",
        nargs="?",
        const="Modified",
        default="Declared",
        choices=ARRIVALS,
        help="when data arrived: labels data.labels.delayDays after their partition's day (Declared, the default), or "
        "with that day (Partition), or all objects when they were written (Modified, the meaning of --arrival alone)",
    )
    command.add_argument(
        "--training-price",
        type=price,
        metavar="N",
        help="price of a training (default: spec.costs.training, or 1)",
    )
    command.add_argument(
        "--metric-price",
        type=price,
        metavar="N",
        help="price of a point of the metric (0.01) that the served model lacks for a day (default: "
        "spec.costs.metricPointDay, or 1)",
    )
    command.add_argument("--currency", default="", metavar="TEXT", help="unit of the prices")
    command.add_argument("--html", metavar="FILE", help="write the page to FILE")
    command.add_argument("--results", metavar="DIR", help="folder of the results (default replay-NAME)")
    command.add_argument("--processes", type=int, metavar="N", help="number of processes (default: all cores)")
    add_output(command)
    command.set_defaults(run=_replay)


def _replay(args: argparse.Namespace) -> int:
    # Before the libraries are imported: this process and its workers use one core each.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from modelmonitor_trainer.cli.files import require_writable, write_text
    from modelmonitor_trainer.replay.replay import replay
    from modelmonitor_trainer.replay.text import render_text

    request = _request(args)
    if args.html:
        require_writable(args.html)
    with _without_logs(), _progress(request) as on_progress:
        result = replay(request, on_progress)
    if args.html:
        from modelmonitor_trainer.replay.page import render

        write_text(args.html, render(result))
    if args.output == "json":
        print(json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False, indent=2))
    else:
        print(render_text(result, str(request.folder), args.html))
    return 0


def _request(args: argparse.Namespace) -> ReplayRequest:
    from modelmonitor_trainer.errors import BadConfiguration
    from modelmonitor_trainer.replay.arrival import Arrival
    from modelmonitor_trainer.replay.baselines import is_policy_name
    from modelmonitor_trainer.replay.replay import ReplayRequest
    from modelmonitor_trainer.replay.run import Range
    from modelmonitor_trainer.replay.settings import Setting, with_overrides

    if args.last < args.first:
        raise BadConfiguration(f"--to {args.last} is before --from {args.first}")
    if args.processes is not None and args.processes < 1:
        raise BadConfiguration("--processes must be at least 1")
    monitor, spec = read_monitor(args.file)
    settings = [Setting("your monitor", with_overrides(spec, args.overrides))]
    for path in args.compare:
        _, other = read_monitor(path)
        settings.append(Setting(Path(path).stem, with_overrides(other, args.overrides)))
    names = [setting.name for setting in settings]
    for name in names:
        if names.count(name) > 1:
            raise BadConfiguration(f"--compare: two files are named {name}; rename one of them")
        if args.policies and is_policy_name(name):
            raise BadConfiguration(f"--compare: {name} is the name of a policy of --policies; rename the file")
    return ReplayRequest(
        monitor=monitor,
        settings=tuple(settings),
        period=Range(args.first, args.last),
        folder=Path(args.results or f"replay-{monitor.name}").absolute(),
        arrival=Arrival(args.arrival),
        baselines=args.policies,
        prices=_prices(args, settings[0].spec.costs),
        processes=args.processes,
    )


def _prices(args: argparse.Namespace, costs: Costs | None) -> Prices:
    """Return the prices of the command line, or else those of the monitor, or 1."""
    from modelmonitor_trainer.replay.costs import Prices

    training, point_day = args.training_price, args.metric_price
    if training is None:
        training = float(costs.training) if costs is not None else 1.0
    if point_day is None:
        point_day = float(costs.metric_point_day) if costs is not None else 1.0
    return Prices(training, point_day, args.currency)


@contextmanager
def _without_logs() -> Iterator[None]:
    """Hide the logs of Jobs: their messages contain what matters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _progress(request: ReplayRequest) -> Iterator[OnProgress]:
    """Yield a callback that updates a progress bar on a terminal: the simulated day, and the last event."""
    if not sys.stderr.isatty():
        yield lambda _name, _event: None
        return
    from tqdm import tqdm

    from modelmonitor_trainer.replay.result import describe_outcome

    days = (request.period.last - request.period.first).days + 1
    with tqdm(total=days, unit="day", file=sys.stderr, leave=False) as bar:

        def on_progress(name: str, event: Event | None) -> None:
            if event is None:
                bar.set_description(name)
                return
            bar.set_description(f"{name}, {event.time:%Y-%m-%d}")
            bar.set_postfix_str(f"{event.job.role.value}: {describe_outcome(event)}", refresh=False)
            done = (event.time.date() - request.period.first).days + 1
            if done < bar.n:  # the next setting
                bar.reset()
            bar.update(done - bar.n)

        yield on_progress
