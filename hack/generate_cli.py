"""Print a reference page of a command line, generated from its argument parsers; `make manifests` writes it.

usage: hack/generate_cli.py [mmon]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from modelmonitor_api.names import ExitCode
from modelmonitor_trainer.cli.main import build_parser
from modelmonitor_trainer.cli.mmon.main import build_parser as build_plugin
from modelmonitor_trainer.text import as_sentence

HEAD = """<!-- Generated from the argument parsers by hack/generate_cli.py; do not edit. -->
# Command line

`modelmonitor` runs on a laptop, in a CI job and in the pods of a cluster. See [Install](../getting-started/install.md)
for how to get it. Commands that take `-f` read the YAML file of a ModelMonitor, the same file that you apply to a
cluster; on the command line, its locations can also be `file://` URIs. The option `--request` and the commands
`train-prepare` and `train-conclude` are what the pods of a cluster run.

S3 is accessed with the settings that the AWS tools use: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE`,
`AWS_REGION`, and `AWS_ENDPOINT_URL` for a store other than AWS. With `-f`, the endpoint and the region come from
`spec.storage`.
"""

EXIT_CODES = (
    (
        ExitCode.OK,
        (
            "Success. A check that finds drift or corrupted data is a success, unless `--fail-on` names its verdict: "
            "without the option, read the verdict, not the code."
        ),
    ),
    (ExitCode.CRASHED, "A defect of ModelMonitor."),
    (
        ExitCode.BAD_CONFIGURATION,
        (
            "The configuration, the credentials or the data cannot be used, or the object store cannot be reached. The "
            "message on standard error says what to change."
        ),
    ),
    (
        ExitCode.UNAVAILABLE,
        (
            "In pods only: the object store cannot be reached, or an object was replaced while it was read. "
            "The Job starts another pod."
        ),
    ),
    (
        ExitCode.FAIL_ON,
        "The verdict of `check` is one that `--fail-on` names. The result is printed and written as usual.",
    ),
    (130, "Interrupted from the keyboard."),
    (ExitCode.INTERRUPTED, "Stopped by SIGTERM."),
)


MMON_HEAD = """<!-- Generated from the argument parsers by hack/generate_cli.py; do not edit. -->
# kubectl mmon

`kubectl mmon` shows and steers the monitors of a cluster. It comes with the same package as
[`modelmonitor`](cli.md), and kubectl finds it on the `PATH`:
[Install](../getting-started/install.md#kubectl-mmon) shows how, with completion in the shell. `modelmonitor` has the
same words for what it does not already do with files: `modelmonitor report NAME`, `status`, `explain`, `history`,
`doctor`, `pause` and `resume`.

- It runs your kubectl, so your kubeconfig, logins and proxies apply. Nothing is installed in the cluster.
- It changes a monitor only as [annotations](../concepts/life-of-a-monitor.md) and `spec.suspend` do, with your rights.
  `manifests/samples/mmon-user.yaml` has the rules that it needs, as a ClusterRole.
- `report`, `history --all` and `doctor` read the object store: with the Secret of the monitor if you may read it, or
  else with your own AWS credentials. The port of a store within the cluster is forwarded. `doctor --no-data` does not
  read it.
- A page that `report` opens runs no scripts and loads nothing, whatever has been written to the bucket.
- Colours are for terminals, and `NO_COLOR` switches them off. Names and messages of the cluster are printed without
  control characters.
"""

MMON_EXIT_CODES = (
    (0, "Done. With `--wait`: it has ended with a result, whatever the verdict is, unless `--fail-on` names it."),
    (1, "A defect of ModelMonitor."),
    (
        2,
        "The request cannot be made: a wrong argument, no such monitor, no permission. The message has what to change.",
    ),
    (3, "The API server, or the object store, does not respond."),
    (4, "What `--wait` waited for has not ended within `--timeout`. It goes on."),
    (10, "`doctor` found a problem; or what `--wait` waited for failed, or has a verdict that `--fail-on` names."),
    (130, "Interrupted from the keyboard."),
)

#: Characters of a line of a usage.
_WIDTH = 90


def page() -> str:
    """Return the page of modelmonitor as Markdown."""
    return "\n".join(_lines(HEAD, "modelmonitor", build_parser(), EXIT_CODES))


def plugin_page() -> str:
    """Return the page of kubectl mmon as Markdown."""
    return "\n".join(_lines(MMON_HEAD, "kubectl mmon", build_plugin(), MMON_EXIT_CODES))


def _lines(
    head: str, program: str, parser: argparse.ArgumentParser, exit_codes: Sequence[tuple[int, str]]
) -> Iterator[str]:
    yield head
    commands = _commands(parser)
    yield "| Command | What it does |"
    yield "|---|---|"
    for name, (help_text, _) in commands.items():
        yield f"| [`{name}`](#{name}) | {as_sentence(help_text)} |"
    yield ""
    for name, (help_text, command) in commands.items():
        yield from (f"## {name}", "", as_sentence(command.description or help_text), "")
        yield from ("```", *_wrap(f"{program} {name}", _usage(command)), "```", "")
        yield from _options(command)
    yield from ("## Exit codes", "", "| Code | Meaning |", "|---|---|")
    for code, meaning in exit_codes:
        yield f"| {int(code)} | {meaning} |"
    yield ""


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """Return name → help text and parser of every command, in the order of the help."""
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    help_texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {name: (help_texts[name], command) for name, command in action.choices.items()}


def _wrap(command: str, parts: list[str]) -> Iterator[str]:
    """Yield a command with its options, wrapped at _WIDTH characters."""
    line = command
    for part in parts:
        if len(line) + 1 + len(part) > _WIDTH:
            yield line
            line = " " * len(command)
        line += f" {part}"
    yield line


def _usage(command: argparse.ArgumentParser) -> list[str]:
    """Return the options of a command; alternatives in parentheses."""
    groups = command._mutually_exclusive_groups
    parts: list[str] = []
    seen: set[str] = set()
    for action in command._actions:
        group = next((g for g in groups if action in g._group_actions), None)
        if isinstance(action, argparse._HelpAction) or action.dest in seen:
            continue
        members = group._group_actions if group is not None else [action]
        seen |= {member.dest for member in members}
        text = " | ".join(_invocation(member) for member in members)
        required = group.required if group is not None else action.required
        parts.append(f"({text})" if required and len(members) > 1 else text if required else f"[{text}]")
    return parts


def _invocation(action: argparse.Action) -> str:
    if not action.option_strings:
        return _value(action)
    name = action.option_strings[0]
    return name if action.nargs == 0 else f"{name} {_optional(action)}"


def _optional(action: argparse.Action) -> str:
    """Return the value of an option, in brackets if the option can do without."""
    return f"[{_value(action)}]" if action.nargs == "?" else _value(action)


def _value(action: argparse.Action) -> str:
    if action.choices is not None:
        return "{" + ",".join(str(choice) for choice in action.choices) + "}"
    return str(action.metavar or action.dest.upper())


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    yield from ("| Option | Meaning |", "|---|---|")
    for action in command._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        value = "" if action.nargs == 0 else f" {_optional(action)}"
        written = [f"{name}{value}" for name in action.option_strings] or [_value(action)]
        names = ", ".join(f"`{text}`" for text in written).replace("|", "\\|")
        yield f"| {names} | {as_sentence(action.help or '').replace('|', chr(92) + '|')} |"
    yield ""


if __name__ == "__main__":
    print(plugin_page() if sys.argv[1:] == ["mmon"] else page(), end="")
