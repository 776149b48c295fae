"""Commands that the demo and the scripts print work as they are in another shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder whose name needs quotes in a shell."""
    return tmp_path_factory.mktemp("cache") / "model monitor's"


@pytest.fixture(scope="module")
def transcript(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the demo prints."""
    driver = Path(__file__).with_name("demo_transcript.py")
    done = subprocess.run(
        [sys.executable, driver, tmp_path_factory.mktemp("demo") / "output"],
        env={**os.environ, "MODELMONITOR_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout.splitlines()


def printed_commands(lines: list[str]) -> list[tuple[int, list[str]]]:
    """Return every kubectl or helm command of a text, with the number of its line."""
    matches = [(number, re.search(r"\b(?:kubectl|helm) .*", line)) for number, line in enumerate(lines)]
    return [(number, shlex.split(match[0])) for number, match in matches if match]


def test_the_demo_sets_up_the_shell_before_its_first_command(transcript: list[str], cache: Path) -> None:
    (setup,) = (number for number, line in enumerate(transcript) if line.strip().startswith("export "))
    commands = printed_commands(transcript)
    assert len(commands) > 10
    assert all(setup < number for number, _ in commands)
    shell = subprocess.run(
        ["bash", "-euc", f'{transcript[setup]}\nprintf "%s\\n" "$KUBECONFIG" "${{PATH%%:*}}"'],
        env={"PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    )
    assert shell.stdout.splitlines() == [str(cache / "kubeconfig"), str(cache / "bin")]


def test_commands_of_the_demo_need_no_working_directory_and_no_default_namespace(transcript: list[str]) -> None:
    for _, command in printed_commands(transcript):
        assert command[:3] == ["kubectl", "--namespace", "demo"]
        if "--filename" in command:
            path = Path(command[command.index("--filename") + 1])
            assert path.is_absolute()
            assert path.is_file()
    (make,) = (shlex.split(line[line.index("make ") :]) for line in transcript if "make " in line)
    assert make == ["make", "-C", str(ROOT), "demo-down"]


def test_the_demo_prints_the_commands_that_it_runs(transcript: list[str]) -> None:
    commands = [" ".join(command) for _, command in printed_commands(transcript)]
    for token in ("check-requested-at=spring", "check-requested-at=corruption", "rollback-to=previous"):
        assert any(command.endswith(f"modelmonitor.io/{token}") for command in commands), token


def test_the_cluster_script_prints_the_kubeconfig_while_another_one_runs(tmp_path: Path) -> None:
    # `up` holds this lock for minutes.
    with (tmp_path / "cluster.lock").open("w") as lock:
        subprocess.run(["flock", str(lock.fileno())], pass_fds=[lock.fileno()], check=True)
        printed = subprocess.run(
            [ROOT / "hack" / "cluster.sh", "kubeconfig"],
            env={**os.environ, "MODELMONITOR_CACHE": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        )
    assert printed.stdout == f"{tmp_path}/kubeconfig\n"


def test_no_script_prints_a_kubectl_command_of_its_own() -> None:
    # Such a command would lack the setup above.
    for path in [*(ROOT / "hack").rglob("*.sh")]:
        for line in path.read_text().splitlines():
            assert not re.search(r"\b(?:say|die|echo) .*\b(?:kubectl|helm) ", line), f"{path.name}: {line}"
