"""Program ``kubectl_complete-mmon``, which kubectl runs to complete ``kubectl mmon …`` in a shell.

kubectl passes the words after ``mmon``; the last one is to be completed. Each line is a candidate, with a description
after a tab, and the last line is a directive of the Cobra library.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelmonitor_trainer.cluster.kubectl import Kubectl

#: Directives: complete nothing else, or file names.
_NO_FILES, _FILES = ":4", ":0"


def complete(words: Sequence[str], parser: argparse.ArgumentParser) -> tuple[list[str], str]:
    """Return the candidates for the last word, and the directive.

    Parameters
    ----------
    words
        Words after ``kubectl mmon``.
    parser
        Parser of the plugin.
    """
    *before, current = words or [""]
    commands = _commands(parser)
    chosen = next((word for word in before if word in commands), None)
    if chosen is None:
        return _matching([f"{name}\t{text}" for name, (_, text) in commands.items()], current), _NO_FILES
    command = commands[chosen][0]
    options = _options(command)
    option = options.get(before[-1]) if before else None
    if option is not None and option.nargs != 0:
        if option.metavar == "FILE":
            return [], _FILES
        return _matching([*map(str, option.choices or ()), *_values(before[-1], before)], current), _NO_FILES
    if current.startswith("-"):
        texts = [f"{name}\t{item.help or ''}" for name, item in options.items() if name.startswith("--")]
        return _matching(texts, current), _NO_FILES
    return _matching(list(_monitors(before)), current), _NO_FILES


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {name: (command, texts.get(name, "")) for name, command in action.choices.items()}


def _options(command: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in command._actions for name in action.option_strings}


def _matching(candidates: Sequence[str], current: str) -> list[str]:
    return [candidate for candidate in candidates if candidate.startswith(current)]


def _values(option: str, before: Sequence[str]) -> Iterator[str]:
    """Yield what the cluster or the kubeconfig offers for an option."""
    kubectl = _kubectl(before)
    if option == "--context":
        yield from kubectl.contexts()
    elif option in {"-n", "--namespace"}:
        yield from (str(item["metadata"]["name"]) for item in kubectl.items("/api/v1/namespaces"))
    elif option in {"--to", "--version"}:
        yield from (["previous"] if option == "--to" else [])
        for item in kubectl.items(_path(before)):
            history = (item.get("status") or {}).get("history") or []
            if item["metadata"]["name"] in before:
                yield from sorted({str(entry["version"]) for entry in history if entry.get("version")})


def _monitors(before: Sequence[str]) -> Iterator[str]:
    for item in _kubectl(before).items(_path(before)):
        verdict = ((item.get("status") or {}).get("lastCheck") or {}).get("verdict", "no verdict yet")
        yield f"{item['metadata']['name']}\t{verdict}"


def _path(before: Sequence[str]) -> str:
    from modelmonitor_trainer.cluster.kubectl import monitors_path

    namespace = _given(before, "-n", "--namespace") or _kubectl(before).current_namespace()
    return monitors_path(namespace)


def _kubectl(before: Sequence[str]) -> Kubectl:
    from modelmonitor_trainer.cluster.kubectl import Kubectl

    return Kubectl(_given(before, "--kubeconfig"), _given(before, "--context"))


def _given(words: Sequence[str], *names: str) -> str | None:
    """Return the value of an option among the words."""
    for index, word in enumerate(words):
        if word in names and index + 1 < len(words):
            return words[index + 1]
        for name in names:
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
    return None


def run() -> None:
    """Print the candidates; an error completes nothing."""
    from modelmonitor_trainer.cli.mmon.main import build_parser
    from modelmonitor_trainer.errors import ModelMonitorError
    from modelmonitor_trainer.text import printable

    try:
        candidates, directive = complete(sys.argv[1:], build_parser())
    except ModelMonitorError:
        candidates, directive = [], _NO_FILES
    for candidate in candidates:
        print("\t".join(printable(part) for part in candidate.split("\t")))
    print(directive)


if __name__ == "__main__":
    run()
