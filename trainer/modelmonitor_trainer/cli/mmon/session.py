"""What the commands for a cluster share: their options, the connection, and how they print."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelmonitor_trainer.cluster.caller import Caller
    from modelmonitor_trainer.cluster.kubectl import Kubectl
    from modelmonitor_trainer.cluster.observed import ObservedMonitor
    from modelmonitor_trainer.cluster.page import Block

_KIND = re.compile(r"^(mmon|modelmonitors?(\.modelmonitor\.io)?)/")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def object_name(text: str) -> str:
    """Return the name of an object; a monitor can be written as kubectl prints it."""
    name = _KIND.sub("", text)
    if not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of an object: lower case letters, digits, - and .")
    return name


def add_target(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the monitor and the options of the cluster to a command."""
    nargs = "?" if optional else None
    parser.add_argument("name", metavar="NAME", type=object_name, help="name of the ModelMonitor", nargs=nargs)
    add_cluster(parser)


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the options that select a cluster and a namespace, with the words of kubectl."""
    parser.add_argument(
        "-n", "--namespace", metavar="NAMESPACE", type=object_name, help="namespace (default: that of the context)"
    )
    parser.add_argument("--context", metavar="CONTEXT", help="context of the kubeconfig (default: the current one)")
    parser.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig file (default: as kubectl)")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the choice between a page and JSON, with the short option of kubectl."""
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="what to print (default text)")


@dataclass(frozen=True)
class Session:
    """A cluster, and the namespace that a command is about.

    Attributes
    ----------
    kubectl
        The cluster.
    namespace
        The namespace.
    caller
        How the caller has reached it, for commands that a message recommends.
    """

    kubectl: Kubectl
    namespace: str
    caller: Caller

    @classmethod
    def of(cls, args: argparse.Namespace) -> Session:
        """Return the session that the options describe."""
        from modelmonitor_trainer.cluster.caller import Caller
        from modelmonitor_trainer.cluster.kubectl import Kubectl

        kubectl = Kubectl(args.kubeconfig, args.context)
        namespace = args.namespace or kubectl.current_namespace()
        return cls(kubectl, namespace, Caller(args.namespace or "", args.context, args.kubeconfig))

    def observe(self, name: str, *, pods: bool = False) -> ObservedMonitor:
        """Return a monitor with its Jobs; with its recent checks as well, if `pods` are read.

        Without a right to list Jobs or pods, their part stays empty, and a message says so.

        Raises
        ------
        ClusterError
            If the monitor cannot be read.
        """
        from urllib.parse import quote

        from modelmonitor_api.names import LABEL_MONITOR
        from modelmonitor_trainer.cluster.errors import ClusterError
        from modelmonitor_trainer.cluster.kubectl import in_parallel
        from modelmonitor_trainer.cluster.observed import observe_monitor

        namespace = quote(self.namespace, safe="")
        selector = f"{LABEL_MONITOR}={name}"
        calls = [
            lambda: self.kubectl.monitor(self.namespace, name),
            lambda: self.kubectl.items(f"/apis/batch/v1/namespaces/{namespace}/jobs", labelSelector=selector),
        ]
        if pods:
            calls.append(lambda: self.kubectl.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector))
        resource, *children = in_parallel(calls)
        if isinstance(resource, ClusterError):
            raise self._explain_missing(name, resource)
        for error in [each for each in children if isinstance(each, ClusterError)]:
            say(f"Shown without a part: {error}")
        jobs, own_pods = ([] if isinstance(each, ClusterError) else each for each in (*children, [])[:2])
        return observe_monitor(resource, jobs, own_pods)

    def _explain_missing(self, name: str, error: Any) -> Exception:
        """Return the error for a monitor that cannot be read, with the nearest name or what to do."""
        from difflib import get_close_matches

        from modelmonitor_trainer.cluster.errors import ClusterError, Denied, Missing
        from modelmonitor_trainer.cluster.kubectl import monitors_path

        if isinstance(error, Denied):
            return Denied(f"{error}; you need the verbs get and list on modelmonitors in namespace {self.namespace}")
        if not isinstance(error, Missing):
            assert isinstance(error, Exception)
            return error
        try:
            items = self.kubectl.items(monitors_path(self.namespace))
        except Missing:
            return Missing("this cluster has no ModelMonitors: install the chart, or correct --context")
        except ClusterError:
            items = []
        names = [str(item["metadata"]["name"]) for item in items]
        near = get_close_matches(name, names, 1)
        where = self.caller.cluster_wide("get", "mmon", "--all-namespaces")
        hint = f"did you mean {near[0]}?" if near else f"{where} lists all"
        return Missing(f"there is no ModelMonitor {name!r} in namespace {self.namespace}; {hint}")


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print a page, as wide as the terminal, in colour if it is one and NO_COLOR is not set."""
    from modelmonitor_trainer.cluster.page import render

    print(render(blocks, width=shutil.get_terminal_size((100, 24)).columns, color=uses_color()))


def uses_color() -> bool:
    """Return whether standard output shows colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_json(document: Any) -> None:
    """Print a document in ASCII: nothing in it can reach a terminal as a control character."""
    print(json.dumps(document, indent=1, allow_nan=False))


def say(message: str) -> None:
    """Print a message about the progress on standard error."""
    from modelmonitor_trainer.cluster.page import clean

    print(clean(message), file=sys.stderr, flush=True)
