"""References that are unusual end in a verdict with its reasons, from the command to its notes."""

import gzip
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main


@pytest.fixture
def check(tmp_path, capsys):
    """Writes files of normal columns with these means, and returns the output of their check."""

    def run(means, current):
        g = np.random.default_rng(0)
        for number, mean in enumerate(means):
            side = tmp_path / ("cur" if number >= len(means) - current else "ref")
            side.mkdir(exist_ok=True)
            columns = {"moving": g.normal(mean, 1, 400), "still": g.normal(size=400)}
            pq.write_table(pa.table(columns), side / f"{number:03d}.parquet")
        assert main(["check", "--reference", str(tmp_path / "ref"), "--current", str(tmp_path / "cur")]) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("jump", [0.8, 1.5])
def test_a_reference_that_has_changed(check, jump):
    g = np.random.default_rng(1)
    out = check(g.normal(0, 0.05, 47) + jump * (np.arange(47) >= 20), 7)
    assert out.startswith("Inconclusive: No drift in 1 column")
    assert "The reference has changed within itself" in out
    assert "/ref/020.parquet" in out


def test_a_reference_that_changed_for_a_while(check):
    days = np.arange(47)
    assert not check(1.0 * ((days >= 20) & (days < 32)), 7).startswith("Drift")


def test_a_reference_with_a_trend(check):
    assert "The reference has a trend" in check(0.05 * np.arange(47), 7)


def test_a_reference_with_an_odd_day(check):
    out = check(6.0 * (np.arange(47) == 11), 7)
    assert out.startswith("NoDrift")
    assert "/ref/011.parquet (moving)" in out


@pytest.mark.parametrize("content", [b"", b"x,y\n" + b"1,2\n" * 100_000])
def test_the_exit_code_of_an_error_is_that_of_an_error(tmp_path, content):
    """The interpreter must not tear down what still reads ahead: that would abort the process, with another code."""
    whole = gzip.compress(content)
    (tmp_path / "ref.csv.gz").write_bytes(whole if not content else whole[:-50])
    (tmp_path / "cur.csv").write_text("x,y\n" + "1,2\n" * 1000)
    sides = ["--reference", str(tmp_path / "ref.csv.gz"), "--current", str(tmp_path / "cur.csv")]
    command = [sys.executable, "-m", "modelmonitor_trainer.cli.main", "check", *sides]
    codes = {subprocess.run(command, check=False, capture_output=True).returncode for _ in range(5)}
    assert codes == {2}
