"""Command ui: pages over the monitors of a cluster in a browser."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelmonitor_trainer.cli.mmon.session import add_cluster, say

if TYPE_CHECKING:
    from modelmonitor_trainer.ui.sources import MonitorSource

#: Where the pages are by default: this machine alone.
LOOPBACK = "127.0.0.1"
_LOCAL_NAMES = frozenset({LOOPBACK, "localhost", "[::1]"})


def add_commands(subparsers: Any) -> None:
    """Add ui."""
    ui = subparsers.add_parser(
        "ui",
        help="show the monitors of a cluster in the browser",
        description="Serve pages over the monitors of a cluster on this machine, and open them in the browser: the "
        "fleet, and for each monitor what happened when, the served score, the drift of each column, its champions, "
        "and the pages of its checks and trainings. Nothing is changed. Monitors are read with your kubeconfig, "
        "results with the Secret that the monitor uses, or else your own credentials; without -n, the monitors of "
        "all namespaces that you may list are shown. Runs until it is interrupted.",
    )
    add_cluster(ui)
    ui.add_argument("--port", type=_port, default=0, metavar="PORT", help="port to listen on (default: a free one)")
    ui.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    ui.add_argument(
        "--endpoint",
        metavar="URL",
        help="endpoint of the object stores (default: those of the specs, forwarded if needed)",
    )
    pod = ui.add_argument_group("in a pod, behind a proxy that authenticates (the chart sets these)")
    pod.add_argument(
        "--in-cluster",
        action="store_true",
        help="read the monitors of the cluster in which this runs with its service account, and results with the "
        "credentials and the endpoint of the environment (AWS_ENDPOINT_URL_S3), whatever the specs name; no token is "
        "asked for",
    )
    pod.add_argument("--address", default=LOOPBACK, help=f"address to listen on (default {LOOPBACK})")
    pod.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which the pages may be addressed, apart from this machine's own; can be repeated",
    )
    pod.add_argument(
        "--results",
        action="append",
        default=[],
        metavar="PREFIX",
        help="with --in-cluster, show results below this URI; can be repeated (default: none)",
    )
    pod.add_argument(
        "--watch-namespace",
        action="append",
        default=[],
        metavar="NAMESPACE",
        help="with --in-cluster, show this namespace; can be repeated (default: all)",
    )
    ui.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _serve(args: argparse.Namespace) -> int:
    import webbrowser

    from modelmonitor_trainer.errors import BadConfiguration
    from modelmonitor_trainer.ui.server import Site, make_server, new_token

    source = _source(args)
    if not args.in_cluster:
        source.list()  # an error is better told here than in the browser
    hosts = _LOCAL_NAMES | {name.casefold() for name in args.allowed_host}
    site = Site(source, hosts, None if args.in_cluster else new_token())
    try:
        server = make_server(site, args.address, args.port)
    except OSError as error:
        raise BadConfiguration(
            f"cannot listen on {args.address}:{args.port} ({error}); choose another --port"
        ) from None
    url = f"http://{args.address}:{server.server_address[1]}/"
    address = url if site.token is None else f"{url}?token={site.token}"
    print(address, flush=True)
    say("Interrupt with Ctrl-C to end.")
    if not (args.no_browser or args.in_cluster):
        webbrowser.open(address)
    with server:
        try:
            server.serve_forever()
        finally:
            source.close()
    return 0


def _source(args: argparse.Namespace) -> MonitorSource:
    from modelmonitor_trainer.cluster.kubectl import Kubectl
    from modelmonitor_trainer.ui.sources import CallersCluster, OwnCluster

    if args.in_cluster:
        return OwnCluster(tuple(args.watch_namespace), tuple(args.results))
    return CallersCluster(Kubectl(args.kubeconfig, args.context), args.namespace, args.endpoint)
