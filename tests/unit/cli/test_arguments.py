"""Choices on the command line are those of the enums, which are not imported for --help."""

import argparse

import pytest

from modelmonitor_api.outcomes import Verdict
from modelmonitor_api.spec import DataFormat, Task
from modelmonitor_trainer.cli.arguments import FAILURES
from modelmonitor_trainer.cli.files import require_writable
from modelmonitor_trainer.cli.main import build_parser
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.replay.arrival import Arrival


def choices(command, option):
    subparsers = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return next(a.choices for a in subparsers.choices[command]._actions if option in a.option_strings)


@pytest.mark.parametrize(
    ("command", "option", "enum"),
    [("check", "--task", Task), ("check", "--format", DataFormat), ("replay", "--arrival", Arrival)],
)
def test_choices_are_the_members_of_the_enum(command, option, enum):
    assert list(choices(command, option)) == [member.value for member in enum]


def test_a_check_can_fail_on_every_verdict_but_no_drift():
    assert set(FAILURES) == set(Verdict) - {Verdict.NO_DRIFT}


@pytest.mark.parametrize(
    ("path", "why"),
    [("folder", "it is a folder"), ("absent/report.html", "there is no folder"), ("file", "it is not writable")],
)
def test_a_file_that_cannot_be_written_is_named_with_the_cause(tmp_path, monkeypatch, path, why):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr("os.access", lambda path, _mode: path != tmp_path / "file")
    with pytest.raises(BadConfiguration, match=f"cannot be written: {why}.*; choose another file"):
        require_writable(str(tmp_path / path))
    require_writable(str(tmp_path / "folder" / "report.html"))
