"""Commands for models: train, compare, promote, rollback, and the steps around a custom trainer."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from modelmonitor_trainer.cli.arguments import add_file, add_output
from modelmonitor_trainer.cli.monitor_file import read_monitor
from modelmonitor_trainer.cli.registry import local_job, open_registry

if TYPE_CHECKING:
    from modelmonitor_api.messages import MonitorRef, RunVerdict, TrainRequest
    from modelmonitor_api.spec import ModelMonitorSpec
    from modelmonitor_trainer.cli.pod import AnyRequest

    _Request = TypeVar("_Request", bound=AnyRequest)

#: Folder that the containers of a custom trainer share.
_WORK = "/work"


def add_commands(subparsers: Any) -> None:
    """Add the commands for models to the command line."""
    train = _command(subparsers, "train", "train a challenger, compare it with the champion, promote it if it passes")
    train.add_argument(
        "--force",
        action="store_true",
        help="train although the monitor is suspended, in a dry run, or its newest check found corrupted data",
    )
    train.set_defaults(run=_train)
    _add_compare(subparsers)
    _add_promotions(subparsers)
    _add_decisions(subparsers)
    prepare = _command(subparsers, "train-prepare", "freeze the data and prepare the input of a custom trainer")
    prepare.set_defaults(run=_prepare)
    conclude = _command(subparsers, "train-conclude", "evaluate and store the model of a custom trainer")
    conclude.set_defaults(run=_conclude)
    for command in (prepare, conclude):
        command.add_argument("--work", default=_WORK, metavar="DIR", help=f"shared folder (default {_WORK})")


def _add_compare(subparsers: Any) -> None:
    compare = subparsers.add_parser(
        "compare",
        help="score two versions on the newest rows that neither has seen",
        description="Score two versions on the newest rows that neither has seen, and report the outcome of the "
        "promotion gate. Nothing is changed.",
    )
    add_file(compare)
    compare.add_argument("--version", dest="wanted", required=True, metavar="VERSION", help="the challenger")
    compare.add_argument("--with", dest="other", metavar="VERSION", help="compare with this (default: the champion)")
    add_output(compare)
    compare.set_defaults(run=_compare)


def _add_promotions(subparsers: Any) -> None:
    promote = _command(subparsers, "promote", "make a version the champion that awaits approval, or that you choose")
    promote.add_argument("--version", dest="wanted", default="", metavar="VERSION", help="which version")
    promote.add_argument(
        "--reason", default="", metavar="TEXT", help="why, for the record; required if it did not pass the gate"
    )
    promote.set_defaults(run=_promote)

    rollback = _command(subparsers, "rollback", "make an earlier version the champion again")
    rollback.add_argument("--to", default="previous", metavar="VERSION", help="which version (default previous)")
    rollback.set_defaults(run=_rollback)


def _add_decisions(subparsers: Any) -> None:
    """Add the commands by which people hold or retire a champion."""
    pin = subparsers.add_parser(
        "pin",
        help="hold the champion: neither a training nor an automatic rollback replaces it",
        description="Hold the champion until modelmonitor unpin: neither a training nor an automatic rollback replaces "
        "it. A person still can, with promote and rollback.",
    )
    pin.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    pin.set_defaults(run=_pin)
    unpin = subparsers.add_parser("unpin", help="release a pinned champion", description="Release a pinned champion.")
    unpin.set_defaults(run=_pin, reason=None)
    for command in (pin, unpin):
        add_file(command)
        add_output(command)

    retire = subparsers.add_parser(
        "retire",
        help="start over: judge the next version as a first model, with all history kept",
        description="Start over, for example for another target: the next version is judged as a first model. The "
        "retired version serves until then; no version and no history is deleted.",
    )
    retire.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    add_file(retire)
    add_output(retire)
    retire.set_defaults(run=_retire)


def _command(subparsers: Any, name: str, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help_text, description=f"{help_text}.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", "--file", metavar="FILE", help="YAML file of a ModelMonitor (- is standard input)")
    source.add_argument("--request", metavar="FILE", help="request of the operator (used in pods)")
    add_output(parser)
    return parser


def _train(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import TrainRequest
    from modelmonitor_trainer.storage.open import open_store
    from modelmonitor_trainer.train.train import train

    def handle(request: TrainRequest, job: str) -> RunVerdict:
        return train(open_store(request.spec.storage), request, job=job, now=_now())

    def from_file(monitor: MonitorRef, spec: ModelMonitorSpec) -> TrainRequest:
        if not args.force:
            _refuse_held_back(monitor, spec)
        return _next_training(monitor, spec)

    return _run_request(args, TrainRequest, from_file, handle)


def _refuse_held_back(monitor: MonitorRef, spec: ModelMonitorSpec) -> None:
    """Refuse a training that the operator would not start on request either.

    Raises
    ------
    BadConfiguration
        With the reason.
    """
    from modelmonitor_api.names import Reason
    from modelmonitor_policy.facts import Facts
    from modelmonitor_policy.holds import find_hold
    from modelmonitor_policy.observations import CheckObservation
    from modelmonitor_policy.triggers import ActiveTrigger
    from modelmonitor_trainer.errors import BadConfiguration
    from modelmonitor_trainer.registry.newest_check import newest_check

    check = newest_check(open_registry(monitor, spec))
    observed = CheckObservation(check.time, check.verdict, message=check.message) if check else None
    trigger = ActiveTrigger(Reason.REQUESTED, "requested on a command line")
    hold = find_hold(Facts(spec, 0, check=observed), trigger, _now())
    if hold is not None:
        raise BadConfiguration(f"{hold.message} To train all the same, add --force")


def _prepare(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import TrainRequest
    from modelmonitor_trainer.storage.open import open_store
    from modelmonitor_trainer.train.custom_trainer import prepare

    def handle(request: TrainRequest, job: str) -> None:
        prepare(open_store(request.spec.storage), request, args.work, job=job, now=_now())

    return _run_request(args, TrainRequest, _next_training, handle)


def _conclude(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import TrainRequest
    from modelmonitor_trainer.storage.open import open_store
    from modelmonitor_trainer.train.custom_trainer import conclude

    def handle(request: TrainRequest, job: str) -> RunVerdict:
        return conclude(open_store(request.spec.storage), request, args.work, job=job, now=_now())

    return _run_request(args, TrainRequest, _begun_training, handle)


def _next_training(monitor: MonitorRef, spec: ModelMonitorSpec) -> TrainRequest:
    """Return the request of a training on a command line, with the next free number."""
    return _training(monitor, spec, 1 + max(_numbers(monitor, spec), default=0))


def _begun_training(monitor: MonitorRef, spec: ModelMonitorSpec) -> TrainRequest:
    """Return the request of the newest training on a command line."""
    return _training(monitor, spec, max(_numbers(monitor, spec), default=1))


def _training(monitor: MonitorRef, spec: ModelMonitorSpec, number: int) -> TrainRequest:
    from modelmonitor_api.messages import TrainRequest

    return TrainRequest(
        monitor=monitor,
        spec=spec,
        number=number,
        reason="Requested",
        message="On a command line",
        trainer_image=spec.retraining.trainer.image or "",
        drift_onset=_newest_change(monitor, spec),
    )


def _newest_change(monitor: MonitorRef, spec: ModelMonitorSpec) -> dt.date | None:
    """Return the first day after the newest known change: that of the checks, or one that the champion has seen."""
    from modelmonitor_trainer.check.publish import known_onset

    registry = open_registry(monitor, spec)
    champion = registry.champion()
    onset = known_onset(registry.store, registry.layout, monitor.uid, champion.version if champion else None)
    return onset or (champion.change_point if champion else None)


def _numbers(monitor: MonitorRef, spec: ModelMonitorSpec) -> list[int]:

    registry = open_registry(monitor, spec)
    runs = registry.store.children(registry.layout.runs(monitor.uid))
    return [int(name) for run in runs if (name := run.rstrip("/").rpartition("/")[2]).isdigit()]


def _rollback(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import RollbackRequest
    from modelmonitor_trainer.registry.manual import handle_rollback
    from modelmonitor_trainer.storage.open import open_store

    def handle(request: RollbackRequest, job: str) -> RunVerdict:
        return handle_rollback(open_store(request.spec.storage), request, job=job, now=_now())

    def from_file(monitor: MonitorRef, spec: ModelMonitorSpec) -> RollbackRequest:
        return RollbackRequest(monitor=monitor, spec=spec, to=args.to)

    return _run_request(args, RollbackRequest, from_file, handle)


def _promote(args: argparse.Namespace) -> int:
    from modelmonitor_api.messages import PromoteRequest
    from modelmonitor_trainer.errors import BadConfiguration
    from modelmonitor_trainer.registry.manual import handle_promotion
    from modelmonitor_trainer.storage.open import open_store

    def from_file(monitor: MonitorRef, spec: ModelMonitorSpec) -> PromoteRequest:
        if not args.wanted:
            raise BadConfiguration("--version is missing; modelmonitor versions lists the versions that await approval")
        return PromoteRequest(monitor=monitor, spec=spec, version=args.wanted, comment=args.reason[:500])

    def handle(request: PromoteRequest, job: str) -> RunVerdict:
        return handle_promotion(open_store(request.spec.storage), request, job=job, now=_now())

    return _run_request(args, PromoteRequest, from_file, handle)


def _pin(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.registry.manual import handle_pin

    now = _now()
    registry = open_registry(*read_monitor(args.file))
    comment = None if args.reason is None else args.reason[:500]
    _print(handle_pin(registry, comment, job=local_job(now), now=now), args.output)
    return 0


def _retire(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.registry.manual import handle_retirement

    now = _now()
    registry = open_registry(*read_monitor(args.file))
    job = local_job(now)
    _print(handle_retirement(registry, args.reason[:500], job=job, now=now), args.output)
    return 0


def _run_request(
    args: argparse.Namespace,
    kind: type[_Request],
    from_file: Callable[[MonitorRef, ModelMonitorSpec], _Request],
    handle: Callable[[_Request, str], RunVerdict | None],
) -> int:
    """Run a command for a request of the operator or for a YAML file, and print the verdict."""
    from modelmonitor_trainer.cli.pod import announce, job_name, read_request, run_in_pod, translate_system_errors
    from modelmonitor_trainer.errors import BadConfiguration

    def in_pod() -> RunVerdict | None:
        request = read_request(args.request)
        if not isinstance(request, kind):
            raise BadConfiguration(f"{args.request} is a {request.kind} request, which this command does not handle")
        announce(request)
        verdict = handle(request, job_name())
        _print(verdict, args.output)
        return verdict

    if args.request:
        return run_in_pod(in_pod)
    request = from_file(*read_monitor(args.file))
    # Each call on a command line counts as a job.
    job = local_job(_now())
    verdict = translate_system_errors(lambda: handle(request, job))
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
    from modelmonitor_trainer.train.compare import compare

    monitor, spec = read_monitor(args.file)
    comparison = compare(open_registry(monitor, spec), spec, args.wanted, args.other, now=_now())
    if args.output == "json":
        print(json.dumps(comparison, indent=1, ensure_ascii=False))
        return 0
    print(f"{comparison['outcome']} ({comparison['reason']}): {comparison['message']}")
    for row in comparison["metrics"]:
        figures = (row["champion"], row["challenger"], row["baseline"])
        shown = "".join(f"{'–' if value is None else format(value, '.4f'):>12}" for value in figures)
        print(f"  {row['metric']:<26}{shown}")
    print(f"  {'':<26}{'champion':>12}{'challenger':>12}{'trivial':>12}")
    return 0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
