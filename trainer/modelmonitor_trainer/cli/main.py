"""Command line ``modelmonitor``: the parser, and what all commands share.

Nothing heavy is imported before the arguments are parsed, so that ``--help`` is fast.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelmonitor_api.messages import MonitorRef
    from modelmonitor_api.resource import InvalidSpec
    from modelmonitor_api.spec import ModelMonitorSpec

EPILOG = """exit codes:
  0    any verdict, including drift, unless --fail-on names it
  1    a bug in modelmonitor
  2    the configuration or the data are invalid; the message says what to change
  3    the object store is unavailable; try again
  10   the verdict of a check is one that --fail-on names
  143  stopped by SIGTERM
"""

#: Modules that add commands, in the order of the help.
_COMMANDS = (
    "modelmonitor_trainer.cli.check",
    "modelmonitor_trainer.cli.init",
    "modelmonitor_trainer.cli.replay",
    "modelmonitor_trainer.cli.models",
    "modelmonitor_trainer.cli.registry",
)

Command = Callable[[argparse.Namespace], int]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Each module of commands has ``add_commands(subparsers)``. A command is a parser whose default ``run`` is a function
    from the parsed arguments to the exit code.
    """
    parser = argparse.ArgumentParser(
        prog="modelmonitor",
        description="Keep machine-learning models fresh: check for drift, train, compare, promote, roll back.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in _COMMANDS:
        importlib.import_module(name).add_commands(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``modelmonitor`` and return its exit code."""
    # Imports allocate much and free little: collecting garbage meanwhile takes a tenth of the time of a small check.
    gc.set_threshold(100_000)
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.version:
        from modelmonitor_trainer import __version__

        print(f"modelmonitor {__version__}")
        return 0
    if not hasattr(args, "run"):
        parser.print_help()
        return 2
    return run_safely(args.run, args)


def run_safely(command: Command, args: argparse.Namespace) -> int:
    """Run a command; an error is one message on stderr and an exit code."""
    from modelmonitor_api.names import ExitCode
    from modelmonitor_trainer.cli.pod import interruptible
    from modelmonitor_trainer.errors import ModelMonitorError

    try:
        with interruptible():
            return command(args)
    except ModelMonitorError as error:
        print(f"modelmonitor: {error}", file=sys.stderr)
        # Exit code 3 makes the operator retry a pod; for a script the data simply cannot be read.
        return ExitCode.BAD_CONFIGURATION if error.exit_code == ExitCode.UNAVAILABLE else error.exit_code
    except KeyboardInterrupt:
        print("modelmonitor: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output has closed it, such as `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def read_monitor(path: str) -> tuple[MonitorRef, ModelMonitorSpec]:
    """Return the monitor that a YAML file declares; the same file can be applied to a cluster.

    Parameters
    ----------
    path
        The file, or "-" for standard input. Documents of other kinds are skipped.

    Returns
    -------
    MonitorRef, ModelMonitorSpec
        Outside a cluster the UID is "local"; the namespace defaults to "default".

    Raises
    ------
    BadConfiguration
        If the file cannot be read, does not contain exactly one monitor, or the spec is invalid.
    """
    import yaml

    from modelmonitor_api.messages import MonitorRef
    from modelmonitor_api.names import API_VERSION, KIND
    from modelmonitor_api.resource import InvalidSpec, parse
    from modelmonitor_api.spec import ModelMonitorSpec
    from modelmonitor_policy.schedule import validate_schedule
    from modelmonitor_trainer.errors import BadConfiguration

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        documents = [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
    except OSError as error:
        raise BadConfiguration(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    monitors: list[dict[str, Any]] = [document for document in documents if document.get("kind") == KIND]
    if len(monitors) != 1:
        raise BadConfiguration(f"{path} holds {len(monitors) or 'no'} {KIND} documents; it must hold one")
    monitor = monitors[0]
    if monitor.get("apiVersion") != API_VERSION:
        raise BadConfiguration(
            f"{path}: apiVersion is {monitor.get('apiVersion')!r}; this version supports {API_VERSION}"
        )
    metadata = monitor.get("metadata") or {}
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise BadConfiguration(f"{path}: metadata.name is missing; give the monitor a name")
    try:
        spec = parse(ModelMonitorSpec, monitor.get("spec") or {})
        validate_schedule(spec.schedule, spec.time_zone)
    except InvalidSpec as error:
        raise BadConfiguration(_with_positions(path, text, error)) from error
    namespace = str(metadata.get("namespace") or "default")
    return MonitorRef(namespace=namespace, name=str(metadata["name"]), uid="local"), spec


def _with_positions(path: str, text: str, error: InvalidSpec) -> str:
    """Return the problems of a spec with the lines and columns at which they are."""
    from modelmonitor_api.names import KIND
    from modelmonitor_trainer.cli.positions import find_position

    lines = []
    for problem in error.problems:
        position = find_position(text, KIND, ("spec", *problem.path))
        where = f"{path}:{position[0]}:{position[1]}" if position else path
        lines.append(f"{where}: {problem}")
    return "\n".join(lines) or f"{path}: {error}"


def run() -> None:
    """Run ``modelmonitor`` as a program, and exit with its code.

    After an error, Arrow can still be reading ahead in threads of its own. The interpreter would abort if it tore down
    their queues, and a wrong code would make the operator repeat what can never succeed.
    """
    code = main()
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    run()
