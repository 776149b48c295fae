"""Commands that change the spec of a monitor on a cluster: pause and resume."""

from __future__ import annotations

import argparse
from typing import Any

from modelmonitor_trainer.cli.mmon.session import Session, add_target, say

#: Labels and annotations by which tools that apply a monitor again mark it.
_APPLIERS = {
    "argocd.argoproj.io/": "Argo CD",
    "kustomize.toolkit.fluxcd.io/": "Flux",
    "helm.toolkit.fluxcd.io/": "Flux",
}


def add_commands(subparsers: Any) -> None:
    """Add pause and resume."""
    for name, suspend, text in (
        ("pause", True, "pause a monitor in a cluster: neither checks nor trainings start"),
        ("resume", False, "resume a paused monitor in a cluster"),
    ):
        parser = subparsers.add_parser(
            name, help=text, description=f"{text[:1].upper()}{text[1:]} (spec.suspend: {str(suspend).lower()})."
        )
        add_target(parser)
        parser.set_defaults(run=_suspend, suspend=suspend)


def _suspend(args: argparse.Namespace) -> int:
    session = Session.of(args)
    monitor = session.observe(args.name)
    word = "paused" if args.suspend else "running"
    if monitor.spec is not None and monitor.spec.suspend is args.suspend:
        print(f"{monitor.namespace}/{monitor.name} is already {word}")
        return 0
    session.kubectl.patch_monitor(session.namespace, args.name, {"spec": {"suspend": args.suspend}})
    running = [job.name for job in monitor.jobs if job.finished is None]
    more = f"; {', '.join(running)} runs to its end" if args.suspend and running else ""
    print(f"{monitor.namespace}/{monitor.name} is {word}{more}")
    marks = [*monitor.labels, *monitor.annotations]
    appliers = {tool for mark in marks for prefix, tool in _APPLIERS.items() if mark.startswith(prefix)}
    for tool in sorted(appliers):
        say(f"{tool} applies this monitor: set spec.suspend in its source, too, or {tool} undoes the change.")
    return 0
