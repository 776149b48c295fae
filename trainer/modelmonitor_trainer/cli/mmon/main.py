"""Program ``kubectl-mmon``, which kubectl runs as ``kubectl mmon``.

Nothing heavy is imported before the arguments are parsed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

EPILOG = """exit codes:
  0    done; with --wait, it has ended with a result
  1    a bug in modelmonitor
  2    the request cannot be made: a wrong argument, no such monitor, no permission; the message says what to change
  3    the API server does not respond
  4    what --wait waited for has not ended within --timeout; it goes on
  10   doctor found a problem; what --wait waited for failed, or has a verdict that --fail-on names
  130  interrupted from the keyboard
"""

#: Modules that add commands, in the order of the help.
_COMMANDS = (
    "modelmonitor_trainer.cli.mmon.pages",
    "modelmonitor_trainer.cli.mmon.report",
    "modelmonitor_trainer.cli.mmon.requests",
    "modelmonitor_trainer.cli.mmon.switches",
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="kubectl mmon",
        description="See and steer the ModelMonitors of a cluster.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in _COMMANDS:
        importlib.import_module(name).add_commands(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kubectl mmon`` and return its exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.version:
        from modelmonitor_trainer import __version__

        print(f"kubectl mmon {__version__}")
        return 0
    if not hasattr(args, "run"):
        parser.print_help()
        return 2
    return _run_safely(args)


def _run_safely(args: argparse.Namespace) -> int:
    """Run a command; an error is one message on stderr, without control characters, and an exit code."""
    from modelmonitor_trainer.cluster.page import clean
    from modelmonitor_trainer.errors import ModelMonitorError

    try:
        code: int = args.run(args)
    except ModelMonitorError as error:
        print(f"kubectl mmon: {clean(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("kubectl mmon: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output has closed it, such as `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def run() -> None:
    """Run ``kubectl mmon`` as a program, and exit with its code; for the reason see ``modelmonitor``."""
    code = main()
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    run()
