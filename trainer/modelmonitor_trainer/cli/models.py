"""Commands that make and move models: train, compare, promote, rollback, versions, and the frame of own trainers."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from modelmonitor_api.messages import MonitorRef, RunVerdict, TrainRequest
    from modelmonitor_api.spec import ModelMonitorSpec
    from modelmonitor_trainer.cli.pod import AnyRequest
    from modelmonitor_trainer.registry.champion import ServingPeriod

    _Request = TypeVar("_Request", bound=AnyRequest)

#: The folder that the containers of an own trainer share.
_WORK = "/work"


def add_commands(subparsers: Any) -> None:
    """Add the commands about models to the command line."""
    train = _command(subparsers, "train", "train a challenger, compare it with the champion, promote it if it passes")
    train.set_defaults(run=_train)

    compare = subparsers.add_parser(
        "compare",
        help="score two versions on the newest rows that neither has seen",
        description="Score two versions on the newest rows that neither has seen, and say what the gate would. "
        "Nothing is changed.",
    )
    compare.add_argument("-f", "--file", required=True, metavar="FILE", help="YAML file of the ModelMonitor")
    compare.add_argument("--version", dest="wanted", required=True, metavar="VERSION", help="the challenger")
    compare.add_argument("--with", dest="other", metavar="VERSION", help="compare with this (default: the champion)")
    _output(compare)
    compare.set_defaults(run=_compare)

    promote = _command(subparsers, "promote", "make a version that awaits approval the champion")
    promote.add_argument("--version", dest="wanted", default="", metavar="VERSION", help="which version")
    promote.set_defaults(run=_promote)

    rollback = _command(subparsers, "rollback", "make an earlier version the champion again")
    rollback.add_argument("--to", default="previous", metavar="VERSION", help="which version (default previous)")
    rollback.set_defaults(run=_rollback)

    versions = subparsers.add_parser("versions", help="list the versions of a monitor's model, and which served when")
    versions.add_argument("-f", "--file", required=True, metavar="FILE", help="YAML file of the ModelMonitor")
    versions.add_argument(
        "--at", metavar="TIME", help="say which version served on a day or at a time, and what it was trained on"
    )
    _output(versions)
    versions.set_defaults(run=_versions)

    prepare = _command(subparsers, "train-prepare", "freeze and lay out the data for a trainer of your own")
    prepare.set_defaults(run=_prepare)
    conclude = _command(subparsers, "train-conclude", "judge and store what a trainer of your own has made")
    conclude.set_defaults(run=_conclude)
    for command in (prepare, conclude):
        command.add_argument("--work", default=_WORK, metavar="DIR", help=f"folder that is shared (default {_WORK})")


def _command(subparsers: Any, name: str, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help_text, description=f"{help_text}.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", "--file", metavar="FILE", help="YAML file of a ModelMonitor (- is standard input)")
    source.add_argument("--request", metavar="FILE", help="request of the operator, for pods")
    _output(parser)
    return parser


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", choices=["text", "json"], default="text", help="what to print (default text)")


def _train(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import TrainRequest
    from modelmonitor_trainer.storage.base import open_store
    from modelmonitor_trainer.train.train import train

    def do(request: TrainRequest, job: str) -> RunVerdict:
        return train(open_store(request.spec.storage), request, job=job, now=_now())

    return _answer(args, TrainRequest, _next_training, do)


def _prepare(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import TrainRequest
    from modelmonitor_trainer.storage.base import open_store
    from modelmonitor_trainer.train.custom_trainer import prepare

    def do(request: TrainRequest, job: str) -> None:
        prepare(open_store(request.spec.storage), request, args.work, job=job, now=_now())

    return _answer(args, TrainRequest, _next_training, do)


def _conclude(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import TrainRequest
    from modelmonitor_trainer.storage.base import open_store
    from modelmonitor_trainer.train.custom_trainer import conclude

    def do(request: TrainRequest, job: str) -> RunVerdict:
        return conclude(open_store(request.spec.storage), request, args.work, job=job, now=_now())

    return _answer(args, TrainRequest, _begun_training, do)


def _next_training(monitor: MonitorRef, spec: ModelMonitorSpec) -> TrainRequest:
    """Return the request of a training on a command line, with the next free number."""
    return _training(monitor, spec, 1 + max(_numbers(monitor, spec), default=0))


def _begun_training(monitor: MonitorRef, spec: ModelMonitorSpec) -> TrainRequest:
    """Return the request of the newest training on a command line."""
    return _training(monitor, spec, max(_numbers(monitor, spec), default=1))


def _training(monitor: MonitorRef, spec: ModelMonitorSpec, number: int) -> TrainRequest:
    from modelmonitor_api.messages import TrainRequest

    image = spec.retraining.trainer.image or ""
    message = "On a command line"
    return TrainRequest(
        monitor=monitor, spec=spec, number=number, reason="Requested", message=message, trainer_image=image
    )


def _numbers(monitor: MonitorRef, spec: ModelMonitorSpec) -> list[int]:
    from modelmonitor_trainer.registry.champion import monitor_prefix
    from modelmonitor_trainer.storage.base import open_store

    runs = open_store(spec.storage).children(f"{monitor_prefix(spec, monitor)}runs/{monitor.uid}/")
    return [int(name) for run in runs if (name := run.rstrip("/").rpartition("/")[2]).isdigit()]


def _rollback(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import RollbackRequest
    from modelmonitor_trainer.registry.manual import handle_rollback
    from modelmonitor_trainer.storage.base import open_store

    def do(request: RollbackRequest, job: str) -> RunVerdict:
        return handle_rollback(open_store(request.spec.storage), request, job=job, now=_now())

    def declared(monitor: MonitorRef, spec: ModelMonitorSpec) -> RollbackRequest:
        return RollbackRequest(monitor=monitor, spec=spec, to=args.to)

    return _answer(args, RollbackRequest, declared, do)


def _promote(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import PromoteRequest
    from modelmonitor_trainer.errors import BadConfiguration
    from modelmonitor_trainer.registry.manual import handle_promotion
    from modelmonitor_trainer.storage.base import open_store

    def declared(monitor: MonitorRef, spec: ModelMonitorSpec) -> PromoteRequest:
        if not args.wanted:
            raise BadConfiguration("--version is missing; modelmonitor versions lists those that await approval")
        return PromoteRequest(monitor=monitor, spec=spec, version=args.wanted)

    def do(request: PromoteRequest, job: str) -> RunVerdict:
        return handle_promotion(open_store(request.spec.storage), request, job=job, now=_now())

    return _answer(args, PromoteRequest, declared, do)


def _answer(
    args: argparse.Namespace,
    kind: type[_Request],
    declared: Callable[[MonitorRef, ModelMonitorSpec], _Request],
    do: Callable[[_Request, str], RunVerdict | None],
) -> int:
    """Do what a request of the operator asks, or the same for a file, and print the verdict."""
    from modelmonitor_trainer.cli.main import read_monitor
    from modelmonitor_trainer.cli.pod import answered, job_name, read_request, run_in_pod
    from modelmonitor_trainer.errors import BadConfiguration

    def in_pod() -> RunVerdict | None:
        request = read_request(args.request)
        if not isinstance(request, kind):
            raise BadConfiguration(f"{args.request} asks for {request.kind}, and this command does not do that")
        verdict = do(request, job_name())
        _print(verdict, args.output)
        return verdict

    if args.request:
        return run_in_pod(in_pod)
    request = declared(*read_monitor(args.file))
    # Each call on a command line is a job of its own.
    job = f"local-{_now():%Y%m%dT%H%M%S%fZ}"
    verdict = answered(lambda: do(request, job))
    assert verdict is None or verdict.kind == "Run"
    _print(verdict, args.output)
    return 0


def _print(verdict: RunVerdict | None, output: str) -> None:
    if verdict is None:
        return
    if output == "json":
        print(json.dumps(verdict.to_wire(), indent=1, ensure_ascii=False))
        return
    print(f"{verdict.outcome} ({verdict.reason}): {verdict.message}")
    if verdict.report_uri:
        print(f"\nReport: {verdict.report_uri}")


def _compare(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cli.main import read_monitor
    from modelmonitor_trainer.registry.champion import monitor_prefix
    from modelmonitor_trainer.storage.base import open_store
    from modelmonitor_trainer.train.compare import compare

    monitor, spec = read_monitor(args.file)
    store = open_store(spec.storage)
    found = compare(store, spec, monitor_prefix(spec, monitor), args.wanted, args.other, now=_now())
    if args.output == "json":
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return 0
    print(f"{found['outcome']} ({found['reason']}): {found['message']}")
    for row in found["metrics"]:
        figures = (row["champion"], row["challenger"], row["baseline"])
        shown = "".join(f"{'–' if value is None else format(value, '.4f'):>12}" for value in figures)
        print(f"  {row['metric']:<26}{shown}")
    print(f"  {'':<26}{'champion':>12}{'challenger':>12}{'trivial':>12}")
    return 0


def _versions(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cli.main import read_monitor
    from modelmonitor_trainer.registry import champion as registry
    from modelmonitor_trainer.storage.base import open_store

    times = _times(args.at) if args.at else None
    monitor, spec = read_monitor(args.file)
    store, prefix = open_store(spec.storage), registry.monitor_prefix(spec, monitor)
    pointer = registry.champion_pointer(store, prefix)
    if times is not None:
        _print_served(registry.served_between(pointer, *times) if pointer else [], args)
        return 0
    versions = registry.list_versions(store, prefix)
    if args.output == "json":
        champion = pointer.to_wire() if pointer else None
        print(json.dumps({"champion": champion, "versions": [v.to_wire() for v in versions]}, indent=1))
        return 0
    for version in versions:
        mark = "*" if pointer is not None and pointer.version == version.version else " "
        score = "" if version.score is None else f"{version.metric} {version.score:.4f}"
        trained = f"trained on {version.train.start} to {version.train.end}"
        print(f"{mark} {version.version:<16} {version.outcome:<13} {version.reason:<22} {score:<18} {trained}")
    if not versions:
        print("there is no version yet; modelmonitor train makes one")
    return 0


def _print_served(found: list[ServingPeriod], args: argparse.Namespace) -> None:
    """Print which version served, and what it was trained on."""
    from modelmonitor_api.status import format_time

    if args.output == "json":
        served = [
            one.reign.to_wire() | {"until": None if one.until is None else format_time(one.until)} for one in found
        ]
        print(json.dumps({"at": args.at, "served": served}, indent=1, ensure_ascii=False))
        return
    for one in found:
        reign = one.reign
        until = "still serves" if one.until is None else f"until {format_time(one.until)}"
        print(f"{reign.version} served from {format_time(reign.since)}, {until} ({reign.action} by {reign.by})")
        window = reign.data_end if reign.data_start is None else f"{reign.data_start} to {reign.data_end}"
        rows = "" if reign.train_rows is None else f", {reign.train_rows:,} labelled rows"
        print(f"  trained on   {window}{rows}")
        for title, value in (("manifest", reign.manifest_sha256), ("image", reign.image)):
            if value is not None:
                print(f"  {title:<12} {value}")
        if reign.score is not None:
            print(f"  {reign.metric:<12} {reign.score:.4f} on the rows that it was compared on")
    if not found:
        print(f"no version served at {args.at}")


def _times(text: str) -> tuple[dt.datetime, dt.datetime]:
    """Return the day or the moment that a command line names, as a start and an end; without a zone it is UTC."""
    from modelmonitor_trainer.errors import BadConfiguration

    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadConfiguration(f"--at {text!r} is not a time; write it like 2013-05-03 or 2013-05-03T12:00Z") from error
    time = time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)
    is_day = len(text) <= len("2013-05-03")
    return time, time + dt.timedelta(days=1) if is_day else time


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
