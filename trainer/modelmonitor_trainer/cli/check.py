"""Commands check and validate."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shlex
import sys
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelmonitor_trainer.cli.check_options import FILE_OPTIONS, add_options, list_file_options, read_file_format
from modelmonitor_trainer.cli.files import require_writable, write_text
from modelmonitor_trainer.cli.monitor_file import read_monitor

if TYPE_CHECKING:
    from modelmonitor_api.messages import CheckRequest, CheckVerdict
    from modelmonitor_api.spec import ModelMonitorSpec
    from modelmonitor_trainer.detect.result import CheckResult


def add_commands(subparsers: Any) -> None:
    """Add check and validate to the command line."""
    check = subparsers.add_parser(
        "check",
        help="check data for drift, corruption, and a drop of the champion's score",
        description="Check a monitor (-f), run a request of the operator (--request), or compare two sets of files.",
    )
    add_options(check)
    check.set_defaults(run=_check)

    validate = subparsers.add_parser(
        "validate", help="validate a monitor's YAML file, and print the calendar of its trainings"
    )
    validate.add_argument("-f", "--file", required=True, metavar="FILE", help="the file (- is standard input)")
    validate.add_argument(
        "--data", action="store_true", help="also compare the columns of the newest rows and labels with the spec"
    )
    validate.set_defaults(run=_validate)


def _check(args: argparse.Namespace) -> int:
    # Both must be set before their libraries are imported. jemalloc needs a third less memory than Arrow's default
    # allocator. Matrices as small as a check's are not worth threads, which spin while they wait for the next one.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from modelmonitor_trainer.errors import BadConfiguration

    if (args.reference is None) != (args.current is None) or "" in {args.reference, args.current}:
        raise BadConfiguration("--reference and --current must be set together")
    for option in ("target", "prediction", "task", "correlations", "ablation"):
        if getattr(args, option) and not args.reference:
            raise BadConfiguration(f"--{option} is for files; for a monitor, set spec.model and spec.detectors")
    for option in FILE_OPTIONS:
        if getattr(args, option) is not None and not args.reference:
            name = option.replace("_", "-")
            raise BadConfiguration(f"--{name} is for files; for a monitor, set spec.model.features and spec.data")
    if args.request:
        if args.fail_on:
            raise BadConfiguration("--fail-on is for scripts; the operator reads the verdict of a pod")
        return _check_in_pod(args)
    if args.html:
        require_writable(args.html)
    result = _check_of_files(args) if args.reference else _check_of_monitor(args)
    if args.html:
        from modelmonitor_trainer.report.check_page import render

        write_text(args.html, render(result))
    _print(result, args)
    return _exit_code(result.verdict, frozenset().union(*args.fail_on))


def _exit_code(verdict: CheckVerdict, fail_on: Collection[str]) -> int:
    """Return the exit code for a verdict: a drop that comes with drift counts as one, and so do too few data."""
    from modelmonitor_api.names import ExitCode

    words = {verdict.verdict, verdict.reason} | ({"PerformanceDrop"} if verdict.performance_dropped else set())
    words |= {"ChampionUnusable"} if verdict.champion_problem else set()
    return ExitCode.OK if words.isdisjoint(fail_on) else ExitCode.FAIL_ON


def _check_in_pod(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cli.pod import announce, job_name, read_request, run_in_pod

    def work() -> CheckVerdict:
        from modelmonitor_api.messages import CheckRequest
        from modelmonitor_trainer.check.publish import publish_check
        from modelmonitor_trainer.errors import BadConfiguration
        from modelmonitor_trainer.storage.open import open_store
        from modelmonitor_trainer.text import printable

        request = read_request(args.request)
        if not isinstance(request, CheckRequest):
            raise BadConfiguration(f"{args.request} is a request of kind {request.kind}, not Check")
        announce(request)
        store = open_store(request.spec.storage)
        verdict, _ = publish_check(store, request, job=job_name(), now=dt.datetime.now(dt.UTC))
        print(printable(f"{verdict.verdict}: {verdict.message}"), file=sys.stderr)
        return verdict

    return run_in_pod(work)


def _check_of_monitor(args: argparse.Namespace) -> CheckResult:
    from modelmonitor_trainer.check.publish import publish_check
    from modelmonitor_trainer.storage.open import open_store

    request = _request(args)
    store = open_store(request.spec.storage)
    _, result = publish_check(store, request, job="local", now=dt.datetime.now(dt.UTC))
    assert result is not None  # outside a cluster there is no earlier pod
    return replace(result, reproduce=shlex.join(["modelmonitor", "check", "-f", args.file, *_options(args)]))


def _request(args: argparse.Namespace) -> CheckRequest:
    from modelmonitor_api.messages import CheckRequest

    monitor, spec = read_monitor(args.file)
    changes = _sensitivity(args)
    if changes:
        spec = spec.model_copy(update={"sensitivity": spec.sensitivity.model_copy(update=changes)})
    return CheckRequest(monitor=monitor, spec=spec, checks_per_day=_checks_per_day(args, spec.schedule))


def _check_of_files(args: argparse.Namespace) -> CheckResult:
    from modelmonitor_api.spec import Sensitivity, Task
    from modelmonitor_trainer.check.pipeline import check_files
    from modelmonitor_trainer.check.sources.file_columns import ColumnOptions
    from modelmonitor_trainer.check.sources.files import Files
    from modelmonitor_trainer.storage.open import open_store

    files = Files(
        args.reference,
        args.current,
        args.target,
        args.prediction,
        args.correlations,
        args.ablation,
        columns=ColumnOptions(tuple(args.columns or ()), tuple(args.ignore or ()), dict(args.type or ())),
        fmt=read_file_format(args),
        task=Task(args.task) if args.task else None,
        options=tuple(list_file_options(args)),
    )
    sensitivity = Sensitivity().model_copy(update=_sensitivity(args))
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    result = check_files(open_store(None), files, sensitivity, _checks_per_day(args), now=now)
    return replace(result, reproduce=" ".join([result.reproduce, *_options(args)]))


def _options(args: argparse.Namespace) -> list[str]:
    """Return the given options that affect the result, in command-line form."""
    given = []
    if args.false_alarms is not None:
        given += ["--false-alarms", "{}/{}d".format(*args.false_alarms)]
    if args.checks_per_day is not None:
        given += ["--checks-per-day", f"{args.checks_per_day:g}"]
    if args.minimum_effect is not None:
        given += ["--minimum-effect", args.minimum_effect]
    if args.independent_rows:
        given.append("--independent-rows")
    if args.minimum_coverage is not None:
        given += ["--minimum-coverage", args.minimum_coverage]
    return given


def _checks_per_day(args: argparse.Namespace, schedule: str | None = None) -> float:
    """Return the rate of checks: as given, or else that of a monitor's schedule, as in its pods."""
    from modelmonitor_trainer.errors import BadConfiguration

    if args.checks_per_day is None and schedule is not None:
        from modelmonitor_policy.schedule import per_day

        return per_day(schedule)
    if args.checks_per_day is None:
        return 1.0
    if not 0 < args.checks_per_day <= 1440:
        raise BadConfiguration("--checks-per-day must be more than 0, and at most 1440")
    return float(args.checks_per_day)


def _sensitivity(args: argparse.Namespace) -> dict[str, Any]:
    from modelmonitor_api.spec import RateLimit

    changes: dict[str, Any] = {}
    if args.false_alarms is not None:
        changes["false_alarms"] = RateLimit(count=args.false_alarms[0], per_days=args.false_alarms[1])
    if args.minimum_effect is not None:
        changes["minimum_effect"] = args.minimum_effect
    if args.independent_rows:
        changes["independent_rows"] = True
    if args.minimum_coverage is not None:
        changes["minimum_coverage"] = args.minimum_coverage
    return changes


def _print(result: CheckResult, args: argparse.Namespace) -> None:
    from modelmonitor_trainer.cli.check_text import render_text
    from modelmonitor_trainer.detect.result import to_json

    if args.output == "json":
        print(json.dumps(to_json(result), ensure_ascii=False, allow_nan=False, indent=2))
        return
    print(render_text(result, args.html or result.verdict.report_uri or ""))


def _validate(args: argparse.Namespace) -> int:
    from modelmonitor_policy.training_calendar import describe_calendar

    monitor, spec = read_monitor(args.file, for_cluster=True)
    _validate_estimator(spec)
    questions = _compare_with_data(args.file, spec) if args.data else []
    print(f"{args.file}: {monitor.namespace}/{monitor.name} is valid")
    for question in questions:
        print(f"Check {question}.")
    if not spec.only_s3():
        print("It uses file:// URIs, so it works on the command line only: in a cluster every URI must be s3://.")
    print("\n".join(describe_calendar(spec)))
    return 0


def _validate_estimator(spec: ModelMonitorSpec) -> None:
    """Let scikit-learn validate the values of the estimator's parameters."""
    if spec.retraining.estimator is not None:
        from modelmonitor_trainer.model.estimators import build

        build(spec.retraining.estimator, spec.model.features, seed=0)


def _compare_with_data(path: str, spec: ModelMonitorSpec) -> list[str]:
    """Compare the columns of the newest rows and labels with the spec; return what is doubtful.

    Raises
    ------
    BadConfiguration
        With every column that is missing, or that is of another type.
    NotFound
        If there are no rows.
    """
    from modelmonitor_trainer.check.sources.declared_columns import find_missing, find_type_problems, types_of_newest
    from modelmonitor_trainer.data.windows import batches_of_partitions, latest_partition, partitions
    from modelmonitor_trainer.errors import BadConfiguration, NotFound
    from modelmonitor_trainer.storage.open import open_store

    store = open_store(spec.storage)
    types = []
    for uri in (spec.data.live.uri, *((spec.data.labels.uri,) if spec.data.labels else ())):
        day = latest_partition(store, uri)
        if day is None:
            raise NotFound(f"there is no partition under {uri}; check the URI, or wait for data to arrive")
        types.append(types_of_newest(store, spec, batches_of_partitions(partitions(store, uri, day, day))))
    rows, labels = types[0], types[1] if len(types) > 1 else None
    problems, questions = find_type_problems(spec, rows or {})
    problems = [*find_missing(spec, rows, labels), *problems]
    if problems:
        raise BadConfiguration("\n".join(f"{path}: spec.{problem}" for problem in problems))
    return questions
