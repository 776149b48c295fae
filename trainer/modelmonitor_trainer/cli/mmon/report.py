"""Command report for a cluster: finds a report page, fetches it, and opens it or writes it to a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelmonitor_trainer.cli.files import require_writable, write_text
from modelmonitor_trainer.cli.mmon.session import Session, add_target, print_json, say

if TYPE_CHECKING:
    from modelmonitor_trainer.cluster.observed import ObservedMonitor

#: The value of --training without a number.
_NEWEST = "newest"


def add_commands(subparsers: Any) -> None:
    """Add the command report to the plugin."""
    report = subparsers.add_parser(
        "report",
        help="open the report page of the newest check, or of a training",
        description="Fetch the report page of the newest check, or of a training, and open it in the browser. The "
        "credentials are those of the Secret that the monitor uses, or else your own; the port of an object store "
        "within the cluster is forwarded.",
    )
    add_target(report)
    add_page_options(report)
    report.set_defaults(run=fetch_report)


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select a page, and what becomes of it."""
    parser.add_argument(
        "--training",
        nargs="?",
        const=_NEWEST,
        type=_training_number,
        metavar="N",
        help="the page of training N instead of the newest check; without N, of the newest training",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the page to FILE instead of opening it (- is standard output); the word json prints where the page "
        "is from and where it was written, for scripts",
    )
    parser.add_argument("--html", metavar="FILE", help="write the page to FILE, as in other commands")
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        help="endpoint of the object store (default: that of the spec, forwarded if needed)",
    )


def _training_number(text: str) -> int | str:
    if text == _NEWEST:
        return text
    if not text.isdigit() or not 1 <= int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of a training, which are counted from 1")
    return int(text)


def fetch_report(args: argparse.Namespace) -> int:
    """Fetch a page, and open it or write it to a file."""
    import webbrowser

    from modelmonitor_trainer.cluster.page import clean

    file = args.html or (args.output if args.output not in {None, "json", "-"} else None)
    if file:
        require_writable(file)
    session = Session.of(args)
    monitor = session.observe(args.name)
    uri, page = _fetch(session, monitor, args.training, args.endpoint)
    if args.output == "-":
        print("\n".join(map(clean, page.splitlines())) if sys.stdout.isatty() else page)
        return 0
    path = file or _temporary_file(monitor.name, args.training)
    write_text(path, page)
    if args.output == "json":
        print_json({"uri": uri, "file": str(path)})
        return 0
    print(path)
    if file is None and not webbrowser.open(Path(path).as_uri()):
        say("There is no browser here; open the file elsewhere, or write it with --html FILE.")
    return 0


def _fetch(
    session: Session, monitor: ObservedMonitor, training: int | str | None, endpoint: str | None
) -> tuple[str, str]:
    """Return the URI of a page and the page."""
    from modelmonitor_trainer.cluster.report_page import (
        find_check_report,
        find_training_report,
        layout_of,
        safe_page,
    )
    from modelmonitor_trainer.cluster.results import explain_access, open_results
    from modelmonitor_trainer.errors import ModelMonitorError

    layout_of(monitor)
    assert monitor.spec is not None
    with open_results(session.kubectl, monitor.namespace, monitor.spec.storage, endpoint) as access:
        if not access.as_pods:
            say(f"Reads {access.endpoint} with credentials that are {access.credentials}.")
        try:
            if training is None:
                uri = find_check_report(access.store, monitor)
            else:
                uri = find_training_report(access.store, monitor, None if isinstance(training, str) else training)
            return uri, safe_page(access.store.read(uri), uri)
        except ModelMonitorError as error:
            raise explain_access(error, access) from error


def _temporary_file(name: str, training: int | str | None) -> str:
    """Return a new file that only the caller can read, because a page shows values of the data."""
    import tempfile

    what = "check" if training is None else "training" if isinstance(training, str) else f"training-{training}"
    return str(Path(tempfile.mkdtemp(prefix="mmon-")) / f"{name}-{what}.html")
