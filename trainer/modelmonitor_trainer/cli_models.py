"""Commands that make and move models: train, promote, rollback, versions."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from modelmonitor_api.messages import MonitorRef, RunVerdict
    from modelmonitor_api.spec import ModelMonitorSpec
    from modelmonitor_trainer.pod import AnyRequest

    _Request = TypeVar("_Request", bound=AnyRequest)


def add_commands(subparsers: Any) -> None:
    """Add the commands about models to the command line."""
    train = _command(subparsers, "train", "train a challenger, compare it with the champion, promote it if it passes")
    train.set_defaults(run=_train)
    rollback = _command(subparsers, "rollback", "make an earlier version the champion again")
    rollback.add_argument("--to", default="previous", metavar="VERSION", help="which version (default previous)")
    rollback.set_defaults(run=_rollback)
    promote = _command(subparsers, "promote", "make a version that awaits approval the champion")
    promote.add_argument("--version", dest="wanted", default="", metavar="VERSION", help="which version")
    promote.set_defaults(run=_promote)
    versions = subparsers.add_parser("versions", help="list the versions of a monitor's model, and which served when")
    versions.add_argument("-f", "--file", required=True, metavar="FILE", help="YAML file of the ModelMonitor")
    versions.add_argument("--at", metavar="TIME", help="say which version served at a time, such as 2013-05-03")
    versions.add_argument("--output", choices=["text", "json"], default="text", help="what to print (default text)")
    versions.set_defaults(run=_versions)


def _command(subparsers: Any, name: str, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help_text, description=f"{help_text}.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", "--file", metavar="FILE", help="YAML file of a ModelMonitor (- is standard input)")
    source.add_argument("--request", metavar="FILE", help="request of the operator, for pods")
    parser.add_argument("--output", choices=["text", "json"], default="text", help="what to print (default text)")
    return parser


def _train(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import TrainRequest
    from modelmonitor_trainer.pod import job_name
    from modelmonitor_trainer.storage import open_store
    from modelmonitor_trainer.train import train

    def declared(monitor: MonitorRef, spec: ModelMonitorSpec) -> TrainRequest:
        from modelmonitor_trainer.registry_versions import monitor_prefix

        store = open_store(spec.storage)
        runs = store.children(f"{monitor_prefix(spec, monitor)}runs/{monitor.uid}/")
        numbers = [int(name) for run in runs if (name := run.rstrip("/").rpartition("/")[2]).isdigit()]
        return TrainRequest(
            monitor=monitor,
            spec=spec,
            number=1 + max(numbers, default=0),
            reason="Requested",
            message="On a command line",
        )

    return _answer(
        args,
        TrainRequest,
        declared,
        lambda request: train(open_store(request.spec.storage), request, job=job_name(), now=_now()),
    )


def _rollback(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import RollbackRequest
    from modelmonitor_trainer.promote import roll_back
    from modelmonitor_trainer.storage import open_store

    def do(request: RollbackRequest) -> RunVerdict:
        return roll_back(open_store(request.spec.storage), request, job=_job(args), now=_now())

    return _answer(
        args, RollbackRequest, lambda monitor, spec: RollbackRequest(monitor=monitor, spec=spec, to=args.to), do
    )


def _promote(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import PromoteRequest
    from modelmonitor_trainer.failures import BadConfiguration
    from modelmonitor_trainer.promote import promote_version
    from modelmonitor_trainer.storage import open_store

    def declared(monitor: MonitorRef, spec: ModelMonitorSpec) -> PromoteRequest:
        if not args.wanted:
            raise BadConfiguration("--version is missing; modelmonitor versions lists those that await approval")
        return PromoteRequest(monitor=monitor, spec=spec, version=args.wanted)

    return _answer(
        args,
        PromoteRequest,
        declared,
        lambda request: promote_version(open_store(request.spec.storage), request, job=_job(args), now=_now()),
    )


def _answer(
    args: argparse.Namespace,
    kind: type[_Request],
    declared: Callable[[MonitorRef, ModelMonitorSpec], _Request],
    do: Callable[[_Request], RunVerdict],
) -> int:
    """Do what a request of the operator asks, or the same for a file, and print the verdict."""
    from modelmonitor_trainer.cli import read_monitor
    from modelmonitor_trainer.failures import BadConfiguration
    from modelmonitor_trainer.pod import read_request, run_in_pod

    def in_pod() -> RunVerdict:
        request = read_request(args.request)
        if not isinstance(request, kind):
            raise BadConfiguration(f"{args.request} asks for {request.kind}, and this command does not do that")
        verdict = do(request)
        _print(verdict, args.output)
        return verdict

    if args.request:
        return run_in_pod(in_pod)
    _print(do(declared(*read_monitor(args.file))), args.output)
    return 0


def _print(verdict: RunVerdict, output: str) -> None:
    if output == "json":
        print(json.dumps(verdict.to_wire(), indent=1, ensure_ascii=False))
        return
    print(f"{verdict.outcome} ({verdict.reason}): {verdict.message}")
    if verdict.report_uri:
        print(f"report: {verdict.report_uri}")


def _versions(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cli import read_monitor
    from modelmonitor_trainer.registry import champion_pointer, served_at
    from modelmonitor_trainer.registry_versions import list_versions, monitor_prefix
    from modelmonitor_trainer.storage import open_store

    monitor, spec = read_monitor(args.file)
    store, prefix = open_store(spec.storage), monitor_prefix(spec, monitor)
    pointer = champion_pointer(store, prefix)
    if args.at:
        reign = served_at(pointer, _time(args.at)) if pointer else None
        print(reign.version if reign else f"no version served at {args.at}")
        return 0
    versions = list_versions(store, prefix)
    if args.output == "json":
        champion = pointer.to_wire() if pointer else None
        print(
            json.dumps(
                {"champion": champion, "versions": [v.to_wire() for v in versions]}, indent=1, ensure_ascii=False
            )
        )
        return 0
    for version in versions:
        mark = "*" if pointer is not None and pointer.version == version.version else " "
        score = "" if version.score is None else f"{version.metric.value} {version.score:.4f}"
        trained = f"{version.train.start} to {version.train.end}"
        print(f"{mark} {version.version:<16} {version.outcome:<16} {score:<18} trained on {trained}")
    if not versions:
        print("there is no version yet; modelmonitor train makes one")
    return 0


def _job(args: argparse.Namespace) -> str:
    """Return the name under which a change of the champion is recorded; on a command line each call is one of its own."""
    from modelmonitor_trainer.pod import job_name

    return job_name() if args.request else f"local-{_now():%Y%m%dT%H%M%S}"


def _time(text: str) -> dt.datetime:
    """Return a time on the command line; without a zone it is UTC."""
    from modelmonitor_trainer.failures import BadConfiguration

    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadConfiguration(f"--at {text!r} is not a time; write it like 2013-05-03 or 2013-05-03T12:00Z") from error
    return time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
