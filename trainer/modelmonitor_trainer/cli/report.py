"""Command report: the page of a monitor in a cluster, or of one that a YAML file declares."""

from __future__ import annotations

import argparse
from typing import Any

from modelmonitor_trainer.cli.files import write_text
from modelmonitor_trainer.cli.mmon.report import add_page_options, fetch_report
from modelmonitor_trainer.cli.mmon.session import add_target
from modelmonitor_trainer.cli.monitor_file import read_monitor


def add_commands(subparsers: Any) -> None:
    """Add report to the command line."""
    report = subparsers.add_parser(
        "report",
        help="open the report page of a monitor in a cluster, or print where that of a YAML file is",
        description="With NAME, fetch the page of the newest check (or of a training) of a monitor in a cluster, and "
        "open it in the browser. The credentials are those of the Secret that the monitor uses, or else your own; the "
        "port of an object store within the cluster is forwarded. With -f, print the location of the newest page of "
        "the monitor that a file declares, or copy it with --html.",
    )
    add_target(report, optional=True)
    report.add_argument("-f", "--file", metavar="FILE", help="YAML file of the ModelMonitor (- is standard input)")
    report.add_argument(
        "--uid", default="local", help="with -f, UID of the monitor on the cluster (default: local checks)"
    )
    add_page_options(report)
    report.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.errors import BadConfiguration

    if (args.name is None) == (args.file is None):
        raise BadConfiguration("name a monitor of a cluster, or give a YAML file with -f")
    if args.name is not None:
        return fetch_report(args)
    if args.training is not None or args.output is not None:
        option = "--training" if args.training is not None else "--output"
        raise BadConfiguration(f"{option} is for a monitor of a cluster; with -f, --html FILE copies the newest page")
    return _report_of_file(args)


def _report_of_file(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.errors import NotFound
    from modelmonitor_trainer.registry.layout import CheckLayout, ResultsLayout
    from modelmonitor_trainer.storage.open import open_store

    monitor, spec = read_monitor(args.file)
    store = open_store(spec.storage)
    folder = ResultsLayout.of(spec, monitor).checks(args.uid)
    # Names of folders begin with the time, so the last is the newest.
    reports = (CheckLayout(child).report for child in reversed(store.children(folder)))
    newest = next((uri for uri in reports if store.head(uri) is not None), None)
    if newest is None:
        raise NotFound(f"there is no report under {folder}; run modelmonitor check, or name a monitor of a cluster")
    if args.html:
        write_text(args.html, store.read(newest).decode())
        print(args.html)
    else:
        print(newest)
    return 0
