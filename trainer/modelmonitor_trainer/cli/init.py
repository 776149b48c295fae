"""Command init: a commented YAML file of a monitor, made from its data."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any


def add_commands(subparsers: Any) -> None:
    """Add init to the command line."""
    command = subparsers.add_parser(
        "init",
        help="write the YAML file of a monitor from its data",
        description="Inspect partitions of rows, and of labels if they are separate, and write a monitor that fits "
        "them: types, ranges, target, key, windows. Review it, then validate and replay it.",
    )
    command.add_argument(
        "--data", required=True, metavar="URI", help="folder, s3:// prefix or template (%%Y-%%m-%%d) of the partitions"
    )
    command.add_argument("--labels", metavar="URI", help="likewise of the labels, if the target is not in the rows")
    command.add_argument("--target", metavar="COL", help="column that the model predicts (default: a guess)")
    command.add_argument(
        "--name", metavar="NAME", help="name of the monitor (default: that of the folder above the data)"
    )
    command.add_argument(
        "--results",
        metavar="URI",
        help="prefix of the results (default: modelmonitor/ in the bucket, or next to the data)",
    )
    command.add_argument(
        "-o", "--output", dest="path", default="-", metavar="FILE", help="file to write (default - is standard output)"
    )
    command.set_defaults(run=_init)


def _init(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.cli.files import require_writable, write_text
    from modelmonitor_trainer.draft.columns import MAX_OBJECTS, sample_rows
    from modelmonitor_trainer.draft.monitor import draft_monitor
    from modelmonitor_trainer.draft.partitions import find_partitions, most_common_format
    from modelmonitor_trainer.draft.text import render_yaml
    from modelmonitor_trainer.errors import BadConfiguration
    from modelmonitor_trainer.storage.local import to_uri
    from modelmonitor_trainer.storage.open import open_store

    if args.path != "-" and Path(args.path).exists():
        raise BadConfiguration(f"{args.path} exists; choose another file with --output, or delete it")
    if args.path != "-":
        require_writable(args.path)
    store = open_store(None)
    rows = find_partitions(store, to_uri(args.data))
    labels = find_partitions(store, to_uri(args.labels)) if args.labels else None
    fmt = most_common_format(store, rows.sample(MAX_OBJECTS))
    sample = sample_rows(store, rows.sample(MAX_OBJECTS), fmt)
    label_sample = sample_rows(store, labels.sample(MAX_OBJECTS), fmt) if labels is not None else None
    draft = draft_monitor(args.name or _default_name(rows.template), rows, sample, labels, label_sample, args.target)
    results = to_uri(args.results) if args.results else _default_results(rows.template)
    text = render_yaml(draft, fmt, results, os.environ.get("AWS_ENDPOINT_URL"))
    if args.path == "-":
        print(text, end="")
        return 0
    write_text(args.path, text)
    features = f"{len(draft.features)} features" if len(draft.features) != 1 else "1 feature"
    print(f"{args.path}: {features}, target {draft.target!r}, rows of {rows.first} through {rows.last}")
    for uri in rows.others[:3]:
        print(f"  not part of a day: {uri}", file=sys.stderr)
    path = shlex.quote(args.path)
    print(f"Next: modelmonitor validate -f {path}")
    needed = dt.timedelta(days=draft.windows.train + draft.windows.holdout + draft.delay)
    begin = min(rows.first + needed, rows.first + (rows.last - rows.first) / 2)
    print(f"      modelmonitor replay -f {path} --from {begin} --to {rows.last} --policies --html replay.html")
    return 0


def _default_name(template: str) -> str:
    """Return a name for a monitor: that of the folder above the data, in the form of a Kubernetes name."""
    parts = [part for part in template.partition("%")[0].split("/") if part and "=" not in part]
    words = [re.sub(r"[^a-z0-9-]+", "-", part.lower()).strip("-") for part in reversed(parts[:-1] or parts)]
    return next((word for word in words if word and not word.endswith(":")), "monitor")[:40].rstrip("-")


def _default_results(template: str) -> str:
    """Return a prefix for results: of the bucket, or of the folder above the data."""
    scheme, _, path = template.partition("://")
    if scheme == "s3":
        return f"s3://{path.partition('/')[0]}/modelmonitor/"
    folder = path.partition("%")[0].rpartition("/")[0]
    return f"file://{folder.rpartition('/')[0]}/modelmonitor/"
