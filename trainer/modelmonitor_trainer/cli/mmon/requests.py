"""Commands that request something of a monitor on a cluster, and wait for it."""

from __future__ import annotations

import argparse
import datetime as dt
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelmonitor_trainer.cli.arguments import FAILURES, verdicts
from modelmonitor_trainer.cli.mmon.pages import FAILED
from modelmonitor_trainer.cli.mmon.session import Session, add_output, add_target, print_blocks, print_json, say

if TYPE_CHECKING:
    from modelmonitor_trainer.cluster.observed import ObservedMonitor
    from modelmonitor_trainer.cluster.requests import Progress, Request

#: The exit code if what was waited for has not ended in time.
TIMED_OUT = 4
_POLL_SECONDS = 1.0
#: Seconds after which a request that the operator has not seen is worth a hint.
_PATIENCE = 20.0
_UNITS = {"s": 1, "m": 60, "h": 3600}


def add_commands(subparsers: Any) -> None:
    """Add check, retrain, promote, rollback, pin and unpin to the plugin."""
    check = _command(subparsers, "check", "request a check now", _check)
    check.add_argument(
        "--fail-on",
        action="append",
        default=[],
        type=verdicts,
        metavar="VERDICTS",
        help=f"with --wait, exit with code 10 on these verdicts, separated by commas: {', '.join(FAILURES)}",
    )
    _command(subparsers, "retrain", "request a training now", _retrain)
    promote = _command(subparsers, "promote", "make a version the champion", _promote)
    promote.add_argument(
        "--version", dest="wanted", metavar="VERSION", help="which (default: the one that awaits approval)"
    )
    promote.add_argument(
        "--reason", default="", metavar="TEXT", help="why, for the record; required if it did not pass the gate"
    )
    rollback = _command(subparsers, "rollback", "make an earlier version the champion again", _rollback)
    rollback.add_argument("--to", default="previous", metavar="VERSION", help="which version (default previous)")
    _add_pins(subparsers)


def _command(
    subparsers: Any, name: str, help_text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=help_text, description=f"{help_text[:1].upper()}{help_text[1:]}, and wait for its result if wanted."
    )
    add_target(parser)
    parser.add_argument("--wait", action="store_true", help="wait until it has ended, and print its result")
    parser.add_argument(
        "--timeout", type=_seconds, default="1h", metavar="TIME", help="how long to wait: 90s, 10m, 2h (default 1h)"
    )
    add_output(parser)
    parser.set_defaults(run=run)
    return parser


def _add_pins(subparsers: Any) -> None:
    pin = subparsers.add_parser(
        "pin",
        help="hold the champion: neither a training nor an automatic rollback replaces it",
        description="Hold the champion until unpin: neither a training nor an automatic rollback replaces it. A person "
        "still can, with promote and rollback.",
    )
    add_target(pin)
    pin.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    pin.set_defaults(run=_pin)
    unpin = subparsers.add_parser("unpin", help="release a pinned champion", description="Release a pinned champion.")
    add_target(unpin)
    unpin.set_defaults(run=_pin, reason=None)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([smh])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write 90s, 10m or 2h")
    return float(int(match[1]) * _UNITS[match[2]])


def _check(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cluster.requests import request_check

    return _request(args, lambda _: request_check(_now()), frozenset().union(*args.fail_on))


def _retrain(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cluster.requests import request_training

    return _request(args, lambda _: request_training(_now()))


def _promote(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cluster.requests import request_promotion, version_to_promote

    return _request(
        args, lambda monitor: request_promotion(args.wanted or version_to_promote(monitor), args.reason, _now())
    )


def _rollback(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cluster.requests import request_rollback

    return _request(args, lambda _: request_rollback(args.to, _now()))


def _pin(args: argparse.Namespace) -> int:
    from modelmonitor_api.names import ANNOTATION_PIN
    from modelmonitor_policy.requests import MAX_COMMENT

    session = Session.of(args)
    monitor = session.observe(args.name)
    value = None if args.reason is None else args.reason[:MAX_COMMENT]
    change = {"metadata": {"annotations": {ANNOTATION_PIN: value}}}
    session.kubectl.patch_monitor(session.namespace, args.name, change)
    champion = monitor.status.champion
    version = champion.version if champion is not None else "the champion to come"
    print(f"{version} of {monitor.namespace}/{monitor.name} is {'pinned' if value else 'released'}")
    if value is None and champion is not None and champion.pinned is not None:
        say(f"It is also pinned on the object store ({champion.pinned}); modelmonitor unpin -f FILE releases that.")
    return 0


def _request(
    args: argparse.Namespace,
    make: Callable[[ObservedMonitor], Request],
    failures: frozenset[str] = frozenset(),
) -> int:
    """Make a request, and wait for its result if wanted."""
    from modelmonitor_trainer.cluster.requests import refuse_useless

    session = Session.of(args)
    monitor = session.observe(args.name)
    request = make(monitor)
    refuse_useless(monitor, request.role, session.caller.mmon("resume", args.name))
    session.kubectl.patch_monitor(session.namespace, args.name, request.patch())
    what = _WORDS[request.role.value]
    if not args.wait:
        follow = session.caller.mmon("status", args.name)
        if args.output == "json":
            print_json({"request": args.name, "token": request.token, "stage": "Requested"})
        else:
            print(f"Requested {what} of {monitor.namespace}/{monitor.name}. To see how it goes: {follow}")
        return 0
    say(f"Requested {what} of {monitor.namespace}/{monitor.name}; waiting for its result.")
    progress = _wait(session, args.name, request, args.timeout)
    return _print_result(args, session, request, progress, failures)


_WORDS = {"check": "a check", "train": "a training", "rollback": "a rollback", "promote": "a promotion"}


def _wait(session: Session, name: str, request: Request, timeout: float) -> Progress:
    """Return the progress of a request once it has ended, or after a time; each step is reported."""
    from modelmonitor_trainer.cluster.errors import Unreachable
    from modelmonitor_trainer.cluster.requests import Progress, Stage, follow

    started, reported, hinted = time.monotonic(), "", False
    progress = Progress(Stage.WAITING)
    while time.monotonic() - started < timeout:
        try:
            progress = follow(request, session.observe(name))
        except Unreachable as error:  # a request that has been made is not lost while the API server restarts
            say(f"{error}; trying again")
        if progress.ended:
            return progress
        line = f"{progress.stage}{f' ({progress.reason})' if progress.reason else ''}. {progress.message}"
        if line != reported:
            say(line)
            reported = line
        unseen = progress.stage is Stage.WAITING and not progress.reason
        if unseen and not hinted and time.monotonic() - started > _PATIENCE:
            say(f"That takes long; what may be wrong: {session.caller.mmon('doctor', name)}")
            hinted = True
        time.sleep(_POLL_SECONDS)
    return progress


def _print_result(
    args: argparse.Namespace, session: Session, request: Request, progress: Progress, failures: frozenset[str]
) -> int:
    from modelmonitor_trainer.cluster.page import Block, Row, full_stop
    from modelmonitor_trainer.cluster.requests import Stage
    from modelmonitor_trainer.cluster.status_page import tone_of

    if args.output == "json":
        print_json(
            {
                "request": _WORDS[request.role.value].split()[1],
                "token": request.token,
                "stage": progress.stage.value if progress.ended else "TimedOut",
                "reason": progress.reason,
                "message": progress.message,
            }
        )
    elif progress.ended:
        rows = [Row("", full_stop(progress.message), f"{progress.reason}.", tone_of(progress.reason))]
        option = ["--training"] if request.role.value == "train" else []
        if progress.stage is Stage.DONE and request.role.value in {"check", "train"}:
            rows.append(Row("", f"Its page: {session.caller.mmon('report', args.name, *option)}", wrap=False))
        elif progress.stage is Stage.FAILED:
            rows.append(Row("", f"To find the cause: {session.caller.mmon('doctor', args.name)}", wrap=False))
        print_blocks([Block("", tuple(rows))])
    else:
        say("It has not ended within --timeout. It goes on: the request stays.")
    if not progress.ended:
        return TIMED_OUT
    return FAILED if progress.stage is Stage.FAILED or progress.reason in failures else 0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
