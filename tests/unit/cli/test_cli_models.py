"""The commands about models, as people and pods call them."""

import json

from modelmonitor_api.messages import RunVerdict, decode_answer, encode
from modelmonitor_api.names import ENV_JOB_NAME, ENV_TERMINATION_LOG
from modelmonitor_trainer.cli.main import build_parser
from unit.train import conftest as training

#: The monitor of the tests of trainings.
world, cheap_trainings, command = training.world, training.cheap_trainings, training.command


def test_the_life_cycle_of_a_model_on_the_command_line(world, command):
    file = world.file()
    code, out, _ = command("versions", "-f", file)
    assert (code, "no version yet" in out) == (0, True)
    code, out, _ = command("train", "-f", file)
    assert code == 0
    assert out.startswith("Promoted (FirstModel)")
    world.land(19, 40, slope=-2.0)
    code, out, _ = command("train", "-f", file, "--output", "json")
    second = json.loads(out)
    assert second["outcome"] == "Promoted"
    code, out, _ = command("versions", "-f", file)
    first_line, second_line, _, last_line = out.splitlines()
    assert first_line.startswith(f"* {second['version']}  champion  since ")
    assert "  previous  2" in second_line
    assert second_line.endswith("trained on 2013-01-03 to 2013-01-12, 10 days")
    assert last_line == f"modelmonitor rollback leads to {second_line.split()[0]}"
    code, out, _ = command("versions", "-f", file, "--output", "json")
    listed = json.loads(out)
    first = listed["versions"][1]["version"]
    assert listed["champion"]["version"] == second["version"]
    code, out, _ = command("versions", "-f", file, "--at", "2013-05-03")
    assert "no version served" in out
    code, out, _ = command("versions", "-f", file, "--at", "2999-01-01")
    assert out.startswith(f"{second['version']} served from ")
    assert "trained on   2013-01-" in out
    code, out, _ = command("versions", "-f", file, "--at", "2999-01-01T12:00Z", "--output", "json")
    (served,) = json.loads(out)["served"]
    assert (served["version"], served["until"]) == (second["version"], None)
    assert served["manifestSHA256"] == listed["versions"][0]["manifestSHA256"]
    world.land(41, 50)
    code, out, _ = command("compare", "-f", file, "--version", first)
    assert (code, out.split()[0]) == (0, "Passed")
    code, out, _ = command("rollback", "-f", file)
    assert out.startswith("RolledBack")
    assert world.champion().version == first
    code, out, _ = command("rollback", "-f", file, "--to", second["version"])
    assert world.champion().version == second["version"]


def test_errors_are_one_sentence(world, command):
    file = world.file()
    for arguments, words in [
        (("rollback", "-f", file), "no champion"),
        (("promote", "-f", file), "--version"),
        (("promote", "-f", file, "--version", "v1-00000000"), "v1-00000000"),
        (("versions", "-f", file, "--at", "yesterday"), "--at"),
        (("compare", "-f", file, "--version", "v1-00000000"), "--with"),
        (("train-prepare", "-f", file, "--work", world.folder / "work"), "trainer.image"),
    ]:
        code, out, err = command(*arguments)
        assert (code, out) == (2, ""), arguments
        assert words in err
        assert err.count("\n") == 1


def test_a_pod_writes_its_verdict(world, command, monkeypatch):
    request, answer = world.folder / "request.json", world.folder / "answer"
    monkeypatch.setenv(ENV_JOB_NAME, "mon-train-1")
    monkeypatch.setenv(ENV_TERMINATION_LOG, str(answer))
    request.write_text(encode(world.request()))
    code, _, _ = command("train", "--request", request)
    assert code == 0
    verdict = decode_answer(answer.read_text())
    assert isinstance(verdict, RunVerdict)
    assert verdict.outcome == "Promoted"
    assert world.champion().by == "mon-train-1"
    code, _, _ = command("rollback", "--request", request)
    assert code == 2
    assert "is a Train request" in decode_answer(answer.read_text()).message


def test_a_custom_trainer_on_the_command_line(world, command):
    world.spec["retraining"] = {"windowDays": 10, "trainer": {"image": "mine:1"}}
    file, work = world.file(), world.folder / "work"
    code, out, _ = command("train-prepare", "-f", file, "--work", work)
    assert (code, out) == (0, "")
    code, _, err = command("train-conclude", "-f", file, "--work", work)
    assert code == 2
    assert "container predict-challenger" in err


def test_help_lists_the_commands():
    assert "train" in build_parser().format_help()
