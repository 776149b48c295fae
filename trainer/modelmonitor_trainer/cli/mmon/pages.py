"""Commands that show a monitor on a cluster: status, explain, history, doctor."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from modelmonitor_trainer.cli.mmon.session import Session, add_output, add_target, print_blocks, print_json

if TYPE_CHECKING:
    from modelmonitor_trainer.cluster.doctor.findings import Finding
    from modelmonitor_trainer.cluster.observed import ObservedMonitor
    from modelmonitor_trainer.storage.base import Store

_T = TypeVar("_T")
#: The exit code of a diagnosis that has found a problem, and of a request that has failed.
FAILED = 10
#: Checks of a time line.
MAX_CHECKS = 500


def add_commands(subparsers: Any) -> None:
    """Add the commands that show a monitor."""
    status = _command(
        subparsers,
        "status",
        "show a monitor in a cluster: verdict, champion, trainings, what comes next",
        "Show a monitor in a cluster on one page: what its checks have found and why, which version serves and what it "
        "promised, how the last training ended, what comes next, and why it does not train.",
    )
    status.add_argument(
        "--checks",
        type=_count,
        metavar="N",
        help="draw the time line of the newest N checks, which are read from the object store (default: those of which "
        "the cluster still has the pods)",
    )
    _add_endpoint(status)
    status.set_defaults(run=_status)
    explain = _command(
        subparsers,
        "explain",
        "show why a monitor in a cluster trains, or why not",
        "Show why a monitor in a cluster trains, or why not: the facts, each trigger and each hold in the order in "
        "which the operator asks them, and its newest decisions.",
    )
    explain.set_defaults(run=_explain)
    history = _command(
        subparsers,
        "history",
        "show the decisions about a monitor in a cluster",
        "Show the decisions about a monitor in a cluster and their outcomes, those that held a training back included. "
        "The cluster remembers the newest 20.",
    )
    history.add_argument("--all", action="store_true", help="read the whole ledger from the object store")
    _add_endpoint(history)
    history.set_defaults(run=_history)
    doctor = _command(
        subparsers,
        "doctor",
        "find what is wrong with a monitor in a cluster, and how to fix it",
        "Find what is wrong with a monitor in a cluster: the operator, the schedule, credentials, quotas, Jobs that do "
        "not start or fail, partitions and columns on the object store. Each finding has the command that fixes it, or "
        "that shows its cause. Nothing is changed. The exit code is 10 if there is a problem.",
    )
    doctor.add_argument("--no-data", action="store_true", help="do not read the object store")
    _add_endpoint(doctor)
    doctor.set_defaults(run=_doctor)


def _add_endpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        help="endpoint of the object store (default: that of the spec, forwarded if needed)",
    )


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_CHECKS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_CHECKS}")
    return int(text)


def _command(subparsers: Any, name: str, help_text: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help_text, description=description)
    add_target(parser)
    add_output(parser)
    return parser


def _status(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cluster.status_page import status_blocks, status_document

    session = Session.of(args)
    monitor = session.observe(args.name, pods=True)
    if args.checks is not None:
        monitor = _with_stored_checks(session, monitor, args.checks, args.endpoint)
    if args.output == "json":
        print_json(status_document(monitor))
    else:
        print_blocks(status_blocks(monitor, _now(), session.caller))
    return 0


def _with_stored_checks(session: Session, monitor: ObservedMonitor, most: int, endpoint: str | None) -> ObservedMonitor:
    """Return a monitor with the newest checks of the object store, and those of the cluster."""
    from modelmonitor_trainer.cluster.observed import ordered
    from modelmonitor_trainer.cluster.stored_checks import read_checks

    stored = _read_results(session, monitor, endpoint, lambda store: read_checks(store, monitor, most))
    return dataclasses.replace(monitor, checks=ordered([*stored, *monitor.checks])[-most:])


def _explain(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cluster.explanation import explain, explanation_blocks, explanation_document
    from modelmonitor_trainer.errors import BadConfiguration

    monitor = Session.of(args).observe(args.name)
    facts, now = monitor.facts(), _now()
    if facts is None:
        raise BadConfiguration(f"the spec of {args.name} is invalid, so nothing is decided: {monitor.spec_problem}")
    explanation = explain(facts, now)
    if args.output == "json":
        print_json(explanation_document(monitor, explanation))
    else:
        print_blocks(explanation_blocks(monitor, explanation, now))
    return 0


def _history(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cluster.history import history_document, history_page, recorded_decisions
    from modelmonitor_trainer.cluster.report_page import layout_of
    from modelmonitor_trainer.registry.ledger import read_ledger

    session = Session.of(args)
    monitor = session.observe(args.name)
    decisions, source = recorded_decisions(monitor), "from the cluster; --all reads the ledger on the object store"
    if args.all:
        layout = layout_of(monitor)
        stored = _read_results(session, monitor, args.endpoint, lambda store: read_ledger(store, layout, monitor.uid))
        known = {(entry.time, entry.action, entry.reason): entry for entry in [*stored, *decisions]}
        decisions = [known[key] for key in sorted(known, reverse=True)]
        source = "from the cluster and the ledger"
    if args.output == "json":
        print_json(history_document(monitor, decisions))
    else:
        print_blocks(history_page(f"{monitor.namespace}/{monitor.name}", decisions, source))
    return 0


def _read_results(session: Session, monitor: ObservedMonitor, endpoint: str | None, read: Callable[[Store], _T]) -> _T:
    """Return what a function reads from the object store of a monitor."""
    from modelmonitor_trainer.cluster.report_page import layout_of
    from modelmonitor_trainer.cluster.results import explain_access, open_results
    from modelmonitor_trainer.errors import ModelMonitorError

    layout_of(monitor)
    assert monitor.spec is not None
    with open_results(session.kubectl, monitor.namespace, monitor.spec.storage, endpoint) as access:
        try:
            return read(access.store)
        except ModelMonitorError as error:
            raise explain_access(error, access) from error


def _doctor(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cluster.doctor.cluster_findings import find_in_cluster
    from modelmonitor_trainer.cluster.doctor.evidence import gather_evidence
    from modelmonitor_trainer.cluster.doctor.findings import finding_blocks, finding_document, is_healthy
    from modelmonitor_trainer.cluster.doctor.job_findings import find_in_jobs

    session, now = Session.of(args), _now()
    monitor = session.observe(args.name)
    evidence = gather_evidence(session.kubectl, monitor)
    findings = [
        *find_in_cluster(monitor, evidence, now, session.caller),
        *find_in_jobs(monitor, evidence, now, session.caller),
        *([] if args.no_data else _find_in_store(session, monitor, now, args.endpoint)),
    ]
    name = f"{monitor.namespace}/{monitor.name}"
    if args.output == "json":
        print_json(finding_document(name, findings))
    else:
        print_blocks(finding_blocks(name, findings))
    return 0 if is_healthy(findings) else FAILED


def _find_in_store(session: Session, monitor: ObservedMonitor, now: dt.datetime, endpoint: str | None) -> list[Finding]:
    """Return the findings about the object store and the data."""
    from modelmonitor_trainer.cluster.doctor.data_findings import find_in_data
    from modelmonitor_trainer.cluster.doctor.findings import fine
    from modelmonitor_trainer.cluster.doctor.store_findings import explain_refusal
    from modelmonitor_trainer.cluster.results import explain_access, open_results
    from modelmonitor_trainer.errors import ModelMonitorError

    spec, caller, as_pods = monitor.spec, session.caller, False
    if spec is None:
        return []
    try:
        with open_results(session.kubectl, monitor.namespace, spec.storage, endpoint) as access:
            as_pods = access.as_pods
            try:
                access.store.children(f"{spec.storage.results_uri}{monitor.namespace}/")
            except ModelMonitorError as error:
                raise explain_access(error, access) from error
            reached = fine("Object store", f"{access.endpoint} responds; credentials: {access.credentials}.")
            edit = caller.kubectl("edit", "mmon", monitor.name)
            return [reached, *find_in_data(access.store, spec, now, edit)]
    except ModelMonitorError as error:
        finding = explain_refusal(error, monitor, caller, as_pods=as_pods)
        return [finding] if finding is not None else []


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
